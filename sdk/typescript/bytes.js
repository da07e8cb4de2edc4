// Bytes in messages: text under a name, or base64 under the name + `Base64`, which is exact.

export function bytesOf(object, name) {
  const coded = object[`${name}Base64`];
  return coded === undefined ? Buffer.from(object[name] ?? '') : Buffer.from(coded, 'base64');
}

export function putBytes(params, name, data) {
  if (typeof data === 'string') params[name] = data;
  else params[`${name}Base64`] = Buffer.from(data).toString('base64');
  return params;
}

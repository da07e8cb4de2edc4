// Files of a sandbox, and archives, which come and go in pieces. See index.d.ts for what everything means.

import { randomUUID } from 'node:crypto';

import { MAX_PIECE, SandboxError, bytesOf, putBytes } from './daemon.js';

// Of a stream: enough that messages do not count, little enough that two are nothing to keep.
const STREAM_PIECE = 1 << 20;

// What is no text has `nameBytes`.
function infoOf(entry, bytes = bytesOf(entry, 'name')) {
  const { type, size, mode, mtimeMs, target } = entry;
  const name = bytes.toString();
  const isText = Buffer.from(name).equals(bytes);
  return { name, ...(!isText && { nameBytes: bytes }), type, size, mode, mtimeMs, ...(target !== undefined && { target }) };
}

function lastNameOf(path) {
  const bytes = Buffer.from(path);
  let end = bytes.length;
  while (end > 0 && bytes[end - 1] === 0x2f) --end;
  return bytes.subarray(bytes.lastIndexOf('/', end - 1) + 1, end);
}

function besides(path, suffix) {
  return typeof path === 'string' ? path + suffix : Buffer.concat([path, Buffer.from(suffix)]);
}

// Paths that are bytes.
function withExactPaths(params) {
  const exact = {};
  for (const [name, value] of Object.entries(params)) {
    if (value instanceof Uint8Array) putBytes(exact, name, value);
    else exact[name] = value;
  }
  return exact;
}

// Pulls from a generator, and no more than is read.
function readableOf(pieces) {
  return new ReadableStream({
    async pull(controller) {
      const { done, value } = await pieces.next();
      if (done) controller.close();
      else controller.enqueue(value);
    },
    async cancel() { await pieces.return(); },
  }, { highWaterMark: 0 });
}

function isBytes(data) {
  return typeof data === 'string' || ArrayBuffer.isView(data) || data instanceof ArrayBuffer
    || (Array.isArray(data) && typeof data[0] === 'number');
}

// At least one piece, none larger than a request may be: a stream's small ones together, its large ones apart.
async function* piecesOf(data) {
  if (isBytes(data)) {
    const bytes = Buffer.from(data);
    for (let at = 0; at === 0 || at < bytes.length; at += MAX_PIECE) yield bytes.subarray(at, at + MAX_PIECE);
    return;
  }
  const source = data instanceof Blob ? data.stream() : data;
  if (source?.[Symbol.asyncIterator] === undefined && source?.[Symbol.iterator] === undefined) {
    throw new TypeError('data must be text, bytes, or a stream of them');
  }
  let kept = [];
  let size = 0;
  for await (const piece of source) {
    const bytes = Buffer.from(piece);
    for (let at = 0; at < bytes.length; at += STREAM_PIECE) {
      const part = bytes.subarray(at, at + STREAM_PIECE);
      kept.push(part);
      size += part.length;
      if (size < STREAM_PIECE) continue;
      yield Buffer.concat(kept);
      kept = [];
      size = 0;
    }
  }
  yield Buffer.concat(kept);
}

export function reportOf({ entries, skipped, skippedCount }) {
  return { entries, skipped, skippedCount };
}

export async function takeBlob(call, { blobId, size }) {
  const pieces = [];
  for (let done = 0; done < size;) {
    const piece = bytesOf(await call('blob.read', { blobId, offset: done }), 'data');
    if (piece.length === 0) throw new SandboxError('an archive was cut');
    pieces.push(piece);
    done += piece.length;
  }
  await call('blob.free', { blobId });
  return Buffer.concat(pieces);
}

export async function giveBlob(call, data) {
  const bytes = Buffer.from(data);
  let blobId = 0;
  let at = 0;
  do {
    ({ blobId } = await call('blob.write', putBytes({ blobId }, 'data', bytes.subarray(at, at + MAX_PIECE))));
    at += MAX_PIECE;
  } while (at < bytes.length);
  return blobId;
}

export class Files {
  #call;
  #daemon;

  constructor(call, daemon) {
    this.#call = (method, params) => call(method, withExactPaths(params));
    this.#daemon = daemon;
  }

  async watch(path, onEvent, { recursive = false } = {}) {
    const { watchId } = await this.#call('files.watch', { path, recursive });
    const daemon = this.#daemon;
    daemon.listen(`watch ${watchId}`, (message) => {
      if (message !== null) onEvent({ type: message.params.type, path: bytesOf(message.params, 'path').toString() });
    });
    return {
      async stop() {
        daemon.forget(`watch ${watchId}`);
        // It ends with the sandbox, too.
        await daemon.call('files.unwatch', { watchId }).catch(() => {});
      },
    };
  }

  watchDir(path, onEvent, options) { return this.watch(path, onEvent, options); }

  async pack(path) {
    return takeBlob(this.#call, await this.#call('files.pack', { path }));
  }

  async unpack(path, data) {
    return reportOf(await this.#call('files.unpack', { path, blobId: await giveBlob(this.#call, data) }));
  }

  async read(path, { offset = 0, length = Infinity, format = 'bytes', stream = false } = {}) {
    if (stream || format === 'stream') return readableOf(this.readStream(path, { offset, length }));
    const pieces = [];
    for await (const piece of this.readStream(path, { offset, length, pieceBytes: MAX_PIECE })) pieces.push(piece);
    const bytes = Buffer.concat(pieces);
    return format === 'text' ? bytes.toString() : bytes;
  }

  // The next piece is on its way while the caller has one.
  async *readStream(path, { offset = 0, length = Infinity, pieceBytes = STREAM_PIECE } = {}) {
    const end = offset + length;
    const most = (at) => Math.min(pieceBytes, MAX_PIECE, end - at);
    const ask = (at) => {
      if (most(at) <= 0) return null;
      const answer = this.#call('files.read', { path, offset: at, length: most(at) });
      answer.catch(() => {}); // whoever stops reading never looks at it
      return answer;
    };
    let at = offset;
    for (let next = ask(at); next !== null;) {
      const piece = bytesOf(await next, 'data');
      const isLast = piece.length < most(at);
      at += piece.length;
      next = isLast ? null : ask(at);
      if (piece.length > 0) yield piece;
    }
  }

  #writePiece(path, bytes, append, extra) {
    return this.#call('files.write', putBytes({ ...extra, path, append }, 'data', bytes));
  }

  // What is more than one piece is built beside its place, which then changes in one step.
  async write(path, data, { mode, append = false } = {}) {
    const extra = mode === undefined ? {} : { mode };
    const pieces = piecesOf(data);
    const first = await pieces.next();
    let next = await pieces.next();
    const place = next.done || append ? path : besides(path, `.cordon-part-${randomUUID()}`);
    try {
      await this.#writePiece(place, first.value, append, extra);
      for (; !next.done; next = await pieces.next()) await this.#writePiece(place, next.value, true, extra);
      if (place !== path) await this.#call('files.rename', { from: place, to: path });
    } catch (error) {
      if (place !== path) await this.#call('files.rm', { path: place }).catch(() => {});
      throw error;
    } finally {
      await pieces.return();
    }
  }

  async list(path) {
    return (await this.#call('files.list', { path })).entries.map((entry) => infoOf(entry));
  }

  async stat(path) {
    return infoOf(await this.#call('files.stat', { path }), lastNameOf(path));
  }

  async exists(path) {
    try {
      await this.stat(path);
      return true;
    } catch (error) {
      if (error.errno === 'ENOENT' || error.errno === 'ENOTDIR') return false;
      throw error;
    }
  }

  async mkdir(path, { mode = 0o755 } = {}) { await this.#call('files.mkdir', { path, mode }); }
  async rm(path) { await this.#call('files.rm', { path }); }
  async rename(from, to) { await this.#call('files.rename', { from, to }); }
  async copy(from, to) { await this.#call('files.copy', { from, to }); }
  async symlink(target, path) { await this.#call('files.symlink', { target, path }); }
  async chmod(path, mode) { await this.#call('files.chmod', { path, mode }); }
  getInfo(path) { return this.stat(path); }
  makeDir(path) { return this.mkdir(path); }
  remove(path) { return this.rm(path); }
}

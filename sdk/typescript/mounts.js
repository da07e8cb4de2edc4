// What is mounted in a sandbox: files in memory and directories of the host. See index.d.ts for what a mount is.

import { putBytes } from './bytes.js';

const MAX_PIECE = 4 << 20;

// `call` asks about one sandbox.
export async function mount(call, { path, files, hostPath, writable = false }) {
  if ((files === undefined) === (hostPath === undefined)) throw new TypeError(`mount ${path}: files or hostPath`);
  if (hostPath !== undefined) return void await call('mount', { path, hostPath, writable });
  const pieces = Object.entries(files).map(([name, data]) => [name, Buffer.from(data)]);
  // In pieces, whatever its size; seen when all of it is there.
  if (writable) {
    await call('mount', { path, files: {}, writable });
    for (const [name, bytes] of pieces) await writeAll(call, `${path.replace(/\/+$/, '')}/${name}`, bytes);
    return;
  }
  let { stageId } = await call('mount.stage', { name: '' });
  for (const [name, bytes] of pieces) {
    let offset = 0;
    do {
      const piece = bytes.subarray(offset, offset + MAX_PIECE);
      ({ stageId } = await call('mount.stage', putBytes({ stageId, name, offset }, 'data', piece)));
      offset += MAX_PIECE;
    } while (offset < bytes.length);
  }
  await call('mount', { path, stageId });
}

async function writeAll(call, path, bytes) {
  let at = 0;
  do {
    await call('files.write', putBytes({ path, append: at > 0 }, 'data', bytes.subarray(at, at + MAX_PIECE)));
    at += MAX_PIECE;
  } while (at < bytes.length);
}

// What is mounted in a sandbox: files in memory, directories of the host and file systems of this program. See mounts.d.ts for what a
// mount is.

import { putBytes } from './bytes.js';
import { isFileSystem, isWritable } from './virtual.js';

const MAX_PIECE = 4 << 20;

// Mounts as a list, or by their paths.
export function describedMounts(mounts) {
  return Array.isArray(mounts) ? mounts : Object.entries(mounts).map(([path, files]) => ({ path, ...whatIsMounted(files) }));
}

export function whatIsMounted(files) {
  return typeof files?.hostPath === 'string' ? { hostPath: files.hostPath } : { files };
}

// `call` asks about one sandbox; `host` is where this program's file systems are asked.
export async function mount(call, host, { path, files, hostPath, writable, timeoutMs, cacheMs }) {
  if ((files === undefined) === (hostPath === undefined)) throw new TypeError(`mount ${path}: files or hostPath`);
  if (isFileSystem(files)) {
    const can = writable ?? isWritable(files);
    return void await call('mount', { path, writable: can, timeoutMs, cacheMs, ...await host.add(files, can) });
  }
  if (hostPath !== undefined) return void await call('mount', { path, hostPath, writable: writable === true });
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

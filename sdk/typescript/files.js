// Files of a sandbox, and archives, which come and go in pieces. See index.d.ts for what everything means.

import { MAX_PIECE, SandboxError, bytesOf, putBytes } from './daemon.js';

function infoOf(entry, name) {
  const { type, size, mode, mtimeMs, target } = entry;
  return { name: name ?? bytesOf(entry, 'name').toString(), type, size, mode, mtimeMs, ...(target !== undefined && { target }) };
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
    this.#call = call;
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

  async read(path, { offset = 0, length = Infinity, format = 'bytes' } = {}) {
    const pieces = [];
    for (let done = 0; done < length;) {
      const most = Math.min(MAX_PIECE, length - done);
      const piece = bytesOf(await this.#call('files.read', { path, offset: offset + done, length: most }), 'data');
      pieces.push(piece);
      done += piece.length;
      if (piece.length < most) break;
    }
    const bytes = Buffer.concat(pieces);
    return format === 'text' ? bytes.toString() : bytes;
  }

  // A large file is built beside its place, which then changes in one step.
  async write(path, data, { mode, append = false } = {}) {
    const bytes = Buffer.from(data);
    const extra = mode === undefined ? {} : { mode };
    const isLarge = bytes.length > MAX_PIECE && !append;
    const place = isLarge ? `${path}.cordon-part` : path;
    let at = 0;
    do {
      const piece = bytes.subarray(at, at + MAX_PIECE);
      await this.#call('files.write', putBytes({ ...extra, path: place, append: append || at > 0 }, 'data', piece));
      at += MAX_PIECE;
    } while (at < bytes.length);
    if (isLarge) await this.#call('files.rename', { from: place, to: path });
  }

  async list(path) {
    return (await this.#call('files.list', { path })).entries.map((entry) => infoOf(entry));
  }

  async stat(path) {
    return infoOf(await this.#call('files.stat', { path }), path.replace(/\/+$/, '').split('/').pop());
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

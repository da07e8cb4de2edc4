// File systems of this program that sandboxes see. See virtual.d.ts for what one is, and docs/file-protocol.md for what is said.

import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';

const REQUEST_BYTES = 40;
const ANSWER_BYTES = 16;
const APPEND = 0xffffffffffffffffn;
const NS_IN_MS = 1_000_000n;
const TYPE_BITS = { file: 0o100000, dir: 0o040000, directory: 0o040000, symlink: 0o120000 };
const KEEP_MS = 1000; // a whole file that is read in pieces
const LONGEST_FOLDER = 80;
// As others name them.
const MESSAGES = [['not found', 'ENOENT'], ['path exists', 'EEXIST'], ['directory not empty', 'ENOTEMPTY'], ['is a directory', 'EISDIR'],
  ['not a directory', 'ENOTDIR']];

export const isFileSystem = (value) => typeof value?.stat === 'function'
  && (typeof value.readdir === 'function' || typeof value.list === 'function');
export const isWritable = (value) => value.writable ?? (typeof value.write === 'function' || typeof value.writeFile === 'function');

function failure(code, message = code) {
  return Object.assign(new Error(message), { code });
}

function errnoOf(error) {
  const message = String(error?.message ?? error);
  const code = typeof error?.code === 'string' ? error.code
    : /^(E[A-Z0-9]+)\b/.exec(message)?.[1] ?? MESSAGES.find(([start]) => message.startsWith(start))?.[1];
  const number = constants.errno[code];
  if (number !== undefined) return number;
  process.emitWarning(error instanceof Error ? error : message);
  return constants.errno.EIO;
}

// Text that is exactly these bytes.
function textOf(bytes) {
  const text = bytes.toString();
  if (!Buffer.from(text).equals(bytes)) throw failure('EILSEQ');
  return text;
}

const ASKS = new Set(['stat', 'readlink', 'read', 'list']);

// Requests of a sandbox as calls of one file system's methods. Each gives {result, data}.
class Answers {
  #fs;
  #writable;
  #whole = null;
  #change = Promise.resolve();

  constructor(fs, writable) {
    this.#fs = fs;
    this.#writable = writable;
  }

  // Changes come one after the other: some are made of several calls.
  answer(request) {
    if (ASKS.has(request.op)) return this.#answer(request);
    this.#change = this.#change.then(() => this.#answer(request));
    return this.#change;
  }

  async #answer({ op, path, data, ...numbers }) {
    try {
      if (op !== 'read') this.#whole = null;
      if (this[op] === undefined) throw failure('ENOSYS');
      return { result: 0, data: null, ...await this[op]({ path: textOf(path), data, ...numbers }) };
    } catch (error) {
      return { result: -errnoOf(error), data: null };
    }
  }

  #has(name) {
    return typeof this.#fs[name] === 'function';
  }

  async #do(name, ...args) {
    if (!this.#has(name)) throw failure('ENOSYS', `the file system has no ${name}`);
    return this.#fs[name](...args);
  }

  async #stat(path) {
    const found = await this.#do('stat', path);
    if (found === undefined || found === null) throw failure('ENOENT');
    const type = TYPE_BITS[found.type];
    if (type === undefined) throw new TypeError(`no type of a file: ${found.type}`);
    const isFolder = type === TYPE_BITS.dir;
    const usual = (isFolder ? 0o555 : 0o444) | (this.#writable ? 0o200 : 0);
    const { size = found.sizeBytes ?? 0, mode = found.permissions ?? usual, mtimeMs = 0 } = found;
    return { type, size, mode: mode & 0o777, mtimeMs };
  }

  async stat({ path }) {
    const facts = await this.#stat(path).catch((error) => {
      if (path === '' && errnoOf(error) === constants.errno.ENOENT) return { type: TYPE_BITS.dir, size: 0, mode: 0o755, mtimeMs: 0 };
      throw error;
    });
    const data = Buffer.alloc(24);
    data.writeUInt32LE(facts.type, 0);
    data.writeUInt32LE(facts.mode, 4);
    data.writeBigUInt64LE(BigInt(facts.size), 8);
    data.writeBigInt64LE(BigInt(Math.round(facts.mtimeMs)) * NS_IN_MS, 16);
    return { data };
  }

  async readlink({ path }) {
    const data = Buffer.from(await this.#do('readlink', path));
    return { result: data.length, data };
  }

  async #readWhole(path, goesOn) {
    const kept = this.#whole;
    if (goesOn && kept?.path === path && kept.until >= performance.now()) return kept.data;
    const data = Buffer.from(await this.#do('readFile', path));
    this.#whole = { path, data, until: performance.now() + KEEP_MS };
    return data;
  }

  async read({ path, offset, count }) {
    const at = Number(offset);
    const data = this.#has('read') ? await this.#do('read', path, at, count)
      : (await this.#readWhole(path, at > 0)).subarray(at, at + count);
    return { result: data.length, data };
  }

  async list({ path }) {
    const found = await this.#do(this.#has('readdir') ? 'readdir' : 'list', path);
    const pieces = [];
    for (const entry of found) {
      const name = entry.name ?? entry;
      const type = entry.type === undefined
        ? (await this.#stat(path === '' ? name : `${path}/${name}`).catch(() => undefined))?.type
        : TYPE_BITS[entry.type];
      if (type === undefined && entry.type === undefined) continue; // it is gone
      const bytes = Buffer.from(name);
      const head = Buffer.alloc(8);
      head.writeUInt32LE(type ?? 0, 0);
      head.writeUInt32LE(bytes.length, 4);
      pieces.push(head, bytes);
    }
    return { data: Buffer.concat(pieces) };
  }

  // A file as it will be, of bytes that are there and others.
  async #rewrite(path, size, change) {
    const before = size === 0 ? Buffer.alloc(0) : Buffer.from(await this.#do('readFile', path));
    await this.#do('writeFile', path, change(before));
  }

  async write({ path, offset, count, data }) {
    const at = offset === APPEND ? (await this.#stat(path)).size : Number(offset);
    let written = count;
    if (this.#has('write')) {
      written = (await this.#do('write', path, data, at)) ?? count;
    } else {
      await this.#rewrite(path, 1, (before) => {
        const after = Buffer.alloc(Math.max(before.length, at + count));
        before.copy(after);
        data.copy(after, at);
        return after;
      });
    }
    const end = Buffer.alloc(8);
    end.writeBigUInt64LE(BigInt(at + written));
    return { result: written, data: end };
  }

  async create({ path, argument }) {
    const mode = Number(argument);
    if ((mode & 0o170000) === TYPE_BITS.dir) return void await this.#do('mkdir', path, mode & 0o777);
    if (this.#has('createFile')) return void await this.#do('createFile', path);
    await this.#refuseExisting(path);
    if (this.#has('writeFile')) await this.#do('writeFile', path, Buffer.alloc(0));
    else await this.#do('write', path, Buffer.alloc(0), 0);
  }

  async #refuseExisting(path) {
    const found = await this.#stat(path).catch((error) => {
      if (errnoOf(error) !== constants.errno.ENOENT) throw error;
    });
    if (found !== undefined) throw failure('EEXIST');
  }

  async symlink({ path, data }) { await this.#do('symlink', textOf(data), path); }
  async unlink({ path }) { await this.#do('unlink', path); }
  async rmdir({ path }) { await this.#do('rmdir', path); }
  async chmod({ path, argument }) { await this.#do('chmod', path, Number(argument) & 0o777); }
  async utimes({ path, offset, argument }) {
    const [atime, mtime] = [offset, argument].map((ns) => Number(BigInt.asIntN(64, ns) / NS_IN_MS));
    await this.#do('utimes', path, atime, mtime);
  }

  async rename({ path, argument, data }) {
    const to = textOf(data);
    if (argument === 1n) await this.#refuseExisting(to);
    await this.#do('rename', path, to);
  }

  async truncate({ path, offset }) {
    const size = Number(offset);
    if (this.#has('truncate')) return void await this.#do('truncate', path, size);
    await this.#rewrite(path, size, (before) => {
      const after = Buffer.alloc(size);
      before.copy(after, 0, 0, size);
      return after;
    });
  }
}

// As src/kernel/control.h counts them.
const OPS = [undefined, 'stat', 'readlink', 'read', 'list', 'write', 'create', 'symlink', 'unlink', 'rmdir', 'rename', 'truncate', 'chmod', 'utimes'];

// One sandbox, or fork, that asks one file system.
class Connection {
  #socket;
  #find;
  #answers = null;
  #pieces = [];
  #bytes = 0;
  #wanted = 4;

  constructor(socket, find) {
    this.#socket = socket;
    this.#find = find;
    socket.on('data', (chunk) => this.#take(chunk));
    socket.on('error', () => {});
  }

  #take(chunk) {
    this.#pieces.push(chunk);
    this.#bytes += chunk.length;
    if (this.#bytes < this.#wanted) return;
    let all = this.#pieces.length === 1 ? chunk : Buffer.concat(this.#pieces);
    for (;;) {
      this.#wanted = all.length < 4 ? 4 : 4 + all.readUInt32LE(0);
      if (all.length < this.#wanted) break;
      this.#request(all.subarray(0, this.#wanted));
      all = all.subarray(this.#wanted);
    }
    this.#pieces = [all];
    this.#bytes = all.length;
  }

  #request(bytes) {
    const pathEnd = REQUEST_BYTES + bytes.readUInt32LE(12);
    const path = bytes.subarray(REQUEST_BYTES, pathEnd);
    const number = bytes.readUInt32LE(4);
    const op = bytes.readUInt32LE(8);
    if (op === 0) {
      this.#answers = this.#find(path.toString());
      if (this.#answers === undefined) this.#socket.destroy();
      return;
    }
    // The bytes are the socket's, and a file system may keep what it is given.
    const data = Buffer.from(bytes.subarray(pathEnd));
    const numbers = { offset: bytes.readBigUInt64LE(16), argument: bytes.readBigUInt64LE(24), count: bytes.readUInt32LE(32) };
    this.#answers.answer({ op: OPS[op], path, data, ...numbers }).then((answer) => this.#say(number, answer));
  }

  #say(number, { result, data }) {
    const head = Buffer.alloc(ANSWER_BYTES);
    head.writeUInt32LE(ANSWER_BYTES - 4 + (data?.length ?? 0), 0);
    head.writeUInt32LE(number, 4);
    head.writeBigInt64LE(BigInt(result), 8);
    if (!data?.length) return void this.#socket.write(head);
    this.#socket.cork();
    this.#socket.write(head);
    this.#socket.write(data);
    this.#socket.uncork();
  }
}

// Where the file systems of one daemon's sandboxes are asked: a socket in a folder of this user's. It keeps no program alive.
export class FileHost {
  #listening = null;
  #served = new Map();
  #sockets = new Set();
  #lastKey = 0;

  // What `mount` is told of it.
  async add(fs, writable) {
    this.#listening ??= this.#listen();
    const { path } = await this.#listening;
    const key = String(++this.#lastKey);
    this.#served.set(key, new Answers(fs, writable));
    return { socketPath: path, key };
  }

  async #listen() {
    const usual = tmpdir();
    const folder = await mkdtemp(join(usual.length > LONGEST_FOLDER ? '/tmp' : usual, 'cordon-files-'));
    const path = join(folder, 'files');
    const server = createServer((socket) => {
      socket.unref();
      this.#sockets.add(socket);
      socket.on('close', () => this.#sockets.delete(socket));
      new Connection(socket, (key) => this.#served.get(key));
    });
    await new Promise((resolve, reject) => {
      server.on('error', reject);
      server.listen(path, resolve);
    });
    server.unref();
    return { folder, path, server };
  }

  async close() {
    if (this.#listening === null) return;
    const { folder, server } = await this.#listening;
    for (const socket of this.#sockets) socket.destroy();
    server.close();
    await rm(folder, { recursive: true, force: true });
  }
}

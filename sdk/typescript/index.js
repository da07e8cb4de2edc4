// Sandboxes with a shell that lives. See index.d.ts for what everything means.

import { Daemon, SandboxError, bytesOf, putBytes } from './daemon.js';

import { Packages } from './packages.js';

export { PackageError, RpcError, SandboxError } from './daemon.js';

const MAX_PIECE = 4 << 20;

function resultOf(result, kept) {
  const stdoutBytes = kept ? Buffer.concat(kept.stdout) : bytesOf(result, 'stdout');
  const stderrBytes = Buffer.concat([...(kept?.stderr ?? []), bytesOf(result, 'stderr')]);
  return {
    exitCode: result.exitCode,
    stdout: stdoutBytes.toString(),
    stderr: stderrBytes.toString(),
    stdoutBytes,
    stderrBytes,
    executionTimeMs: result.executionTimeMs,
    truncated: result.truncated,
    ...(result.errorClass !== undefined && { errorClass: result.errorClass }),
    ...(result.signal !== undefined && { signal: result.signal }),
  };
}

function infoOf(entry, name) {
  const { type, size, mode, mtimeMs, target } = entry;
  return { name: name ?? bytesOf(entry, 'name').toString(), type, size, mode, mtimeMs, ...(target !== undefined && { target }) };
}

export class SandboxProcess {
  #daemon;
  #waiting = [];
  #messages = [];

  constructor(daemon, id) {
    this.#daemon = daemon;
    this.id = id;
    this.exitCode = null;
    daemon.listen(`process ${id}`, (message) => {
      const next = this.#waiting.shift();
      if (next) next(message);
      else this.#messages.push(message);
    });
  }

  async *[Symbol.asyncIterator]() {
    while (this.exitCode === null) {
      const message = this.#messages.length > 0
        ? this.#messages.shift()
        : await new Promise((resolve) => this.#waiting.push(resolve));
      if (message === null) throw new SandboxError('the daemon has ended');
      if (message.method === 'exit') {
        this.exitCode = message.params.exitCode;
        this.errorClass = message.params.errorClass;
        this.#daemon.forget(`process ${this.id}`);
      } else {
        yield { stream: message.params.stream, data: bytesOf(message.params, 'data') };
      }
    }
  }

  async wait() {
    for await (const _ of this);
    return this.exitCode;
  }

  async #ask(method, params = {}) {
    await this.#daemon.call(method, { processId: this.id, ...params });
  }

  async write(data) {
    const bytes = Buffer.from(data);
    for (let at = 0; at < bytes.length; at += MAX_PIECE) {
      await this.#ask('process.write', putBytes({}, 'data', bytes.subarray(at, at + MAX_PIECE)));
    }
  }

  closeStdin() { return this.#ask('process.closeStdin'); }
  signal(signal) { return this.#ask('process.signal', { signal }); }
  resize(rows, columns) { return this.#ask('process.resize', { rows, columns }); }
  kill() { return this.#ask('process.kill'); }
}

class Commands {
  #call;
  #daemon;

  constructor(call, daemon) {
    this.#call = call;
    this.#daemon = daemon;
  }

  async run(command, { timeoutMs, stdin, onStdout, onStderr } = {}) {
    const params = { command, ...(timeoutMs !== undefined && { timeoutMs }) };
    if (stdin !== undefined) putBytes(params, 'stdin', stdin);
    if (!onStdout && !onStderr) return resultOf(await this.#call('run', params));
    const kept = { stdout: [], stderr: [] };
    const result = await this.#call('run', { ...params, stream: true }, (message) => {
      if (message === null) return;
      const data = bytesOf(message.params, 'data');
      kept[message.params.stream].push(data);
      (message.params.stream === 'stdout' ? onStdout : onStderr)?.(data);
    });
    return resultOf(result, kept);
  }

  async exec(argv, { env, cwd, timeoutMs, stdin } = {}) {
    const params = { argv, ...(env && { env }), ...(cwd && { cwd }), ...(timeoutMs !== undefined && { timeoutMs }) };
    if (stdin !== undefined) putBytes(params, 'stdin', stdin);
    return resultOf(await this.#call('exec', params));
  }

  async spawn(argv, { env, cwd, timeoutMs = 0, terminal } = {}) {
    const params = { argv, timeoutMs, ...(env && { env }), ...(cwd && { cwd }), ...(terminal && { terminal }) };
    return new SandboxProcess(this.#daemon, (await this.#call('spawn', params)).processId);
  }

  async cancel() {
    return (await this.#call('cancel', {})).cancelled;
  }
}

function reportOf({ entries, skipped, skippedCount }) {
  return { entries, skipped, skippedCount };
}

async function takeBlob(call, { blobId, size }) {
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

async function giveBlob(call, data) {
  const bytes = Buffer.from(data);
  let blobId = 0;
  let at = 0;
  do {
    ({ blobId } = await call('blob.write', putBytes({ blobId }, 'data', bytes.subarray(at, at + MAX_PIECE))));
    at += MAX_PIECE;
  } while (at < bytes.length);
  return blobId;
}

class Files {
  #call;

  constructor(call) {
    this.#call = call;
  }

  async pack(path) {
    return takeBlob(this.#call, await this.#call('files.pack', { path }));
  }

  async unpack(path, data) {
    return reportOf(await this.#call('files.unpack', { path, blobId: await giveBlob(this.#call, data) }));
  }

  async read(path, { offset = 0, length = Infinity } = {}) {
    const pieces = [];
    for (let done = 0; done < length;) {
      const most = Math.min(MAX_PIECE, length - done);
      const piece = bytesOf(await this.#call('files.read', { path, offset: offset + done, length: most }), 'data');
      pieces.push(piece);
      done += piece.length;
      if (piece.length < most) break;
    }
    return Buffer.concat(pieces);
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
  makeDir(path) { return this.mkdir(path); }
  remove(path) { return this.rm(path); }
}

export class Sandbox {
  #daemon;
  #id;
  #gone = false;
  #isSaved;

  // Not for callers: see create.
  constructor(daemon, id, isSaved = false) {
    this.#daemon = daemon;
    this.#id = id;
    this.#isSaved = isSaved;
    const call = (method, params, listener) => this.#call(method, params, listener);
    this.commands = new Commands(call, daemon);
    this.files = new Files(call);
    this.packages = new Packages(call);
  }

  static async create({ program, timeoutMs = 30000, fsLimitBytes, env, security, persistence } = {}) {
    const daemon = new Daemon(program);
    try {
      const limits = security?.limits;
      const packagePolicy = security?.packagePolicy;
      const { sandboxId } = await daemon.call('create', {
        timeoutMs, ...(fsLimitBytes !== undefined && { fsLimitBytes }), ...(env && { env }), ...(limits && { limits }), ...(persistence && { persistence }),
        ...(packagePolicy && { packagePolicy }),
      });
      return new Sandbox(daemon, sandboxId, persistence?.mode === 'persistent');
    } catch (error) {
      await daemon.close();
      throw error;
    }
  }

  #call(method, params, listener) {
    if (this.#gone) return Promise.reject(new SandboxError('Sandbox has been destroyed'));
    return this.#daemon.call(method, { ...params, sandboxId: this.#id }, listener);
  }

  get sessionId() { return this.#id; }
  run(command, options) { return this.commands.run(command, options); }
  cancel() { return this.commands.cancel(); }
  readFile(path) { return this.files.read(path); }
  writeFile(path, data) { return this.files.write(path, data); }
  readDir(path) { return this.files.list(path); }
  mkdir(path) { return this.files.mkdir(path); }
  stat(path) { return this.files.stat(path); }
  rm(path) { return this.files.rm(path); }
  async setEnv(name, value) { await this.#call('env.set', { name, value }); }
  async getEnv(name) {
    const result = await this.#call('env.get', { name });
    return result.value === null ? undefined : bytesOf(result, 'value').toString();
  }
  async getHistory() { return (await this.#call('shell.history.list', {})).entries; }
  async clearHistory() { await this.#call('shell.history.clear', {}); }
  usage() { return this.#call('usage', {}); }
  async exportState() {
    const call = (method, params) => this.#call(method, params);
    return takeBlob(call, await call('persistence.export', {}));
  }
  async importState(data, { mode = 'replace' } = {}) {
    const call = (method, params) => this.#call(method, params);
    return reportOf(await call('persistence.import', { blobId: await giveBlob(call, await data), mode }));
  }

  // Into the namespace of `persistence`; false: nothing was new.
  async saveState() { return (await this.#call('persistence.save', {})).changed; }
  async loadState() { return (await this.#call('persistence.load', {})).loaded; }
  async clearPersistedState() { await this.#call('persistence.clear', {}); }

  async fork() {
    const { sandboxId } = await this.#call('sandbox.fork', {});
    this.#daemon.users += 1;
    return new Sandbox(this.#daemon, sandboxId);
  }

  async snapshot(name) {
    return (await this.#call('snapshot.create', name === undefined ? {} : { name })).snapshotId;
  }
  async restore(snapshotId) { await this.#call('snapshot.restore', { snapshotId }); }
  async snapshots() { return (await this.#call('snapshot.list', {})).snapshots; }
  async deleteSnapshot(snapshotId) { await this.#call('snapshot.delete', { snapshotId }); }

  // The daemon ends with the last of its sandboxes.
  async destroy() {
    if (this.#gone) return;
    this.#gone = true;
    this.#daemon.users -= 1;
    const isLast = this.#daemon.users === 0;
    try {
      if (this.#isSaved || !isLast) await this.#daemon.call('sandbox.destroy', { sandboxId: this.#id });
    } catch (error) {
      // It had ended already; but what was not saved has to be known.
      if (this.#isSaved || !(error instanceof SandboxError)) throw error;
    } finally {
      if (isLast) await this.#daemon.close();
    }
  }
  [Symbol.asyncDispose ?? Symbol.for('Symbol.asyncDispose')]() { return this.destroy(); }
}

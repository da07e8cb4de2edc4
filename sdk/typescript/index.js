// Sandboxes with a shell that lives. See index.d.ts for what everything means.

import { Commands } from './commands.js';
import { Daemon, SandboxError, bytesOf, errorOf } from './daemon.js';
import { Files, giveBlob, reportOf, takeBlob } from './files.js';
import { describedMounts, mount, whatIsMounted } from './mounts.js';
import { otherOptions, readOptions } from './options.js';
import { Packages } from './packages.js';

export { SandboxProcess } from './commands.js';
export { PackageError, RpcError, SandboxError } from './daemon.js';
export { SandboxPool } from './pool.js';

// What an export or import may be waiting for.
const AT_ONCE = ['cancel', 'sandbox.resume'];

export class Sandbox {
  #daemon;
  #id;
  #options;
  #gone = false;
  #away = false;
  // An export or import that goes on: what is asked later is asked after it, whether the caller waited or not.
  #stateWork = null;

  // Not for callers: see create.
  constructor(daemon, id, options) {
    this.#daemon = daemon;
    this.#id = id;
    this.#options = options;
    const call = (...request) => this.#call(...request);
    this.commands = new Commands(call, daemon);
    this.files = new Files(call, daemon);
    this.packages = new Packages(call);
    this.sandboxes = {
      create: (label, changes) => this.#createOther(label, changes),
      listSaved: async () => (await this.#call('persistence.list', {})).namespaces,
      deleteSaved: async (namespace) => { await this.#call('persistence.delete', { namespace }); },
      usage: () => this.#call('usage.total', {}),
      version: () => this.#call('version', {}),
      list: async () => (await this.#call('sandbox.list', {})).sandboxes,
      remove: async (sandboxId) => { await daemon.call('sandbox.remove', { sandboxId }); },
    };
    if (options.onAuditEvent) daemon.audit(id, options.onAuditEvent);
  }

  static async create(options) {
    const read = readOptions(options);
    return Sandbox.on(new Daemon(read), read);
  }

  // One that is detached, of the daemon at `options.socket`.
  static async connect(sandboxId, options) {
    const read = readOptions({ ...options, detached: true });
    const daemon = new Daemon(read);
    try {
      const { sandboxes } = await daemon.call('sandbox.list', {});
      if (!sandboxes.some((one) => one.sandboxId === sandboxId)) throw new SandboxError(`Unknown sandboxId: ${sandboxId}`);
      return new Sandbox(daemon, sandboxId, read);
    } catch (error) {
      await daemon.leave();
      throw error;
    }
  }

  // Not for callers: of a daemon that counts it among its users already.
  static async on(daemon, options) {
    try {
      const { sandboxId } = await daemon.call('create', options.params);
      const call = (method, params) => daemon.call(method, { ...params, sandboxId });
      for (const one of describedMounts(options.mounts)) await mount(call, daemon.fileHost, one);
      if (options.extensions.length > 0) await daemon.extensions.register(sandboxId, options.extensions);
      return new Sandbox(daemon, sandboxId, options);
    } catch (error) {
      await daemon.leave();
      throw error;
    }
  }

  #createOther(label, changes) {
    if (this.#gone) throw new SandboxError('Sandbox has been destroyed');
    const options = otherOptions(this.#options, { ...changes, ...(label !== undefined && { label }) });
    this.#daemon.users += 1;
    return Sandbox.on(this.#daemon, options);
  }

  #send(method, params, ...how) {
    return this.#daemon.call(method, { ...params, sandboxId: this.#id }, ...how);
  }

  #call(...request) {
    if (this.#gone) return Promise.reject(new SandboxError('Sandbox has been destroyed'));
    if (this.#stateWork && !AT_ONCE.includes(request[0])) return this.#stateWork.then(() => this.#send(...request));
    return this.#send(...request);
  }

  #workOnState(work) {
    if (this.#gone) return Promise.reject(new SandboxError('Sandbox has been destroyed'));
    const done = (this.#stateWork ?? Promise.resolve()).then(() => work((method, params) => this.#send(method, params)));
    const over = done.then(() => {}, () => {}).then(() => {
      if (this.#stateWork === over) this.#stateWork = null;
    });
    this.#stateWork = over;
    return done;
  }

  get sessionId() { return this.#id; }
  get sandboxId() { return this.#id; }
  get label() { return this.#options.params.label; }
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
  isRunning() { return this.usage().then(() => true, () => false); }

  exportState() {
    return this.#workOnState(async (call) => takeBlob(call, await call('persistence.export', {})));
  }
  importState(data, { mode = 'replace' } = {}) {
    return this.#workOnState(async (call) => reportOf(
      await call('persistence.import', { blobId: await giveBlob(call, await data), mode })));
  }

  async suspend() { await this.#call('sandbox.suspend', {}); }
  async resume() { await this.#call('sandbox.resume', {}); }
  pause() { return this.suspend(); }

  async offload() {
    if (this.#away) return;
    const save = this.#storage('save');
    await this.#workOnState(async (call) => {
      const report = await call('offload', {});
      try {
        await save(this.#id, await takeBlob(call, report));
        this.#away = true;
      } finally {
        await call('offload.end', { kept: this.#away });
      }
    });
  }

  async rehydrate() {
    if (!this.#away) return;
    const load = this.#storage('load');
    await this.#workOnState(async (call) => {
      const state = await load(this.#id);
      await call('rehydrate', {});
      await call('persistence.import', { blobId: await giveBlob(call, state), mode: 'merge' });
      this.#away = false;
    });
  }

  #storage(name) {
    const { storage } = this.#options;
    if (typeof storage?.[name] !== 'function') throw new SandboxError('No storage callbacks configured');
    return storage[name].bind(storage);
  }

  // Into the namespace of `persistence`; false: nothing was new.
  async saveState() { return (await this.#call('persistence.save', {})).changed; }
  async loadState() { return (await this.#call('persistence.load', {})).loaded; }
  async clearPersistedState() { await this.#call('persistence.clear', {}); }

  #forked(sandboxId) {
    this.#daemon.users += 1;
    this.#daemon.extensions.copy(this.#id, sandboxId);
    return new Sandbox(this.#daemon, sandboxId, otherOptions(this.#options));
  }

  async fork({ count } = {}) {
    const { detached = false } = this.#options.params;
    if (count === undefined) return this.#forked((await this.#call('sandbox.fork', { detached })).sandboxId);
    const { forks } = await this.#call('sandbox.fork', { count, detached });
    return forks.map(({ sandboxId, error }) => (error === undefined ? this.#forked(sandboxId) : errorOf(error)));
  }

  // `files`: by paths below the directory; or { hostPath }; or an object that answers.
  async mount(path, files, options) {
    await mount((method, params) => this.#call(method, params), this.#daemon.fileHost, { path, ...whatIsMounted(files), ...options });
  }
  async unmount(path) { await this.#call('unmount', { path }); }

  registerExtensions(extensions) { return this.#daemon.extensions.register(this.#id, extensions); }
  removeExtension(name) { return this.#daemon.extensions.remove(this.#id, name); }
  async listExtensions() { return (await this.#call('extension.list', {})).extensions; }

  async snapshot(name) {
    return (await this.#call('snapshot.create', name === undefined ? {} : { name })).snapshotId;
  }
  async restore(snapshotId) { await this.#call('snapshot.restore', { snapshotId }); }
  async createSnapshot({ name } = {}) { return { snapshotId: await this.snapshot(name) }; }
  listSnapshots() { return this.snapshots(); }
  async snapshots() { return (await this.#call('snapshot.list', {})).snapshots; }
  async deleteSnapshot(snapshotId) { await this.#call('snapshot.delete', { snapshotId }); }

  // The daemon ends with the last of its sandboxes.
  async destroy() {
    if (this.#gone) return;
    this.#gone = true;
    if (this.#stateWork) await this.#stateWork;
    this.#daemon.extensions.forget(this.#id);
    const { isSaved, onAuditEvent, socket } = this.#options;
    try {
      if (isSaved || onAuditEvent || socket || this.#daemon.users > 1) await this.#send('sandbox.destroy', {});
    } catch (error) {
      // It had ended already; but what was not saved has to be known.
      if (isSaved || !(error instanceof SandboxError)) throw error;
    } finally {
      await this.#daemon.leave();
      this.onEnd?.();
    }
  }
  kill() { return this.destroy(); }

  async disconnect() {
    if (this.#gone) return;
    if (!this.#options.params.detached) throw new SandboxError('the sandbox is not detached: it would end');
    this.#gone = true;
    if (this.#stateWork) await this.#stateWork;
    this.#daemon.extensions.forget(this.#id);
    await this.#daemon.leave();
    this.onEnd?.();
  }
  [Symbol.asyncDispose ?? Symbol.for('Symbol.asyncDispose')]() {
    return this.#options.params.detached ? this.disconnect() : this.destroy();
  }
}

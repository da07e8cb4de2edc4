// Packages of a sandbox: WASI command modules, installed while it runs.

export class Packages {
  #call;

  constructor(call) {
    this.#call = call;
  }

  #bring(method, params, { onProgress, signal }) {
    if (!onProgress) return this.#call(method, params, undefined, signal);
    return this.#call(method, { ...params, progress: true }, (message) => {
      if (message !== null) onProgress(message.params.text);
    }, signal);
  }

  install(source, { name, sha256, ...how } = {}) {
    return this.#bring('package.install', { source, ...(name !== undefined && { name }), ...(sha256 !== undefined && { sha256 }) }, how);
  }
  update(name, how = {}) { return this.#bring('package.update', { name }, how); }
  async list() { return (await this.#call('package.list', {})).packages; }
  info(name) { return this.#call('package.info', { name }); }
  async search(query = '') { return (await this.#call('package.search', { query })).packages; }
  async remove(name) { await this.#call('package.remove', { name }); }
}

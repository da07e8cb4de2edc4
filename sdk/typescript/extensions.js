// Commands of sandboxes that this program serves. See index.d.ts for what an extension is.

import { bytesOf, putBytes } from './bytes.js';

const MAX_PIECE = 256 * 1024; // of output on its way
const MAX_READ = 128 * 1024;

const isIterable = (value) => typeof value === 'object' && value !== null && !(value instanceof Uint8Array)
  && (value[Symbol.asyncIterator] !== undefined || value[Symbol.iterator] !== undefined);

// Standard input of a command: comes as it is asked for, so that what nobody reads stays where it is.
class HostInput {
  #read;
  #ended = false;

  constructor(read) {
    this.#read = read;
  }

  async *[Symbol.asyncIterator]() {
    while (!this.#ended) {
      const { data, end } = await this.#read();
      this.#ended = end;
      if (data.length > 0) yield data;
    }
  }

  async bytes() {
    const pieces = [];
    for await (const piece of this) pieces.push(piece);
    return Buffer.concat(pieces);
  }

  async text() {
    return (await this.bytes()).toString();
  }
}

// One call of a command, on its way to its status.
class HostCall {
  #daemon;
  #params;
  #names;
  #ended = new AbortController();

  constructor(daemon, id, params) {
    this.#daemon = daemon;
    this.#params = params;
    this.#names = { sandboxId: params.sandboxId, callId: id };
  }

  cancel() {
    this.#ended.abort();
  }

  async #input(extension) {
    const input = new HostInput(async () => {
      const piece = await this.#daemon.call('extension.read', { ...this.#names, length: MAX_READ });
      return { data: bytesOf(piece, 'data'), end: piece.end };
    });
    switch (extension.stdin ?? 'text') {
      case 'stream': return input;
      case 'bytes': return input.bytes();
      case 'none': return '';
      default: return input.text();
    }
  }

  async #write(stream, data) {
    const bytes = Buffer.from(data);
    for (let at = 0; at < bytes.length; at += MAX_PIECE) {
      await this.#daemon.call('extension.write', putBytes({ ...this.#names, stream }, 'data', bytes.subarray(at, at + MAX_PIECE)));
    }
  }

  // Text or bytes, or many of them.
  async #writeAll(stream, value) {
    if (value === undefined || value === null) return;
    if (typeof value === 'string' || value instanceof Uint8Array) await this.#write(stream, value);
    else for await (const piece of value) await this.#write(stream, piece);
  }

  async #finish({ stdout, stderr, exitCode = 0 }) {
    await Promise.all([this.#writeAll('stdout', stdout), this.#writeAll('stderr', stderr)]);
    return exitCode;
  }

  // A generator gives output, or what a result has.
  async #follow(pieces) {
    let exitCode = 0;
    for await (const piece of pieces) {
      if (typeof piece === 'string' || piece instanceof Uint8Array) await this.#write('stdout', piece);
      else exitCode = await this.#finish({ exitCode, ...piece });
    }
    return exitCode;
  }

  // The status. Rejects with the reason why there is none.
  async run(extension) {
    const { args, argsBase64, env } = this.#params;
    const result = await extension.command({
      args,
      argsBytes: argsBase64?.map((one) => Buffer.from(one, 'base64')) ?? args.map((one) => Buffer.from(one)),
      env,
      cwd: bytesOf(this.#params, 'cwd').toString(),
      stdin: await this.#input(extension),
      signal: this.#ended.signal,
    });
    if (typeof result === 'string' || result instanceof Uint8Array) return this.#finish({ stdout: result });
    return isIterable(result) ? this.#follow(result) : this.#finish(result ?? {});
  }
}

// All that one connection serves.
export class ExtensionHost {
  #daemon;
  #served = new Map(); // sandbox -> name -> extension
  #going = new Map();

  constructor(daemon) {
    this.#daemon = daemon;
  }

  async register(sandboxId, extensions) {
    const known = this.#served.get(sandboxId) ?? new Map();
    for (const extension of extensions) {
      if (typeof extension.command !== 'function') throw new TypeError(`extension ${extension.name} has no command`);
    }
    const described = extensions.map(({ name, description, usage, examples, category, pythonPackage }) => ({
      name, description, usage, examples, category, ...(pythonPackage && { pythonPackage: packageOf(pythonPackage) }),
    }));
    // It may be called before the daemon has said that it is there.
    const before = new Map(known);
    for (const extension of extensions) known.set(extension.name, extension);
    this.#served.set(sandboxId, known);
    try {
      return (await this.#daemon.call('extension.register', { sandboxId, extensions: described })).names;
    } catch (error) {
      this.#served.set(sandboxId, before);
      throw error;
    }
  }

  async remove(sandboxId, name) {
    await this.#daemon.call('extension.remove', { sandboxId, name });
    this.#served.get(sandboxId)?.delete(name);
  }

  // A fork has the commands of its origin.
  copy(from, to) {
    if (this.#served.has(from)) this.#served.set(to, new Map(this.#served.get(from)));
  }

  forget(sandboxId) {
    this.#served.delete(sandboxId);
  }

  // A request or notification of the daemon.
  take({ id, method, params }) {
    if (method === 'extension.cancel') this.#going.get(params.callId)?.cancel();
    else if (method === 'extension.invoke') this.#invoke(id, params);
    else this.#daemon.answer(id, { error: { code: -32601, message: `Method not found: ${method}` } });
  }

  // A fork may call before the one who made it has heard that it is there.
  async #find({ sandboxId, name }) {
    const look = () => this.#served.get(sandboxId)?.get(name);
    return look() ?? new Promise((resolve) => { setImmediate(() => resolve(look())); });
  }

  async #invoke(id, params) {
    const call = new HostCall(this.#daemon, id, params);
    this.#going.set(id, call);
    let answer;
    try {
      const extension = await this.#find(params);
      if (!extension) throw new Error('nobody serves it');
      answer = { result: { exitCode: await call.run(extension) } };
    } catch (error) {
      answer = { error: { code: 1, message: error?.message ?? String(error) } };
    }
    this.#going.delete(id);
    this.#daemon.answer(id, answer);
  }
}

function packageOf({ version, summary, files = {} }) {
  const filesBase64 = Object.fromEntries(Object.entries(files).map(([path, data]) => [path, Buffer.from(data).toString('base64')]));
  return { version, summary, filesBase64 };
}

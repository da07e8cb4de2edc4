// One `cordon serve --stdio` and the requests to it.

import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

export class SandboxError extends Error {
  name = 'SandboxError';
}

// The daemon refused a request. `errno` is a name as "ENOENT", or undefined.
export class RpcError extends SandboxError {
  name = 'RpcError';
  constructor(code, message, errno) {
    super(message);
    this.code = code;
    this.errno = errno;
  }
}

// A package was refused. `errno` is "E_PKG_DISABLED", "E_PKG_HOST_DENIED", … (index.d.ts).
export class PackageError extends RpcError {
  name = 'PackageError';
}

function errorOf({ code, message, data }) {
  const Kind = data?.errno?.startsWith('E_PKG_') ? PackageError : RpcError;
  return new Kind(code, message, data?.errno);
}

export function bytesOf(object, name) {
  const coded = object[`${name}Base64`];
  return coded === undefined ? Buffer.from(object[name] ?? '') : Buffer.from(coded, 'base64');
}

export function putBytes(params, name, data) {
  if (typeof data === 'string') params[name] = data;
  else params[`${name}Base64`] = Buffer.from(data).toString('base64');
  return params;
}

function findProgram(given) {
  const packed = fileURLToPath(new URL('./bin/cordon', import.meta.url));
  return given ?? process.env.CORDON ?? (existsSync(packed) ? packed : 'cordon');
}

export class Daemon {
  #process;
  #ended = null;
  #lastId = 0;
  #answers = new Map();
  #listeners = new Map();
  #early = new Map();
  #pieces = [];
  users = 1; // a sandbox and its forks

  constructor(program) {
    this.#process = spawn(findProgram(program), ['serve', '--stdio'], { stdio: ['pipe', 'pipe', 'inherit'] });
    this.#process.stdout.on('data', (chunk) => this.#take(chunk));
    this.#process.stdin.on('error', () => {});
    this.exited = new Promise((resolve) => {
      this.#process.on('error', (error) => this.#end(`cannot start the daemon: ${error.message}`, resolve));
      this.#process.on('close', () => this.#end('the daemon has ended', resolve));
    });
  }

  #end(reason, resolve) {
    this.#ended ??= reason;
    for (const { reject } of this.#answers.values()) reject(new SandboxError(this.#ended));
    this.#answers.clear();
    for (const listener of this.#listeners.values()) listener(null);
    this.#listeners.clear();
    resolve();
  }

  #take(chunk) {
    let start = 0;
    for (let end = chunk.indexOf(10); end >= 0; end = chunk.indexOf(10, start)) {
      this.#pieces.push(chunk.subarray(start, end));
      const line = Buffer.concat(this.#pieces).toString();
      this.#pieces = [];
      start = end + 1;
      this.#message(JSON.parse(line));
    }
    if (start < chunk.length) this.#pieces.push(chunk.subarray(start));
  }

  #message(message) {
    if (message.method === 'persistence.failed') {
      process.emitWarning(`the sandbox could not be saved: ${message.params.error}`);
      return;
    }
    if (message.method !== undefined) {
      const { processId, requestId } = message.params;
      const key = processId !== undefined ? `process ${processId}` : `request ${requestId}`;
      const listener = this.#listeners.get(key);
      if (listener) listener(message);
      // A process may speak before its number was told.
      else if (processId !== undefined) this.#early.set(key, [...(this.#early.get(key) ?? []), message]);
      return;
    }
    const answer = this.#answers.get(message.id);
    this.#answers.delete(message.id);
    this.#listeners.delete(`request ${message.id}`);
    if (!answer) return;
    if (message.error === undefined) answer.resolve(message.result);
    else answer.reject(errorOf(message.error));
  }

  call(method, params, listener) {
    if (this.#ended !== null) return Promise.reject(new SandboxError(this.#ended));
    const id = ++this.#lastId;
    if (listener) this.#listeners.set(`request ${id}`, listener);
    return new Promise((resolve, reject) => {
      this.#answers.set(id, { resolve, reject });
      this.#process.stdin.write(`${JSON.stringify({ jsonrpc: '2.0', id, method, params })}\n`);
    });
  }

  listen(key, listener) {
    this.#listeners.set(key, listener);
    for (const message of this.#early.get(key) ?? []) listener(message);
    this.#early.delete(key);
  }

  forget(key) {
    this.#listeners.delete(key);
  }

  close() {
    this.#ended ??= 'Sandbox has been destroyed';
    this.#process.stdin.end();
    return this.exited;
  }
}

// One `cordon serve`, its own or one at a socket, and the requests to it.

import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { connect } from 'node:net';
import { fileURLToPath } from 'node:url';

import { ExtensionHost } from './extensions.js';
import { FileHost } from './virtual.js';

export { bytesOf, putBytes } from './bytes.js';

// The most bytes of one message.
export const MAX_PIECE = 4 << 20;

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

// As JSON has half of a surrogate pair; not the same letters behind a backslash of the text.
const LONE_SURROGATE = /(?<!\\)(?:\\\\)*\\ud[89a-f]/;

// A daemon could not read a line with one, not even whose request it has to refuse.
function encode(id, method, params) {
  const line = JSON.stringify({ jsonrpc: '2.0', id, method, params });
  if (line.includes('\\ud') && LONE_SURROGATE.test(line)) throw new TypeError(`${method}: is no Unicode text: half of a surrogate pair`);
  return `${line}\n`;
}

export function errorOf({ code, message, data }) {
  const Kind = data?.errno?.startsWith('E_PKG_') ? PackageError : RpcError;
  return new Kind(code, message, data?.errno);
}

// What goes wrong in a callback is its own program's error, and nothing of ours.
function tell(callback, event) {
  try {
    callback(event);
  } catch (error) {
    queueMicrotask(() => { throw error; });
  }
}

export function findProgram(given) {
  const packed = fileURLToPath(new URL('./bin/cordon', import.meta.url));
  return given ?? process.env.CORDON ?? (existsSync(packed) ? packed : 'cordon');
}

export class Daemon {
  #input;
  #holders; // what keeps this program from ending
  #ended = null;
  #lastId = 0;
  #answers = new Map();
  #listeners = new Map();
  #early = new Map();
  #pieces = [];
  #auditors = new Map();
  users = 1; // a sandbox, its forks and others of the same daemon
  extensions = new ExtensionHost(this);
  fileHost = new FileHost();

  // `socket`: the path of a daemon that is there. Otherwise one is started, with `more` words.
  constructor({ program, socket }, ...more) {
    const other = socket === undefined
      ? spawn(findProgram(program), ['serve', '--stdio', ...more], { stdio: ['pipe', 'pipe', 'inherit'] })
      : connect(socket);
    this.#input = other.stdin ?? other;
    const output = other.stdout ?? other;
    this.#holders = new Set([other, this.#input, output]);
    output.on('data', (chunk) => this.#take(chunk));
    this.#input.on('error', () => {});
    const failed = socket === undefined ? 'cannot start the daemon' : 'cannot reach the daemon';
    this.exited = new Promise((resolve) => {
      other.on('error', (error) => this.#end(`${failed}: ${error.message}`, resolve));
      other.on('close', () => this.#end('the daemon has ended', resolve));
    });
    this.#keepAlive();
  }

  // This program need not end its sandboxes before it ends: they go with it. It waits for what it asked.
  #keepAlive() {
    const waits = this.#answers.size > 0 || [...this.#listeners.keys()].some((key) => !key.startsWith('request'));
    for (const one of this.#holders) {
      if (waits) one.ref?.();
      else one.unref?.();
    }
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
    if (message.method?.startsWith('extension.')) {
      this.extensions.take(message);
      return;
    }
    if (message.method === 'audit') {
      const { sessionId } = message.params;
      const callback = this.#auditors.get(sessionId);
      // It is told of before whoever made it knows its number.
      if (!callback) this.#early.set(sessionId, [...(this.#early.get(sessionId) ?? []), message.params]);
      else tell(callback, message.params);
      return;
    }
    if (message.method !== undefined) {
      const { processId, requestId, watchId } = message.params;
      const isProcess = processId !== undefined;
      const key = isProcess ? `process ${processId}` : watchId !== undefined ? `watch ${watchId}` : `request ${requestId}`;
      const listener = this.#listeners.get(key);
      if (listener) listener(message);
      // A process may speak before its number was told, and a directory change.
      else if (requestId === undefined || isProcess) this.#early.set(key, [...(this.#early.get(key) ?? []), message]);
      return;
    }
    const answer = this.#answers.get(message.id);
    this.#answers.delete(message.id);
    this.#listeners.delete(`request ${message.id}`);
    this.#keepAlive();
    if (!answer) return;
    if (message.error === undefined) answer.resolve(message.result);
    else answer.reject(errorOf(message.error));
  }

  // `signal` cancels it; it is answered all the same.
  call(method, params, listener, signal) {
    if (this.#ended !== null) return Promise.reject(new SandboxError(this.#ended));
    const id = ++this.#lastId;
    let line;
    try {
      line = encode(id, method, params);
    } catch (error) {
      return Promise.reject(error);
    }
    if (listener) this.#listeners.set(`request ${id}`, listener);
    const answer = new Promise((resolve, reject) => {
      this.#answers.set(id, { resolve, reject });
      this.#keepAlive();
      this.#input.write(line);
    });
    if (!signal) return answer;
    const cancel = () => { this.call('cancel', { sandboxId: params.sandboxId, requestId: id }).catch(() => {}); };
    if (signal.aborted) cancel();
    signal.addEventListener('abort', cancel);
    return answer.finally(() => signal.removeEventListener('abort', cancel));
  }

  audit(sessionId, callback) {
    this.#auditors.set(sessionId, callback);
    for (const event of this.#early.get(sessionId) ?? []) tell(callback, event);
    this.#early.delete(sessionId);
  }

  // To a request of the daemon.
  answer(id, body) {
    if (this.#ended === null) this.#input.write(`${JSON.stringify({ jsonrpc: '2.0', id, ...body })}\n`);
  }

  listen(key, listener) {
    this.#listeners.set(key, listener);
    this.#keepAlive();
    for (const message of this.#early.get(key) ?? []) listener(message);
    this.#early.delete(key);
  }

  forget(key) {
    this.#listeners.delete(key);
    this.#keepAlive();
  }

  // Of one of its users. The daemon ends with the last.
  leave() {
    this.users -= 1;
    return this.users === 0 ? this.close() : Promise.resolve();
  }

  close() {
    this.#ended ??= 'Sandbox has been destroyed';
    for (const one of this.#holders) one.ref?.();
    this.#input.end();
    return this.exited.then(() => this.fileHost.close());
  }
}

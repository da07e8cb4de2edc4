// Commands and processes of a sandbox. See index.d.ts for what everything means.

import { MAX_PIECE, SandboxError, bytesOf, putBytes } from './daemon.js';

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
    usage: result.usage,
    ...(result.errorClass !== undefined && { errorClass: result.errorClass }),
    ...(result.signal !== undefined && { signal: result.signal }),
  };
}

function limitsOf({ timeoutMs, stdoutLimitBytes, stderrLimitBytes }) {
  const limits = { timeoutMs, stdoutBytes: stdoutLimitBytes, stderrBytes: stderrLimitBytes };
  return Object.fromEntries(Object.entries(limits).filter(([, limit]) => limit !== undefined));
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
        this.usage = message.params.usage;
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

export class Commands {
  #call;
  #daemon;
  #processes = new Map();

  constructor(call, daemon) {
    this.#call = call;
    this.#daemon = daemon;
  }

  async run(command, options = {}) {
    const { stdin, background, cwd, envs, env = envs } = options;
    if (background) return this.spawn(['bash', '-c', command], { env, cwd, timeoutMs: options.timeoutMs });
    if (cwd || env) return this.exec(['bash', '-c', command], { ...options, env });
    const params = { command, ...limitsOf(options) };
    if (stdin !== undefined) putBytes(params, 'stdin', stdin);
    return this.#result('run', params, options);
  }

  async exec(argv, options = {}) {
    const { env, cwd, stdin } = options;
    const params = { argv, ...(env && { env }), ...(cwd && { cwd }), ...limitsOf(options) };
    if (stdin !== undefined) putBytes(params, 'stdin', stdin);
    return this.#result('exec', params, options);
  }

  async #result(method, params, { onStdout, onStderr, signal }) {
    if (!onStdout && !onStderr) return resultOf(await this.#call(method, params, undefined, signal));
    const kept = { stdout: [], stderr: [] };
    const result = await this.#call(method, { ...params, stream: true }, (message) => {
      if (message === null) return;
      const data = bytesOf(message.params, 'data');
      kept[message.params.stream].push(data);
      (message.params.stream === 'stdout' ? onStdout : onStderr)?.(data);
    }, signal);
    return resultOf(result, kept);
  }

  async spawn(argv, { env, cwd, timeoutMs = 0, terminal } = {}) {
    const params = { argv, timeoutMs, ...(env && { env }), ...(cwd && { cwd }), ...(terminal && { terminal }) };
    const process = new SandboxProcess(this.#daemon, (await this.#call('spawn', params)).processId);
    for (const one of this.#processes.values()) if (one.exitCode !== null) this.#processes.delete(one.id);
    this.#processes.set(process.id, process);
    return process;
  }

  list() {
    return [...this.#processes.values()].filter((one) => one.exitCode === null);
  }

  async kill(id) {
    const process = this.#processes.get(id);
    if (process === undefined || process.exitCode !== null) return false;
    await process.kill();
    return true;
  }

  async sendStdin(id, data) {
    const process = this.#processes.get(id);
    if (process === undefined) throw new SandboxError(`no process ${id}`);
    await process.write(data);
  }

  async cancel() {
    return (await this.#call('cancel', {})).cancelled;
  }
}

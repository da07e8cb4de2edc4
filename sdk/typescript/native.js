// Programs of the host behind a wall: `{backend, options}` and runners, for code that was written for packages that have these.
// Each command is one `cordon run` with a policy of its own; nothing of this program's environment reaches it.

import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { findProgram } from './daemon.js';

const DEFAULT_BYTES = 1 << 20;
const DEFAULT_TIME_MS = 60_000;
// What every wall shows of the host by itself, as far as a program needs it.
const SYSTEM = ['/usr', '/bin', '/sbin', '/lib', '/lib64', '/etc'];

const isText = (value) => typeof value === 'string' && value.length > 0;
const isTexts = (value) => Array.isArray(value) && value.every(isText);
const isNetwork = (value) => value === 'allow' || value === 'deny';
const isTime = (value) => Number.isFinite(value) && value > 0;

// Rows: what a backend's options are, what each must be, and what it is by itself.
const NETWORK = { network: [isNetwork, 'allow or deny', 'deny'] };
const BINDS = { roBinds: [isTexts, 'a list of paths', []] };
const BACKENDS = {
  none: {},
  native: { ...NETWORK, ...BINDS },
  bwrap: { bwrapPath: [isText, 'a path', 'bwrap'], ...NETWORK, ...BINDS },
  nsjail: { nsjailPath: [isText, 'a path', 'nsjail'], ...NETWORK, ...BINDS },
  'sandbox-exec': { sandboxExecPath: [isText, 'a path', 'sandbox-exec'], ...NETWORK },
  jobobject: { timeoutMs: [isTime, 'a time', DEFAULT_TIME_MS] },
  'systemd-run': { systemdRunPath: [isText, 'a path', 'systemd-run'], ...NETWORK, ...BINDS },
};
const NOT_RUN = {
  nsjail: 'its configuration is made as text (cordon plan --wall nsjail --show-command) and not run; use bwrap or native',
  'sandbox-exec': 'its profile is made as text (cordon plan --wall sandbox-exec --show-command) and not run',
  jobobject: 'only on Windows, by cordon-job.exe',
};

export function parseSandboxConfig({ backend = 'none', options = {}, ...others } = {}) {
  if (!Object.hasOwn(BACKENDS, backend)) throw new Error(`sandbox: unsupported backend: ${backend}`);
  const [unknown] = Object.keys(others);
  if (unknown !== undefined) throw new Error(`sandbox: unknown key: ${unknown}`);
  const known = BACKENDS[backend];
  const parsed = {};
  for (const [name, [, , fallback]] of Object.entries(known)) parsed[name] = fallback;
  for (const [name, value] of Object.entries(options)) {
    if (!Object.hasOwn(known, name)) throw new Error(`sandbox: ${backend} has no option ${name}`);
    if (value === undefined) continue;
    const [fits, wanted] = known[name];
    if (!fits(value)) throw new Error(`sandbox: ${backend}: ${name}: expected ${wanted}`);
    parsed[name] = value;
  }
  return { backend, options: parsed };
}

export function getSandboxBackend(name) {
  if (!Object.hasOwn(BACKENDS, name)) throw new Error(`sandbox: unsupported backend: ${name}`);
  return {
    name,
    createNativeRunner({ config, shadowDir, program }) {
      if (config.backend !== name) throw new Error(`sandbox: backend mismatch (expected ${name})`);
      if (name === 'none') return undefined;
      if (name === 'systemd-run') throw new Error('sandbox: systemd-run backend not implemented yet');
      if (NOT_RUN[name]) throw new Error(`sandbox: ${name}: ${NOT_RUN[name]}`);
      return new NativeRunner(parseSandboxConfig(config), shadowDir, program);
    },
  };
}

// Beneath the directory: "" and "." are it, and so is "workspace", as the command sees it.
function insideOf(shadowDir, cwd = '') {
  const parts = cwd.split('/').filter((part) => part !== '' && part !== '.');
  if (parts.includes('..')) throw new Error(`NativeRunner.exec: cwd leads outside: ${cwd}`);
  if (parts[0] === 'workspace') parts.shift();
  return join(shadowDir, ...parts);
}

class Kept {
  constructor(most) {
    this.most = most;
    this.pieces = [];
    this.bytes = 0;
  }

  add(piece) {
    const room = this.most - Math.min(this.bytes, this.most);
    this.bytes += piece.length;
    if (room > 0) this.pieces.push(piece.subarray(0, room));
  }

  get truncated() {
    return this.bytes > this.most;
  }
}

export class NativeRunner {
  #config;
  #shadowDir;
  #program;

  constructor(config, shadowDir, program) {
    if (!isText(shadowDir)) throw new Error('sandbox: shadowDir is missing');
    this.#config = config;
    this.#shadowDir = shadowDir;
    this.#program = findProgram(program);
  }

  async exec({ argv, cwd, env = {}, stdin, limits = {} }) {
    if (!argv?.[0]) throw new Error('NativeRunner.exec: argv[0] is required');
    const directory = insideOf(this.#shadowDir, cwd);
    const folder = await mkdtemp(join(tmpdir(), 'cordon-runner-'));
    try {
      await this.#writePolicies(folder, env, limits);
      return await this.#run(folder, directory, { argv, cwd, stdin, limits });
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  }

  // JSON is YAML. Variables are in a file of this user's alone, and in no command line.
  async #writePolicies(folder, env, limits) {
    const { network, roBinds = [], bwrapPath } = this.#config.options;
    const mounts = roBinds.filter((path) => !SYSTEM.includes(path));
    const time = { wall_time: `${limits.timeoutMs ?? DEFAULT_TIME_MS}ms`, output: '1TiB' };
    const project = {
      version: 1,
      workspace: { root: this.#shadowDir, mount: '/workspace', writable: true },
      environment: { set: env },
      mounts: mounts.map((path) => ({ source: path, target: path, read_only: true })),
      limits: time,
      profiles: { default: { network: network === 'allow' ? 'on' : 'off', writable: true } },
    };
    const user = {
      version: 1,
      grants: { workspace: 'all', any_network: network === 'allow', mounts: mounts.map((path) => ({ path })), environment: Object.keys(env) },
      limits: time,
      ...(bwrapPath?.startsWith('/') ? { wall_programs: { bwrap: bwrapPath } } : {}),
    };
    for (const [name, text] of Object.entries({ 'cordon.yaml': project, 'policy.yaml': user })) {
      await writeFile(join(folder, name), JSON.stringify(text), { mode: 0o600 });
    }
  }

  #run(folder, directory, { argv, cwd, stdin, limits }) {
    const report = join(folder, 'report.json');
    const words = ['run', '--quiet', '--wall', this.#config.backend, '--policy', join(folder, 'policy.yaml'), '--config', join(folder, 'cordon.yaml'),
      '--workspace', this.#shadowDir, '--report', report, '--', ...argv];
    const out = new Kept(limits.maxStdoutBytes ?? DEFAULT_BYTES);
    const errors = new Kept(limits.maxStderrBytes ?? DEFAULT_BYTES);
    const begin = performance.now();
    return new Promise((resolve, reject) => {
      const child = spawn(this.#program, words, { cwd: directory, stdio: [stdin === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'] });
      child.on('error', (error) => reject(new Error(`NativeRunner.exec: ${error.message}`)));
      child.stdout.on('data', (piece) => out.add(piece));
      child.stderr.on('data', (piece) => errors.add(piece));
      // A command need not read what it is given.
      child.stdin?.on('error', () => {});
      child.stdin?.end(stdin);
      child.on('close', async (code, signal) => {
        const stdout = Buffer.concat(out.pieces);
        const stderr = Buffer.concat(errors.pieces);
        let told;
        try {
          told = JSON.parse(await readFile(report, 'utf8'));
        } catch {
          reject(new Error(stderr.toString().trim() || `NativeRunner.exec: cordon ended with ${code ?? signal}`));
          return;
        }
        const audit = {
          kind: 'native.exec', cmd: argv[0], argv, cwd, durationMs: Math.round(performance.now() - begin), timedOut: told.end === 'wall time',
          truncatedStdout: out.truncated, truncatedStderr: errors.truncated,
        };
        if (told.signal) audit.signal = told.signal;
        resolve({ exitCode: code ?? 1, stdout, stderr, truncatedStdout: out.truncated, truncatedStderr: errors.truncated, audits: [audit] });
      });
    });
  }
}

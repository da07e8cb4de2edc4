// What a sandbox is created with: the callers' names for it and the daemon's.

import { SandboxError } from './daemon.js';

// Taken for the sake of programs that were written for another package, where they were needed.
const NOT_NEEDED = ['adapter', 'wasmDir', 'shellWasmPath', 'shellExecWasmPath'];
// Go to the daemon as they are.
const PLAIN = ['timeoutMs', 'fsLimitBytes', 'limits', 'persistence', 'nice', 'label', 'detached'];
const OWN = ['program', 'socket', 'env', 'cwd', 'pythonPath', 'security', 'onAuditEvent', 'storage', 'extensions', 'mounts'];

// {params: of the daemon's method create, onAuditEvent, storage, extensions, mounts, program, isSaved}. An option that is not known is
// refused: one that did nothing would be believed to do something.
export function readOptions(options = {}) {
  for (const name of Object.keys(options)) {
    if (![...NOT_NEEDED, ...PLAIN, ...OWN].includes(name)) throw new SandboxError(`Unknown option: ${name}`);
  }
  if (options.detached && options.socket === undefined) throw new SandboxError('detached: needs a daemon that stays, at a socket');
  const params = {};
  for (const name of PLAIN) if (options[name] !== undefined) params[name] = options[name];
  const { env, cwd, pythonPath, program, socket, storage, extensions = [], mounts = [] } = options;
  const { onAuditEvent = options.onAuditEvent, ...security } = options.security ?? {};
  if (env || pythonPath) params.env = { ...env, ...(pythonPath && { PYTHONPATH: [pythonPath].flat().join(':') }) };
  if (cwd !== undefined) params.directory = cwd;
  if (Object.keys(security).length > 0) params.security = security;
  if (onAuditEvent) params.audit = true;
  const isSaved = options.persistence?.mode === 'persistent';
  return { given: options, params, onAuditEvent, storage, extensions, mounts, program, socket, isSaved };
}

// For another sandbox of this kind: a namespace belongs to one.
export function otherOptions({ given }, changes = {}) {
  const { persistence: _, label: __, ...kept } = given;
  return readOptions({ ...kept, ...changes });
}

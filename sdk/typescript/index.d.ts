import type { Extension } from './extensions.js';
import type { Mount, MountSource, VirtualMountOptions } from './mounts.js';

export type { HostMount, MemoryMount, Mount, MountSource, VirtualMount, VirtualMountOptions } from './mounts.js';
export type { FileStat, FileSystem, FileType, VirtualProvider } from './virtual.js';
export type { Extension, ExtensionCall, ExtensionInput, ExtensionResult, PythonPackage } from './extensions.js';

export interface CreateOptions {
  /** The `cordon` to start; otherwise $CORDON, the one in this package, or the one on the PATH. */
  program?: string;
  /** Of a daemon that is there (`cordon serve --unix PATH`), instead of one that is started. */
  socket?: string;
  /** With `socket`: it outlives this program, and whoever knows its id may connect to it. Its forks, too. */
  detached?: boolean;
  /** Of each command. 0: none. */
  timeoutMs?: number;
  fsLimitBytes?: number;
  env?: Record<string, string>;
  /** Where the session begins, /home/user. */
  cwd?: string;
  /** Directories in which Python looks for modules. */
  pythonPath?: string | string[];
  limits?: Limits;
  security?: {
    /**
     * Programs that may be started, beside the shells; every other one, under whatever name, ends with exit code 126, and the
     * command's errorClass is CAPABILITY_DENIED. Packages are among them by the names they are installed under; 'pkg' lets
     * commands install.
     */
    toolAllowlist?: string[];
    limits?: Limits;
    /** Always so: what runs is ended from outside, whatever it does. */
    hardKill?: boolean;
    packagePolicy?: PackagePolicy;
    onAuditEvent?: (event: AuditEvent) => void;
  };
  /** What happens to the sandbox, in the order in which it happened, before the call that caused it resolves. */
  onAuditEvent?: (event: AuditEvent) => void;
  /** For offload and rehydrate. */
  storage?: Storage;
  /** Of everything that it does, 0 to 19. */
  nice?: number;
  /** A name for sandboxes.list. */
  label?: string;
  /** `session`: saved and loaded on request; `persistent`: loaded at once, saved while things happen and at the end. */
  persistence?: { mode?: 'ephemeral' | 'session' | 'persistent'; namespace?: string; autosaveMs?: number };
  /** Commands of the sandbox that this program serves. */
  extensions?: Extension[];
  /** What is mounted from the beginning, as a list or by paths. */
  mounts?: Mount[] | Record<string, MountSource>;
  /** Taken for the sake of callers of other packages; not needed. */
  adapter?: unknown;
  /** The same. */
  wasmDir?: string;
  shellWasmPath?: string;
  shellExecWasmPath?: string;
}

/** A limit that is not known is an error. */
export interface Limits {
  /** Of each command. 0: none. */
  timeoutMs?: number;
  /** Of each command; what is beyond is dropped. */
  stdoutBytes?: number;
  stderrBytes?: number;
  /** The longest command. */
  commandBytes?: number;
  memoryBytes?: number;
  processes?: number;
  fileCount?: number;
  /** Of all files that the sandbox writes. */
  fsBytes?: number;
  /** The longest request. */
  rpcBytes?: number;
}

export interface Storage {
  save(sandboxId: string, state: Uint8Array): void | Promise<void>;
  load(sandboxId: string): Uint8Array | Promise<Uint8Array>;
}

export type AuditType =
  | 'sandbox.create' | 'sandbox.destroy'
  | 'command.start' | 'command.complete' | 'command.timeout' | 'command.cancelled'
  | 'limit.exceeded' | 'capability.denied';

export interface AuditEvent {
  type: AuditType | (string & {});
  sessionId: string;
  /** Milliseconds since 1970. */
  timestamp: number;
  /** Of command.*: the first 1024 bytes. */
  command?: string;
  exitCode?: number;
  executionTimeMs?: number;
  usage?: CommandUsage;
  errorClass?: ErrorClass;
  /** Of limit.exceeded: its name in Limits. */
  limit?: string;
  /** Of capability.denied. */
  capability?: string;
  tool?: string;
  /** Of sandbox.create: which one it was forked from. */
  forkOf?: string;
  /** Of sandbox.destroy that nobody asked for. */
  reason?: string;
  /** Events before this one that were dropped, because nobody took them. */
  missed?: number;
  requestId?: number;
  processId?: number;
  [member: string]: unknown;
}

/** What may be installed; nothing, by default (docs/packages.md). */
export interface PackagePolicy {
  enabled?: boolean;
  /** "example.com", "*.example.com", "host:8443", addresses; without it every host with a public address. */
  allowedHosts?: string[];
  /** 64 MiB, if nothing is said. */
  maxPackageBytes?: number;
  /** 100, if nothing is said. */
  maxInstalledPackages?: number;
  requireIntegrity?: boolean;
  /** A package may have the name of a program that is there. */
  allowShadowing?: boolean;
  /** Addresses of this machine and of private networks may be connected to. */
  allowPrivateHosts?: boolean;
  /** URL of a pkg-index.json. */
  index?: string;
  /** minisign's public key: the index must be signed with it. */
  indexKey?: string;
}

export interface PackageInfo {
  name: string;
  size: number;
  url: string;
  sha256: string;
  installedMs: number;
}

export interface Packages {
  /** A WASI command module, from an https URL or by its name in the policy's index. */
  install(source: string, options?: { name?: string; sha256?: string; onProgress?: (line: string) => void; signal?: AbortSignal }): Promise<PackageInfo>;
  /** Again, from the index where there is one, otherwise from where it came. */
  update(name: string, options?: { onProgress?: (line: string) => void; signal?: AbortSignal }): Promise<PackageInfo & { updated: boolean }>;
  list(): Promise<PackageInfo[]>;
  info(name: string): Promise<PackageInfo>;
  search(query?: string): Promise<(Omit<PackageInfo, 'installedMs'> & { description: string })[]>;
  remove(name: string): Promise<void>;
}

export type ErrorClass = 'TIMEOUT' | 'CANCELLED' | 'CAPABILITY_DENIED' | 'LIMIT_EXCEEDED';

/** What a command used: it and all that it started, and nothing of commands beside it (docs/protocol.md). */
export interface CommandUsage {
  /** Milliseconds of processor time. */
  cpuMs: number;
  /** The most memory that its processes had at a time. */
  memoryPeakBytes: number;
  /** How many it started. */
  processes: number;
  /** Written to the streams, with what was dropped. */
  stdoutBytes: number;
  stderrBytes: number;
  /** Of files, by calls. */
  fileReadBytes: number;
  fileWrittenBytes: number;
}

/** What became of a command. A status that is not zero is a result and no exception. */
export interface RunResult {
  exitCode: number;
  stdout: string;
  stderr: string;
  stdoutBytes: Uint8Array;
  stderrBytes: Uint8Array;
  executionTimeMs: number;
  truncated: { stdout: boolean; stderr: boolean };
  usage: CommandUsage;
  errorClass?: ErrorClass;
  signal?: number;
}

export interface RunOptions {
  timeoutMs?: number;
  stdin?: string | Uint8Array;
  /** With a callback, output comes as it is written. */
  onStdout?: (data: Uint8Array) => void;
  onStderr?: (data: Uint8Array) => void;
  /** With one of these two: in a shell of its own, beside the session. */
  cwd?: string;
  env?: Record<string, string>;
  /** Another name of env. */
  envs?: Record<string, string>;
  /** Instead of the sandbox's limits stdoutBytes and stderrBytes. */
  stdoutLimitBytes?: number;
  stderrLimitBytes?: number;
  /** Cancels this command alone: its errorClass is CANCELLED. */
  signal?: AbortSignal;
}

export interface ExecOptions {
  onStdout?: (data: Uint8Array) => void;
  onStderr?: (data: Uint8Array) => void;
  env?: Record<string, string>;
  cwd?: string;
  timeoutMs?: number;
  stdin?: string | Uint8Array;
  stdoutLimitBytes?: number;
  stderrLimitBytes?: number;
  signal?: AbortSignal;
}

export interface SpawnOptions extends Omit<ExecOptions, 'stdin' | 'onStdout' | 'onStderr' | 'stdoutLimitBytes' | 'stderrLimitBytes' | 'signal'> {
  terminal?: { rows: number; columns: number };
}

/** Names in a sandbox are bytes; one that is no UTF-8 is said as such. */
export type FilePath = string | Uint8Array;

export interface FileInfo {
  name: string;
  /** Where `name` has replacements: what it really is. */
  nameBytes?: Uint8Array;
  type: 'file' | 'dir' | 'symlink' | 'other';
  size: number;
  mode: number;
  mtimeMs: number;
  target?: string;
}

export interface FileEvent {
  /** `overflow`: more is different than was told. */
  type: 'created' | 'changed' | 'removed' | 'overflow';
  path: string;
}

export interface HistoryEntry {
  index: number;
  command: string;
  timestamp: number;
}

export class SandboxError extends Error {}
export class RpcError extends SandboxError {
  readonly code: number;
  readonly errno?: string;
}

export type PackageErrorName =
  | 'E_PKG_DISABLED' | 'E_PKG_HOST_DENIED' | 'E_PKG_INVALID_NAME' | 'E_PKG_EXISTS' | 'E_PKG_TOO_LARGE' | 'E_PKG_LIMIT'
  | 'E_PKG_NOT_FOUND' | 'E_PKG_INTEGRITY' | 'E_PKG_FETCH' | 'E_PKG_INDEX' | 'E_PKG_INVALID_MODULE' | 'E_PKG_CANCELLED';
/** A package was refused; nothing is left behind by that. */
export class PackageError extends RpcError {
  readonly errno: PackageErrorName;
}

export class SandboxProcess implements AsyncIterable<{ stream: 'stdout' | 'stderr'; data: Uint8Array }> {
  readonly id: number;
  readonly exitCode: number | null;
  readonly errorClass?: ErrorClass;
  /** As soon as it has ended. */
  readonly usage?: CommandUsage;
  [Symbol.asyncIterator](): AsyncIterator<{ stream: 'stdout' | 'stderr'; data: Uint8Array }>;
  wait(): Promise<number>;
  /** Resolves when the process has room for it. */
  write(data: string | Uint8Array): Promise<void>;
  closeStdin(): Promise<void>;
  /** A number, or a name such as 'SIGINT'. */
  signal(signal: number | string): Promise<void>;
  resize(rows: number, columns: number): Promise<void>;
  kill(): Promise<void>;
}

export interface Commands {
  /** In the session's shell. */
  run(command: string, options: RunOptions & { background: true }): Promise<SandboxProcess>;
  run(command: string, options?: RunOptions & { background?: false }): Promise<RunResult>;
  /** A process beside the session. */
  exec(argv: string[], options?: ExecOptions): Promise<RunResult>;
  spawn(argv: string[], options?: SpawnOptions): Promise<SandboxProcess>;
  cancel(): Promise<number>;
  /** Processes of spawn whose end nobody has seen yet. */
  list(): SandboxProcess[];
  /** false: there is none of that number. */
  kill(id: number): Promise<boolean>;
  sendStdin(id: number, data: string | Uint8Array): Promise<void>;
}

export interface Files {
  read(path: FilePath, options: { offset?: number; length?: number; format: 'text' }): Promise<string>;
  /** In pieces, asked for one after the other, one ahead of whoever reads. Of a file that is replaced meanwhile, what comes later is the new one's. */
  read(path: FilePath, options: { offset?: number; length?: number; format: 'stream' } | { offset?: number; length?: number; stream: true }): Promise<ReadableStream<Uint8Array>>;
  readStream(path: FilePath, options?: { offset?: number; length?: number; pieceBytes?: number }): AsyncIterableIterator<Uint8Array>;
  read(path: FilePath, options?: { offset?: number; length?: number; format?: 'bytes' }): Promise<Uint8Array>;
  /** Of a stream no more is taken than was written; it has its place when it has ended, and leaves nothing if it fails. */
  write(path: FilePath, data: string | Uint8Array | Blob | AsyncIterable<string | Uint8Array> | Iterable<string | Uint8Array>, options?: { mode?: number; append?: boolean }): Promise<void>;
  list(path: FilePath): Promise<FileInfo[]>;
  stat(path: FilePath): Promise<FileInfo>;
  /** Another name of stat. */
  getInfo(path: FilePath): Promise<FileInfo>;
  exists(path: FilePath): Promise<boolean>;
  mkdir(path: FilePath, options?: { mode?: number }): Promise<void>;
  makeDir(path: FilePath): Promise<void>;
  rm(path: FilePath): Promise<void>;
  remove(path: FilePath): Promise<void>;
  rename(from: FilePath, to: FilePath): Promise<void>;
  copy(from: FilePath, to: FilePath): Promise<void>;
  symlink(target: FilePath, path: FilePath): Promise<void>;
  chmod(path: FilePath, mode: number): Promise<void>;
  /**
   * Of a directory in whose path are no links. Events come together, a moment after what they tell of; what was undone in
   * between does not come.
   */
  watch(path: FilePath, onEvent: (event: FileEvent) => void, options?: { recursive?: boolean }): Promise<{ stop(): Promise<void> }>;
  /** Another name of watch. */
  watchDir(path: FilePath, onEvent: (event: FileEvent) => void, options?: { recursive?: boolean }): Promise<{ stop(): Promise<void> }>;
  /** The directory's contents as a tar. */
  pack(path: FilePath): Promise<Uint8Array>;
  /** A tar, plain or compressed by gzip or zstd, into the directory. */
  unpack(path: FilePath, data: Uint8Array): Promise<ImportReport>;
}

/** What became of an archive. `skipped` names what was left out, with reasons, at most 100 of them. */
export interface ImportReport {
  entries: number;
  skipped: string[];
  skippedCount: number;
}

export class Sandbox {
  static create(options?: CreateOptions): Promise<Sandbox>;
  /** One that is detached. What is said of it when it is made is not said again. */
  static connect(sandboxId: string, options: { socket: string; storage?: Storage }): Promise<Sandbox>;
  readonly sessionId: string;
  /** The same. */
  readonly sandboxId: string;
  readonly label?: string;
  readonly commands: Commands;
  readonly files: Files;
  readonly sandboxes: Sandboxes;
  readonly packages: Packages;
  run(command: string, options?: RunOptions): Promise<RunResult>;
  /** Ends what runs; each is answered with errorClass CANCELLED. */
  cancel(): Promise<number>;
  readFile(path: string): Promise<Uint8Array>;
  writeFile(path: string, data: string | Uint8Array): Promise<void>;
  readDir(path: string): Promise<FileInfo[]>;
  mkdir(path: string): Promise<void>;
  stat(path: string): Promise<FileInfo>;
  rm(path: string): Promise<void>;
  setEnv(name: string, value: string): Promise<void>;
  getEnv(name: string): Promise<string | undefined>;
  getHistory(): Promise<HistoryEntry[]>;
  clearHistory(): Promise<void>;
  usage(): Promise<Record<string, number>>;
  /** Whether it is there and answers. */
  isRunning(): Promise<boolean>;
  /** Everything stands still, and what is asked waits, until resume. No time passes for what runs. */
  suspend(): Promise<void>;
  /** Another name of suspend. */
  pause(): Promise<void>;
  resume(): Promise<void>;
  /** Gives files and session to storage.save and ends all processes, until rehydrate. Not while a command runs. */
  offload(): Promise<void>;
  /** Takes them back from storage.load. One that fails may be tried again. */
  rehydrate(): Promise<void>;
  /** Into the namespace of `persistence`; false: nothing was new. */
  saveState(): Promise<boolean>;
  /** Files and session become what was saved last; false: nothing was. */
  loadState(): Promise<boolean>;
  clearPersistedState(): Promise<void>;
  /** A copy in the middle of what it does: both go on, independently. The end of one does not touch the other. */
  fork(): Promise<Sandbox>;
  /** So many of them, each with its own answer: what could not be made is an error, and the others are there. */
  fork(options: { count: number }): Promise<(Sandbox | RpcError)[]>;
  /** Files in memory, by paths below the directory, a directory of the host, or an object whose methods answer. */
  mount(path: string, files: MountSource, options?: VirtualMountOptions): Promise<void>;
  /** What was there before is seen again. */
  unmount(path: string): Promise<void>;
  /** More commands that this program serves; their names. Forks that are made from now on have them too. */
  registerExtensions(extensions: Extension[]): Promise<string[]>;
  removeExtension(name: string): Promise<void>;
  /** All that the sandbox has, whoever serves them. */
  listExtensions(): Promise<{ name: string; description: string; usage?: string; examples?: string[]; category?: string }[]>;
  /** Stores the files and the session's shell; waits until no command runs in the session. What restore wants. */
  snapshot(name?: string): Promise<string>;
  /** Everything that runs ends; files and shell are as they were. */
  restore(snapshotId: string): Promise<void>;
  snapshots(): Promise<{ snapshotId: string; timestamp: number }[]>;
  /** The same as snapshot. */
  createSnapshot(options?: { name?: string }): Promise<{ snapshotId: string }>;
  /** The same as snapshots. */
  listSnapshots(): Promise<{ snapshotId: string; timestamp: number }[]>;
  deleteSnapshot(snapshotId: string): Promise<void>;
  /** Files, variables, functions, aliases, directory and history, as an OCI image in a tar. */
  exportState(): Promise<Uint8Array>;
  /** `replace` (the default): what the sandbox has of its own goes first. A promise of exportState may be given. */
  importState(data: Uint8Array | Promise<Uint8Array>, options?: { mode?: 'replace' | 'merge' }): Promise<ImportReport>;
  destroy(): Promise<void>;
  /** Another name of destroy. */
  kill(): Promise<void>;
  /** Leaves a detached one to itself; so does `await using`. */
  disconnect(): Promise<void>;
}

/** Other sandboxes of the same daemon, made as this one was. */
export interface Sandboxes {
  create(label?: string, changes?: CreateOptions): Promise<Sandbox>;
  list(): Promise<{ sandboxId: string; label?: string; detached: boolean; running: number }[]>;
  remove(sandboxId: string): Promise<void>;
  /** What is saved in the daemon's folder for states; `sandboxId`: of yours that has it now. */
  listSaved(): Promise<{ namespace: string; sizeBytes: number; savedMs: number; inUse: boolean; sandboxId?: string }[]>;
  /** Nothing of it is left. Refused while a sandbox has it. */
  deleteSaved(namespace: string): Promise<void>;
  /** Of the daemon, and of its protocol. */
  version(): Promise<{ version: string; protocol: number }>;
  /** Of all of the daemon; but for `sandboxes` only where it has a limit for all together. */
  usage(): Promise<{ sandboxes: number; memoryBytes?: number; processes?: number; most?: { memoryBytes?: number; processes?: number } }>;
}

/**
 * `minSize` sandboxes wait, at most `maxSize` are there at a time, waiting ones included; one that was taken is replaced
 * after `replenishIntervalMs`.
 */
export class SandboxPool {
  constructor(sizes?: { minSize?: number; maxSize?: number; replenishIntervalMs?: number }, options?: CreateOptions);
  /** Resolves when all that are to wait are there. */
  init(): Promise<void>;
  /**
   * One that waits, or one that is made now; when there are `maxSize`, after one was released. One that is to differ from
   * the pool's options in what it begins with is made at once.
   */
  checkout(changes?: CreateOptions): Promise<Sandbox>;
  /** The sandbox ends: nobody gets what another one had. */
  release(sandbox: Sandbox): Promise<void>;
  /** All sandboxes end, and no more are given. */
  drain(): Promise<void>;
}

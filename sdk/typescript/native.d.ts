export type SandboxBackendName = 'none' | 'native' | 'bwrap' | 'nsjail' | 'sandbox-exec' | 'jobobject' | 'systemd-run';

export interface SandboxConfig {
  backend: SandboxBackendName;
  options: {
    /** `deny` (the default): nothing but the command's own loopback; `allow`: everything public, and no private or metadata address. */
    network?: 'allow' | 'deny';
    /** Paths of the host that the command sees, beside the system's own programs and what these need of /etc. */
    roBinds?: string[];
    bwrapPath?: string;
    nsjailPath?: string;
    sandboxExecPath?: string;
    systemdRunPath?: string;
    timeoutMs?: number;
  };
}

/** Every option with its default. Throws for an unknown backend or option, and for one of another type. */
export function parseSandboxConfig(input?: { backend?: string; options?: Record<string, unknown> }): SandboxConfig;

export interface NativeExecInput {
  argv: string[];
  /** Beneath the directory; "", "." and "workspace" are the directory itself. */
  cwd?: string;
  /** The command's only variables beside PATH, HOME and their like: none of this program's is passed on. */
  env?: Record<string, string>;
  stdin?: Uint8Array | string;
  limits?: {
    /** 1 MiB each; what is beyond is dropped while the command goes on. */
    maxStdoutBytes?: number;
    maxStderrBytes?: number;
    /** 60 s; then everything that the command started ends, and exitCode is 124. */
    timeoutMs?: number;
  };
}

export interface NativeExecAudit {
  kind: 'native.exec';
  cmd: string;
  argv: string[];
  cwd?: string;
  durationMs: number;
  timedOut: boolean;
  signal?: number;
  truncatedStdout: boolean;
  truncatedStderr: boolean;
}

export interface NativeExecResult {
  /** As a shell sees it: 128 + n for a signal. */
  exitCode: number;
  stdout: Uint8Array;
  stderr: Uint8Array;
  truncatedStdout: boolean;
  truncatedStderr: boolean;
  audits: NativeExecAudit[];
}

export interface NativeRunner {
  /** Rejects where nothing ran: the wall refuses, the program is not there, the directory is none. */
  exec(input: NativeExecInput): Promise<NativeExecResult>;
}

export interface SandboxBackend {
  name: SandboxBackendName;
  /**
   * The directory is the command's workspace, at /workspace, and may be written, but for what the host would obey later (git's hooks and
   * configuration, settings of editors and agents). Undefined for `none`. Throws where the wall cannot be put up here.
   */
  createNativeRunner(input: { config: SandboxConfig; shadowDir: string; /** The `cordon` to start. */ program?: string }): NativeRunner | undefined;
}

export function getSandboxBackend(name: string): SandboxBackend;

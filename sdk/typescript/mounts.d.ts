/** Files in memory, by paths below `path`. In the sandbox nobody can change them (EROFS) unless they are writable. */
export interface MemoryMount {
  path: string;
  files: Record<string, string | Uint8Array>;
  writable?: boolean;
}

/** A directory of the host as it is at every moment. No link in it leads out of the sandbox. */
export interface HostMount {
  path: string;
  /** Absolute. */
  hostPath: string;
  writable?: boolean;
}

export type Mount = MemoryMount | HostMount;

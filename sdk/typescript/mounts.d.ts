import type { FileSystem } from './virtual.js';

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

export interface VirtualMountOptions {
  /** Whether the sandbox may change something. Without it: if the object has a method to write. */
  writable?: boolean;
  /** How long an answer may take until the sandbox gets EIO: 10 000 at most, and if nothing is said. */
  timeoutMs?: number;
  /** For how long answers may be believed. Nothing is asked again meanwhile, and files are read ahead. 0 if nothing is said. */
  cacheMs?: number;
}

/** An object of this program whose methods answer the sandbox's file calls. */
export interface VirtualMount extends VirtualMountOptions {
  path: string;
  files: FileSystem;
}

export type Mount = MemoryMount | HostMount | VirtualMount;
export type MountSource = Record<string, string | Uint8Array> | { hostPath: string } | FileSystem;

type Awaitable<T> = T | Promise<T>;

export type FileType = 'file' | 'dir' | 'directory' | 'symlink';

export interface FileStat {
  type: FileType;
  /** Of a file; `sizeBytes` is another name. */
  size?: number;
  sizeBytes?: number | null;
  /** Permissions. 0644 and 0755 if nothing is said, 0444 and 0555 where nothing can be written. */
  mode?: number;
  mtimeMs?: number;
}

/**
 * A file system that this program has, for `mount`. Paths are relative to where it is mounted, without a slash in front; '' is the
 * directory itself. `stat`, `readdir` (or `list`) and `readFile` or `read` are needed. What it cannot do is ENOSYS in the sandbox; one that
 * cannot write is mounted read-only.
 *
 * An error with a `code` as of node:fs ("ENOENT"), or whose message begins with such a code, is what the sandbox's program gets; every other one is
 * EIO there and a warning of this process.
 */
export interface FileSystem {
  stat(path: string): Awaitable<FileStat | null | undefined>;
  /** Names, or names with types. */
  readdir?(path: string): Awaitable<Array<string | { name: string; type: FileType }>>;
  list?(path: string): Awaitable<Array<string | { name: string; type: FileType }>>;
  readFile?(path: string): Awaitable<string | Uint8Array>;
  /** For large files. Fewer bytes than asked for only at the end. */
  read?(path: string, offset: number, length: number): Awaitable<Uint8Array>;
  exists?(path: string): Awaitable<boolean>;
  readlink?(path: string): Awaitable<string>;
  /** Replaces or creates. */
  writeFile?(path: string, data: Uint8Array): Awaitable<unknown>;
  /** For large files. How many bytes were written, if not all. */
  write?(path: string, data: Uint8Array, offset: number): Awaitable<number | void>;
  truncate?(path: string, size: number): Awaitable<unknown>;
  createFile?(path: string): Awaitable<unknown>;
  mkdir?(path: string, mode: number): Awaitable<unknown>;
  unlink?(path: string): Awaitable<unknown>;
  rmdir?(path: string): Awaitable<unknown>;
  rename?(from: string, to: string): Awaitable<unknown>;
  symlink?(target: string, path: string): Awaitable<unknown>;
  chmod?(path: string, mode: number): Awaitable<unknown>;
  utimes?(path: string, atimeMs: number, mtimeMs: number): Awaitable<unknown>;
  /** Whether it can be written to, where its methods do not say that. */
  writable?: boolean;
}

/** Another name, for programs that were written for another package. */
export type VirtualProvider = FileSystem;

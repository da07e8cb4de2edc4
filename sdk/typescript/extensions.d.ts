/** Text or bytes, or many of them, one after the other. */
export type ExtensionOutput =
  | string
  | Uint8Array
  | Iterable<string | Uint8Array>
  | AsyncIterable<string | Uint8Array>;

/** Standard input as it comes. Nothing is read that is not asked for. */
export interface ExtensionInput extends AsyncIterable<Uint8Array> {
  bytes(): Promise<Uint8Array>;
  text(): Promise<string>;
}

/** How a command was called. */
export interface ExtensionCall<Input = string> {
  args: string[];
  /** The same, exactly, where an argument is no UTF-8. */
  argsBytes: Uint8Array[];
  env: Record<string, string>;
  cwd: string;
  stdin: Input;
  /** Aborted when the command has ended in the sandbox: nobody waits for the result. */
  signal: AbortSignal;
}

export interface ExtensionResult {
  stdout?: ExtensionOutput;
  stderr?: ExtensionOutput;
  /** 0 if nothing else is said. */
  exitCode?: number;
}

/** A package that Python in the sandbox imports under the extension's name, with `_` for `-`, `.` and `+`. */
export interface PythonPackage {
  version: string;
  summary?: string;
  /** By paths below the package, as `__init__.py`. */
  files: Record<string, string | Uint8Array>;
}

type Answer = ExtensionResult | string | Uint8Array | void;
/** A generator gives standard output, and what else a result has. */
type Answers = AsyncIterable<string | Uint8Array | ExtensionResult> | Iterable<string | Uint8Array | ExtensionResult>;
type Command<Input> = (call: ExtensionCall<Input>) => Answer | Answers | Promise<Answer | Answers>;

interface Described {
  /** 1 to 64 letters, digits, `_`, `-`, `.` and `+`; not that of a program of the sandbox. */
  name: string;
  description?: string;
  usage?: string;
  examples?: string[];
  category?: string;
  pythonPackage?: PythonPackage;
}

/**
 * A command of the sandbox that this program serves. What it throws is written to standard error, and the status is 1.
 * `stdin`: as text (the default) or bytes, read to its end before the command is called; as a stream, read when it is asked for; or not at all.
 */
export type Extension =
  | (Described & { stdin?: 'text' | 'none'; command: Command<string> })
  | (Described & { stdin: 'bytes'; command: Command<Uint8Array> })
  | (Described & { stdin: 'stream'; command: Command<ExtensionInput> });

"""What both clients share: messages, results, errors, and where the daemon's program is."""

import base64
import json
import os
import shutil
import sys
import threading
import uuid
import warnings

MAX_READ = 4 << 20
MAX_WRITE = 4 << 20
# Of a stream: enough that messages do not count, little enough that two are nothing to keep.
STREAM_PIECE = 1 << 20


class SandboxError(RuntimeError):
    """The sandbox or its daemon is gone, or never was there."""


class RpcError(SandboxError):
    """The daemon refused a request. `errno` is a name as "ENOENT", or None."""

    def __init__(self, code, message, errno=None):
        super().__init__(message)
        self.code = code
        self.message = message
        self.errno = errno


class PackageError(RpcError):
    """A package was refused. `errno` is one of "E_PKG_DISABLED", "E_PKG_HOST_DENIED", "E_PKG_INVALID_NAME", "E_PKG_EXISTS",
    "E_PKG_TOO_LARGE", "E_PKG_LIMIT", "E_PKG_NOT_FOUND", "E_PKG_INTEGRITY", "E_PKG_FETCH", "E_PKG_INDEX", "E_PKG_INVALID_MODULE"."""


class PackageInfo:
    """A package that is installed; of a search, one that could be, without `installed`."""

    def __init__(self, result):
        self.name = result["name"]
        self.size = result["size"]
        self.url = result["url"]
        self.sha256 = result["sha256"]
        self.description = result.get("description")
        self.updated = result.get("updated")
        installed = result.get("installedMs")
        self.installed = None if installed is None else installed / 1000

    def __repr__(self):
        return "PackageInfo(name=%r, size=%r, url=%r)" % (self.name, self.size, self.url)


class CommandUsage:
    """What a command used: it and all that it started, and nothing of commands beside it (docs/protocol.md).

    `cpu_ms` of processor time, `memory_peak_bytes` that its processes had at a time, `processes` that it started, bytes written to
    streams (`stdout_bytes`, `stderr_bytes`, with what was dropped), bytes of files by calls (`file_read_bytes`, `file_written_bytes`).
    """

    def __init__(self, usage):
        self.cpu_ms = usage.get("cpuMs", 0)
        self.memory_peak_bytes = usage.get("memoryPeakBytes", 0)
        self.processes = usage.get("processes", 0)
        self.stdout_bytes = usage.get("stdoutBytes", 0)
        self.stderr_bytes = usage.get("stderrBytes", 0)
        self.file_read_bytes = usage.get("fileReadBytes", 0)
        self.file_written_bytes = usage.get("fileWrittenBytes", 0)

    def __repr__(self):
        return "CommandUsage(cpu_ms=%r, memory_peak_bytes=%r)" % (self.cpu_ms, self.memory_peak_bytes)


class CommandResult:
    """What became of a command. A status that is not zero is a result and no exception."""

    def __init__(self, result):
        self.exit_code = result["exitCode"]
        self.stdout_bytes = get_bytes(result, "stdout")
        self.stderr_bytes = get_bytes(result, "stderr")
        self.execution_time_ms = result.get("executionTimeMs", 0)
        self.truncated = result.get("truncated", {"stdout": False, "stderr": False})
        self.usage = CommandUsage(result.get("usage", {}))
        self.error_class = result.get("errorClass")
        self.signal = result.get("signal")

    @property
    def stdout(self):
        return self.stdout_bytes.decode("utf-8", "replace")

    @property
    def stderr(self):
        return self.stderr_bytes.decode("utf-8", "replace")

    def __repr__(self):
        return "CommandResult(exit_code=%r, stdout=%r, stderr=%r)" % (
            self.exit_code, self.stdout, self.stderr)


class FileInfo:
    """An entry of a directory, or what stat says."""

    def __init__(self, entry, name=None):
        self.name = name if name is not None else get_bytes(entry, "name").decode("utf-8", "surrogateescape")
        self.type = entry["type"]
        self.size = entry["size"]
        self.mode = entry["mode"]
        self.mtime = entry["mtimeMs"] / 1000
        self.target = entry.get("target")

    def __repr__(self):
        return "FileInfo(name=%r, type=%r, size=%r)" % (self.name, self.type, self.size)


def get_bytes(obj, name):
    coded = obj.get(name + "Base64")
    if coded is not None:
        return base64.b64decode(coded)
    return (obj.get(name) or "").encode("utf-8", "surrogatepass")


def result_of(message):
    if message is None:
        raise SandboxError("the daemon has ended")
    if "error" in message:
        raise error_of(message)
    return message["result"]


_telling = threading.local()


def listener_key(params):
    """Whom a notification is for."""
    for kind in ("process", "watch"):
        if kind + "Id" in params:
            return kind, params[kind + "Id"]
    return "request", params.get("requestId")


def tell(callback, event):
    """A callback is told of an event. What goes wrong in it is shown, and harms nothing else."""
    _telling.now = True
    try:
        return callback(event)
    except Exception:  # whatever a caller's function raises
        sys.excepthook(*sys.exc_info())
    finally:
        _telling.now = False
    return None


def refuse_in_callback():
    """The answer could not be read while a callback waits for it."""
    if getattr(_telling, "now", False):
        raise SandboxError("a callback for events cannot ask the sandbox")


def put_bytes(params, name, data):
    if isinstance(data, str):
        params[name] = data
    else:
        params[name + "Base64"] = base64.b64encode(bytes(data)).decode("ascii")


_PATHS = ("path", "from", "to", "target", "cwd")


def _with_exact_paths(params):
    """Names need not be text: those that files.list gives have the bytes that are none as PEP 383 has them."""
    exact = {}
    for name, value in params.items():
        if name in _PATHS and isinstance(value, str):
            put_bytes(exact, name, value.encode("utf-8", "surrogateescape"))
        else:
            exact[name] = value
    return exact


def _line(request_id, method, params):
    message = {"jsonrpc": "2.0", "id": request_id, "method": method, "params": params}
    return json.dumps(message, ensure_ascii=False).encode("utf-8") + b"\n"


def encode(request_id, method, params):
    try:
        return _line(request_id, method, params)
    except UnicodeEncodeError:
        pass
    try:
        return _line(request_id, method, _with_exact_paths(params))
    except UnicodeEncodeError as error:
        # The daemon could not read the line, not even whose answer it has to refuse.
        raise ValueError(f"{method}: is no Unicode text: {error.object[error.start:error.end]!a}") from error


def error_of(message):
    error = message["error"]
    errno = (error.get("data") or {}).get("errno")
    kind = PackageError if (errno or "").startswith("E_PKG_") else RpcError
    return kind(error["code"], error["message"], errno)


def find_program(given=None):
    """The `cordon` to start: named, in $CORDON, packed with this module, or on the PATH."""
    packed = os.path.join(os.path.dirname(__file__), "bin", "cordon")
    for path in (given, os.environ.get("CORDON"), packed):
        if path and (path == given or os.path.exists(path)):
            return path
    found = shutil.which("cordon")
    if found is None:
        raise SandboxError("no program `cordon`: set CORDON to its path")
    return found


def install_params(source, name, sha256):
    params = {"source": source}
    if name is not None:
        params["name"] = name
    if sha256 is not None:
        params["sha256"] = sha256
    return params


def warn_of_failed_save(params):
    warnings.warn(f"the sandbox could not be saved: {params['error']}", RuntimeWarning, stacklevel=2)


def check_listed(sandbox_id, listed):
    if all(one["sandboxId"] != sandbox_id for one in listed["sandboxes"]):
        raise SandboxError(f"Unknown sandboxId: {sandbox_id}")


_OUTPUT_LIMITS = {"stdout_limit_bytes": "stdoutBytes", "stderr_limit_bytes": "stderrBytes"}


def run_params(command, timeout_ms, stdin, stream, limits=None):
    """`limits`: {"stdout_limit_bytes", "stderr_limit_bytes"}, of this command alone."""
    params = {"command": command}
    if timeout_ms is not None:
        params["timeoutMs"] = timeout_ms
    for name, limit in (limits or {}).items():
        if name not in _OUTPUT_LIMITS:
            raise TypeError(f"unexpected keyword argument {name!r}")
        if limit is not None:
            params[_OUTPUT_LIMITS[name]] = limit
    if stdin is not None:
        put_bytes(params, "stdin", stdin)
    if stream:
        params["stream"] = True
    return params


def exec_params(argv, env, cwd, timeout_ms, stdin, stream, limits=None):
    params = run_params("", timeout_ms, stdin, stream, limits)
    del params["command"]
    if isinstance(argv, (str, bytes)):
        raise TypeError(f"argv: must be a list of strings, not {argv!r}; a line for the shell is for commands.run")
    params["argv"] = list(argv)
    if env:
        params["env"] = dict(env)
    if cwd:
        params["cwd"] = cwd
    return params


def spawn_params(argv, env, cwd, timeout_ms, terminal):
    params = exec_params(argv, env, cwd, timeout_ms, None, False)
    if terminal:
        params["terminal"] = {"rows": terminal[0], "columns": terminal[1]}
    return params


def is_whole(data):
    """Text or bytes, and no stream of them."""
    return isinstance(data, (str, bytes, bytearray, memoryview))


def whole_pieces(data):
    """At least one."""
    raw = data.encode("utf-8") if isinstance(data, str) else bytes(data)
    return [raw[at:at + MAX_WRITE] for at in range(0, len(raw), MAX_WRITE)] or [b""]


class Gathered:
    """A stream's pieces, small ones together and large ones apart."""

    def __init__(self):
        self._kept = bytearray()

    def add(self, piece):
        self._kept += piece.encode("utf-8") if isinstance(piece, str) else bytes(memoryview(piece))
        while len(self._kept) >= STREAM_PIECE:
            yield bytes(self._kept[:STREAM_PIECE])
            del self._kept[:STREAM_PIECE]

    def rest(self):
        return bytes(self._kept)


def stream_pieces(source):
    """Of a file object or anything that gives text or bytes; at least one."""
    if hasattr(source, "read"):
        source = _read_all(source)
    gathered = Gathered()
    for piece in source:
        yield from gathered.add(piece)
    yield gathered.rest()


def _read_all(file):
    while True:
        piece = file.read(STREAM_PIECE)
        if not piece:
            return
        yield piece


async def async_stream_pieces(source):
    """The same of what is asynchronous."""
    gathered = Gathered()
    async for piece in source:
        for part in gathered.add(piece):
            yield part
    yield gathered.rest()


class WriteRequests:
    """A write in pieces, as requests: what is more than one piece is built beside its place, which then changes in one step."""

    def __init__(self, path, mode, append):
        self._path = path
        self._extra = {} if mode is None else {"mode": mode}
        self._append = append
        self._place = path

    def first(self, piece, is_all):
        if not is_all and not self._append:
            self._place = f"{self._path}.cordon-part-{uuid.uuid4()}"
        return self._write(piece, self._append)

    def next(self, piece):
        return self._write(piece, True)

    def _write(self, piece, append):
        params = dict(self._extra, path=self._place, append=append)
        put_bytes(params, "data", piece)
        return "files.write", params

    def end(self):
        """What is left to ask for, if anything is."""
        return [("files.rename", {"from": self._place, "to": self._path})] if self._place != self._path else []

    def give_up(self):
        return [("files.rm", {"path": self._place})] if self._place != self._path else []


def blob_pieces(data):
    """An archive as parameters of blob.write, in order."""
    raw = bytes(data)
    return [base64.b64encode(raw[at:at + MAX_WRITE]).decode("ascii") for at in range(0, len(raw), MAX_WRITE)] or [""]


def file_of(message):
    """What an answer brought as a descriptor."""
    result_of(message)
    if message["file"] is None:
        raise SandboxError("no archive came with the answer")
    return message["file"]


def whole_archive(data, report):
    if len(data) != report["size"]:
        raise SandboxError("an archive was cut")
    return data


class ImportReport:
    """What became of an archive: how many entries were taken over, and the names of what was left out, with reasons."""

    def __init__(self, result):
        self.entries = result.get("entries", 0)
        self.skipped = result.get("skipped", [])
        self.skipped_count = result.get("skippedCount", 0)

    def __repr__(self):
        return "ImportReport(entries=%r, skipped=%r)" % (self.entries, self.skipped)

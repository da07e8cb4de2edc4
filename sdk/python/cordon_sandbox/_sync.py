"""Sandboxes for programs that wait."""

import itertools
import json
import queue
import subprocess
import threading

from . import _protocol as protocol
from ._packages import Packages


class _Daemon:
    """One `cordon serve --stdio`. Any thread may ask; one reads the answers."""

    def __init__(self, program):
        self._process = subprocess.Popen(
            [protocol.find_program(program), "serve", "--stdio"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self._ids = itertools.count(1)
        self._lock = threading.Lock()
        self._answers = {}
        self._listeners = {}
        self._early = {}
        self._dead = False
        self._users = 1  # a sandbox and its forks
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        for line in self._process.stdout:
            message = json.loads(line)
            if "method" in message:
                self._notify(message)
                continue
            with self._lock:
                waiting = self._answers.pop(message.get("id"), None)
            if waiting is not None:
                waiting.put(message)
        with self._lock:
            self._dead = True
            waiting = list(self._answers.values()) + list(self._listeners.values())
            self._answers.clear()
        for one in waiting:
            one.put(None)

    def _notify(self, message):
        params = message["params"]
        if message["method"] == "persistence.failed":
            protocol.warn_of_failed_save(params)
            return
        key = ("process", params["processId"]) if "processId" in params else ("request", params.get("requestId"))
        with self._lock:
            listener = self._listeners.get(key)
            if listener is None:
                # A process may speak before its number was told.
                if key[0] == "process":
                    self._early.setdefault(key, []).append(message)
                return
        listener.put(message)

    def listen(self, key, listener):
        with self._lock:
            self._listeners[key] = listener
            for message in self._early.pop(key, ()):
                listener.put(message)

    def forget(self, key):
        with self._lock:
            self._listeners.pop(key, None)

    def start(self, method, params, listener=None):
        """Sends a request; its answer comes through the queue that is returned."""
        answer = listener if listener is not None else queue.Queue()
        with self._lock:
            if self._dead:
                raise protocol.SandboxError("the daemon has ended")
            request_id = next(self._ids)
            self._answers[request_id] = answer
            if listener is not None:
                self._listeners[("request", request_id)] = listener
            try:
                self._process.stdin.write(protocol.encode(request_id, method, params))
                self._process.stdin.flush()
            except OSError as error:
                raise protocol.SandboxError("the daemon has ended") from error
        return request_id, answer

    def call(self, method, params):
        _, answer = self.start(method, params)
        return result_of(answer.get())

    def join(self):
        with self._lock:
            self._users += 1

    def leave(self):
        """True: that was the last one."""
        with self._lock:
            self._users -= 1
            return self._users == 0

    def close(self):
        if self._process.poll() is None:
            self._process.stdin.close()
        self._process.wait()
        self._reader.join()
        self._process.stdout.close()


def result_of(message):
    if message is None:
        raise protocol.SandboxError("the daemon has ended")
    if "error" in message:
        raise protocol.error_of(message)
    return message["result"]


class Process:
    """A process of `commands.spawn`: iterate over it for ("stdout" | "stderr", bytes)."""

    def __init__(self, daemon, process_id):
        self._daemon = daemon
        self.id = process_id
        self._messages = queue.Queue()
        self.exit_code = None
        self.error_class = None
        daemon.listen(("process", process_id), self._messages)

    def __iter__(self):
        while self.exit_code is None:
            message = self._messages.get()
            if message is None:
                raise protocol.SandboxError("the daemon has ended")
            params = message["params"]
            if message["method"] == "exit":
                self.exit_code = params["exitCode"]
                self.error_class = params.get("errorClass")
                self._daemon.forget(("process", self.id))
            else:
                yield params["stream"], protocol.get_bytes(params, "data")

    def wait(self):
        for _ in self:
            pass
        return self.exit_code

    def _ask(self, method, **params):
        self._daemon.call(method, dict(params, processId=self.id))

    def write(self, data):
        """Returns when the process has room for it."""
        for at in range(0, len(data), protocol.MAX_WRITE):
            params = {"processId": self.id}
            protocol.put_bytes(params, "data", data[at:at + protocol.MAX_WRITE])
            self._daemon.call("process.write", params)

    def close_stdin(self):
        self._ask("process.closeStdin")

    def signal(self, number):
        self._ask("process.signal", signal=number)

    def resize(self, rows, columns):
        self._ask("process.resize", rows=rows, columns=columns)

    def kill(self):
        self._ask("process.kill")


class Commands:
    def __init__(self, sandbox):
        self._sandbox = sandbox

    def run(self, command, *, timeout_ms=None, stdin=None, stream=False, on_stdout=None, on_stderr=None):
        """In the session's shell. With a callback, output comes as it is written, as bytes."""
        streams = bool(stream or on_stdout or on_stderr)
        params = protocol.run_params(command, timeout_ms, stdin, streams)
        if not streams:
            return protocol.CommandResult(self._sandbox._call("run", params))
        return self._stream("run", params, {"stdout": on_stdout, "stderr": on_stderr})

    def _stream(self, method, params, callbacks):
        messages = queue.Queue()
        request_id, _ = self._sandbox._start(method, params, messages)
        kept = {"stdout": bytearray(), "stderr": bytearray()}
        try:
            while True:
                message = messages.get()
                if message is None or "method" not in message:
                    break
                data = protocol.get_bytes(message["params"], "data")
                stream = message["params"]["stream"]
                kept[stream] += data
                if callbacks[stream] is not None:
                    callbacks[stream](data)
        finally:
            self._sandbox._daemon.forget(("request", request_id))
        result = protocol.CommandResult(result_of(message))
        result.stdout_bytes = bytes(kept["stdout"])
        result.stderr_bytes = bytes(kept["stderr"]) + result.stderr_bytes
        return result

    def exec(self, argv, *, env=None, cwd=None, timeout_ms=None, stdin=None):
        """A process beside the session."""
        params = protocol.run_params("", timeout_ms, stdin, False)
        del params["command"]
        params["argv"] = list(argv)
        if env:
            params["env"] = dict(env)
        if cwd:
            params["cwd"] = cwd
        return protocol.CommandResult(self._sandbox._call("exec", params))

    def spawn(self, argv, *, env=None, cwd=None, timeout_ms=0, terminal=None):
        """`terminal`: (rows, columns)."""
        params = {"argv": list(argv), "timeoutMs": timeout_ms}
        if env:
            params["env"] = dict(env)
        if cwd:
            params["cwd"] = cwd
        if terminal:
            params["terminal"] = {"rows": terminal[0], "columns": terminal[1]}
        return Process(self._sandbox._daemon, self._sandbox._call("spawn", params)["processId"])

    def cancel(self):
        return self._sandbox._call("cancel", {})["cancelled"]


class Files:
    def __init__(self, sandbox):
        self._sandbox = sandbox

    def read(self, path, *, offset=0, length=None):
        data = bytearray()
        while length is None or len(data) < length:
            most = protocol.MAX_READ if length is None else min(protocol.MAX_READ, length - len(data))
            piece = protocol.get_bytes(self._sandbox._call(
                "files.read", {"path": path, "offset": offset + len(data), "length": most}), "data")
            data += piece
            if len(piece) < most:
                break
        return bytes(data)

    def write(self, path, data, *, mode=None, append=False):
        for method, params in protocol.write_requests(path, data, mode, append):
            self._sandbox._call(method, params)

    def list(self, path):
        return [protocol.FileInfo(entry) for entry in self._sandbox._call("files.list", {"path": path})["entries"]]

    def stat(self, path):
        return protocol.FileInfo(self._sandbox._call("files.stat", {"path": path}), path.rstrip("/").rpartition("/")[2])

    def exists(self, path):
        try:
            self.stat(path)
        except protocol.RpcError as error:
            if error.errno in ("ENOENT", "ENOTDIR"):
                return False
            raise
        return True

    def mkdir(self, path, *, mode=0o755):
        self._sandbox._call("files.mkdir", {"path": path, "mode": mode})

    make_dir = mkdir

    def rm(self, path):
        self._sandbox._call("files.rm", {"path": path})

    remove = rm

    def rename(self, old, new):
        self._sandbox._call("files.rename", {"from": old, "to": new})

    def copy(self, old, new):
        self._sandbox._call("files.copy", {"from": old, "to": new})

    def symlink(self, target, path):
        self._sandbox._call("files.symlink", {"target": target, "path": path})

    def chmod(self, path, mode):
        self._sandbox._call("files.chmod", {"path": path, "mode": mode})

    def pack(self, path):
        """The directory's contents as a tar."""
        return self._sandbox._take_blob(self._sandbox._call("files.pack", {"path": path}))

    def unpack(self, path, data):
        """A tar, plain or compressed by gzip or zstd, into the directory."""
        blob = self._sandbox._give_blob(data)
        return protocol.ImportReport(self._sandbox._call("files.unpack", {"path": path, "blobId": blob}))


class Sandbox:
    """A sandbox with a shell that lives. Use it as a context manager, or destroy it.

    `persistence`: {"mode": "session"} is saved and loaded on request, {"mode": "persistent"} loaded at once and saved while things
    happen ("autosave_ms") and at the end; each in a "namespace" that one sandbox has at a time.

    `package_policy`: {"enabled": True, "allowed_hosts": [...], ...}, what may be installed (docs/packages.md). Nothing, by default.
    """

    def __init__(self, *, timeout_ms=30000, fs_limit_bytes=256 << 20, env=None, limits=None, persistence=None, package_policy=None, program=None):
        self._daemon = _Daemon(program)
        self._id = None
        self._is_saved = bool(persistence) and persistence.get("mode") == "persistent"
        try:
            self._id = self._daemon.call(
                "create", protocol.create_params(timeout_ms, fs_limit_bytes, env, limits, persistence, package_policy))["sandboxId"]
        finally:
            if self._id is None:
                self._daemon.close()
        self.commands = Commands(self)
        self.files = Files(self)
        self.packages = Packages(self)

    @property
    def session_id(self):
        return self._id

    def _start(self, method, params, listener=None):
        if self._daemon is None:
            raise protocol.SandboxError("Sandbox has been destroyed")
        return self._daemon.start(method, dict(params, sandboxId=self._id), listener)

    def _call(self, method, params):
        return result_of(self._start(method, params)[1].get())

    def set_env(self, name, value):
        self._call("env.set", {"name": name, "value": value})

    def get_env(self, name):
        result = self._call("env.get", {"name": name})
        return None if result["value"] is None else protocol.get_bytes(result, "value").decode("utf-8", "surrogateescape")

    def history(self):
        return self._call("shell.history.list", {})["entries"]

    def clear_history(self):
        self._call("shell.history.clear", {})

    def usage(self):
        return self._call("usage", {})

    def _take_blob(self, report):
        data = bytearray()
        while len(data) < report["size"]:
            piece = protocol.get_bytes(self._call(
                "blob.read", {"blobId": report["blobId"], "offset": len(data)}), "data")
            if not piece:
                raise protocol.SandboxError("an archive was cut")
            data += piece
        self._call("blob.free", {"blobId": report["blobId"]})
        return bytes(data)

    def _give_blob(self, data):
        blob = 0
        for piece in protocol.blob_pieces(data):
            blob = self._call("blob.write", {"blobId": blob, "dataBase64": piece})["blobId"]
        return blob

    def export_state(self):
        """Files, variables, functions, aliases, directory and history, as an OCI image in a tar."""
        return self._take_blob(self._call("persistence.export", {}))

    def import_state(self, data, *, mode="replace"):
        """`mode`: "replace" or "merge". The report names what was left out."""
        blob = self._give_blob(data)
        return protocol.ImportReport(self._call("persistence.import", {"blobId": blob, "mode": mode}))

    def save_state(self):
        """Into the namespace of `persistence`; False: nothing was new."""
        return self._call("persistence.save", {})["changed"]

    def load_state(self):
        """Files and session become what was saved last. False: nothing was."""
        return self._call("persistence.load", {})["loaded"]

    def clear_persisted_state(self):
        self._call("persistence.clear", {})

    def fork(self):
        """A copy in the middle of what it does: both go on, independently. The end of one does not touch the other."""
        daemon = self._daemon
        forked = Sandbox.__new__(Sandbox)
        forked._id = self._call("sandbox.fork", {})["sandboxId"]
        forked._is_saved = False
        daemon.join()
        forked._daemon = daemon
        forked.commands = Commands(forked)
        forked.files = Files(forked)
        forked.packages = Packages(forked)
        return forked

    def snapshot(self, name=None):
        """Stores the files and the session's shell; what restore wants. Waits until no command runs in the session."""
        return self._call("snapshot.create", {} if name is None else {"name": name})["snapshotId"]

    def restore(self, snapshot_id):
        """Everything that runs ends; files and shell are as they were."""
        self._call("snapshot.restore", {"snapshotId": snapshot_id})

    def snapshots(self):
        return self._call("snapshot.list", {})["snapshots"]

    def delete_snapshot(self, snapshot_id):
        self._call("snapshot.delete", {"snapshotId": snapshot_id})

    def destroy(self):
        daemon, self._daemon = self._daemon, None
        if daemon is None:
            return
        is_last = daemon.leave()
        try:
            if self._is_saved or not is_last:
                daemon.call("sandbox.destroy", {"sandboxId": self._id})
        except protocol.SandboxError:
            # It had ended already; but what was not saved has to be known.
            if self._is_saved:
                raise
        finally:
            if is_last:
                daemon.close()

    kill = destroy

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.destroy()

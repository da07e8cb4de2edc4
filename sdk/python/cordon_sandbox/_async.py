"""The same for asyncio: every method that asks the sandbox is a coroutine."""

import asyncio
import itertools
import json

from . import _protocol as protocol
from ._packages import AsyncPackages

# A line is one message; a result has as much as the limits of output allow.
_MAX_LINE = 256 << 20


class AsyncCommands:
    def __init__(self, sandbox):
        self._sandbox = sandbox

    async def run(self, command, *, timeout_ms=None, stdin=None, on_stdout=None, on_stderr=None):
        streams = bool(on_stdout or on_stderr)
        params = protocol.run_params(command, timeout_ms, stdin, streams)
        if not streams:
            return protocol.CommandResult(await self._sandbox._call("run", params))
        kept = {"stdout": bytearray(), "stderr": bytearray()}
        callbacks = {"stdout": on_stdout, "stderr": on_stderr}

        def take(message):
            stream = message["stream"]
            data = protocol.get_bytes(message, "data")
            kept[stream] += data
            if callbacks[stream] is not None:
                callbacks[stream](data)

        result = protocol.CommandResult(await self._sandbox._call("run", params, take))
        result.stdout_bytes = bytes(kept["stdout"])
        result.stderr_bytes = bytes(kept["stderr"]) + result.stderr_bytes
        return result

    async def exec(self, argv, *, env=None, cwd=None, timeout_ms=None, stdin=None):
        params = protocol.run_params("", timeout_ms, stdin, False)
        del params["command"]
        params.update(argv=list(argv), **({"env": dict(env)} if env else {}), **({"cwd": cwd} if cwd else {}))
        return protocol.CommandResult(await self._sandbox._call("exec", params))

    async def cancel(self):
        return (await self._sandbox._call("cancel", {}))["cancelled"]


class AsyncFiles:
    def __init__(self, sandbox):
        self._sandbox = sandbox

    async def read(self, path, *, offset=0, length=None):
        data = bytearray()
        while length is None or len(data) < length:
            most = protocol.MAX_READ if length is None else min(protocol.MAX_READ, length - len(data))
            piece = protocol.get_bytes(await self._sandbox._call(
                "files.read", {"path": path, "offset": offset + len(data), "length": most}), "data")
            data += piece
            if len(piece) < most:
                break
        return bytes(data)

    async def write(self, path, data, *, mode=None, append=False):
        for method, params in protocol.write_requests(path, data, mode, append):
            await self._sandbox._call(method, params)

    async def list(self, path):
        result = await self._sandbox._call("files.list", {"path": path})
        return [protocol.FileInfo(entry) for entry in result["entries"]]

    async def stat(self, path):
        return protocol.FileInfo(await self._sandbox._call("files.stat", {"path": path}),
                                 path.rstrip("/").rpartition("/")[2])

    async def mkdir(self, path, *, mode=0o755):
        await self._sandbox._call("files.mkdir", {"path": path, "mode": mode})

    async def rm(self, path):
        await self._sandbox._call("files.rm", {"path": path})

    async def rename(self, old, new):
        await self._sandbox._call("files.rename", {"from": old, "to": new})

    async def copy(self, old, new):
        await self._sandbox._call("files.copy", {"from": old, "to": new})

    async def pack(self, path):
        return await self._sandbox._take_blob(await self._sandbox._call("files.pack", {"path": path}))

    async def unpack(self, path, data):
        blob = await self._sandbox._give_blob(data)
        return protocol.ImportReport(await self._sandbox._call("files.unpack", {"path": path, "blobId": blob}))


class _Daemon:
    """One `cordon serve --stdio`."""

    def __init__(self):
        self._ids = itertools.count(1)
        self._waiting = {}
        self._process = None
        self._reader = None
        self.users = 1  # a sandbox and its forks

    async def open(self, program):
        self._process = await asyncio.create_subprocess_exec(
            protocol.find_program(program), "serve", "--stdio",
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, limit=_MAX_LINE)
        self._reader = asyncio.ensure_future(self._read())

    async def _read(self):
        while True:
            line = await self._process.stdout.readline()
            if not line:
                break
            message = json.loads(line)
            if message.get("method") == "persistence.failed":
                protocol.warn_of_failed_save(message["params"])
                continue
            if "method" in message:
                answer, take = self._waiting.get(message["params"].get("requestId"), (None, None))
                if take is not None:
                    take(message["params"])
                continue
            answer, _ = self._waiting.pop(message.get("id"), (None, None))
            if answer is None or answer.done():
                continue
            if "error" in message:
                answer.set_exception(protocol.error_of(message))
            else:
                answer.set_result(message["result"])
        for answer, _ in self._waiting.values():
            if not answer.done():
                answer.set_exception(protocol.SandboxError("the daemon has ended"))
        self._waiting.clear()

    async def call(self, method, params, take=None):
        if self._reader.done():
            raise protocol.SandboxError("the daemon has ended")
        request_id = next(self._ids)
        answer = asyncio.get_running_loop().create_future()
        self._waiting[request_id] = (answer, take)
        self._process.stdin.write(protocol.encode(request_id, method, params))
        await self._process.stdin.drain()
        try:
            return await answer
        except asyncio.CancelledError:
            # Whoever gives up waiting does not want the command either.
            if method in ("run", "exec") and not self._reader.done():
                self._process.stdin.write(
                    protocol.encode(next(self._ids), "cancel", dict(requestId=request_id, sandboxId=params["sandboxId"])))
            raise

    async def close(self):
        self._process.stdin.close()
        await self._process.wait()
        await self._reader


class AsyncSandbox:
    """`async with AsyncSandbox() as sb:` or `await AsyncSandbox.create()`."""

    def __init__(self, *, timeout_ms=30000, fs_limit_bytes=256 << 20, env=None, limits=None, persistence=None, package_policy=None, program=None):
        self._program = program
        self._params = protocol.create_params(timeout_ms, fs_limit_bytes, env, limits, persistence, package_policy)
        self._is_saved = bool(persistence) and persistence.get("mode") == "persistent"
        self._daemon = None
        self._id = None
        self.commands = AsyncCommands(self)
        self.files = AsyncFiles(self)
        self.packages = AsyncPackages(self)

    @classmethod
    async def create(cls, **options):
        sandbox = cls(**options)
        await sandbox._open()
        return sandbox

    async def _open(self):
        daemon = _Daemon()
        await daemon.open(self._program)
        try:
            self._id = (await daemon.call("create", self._params))["sandboxId"]
        except BaseException:
            await daemon.close()
            raise
        self._daemon = daemon

    async def _call(self, method, params, take=None):
        if self._daemon is None:
            raise protocol.SandboxError("Sandbox has been destroyed")
        return await self._daemon.call(method, dict(params, sandboxId=self._id), take)

    async def save_state(self):
        return (await self._call("persistence.save", {}))["changed"]

    async def load_state(self):
        return (await self._call("persistence.load", {}))["loaded"]

    async def clear_persisted_state(self):
        await self._call("persistence.clear", {})

    async def fork(self):
        """A copy in the middle of what it does: both go on, independently. The end of one does not touch the other."""
        daemon = self._daemon
        forked = AsyncSandbox(program=self._program)
        forked._id = (await self._call("sandbox.fork", {}))["sandboxId"]
        daemon.users += 1
        forked._daemon = daemon
        return forked

    async def snapshot(self, name=None):
        return (await self._call("snapshot.create", {} if name is None else {"name": name}))["snapshotId"]

    async def restore(self, snapshot_id):
        await self._call("snapshot.restore", {"snapshotId": snapshot_id})

    async def snapshots(self):
        return (await self._call("snapshot.list", {}))["snapshots"]

    async def delete_snapshot(self, snapshot_id):
        await self._call("snapshot.delete", {"snapshotId": snapshot_id})

    async def _take_blob(self, report):
        data = bytearray()
        while len(data) < report["size"]:
            piece = protocol.get_bytes(await self._call(
                "blob.read", {"blobId": report["blobId"], "offset": len(data)}), "data")
            if not piece:
                raise protocol.SandboxError("an archive was cut")
            data += piece
        await self._call("blob.free", {"blobId": report["blobId"]})
        return bytes(data)

    async def _give_blob(self, data):
        blob = 0
        for piece in protocol.blob_pieces(data):
            blob = (await self._call("blob.write", {"blobId": blob, "dataBase64": piece}))["blobId"]
        return blob

    async def export_state(self):
        return await self._take_blob(await self._call("persistence.export", {}))

    async def import_state(self, data, *, mode="replace"):
        blob = await self._give_blob(data)
        return protocol.ImportReport(await self._call("persistence.import", {"blobId": blob, "mode": mode}))

    async def destroy(self):
        daemon, self._daemon = self._daemon, None
        if daemon is None:
            return
        daemon.users -= 1
        try:
            if self._is_saved or daemon.users > 0:
                await daemon.call("sandbox.destroy", {"sandboxId": self._id})
        except protocol.SandboxError:
            # It had ended already; but what was not saved has to be known.
            if self._is_saved:
                raise
        finally:
            if daemon.users == 0:
                await daemon.close()

    kill = destroy

    async def __aenter__(self):
        await self._open()
        return self

    async def __aexit__(self, *_):
        await self.destroy()

"""Commands, processes and files, for asyncio."""

import asyncio
import contextlib

from . import _protocol as protocol
from ._watch import AsyncWatch


class AsyncProcess:
    """A process of `commands.spawn`: `async for stream, data in process`."""

    def __init__(self, daemon, process_id):
        self._daemon = daemon
        self.id = process_id
        self._messages = asyncio.Queue()
        self.exit_code = None
        self.error_class = None
        self.usage = None  # as soon as it has ended
        daemon.listen(("process", process_id), self._messages.put_nowait)

    async def __aiter__(self):
        while self.exit_code is None:
            message = await self._messages.get()
            if message is None:
                raise protocol.SandboxError("the daemon has ended")
            params = message["params"]
            if message["method"] == "exit":
                self.exit_code = params["exitCode"]
                self.error_class = params.get("errorClass")
                self.usage = protocol.CommandUsage(params.get("usage", {}))
                self._daemon.forget(("process", self.id))
            else:
                yield params["stream"], protocol.get_bytes(params, "data")

    async def wait(self):
        async for _ in self:
            pass
        return self.exit_code

    async def _ask(self, method, **params):
        await self._daemon.call(method, dict(params, processId=self.id))

    async def write(self, data):
        """Returns when the process has room for it."""
        for at in range(0, len(data), protocol.MAX_WRITE):
            params = {}
            protocol.put_bytes(params, "data", data[at:at + protocol.MAX_WRITE])
            await self._ask("process.write", **params)

    async def close_stdin(self):
        await self._ask("process.closeStdin")

    async def signal(self, number):
        """A number, or a name such as "SIGINT"."""
        await self._ask("process.signal", signal=number)

    async def resize(self, rows, columns):
        await self._ask("process.resize", rows=rows, columns=columns)

    async def kill(self):
        await self._ask("process.kill")


class AsyncCommands:
    """What Commands is, as coroutines."""

    def __init__(self, sandbox):
        self._sandbox = sandbox
        self._processes = {}

    async def run(self, command, *, timeout_ms=None, stdin=None, stream=False, on_stdout=None, on_stderr=None,
                  background=False, cwd=None, env=None, envs=None, **limits):
        env = env or envs
        if background:
            return await self.spawn(["bash", "-c", command], env=env, cwd=cwd, timeout_ms=timeout_ms or 0, **limits)
        if cwd or env:
            return await self.exec(["bash", "-c", command], env=env, cwd=cwd, timeout_ms=timeout_ms, stdin=stdin,
                                   on_stdout=on_stdout, on_stderr=on_stderr, **limits)
        streams = bool(stream or on_stdout or on_stderr)
        params = protocol.run_params(command, timeout_ms, stdin, streams, limits)
        return await self._result("run", params, streams, {"stdout": on_stdout, "stderr": on_stderr})

    async def exec(self, argv, *, env=None, cwd=None, timeout_ms=None, stdin=None, on_stdout=None, on_stderr=None, **limits):
        streams = bool(on_stdout or on_stderr)
        params = protocol.exec_params(argv, env, cwd, timeout_ms, stdin, streams, limits)
        return await self._result("exec", params, streams, {"stdout": on_stdout, "stderr": on_stderr})

    async def _result(self, method, params, streams, callbacks):
        if not streams:
            return protocol.CommandResult(await self._sandbox._call(method, params))
        kept = {"stdout": bytearray(), "stderr": bytearray()}

        def take(message):
            stream = message["stream"]
            data = protocol.get_bytes(message, "data")
            kept[stream] += data
            if callbacks[stream] is not None:
                callbacks[stream](data)

        result = protocol.CommandResult(await self._sandbox._call(method, params, take))
        result.stdout_bytes = bytes(kept["stdout"])
        result.stderr_bytes = bytes(kept["stderr"]) + result.stderr_bytes
        return result

    async def spawn(self, argv, *, env=None, cwd=None, timeout_ms=0, terminal=None):
        params = protocol.spawn_params(argv, env, cwd, timeout_ms, terminal)
        process = AsyncProcess(self._sandbox._daemon, (await self._sandbox._call("spawn", params))["processId"])
        self._processes = {one.id: one for one in [*self._processes.values(), process] if one.exit_code is None}
        return process

    async def cancel(self):
        return (await self._sandbox._call("cancel", {}))["cancelled"]

    def list(self):
        return [one for one in self._processes.values() if one.exit_code is None]

    async def kill(self, process_id):
        process = self._processes.get(process_id)
        if process is None or process.exit_code is not None:
            return False
        await process.kill()
        return True

    async def send_stdin(self, process_id, data):
        process = self._processes.get(process_id)
        if process is None:
            raise protocol.SandboxError(f"no process {process_id}")
        await process.write(data)


async def _as_async(pieces):
    for piece in pieces:
        yield piece


async def _next_of(pieces):
    """The next one, or None at the end."""
    try:
        return await pieces.__anext__()
    except StopAsyncIteration:
        return None


class AsyncFiles:
    """What Files is, as coroutines."""

    def __init__(self, sandbox):
        self._sandbox = sandbox

    async def read(self, path, *, offset=0, length=None, format="bytes", stream=False):
        """Bytes; with the format "text", what they are in UTF-8; with "stream", or `stream`, what read_stream gives."""
        if stream or format == "stream":
            return self.read_stream(path, offset=offset, length=length)
        pieces = self.read_stream(path, offset=offset, length=length, piece_bytes=protocol.MAX_READ)
        data = b"".join([piece async for piece in pieces])
        return data.decode("utf-8", "replace") if format == "text" else data

    async def read_stream(self, path, *, offset=0, length=None, piece_bytes=protocol.STREAM_PIECE):
        """`async for piece in files.read_stream(path)`: asked for one after the other, one ahead of whoever reads."""
        end = None if length is None else offset + length
        def most(at):
            return min(piece_bytes, protocol.MAX_READ) if end is None else min(piece_bytes, protocol.MAX_READ, end - at)
        def ask(at):
            if most(at) <= 0:
                return None
            return asyncio.ensure_future(self._sandbox._call("files.read", {"path": path, "offset": at, "length": most(at)}))
        answer = ask(offset)
        try:
            while answer is not None:
                piece = protocol.get_bytes(await answer, "data")
                is_last = len(piece) < most(offset)
                offset += len(piece)
                answer = None if is_last else ask(offset)
                if piece:
                    yield piece
        finally:
            if answer is not None:
                answer.cancel()

    async def write(self, path, data, *, mode=None, append=False):
        """`data`: text, bytes, a file object, or anything that gives either in pieces, asynchronously or not."""
        if hasattr(data, "__aiter__"):
            pieces = protocol.async_stream_pieces(data)
        else:
            pieces = _as_async(protocol.whole_pieces(data) if protocol.is_whole(data) else protocol.stream_pieces(data))
        requests = protocol.WriteRequests(path, mode, append)
        first, following = await _next_of(pieces), await _next_of(pieces)
        try:
            await self._sandbox._call(*requests.first(first, following is None))
            while following is not None:
                await self._sandbox._call(*requests.next(following))
                following = await _next_of(pieces)
            for request in requests.end():
                await self._sandbox._call(*request)
        except BaseException:
            for request in requests.give_up():
                with contextlib.suppress(protocol.SandboxError):
                    await self._sandbox._call(*request)
            raise

    async def list(self, path):
        result = await self._sandbox._call("files.list", {"path": path})
        return [protocol.FileInfo(entry) for entry in result["entries"]]

    async def stat(self, path):
        return protocol.FileInfo(await self._sandbox._call("files.stat", {"path": path}),
                                 path.rstrip("/").rpartition("/")[2])

    get_info = stat

    async def exists(self, path):
        try:
            await self.stat(path)
        except protocol.RpcError as error:
            if error.errno in ("ENOENT", "ENOTDIR"):
                return False
            raise
        return True

    async def mkdir(self, path, *, mode=0o755):
        await self._sandbox._call("files.mkdir", {"path": path, "mode": mode})

    make_dir = mkdir

    async def rm(self, path):
        await self._sandbox._call("files.rm", {"path": path})

    remove = rm

    async def rename(self, old, new):
        await self._sandbox._call("files.rename", {"from": old, "to": new})

    async def copy(self, old, new):
        await self._sandbox._call("files.copy", {"from": old, "to": new})

    async def symlink(self, target, path):
        await self._sandbox._call("files.symlink", {"target": target, "path": path})

    async def chmod(self, path, mode):
        await self._sandbox._call("files.chmod", {"path": path, "mode": mode})

    async def watch(self, path, *, recursive=False):
        params = {"path": path, "recursive": recursive}
        return AsyncWatch(self._sandbox._daemon, (await self._sandbox._call("files.watch", params))["watchId"])

    watch_dir = watch

    async def pack(self, path):
        return await self._sandbox._take_blob(await self._sandbox._call("files.pack", {"path": path}))

    async def unpack(self, path, data):
        blob = await self._sandbox._give_blob(data)
        return protocol.ImportReport(await self._sandbox._call("files.unpack", {"path": path, "blobId": blob}))

"""The same for asyncio: every method that asks the sandbox is a coroutine."""

import asyncio
import contextlib
import inspect
import itertools
import json
import os

from . import _channel as channel
from . import _protocol as protocol
from . import mounts as _mounts
from ._async_channel import AsyncChannel
from ._async_commands import AsyncCommands, AsyncFiles, AsyncProcess
from ._options import Options, SandboxInfo
from ._packages import AsyncPackages
from .extensions import AsyncHost
from .virtual import FileHost

__all__ = ["AsyncFiles", "AsyncProcess", "AsyncSandbox"]

_GIVEN_UP = ("run", "exec", "package.install", "package.update", "package.search", "persistence.export", "persistence.import",
             "persistence.load")


class _Daemon:
    """One `cordon serve`, its own or one at a socket."""

    def __init__(self):
        self._ids = itertools.count(1)
        self._waiting = {}
        self._listeners = {}  # of processes and of events
        self._early = {}  # for who listens soon
        self._process = None
        self._channel = None
        self._ended = None
        self._takers = set()  # requests whose answer brings a descriptor
        self.users = 1  # a sandbox, its forks and others of the same daemon
        self.extensions = AsyncHost(self._send, self.call)
        self.virtual = FileHost(asyncio.get_running_loop())

    async def open(self, options, *arguments):
        ours = channel.connect(options.socket) if options.socket is not None else await self._start(options.program, arguments)
        self._channel = AsyncChannel(ours, self._take, self._end)
        self._ended = self._channel.ended

    async def _start(self, program, arguments):
        ours, theirs = channel.open_pair()
        try:
            with theirs:
                self._process = await asyncio.create_subprocess_exec(
                    protocol.find_program(program), "serve", "--stdio", *arguments, stdin=theirs, stdout=theirs)
        except BaseException:
            ours.close()
            raise
        return ours

    def _end(self):
        for answer, _ in self._waiting.values():
            if not answer.done():
                answer.set_exception(protocol.SandboxError("the daemon has ended"))
        self._waiting.clear()
        for key, listener in self._listeners.items():
            if key[0] != "audit":
                listener(None)

    def _take(self, line):
        message = json.loads(line)
        if message.get("method") == "persistence.failed":
            protocol.warn_of_failed_save(message["params"])
        elif message.get("method", "").startswith("extension."):
            self.extensions.take(message)
        elif "method" in message:
            self._notify(message)
        else:
            self._answer(message)

    def _answer(self, message):
        request_id = message.get("id")
        is_taker = request_id in self._takers
        self._takers.discard(request_id)
        file = self._channel.take_file() if is_taker and "result" in message else None
        answer, _ = self._waiting.pop(request_id, (None, None))
        if answer is None or answer.done():
            if file is not None:
                file.close()
        elif "error" in message:
            answer.set_exception(protocol.error_of(message))
        else:
            answer.set_result(dict(message, file=file) if is_taker else message["result"])

    def _notify(self, message):
        params = message["params"]
        if "requestId" in params and message["method"] in ("output", "package.progress"):
            _, take = self._waiting.get(params["requestId"], (None, None))
            if take is not None:
                take(params)
            return
        is_audit = message["method"] == "audit"
        key = ("audit", params["sessionId"]) if is_audit else protocol.listener_key(params)
        listener = self._listeners.get(key)
        if listener is not None:
            listener(message)
        else:
            # It is told of before whoever made it knows its number.
            self._early.setdefault(key, []).append(message)

    def listen(self, key, listener):
        self._listeners[key] = listener
        for message in self._early.pop(key, ()):
            listener(message)

    def forget(self, key):
        self._listeners.pop(key, None)

    def _send(self, line):
        self._channel.write(line)

    async def call(self, method, params, take=None, gives=None, takes=False):
        """`gives`: a descriptor that goes with the request. `takes`: the result is the message, with the `file` that came with it."""
        if self._ended.done():
            raise protocol.SandboxError("the daemon has ended")
        request_id = next(self._ids)
        line = protocol.encode(request_id, method, params)
        answer = asyncio.get_running_loop().create_future()
        self._waiting[request_id] = (answer, take)
        if takes:
            self._takers.add(request_id)
        self._channel.write(line, gives)
        await self._channel.drain()
        try:
            return await answer
        except asyncio.CancelledError:
            # Whoever gives up waiting does not want it done either.
            if method in _GIVEN_UP and not self._ended.done():
                self._channel.write(
                    protocol.encode(next(self._ids), "cancel", dict(requestId=request_id, sandboxId=params["sandboxId"])))
            raise

    async def close(self):
        self._channel.finish()
        if self._process is not None:
            await self._process.wait()
        await self._ended
        self.virtual.close()

    async def leave(self):
        self.users -= 1
        if self.users == 0:
            await self.close()


class AsyncSandboxes:
    """Other sandboxes of the same daemon, made as this one was."""

    def __init__(self, sandbox):
        self._sandbox = sandbox

    async def create(self, label=None, **options):
        daemon = self._sandbox._daemon
        if daemon is None:
            raise protocol.SandboxError("Sandbox has been destroyed")
        daemon.users += 1
        return await AsyncSandbox._on(daemon, self._sandbox._options.other(label=label, **options))

    async def list(self):
        return [SandboxInfo(entry) for entry in (await self._sandbox._call("sandbox.list", {}))["sandboxes"]]

    async def list_saved(self):
        """What is saved in the daemon's folder for states: dicts of "namespace", "sizeBytes", "savedMs", "inUse" and, of a sandbox of
        yours that has it now, "sandboxId"."""
        return (await self._sandbox._call("persistence.list", {}))["namespaces"]

    async def delete_saved(self, namespace):
        """Nothing of it is left. Refused while a sandbox has it."""
        await self._sandbox._call("persistence.delete", {"namespace": namespace})

    async def usage(self):
        """Of all of the daemon; but for "sandboxes" only where it has a limit for all together."""
        return await self._sandbox._call("usage.total", {})

    async def version(self):
        """"version" of the daemon and "protocol"."""
        return await self._sandbox._call("version", {})

    async def remove(self, sandbox_id):
        await self._sandbox._daemon.call("sandbox.remove", {"sandboxId": sandbox_id})


class AsyncSandbox:
    """`async with AsyncSandbox() as sb:` or `await AsyncSandbox.create()`. Keywords: see Options.

    Functions in `on_audit_event` and `storage` may be coroutines.
    """

    def __init__(self, **options):
        self._options = Options(**options)
        self._is_saved = self._options.is_saved
        self._daemon = None
        self._id = None
        self._is_away = False
        self._at_end = None
        self.commands = AsyncCommands(self)
        self.files = AsyncFiles(self)
        self.sandboxes = AsyncSandboxes(self)
        self.packages = AsyncPackages(self)

    @classmethod
    async def create(cls, **options):
        sandbox = cls(**options)
        await sandbox._open()
        return sandbox

    @classmethod
    async def connect(cls, sandbox_id, *, socket, storage=None):
        """One that is detached, of the daemon at that socket. What is said of it when it is made is not said again."""
        sandbox = cls(socket=socket, detached=True, storage=storage)
        daemon = _Daemon()
        await daemon.open(sandbox._options)
        try:
            protocol.check_listed(sandbox_id, await daemon.call("sandbox.list", {}))
        except BaseException:
            await daemon.close()
            raise
        sandbox._join(daemon, sandbox_id)
        return sandbox

    @classmethod
    async def _on(cls, daemon, options):
        """Of a daemon that counts it among its users already."""
        sandbox = cls()
        sandbox._options = options
        sandbox._is_saved = options.is_saved
        await sandbox._begin(daemon)
        return sandbox

    async def _open(self):
        daemon = _Daemon()
        await daemon.open(self._options)
        await self._begin(daemon)

    async def _begin(self, daemon):
        try:
            sandbox_id = (await daemon.call("create", self._options.params()))["sandboxId"]
            for mount in _mounts.described(self._options.mounts):
                await _mounts.run_async(lambda method, params: daemon.call(method, dict(params, sandboxId=sandbox_id)), daemon.virtual, **mount)
            if self._options.extensions:
                await daemon.extensions.register(sandbox_id, self._options.extensions)
        except BaseException:
            await daemon.leave()
            raise
        self._join(daemon, sandbox_id)

    def _join(self, daemon, sandbox_id):
        self._daemon, self._id = daemon, sandbox_id
        callback = self._options.on_audit_event
        if callback is not None:
            daemon.listen(("audit", sandbox_id), lambda message: self._tell(callback, message["params"]))

    @staticmethod
    def _tell(callback, event):
        told = protocol.tell(callback, event)
        if inspect.isawaitable(told):
            asyncio.ensure_future(told)

    @property
    def session_id(self):
        return self._id

    sandbox_id = session_id

    @property
    def label(self):
        return self._options.label

    async def is_running(self):
        """Whether it is there and answers."""
        try:
            await self.usage()
        except protocol.SandboxError:
            return False
        return True

    async def _call(self, method, params, take=None, **files):
        if self._daemon is None:
            raise protocol.SandboxError("Sandbox has been destroyed")
        return await self._daemon.call(method, dict(params, sandboxId=self._id), take, **files)

    async def mount(self, path, files=None, **options):
        """`files`: in memory, by paths below `path`, or an object that answers (virtual.py). `host_path`: a directory of the host.
        `writable`; of an object also `timeout_ms` of an answer and `cache_ms`, for which it may be believed."""
        await _mounts.run_async(self._call, self._daemon.virtual, path, files, **options)

    async def unmount(self, path):
        """What was there before is seen again."""
        await self._call("unmount", {"path": path})

    async def register_extensions(self, extensions):
        """More commands that this program serves (see `Extension`); their names. Later forks have them too."""
        return await self._daemon.extensions.register(self._id, extensions)

    async def remove_extension(self, name):
        await self._daemon.extensions.remove(self._id, name)

    async def list_extensions(self):
        """All that the sandbox has, whoever serves them: dicts of "name", "description", …"""
        return (await self._call("extension.list", {}))["extensions"]

    async def set_env(self, name, value):
        await self._call("env.set", {"name": name, "value": value})

    async def get_env(self, name):
        result = await self._call("env.get", {"name": name})
        return None if result["value"] is None else protocol.get_bytes(result, "value").decode("utf-8", "surrogateescape")

    async def history(self):
        return (await self._call("shell.history.list", {}))["entries"]

    async def clear_history(self):
        await self._call("shell.history.clear", {})

    async def usage(self):
        return await self._call("usage", {})

    async def save_state(self):
        return (await self._call("persistence.save", {}))["changed"]

    async def load_state(self):
        return (await self._call("persistence.load", {}))["loaded"]

    async def clear_persisted_state(self):
        await self._call("persistence.clear", {})

    async def fork(self, count=None):
        """A copy in the middle of what it does: both go on, independently. The end of one does not touch the other.

        With `count` a list of so many, each with its own answer: what could not be made is an RpcError, and the others are there.
        """
        if count is None:
            return self._forked((await self._call("sandbox.fork", {"detached": self._options.detached}))["sandboxId"])
        answers = (await self._call("sandbox.fork", {"count": count, "detached": self._options.detached}))["forks"]
        return [protocol.error_of(one) if "error" in one else self._forked(one["sandboxId"]) for one in answers]

    def _forked(self, sandbox_id):
        daemon = self._daemon
        daemon.users += 1
        forked = AsyncSandbox()
        forked._options = self._options.other()
        forked._join(daemon, sandbox_id)
        daemon.extensions.copy(self._id, sandbox_id)
        return forked

    async def suspend(self):
        """Everything stands still, and what is asked waits, until resume. No time passes for what runs."""
        await self._call("sandbox.suspend", {})

    pause = suspend

    async def resume(self):
        await self._call("sandbox.resume", {})

    async def offload(self):
        """Gives files and session to the callback storage.save and ends all processes, until rehydrate."""
        if self._is_away:
            return
        save = self._options.storage_function("save")
        try:
            report = await self._call("offload", {})
        except asyncio.CancelledError:
            # It may have begun. Nobody takes the state, and the sandbox goes on.
            with contextlib.suppress(protocol.SandboxError):
                await self._call("offload.end", {"kept": False})
            raise
        try:
            saved = save(self._id, await self._take_blob(report))
            if inspect.isawaitable(saved):
                await saved
            self._is_away = True
        finally:
            await self._call("offload.end", {"kept": self._is_away})

    async def rehydrate(self):
        """Takes them back from storage.load. One that fails may be tried again."""
        if not self._is_away:
            return
        state = self._options.storage_function("load")(self._id)
        if inspect.isawaitable(state):
            state = await state
        await self._call("rehydrate", {})
        await self.import_state(state, mode="merge")
        self._is_away = False

    async def snapshot(self, name=None):
        return (await self._call("snapshot.create", {} if name is None else {"name": name}))["snapshotId"]

    async def restore(self, snapshot_id):
        await self._call("snapshot.restore", {"snapshotId": snapshot_id})

    async def snapshots(self):
        return (await self._call("snapshot.list", {}))["snapshots"]

    create_snapshot = snapshot
    list_snapshots = snapshots

    async def delete_snapshot(self, snapshot_id):
        await self._call("snapshot.delete", {"snapshotId": snapshot_id})

    async def _take_blob(self, report):
        if channel.HAS_DESCRIPTORS:
            try:
                message = await self._call("blob.take", {"blobId": report["blobId"]}, takes=True)
            finally:
                await self._call("blob.free", {"blobId": report["blobId"]})
            return protocol.whole_archive(channel.read_whole(protocol.file_of(message), report["size"]), report)
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
        if channel.HAS_DESCRIPTORS:
            file = channel.seal(data)
            try:
                return (await self._call("blob.give", {}, gives=file))["blobId"]
            finally:
                os.close(file)
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
        daemon.extensions.forget(self._id)
        is_heard = self._is_saved or self._options.on_audit_event is not None or self._options.socket is not None
        try:
            if is_heard or daemon.users > 1:
                await daemon.call("sandbox.destroy", {"sandboxId": self._id})
        except protocol.SandboxError:
            # It had ended already; but what was not saved has to be known.
            if self._is_saved:
                raise
        finally:
            await daemon.leave()
            if self._at_end is not None:
                self._at_end(self)

    kill = destroy

    async def disconnect(self):
        """Leaves a detached one to itself."""
        self._options.refuse_unless_detached()
        daemon, self._daemon = self._daemon, None
        if daemon is None:
            return
        daemon.extensions.forget(self._id)
        await daemon.leave()
        if self._at_end is not None:
            self._at_end(self)

    async def __aenter__(self):
        if self._daemon is None:  # it is not one of connect
            await self._open()
        return self

    async def __aexit__(self, *_):
        if self._options.detached:
            await self.disconnect()
        else:
            await self.destroy()

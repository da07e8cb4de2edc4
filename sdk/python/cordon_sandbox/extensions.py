"""Commands of sandboxes that this program serves.

    Extension("qr", "draws a code", lambda args, stdin: {"stdout": draw(args[0]), "exit_code": 0})

The function is called with those of `args`, `stdin`, `env`, `cwd` and `call` that it names, or, if it has one parameter of another
name, with an ExtensionCall. It gives text, bytes, a status, None, or a dictionary with `stdout`, `stderr` and `exit_code`, whose
streams may be iterables; or it is a generator of all that. Any of it may be asynchronous.
"""

import asyncio
import base64
import contextlib
import inspect
import json
import threading

from . import _protocol as protocol

_MAX_PIECE = 256 * 1024  # of output on its way
_MAX_READ = 128 * 1024
_FORK_PERIOD = 0.005  # seconds between two looks for a new sandbox
_NAMES = ("args", "stdin", "env", "cwd", "call")


class PythonPackage:
    """Imported in the sandbox under the extension's name, with `_` for `-`, `.` and `+`. `files`: {path: text or bytes}."""

    def __init__(self, version, summary="", files=None):
        self.version = version
        self.summary = summary
        self.files = dict(files or {})


class Extension:
    """A command. `stdin`: "text" or "bytes", read to the end before the function is called; "stream", an iterable of bytes
    (for asynchronous functions an asynchronous one) that is read when it is asked for; or "none"."""

    def __init__(self, name, description, command, *, usage=None, examples=(), category=None, python_package=None, stdin="text"):
        if not callable(command):
            raise TypeError(f"extension {name} has no command")
        if stdin not in ("text", "bytes", "stream", "none"):
            raise ValueError(f"extension {name}: stdin is text, bytes, stream or none")
        self.name = name
        self.description = description
        self.command = command
        self.usage = usage
        self.examples = list(examples)
        self.category = category
        self.python_package = python_package
        self.stdin = stdin

    def described(self):
        params = {"name": self.name, "description": self.description, "examples": self.examples}
        if self.usage is not None:
            params["usage"] = self.usage
        if self.category is not None:
            params["category"] = self.category
        if self.python_package is not None:
            package = self.python_package
            files = {path: base64.b64encode(data.encode() if isinstance(data, str) else bytes(data)).decode("ascii")
                     for path, data in package.files.items()}
            params["pythonPackage"] = {"version": package.version, "summary": package.summary, "filesBase64": files}
        return params


class ExtensionCall:
    """How a command was called. `cancelled` is set when it has ended in the sandbox: nobody waits for the result."""

    def __init__(self, call_id, params):
        coded = params.get("argsBase64")
        self.args = params["args"] if coded is None else [
            base64.b64decode(one).decode("utf-8", "surrogateescape") for one in coded]
        self.env = params["env"]
        self.cwd = protocol.get_bytes(params, "cwd").decode("utf-8", "surrogateescape")
        self.stdin = ""
        self.cancelled = threading.Event()
        self.names = {"sandboxId": params["sandboxId"], "callId": call_id}
        self.task = None

    def pieces(self, stream, data):
        """Output as requests of a bounded size."""
        raw = data.encode("utf-8", "surrogateescape") if isinstance(data, str) else bytes(data)
        for at in range(0, len(raw), _MAX_PIECE):
            params = dict(self.names, stream=stream)
            protocol.put_bytes(params, "data", raw[at:at + _MAX_PIECE])
            yield "extension.write", params

    def read_request(self):
        return "extension.read", dict(self.names, length=_MAX_READ)


def _arguments(function, call):
    try:
        parameters = inspect.signature(function).parameters
    except (TypeError, ValueError):
        return (call,), {}
    values = {"args": call.args, "stdin": call.stdin, "env": call.env, "cwd": call.cwd, "call": call}
    if any(one.kind is inspect.Parameter.VAR_KEYWORD for one in parameters.values()):
        return (), values
    if len(parameters) == 1 and not set(parameters) & set(_NAMES):
        return (call,), {}
    return (), {name: values[name] for name in parameters if name in values}


def _is_data(value):
    return isinstance(value, (str, bytes, bytearray, memoryview))


def _status(result, before):
    return result.get("exit_code", result.get("exitCode", before))


class _Input:
    """Standard input for functions that wait."""

    def __init__(self, extension_call, ask):
        self._call = extension_call
        self._ask = ask
        self._ended = False

    def __iter__(self):
        while not self._ended:
            result = self._ask(*self._call.read_request())
            self._ended = result["end"]
            data = protocol.get_bytes(result, "data")
            if data:
                yield data

    def read(self):
        return b"".join(self)


class _AsyncInput:
    def __init__(self, extension_call, ask):
        self._call = extension_call
        self._ask = ask
        self._ended = False

    async def __aiter__(self):
        while not self._ended:
            result = await self._ask(*self._call.read_request())
            self._ended = result["end"]
            data = protocol.get_bytes(result, "data")
            if data:
                yield data

    async def read(self):
        return b"".join([data async for data in self])


@contextlib.contextmanager
def _closing(iterable):
    """A generator that is left before its end hears of it at once, and not when it is collected."""
    try:
        yield iterable
    finally:
        if hasattr(iterable, "close"):
            iterable.close()


@contextlib.asynccontextmanager
async def _async_closing(iterable):
    try:
        yield iterable
    finally:
        await iterable.aclose()


def _serve(extension, call, ask):
    """The status. `ask(method, params)` waits for the daemon's answer."""
    source = _Input(call, ask)
    if extension.stdin == "stream":
        call.stdin = source
    elif extension.stdin != "none":
        data = source.read()
        call.stdin = data if extension.stdin == "bytes" else data.decode("utf-8", "replace")

    def write(stream, data):
        with _closing([data] if _is_data(data) else data or ()) as pieces:
            for piece in pieces:
                for method, params in call.pieces(stream, piece):
                    ask(method, params)

    def finish(result, status):
        if result is None:
            return status
        if _is_data(result):
            write("stdout", result)
        elif isinstance(result, dict):
            write("stdout", result.get("stdout"))
            write("stderr", result.get("stderr"))
            return _status(result, status)
        elif isinstance(result, int):
            return result
        else:
            with _closing(result) as pieces:
                for piece in pieces:
                    status = finish(piece, status)
        return status

    positional, named = _arguments(extension.command, call)
    return finish(extension.command(*positional, **named), 0)


async def _serve_async(extension, call, ask):
    """The same; `ask` is a coroutine function."""
    source = _AsyncInput(call, ask)
    if extension.stdin == "stream":
        call.stdin = source
    elif extension.stdin != "none":
        data = await source.read()
        call.stdin = data if extension.stdin == "bytes" else data.decode("utf-8", "replace")

    async def each(value):
        try:
            if hasattr(value, "__aiter__"):
                async for piece in value:
                    yield piece
            else:
                for piece in value:
                    yield piece
        finally:
            if hasattr(value, "aclose"):
                await value.aclose()
            elif hasattr(value, "close"):
                value.close()

    async def write(stream, data):
        async with _async_closing(each([data] if _is_data(data) else data or ())) as pieces:
            async for piece in pieces:
                for method, params in call.pieces(stream, piece):
                    await ask(method, params)

    async def finish(result, status):
        if result is None:
            return status
        if _is_data(result):
            await write("stdout", result)
        elif isinstance(result, dict):
            await write("stdout", result.get("stdout"))
            await write("stderr", result.get("stderr"))
            return _status(result, status)
        elif isinstance(result, int):
            return result
        else:
            async with _async_closing(each(result)) as pieces:
                async for piece in pieces:
                    status = await finish(piece, status)
        return status

    positional, named = _arguments(extension.command, call)
    result = extension.command(*positional, **named)
    return await finish(await result if inspect.isawaitable(result) else result, 0)


def _is_async(function):
    return any(inspect.iscoroutinefunction(one) or inspect.isasyncgenfunction(one)
               for one in (function, getattr(function, "__call__", None)))


def _answer(call_id, status, error):
    body = {"result": {"exitCode": int(status)}}
    if error is not None:
        body = {"error": {"code": 1, "message": f"{type(error).__name__}: {error}"}}
    return json.dumps({"jsonrpc": "2.0", "id": call_id, **body}).encode("utf-8") + b"\n"


class _Host:
    """What one connection serves. `send(line)` writes to the daemon."""

    def __init__(self, send):
        self._send = send
        self._served = {}
        self._going = {}
        self._lock = threading.Lock()

    def add(self, sandbox_id, extensions):
        with self._lock:
            known = self._served.setdefault(sandbox_id, {})
            known.update((extension.name, extension) for extension in extensions)

    def discard(self, sandbox_id, names):
        with self._lock:
            for name in names:
                self._served.get(sandbox_id, {}).pop(name, None)

    def copy(self, origin, sandbox_id):
        """A fork has the commands of its origin."""
        with self._lock:
            self._served[sandbox_id] = dict(self._served.get(origin, {}))

    def forget(self, sandbox_id):
        with self._lock:
            self._served.pop(sandbox_id, None)

    def take(self, message):
        """A request or notification of the daemon, from whoever reads; it does not wait."""
        params = message["params"]
        if message["method"] == "extension.cancel":
            with self._lock:
                call = self._going.get(params["callId"])
            if call is not None:
                call.cancelled.set()
                self._cancel(call)
        elif message["method"] == "extension.invoke":
            call = ExtensionCall(message["id"], params)
            with self._lock:
                self._going[message["id"]] = call
            self._begin(call, params["sandboxId"], params["name"])

    def _look(self, sandbox_id, name):
        """None: a fork may call before the one who made it has heard that it is there."""
        with self._lock:
            known = self._served.get(sandbox_id)
        if known is None:
            return None
        if name not in known:
            raise LookupError("nobody serves it")
        return known[name]

    def _end(self, call, status, error):
        with self._lock:
            del self._going[call.names["callId"]]
        self._send(_answer(call.names["callId"], status, error))


class SyncHost(_Host):
    """Each call has a thread. `ask(method, params)` waits for the daemon's answer."""

    def __init__(self, send, ask):
        super().__init__(send)
        self._ask = ask

    def register(self, sandbox_id, extensions):
        extensions = list(extensions)
        # It may be called before the daemon has said that it is there.
        self.add(sandbox_id, extensions)
        try:
            return self._ask("extension.register", {
                "sandboxId": sandbox_id, "extensions": [one.described() for one in extensions]})["names"]
        except BaseException:
            self.discard(sandbox_id, [one.name for one in extensions])
            raise

    def remove(self, sandbox_id, name):
        self._ask("extension.remove", {"sandboxId": sandbox_id, "name": name})
        self.discard(sandbox_id, [name])

    def _cancel(self, call):
        pass  # its next read or write fails

    def _begin(self, call, sandbox_id, name):
        threading.Thread(target=self._run, args=(call, sandbox_id, name), daemon=True).start()

    def _run(self, call, sandbox_id, name):
        async def ask(method, params):
            return await asyncio.to_thread(self._ask, method, params)

        status, error = 0, None
        try:
            extension = self._look(sandbox_id, name)
            while extension is None and not call.cancelled.wait(_FORK_PERIOD):
                extension = self._look(sandbox_id, name)
            if extension is None:
                status = 1
            elif _is_async(extension.command):
                status = asyncio.run(_serve_async(extension, call, ask))
            else:
                status = _serve(extension, call, self._ask)
        except Exception as caught:  # noqa: BLE001: whatever it is, the command says it
            error = caught
        self._end(call, status, error)


class AsyncHost(_Host):
    """Each call is a task; functions that wait have a thread. `ask` is a coroutine function."""

    def __init__(self, send, ask):
        super().__init__(send)
        self._ask = ask

    async def register(self, sandbox_id, extensions):
        extensions = list(extensions)
        self.add(sandbox_id, extensions)
        try:
            return (await self._ask("extension.register", {
                "sandboxId": sandbox_id, "extensions": [one.described() for one in extensions]}))["names"]
        except BaseException:
            self.discard(sandbox_id, [one.name for one in extensions])
            raise

    async def remove(self, sandbox_id, name):
        await self._ask("extension.remove", {"sandboxId": sandbox_id, "name": name})
        self.discard(sandbox_id, [name])

    def _cancel(self, call):
        if call.task is not None:
            call.task.cancel()

    def _begin(self, call, sandbox_id, name):
        call.task = asyncio.ensure_future(self._run(call, sandbox_id, name))

    async def _run(self, call, sandbox_id, name):
        loop = asyncio.get_running_loop()

        def wait_for(method, params):
            return asyncio.run_coroutine_threadsafe(self._ask(method, params), loop).result()

        status, error = 0, None
        try:
            extension = self._look(sandbox_id, name)
            while extension is None:
                await asyncio.sleep(_FORK_PERIOD)
                extension = self._look(sandbox_id, name)
            if _is_async(extension.command):
                status = await _serve_async(extension, call, self._ask)
            else:
                status = await asyncio.to_thread(_serve, extension, call, wait_for)
        except asyncio.CancelledError as caught:
            error = caught
        except Exception as caught:  # noqa: BLE001: whatever it is, the command says it
            error = caught
        self._end(call, status, error)

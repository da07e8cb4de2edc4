"""Packages of a sandbox: WASI command modules, installed while it runs."""

import queue

from . import _protocol as protocol


class Packages:
    """`sandbox.packages`. A refusal is a PackageError; nothing is left behind by one."""

    def __init__(self, sandbox):
        self._sandbox = sandbox

    def install(self, source, *, name=None, sha256=None, on_progress=None):
        """`source`: an https URL, or a name of the policy's index. With `on_progress`, lines about what goes on."""
        return self._bring("package.install", protocol.install_params(source, name, sha256), on_progress)

    def update(self, name, *, on_progress=None):
        """`updated` of the result: whether it is another one than before."""
        return self._bring("package.update", {"name": name}, on_progress)

    def _bring(self, method, params, on_progress):
        if on_progress is None:
            return protocol.PackageInfo(self._sandbox._call(method, params))
        messages = queue.Queue()
        request_id, _ = self._sandbox._start(method, dict(params, progress=True), messages)
        try:
            while True:
                message = messages.get()
                if message is None:
                    raise protocol.SandboxError("the daemon has ended")
                if "method" not in message:
                    break
                on_progress(message["params"]["text"])
        finally:
            self._sandbox._daemon.forget(("request", request_id))
        if "error" in message:
            raise protocol.error_of(message)
        return protocol.PackageInfo(message["result"])

    def list(self):
        return [protocol.PackageInfo(one) for one in self._sandbox._call("package.list", {})["packages"]]

    def info(self, name):
        return protocol.PackageInfo(self._sandbox._call("package.info", {"name": name}))

    def search(self, query=""):
        """What the policy's index has with the query in its name or description."""
        return [protocol.PackageInfo(one) for one in self._sandbox._call("package.search", {"query": query})["packages"]]

    def remove(self, name):
        self._sandbox._call("package.remove", {"name": name})


class AsyncPackages:
    """The same for programs that do not wait."""

    def __init__(self, sandbox):
        self._sandbox = sandbox

    async def install(self, source, *, name=None, sha256=None, on_progress=None):
        return await self._bring("package.install", protocol.install_params(source, name, sha256), on_progress)

    async def update(self, name, *, on_progress=None):
        return await self._bring("package.update", {"name": name}, on_progress)

    async def _bring(self, method, params, on_progress):
        if on_progress is None:
            return protocol.PackageInfo(await self._sandbox._call(method, params))
        return protocol.PackageInfo(await self._sandbox._call(method, dict(params, progress=True), lambda told: on_progress(told["text"])))

    async def list(self):
        return [protocol.PackageInfo(one) for one in (await self._sandbox._call("package.list", {}))["packages"]]

    async def info(self, name):
        return protocol.PackageInfo(await self._sandbox._call("package.info", {"name": name}))

    async def search(self, query=""):
        return [protocol.PackageInfo(one) for one in (await self._sandbox._call("package.search", {"query": query}))["packages"]]

    async def remove(self, name):
        await self._sandbox._call("package.remove", {"name": name})

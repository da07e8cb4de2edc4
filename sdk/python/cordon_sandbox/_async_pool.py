"""SandboxPool for asyncio."""

import asyncio

from ._async import AsyncSandbox, _Daemon
from ._options import Options
from ._pool import fill_params
from ._protocol import SandboxError


class AsyncSandboxPool:
    """What SandboxPool is, as coroutines."""

    def __init__(self, *, min_size=1, max_size=10, replenish_interval_ms=1000, **options):
        self._options = Options(**options)
        self._fill = fill_params(self._options, min_size, max_size, replenish_interval_ms)
        self._max_size = max_size
        self._changed = None  # belongs to the loop that is asked first
        self._out = set()
        self._reserved = 0
        self._filled = None
        self._daemon = None
        self._draining = False

    async def init(self):
        """Returns when all that are to wait are there."""
        self._refuse_if_draining()
        if self._filled is None:
            self._changed = asyncio.Condition()
            self._filled = asyncio.ensure_future(self._start())
        await asyncio.shield(self._filled)

    async def _start(self):
        daemon = _Daemon()
        await daemon.open(self._options, "--max-sandboxes", str(self._max_size + 1))
        # The pool is a user of it as its sandboxes are.
        self._daemon = daemon
        await daemon.call("pool.fill", self._fill)

    async def checkout(self, **changes):
        await self.init()
        async with self._changed:
            await self._changed.wait_for(lambda: self._draining or len(self._out) + self._reserved < self._max_size)
            self._refuse_if_draining()
            self._reserved += 1
            self._daemon.users += 1
        try:
            sandbox = await AsyncSandbox._on(self._daemon, self._options.other(**changes))
            self._out.add(sandbox)
            sandbox._at_end = self._forget
            return sandbox
        finally:
            self._reserved -= 1
            await self._notify()

    async def release(self, sandbox):
        """The sandbox ends: nobody gets what another one had."""
        if sandbox not in self._out:
            raise SandboxError("the sandbox is not of this pool")
        await sandbox.destroy()

    def _forget(self, sandbox):
        self._out.discard(sandbox)
        asyncio.ensure_future(self._notify())

    async def drain(self):
        """All sandboxes end, and no more are given."""
        if self._draining:
            return
        self._draining = True
        if self._filled is None:
            return
        await self._notify()
        async with self._changed:
            await self._changed.wait_for(lambda: self._reserved == 0)
        for sandbox in list(self._out):
            await sandbox.destroy()
        if self._daemon is not None:
            await self._daemon.leave()

    async def _notify(self):
        async with self._changed:
            self._changed.notify_all()

    def _refuse_if_draining(self):
        if self._draining:
            raise SandboxError("Pool is draining")

    async def __aenter__(self):
        await self.init()
        return self

    async def __aexit__(self, *_):
        await self.drain()

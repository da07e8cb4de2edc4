"""Sandboxes that are there before somebody asks: of a daemon of their own, which makes them."""

import threading

from ._daemon import Daemon
from ._options import Options
from ._protocol import SandboxError
from ._sync import Sandbox


def fill_params(options, min_size, max_size, replenish_interval_ms):
    """Of the daemon's method pool.fill. Refuses sizes that cannot be."""
    if not 0 <= min_size <= max_size or max_size < 1:
        raise ValueError("0 <= min_size <= max_size and 1 <= max_size are needed")
    if options.persistence:
        raise ValueError("persistence: a namespace belongs to one sandbox, and not to a pool")
    if options.socket is not None:
        raise ValueError("socket: a pool has a daemon of its own")
    return dict(options.params(), size=min_size, most=max_size, intervalMs=replenish_interval_ms)


class SandboxPool:
    """`min_size` sandboxes wait, at most `max_size` are there at a time, waiting ones included.

    checkout gives one, or waits until one is released when there are as many; one that was taken is replaced after
    `replenish_interval_ms`. Every option of Sandbox may be given here, and another value of it to checkout: a sandbox
    that differs in what it begins with (variables, directory, limits, tools) is made at once instead of being taken.
    """

    def __init__(self, *, min_size=1, max_size=10, replenish_interval_ms=1000, **options):
        self._options = Options(**options)
        self._fill = fill_params(self._options, min_size, max_size, replenish_interval_ms)
        self._max_size = max_size
        self._changed = threading.Condition()
        self._out = set()
        self._reserved = 0
        self._daemon = None
        self._draining = False

    def init(self):
        """Returns when all that are to wait are there."""
        with self._changed:
            self._refuse_if_draining()
            if self._daemon is not None:
                return
            # The pool is a user of it as its sandboxes are.
            self._daemon = Daemon(self._options, "--max-sandboxes", str(self._max_size + 1))
        self._daemon.call("pool.fill", self._fill)

    def checkout(self, **changes):
        self.init()
        with self._changed:
            self._changed.wait_for(lambda: self._draining or len(self._out) + self._reserved < self._max_size)
            self._refuse_if_draining()
            self._reserved += 1
            self._daemon.join()
        sandbox = None
        try:
            sandbox = Sandbox._on(self._daemon, self._options.other(**changes))
            sandbox._at_end = self._forget
        finally:
            with self._changed:
                self._reserved -= 1
                if sandbox is not None:
                    self._out.add(sandbox)
                self._changed.notify_all()
        return sandbox

    def release(self, sandbox):
        """The sandbox ends: nobody gets what another one had."""
        if sandbox not in self._out:
            raise SandboxError("the sandbox is not of this pool")
        sandbox.destroy()

    def _forget(self, sandbox):
        with self._changed:
            self._out.discard(sandbox)
            self._changed.notify_all()

    def drain(self):
        """All sandboxes end, and no more are given."""
        with self._changed:
            if self._draining:
                return
            self._draining = True
            self._changed.notify_all()
            # One that is being made is taken back as soon as it is there.
            self._changed.wait_for(lambda: self._reserved == 0)
            out = list(self._out)
        for sandbox in out:
            sandbox.destroy()
        if self._daemon is not None and self._daemon.leave():
            self._daemon.close()

    def _refuse_if_draining(self):
        if self._draining:
            raise SandboxError("Pool is draining")

    def __enter__(self):
        self.init()
        return self

    def __exit__(self, *_):
        self.drain()

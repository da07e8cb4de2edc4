"""What becomes of a directory, for both clients."""

import asyncio
import queue
from typing import NamedTuple

from . import _protocol as protocol


class FileEvent(NamedTuple):
    """`type`: "created", "changed", "removed", or "overflow": more is different than was told, look yourself."""

    type: str
    path: str


def event_of(message):
    params = message["params"]
    return FileEvent(params["type"], protocol.get_bytes(params, "path").decode("utf-8", "surrogateescape"))


class Watch:
    """Iterate over it for FileEvents, until `stop`; or ask with `get_new_events` for those that have come."""

    def __init__(self, daemon, watch_id):
        self._daemon = daemon
        self.id = watch_id
        self._messages = queue.Queue()
        self._stopped = False
        daemon.listen(("watch", watch_id), self._messages)

    def __iter__(self):
        while True:
            message = self._messages.get()
            if message is None:
                if self._stopped:
                    return
                raise protocol.SandboxError("the daemon has ended")
            yield event_of(message)

    def get_new_events(self):
        events = []
        while not self._messages.empty():
            message = self._messages.get()
            if message is not None:
                events.append(event_of(message))
        return events

    def stop(self):
        if self._stopped:
            return
        self._stopped = True
        self._daemon.forget(("watch", self.id))
        self._messages.put(None)
        try:
            self._daemon.call("files.unwatch", {"watchId": self.id})
        except protocol.SandboxError:
            pass  # it ended with the sandbox

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


class AsyncWatch:
    """`async for event in watch`, until `stop`."""

    def __init__(self, daemon, watch_id):
        self._daemon = daemon
        self.id = watch_id
        self._messages = asyncio.Queue()
        self._stopped = False
        daemon.listen(("watch", watch_id), self._messages.put_nowait)

    async def __aiter__(self):
        while True:
            message = await self._messages.get()
            if message is None:
                if self._stopped:
                    return
                raise protocol.SandboxError("the daemon has ended")
            yield event_of(message)

    async def get_new_events(self):
        events = []
        while not self._messages.empty():
            message = self._messages.get_nowait()
            if message is not None:
                events.append(event_of(message))
        return events

    async def stop(self):
        if self._stopped:
            return
        self._stopped = True
        self._daemon.forget(("watch", self.id))
        self._messages.put_nowait(None)
        try:
            await self._daemon.call("files.unwatch", {"watchId": self.id})
        except protocol.SandboxError:
            pass  # it ended with the sandbox

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        await self.stop()

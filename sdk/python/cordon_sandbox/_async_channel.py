"""The same channel in an event loop: what does not go at once goes when there is room."""

import asyncio
import collections
import contextlib
import os
import socket

from ._channel import Incoming, send_some

# Whoever sends more waits.
_MOST_OUTGOING = 1 << 20


class AsyncChannel:
    """Of the running loop, with a socket that is its own from now on. `take` is called with each line that comes, and then, once, `end`,
    when the daemon has ended."""

    def __init__(self, sock, take, end):
        sock.setblocking(False)
        self._take = take
        self._end = end
        self._socket = sock
        self._loop = asyncio.get_running_loop()
        self._incoming = Incoming(sock)
        self.take_file = self._incoming.take_file
        self._outgoing = collections.deque()  # (bytes, descriptor)
        self._waits = 0  # bytes of these
        self._has_room = asyncio.Event()
        self._has_room.set()
        self._is_over = False
        self._is_finished = False
        self.ended = self._loop.create_future()
        self._loop.add_reader(sock, self._receive)

    def _receive(self):
        try:
            lines = self._incoming.receive()
        except BlockingIOError:
            return
        for line in lines or ():
            try:
                self._take(line)
            except Exception as error:  # of one message; the others are for others
                self._loop.call_exception_handler({"message": "a message of the daemon", "exception": error})
        if lines is None:
            self._loop.remove_reader(self._socket)
            self._give_up()
            self._incoming.close()
            self._socket.close()
            self._end()
            if not self.ended.done():  # whoever waited for it gave up
                self.ended.set_result(None)

    def write(self, line, file=None):
        """`file` stays the caller's. To a daemon that has ended goes nothing."""
        if self._is_over or self._is_finished:
            return
        line = memoryview(line)
        if not self._outgoing:
            line, file = self._send(line, file)
        if not line:
            return
        if not self._outgoing:
            self._loop.add_writer(self._socket, self._send_waiting)
        # Whoever gave it may close it before it goes.
        self._outgoing.append((line, None if file is None else os.dup(file)))
        self._waits += len(line)
        if self._waits > _MOST_OUTGOING:
            self._has_room.clear()

    async def drain(self):
        await self._has_room.wait()

    def _send(self, line, file):
        """What is left of them."""
        try:
            while line:
                line, file = line[send_some(self._socket, line, file):], None
        except BlockingIOError:
            pass
        except OSError:  # it has ended
            self._give_up()
            return line[:0], None
        return line, file

    def _send_waiting(self):
        while self._outgoing:
            line, file = self._outgoing[0]
            left, left_file = self._send(line, file)
            if self._is_over:
                return
            if file is not None and left_file is None:
                os.close(file)
            self._waits -= len(line) - len(left)
            if left:
                self._outgoing[0] = (left, left_file)
                break
            self._outgoing.popleft()
        if self._waits <= _MOST_OUTGOING:
            self._has_room.set()
        if not self._outgoing:
            self._loop.remove_writer(self._socket)
            if self._is_finished:
                self._shut()

    def _give_up(self):
        self._is_over = True
        self._loop.remove_writer(self._socket)
        for _, file in self._outgoing:
            if file is not None:
                os.close(file)
        self._outgoing.clear()
        self._waits = 0
        self._has_room.set()

    def _shut(self):
        with contextlib.suppress(OSError):  # it has ended
            self._socket.shutdown(socket.SHUT_WR)

    def finish(self):
        """Nothing more will be written; the daemon ends when it has what was."""
        if not self._is_finished and not self._outgoing and not self._is_over:
            self._shut()
        self._is_finished = True

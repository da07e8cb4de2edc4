"""The socket between a client and its daemon: lines in both directions, and beside them archives as descriptors of sealed files in memory."""

import array
import collections
import fcntl
import io
import os
import socket

from ._protocol import SandboxError

_BUFFER = 256 << 10
_MOST_FILES = 8
_FILES_SPACE = socket.CMSG_SPACE(_MOST_FILES * array.array("i").itemsize)
_FLAGS = getattr(socket, "MSG_CMSG_CLOEXEC", 0)
_SEALS = ("F_SEAL_WRITE", "F_SEAL_SHRINK", "F_SEAL_GROW")

# Otherwise archives go in pieces.
HAS_DESCRIPTORS = hasattr(os, "memfd_create") and all(hasattr(fcntl, name) for name in ("F_ADD_SEALS", *_SEALS))


def open_pair():
    """The client's end, and the one for the daemon's input and output."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)


def connect(path):
    """To a daemon that is there."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.connect(os.fspath(path))
    except OSError as error:
        sock.close()
        raise SandboxError(f"cannot reach the daemon at {path}: {error.strerror or error}") from error
    return sock


def send_some(sock, data, file=None):
    """How much went; a descriptor goes with the first byte of it."""
    if file is None:
        return sock.send(data)
    return sock.sendmsg([data[:1]], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [file]))])


class Incoming:
    """What comes: lines, and the descriptors that came with them."""

    def __init__(self, sock):
        self._socket = sock
        self._buffer = bytearray(_BUFFER)
        self._view = memoryview(self._buffer)
        self._begun = []  # of a line that has not ended
        self._files = collections.deque()

    def receive(self):
        """Whole lines, perhaps none; None: the daemon has ended. BlockingIOError, where the socket does not block: nothing came."""
        try:
            size, ancillary, _, _ = self._socket.recvmsg_into([self._buffer], _FILES_SPACE, _FLAGS)
        except BlockingIOError:
            raise
        except OSError:
            return None
        for level, kind, data in ancillary:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                files = array.array("i")
                files.frombytes(data[:len(data) - len(data) % files.itemsize])
                self._files.extend(io.FileIO(file, "rb") for file in files)
        if size == 0:
            return None
        lines = bytes(self._view[:size]).split(b"\n")
        self._begun.append(lines[0])
        if len(lines) == 1:
            return []
        lines[0] = b"".join(self._begun)
        self._begun = [lines.pop()]
        return lines

    def take_file(self):
        """Of the first answer that brings one and was not asked for it yet; None if none came."""
        return self._files.popleft() if self._files else None

    def close(self):
        while self._files:
            self._files.popleft().close()


def seal(data):
    """Bytes as a file that nobody changes any more. The caller's to close."""
    file = os.memfd_create("cordon-archive", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        left = memoryview(data).cast("B")
        while left:
            left = left[os.write(file, left):]
        seals = 0
        for name in _SEALS:
            seals |= getattr(fcntl, name)
        fcntl.fcntl(file, fcntl.F_ADD_SEALS, seals)
    except BaseException:
        os.close(file)
        raise
    return file


def read_whole(file, size):
    """The first `size` bytes, fewer where it has no more; closes it. Where it is read is said each time: its offset is others' as well."""
    with file:
        first = os.pread(file.fileno(), size, 0)
        if len(first) == size:
            return first
        data = bytearray(first)
        while len(data) < size:
            piece = os.pread(file.fileno(), size - len(data), len(data))
            if not piece:
                break
            data += piece
        return bytes(data)

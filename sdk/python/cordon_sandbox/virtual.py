"""File systems of this program that a sandbox sees: an object whose methods answer its file calls.

    class Notes(VirtualFileSystem): ...
    sandbox.mount("/mnt/notes", Notes())

Paths are relative to where it is mounted, without a slash in front; "" is the directory itself. An OSError is what the
sandbox's program gets; whatever else is raised is shown here, and EIO there. Methods may be coroutine functions.

    stat(path)                   FileStat, os.stat_result or {"type", "size", "mode", "mtime"}; needed
    readdir(path) or list(path)  names, DirEntry or {"name", "type"}; needed
    read_file(path)              all bytes; or, for large files:
    read(path, offset, length)   fewer bytes than asked for only at the end
    write_file(path, data)       replaces or creates; or, for large files:
    write(path, data, offset)    and truncate(path, size), create_file(path)
    mkdir(path) unlink(path) rmdir(path) rename(from, to) symlink(target, path) readlink(path)
    chmod(path, mode) utime(path, atime, mtime)

What it cannot do is ENOSYS there; one that cannot write is mounted read-only (EROFS)."""

import abc
import asyncio
import dataclasses
import errno
import inspect
import itertools
import os
import select
import shutil
import socket
import stat as st
import struct
import sys
import tempfile
import threading
import time
from typing import Dict, List, Optional, Union

__all__ = ["DirEntry", "FileStat", "MemoryFS", "VirtualFileSystem"]

_REQUEST = struct.Struct("<IIIIQQII")
_ANSWER = struct.Struct("<IIq")
_STAT = struct.Struct("<IIQq")
_ENTRY = struct.Struct("<II")
_END = struct.Struct("<Q")
_APPEND = 0xFFFFFFFFFFFFFFFF
_NS = 1_000_000_000
_TYPES = {"file": st.S_IFREG, "dir": st.S_IFDIR, "directory": st.S_IFDIR, "symlink": st.S_IFLNK, "link": st.S_IFLNK}
_ERRNO_OF = {FileNotFoundError: errno.ENOENT, PermissionError: errno.EACCES, FileExistsError: errno.EEXIST,
             IsADirectoryError: errno.EISDIR, NotADirectoryError: errno.ENOTDIR, NotImplementedError: errno.ENOSYS}
_WRITERS = ("write", "write_file")
_KEEP_SECONDS = 1.0  # a whole file that is read in pieces
_LONGEST_SOCKET = 90
_BUFFER = 1 << 18  # more than a request has
# Whoever reads on in a file asks again sooner than a thread is woken up.
_LOOK_NS = 60_000
_MOST_MISSES = 4  # looks in vain, before it is tried seldom
_SELDOM = 64


@dataclasses.dataclass
class FileStat:
    """`type`: "file", "dir" or "symlink". `mode`: permissions; `mtime`: seconds since 1970."""
    type: str
    size: int = 0
    mode: Optional[int] = None
    mtime: float = 0


@dataclasses.dataclass
class DirEntry:
    name: str
    type: str


class VirtualFileSystem(abc.ABC):
    """What a file system has to have. It may have more (see above)."""

    @abc.abstractmethod
    def read_file(self, path: str) -> bytes: ...

    def write_file(self, path: str, data: bytes) -> None:
        raise OSError(errno.EROFS, "read-only mount")

    def exists(self, path: str) -> bool:
        try:
            self.stat(path)
        except FileNotFoundError:
            return False
        return True

    @abc.abstractmethod
    def stat(self, path: str) -> FileStat: ...

    @abc.abstractmethod
    def readdir(self, path: str) -> List[DirEntry]: ...


class MemoryFS(VirtualFileSystem):
    """Files of this program's memory, by paths: {"sub/name": text or bytes}. What the sandbox writes is seen in `files`."""

    def __init__(self, files: Dict[str, Union[str, bytes]], *, writable: bool = False):
        self.files = {path: data.encode() if isinstance(data, str) else bytes(data) for path, data in files.items()}
        self.writable = writable
        self._folders = set()

    def _is_folder(self, path):
        return path == "" or path in self._folders or any(name.startswith(path + "/") for name in (*self.files, *self._folders))

    def _check(self, path):
        parent = path.rpartition("/")[0]
        if not self.writable:
            raise OSError(errno.EROFS, "read-only mount")
        if not self._is_folder(parent):
            raise FileNotFoundError(parent)

    def stat(self, path):
        if path in self.files:
            return FileStat("file", len(self.files[path]))
        if self._is_folder(path):
            return FileStat("dir")
        raise FileNotFoundError(path)

    def readdir(self, path):
        if path in self.files:
            raise NotADirectoryError(path)
        if not self._is_folder(path):
            raise FileNotFoundError(path)
        start = path + "/" if path else ""
        names = {name[len(start):].partition("/")[0] for name in (*self.files, *self._folders) if name.startswith(start)}
        return [DirEntry(name, self.stat(start + name).type) for name in sorted(names)]

    def read_file(self, path):
        if path not in self.files:
            raise IsADirectoryError(path) if self._is_folder(path) else FileNotFoundError(path)
        return self.files[path]

    def write_file(self, path, data):
        self._check(path)
        if self._is_folder(path):
            raise IsADirectoryError(path)
        self.files[path] = bytes(data)

    def mkdir(self, path):
        self._check(path)
        if path in self.files or self._is_folder(path):
            raise FileExistsError(path)
        self._folders.add(path)

    def unlink(self, path):
        self._check(path)
        self.read_file(path)
        del self.files[path]
        self._folders.add(path.rpartition("/")[0])

    def rmdir(self, path):
        self._check(path)
        if self.readdir(path):
            raise OSError(errno.ENOTEMPTY, "not empty")
        self._folders.discard(path)

    def rename(self, path, to):
        self._check(to)
        if self.stat(path).type == "dir":
            for kept in (self.files, self._folders):
                for name in [name for name in kept if name == path or name.startswith(path + "/")]:
                    moved = to + name[len(path):]
                    if kept is self.files:
                        self.files[moved] = self.files.pop(name)
                    else:
                        self._folders.remove(name)
                        self._folders.add(moved)
            return
        if self._is_folder(to):
            raise IsADirectoryError(to)
        self.files[to] = self.files.pop(path)


def is_file_system(value):
    return hasattr(value, "stat") and (hasattr(value, "readdir") or hasattr(value, "list"))


def is_writable(file_system):
    said = getattr(file_system, "writable", None)
    if said is not None:
        return bool(said)
    if isinstance(file_system, VirtualFileSystem) and type(file_system).write_file is VirtualFileSystem.write_file:
        return hasattr(file_system, "write")
    return any(hasattr(file_system, name) for name in _WRITERS)


def _errno_of(error):
    if isinstance(error, OSError) and error.errno:
        return error.errno
    for kind, number in _ERRNO_OF.items():
        if isinstance(error, kind):
            return number
    sys.excepthook(type(error), error, error.__traceback__)
    return errno.EIO


def _member(value, *names):
    for name in names:
        found = value.get(name) if isinstance(value, dict) else getattr(value, name, None)
        if found is not None:
            return found
    return None


def _type(value):
    if value not in _TYPES:
        raise ValueError(f"no type of a file: {value!r}")
    return _TYPES[value]


class _Answers:
    """Requests of a sandbox as calls of one file system's methods."""

    def __init__(self, file_system, writable):
        self._fs = file_system
        self._writable = writable
        self._whole = ("", b"", 0.0)
        self._changes = None  # a lock of the loop's
        self.lock = threading.Lock()  # forks ask too; functions that wait are called one at a time
        self.is_async = any(inspect.iscoroutinefunction(getattr(file_system, name, None))
                            for name in ("stat", "readdir", "list", "read", "read_file", "write", "write_file"))

    async def answer(self, op, path, offset, argument, count, data):
        """(result, data)"""
        if op in _ASKS or not self.is_async:
            return await self._answer(op, path, offset, argument, count, data)
        # Some are made of several calls.
        if self._changes is None:
            self._changes = asyncio.Lock()
        async with self._changes:
            return await self._answer(op, path, offset, argument, count, data)

    async def _answer(self, op, path, offset, argument, count, data):
        try:
            if op != _READ:
                self._whole = ("", b"", 0.0)
            return await _HANDLERS[op](self, path, offset, argument, count, data)
        except Exception as error:  # noqa: BLE001: whatever it is, the sandbox is told
            return -_errno_of(error), b""

    def _has(self, *names):
        return next((name for name in names if hasattr(self._fs, name)), None)

    async def _do(self, name, *arguments):
        method = getattr(self._fs, name, None)
        if method is None:
            raise OSError(errno.ENOSYS, f"the file system has no {name}")
        result = method(*arguments)
        return await result if inspect.isawaitable(result) else result

    async def _stat(self, path):
        found = await self._do("stat", path)
        if found is None:
            raise FileNotFoundError(path)
        if hasattr(found, "st_mode"):
            return st.S_IFMT(found.st_mode), found.st_mode & 0o777, found.st_size, found.st_mtime_ns
        kind = _type(_member(found, "type"))
        mode = _member(found, "mode", "permissions")
        if mode is None:
            mode = (0o755 if self._writable else 0o555) if kind == st.S_IFDIR else (0o644 if self._writable else 0o444)
        return kind, mode & 0o777, _member(found, "size") or 0, int((_member(found, "mtime") or 0) * _NS)

    async def stat(self, path, *_):
        try:
            facts = await self._stat(path)
        except FileNotFoundError:
            if path:
                raise
            facts = (st.S_IFDIR, 0o755, 0, 0)
        return 0, _STAT.pack(*facts)

    async def readlink(self, path, *_):
        target = os.fsencode(await self._do("readlink", path))
        return len(target), target

    async def _read_whole(self, path, goes_on):
        kept, data, until = self._whole
        if not goes_on or kept != path or until < time.monotonic():
            data = await self._do("read_file", path)
            data = data.encode() if isinstance(data, str) else data
        self._whole = (path, data, time.monotonic() + _KEEP_SECONDS)
        return data

    async def read(self, path, offset, _argument, count, _data):
        if self._has("read"):
            data = await self._do("read", path, offset, count)
        else:
            data = memoryview(await self._read_whole(path, offset > 0))[offset:offset + count]
        return len(data), data

    async def list(self, path, *_):
        packed = []
        for entry in await self._do(self._has("readdir", "list"), path):
            if isinstance(entry, str):
                try:
                    kind = (await self._stat(f"{path}/{entry}" if path else entry))[0]
                except FileNotFoundError:
                    continue
                name = entry
            else:
                name, kind = _member(entry, "name"), _type(_member(entry, "type"))
            raw = os.fsencode(name)
            packed.append(_ENTRY.pack(kind, len(raw)) + raw)
        return 0, b"".join(packed)

    async def _current(self, path):
        return bytes(await self._read_whole(path, False))

    async def write(self, path, offset, _argument, count, data):
        if offset == _APPEND:
            offset = (await self._stat(path))[2]
        if self._has("write"):
            written = await self._do("write", path, data, offset)
            count = count if written is None else written
        else:
            before = (await self._current(path)).ljust(offset, b"\0")
            await self._do("write_file", path, before[:offset] + data + before[offset + count:])
        return count, _END.pack(offset + count)

    async def create(self, path, _offset, argument, *_):
        if st.S_ISDIR(argument):
            await self._make_folder(path, argument & 0o777)
        elif self._has("create_file"):
            await self._do("create_file", path)
        else:
            try:
                await self._stat(path)
            except FileNotFoundError:
                await self._do(*(("write_file", path, b"") if self._has("write_file") else ("write", path, b"", 0)))
            else:
                raise FileExistsError(path)
        return 0, b""

    async def _make_folder(self, path, mode):
        method = getattr(self._fs, "mkdir", None)
        takes_mode = method is not None and "mode" in inspect.signature(method).parameters
        await self._do("mkdir", path, *([mode] if takes_mode else []))

    async def symlink(self, path, _offset, _argument, _count, data):
        await self._do("symlink", os.fsdecode(data), path)
        return 0, b""

    async def unlink(self, path, *_):
        await self._do("unlink", path)
        return 0, b""

    async def rmdir(self, path, *_):
        await self._do("rmdir", path)
        return 0, b""

    async def rename(self, path, _offset, argument, _count, data):
        target = os.fsdecode(data)
        if argument == 1:
            try:
                await self._stat(target)
            except FileNotFoundError:
                pass
            else:
                raise FileExistsError(target)
        await self._do("rename", path, target)
        return 0, b""

    async def truncate(self, path, offset, *_):
        if self._has("truncate"):
            await self._do("truncate", path, offset)
        elif self._has("read_file") and self._has("write_file"):
            before = await self._current(path) if offset else b""
            await self._do("write_file", path, before[:offset].ljust(offset, b"\0"))
        else:
            raise OSError(errno.ENOSYS, "the file system has no truncate")
        return 0, b""

    async def chmod(self, path, _offset, argument, *_):
        await self._do("chmod", path, argument & 0o777)
        return 0, b""

    async def utime(self, path, offset, argument, *_):
        await self._do("utime", path, offset / _NS, argument / _NS)
        return 0, b""


# As src/kernel/control.h counts them.
_READ = 3
_ASKS = (1, 2, _READ, 4)
_HANDLERS = {1: _Answers.stat, 2: _Answers.readlink, _READ: _Answers.read, 4: _Answers.list, 5: _Answers.write, 6: _Answers.create,
             7: _Answers.symlink, 8: _Answers.unlink, 9: _Answers.rmdir, 10: _Answers.rename, 11: _Answers.truncate,
             12: _Answers.chmod, 13: _Answers.utime}


class _Requests:
    """What comes over a connection. It is looked for a moment, as long as that helps, and waited for in poll: a thread that waits in recv
    is also woken up when the other side takes what was sent to it."""

    def __init__(self, connection):
        self._receive_into = connection.recv_into
        self._wait = select.poll()
        self._wait.register(connection, select.POLLIN)
        self._buffer = memoryview(bytearray(_BUFFER))
        self._at = self._end = 0
        self._misses = self._skipped = 0

    def take(self, size):
        """As many bytes; None: it has ended."""
        while self._end - self._at < size:
            if size > _BUFFER or not self._receive():
                return None
        at = self._at
        self._at += size
        return bytes(self._buffer[at:self._at])

    def _receive(self):
        if self._at > 0:
            kept = self._end - self._at
            self._buffer[:kept] = bytes(self._buffer[self._at:self._end])
            self._at, self._end = 0, kept
        got = self._look()
        while got is None:
            self._wait.poll()
            got = self._try()
        self._end += got
        return got

    def _try(self):
        try:
            return self._receive_into(self._buffer[self._end:], 0, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return None

    def _look(self):
        if self._misses >= _MOST_MISSES:
            self._skipped += 1
            if self._skipped % _SELDOM:
                return None
        end = time.monotonic_ns() + _LOOK_NS
        while time.monotonic_ns() < end:
            got = self._try()
            if got is not None:
                self._misses = 0
                return got
        self._misses += 1
        return None


class FileHost:
    """Where the file systems of one daemon's sandboxes are asked: a socket in a folder of this user's. Each sandbox, and each fork,
    has a connection, and each connection a thread. Coroutines run in `loop`, or in one of their own."""

    def __init__(self, loop=None):
        self._loop = loop
        self._lock = threading.Lock()
        self._keys = itertools.count(1)
        self._served = {}
        self._folder = None
        self._listener = None
        self._connections = set()

    def add(self, file_system, writable):
        """What `mount` is told of it."""
        with self._lock:
            if self._listener is None:
                self._listen()
            key = str(next(self._keys))
            self._served[key] = _Answers(file_system, writable)
        return {"socketPath": os.path.join(self._folder, "files"), "key": key}

    def _listen(self):
        self._folder = tempfile.mkdtemp(prefix="cordon-files-")
        if len(self._folder) > _LONGEST_SOCKET:
            os.rmdir(self._folder)
            self._folder = tempfile.mkdtemp(prefix="cordon-files-", dir="/tmp")
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(os.path.join(self._folder, "files"))
        self._listener.listen(256)
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def _accept(self, listener):
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return  # closed
            with self._lock:
                if self._listener is not listener:
                    connection.close()
                    return
                self._connections.add(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        try:
            self._answer_all(connection, _Requests(connection))
        except OSError:
            pass  # the sandbox, or this program's side of it, has ended
        finally:
            with self._lock:
                self._connections.discard(connection)
            connection.close()

    def _answer_all(self, connection, requests):
        answers = None
        sending = threading.Lock()

        def send(number, answer):
            result, data = answer
            with sending:
                connection.sendall(_ANSWER.pack(_ANSWER.size - 4 + len(data), number, result) + data)

        while True:
            head = requests.take(_REQUEST.size)
            if head is None:
                return
            size, number, op, path_bytes, offset, argument, count, _ = _REQUEST.unpack(head)
            rest = requests.take(size + 4 - _REQUEST.size)
            if rest is None:
                return
            path = os.fsdecode(rest[:path_bytes])
            if op == 0:
                with self._lock:
                    answers = self._served.get(path)
                if answers is None:
                    return
                continue
            if op not in _HANDLERS:
                send(number, (-errno.ENOSYS, b""))
                continue
            going = answers.answer(op, path, offset, argument, count, rest[path_bytes:])
            if answers.is_async:
                done = asyncio.run_coroutine_threadsafe(going, self._running_loop())
                done.add_done_callback(lambda future, number=number: self._send_done(send, number, future))
            else:
                with answers.lock:
                    answer = _run(going)
                send(number, answer)

    @staticmethod
    def _send_done(send, number, future):
        try:
            send(number, (-errno.EIO, b"") if future.cancelled() else future.result())
        except OSError:
            pass  # nobody is there any more

    def _running_loop(self):
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                threading.Thread(target=self._loop.run_forever, daemon=True).start()
            return self._loop

    def close(self):
        with self._lock:
            listener, self._listener = self._listener, None
            connections, self._connections = self._connections, set()
            folder, self._folder = self._folder, None
        if listener is None:
            return
        for one in (listener, *connections):
            try:
                one.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # it is not connected any more
        listener.close()
        shutil.rmtree(folder, ignore_errors=True)


def _run(coroutine):
    """A coroutine that awaits nothing, to its end."""
    try:
        coroutine.send(None)
    except StopIteration as ended:
        return ended.value
    coroutine.close()
    return -errno.EIO, b""

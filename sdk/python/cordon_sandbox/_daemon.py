"""A daemon and the requests to it, for programs that wait."""

import contextlib
import itertools
import json
import queue
import socket
import subprocess
import threading

from . import _channel as channel
from . import _protocol as protocol
from .extensions import SyncHost
from .virtual import FileHost


class Daemon:
    """One `cordon serve`, its own or one at a socket. Any thread may ask; one reads the answers."""

    def __init__(self, options, *arguments):
        self._process = None
        if options.socket is not None:
            self._socket = channel.connect(options.socket)
        else:
            self._start(options.program, arguments)
        self._incoming = channel.Incoming(self._socket)
        self._takers = set()  # requests whose answer brings a descriptor
        self._ids = itertools.count(1)
        self._lock = threading.Lock()
        self._answers = {}
        self._listeners = {}
        self._early = {}
        self._auditors = {}  # of each sandbox
        self._audit_lock = threading.Lock()  # while one is told
        self._dead = False
        self._users = 1  # a sandbox and its forks
        self.extensions = SyncHost(self._send, self.call)
        self.virtual = FileHost()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _start(self, program, arguments):
        self._socket, theirs = channel.open_pair()
        try:
            with theirs:
                self._process = subprocess.Popen([protocol.find_program(program), "serve", "--stdio", *arguments], stdin=theirs, stdout=theirs)
        except BaseException:
            self._socket.close()
            raise

    def _read(self):
        while True:
            lines = self._incoming.receive()
            if lines is None:
                break
            for line in lines:
                self._take(json.loads(line))
        self._incoming.close()
        with self._lock:
            self._dead = True
            waiting = list(self._answers.values()) + list(self._listeners.values())
            self._answers.clear()
        for one in waiting:
            one.put(None)

    def _take(self, message):
        if "method" in message:
            self._notify(message)
            return
        request_id = message.get("id")
        with self._lock:
            waiting = self._answers.pop(request_id, None)
            is_taker = request_id in self._takers
            self._takers.discard(request_id)
        if is_taker and "result" in message:
            message["file"] = self._incoming.take_file()
        if waiting is not None:
            waiting.put(message)

    def _notify(self, message):
        params = message["params"]
        if message["method"].startswith("extension."):
            self.extensions.take(message)
            return
        if message["method"] == "persistence.failed":
            protocol.warn_of_failed_save(params)
            return
        if message["method"] == "audit":
            self._tell_auditor(params)
            return
        key = protocol.listener_key(params)
        with self._lock:
            listener = self._listeners.get(key)
            if listener is None:
                # A process may speak before its number was told, and a directory change.
                if key[0] in ("process", "watch"):
                    self._early.setdefault(key, []).append(message)
                return
        listener.put(message)

    def _tell_auditor(self, event):
        with self._audit_lock:
            with self._lock:
                callback = self._auditors.get(event["sessionId"])
                if callback is None:
                    # It is told of before whoever made it knows its number.
                    self._early.setdefault(("audit", event["sessionId"]), []).append(event)
            if callback is not None:
                protocol.tell(callback, event)

    def audit(self, sandbox_id, callback):
        with self._audit_lock:
            with self._lock:
                self._auditors[sandbox_id] = callback
                early = self._early.pop(("audit", sandbox_id), ())
            for event in early:
                protocol.tell(callback, event)

    def listen(self, key, listener):
        with self._lock:
            self._listeners[key] = listener
            for message in self._early.pop(key, ()):
                listener.put(message)

    def forget(self, key):
        with self._lock:
            self._listeners.pop(key, None)

    def start(self, method, params, listener=None, gives=None, takes=False):
        """Sends a request, with a descriptor if it gives one; its answer comes through the queue that is returned."""
        protocol.refuse_in_callback()
        answer = listener if listener is not None else queue.Queue()
        with self._lock:
            if self._dead:
                raise protocol.SandboxError("the daemon has ended")
            request_id = next(self._ids)
            line = memoryview(protocol.encode(request_id, method, params))
            self._answers[request_id] = answer
            if listener is not None:
                self._listeners[("request", request_id)] = listener
            if takes:
                self._takers.add(request_id)
            try:
                self._socket.sendall(line if gives is None else line[channel.send_some(self._socket, line, gives):])
            except OSError as error:  # it has ended, or is closed
                raise protocol.SandboxError("the daemon has ended") from error
        return request_id, answer

    def _send(self, line):
        with self._lock:
            if self._dead:
                return
            try:
                self._socket.sendall(line)
            except OSError:
                pass  # it has ended, or is closed

    def call(self, method, params):
        _, answer = self.start(method, params)
        return protocol.result_of(answer.get())

    def join(self):
        with self._lock:
            self._users += 1

    def leave(self):
        """True: that was the last one."""
        with self._lock:
            self._users -= 1
            return self._users == 0

    def close(self):
        with contextlib.suppress(OSError):  # it has ended
            self._socket.shutdown(socket.SHUT_RDWR if self._process is None else socket.SHUT_WR)
        if self._process is not None:
            self._process.wait()
        self._reader.join()
        self._socket.close()
        self.virtual.close()

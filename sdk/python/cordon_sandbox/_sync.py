"""Sandboxes for programs that wait."""

import contextlib
import os

from . import _channel as channel
from . import _protocol as protocol
from . import mounts as _mounts
from ._commands import Commands, Process
from ._daemon import Daemon
from ._options import Options, SandboxInfo
from ._packages import Packages
from ._watch import Watch

__all__ = ["Files", "Process", "Sandbox", "Sandboxes"]


class Files:
    def __init__(self, sandbox):
        self._sandbox = sandbox

    def read(self, path, *, offset=0, length=None, format="bytes", stream=False):
        """Bytes; with the format "text", what they are in UTF-8; with "stream", or `stream`, what read_stream gives."""
        if stream or format == "stream":
            return self.read_stream(path, offset=offset, length=length)
        data = b"".join(self.read_stream(path, offset=offset, length=length, piece_bytes=protocol.MAX_READ))
        return data.decode("utf-8", "replace") if format == "text" else data

    def read_stream(self, path, *, offset=0, length=None, piece_bytes=protocol.STREAM_PIECE):
        """Bytes in pieces, asked for one after the other, one ahead of whoever reads. Of a file that is replaced meanwhile, what comes
        later is the new one's."""
        end = None if length is None else offset + length
        def most(at):
            return min(piece_bytes, protocol.MAX_READ) if end is None else min(piece_bytes, protocol.MAX_READ, end - at)
        def ask(at):
            return self._sandbox._start("files.read", {"path": path, "offset": at, "length": most(at)})[1] if most(at) > 0 else None
        answer = ask(offset)
        while answer is not None:
            piece = protocol.get_bytes(protocol.result_of(answer.get()), "data")
            is_last = len(piece) < most(offset)
            offset += len(piece)
            answer = None if is_last else ask(offset)
            if piece:
                yield piece

    def write(self, path, data, *, mode=None, append=False):
        """`data`: text, bytes, a file object, or anything that gives either in pieces. It has its place when it has ended, and leaves
        nothing if it fails."""
        pieces = iter(protocol.whole_pieces(data) if protocol.is_whole(data) else protocol.stream_pieces(data))
        requests = protocol.WriteRequests(path, mode, append)
        first, following = next(pieces), next(pieces, None)
        try:
            self._sandbox._call(*requests.first(first, following is None))
            while following is not None:
                self._sandbox._call(*requests.next(following))
                following = next(pieces, None)
            for request in requests.end():
                self._sandbox._call(*request)
        except BaseException:
            for request in requests.give_up():
                with contextlib.suppress(protocol.SandboxError):
                    self._sandbox._call(*request)
            raise

    def list(self, path):
        return [protocol.FileInfo(entry) for entry in self._sandbox._call("files.list", {"path": path})["entries"]]

    def stat(self, path):
        return protocol.FileInfo(self._sandbox._call("files.stat", {"path": path}), path.rstrip("/").rpartition("/")[2])

    get_info = stat

    def exists(self, path):
        try:
            self.stat(path)
        except protocol.RpcError as error:
            if error.errno in ("ENOENT", "ENOTDIR"):
                return False
            raise
        return True

    def mkdir(self, path, *, mode=0o755):
        self._sandbox._call("files.mkdir", {"path": path, "mode": mode})

    make_dir = mkdir

    def rm(self, path):
        self._sandbox._call("files.rm", {"path": path})

    remove = rm

    def rename(self, old, new):
        self._sandbox._call("files.rename", {"from": old, "to": new})

    def copy(self, old, new):
        self._sandbox._call("files.copy", {"from": old, "to": new})

    def symlink(self, target, path):
        self._sandbox._call("files.symlink", {"target": target, "path": path})

    def chmod(self, path, mode):
        self._sandbox._call("files.chmod", {"path": path, "mode": mode})

    def watch(self, path, *, recursive=False):
        """A Watch of a directory in whose path are no links. Events come together, a moment after what they tell of."""
        params = {"path": path, "recursive": recursive}
        return Watch(self._sandbox._daemon, self._sandbox._call("files.watch", params)["watchId"])

    watch_dir = watch

    def pack(self, path):
        """The directory's contents as a tar."""
        return self._sandbox._take_blob(self._sandbox._call("files.pack", {"path": path}))

    def unpack(self, path, data):
        """A tar, plain or compressed by gzip or zstd, into the directory."""
        blob = self._sandbox._give_blob(data)
        return protocol.ImportReport(self._sandbox._call("files.unpack", {"path": path, "blobId": blob}))


class Sandboxes:
    """Other sandboxes of the same daemon, made as this one was."""

    def __init__(self, sandbox):
        self._sandbox = sandbox

    def create(self, label=None, **options):
        daemon = self._sandbox._daemon
        if daemon is None:
            raise protocol.SandboxError("Sandbox has been destroyed")
        daemon.join()
        return Sandbox._on(daemon, self._sandbox._options.other(label=label, **options))

    def list(self):
        return [SandboxInfo(entry) for entry in self._sandbox._call("sandbox.list", {})["sandboxes"]]

    def list_saved(self):
        """What is saved in the daemon's folder for states: dicts of "namespace", "sizeBytes", "savedMs", "inUse" and, of a sandbox of
        yours that has it now, "sandboxId"."""
        return self._sandbox._call("persistence.list", {})["namespaces"]

    def delete_saved(self, namespace):
        """Nothing of it is left. Refused while a sandbox has it."""
        self._sandbox._call("persistence.delete", {"namespace": namespace})

    def usage(self):
        """Of all of the daemon; but for "sandboxes" only where it has a limit for all together."""
        return self._sandbox._call("usage.total", {})

    def version(self):
        """"version" of the daemon and "protocol"."""
        return self._sandbox._call("version", {})

    def remove(self, sandbox_id):
        self._sandbox._daemon.call("sandbox.remove", {"sandboxId": sandbox_id})


class Sandbox:
    """A sandbox with a shell that lives. Use it as a context manager, or destroy it. Keywords: see Options.

    `persistence`: {"mode": "session"} is saved and loaded on request, {"mode": "persistent"} loaded at once and saved while things
    happen ("autosave_ms") and at the end; each in a "namespace" that one sandbox has at a time.

    `package_policy`: {"enabled": True, "allowed_hosts": [...], ...}, what may be installed (docs/packages.md). Nothing, by default.
    """

    def __init__(self, **options):
        options = Options(**options)
        self._open(Daemon(options), options)

    @classmethod
    def create(cls, **options):
        return cls(**options)

    @classmethod
    def connect(cls, sandbox_id, *, socket, storage=None):
        """One that is detached, of the daemon at that socket. What is said of it when it is made is not said again."""
        options = Options(socket=socket, detached=True, storage=storage)
        daemon = Daemon(options)
        try:
            protocol.check_listed(sandbox_id, daemon.call("sandbox.list", {}))
        except BaseException:
            daemon.close()
            raise
        sandbox = cls.__new__(cls)
        sandbox._begin(daemon, sandbox_id, options)
        return sandbox

    @classmethod
    def _on(cls, daemon, options):
        """Of a daemon that counts it among its users already."""
        sandbox = cls.__new__(cls)
        sandbox._open(daemon, options)
        return sandbox

    def _open(self, daemon, options):
        self._daemon = None
        try:
            self._begin(daemon, daemon.call("create", options.params())["sandboxId"], options)
        finally:
            if self._daemon is None and daemon.leave():
                daemon.close()
        try:
            for mount in _mounts.described(options.mounts):
                self.mount(**mount)
            if options.extensions:
                self.register_extensions(options.extensions)
        except BaseException:
            self.destroy()
            raise

    def _begin(self, daemon, sandbox_id, options):
        self._id = sandbox_id
        self._options = options
        self._is_saved = options.is_saved
        self._is_away = False
        self._at_end = None
        self.commands = Commands(self)
        self.files = Files(self)
        self.sandboxes = Sandboxes(self)
        self.packages = Packages(self)
        self._daemon = daemon
        if options.on_audit_event is not None:
            daemon.audit(sandbox_id, options.on_audit_event)

    @property
    def session_id(self):
        return self._id

    sandbox_id = session_id

    @property
    def label(self):
        return self._options.label

    def is_running(self):
        """Whether it is there and answers."""
        try:
            self.usage()
        except protocol.SandboxError:
            return False
        return True

    def mount(self, path, files=None, **options):
        """`files`: in memory, by paths below `path`, or an object that answers (virtual.py). `host_path`: a directory of the host.
        `writable`; of an object also `timeout_ms` of an answer and `cache_ms`, for which it may be believed."""
        _mounts.run(self._call, self._daemon.virtual, path, files, **options)

    def unmount(self, path):
        """What was there before is seen again."""
        self._call("unmount", {"path": path})

    def register_extensions(self, extensions):
        """More commands that this program serves (see `Extension`); their names. Later forks have them too."""
        return self._daemon.extensions.register(self._id, extensions)

    def remove_extension(self, name):
        self._daemon.extensions.remove(self._id, name)

    def list_extensions(self):
        """All that the sandbox has, whoever serves them: dicts of "name", "description", …"""
        return self._call("extension.list", {})["extensions"]

    def _start(self, method, params, listener=None, **files):
        if self._daemon is None:
            raise protocol.SandboxError("Sandbox has been destroyed")
        return self._daemon.start(method, dict(params, sandboxId=self._id), listener, **files)

    def _call(self, method, params, **files):
        return protocol.result_of(self._start(method, params, **files)[1].get())

    def set_env(self, name, value):
        self._call("env.set", {"name": name, "value": value})

    def get_env(self, name):
        result = self._call("env.get", {"name": name})
        return None if result["value"] is None else protocol.get_bytes(result, "value").decode("utf-8", "surrogateescape")

    def history(self):
        return self._call("shell.history.list", {})["entries"]

    def clear_history(self):
        self._call("shell.history.clear", {})

    def usage(self):
        return self._call("usage", {})

    def _take_blob(self, report):
        if channel.HAS_DESCRIPTORS:
            try:
                file = protocol.file_of(self._start("blob.take", {"blobId": report["blobId"]}, takes=True)[1].get())
            finally:
                self._call("blob.free", {"blobId": report["blobId"]})
            return protocol.whole_archive(channel.read_whole(file, report["size"]), report)
        data = bytearray()
        while len(data) < report["size"]:
            piece = protocol.get_bytes(self._call(
                "blob.read", {"blobId": report["blobId"], "offset": len(data)}), "data")
            if not piece:
                raise protocol.SandboxError("an archive was cut")
            data += piece
        self._call("blob.free", {"blobId": report["blobId"]})
        return bytes(data)

    def _give_blob(self, data):
        if channel.HAS_DESCRIPTORS:
            file = channel.seal(data)
            try:
                return self._call("blob.give", {}, gives=file)["blobId"]
            finally:
                os.close(file)
        blob = 0
        for piece in protocol.blob_pieces(data):
            blob = self._call("blob.write", {"blobId": blob, "dataBase64": piece})["blobId"]
        return blob

    def export_state(self):
        """Files, variables, functions, aliases, directory and history, as an OCI image in a tar."""
        return self._take_blob(self._call("persistence.export", {}))

    def import_state(self, data, *, mode="replace"):
        """`mode`: "replace" or "merge". The report names what was left out."""
        blob = self._give_blob(data)
        return protocol.ImportReport(self._call("persistence.import", {"blobId": blob, "mode": mode}))

    def save_state(self):
        """Into the namespace of `persistence`; False: nothing was new."""
        return self._call("persistence.save", {})["changed"]

    def load_state(self):
        """Files and session become what was saved last. False: nothing was."""
        return self._call("persistence.load", {})["loaded"]

    def clear_persisted_state(self):
        self._call("persistence.clear", {})

    def fork(self, count=None):
        """A copy in the middle of what it does: both go on, independently. The end of one does not touch the other.

        With `count` a list of so many, each with its own answer: what could not be made is an RpcError, and the others are there.
        """
        if count is None:
            return self._forked(self._call("sandbox.fork", {"detached": self._options.detached})["sandboxId"])
        answers = self._call("sandbox.fork", {"count": count, "detached": self._options.detached})["forks"]
        return [protocol.error_of(one) if "error" in one else self._forked(one["sandboxId"]) for one in answers]

    def _forked(self, sandbox_id):
        daemon = self._daemon
        daemon.join()
        forked = Sandbox.__new__(Sandbox)
        forked._begin(daemon, sandbox_id, self._options.other())
        daemon.extensions.copy(self._id, sandbox_id)
        return forked

    def suspend(self):
        """Everything stands still, and what is asked waits, until resume. No time passes for what runs."""
        self._call("sandbox.suspend", {})

    pause = suspend

    def resume(self):
        self._call("sandbox.resume", {})

    def offload(self):
        """Gives files and session to the callback storage.save and ends all processes, until rehydrate."""
        if self._is_away:
            return
        save = self._options.storage_function("save")
        report = self._call("offload", {})
        try:
            save(self._id, self._take_blob(report))
            self._is_away = True
        finally:
            self._call("offload.end", {"kept": self._is_away})

    def rehydrate(self):
        """Takes them back from storage.load. One that fails may be tried again."""
        if not self._is_away:
            return
        state = self._options.storage_function("load")(self._id)
        self._call("rehydrate", {})
        self.import_state(state, mode="merge")
        self._is_away = False

    def snapshot(self, name=None):
        """Stores the files and the session's shell; what restore wants. Waits until no command runs in the session."""
        return self._call("snapshot.create", {} if name is None else {"name": name})["snapshotId"]

    def restore(self, snapshot_id):
        """Everything that runs ends; files and shell are as they were."""
        self._call("snapshot.restore", {"snapshotId": snapshot_id})

    def snapshots(self):
        return self._call("snapshot.list", {})["snapshots"]

    create_snapshot = snapshot
    list_snapshots = snapshots

    def delete_snapshot(self, snapshot_id):
        self._call("snapshot.delete", {"snapshotId": snapshot_id})

    def destroy(self):
        protocol.refuse_in_callback()
        daemon, self._daemon = self._daemon, None
        if daemon is None:
            return
        daemon.extensions.forget(self._id)
        is_last = daemon.leave()
        is_heard = self._is_saved or self._options.on_audit_event is not None or self._options.socket is not None
        try:
            if is_heard or not is_last:
                daemon.call("sandbox.destroy", {"sandboxId": self._id})
        except protocol.SandboxError:
            # It had ended already; but what was not saved has to be known.
            if self._is_saved:
                raise
        finally:
            if is_last:
                daemon.close()
            if self._at_end is not None:
                self._at_end(self)

    kill = destroy

    def disconnect(self):
        """Leaves a detached one to itself."""
        protocol.refuse_in_callback()
        self._options.refuse_unless_detached()
        daemon, self._daemon = self._daemon, None
        if daemon is None:
            return
        daemon.extensions.forget(self._id)
        if daemon.leave():
            daemon.close()
        if self._at_end is not None:
            self._at_end(self)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self._options.detached:
            self.disconnect()
        else:
            self.destroy()

"""What is mounted in a sandbox: files in memory, directories of the host, and file systems of this program (virtual.py).

    Sandbox(mounts=[{"path": "/mnt/tools", "files": {"run.sh": b"echo hi"}},                       # nobody there can change it
                    {"path": "/mnt/src", "host_path": "/home/me/src", "writable": True},
                    {"path": "/mnt/notes", "files": Notes(), "cache_ms": 1000}])                   # an object that answers
"""

from . import _protocol as protocol
from . import virtual

MAX_PIECE = 4 << 20


def described(mounts):
    """Mounts as keywords of `mount`: those, pairs of a path and files, or {path: files}."""
    if isinstance(mounts, dict):
        mounts = list(mounts.items())
    return [dict(one) if isinstance(one, dict) else {"path": one[0], "files": one[1]} for one in mounts]


def requests(host, path, files=None, *, host_path=None, writable=None, timeout_ms=None, cache_ms=None):
    """A mount as requests. A generator: it is sent the answer of each."""
    if (files is None) == (host_path is None):
        raise TypeError(f"mount {path}: files or host_path")
    if virtual.is_file_system(files):
        writable = virtual.is_writable(files) if writable is None else writable
        params = {"path": path, "writable": writable, **host.add(files, writable)}
        for name, value in (("timeoutMs", timeout_ms), ("cacheMs", cache_ms)):
            if value is not None:
                params[name] = value
        yield "mount", params
        return
    writable = bool(writable)
    if host_path is not None:
        yield "mount", {"path": path, "hostPath": str(host_path), "writable": writable}
        return
    raw = {name: data.encode("utf-8") if isinstance(data, str) else bytes(data) for name, data in files.items()}
    # In pieces, whatever its size; seen when all of it is there.
    if writable:
        yield "mount", {"path": path, "files": {}, "writable": True}
        for name, data in raw.items():
            for at in range(0, max(len(data), 1), MAX_PIECE):
                params = {"path": path.rstrip("/") + "/" + name, "append": at > 0}
                protocol.put_bytes(params, "data", data[at:at + MAX_PIECE])
                yield "files.write", params
        return
    stage = (yield "mount.stage", {"name": ""})["stageId"]
    for name, data in raw.items():
        for at in range(0, max(len(data), 1), MAX_PIECE):
            params = {"stageId": stage, "name": name, "offset": at}
            protocol.put_bytes(params, "data", data[at:at + MAX_PIECE])
            yield "mount.stage", params
    yield "mount", {"path": path, "stageId": stage}


def run(call, *arguments, **options):
    """`call(method, params)` waits for the answer."""
    steps = requests(*arguments, **options)
    answer = None
    while True:
        try:
            method, params = steps.send(answer)
        except StopIteration:
            return
        answer = call(method, params)


async def run_async(call, *arguments, **options):
    """The same for a coroutine function."""
    steps = requests(*arguments, **options)
    answer = None
    while True:
        try:
            method, params = steps.send(answer)
        except StopIteration:
            return
        answer = await call(method, params)

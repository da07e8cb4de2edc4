"""What is mounted in a sandbox: files in memory and directories of the host.

    Sandbox(mounts=[{"path": "/mnt/tools", "files": {"run.sh": b"echo hi"}},                       # nobody there can change it
                    {"path": "/mnt/src", "host_path": "/home/me/src", "writable": True}])
"""

from . import _protocol as protocol

MAX_PIECE = 4 << 20


def requests(path, files=None, *, host_path=None, writable=False):
    """A mount as requests. A generator: it is sent the answer of each."""
    if (files is None) == (host_path is None):
        raise TypeError(f"mount {path}: files or host_path")
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

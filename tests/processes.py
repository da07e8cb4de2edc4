"""Processes of the host, for tests that look whether anything is left of a sandbox; and what one draws on a terminal."""
import os
import pathlib
import socket
import subprocess
import time

# A command that leaves its parent and its session.
DAEMONIZED = ("python3 -c 'import os, sys; os.fork() and os._exit(0); os.setsid(); os.fork() and os._exit(0); "
              "os.execvp(sys.argv[1], sys.argv[1:])'")


def _children_of_all():
    """Of each process of the host, as it is seen in passing."""
    children = {}
    for entry in pathlib.Path("/proc").iterdir():
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
            children.setdefault(int(fields[1]), []).append(int(entry.name))
        except (OSError, ValueError, IndexError):
            continue
    return children


def children(pid):
    return _children_of_all().get(pid, [])


def descendants(pid):
    """All of them."""
    children_of, found, queue = _children_of_all(), [], [pid]
    while queue:
        here = children_of.get(queue.pop(), [])
        found += here
        queue += here
    return found


def alive(pid):
    """Not gone, and none that only waits to be reaped."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def eventually(condition, seconds=20):
    """What it returns once that is true, or after that time."""
    end = time.monotonic() + seconds
    while not (value := condition()) and time.monotonic() < end:
        time.sleep(0.02)
    return value


def answers(path):
    """Somebody listens at that socket: it is there a moment before."""
    with socket.socket(socket.AF_UNIX) as client:
        return client.connect_ex(str(path)) == 0


def wait_until_gone(pids, seconds=10):
    """Those that are still alive after that time."""
    eventually(lambda: not any(alive(pid) for pid in pids), seconds)
    return [pid for pid in pids if alive(pid)]


def drawn(command, **options):
    """(exit status, what it writes to its standard output, which is a terminal)."""
    ours, theirs = os.openpty()
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=theirs, **options)
    os.close(theirs)
    text = b""
    try:
        while part := os.read(ours, 65536):
            text += part
    except OSError:  # EIO: nobody has it open any more
        pass
    os.close(ours)
    return process.wait(timeout=30), text.decode().replace("\r\n", "\n")

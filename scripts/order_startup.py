#!/usr/bin/env python3
"""Which functions a start goes through, in the order of the file: order_startup.py > src/cli/startup_order.txt

Runs build/cordon instruction by instruction (ptrace(2); minutes) for the commands that must start quickly, and prints the symbols
that were reached. The linker puts these next to each other (--symbol-ordering-file): a start then touches a dozen pieces of the
file in place of a hundred. A list that is out of date costs time at the start and nothing else; make it again when starts
became slower.
"""
import bisect
import ctypes
import os
import pathlib
import signal
import subprocess
import sys
import tempfile

CORDON = pathlib.Path(__file__).resolve().parent.parent / "build" / "cordon"
COMMANDS = (["run", "--wall", "native", "--", "true"], ["run", "--", "true"])

TRACEME, PEEKUSER, SINGLESTEP, DETACH, SETOPTIONS = 0, 3, 9, 17, 0x4200
FORKS, EXEC = 0x2 | 0x4 | 0x8, 0x10  # PTRACE_O_TRACEFORK, …VFORK, …CLONE; …EXEC
ALL = 0x40000000  # __WALL
RIP = 16 * 8  # in struct user, sys/user.h
libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.restype = ctypes.c_long
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]


def addresses(command):
    """Of the first process and of each that it starts, until it executes: its instructions, each once, as they are reached first."""
    child = os.fork()
    if child == 0:
        null = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(null, stream)
        libc.ptrace(TRACEME, 0, None, None)
        os.execv(CORDON, [CORDON, *command])
    seen = {child: {}}
    while True:
        pid, status = os.waitpid(-1, ALL)
        if os.WIFEXITED(status) or os.WIFSIGNALED(status):
            if pid == child:
                break
            continue
        number, event = os.WSTOPSIG(status), status >> 16
        if not seen[child]:
            libc.ptrace(SETOPTIONS, child, None, FORKS | EXEC)
        elif event and 1 << event == EXEC:
            libc.ptrace(DETACH, pid, None, None)
            continue
        seen.setdefault(pid, {}).setdefault(libc.ptrace(PEEKUSER, pid, RIP, None))
        libc.ptrace(SINGLESTEP, pid, None, None if number in (signal.SIGTRAP, signal.SIGSTOP) else number)
    if status != 0:
        sys.exit(f"order_startup.py: {' '.join(command)} ended with {status}")
    return seen.values()


def main():
    symbols = []
    for line in subprocess.run(["nm", "--defined-only", "-n", CORDON], check=True, capture_output=True, text=True).stdout.splitlines():
        address, kind, name = line.split(" ", 2)
        if kind in "tTwWiV":
            symbols.append((int(address, 16), name))
    starts = [address for address, _ in symbols]
    processes = []
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        for command in COMMANDS:
            for process in addresses(command):
                reached = (bisect.bisect_right(starts, address) - 1 for address in process if starts[0] <= address <= starts[-1])
                processes.append({symbols[at][1]: None for at in reached})
    # Those of the same processes lie together, what most of them go through first.
    reached_by = {name: [i for i, other in enumerate(processes) if name in other] for process in processes for name in process}
    print("\n".join(sorted(reached_by, key=lambda name: (-len(reached_by[name]), reached_by[name]))))


if __name__ == "__main__":
    main()

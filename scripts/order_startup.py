#!/usr/bin/env python3
"""Which functions a start goes through, in their order: order_startup.py > src/cli/startup_order.txt

Runs build/cordon instruction by instruction (ptrace(2); minutes) for the commands that must start quickly, and prints the symbols
that were reached. The linker puts these next to each other (--symbol-ordering-file): a start then touches a dozen pieces of the
file in place of a hundred. A list that is out of date costs time at the start and nothing else; make it again when starts
became slower.
"""
import bisect
import ctypes
import os
import pathlib
import subprocess
import sys
import tempfile

CORDON = pathlib.Path(__file__).resolve().parent.parent / "build" / "cordon"
COMMANDS = (["run", "--wall", "native", "--", "true"], ["run", "--", "true"])

TRACEME, PEEKUSER, SINGLESTEP = 0, 3, 9
RIP = 16 * 8  # in struct user, sys/user.h
libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.restype = ctypes.c_long
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]


def addresses(command):
    """Of the first process's instructions, each once, as they are reached first."""
    child = os.fork()
    if child == 0:
        null = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(null, stream)
        libc.ptrace(TRACEME, 0, None, None)
        os.execv(CORDON, [CORDON, *command])
    seen = {}
    while True:
        _, status = os.waitpid(child, 0)
        if os.WIFEXITED(status) or os.WIFSIGNALED(status):
            break
        seen.setdefault(libc.ptrace(PEEKUSER, child, RIP, None))
        number = os.WSTOPSIG(status)
        libc.ptrace(SINGLESTEP, child, None, None if number == 5 else number)
    if status != 0:
        sys.exit(f"order_startup.py: {' '.join(command)} ended with {status}")
    return seen


def main():
    symbols = []
    for line in subprocess.run(["nm", "--defined-only", "-n", CORDON], check=True, capture_output=True, text=True).stdout.splitlines():
        address, kind, name = line.split(" ", 2)
        if kind in "tTwWiV":
            symbols.append((int(address, 16), name))
    starts = [address for address, _ in symbols]
    names = {}
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        for command in COMMANDS:
            for address in addresses(command):
                at = bisect.bisect_right(starts, address) - 1
                if at >= 0 and address <= starts[-1]:
                    names.setdefault(symbols[at][1])
    print("\n".join(names))


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Native code in a guest process tries to leave: each attempt of tests/escape/attempts.cc, in a sandbox of its own.

A template that has one import more takes the place of cordon-template, everything else is the product.
"""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = pathlib.Path(os.environ.get("CORDON_BUILD", ROOT / "build"))
MODULE = """(module
  (import "escape" "attempt" (func $attempt (param i32) (result i32)))
  (import "cordon" "exit_group" (func $exit (param i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 64) "NAME\\00")
  (func (export "_start")
    (drop (call $exit (i32.and (call $attempt (i32.const 64)) (i32.const 127))))))
"""
# What must be seen besides the end by the filter: exit status, and what standard error says.
OTHERWISE = {
    "clone3": (-38 & 127, r"^$"),  # ENOSYS: the C library then uses clone
    "write-userland": (125, r"sandbox ended: a fault in the kernel"),
    "write-code": (125, r"sandbox ended: a fault in the kernel"),
    "beyond-control": (125, r"sandbox ended: a fault in the kernel"),
    "take-memory": (137, r"^cordon: limit memory 256 MiB\n$"),
    "take-memory-in-thread": (137, r"^cordon: limit memory 256 MiB\n$"),
    "damage-rings": (125, r"sandbox ended: its control page is damaged"),
    "lie-about-processes": (None, r""),
    "damage-arena": (125, r"sandbox ended|does not answer"),
}


def names():
    source = (ROOT / "tests/escape/attempts.cc").read_text()
    return re.findall(r'^    \{"([a-z0-9-]+)"', source, re.M)


def attempt(folder, name):
    text = folder / "m.wat"
    text.write_text(MODULE.replace("NAME", name))
    subprocess.run(["wat2wasm", text, "-o", folder / "m.wasm"], check=True)
    environment = {"PATH": os.environ["PATH"], "HOME": "/nowhere", "XDG_CACHE_HOME": str(BUILD / "tests")}
    done = subprocess.run([folder / "cordon", "run", "--memory", "256MiB", "--timeout", "20s", "--run-module", folder / "m.wasm"],
                          stdin=subprocess.DEVNULL, capture_output=True, timeout=60, env=environment)
    error = done.stderr.decode(errors="replace")
    status, pattern = OTHERWISE.get(name, (125, r"^cordon: sandbox ended: a process made a system call that the filter forbids\n$"))
    if status is not None and done.returncode != status or not re.search(pattern, error):
        return f"exit {done.returncode}, expected {status}; stderr {error!r}"
    return None


def main():
    passed = failed = 0
    with tempfile.TemporaryDirectory(dir=BUILD / "tests") as name:
        folder = pathlib.Path(name)
        os.link(BUILD / "cordon", folder / "cordon")
        shutil.copy(BUILD / "tests/cordon-template-escape", folder / "cordon-template")
        for program in ("cordon-compile", "userland.img"):
            (folder / program).symlink_to(BUILD / program)
        for attempted in names():
            wrong = attempt(folder, attempted)
            passed, failed = passed + (not wrong), failed + bool(wrong)
            print(f"{'FAIL' if wrong else 'ok  '} escape: {attempted}" + (f"\n     {wrong}" if wrong else ""), flush=True)
    # The host is as it was, and the next sandbox too.
    done = subprocess.run([BUILD / "cordon", "run", "--", "echo", "next"], capture_output=True, timeout=20)
    passed, failed = (passed + 1, failed) if done.stdout == b"next\n" else (passed, failed + 1)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

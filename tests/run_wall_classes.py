#!/usr/bin/env python3
"""What a hostile program asks of the kernel, behind the native wall, bubblewrap and podman, side by side: run_wall_classes.py

One row for each attack of walls/kernel_attacks.c, by its class (docs/threat-model.md), with what each wall does: it is seen to work outside first,
where that is possible. As root, and but for podman as an ordinary user. The table of the threat model is held against this one.
"""
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from native_world import BUILD, ROOT, USER  # noqa: E402
from run_walls import PREPARE, Skipped, Walls  # noqa: E402

PROGRAM = BUILD / "tests" / "cordon-kernel-attacks"
WALLS = ("native", "bwrap", "podman")
ALWAYS, AS_ROOT, NEVER = "always", "as root", "never"

# Class, attack, its argument, who can do it outside, what it is, and the walls behind which it works.
ROWS = [
    (19, "abstract", "{abstract}", ALWAYS, "an abstract socket of the host", ()),
    (20, "descriptor", "{descriptor}", ALWAYS, "a descriptor that the caller had open", ()),
    (27, "first", "exe", NEVER, "the first process's program", ("bwrap", "podman")),
    (27, "first-fd", "", NEVER, "a descriptor of the first process", ("bwrap", "podman")),
    (35, "type", "", AS_ROOT, "typing into a terminal (TIOCSTI)", ("podman",)),
    (36, "type-high", "", AS_ROOT, "the same with bits above the 32", ("podman",)),
    (37, "x32", "", NEVER, "calls by the x32 entry", ()),
    (37, "i386", "", ALWAYS, "calls by the i386 entry", ("podman",)),
    (38, "io-uring", "", ALWAYS, "io_uring", ()),
    (40, "trace", "", ALWAYS, "tracing a process that is no child", ("podman",)),
    (40, "signal", "{pid}", ALWAYS, "a process of the host, signalled", ()),
    (40, "process", "{pid}", ALWAYS, "a process of the host, seen", ()),
    (41, "user-ns", "", ALWAYS, "a nested user namespace", ("podman",)),
    (41, "user-ns-3", "", ALWAYS, "the same by clone3", ("podman",)),
    (42, "keyring", "", ALWAYS, "the user's keyrings", ("podman",)),
    (42, "tells", "/proc/keys", ALWAYS, "the list of the user's keys", ()),
    (42, "clock", "", NEVER, "the machine's clock", ()),
    (43, "bpf", "", AS_ROOT, "code in the kernel (bpf)", ()),
    (43, "perf", "", AS_ROOT, "performance events", ()),
    (43, "userfault", "", AS_ROOT, "userfaultfd", ()),
    (43, "socket", "17", AS_ROOT, "packet sockets", ()),
    (43, "socket", "40", ALWAYS, "sockets of the machine below (vsock)", ("podman",)),
    (43, "mount", "", AS_ROOT, "mounts", ()),
    (43, "chroot", "", AS_ROOT, "chroot", ()),
    (43, "open", "/proc/sys/kernel/core_pattern", AS_ROOT, "settings of the kernel", ()),
    (43, "tells", "/proc/slabinfo", AS_ROOT, "what /proc tells root of the kernel's memory", ("podman",)),
    (43, "core", "", ALWAYS, "a limit with which a crash starts the host's program for cores", ("podman",)),
    (43, "handle", "", AS_ROOT, "files by number, past every directory", ()),
    ("-", "rights", "given", ALWAYS, "a program left behind that gives its owner's rights away", ("podman",)),
]


def text_of(works, wall):
    return "**works**" if wall in works else "blocked"


def table():
    lines = ["| # | attack | native | bwrap | podman |", "|---|---|---|---|---|"]
    for number, _, _, _, what, works in ROWS:
        lines.append(f"| {number} | {what} | " + " | ".join(text_of(works, wall) for wall in WALLS) + " |")
    return "\n".join(lines) + "\n"


def ended(done):
    """ "reached", or why not: by its word, or by the filter that ended it."""
    if done.returncode in (128 + signal.SIGSYS, -signal.SIGSYS):
        return "blocked: ended by the filter"
    return done.stdout.strip()


def attack(world, row, facts):
    _, name, argument, who, _, works = row
    argument = argument.format(**facts)
    pass_fds = {"pass_fds": (facts["fd"],)}
    can = who == ALWAYS or who == AS_ROOT and world.uid == 0
    outside = ended(world.outside("./kernel", name, argument, **pass_fds))
    (world.project / "given").unlink(missing_ok=True)
    # A machine that has no such thing to attack: no vsock, no ciphers, TIOCSTI turned off.
    lacks = any(word in outside for word in ("not supported", "Input/output error", "No such file", "not implemented", "No such device", "No data"))
    if can and outside != "reached":
        return None if lacks else f"outside: {outside}"
    inside = world.inside("./kernel", name, argument, **pass_fds)
    (world.project / "given").unlink(missing_ok=True)
    said = ended(inside)
    if said != "reached" and not said.startswith("blocked: "):
        return f"{inside}"
    # What works is written down as such; a machine's own settings may forbid it there too.
    return f"it works behind {world.wall}" if said == "reached" and world.wall not in works else None


def main():
    passed = failed = 0
    document = (ROOT / "docs/threat-model.md").read_text()
    if table() not in document:
        print("FAIL wall classes: docs/threat-model.md has another table; it should be\n" + table())
        failed += 1
    for wall in WALLS:
        for uid in (0, USER) if os.geteuid() == 0 else (os.geteuid(),):
            title = f"wall classes, {wall}{', as root' if uid == 0 else ''}"
            with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder, socket.socket(socket.AF_UNIX) as listener:
                try:
                    PREPARE[wall](uid)
                except Skipped as reason:
                    print(f"skip {title}: {reason}", flush=True)
                    continue
                world = Walls(pathlib.Path(folder).resolve(), uid, wall)
                shutil.copy(PROGRAM, world.project / "kernel")
                world.write("~/.config/cordon/policy.yaml", "version: 1\ngrants: {workspace: all}\n")
                world.policy("profiles: {default: {network: 'off', writable: true}}\n", workspace=", writable: true")
                name = f"cordon-test-{os.getpid()}-{wall}-{uid}"
                listener.bind("\0" + name)
                listener.listen()
                with open(world.write("~/held", "held"), encoding="ascii") as held:
                    number = os.dup2(held.fileno(), 77)
                    # Of the same user, so that it could be signalled.
                    sleeper = subprocess.Popen([*world.identity(), "sleep", "600"])
                    try:
                        facts = {"abstract": name, "descriptor": number, "fd": number, "pid": sleeper.pid}
                        for row in ROWS:
                            problem = attack(world, row, facts)
                            print(f"{'FAIL' if problem else 'ok  '} {title}: {row[4]}{': ' + problem if problem else ''}", flush=True)
                            passed, failed = passed + (not problem), failed + bool(problem)
                    finally:
                        sleeper.kill()
                        sleeper.wait()
                        os.close(number)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

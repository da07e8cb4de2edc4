#!/usr/bin/env python3
"""The world of the native wall's tests: attacks that work outside it, a home and a project, and the runner that they share.

As root every test runs twice, as root and as an ordinary user. Attacks are functions of this file, run by Python in both places:
native_world.py attack NAME ARGUMENTS.
"""
import ctypes
import errno
import fcntl
import json
import os
import pathlib
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = pathlib.Path(os.environ.get("CORDON_BUILD", ROOT / "build"))
SECRET = "a-secret-that-must-stay-outside-8417"
USER = 1234


# --- attacks: each does what it says, or fails with an OSError ---

def call(number, *arguments):
    libc = ctypes.CDLL(None, use_errno=True)
    libc.syscall.restype = ctypes.c_long
    result = libc.syscall(*(ctypes.c_ulong(a) if isinstance(a, int) else a for a in (number, *arguments)))
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def attack_read(path):
    if SECRET not in pathlib.Path(path).read_text(errors="replace"):
        raise OSError(2, "another file")


def attack_open_for_writing(path):
    os.close(os.open(path, os.O_WRONLY | os.O_NOFOLLOW))


def attack_open_again(path):
    os.close(os.open(path, os.O_WRONLY))


def attack_make(path):
    pathlib.Path(path).write_text("made")


def attack_connect(port):
    socket.create_connection(("127.0.0.1", int(port)), 3).close()


def attack_connect_abstract(name):
    with socket.socket(socket.AF_UNIX) as client:
        client.connect("\0" + name)


def attack_signal(pid):
    os.kill(int(pid), 0)


def attack_see_process(pid):
    os.stat(f"/proc/{pid}")


def attack_descriptor(number):
    os.fstat(int(number))


def attack_unshare_user():
    call(272, 0x10000000)


def attack_clone_user():
    pid = call(56, 0x10000000 | 17, 0, 0, 0, 0)
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)


def attack_clone3():
    arguments = ctypes.create_string_buffer(struct.pack("8Q", 0, 0, 0, 0, 17, 0, 0, 0))
    pid = call(435, arguments, 64)
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)


def attack_setns():
    fd = os.open("/proc/self/ns/uts", os.O_RDONLY)
    call(308, fd, 0)


def attack_mount():
    call(165, b"tmpfs", b"/tmp", b"tmpfs", 0, b"size=4k")
    call(166, b"/tmp", 2)


def attack_fsopen():
    call(430, b"tmpfs", 0)


def attack_chroot():
    call(161, b"/")


def attack_io_uring():
    call(425, 1, ctypes.create_string_buffer(120))


def attack_keyring():
    call(250, 0, ctypes.c_long(-3), 1)


def attack_bpf():
    attributes = ctypes.create_string_buffer(struct.pack("4I", 2, 4, 4, 1), 72)
    call(321, 0, attributes, 72)


def attack_userfaultfd():
    call(323, 0)


def attack_perf():
    event = ctypes.create_string_buffer(struct.pack("IIQ", 1, 128, 0), 128)
    call(298, event, 0, ctypes.c_long(-1), ctypes.c_long(-1), 0)


def attack_ptrace():
    """Of a process that is no child: the parent is left alone, a sibling is taken."""
    reader, writer = os.pipe()
    if (first := os.fork()) == 0:
        time.sleep(5)
        os._exit(0)
    if (second := os.fork()) == 0:
        os.close(reader)
        try:
            call(101, 16, first, 0, 0)
            os.write(writer, b"taken")
        except OSError:
            pass
        os._exit(0)
    os.close(writer)
    taken = os.read(reader, 10)
    os.waitpid(second, 0)
    os.kill(first, signal.SIGKILL)
    os.waitpid(first, 0)
    if not taken:
        raise OSError(1, "not taken")


def attack_vsock():
    socket.socket(40, socket.SOCK_STREAM).close()


def attack_socket(family, kind, protocol):
    socket.socket(int(family), int(kind), int(protocol)).close()


def attack_socket_pair(family):
    """The kernel makes both sockets, of any family that it has, before it finds out that they cannot be a pair."""
    ends = ctypes.create_string_buffer(8)
    try:
        call(53, int(family), socket.SOCK_STREAM, 0, ends)
    except OSError as error:
        if error.errno != errno.EOPNOTSUPP:
            raise


def attack_syslog():
    call(103, 10, 0, 0)


def attack_terminal_input(high):
    """Into a terminal of its own, where it needs no privilege but what an old kernel asks for."""
    import fcntl
    main, other = os.openpty()
    if (pid := os.fork()) == 0:
        try:
            os.setsid()
            fcntl.ioctl(other, 0x540E, 0)
            call(16, other, 0x5412 | int(high) << 32, ctypes.c_char_p(b"x"))
            os._exit(0)
        except OSError:
            os._exit(1)
    if os.waitpid(pid, 0)[1] != 0:
        raise OSError(1, "not typed")


def attack_hand_over(path):
    """Whatever gets something to that name: written, made, renamed, linked, by another name of what is above it."""
    target = pathlib.Path(path)
    top = target.parts[0]

    def directly():
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text("evil")

    def renamed():
        pathlib.Path("made").write_text("evil")
        target.parent.mkdir(parents=True, exist_ok=True)
        os.rename("made", target)

    def linked():
        if target.exists():
            target.unlink()
        os.symlink("elsewhere", target)

    def moved_away():
        os.rename(top, "moved")
        os.makedirs(target.parent, exist_ok=True)
        target.write_text("evil")

    def exchanged():
        os.makedirs("other", exist_ok=True)
        call(316, ctypes.c_int(-100), top.encode(), ctypes.c_int(-100), b"other", 2)

    def removed():
        shutil.rmtree(top) if os.path.isdir(top) else os.unlink(top)

    worked = []
    for way in (directly, renamed, linked, moved_away, exchanged, removed):
        try:
            way()
            worked.append(way.__name__)
        except OSError:
            pass
    if not worked:
        raise OSError(1, "none worked")


def attack_give_rights(path):
    """A program that whoever starts it runs as its owner, or in its group: by every call that gives a mode."""
    def made(make):
        make()
        given = os.stat(path).st_mode & 0o6000
        os.unlink(path)
        if not given:
            raise OSError(1, "the bits were dropped")

    def touch():
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o755))

    def temporary(mode):
        fd = os.open(".", 0o20000000 | os.O_DIRECTORY | os.O_WRONLY, mode)
        os.link(f"/proc/self/fd/{fd}", path, follow_symlinks=True)

    def descriptor(mode):
        fd = os.open(path, os.O_CREAT | os.O_WRONLY, 0o755)
        os.fchmod(fd, mode)

    name, here = os.fsencode(path), ctypes.c_int(-100)
    high = 1 << 40
    worked = []
    for mode in (0o4755, 0o2755, 0o6755):
        how = ctypes.create_string_buffer(struct.pack("3Q", os.O_CREAT | os.O_WRONLY, mode, 0))
        for way in (lambda: (touch(), os.chmod(path, mode)), lambda: (touch(), call(90, name, mode | high)), lambda: descriptor(mode),
                    lambda: (touch(), call(268, here, name, mode)), lambda: (touch(), call(452, here, name, mode, 0)),
                    lambda: os.open(path, os.O_CREAT | os.O_WRONLY, mode), lambda: call(2, name, os.O_CREAT | os.O_WRONLY, mode | high),
                    lambda: call(85, name, mode), lambda: call(437, here, name, how, 24), lambda: os.mknod(path, mode | 0o100000),
                    lambda: call(133, name, mode | 0o100000, 0), lambda: temporary(mode)):
            try:
                made(way)
                worked.append(mode)
            except OSError:
                if os.path.exists(path):
                    os.unlink(path)
    if not worked:
        raise OSError(1, "none worked")
    # Outside all of them do, but what a kernel does not have.
    print(len(worked), file=sys.stderr) if len(worked) < 30 else None


def attack_lease(path):
    """Its owner keeps everybody else from opening it, for as long as /proc/sys/fs/lease-break-time says."""
    fcntl.fcntl(os.open(path, os.O_RDONLY), fcntl.F_SETLEASE, fcntl.F_WRLCK)


def attack_hard_link(path, link):
    os.link(path, link)
    os.unlink(link)


ATTACKS = {name.removeprefix("attack_"): function for name, function in globals().items() if name.startswith("attack_")}


def run_attack(name, *arguments):
    try:
        ATTACKS[name](*arguments)
        print("reached")
    except OSError as error:
        print(f"blocked: {error}")
    return 0


# --- the world of a test ---

class World:
    """A home and a project of root's or an ordinary user's."""

    def __init__(self, folder, uid):
        self.folder, self.uid = folder, uid
        self.home, self.project = folder / "home", folder / "project"
        self.cordon = folder / "cordon"
        shutil.copy(BUILD / "cordon", self.cordon)
        for path in (self.home, self.project):
            path.mkdir()
        shutil.copy(__file__, self.project / "attacks.py")
        self.env = {"PATH": "/usr/bin:/bin", "HOME": str(self.home), "USER": "somebody", "CORDON_SECRET": SECRET}
        os.chmod(folder, 0o755)
        self.own()

    def own(self):
        if os.geteuid() == 0 and self.uid:
            subprocess.run(["chown", "-hR", f"{self.uid}:{self.uid}", self.folder], check=True)

    def write(self, path, text):
        target = (self.home if path.startswith("~/") else self.project) / path.removeprefix("~/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
        self.own()
        return target

    def identity(self):
        if os.geteuid() == self.uid:
            return []
        return ["setpriv", f"--reuid={self.uid}", f"--regid={self.uid}", "--clear-groups"]

    def outside(self, *command, **options):
        return subprocess.run([*self.identity(), *map(str, command)], cwd=self.project, env=self.env, capture_output=True, text=True,
                              timeout=60, **options)

    def inside(self, *command, options=(), **more):
        return self.outside(self.cordon, "run", "--wall", "native", *options, "--", *command, **more)

    def start(self, *command, options=()):
        return subprocess.Popen([*self.identity(), str(self.cordon), "run", "--wall", "native", *options, "--", *command], cwd=self.project,
                                env=self.env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def plan(self, *command):
        done = self.outside(self.cordon, "plan", "--json", "--wall", "native", "--", *command)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def attack(self, name, *arguments, control=True, env=None, **options):
        """Works outside, where that is asked for, and not inside."""
        if control:
            done = self.outside("python3", "attacks.py", "attack", name, *arguments, **options)
            equal((done.stdout, done.stderr), ("reached\n", ""))
        done = self.inside("python3", "attacks.py", "attack", name, *map(str, arguments), **options)
        assert done.stdout.startswith("blocked: ") and done.returncode == 0, (name, arguments, done)


class Skipped(Exception):
    """What a test needs is not on this machine."""


def equal(got, wanted):
    assert got == wanted, f"{got!r}, expected {wanted!r}"


def policy(world, text):
    world.write("cordon.yaml", "version: 1\n" + text)


def run(title, tests, wanted, make=World, users=None):
    """Each test in a world of its own; the exit status."""
    passed = failed = 0
    for test in tests:
        if wanted and test.__name__ not in wanted:
            continue
        for uid in users or ((0, USER) if os.geteuid() == 0 else (os.geteuid(),)):
            name = f"{title}{', as root' if uid == 0 else ''}: {test.__name__.replace('_', ' ')}"
            with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
                try:
                    test(make(pathlib.Path(folder).resolve(), uid))
                    print(f"ok   {name}", flush=True)
                    passed += 1
                except (AssertionError, OSError, subprocess.SubprocessError, ValueError, KeyError) as error:
                    print(f"FAIL {name}: {type(error).__name__}: {error}", flush=True)
                    failed += 1
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__" and sys.argv[1:2] == ["attack"]:
    sys.exit(run_attack(*sys.argv[2:]))

#!/usr/bin/env python3
"""The native wall: what is attacked behind it works outside it, and what it says is what the kernel has: run_native.py [NAME…]

As root every test runs twice, as root and as an ordinary user. Attacks are functions of this file, run by Python in both places.
"""
import ctypes
import json
import os
import pathlib
import re
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


def equal(got, wanted):
    assert got == wanted, f"{got!r}, expected {wanted!r}"


def policy(world, text):
    world.write("cordon.yaml", "version: 1\n" + text)


# --- tests ---

def exit_codes_are_the_commands(world):
    for script, wanted in (("exit 0", 0), ("exit 7", 7), ("kill -9 $$", 137), ("kill -TERM $$", 143)):
        equal(world.inside("sh", "-c", script).returncode, wanted)
    world.write("text", "no program").chmod(0o755)
    equal(world.inside("./text").returncode, 126)
    equal(world.inside("no-such-program").returncode, 125)
    done = world.inside("cat", input="through\n")
    equal((done.stdout, done.stderr, done.returncode), ("through\n", "", 0))


def files_of_the_host_are_not_there(world):
    secret = world.write("~/.ssh/id_ed25519", SECRET)
    link = world.project / "link"
    link.symlink_to(secret)
    world.own()
    for path in (secret, link, f"/proc/self/root{secret}", "/proc/self/cwd/../home/.ssh/id_ed25519"):
        world.attack("read", path)
    world.attack("read", f"/proc/1/root{secret}", control=False)
    world.attack("see_process", os.getpid())
    equal(world.inside("ls", "/").stdout.split(), sorted({"bin", "dev", "etc", "lib", "lib32", "lib64", "libx32", "proc", "run", "sbin", "tmp", "usr", "var", world.home.parts[1]}
                                                         & set(os.listdir("/"))))


def the_workspace_is_read_only(world):
    world.write("file", "text")
    world.attack("open_for_writing", "file")
    world.attack("make", "new")


def what_is_named_can_be_written(world):
    policy(world, "workspace: {writable_paths: [out, made]}\nprofiles: {default: {network: 'off'}}\n")
    world.write("out/old", "old")
    done = world.inside("sh", "-c", "echo new >out/new && mkdir -p made/deep && mv out/old made/deep && echo done")
    equal((done.stdout, done.stderr), ("done\n", ""))
    for path in ("out/new", "made/deep/old"):
        equal((world.project / path).stat().st_uid, world.uid)
    world.attack("make", "elsewhere")


def a_writable_path_through_a_link_is_refused(world):
    policy(world, "workspace: {writable_paths: [out]}\nprofiles: {default: {network: 'off'}}\n")
    (world.project / "out").symlink_to(world.home)
    world.own()
    done = world.inside("true")
    equal(done.returncode, 125)
    assert "symbolic link" in done.stderr, done.stderr


def what_is_excluded_cannot_be_read_or_moved(world):
    policy(world, "workspace: {writable_paths: [a], exclude_paths: [a/b/.env, a/secrets]}\nprofiles: {default: {network: 'off'}}\n")
    world.write("a/b/.env", SECRET)
    world.write("a/secrets/key", SECRET)
    for path in ("a/b/.env", "a/secrets/key"):
        world.attack("read", path)
    script = "mv a/b a/c; mv a/b/.env a/b/x; mv a/secrets a/s; rm -rf a/b a/secrets; touch a/fine; cat a/*/.env a/*/key a/*/x"
    assert SECRET not in world.inside("sh", "-c", script).stdout
    equal([(world.project / path).exists() for path in ("a/b/.env", "a/secrets/key", "a/fine", "a/c", "a/s")], [True, True, True, False, False])


def there_is_no_network(world):
    with socket.socket() as listener, socket.socket(socket.AF_UNIX) as abstract:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        abstract.bind("\0cordon-test-" + str(os.getpid()))
        abstract.listen()
        world.attack("connect", listener.getsockname()[1])
        world.attack("connect_abstract", "cordon-test-" + str(os.getpid()))
    script = ("import socket; s = socket.create_server(('127.0.0.1', 0)); socket.create_connection(s.getsockname()); "
              "print(socket.if_nameindex())")
    equal(world.inside("python3", "-c", script).stdout, "[(1, 'lo')]\n")
    # Addresses that are there only inside.
    equal(world.inside("cat", "/proc/net/route").stdout.count("\n"), 1)


def the_kernel_is_not_asked(world):
    is_root = world.uid == 0
    for name in ("unshare_user", "clone_user", "clone3", "io_uring", "keyring", "ptrace", "vsock"):
        world.attack(name)
    for name in ("setns", "mount", "fsopen", "chroot", "bpf", "perf", "userfaultfd", "syslog"):
        world.attack(name, control=is_root)
    for high in (0, 1):
        world.attack("terminal_input", high, control=is_root)
    for path in ("/proc/sys/kernel/core_pattern", "/proc/sys/vm/overcommit_memory"):
        world.attack("open_for_writing", path, control=is_root)


def other_entries_are_closed(world):
    source = world.write("entry.c", """
#include <stdio.h>
int main(int argc, char** argv) {
  long result = argc > 1 ? 20 : 0x40000027;
  if (argc > 1) asm volatile("int $0x80" : "+a"(result) : : "memory");
  else asm volatile("syscall" : "+a"(result) : : "rcx", "r11", "memory");
  puts(result > 0 ? "reached" : "not there");
}
""")
    subprocess.run(["gcc", "-O1", source, "-o", world.project / "entry"], check=True)
    equal(world.outside("./entry", "i386").stdout, "reached\n")
    equal(world.inside("./entry", "i386").returncode, 128 + signal.SIGSYS)
    equal(world.inside("./entry").returncode, 128 + signal.SIGSYS)


def nothing_is_inherited(world):
    secret = world.write("~/held", SECRET)
    with open(secret, encoding="ascii") as held:
        world.attack("descriptor", held.fileno(), pass_fds=(held.fileno(),))
    done = world.inside("sh", "-c", "cat /proc/self/environ /proc/1/environ /proc/1/cmdline; ls -l /proc/self/fd; ls /proc/1/fd /proc/1/root")
    assert SECRET not in done.stdout + done.stderr, done
    assert str(world.cordon) not in done.stdout, done
    equal(len(re.findall(r"^l.* -> ", done.stdout, re.M)), 4)
    assert "environ: Permission denied" in done.stderr, done


def what_is_enforced_is_the_plan(world):
    """Read back from inside: mounts, rights, limits, environment, identity, place."""
    policy(world, "workspace: {writable_paths: [out]}\nlimits: {open_files: 100, processes: 50, memory: 200MiB}\n"
                  "profiles: {default: {network: 'off'}}\n")
    (world.project / "out").mkdir()
    world.own()
    plan = world.plan("python3", "-c", "")["plan"]
    script = ("import json, os, resource; print(json.dumps({'mounts': open('/proc/self/mountinfo').read(), 'status': open('/proc/self/status').read(),"
              "'env': dict(os.environ), 'cwd': os.getcwd(), 'files': resource.getrlimit(resource.RLIMIT_NOFILE),"
              "'host': os.uname().nodename, 'uid': [os.getuid(), os.getgid()], 'passwd': open('/etc/passwd').read()}))")
    got = json.loads(world.inside("python3", "-c", script).stdout)
    lines = [line.split() for line in got["mounts"].splitlines()]
    mounts = {line[4]: line for line in lines}
    equal(len(mounts), len(lines))
    wanted = {"/": True, "/dev/shm": False, "/dev/pts": False, **{f"/dev/{name}": False for name in ("null", "zero", "full", "random", "urandom", "tty")}}
    for mount in plan["mounts"]:
        if mount["kind"] in ("bind", "tmpfs", "proc", "mask"):
            wanted[mount["target"]] = mount["read_only"]
    equal({target: "ro" in line[5].split(",") for target, line in mounts.items()}, wanted)
    equal([target for target, line in mounts.items() if "nosuid" not in line[5]], [])
    equal([target for target, line in mounts.items() if "nodev" not in line[5] and not target.startswith("/dev/")], [])
    status = dict(line.split(":\t", 1) for line in got["status"].splitlines() if ":\t" in line)
    equal([int(status[f"Cap{name}"], 16) for name in ("Inh", "Prm", "Eff", "Bnd", "Amb")], [0] * 5)
    equal((status["NoNewPrivs"], status["Seccomp"]), ("1", "2"))
    variables = {variable["name"]: variable["value"] for variable in plan["environment"]["selected"]}
    equal({name: value for name, value in got["env"].items() if name != "LC_CTYPE"}, variables)
    ordinary = world.uid or 1000
    equal((got["cwd"], got["files"], got["host"], got["uid"]), (plan["directory"], [100, 100], "cordon", [ordinary, ordinary]))
    assert got["passwd"].startswith(f"somebody:x:{ordinary}:{ordinary}::{world.home}:"), got["passwd"]


def limits_are_kept(world):
    policy(world, "limits: {processes: 20, memory: 100MiB, output: 1MiB, wall_time: 20s}\nprofiles: {default: {network: 'off'}}\n")
    done = world.inside("python3", "-c", "import os, time\nn = 0\ntry:\n  while n < 60:\n    if os.fork() == 0: time.sleep(9)\n    n += 1\nexcept OSError: print(n)")
    equal(done.stdout, "19\n")
    done = world.inside("python3", "-c", "x = bytearray(300 << 20)\nfor i in range(0, len(x), 4096): x[i] = 1\nimport time; time.sleep(3); print('had it')")
    assert "had it" not in done.stdout and done.returncode != 0, done
    done = world.inside("sh", "-c", "for f in /tmp /run /dev/shm; do head -c 60M /dev/zero >$f/x || echo full; done; du -scm /tmp/x /run/x /dev/shm/x")
    assert done.returncode == 137 or "full" in done.stdout and int(done.stdout.split()[-2]) <= 100, done
    begin = time.monotonic()
    done = world.inside("sh", "-c", "yes 2>/dev/null; echo $? >&2")
    equal((len(done.stdout), done.stderr), (1 << 20, "141\ncordon: limit output\n"))
    assert time.monotonic() - begin < 10


def time_ends_everything(world):
    """Also what left its session and its parent and holds the pipes."""
    policy(world, "limits: {wall_time: 1s}\nprofiles: {default: {network: 'off'}}\n")
    begin = time.monotonic()
    done = world.inside("sh", "-c", "trap '' TERM INT; (setsid sh -c 'sleep 30 & sleep 30' &); echo before; sleep 30")
    equal((done.stdout, done.stderr, done.returncode), ("before\n", "cordon: limit wall time 1 s\n", 124))
    assert time.monotonic() - begin < 3, time.monotonic() - begin
    process = world.start("yes")  # nobody reads
    equal(process.wait(timeout=5), 124)


def nothing_outlives_the_command(world):
    mark = f"31{os.getpid()}"
    equal(world.inside("sh", "-c", f"(setsid sleep {mark} >/dev/null 2>&1 &); echo started").stdout, "started\n")
    equal(subprocess.run(["pgrep", "-f", f"^sleep {mark}"], stdout=subprocess.DEVNULL).returncode, 1)
    process = world.start("sh", "-c", f"sleep {mark} & echo started; wait")
    equal(process.stdout.readline(), b"started\n")
    until = time.monotonic() + 3
    while subprocess.run(["pgrep", "-f", f"^sleep {mark}"], stdout=subprocess.DEVNULL).returncode != 0:
        assert time.monotonic() < until, "it never lived"
    process.kill()
    process.wait()
    until = time.monotonic() + 3
    while subprocess.run(["pgrep", "-f", f"^sleep {mark}"], stdout=subprocess.DEVNULL).returncode == 0:
        assert time.monotonic() < until, "it lives"


def signals_go_on(world):
    process = world.start("sh", "-c", "trap 'echo got; exit 3' TERM; echo ready; while :; do sleep 0.1; done")
    equal(process.stdout.readline(), b"ready\n")
    process.send_signal(signal.SIGTERM)
    equal((process.stdout.read(), process.wait(timeout=5)), (b"got\n", 3))


def a_policy_chooses_the_wall(world):
    policy(world, "profiles: {default: {network: 'off'}}\n")
    done = world.outside(world.cordon, "run", "--", "uname", "-n")
    equal((done.stdout, done.stderr), ("cordon\n", ""))
    digest = world.outside(world.cordon, "plan", "--hash", "--", "uname", "-n").stdout.strip()
    equal(world.outside(world.cordon, "run", "--plan", digest, "--", "uname", "-n").stdout, "cordon\n")
    done = world.outside(world.cordon, "run", "--plan", digest, "--", "uname", "-a")
    equal((done.stdout, done.returncode), ("", 125))
    assert "another" in done.stderr, done
    done = world.outside(world.cordon, "run", "--timeout", "3s", "--", "true")
    equal(done.returncode, 125)
    assert "--timeout" in done.stderr, done


def what_it_cannot_do_is_refused(world):
    """With the reason, and before anything runs."""
    for text, reason in (("profiles: {default: {network: 'off', ports: ['8080:80']}}\n", ""),
                         ("profiles: {default: {network: 'off', pre_run: [true], pre_run_on: host}}\n", "approval")):
        (world.project / "out").mkdir(exist_ok=True)
        policy(world, text)
        done = world.inside("sh", "-c", "echo ran")
        equal((done.stdout, done.returncode), ("", 125))
        assert reason in done.stderr, done
    (world.project / "cordon.yaml").unlink()
    world.write("~/.config/cordon/policy.yaml", "version: 1\nprofiles: {default: {network: engines}}\n")
    done = world.inside("sh", "-c", "echo ran")
    equal((done.stdout, done.returncode), ("", 125))
    assert "engine" in done.stderr, done

def writable(world, more="", workspace=""):
    """A project that may be written, by the user's own word."""
    world.write("~/.config/cordon/policy.yaml", "version: 1\ngrants: {workspace: all}\n")
    policy(world, f"workspace: {{writable: true{workspace}}}\nprofiles: {{default: {{network: 'off', writable: true{more}}}}}\n")


def tree(folder):
    return {str(path.relative_to(folder)): path.read_bytes() if path.is_file() and not path.is_symlink() else None
            for path in sorted(folder.rglob("*"))}


HANDED_OVER = [".git/hooks/pre-commit", ".git/config", ".git/config.worktree", ".git/commondir", ".git/info/attributes", ".git/modules/x/config",
               ".gitmodules", ".husky/pre-commit", ".bashrc", ".profile", ".zshrc", ".envrc", ".vscode/tasks.json", ".idea/x", ".mcp.json",
               ".claude/settings.json", ".codex/config.toml", ".npmrc", ".cargo/config.toml", ".config/fish/config.fish", "cordon.yaml", "sbox.yaml",
               "sub/.git/hooks/pre-commit", "sub/.git/config", "sub/.git/commondir"]


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


ATTACKS["hand_over"] = attack_hand_over


def what_the_host_obeys_later_cannot_be_written(world):
    """In a writable workspace, there or not; each attack works on a copy outside."""
    writable(world)
    for git in (".git", "sub/.git"):
        for path, text in (("HEAD", "ref: refs/heads/main\n"), ("config", "[core]\n"), ("hooks/old", ""), ("info/exclude", ""), ("objects/x", ""), ("refs/x", "")):
            world.write(f"{git}/{path}", text)
    before = tree(world.project)
    copy = world.folder / "copy"
    for path in HANDED_OVER:
        shutil.copytree(world.project, copy)
        subprocess.run(["chown", "-hR", f"{world.uid}:{world.uid}", copy], check=True) if os.geteuid() == 0 else None
        done = subprocess.run([*world.identity(), "python3", "attacks.py", "attack", "hand_over", path], cwd=copy, env=world.env, capture_output=True,
                              text=True, check=False)
        equal((path, done.stdout), (path, "reached\n"))
        shutil.rmtree(copy)
    script = ("import subprocess, sys\nfor path in sys.argv[1:]:\n"
              "  print(path, subprocess.run(['python3', 'attacks.py', 'attack', 'hand_over', path], capture_output=True, text=True).stdout, end='')")
    done = world.inside("python3", "-c", script, *HANDED_OVER)
    equal([line for line in done.stdout.splitlines() if "blocked" not in line], [])
    equal(len(done.stdout.splitlines()), len(HANDED_OVER))
    after = tree(world.project)
    for path in ("made", "other"):
        after.pop(path, None)
    # Nothing was put there to hold the places, and the host's directories bear no marks.
    equal(after, before)
    marked = [str(path) for path in [world.project, *world.project.rglob("*")] if not path.is_symlink() and os.listxattr(path)]
    equal(marked, [])
    equal(list((world.home / ".cache/cordon/overlays").iterdir()), [])


def a_project_with_a_repository_can_be_worked_on(world):
    if not shutil.which("git") or not shutil.which("gcc"):
        raise AssertionError("git and gcc are needed for this test")
    writable(world)
    world.write("main.c", "int main(void) { return 3; }\n")
    world.write("src/old.txt", "old\n")
    world.outside("git", "init", "-q", ".")
    script = ("export GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@b GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@b; set -e; git add main.c src cordon.yaml; git commit -qm first;"
              "gcc main.c -o program; ./program || echo $?; mkdir -p dist/deep && echo 1 >dist/deep/a; rm -rf dist; mkdir dist; echo 2 >dist/b;"
              "mv src lib; mv lib/old.txt lib/new.txt; ln -s lib link; ln lib/new.txt hard; git add -A lib src; git commit -qm second; git status --short")
    done = world.inside("sh", "-c", script)
    equal((done.stdout, done.returncode), ("3\n?? attacks.py\n?? dist/\n?? hard\n?? link\n?? program\n", 0))
    equal(world.outside("git", "log", "--format=%s").stdout, "second\nfirst\n")
    equal([(world.project / "lib/new.txt").read_text(), (world.project / "dist/b").read_text(), os.readlink(world.project / "link")], ["old\n", "2\n", "lib"])
    equal({path.lstat().st_uid for path in world.project.rglob("*") if ".git" not in path.parts and path.name != "cordon"}, {world.uid})


def what_is_excluded_and_not_there_cannot_be_made(world):
    writable(world, workspace=", exclude_paths: [.env, keys/, deep/er/secret]")
    world.write("deep/er/fine", "x")
    done = world.inside("sh", "-c", "echo a >.env; mkdir keys; echo b >keys/c; echo d >deep/er/secret; mv deep/er deep/other; rm -rf deep; echo e >deep/er/new; cat .env deep/er/new")
    equal(done.stdout, "e\n")
    equal([(world.project / path).exists() for path in (".env", "keys", "deep/er/secret", "deep/other", "deep/er/new")], [False, False, False, False, True])
    # What came between planning and running, or stays there from an earlier run, is no surprise.
    equal(world.inside("true").returncode, 0)


def a_place_for_the_overlay_is_needed(world):
    """Without one nothing runs, and the remedy is named."""
    if os.geteuid() != 0 or world.uid != 0:
        return
    writable(world)
    script = ("mount --make-rprivate / && mount -t tmpfs none $HOME/../project && cp -r $HOME/../saved/. $HOME/../project/ && cd $HOME/../project && "
              f"{world.cordon} run -- sh -c 'echo ran'")
    shutil.copytree(world.project, world.folder / "saved")
    done = subprocess.run(["unshare", "-m", "sh", "-c", script], env=world.env, capture_output=True, text=True, check=False)
    equal((done.stdout, done.returncode), ("", 125))
    assert "XDG_CACHE_HOME" in done.stderr, done.stderr


def files_that_may_be_made_are_taken_over(world):
    policy(world, "workspace: {writable_paths: [new.lock, sub/other.lock, never.lock, odd.lock]}\nprofiles: {default: {network: 'off'}}\n")
    world.write("sub/x", "x")
    secret = world.write("~/secret", SECRET)
    script = f"test ! -e new.lock && echo made >new.lock && echo >>new.lock && echo two >sub/other.lock; mkdir $(readlink odd.lock); ln -s {secret} x; echo no >else.lock"
    done = world.inside("sh", "-c", script)
    equal([(world.project / path).read_text() for path in ("new.lock", "sub/other.lock")], ["made\n\n", "two\n"])
    equal((world.project / "new.lock").stat().st_uid, world.uid)
    equal([(world.project / path).exists() for path in ("never.lock", "odd.lock", "else.lock")], [False] * 3)
    assert "odd.lock: not taken over" in done.stderr, done.stderr
    equal(sorted(path.name for path in world.project.iterdir()), ["attacks.py", "cordon.yaml", "new.lock", "sub"])
    # A link that stands in its place is not followed to what the host has.
    world.inside("sh", "-c", f"ln -s {secret} $(readlink never.lock)")
    assert not (world.project / "never.lock").exists()


def secrets_are_descriptors_or_files(world):
    secret = world.write("~/token", SECRET + "\n")
    world.write("~/.config/cordon/policy.yaml", f"version: 1\nsecrets:\n  - {{name: a, source: {secret}, target: /run/secret-a}}\n"
                f"  - {{name: b, source: {secret}, descriptor: TOKEN_FD}}\nprofiles: {{default: {{network: 'off'}}}}\n")
    done = world.inside("sh", "-c", "cat /run/secret-a; cat <&$TOKEN_FD; ls /proc/self/fd | wc -l; echo x >/run/secret-a")
    equal((done.stdout.splitlines(), "Read-only" in done.stderr), ([SECRET, SECRET, "5"], True))
    assert SECRET not in world.outside(world.cordon, "plan", "--json", "--wall", "native", "--", "true").stdout


def commands_run_before(world):
    policy(world, "workspace: {writable_paths: [out]}\nprofiles: {default: {network: 'off', pre_run: [\"sh -c 'echo first of $(uname -n) >out/a'\", \"touch 'out/b c'\"]}}\n")
    (world.project / "out").mkdir()
    world.own()
    equal(world.inside("sh", "-c", "ls out; cat out/a").stdout, "a\nb c\nfirst of cordon\n")
    policy(world, "profiles: {default: {network: 'off', pre_run: [\"sh -c 'exit 5'\"]}}\n")
    done = world.inside("echo", "ran")
    equal((done.stdout, done.stderr, done.returncode), ("", "cordon: pre-run command 'sh' failed with 5\n", 5))


def on_a_terminal(world, command, steps):
    """What is seen, and the status. A step waits for a text and types another."""
    import fcntl
    import pty
    import select
    import termios
    pid, main = pty.fork()
    if pid == 0:
        os.chdir(world.project)
        command = [*world.identity(), *map(str, command)]
        os.execvpe(command[0], command, {**world.env, "TERM": "dumb", "PS1": "> "})
    fcntl.ioctl(main, termios.TIOCSWINSZ, struct.pack("HHHH", 33, 77, 0, 0))
    seen, until = b"", time.monotonic() + 20
    steps = list(steps)
    while time.monotonic() < until:
        if steps and steps[0][0] in seen:
            time.sleep(0.3)
            os.write(main, steps.pop(0)[1])
        if select.select([main], [], [], 0.1)[0]:
            try:
                part = os.read(main, 4096)
            except OSError:
                break
            if not part:
                break
            seen += part
        if not steps and os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            if not select.select([main], [], [], 0.1)[0]:
                break
    modes = termios.tcgetattr(main)[3]
    os.close(main)
    done, status = os.waitpid(pid, os.WNOHANG)
    if done == 0:
        os.kill(pid, signal.SIGKILL)
        status = os.waitpid(pid, 0)[1]
    # As it was, whatever was done to the other one.
    equal(modes & termios.ECHO != 0 and modes & termios.ICANON != 0, True)
    return seen.decode().replace("\r\n", "\n"), os.waitstatus_to_exitcode(status)


def a_terminal_is_the_sandboxs_own(world):
    run = [world.cordon, "run", "--wall", "native", "--"]
    seen, status = on_a_terminal(world, [*run, "sh", "-c", "tty; stty size; stty -echo raw; test $(ps -o sid= -p $$) = $$ && echo leader"], [])
    equal((seen.split(), status), (["/dev/pts/0", "33", "77", "leader"], 0))
    seen, status = on_a_terminal(world, [*run, "sh", "-c", "trap 'echo caught; exit 9' INT; echo ready; sleep 20 & wait"], [(b"ready", b"\x03")])
    equal(("caught" in seen, status), (True, 9))
    seen, status = on_a_terminal(world, [world.cordon, "shell", "--wall", "native", "--shell", "/bin/bash"],
                                 [(b"$ ", b"sh -c 'echo go''ing; sleep 30'\n"), (b"going", b"\x1a"), (b"Stopped", b"kill -9 %1; sleep 0.3; jobs\n"),
                                  (b"Killed", b"exit 6\n")])
    equal(("Stopped" in seen, status), (True, 6))
    # With the standard error elsewhere, and a reader that ends.
    seen, status = on_a_terminal(world, ["sh", "-c", f"{' '.join(map(str, run))} sh -c 'echo out; echo err >&2' 2>errors; cat errors"], [])
    equal((seen, status), ("out\nerr\n", 0))


def attack_hard_link(path, link):
    os.link(path, link)
    os.unlink(link)


ATTACKS["hard_link"] = attack_hard_link


def hard_links_do_not_lead_out(world):
    """Neither to what is outside, nor from what cannot be written to where it can."""
    policy(world, "workspace: {writable_paths: [out]}\nprofiles: {default: {network: 'off'}}\n")
    secret = world.write("~/secret", SECRET)
    world.write("out/x", "x")
    world.write("source", "x")
    world.attack("hard_link", secret, "out/a")
    world.attack("hard_link", "source", "out/b")


def an_older_plan_is_refused(world):
    """Whatever of it differs."""
    policy(world, "workspace: {writable_paths: [out]}\nprofiles: {default: {network: 'off'}}\n")
    (world.project / "out").mkdir()
    world.own()
    digest = world.outside(world.cordon, "plan", "--hash", "--", "echo", "ran").stdout.strip()
    equal(world.outside(world.cordon, "run", "--plan", digest, "--", "echo", "ran").stdout, "ran\n")

    def refused():
        done = world.outside(world.cordon, "run", "--plan", digest, "--", "echo", "ran")
        equal((done.stdout, done.returncode), ("", 125))
        assert "another" in done.stderr, done
    world.env["LANGUAGE"] = "x"
    equal(world.outside(world.cordon, "run", "--plan", digest, "--", "echo", "ran").stdout, "ran\n")
    world.env["USER"] = "nobody"
    refused()
    world.env["USER"] = "somebody"
    (world.project / "out").rmdir()
    refused()
    (world.project / "out").mkdir()
    world.own()
    world.write("cordon.yaml", (world.project / "cordon.yaml").read_text() + "limits: {memory: 1GiB}\n")
    refused()


def a_shadow_takes_what_is_written(world):
    """And gives it back only when it is committed."""
    world.write("kept", "old")
    world.write("gone", "x")
    world.write("sub/deep", "x")
    script = "echo new >kept && rm gone && mkdir -p made .git/hooks && echo hi >made/file && echo evil >.git/hooks/pre-commit && echo done"
    done = world.inside("sh", "-c", script, options=("--shadow",))
    equal((done.stdout, done.returncode), ("done\n", 0))
    assert re.search(r"^cordon: shadow \w+: \+\d+ ~1 -1; cordon diff, cordon commit or cordon discard$", done.stderr, re.MULTILINE), done.stderr
    equal([(world.project / path).exists() for path in ("gone", "made", ".git")], [True, False, False])
    equal((world.project / "kept").read_text(), "old")
    # The next command goes on where the first ended.
    equal(world.inside("sh", "-c", "cat kept made/file", options=("--shadow", "--quiet")).stdout, "new\nhi\n")
    # Outside of it nothing has changed.
    equal(world.inside("cat", "kept").stdout, "old")
    done = world.outside(world.cordon, "diff", "--summary")
    assert "modify  kept" in done.stdout and "delete  gone" in done.stdout, done.stdout
    # What git would obey is not taken over with the rest.
    equal(world.outside(world.cordon, "commit").returncode, 125)
    equal(world.outside(world.cordon, "commit", "--skip-refused").returncode, 0)
    equal([(world.project / path).exists() for path in ("gone", "made/file", ".git/hooks/pre-commit")], [False, True, False])
    equal((world.project / "kept").read_text(), "new\n")
    equal((world.project / "made/file").stat().st_uid, world.uid)
    equal(world.outside(world.cordon, "discard").returncode, 0)


def what_is_excluded_is_not_in_a_shadow(world):
    """Neither what is there, nor what comes into being while the command runs."""
    policy(world, "workspace: {shadow: true, writable: true, exclude_paths: ['*.pem', 'sub/.env']}\nprofiles: {default: {network: 'off'}}\n")
    world.write("sub/.env", SECRET)
    world.write("sub/key.pem", SECRET)
    for path in ("sub/.env", "sub/key.pem"):
        world.attack("read", path)
    process = world.start("sh", "-c", "echo go; read x; cat sub/*.pem sub/.e* *.pem; ls -a . sub; mv sub other && cat other/*")
    equal(process.stdout.readline(), b"go\n")
    world.write("later.pem", SECRET)
    world.write("sub/later.pem", SECRET)
    out, err = process.communicate(b"\n", timeout=30)
    assert SECRET.encode() not in out + err and b"later" not in out, out
    equal((world.project / "sub").is_dir(), True)
    equal(world.outside(world.cordon, "discard").returncode, 0)


def commands_are_written_down(world):
    world.inside("sh", "-c", "exit 3")
    done = world.outside(world.cordon, "log", "--json")
    line = json.loads(done.stdout.splitlines()[-1])
    equal((line["command"], line["exit_code"], line["wall"], line["directory"]), (["sh", "-c", "exit 3"], 3, "native", str(world.project)))
    assert "sh -c exit 3" in world.outside(world.cordon, "log").stdout
    equal((world.home / ".local/state/cordon/run.log").stat().st_mode & 0o777, 0o600)


def a_profile_is_named(world):
    policy(world, "profiles: {default: {network: 'off'}, loud: {network: 'off', shell: /bin/bash}}\n")
    equal(world.outside(world.cordon, "exec", "loud", "--", "sh", "-c", "echo $SHELL").stdout, "/bin/bash\n")
    equal(world.outside(world.cordon, "exec", "other", "--", "true").returncode, 125)
    done = world.outside(world.cordon, "run", "--dry-run", "--", "touch", "made")
    equal(((world.project / "made").exists(), done.returncode), (False, 0))
    assert "profile" in done.stdout, done.stdout


def shims_stand_before_programs(world):
    shims = world.home / "shims"
    shims.mkdir()
    world.own()
    equal(world.outside(world.cordon, "shim", "--dir", shims, "python3").returncode, 0)
    path = world.env["PATH"]
    problems = world.outside(world.cordon, "shim", "--dir", shims, "--verify")
    equal(problems.returncode, 1)
    assert "must come first" in problems.stderr, problems.stderr
    world.env["PATH"] = f"{shims}:{path}"
    equal(world.outside(world.cordon, "shim", "--dir", shims, "--verify").returncode, 0)
    code = "import os; print(os.uname().nodename == 'cordon')"
    equal(world.outside("python3", "-c", code).stdout, "False\n")
    policy(world, "profiles: {default: {network: 'off'}}\n")
    equal(world.outside("python3", "-c", code).stdout, "True\n")
    (shims / "python3").write_text("#!/bin/sh\nexit 0\n# A shim of cordon: \n")
    world.own()
    equal(world.outside(world.cordon, "shim", "--dir", shims, "--verify").returncode, 1)
    (shims / "sh").write_text("somebody's")
    world.own()
    world.outside(world.cordon, "shim", "--dir", shims, "sh")
    equal((shims / "sh").read_text(), "somebody's")


def completions_are_read_by_the_shell(world):
    script = world.outside(world.cordon, "completions", "bash").stdout
    done = world.outside("bash", "-c", f"{script}\nCOMP_WORDS=(cordon ru); COMP_CWORD=1; _cordon; echo ${{COMPREPLY[@]}}\n"
                                       "COMP_WORDS=(cordon run --sha); COMP_CWORD=2; _cordon; echo ${COMPREPLY[@]}")
    equal((done.stdout, done.stderr), ("run\n--shadow\n", ""))
    for shell in ("zsh", "fish"):
        text = world.outside(world.cordon, "completions", shell).stdout
        assert "install" in text and "shadow" in text, text
    equal(world.outside(world.cordon, "completions", "cmd").returncode, 125)


def clean_removes_what_is_kept(world):
    done = world.outside(world.cordon, "clean", "--caches")
    equal((done.stdout, done.returncode), ("nothing to remove\n", 0))
    digest = __import__("hashlib").sha256(str(world.project).encode()).hexdigest()[:16]
    for name in (digest + "-npm", "0123456789abcdef-npm"):
        world.write(f"~/.cache/cordon/caches/{name}/file", "x")
    equal(world.outside(world.cordon, "clean", "--caches", "--dry-run").stdout.count("would remove"), 1)
    equal(world.outside(world.cordon, "clean", "--caches").returncode, 0)
    equal(os.listdir(world.home / ".cache/cordon/caches"), ["0123456789abcdef-npm"])


TESTS = [exit_codes_are_the_commands, files_of_the_host_are_not_there, the_workspace_is_read_only, what_is_named_can_be_written,
         a_writable_path_through_a_link_is_refused, what_is_excluded_cannot_be_read_or_moved, there_is_no_network, the_kernel_is_not_asked,
         other_entries_are_closed, nothing_is_inherited, what_is_enforced_is_the_plan, limits_are_kept, time_ends_everything,
         nothing_outlives_the_command, signals_go_on, a_policy_chooses_the_wall, what_it_cannot_do_is_refused, what_the_host_obeys_later_cannot_be_written,
         a_project_with_a_repository_can_be_worked_on, what_is_excluded_and_not_there_cannot_be_made, a_place_for_the_overlay_is_needed,
         files_that_may_be_made_are_taken_over, secrets_are_descriptors_or_files, commands_run_before, a_terminal_is_the_sandboxs_own,
         hard_links_do_not_lead_out, an_older_plan_is_refused, a_shadow_takes_what_is_written, what_is_excluded_is_not_in_a_shadow,
         commands_are_written_down, a_profile_is_named, shims_stand_before_programs, completions_are_read_by_the_shell, clean_removes_what_is_kept]


def main(wanted):
    passed = failed = 0
    for test in TESTS:
        if wanted and test.__name__ not in wanted:
            continue
        for uid in (0, USER) if os.geteuid() == 0 else (os.geteuid(),):
            name = f"native{', as root' if uid == 0 else ''}: {test.__name__.replace('_', ' ')}"
            with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
                try:
                    test(World(pathlib.Path(folder).resolve(), uid))
                    print(f"ok   {name}", flush=True)
                    passed += 1
                except (AssertionError, OSError, subprocess.SubprocessError, ValueError, KeyError) as error:
                    print(f"FAIL {name}: {type(error).__name__}: {error}", flush=True)
                    failed += 1
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    if sys.argv[1:2] == ["attack"]:
        sys.exit(run_attack(*sys.argv[2:]))
    sys.exit(main(sys.argv[1:]))

#!/usr/bin/env python3
"""The native wall: what is attacked behind it works outside it, and what it says is what the kernel has: run_native.py [NAME…]

The world and the attacks are in native_world.py.
"""
import json
import os
import pathlib
import re
import signal
import socket
import struct
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from native_world import SECRET, equal, policy, run  # noqa: E402


def exit_codes_are_the_commands(world):
    for script, wanted in (("exit 0", 0), ("exit 7", 7), ("kill -9 $$", 137), ("kill -TERM $$", 143)):
        equal(world.inside("sh", "-c", script).returncode, wanted)
    world.write("text", "no program").chmod(0o755)
    equal(world.inside("./text").returncode, 126)
    equal(world.inside("no-such-program").returncode, 127)
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
    for kind in ((socket.AF_INET, socket.SOCK_DGRAM, 136), (socket.AF_INET6, socket.SOCK_DGRAM, 136), (socket.AF_NETLINK, socket.SOCK_RAW, 16),
                 (socket.AF_NETLINK, socket.SOCK_RAW, 12)):
        world.attack("socket", *map(int, kind))
    world.attack("socket_pair", int(socket.AF_INET))
    interfaces = world.inside("python3", "-c", "import socket; print(socket.if_nameindex(), socket.socketpair() and 'pair')")
    equal(interfaces.stdout, "[(1, 'lo')] pair\n")
    for high in (0, 1):
        world.attack("terminal_input", high, control=is_root)
    # Of btrfs, and of newer kernels: whoever has no such thing says so, and the filter that nobody may.
    asks = ("import ctypes, os; libc = ctypes.CDLL(None, use_errno=True)\n"
            "for call in (0x50009401, 0x50009417, 0x5000940e, 0x50009418, 0x50009417 | 1 << 32):\n"
            "  libc.syscall(16, os.open('.', 0), ctypes.c_ulong(call), bytes(4096)); print(ctypes.get_errno())\n"
            "libc.syscall(72, os.open('.', 0), 1024 + 16, bytes(8)); print(ctypes.get_errno())")
    equal(world.inside("python3", "-c", asks).stdout, "1\n" * 6)
    assert "1\n" not in world.outside("python3", "-c", asks).stdout
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


def a_stream_is_no_way_to_its_file(world):
    """What may be read as standard input is not opened anew, to be written."""
    target = world.write("~/input", SECRET)
    with open(target, encoding="ascii") as held:
        world.attack("open_again", "/proc/self/fd/0", stdin=held)
    with open(target, encoding="ascii") as held:
        equal(world.inside("sh", "-c", "echo evil >/proc/self/fd/0; cat", stdin=held).stdout, SECRET)
    equal(target.read_text(), SECRET)


def what_the_kernel_tells_its_users_is_not_told(world):
    """Of root outside, whom the command is to the kernel, and of everybody."""
    for name in ("keys", "kpageflags", "slabinfo", "timer_list", "vmallocinfo"):
        if not os.path.exists(f"/proc/{name}"):
            continue
        done = world.inside("head", "-c", "64", f"/proc/{name}")
        equal(done.stdout, "")
    # A crash starts nothing outside: 0 would start what core_pattern names.
    wanted = "(1, 1)\n" if __import__("resource").getrlimit(4)[1] != 0 else "(0, 0)\n"
    script = "import resource as r; print(r.getrlimit(r.RLIMIT_CORE))"
    equal(world.inside("python3", "-c", script).stdout, wanted)
    # Nor does it by the command's own limit, by whatever call.
    lowered = ("import ctypes; c = ctypes.CDLL(None).syscall; none = (ctypes.c_ulong * 2)(0, 0)\n"
               "for high in (0, 1 << 40): print(c(160, ctypes.c_ulong(4 | high), none), c(302, 0, ctypes.c_ulong(4 | high), none, None))\n")
    equal(world.inside("python3", "-c", lowered + script).stdout, "0 0\n0 0\n" + wanted)
    equal(world.inside("python3", "-c", "import resource as r; r.setrlimit(r.RLIMIT_NOFILE, (50, 60)); print(r.getrlimit(r.RLIMIT_NOFILE))").stdout, "(50, 60)\n")


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


def limits_are_not_got_around(world):
    """By processes for which nobody waits, which threads start, and by memory that nobody has mapped."""
    policy(world, "limits: {memory: 100MiB, cpu_time: 200ms, processes: 40}\nprofiles: {default: {network: 'off'}}\n")
    done = world.inside("sh", "-c", "while :; do :; done")
    equal((done.returncode, done.stderr), (137, "cordon: limit CPU time 200 ms\n"))
    # Many: without a control group what is seen of each is what it had at the last look, of which a busy machine takes few.
    unwaited = ("import os, signal, time\nsignal.signal(signal.SIGCHLD, signal.SIG_IGN)\nfor _ in range(200):\n"
                "  if os.fork() == 0:\n    while time.process_time() < 0.05: pass\n    os._exit(0)\n"
                "  try: os.wait()\n  except OSError: pass\nprint('had it')")
    done = world.inside("python3", "-c", unwaited)
    equal((done.returncode, done.stdout, done.stderr), (137, "", "cordon: limit CPU time 200 ms\n"))
    policy(world, "limits: {memory: 100MiB, processes: 40}\nprofiles: {default: {network: 'off'}}\n")
    by_thread = ("import os, threading, time\ndef start():\n  for _ in range(6):\n    if os.fork() == 0:\n"
                 "      x = b'x' * (40 << 20); time.sleep(30); os._exit(0)\n  os.wait()\n"
                 "thread = threading.Thread(target=start); thread.start(); thread.join(); print('had it')")
    memory_file = ("import os, time\nfd = os.memfd_create('x')\nfor _ in range(30): os.write(fd, b'x' * (10 << 20))\n"
                   "time.sleep(30); print('had it')")
    segments = ("import ctypes, time\nlibc = ctypes.CDLL(None)\nlibc.shmat.restype = ctypes.c_void_p\n"
                "for _ in range(30):\n  at = libc.shmat(libc.shmget(0, 10 << 20, 0o1600), None, 0)\n"
                "  ctypes.memset(at, 1, 10 << 20); libc.shmdt(ctypes.c_void_p(at))\ntime.sleep(30); print('had it')")
    for program in (by_thread, memory_file, segments):
        done = world.inside("python3", "-c", program)
        assert done.stderr.endswith("cordon: limit memory 100 MiB\n"), (program, done)
        # A control group of version 1 ends one process at a time.
        assert done.stdout == "" or program is by_thread, (program, done)
    done = world.inside("sh", "-c", "for i in $(seq 60); do sleep 0.5 & done; wait", options=["--json"])
    result = json.loads(done.stdout)
    wanted = [] if result["limits_by"] == "no cgroup" else ["processes"]
    equal((result["limits_met"], "cordon: limit processes 40\n" in done.stderr), (wanted, bool(wanted)))


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


def secrets_are_descriptors_or_files(world):
    secret = world.write("~/token", SECRET + "\n")
    world.write("~/.config/cordon/policy.yaml", f"version: 1\nsecrets:\n  - {{name: a, source: {secret}, target: /run/secret-a}}\n"
                f"  - {{name: b, source: {secret}, descriptor: TOKEN_FD}}\nprofiles: {{default: {{network: 'off'}}}}\n")
    done = world.inside("sh", "-c", "cat /run/secret-a; cat <&$TOKEN_FD; ls /proc/self/fd | wc -l; echo x >/run/secret-a")
    equal((done.stdout.splitlines(), "Read-only" in done.stderr), ([SECRET, SECRET, "5"], True))
    assert SECRET not in world.outside(world.cordon, "plan", "--json", "--wall", "native", "--", "true").stdout


def nothing_is_made_that_gives_its_rights_away(world):
    """What it writes is the caller's, outside too, where anybody may start it: root's as root."""
    policy(world, "workspace: {writable_paths: [out]}\nprofiles: {default: {network: 'off'}}\n")
    (world.project / "out").mkdir()
    world.own()
    world.attack("give_rights", "out/given")
    equal(list((world.project / "out").iterdir()), [])
    done = world.inside("sh", "-c", "cd out && mkdir -m 1777 d && touch f && chmod 0751 f && install -m 755 f g && cp -p g h && stat -c %a d f g h")
    equal((done.stdout, done.stderr), ("1777\n751\n755\n755\n", ""))
    if subprocess.run(["bwrap", "--ro-bind", "/", "/", "true"], capture_output=True, check=False).returncode == 0:
        done = world.outside(world.cordon, "run", "--wall", "bwrap", "--", "python3", "attacks.py", "attack", "give_rights", "out/given")
        assert done.stdout.startswith("blocked: "), done


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


def hard_links_do_not_lead_out(world):
    """Neither to what is outside, nor from what cannot be written to where it can."""
    policy(world, "workspace: {writable_paths: [out]}\nprofiles: {default: {network: 'off'}}\n")
    secret = world.write("~/secret", SECRET)
    world.write("out/x", "x")
    world.write("source", "x")
    world.attack("hard_link", secret, "out/a")
    world.attack("hard_link", "source", "out/b")


TESTS = [exit_codes_are_the_commands, files_of_the_host_are_not_there, the_workspace_is_read_only, what_is_named_can_be_written,
         a_writable_path_through_a_link_is_refused, what_is_excluded_cannot_be_read_or_moved, there_is_no_network, the_kernel_is_not_asked,
         other_entries_are_closed, nothing_is_inherited, a_stream_is_no_way_to_its_file,
         what_the_kernel_tells_its_users_is_not_told, what_is_enforced_is_the_plan, limits_are_kept, limits_are_not_got_around, time_ends_everything,
         nothing_outlives_the_command, signals_go_on, a_policy_chooses_the_wall, what_it_cannot_do_is_refused, secrets_are_descriptors_or_files,
         commands_run_before, a_terminal_is_the_sandboxs_own, hard_links_do_not_lead_out,
         nothing_is_made_that_gives_its_rights_away]

if __name__ == "__main__":
    sys.exit(run("native", TESTS, sys.argv[1:]))

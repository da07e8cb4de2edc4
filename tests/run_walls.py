#!/usr/bin/env python3
"""The walls that are other programs, beside the native one: the seventeen attacks of the npm suite, limits, files, sessions: run_walls.py [TEST…]

As root every test runs twice, as root and as an ordinary user. A wall that this machine has not is skipped with the reason. Each attack is
seen to work outside first.
"""
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from processes import alive  # noqa: E402
from native_world import BUILD, SECRET, USER, Skipped, World, equal  # noqa: E402

ATTACKS = BUILD / "tests" / "cordon-wall-attacks"
CREDENTIALS = (".ssh/id_ed25519", ".ssh/id_rsa", ".npmrc", ".netrc", ".aws/credentials", ".docker/config.json", ".kube/config")
IMAGE = "localhost/cordon-walls-test"


class Walls(World):
    def __init__(self, folder, uid, wall):
        super().__init__(folder, uid)
        self.wall = wall
        shutil.copy(ATTACKS, self.project / "attacks")
        # Programs that Cordon starts of itself are found where they are.
        self.env["PATH"] = "/usr/sbin:/usr/bin:/sbin:/bin"
        self.own()

    def policy(self, text, workspace=""):
        image = f"image: {{ref: {IMAGE}, pull_policy: never}}\n" if self.wall == "podman" else ""
        mount = ", mount: /workspace" if self.wall == "podman" else ""
        self.write("cordon.yaml", f"version: 1\n{image}workspace: {{root: .{mount}{workspace}}}\n{text}")
        done = self.outside(self.cordon, "trust", "--yes")
        equal((done.returncode, done.stderr), (0, done.stderr))

    def inside(self, *command, options=(), **more):
        return self.outside(self.cordon, "run", "--wall", self.wall, *options, "--", *command, **more)

    def compare(self, *attack, path="./attacks", control=True):
        """Works outside and not inside."""
        if control:
            done = self.outside(path, *attack)
            equal((attack, done.stdout), (attack, "reached\n"))
        done = self.inside(path, *attack)
        assert done.stdout.startswith("blocked: ") and done.returncode == 0, (attack, done)


def prepare_podman(uid):
    if uid != 0:
        raise Skipped("an ordinary user's limits need control groups of version 2")
    if not shutil.which("podman"):
        raise Skipped("podman is not installed")
    busybox = shutil.which("busybox")
    if busybox is None or b"statically" not in subprocess.run(["file", "-L", busybox], capture_output=True, check=False).stdout:
        raise Skipped("no static busybox to make an image of")
    if subprocess.run(["podman", "image", "exists", IMAGE], check=False).returncode == 0:
        return
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        for part in ("bin", "tmp", "etc", "proc", "dev", "workspace"):
            (folder / part).mkdir()
        # As every image has it: an engine gives what it mounts there the same mode.
        (folder / "tmp").chmod(0o1777)
        folder.chmod(0o755)
        shutil.copy(busybox, folder / "bin/busybox")
        for tool in ("sh", "true", "sleep", "cat", "ls", "id", "env", "touch", "echo", "stat", "rm", "mv", "head", "seq"):
            (folder / "bin" / tool).symlink_to("busybox")
        (folder / "etc/passwd").write_text("root:x:0:0:root:/:/bin/sh\n")
        tar = subprocess.run(["tar", "-C", folder, "-c", "."], capture_output=True, check=True).stdout
        done = subprocess.run(["podman", "import", "-", IMAGE], input=tar, capture_output=True, check=False)
        if done.returncode != 0:
            raise Skipped("podman imports no image here: " + done.stderr.decode())


def prepare_bwrap(uid):
    identity = [] if os.geteuid() == uid else ["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups"]
    if not shutil.which("bwrap"):
        raise Skipped("bwrap is not installed")
    done = subprocess.run([*identity, "bwrap", "--unshare-all", "--ro-bind", "/", "/", "true"], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Skipped("bwrap: " + done.stderr.strip())


PREPARE = {"native": lambda uid: None, "bwrap": prepare_bwrap, "podman": prepare_podman}


class Servers:
    """Of the host: at its loopback and, if it has one, at another address."""

    def __enter__(self):
        self.tcp, self.udp = socket.socket(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.tcp.bind(("0.0.0.0", 0))
        self.port = self.tcp.getsockname()[1]
        self.udp.bind(("0.0.0.0", self.port))
        self.tcp.listen()
        threading.Thread(target=self.serve_tcp, daemon=True).start()
        threading.Thread(target=self.serve_udp, daemon=True).start()
        self.addresses = ["127.0.0.1"]
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            try:
                probe.connect(("192.0.2.1", 9))
                self.addresses.append(probe.getsockname()[0])
            except OSError:
                self.addresses.append("127.0.0.2")
        return self

    def __exit__(self, *_):
        self.tcp.close()
        self.udp.close()

    def serve_tcp(self):
        while True:
            try:
                client = self.tcp.accept()[0]
            except OSError:
                return
            with client:
                client.recv(100)
                client.sendall(b"HTTP/1.0 200 OK\r\n\r\n")

    def serve_udp(self):
        while True:
            try:
                _, client = self.udp.recvfrom(100)
                self.udp.sendto(b"answer", client)
            except OSError:
                return


# --- tests ---

def seventeen_attacks(world):
    world.policy("profiles: {default: {network: 'off'}}\n", workspace=", writable: true")
    (world.project / ".git/hooks").mkdir(parents=True)
    (world.project / ".git/config").write_text("[core]\n")
    world.own()
    # 1-7: credentials, where they really are.
    for name in CREDENTIALS:
        path = world.write("~/" + name, SECRET)
        world.compare("read", str(path), SECRET)
    # 8: variables.
    world.compare("variable", SECRET)
    # 9-12: the network, by TCP, UDP, HTTP, at the host's loopback and its other address.
    with Servers() as servers:
        here, other = servers.addresses
        world.compare("http", here, str(servers.port), "")
        world.compare("tcp", here, str(servers.port), "x")
        world.compare("udp", here, str(servers.port), "x")
        world.compare("http", other, str(servers.port), "")
    # 13: above the workspace. The command may think that it wrote; the host decides.
    for path in ("../taken", "../../../../../../../taken", str(world.folder / "taken")):
        world.inside("./attacks", "write", path)
    equal([(world.folder / "taken").exists(), pathlib.Path("/taken").exists()], [False, False])
    # 14: what git obeys.
    hook = ".git/hooks/pre-commit"
    world.compare("write", hook, control=False)
    world.compare("write", ".git/config", control=False)
    equal((world.project / hook).exists(), False)
    equal(world.outside("./attacks", "write", hook).stdout, "reached\n")
    # 15: more rights by a program that gives them.
    if os.geteuid() == 0:
        given = world.project / "given"
        shutil.copy(ATTACKS, given)
        os.chown(given, 0, 0)
        given.chmod(0o4755)
        world.compare("effective", path="./given")
    # 16: root.
    world.compare("effective", control=world.uid == 0)
    world.compare("become", control=world.uid == 0)
    # 17: the machine's passwords.
    first = pathlib.Path("/etc/shadow").read_text().split("\n")[0] if os.geteuid() == 0 else "root:"
    world.compare("read", "/etc/shadow", first, control=world.uid == 0)


def exit_codes_and_streams(world):
    world.policy("profiles: {default: {network: 'off'}}\n")
    for script, wanted in (("exit 0", 0), ("exit 7", 7), ("sh -c 'kill -9 $$'; exit $?", 137)):
        equal(world.inside("sh", "-c", script).returncode, wanted)
    done = world.inside("cat", input="through\n")
    equal((done.stdout, done.stderr, done.returncode), ("through\n", "", 0))
    done = world.inside("sh", "-c", "echo \"$1\"; echo err >&2", "x", "a b'\"\\ $HOME")
    equal((done.stdout, done.stderr), ("a b'\"\\ $HOME\n", "err\n"))


def an_ignored_sigchld_changes_nothing(world):
    """A caller's, which is inherited: without it nobody's end could be waited for."""
    world.policy("profiles: {default: {network: 'off'}}\n")
    ignore = {"preexec_fn": lambda: signal.signal(signal.SIGCHLD, signal.SIG_IGN)}
    equal(world.inside("sh", "-c", "true; exit 5", **ignore).returncode, 5)
    if world.wall == "native":
        equal(world.outside(world.cordon, "run", "--wall", "none", "--", "sh", "-c", "true; exit 5", **ignore).returncode, 5)


def what_is_named_can_be_written(world):
    world.write("out/old", "old")
    world.policy("profiles: {default: {network: 'off'}}\n", workspace=", writable_paths: [out]")
    done = world.inside("sh", "-c", "echo new >out/new && echo done; touch elsewhere || echo no")
    equal(done.stdout, "done\nno\n")
    equal((world.project / "out/new").stat().st_uid, world.uid)
    equal((world.project / "elsewhere").exists(), False)


def what_is_excluded_is_hidden(world):
    world.write("a/b/.env", SECRET)
    world.write("a/secrets/key", SECRET)
    world.policy("profiles: {default: {network: 'off'}}\n", workspace=", writable_paths: [a], exclude_paths: [a/b/.env, a/secrets]")
    for path in ("a/b/.env", "a/secrets/key"):
        world.compare("read", path, SECRET)
    script = "mv a/b a/c; mv a/b/.env a/b/x; mv a/secrets a/s; rm -rf a/b a/secrets; touch a/fine; cat a/*/.env a/*/key a/*/x"
    assert SECRET not in world.inside("sh", "-c", script).stdout
    equal([(world.project / path).exists() for path in ("a/b/.env", "a/secrets/key", "a/fine", "a/c", "a/s")], [True, True, True, False, False])


def what_links_lead_to_is_hidden(world):
    """A link may be any part of what is named, and lead on."""
    for path in ("real/deep/secret", "real/x.pem", "other/key", "plain"):
        world.write(path, SECRET)
    (world.project / "real/on").symlink_to("../other")
    for link, target in (("link", "real"), ("by", "link"), ("packages", "real")):
        (world.project / link).symlink_to(target)
    world.own()
    world.policy("profiles: {default: {network: 'off'}}\n",
                 workspace=", writable_paths: [out], exclude_paths: [link/deep/secret, 'by/*.pem', 'link/**/key', packages/missing, plain/]")
    for path in ("real/deep/secret", "link/deep/secret", "by/deep/secret", "real/x.pem", "by/x.pem", "other/key", "real/on/key", "plain"):
        world.compare("read", path, SECRET)


def a_link_is_no_writable_path(world):
    (world.project / "out").symlink_to(world.home)
    world.own()
    world.policy("profiles: {default: {network: 'off'}}\n", workspace=", writable_paths: [out]")
    done = world.inside("true")
    equal(done.returncode, 125)
    assert "symbolic link" in done.stderr, done.stderr


def what_git_obeys_cannot_be_written(world):
    """In a workspace that may be written, as it was cloned: also where git was told to look for hooks and settings."""
    world.write("~/.config/cordon/policy.yaml", "version: 1\ngrants: {workspace: all}\n")
    config = "[core]\n\thooksPath = .githooks\n[include]\n\tpath = ../.settings\n"
    for path, text in (("config", config), ("HEAD", "ref: refs/heads/main\n"), ("hooks/old", ""), ("objects/x", ""), ("refs/x", "")):
        world.write(f".git/{path}", text)
    obeyed = {".git/hooks/old": "", ".git/config": config, ".githooks/old": "", ".settings": ""}
    for path, text in obeyed.items():
        world.write(path, text)
    world.policy("profiles: {default: {network: 'off', writable: true}}\n", workspace=", writable: true")
    done = world.inside("sh", "-c", "for f in \"$@\"; do echo evil >$f; rm -f $f; done; mv .git x; mv .githooks y; echo fine >made", "x", *obeyed)
    equal((done.returncode, (world.project / "made").read_text()), (0, "fine\n"))
    equal({path: (world.project / path).read_text() for path in obeyed}, obeyed)


def a_stream_is_no_way_to_its_file(world):
    """What may be read as standard input is not opened anew, to be written; and a socket of the host's network is none."""
    world.policy("profiles: {default: {network: 'off'}}\n")
    target = world.write("~/input", SECRET)
    for opened in (world.outside, world.inside):
        with open(target, encoding="ascii") as held:
            opened("sh", "-c", "echo evil >/proc/self/fd/0", stdin=held)
        equal(target.read_text(), "evil\n" if opened == world.outside else SECRET)
        target.write_text(SECRET)
    # It comes whole, and who does not want it does not wait.
    target.write_text(SECRET * 30000)
    for command, wanted in ((("cat",), SECRET * 30000), (("true",), "")):
        with open(target, encoding="ascii") as held:
            equal(world.inside(*command, stdin=held).stdout, wanted)
    # No more of it is taken than the command and what ran before it took.
    if world.wall != "podman":
        world.policy("profiles: {default: {network: 'off', pre_run: ['true']}}\n")
        target.write_text("".join(f"line {number}\n" for number in range(50000)))
        with open(target, encoding="ascii") as held:
            script = f"{world.cordon} run --wall {world.wall} -- sh -c 'read x; read y; echo $x $y'; head -n 1"
            equal(world.outside("sh", "-c", script, stdin=held).stdout, "line 0 line 1\nline 2\n")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as held:
        done = world.inside("true", stdin=held)
        equal(done.returncode, 125)
        assert "socket of the host's network" in done.stderr, done.stderr
    with socket.socketpair()[0] as held:
        equal(world.inside("true", stdin=held).returncode, 0)


def time_and_output_are_kept(world):
    world.policy("limits: {wall_time: 2s, output: 1000}\nprofiles: {default: {network: 'off'}}\n")
    begin = time.monotonic()
    done = world.inside("sh", "-c", "sleep 60 & sleep 60")
    equal((done.returncode, done.stderr), (124, "cordon: limit wall time 2 s\n"))
    assert time.monotonic() - begin < 12, time.monotonic() - begin
    done = world.inside("seq", "1", "100000")
    equal(len(done.stdout), 1000)
    assert "limit output" in done.stderr, done.stderr


def nothing_outlives_a_killed_cordon(world):
    world.policy("profiles: {default: {network: 'off'}}\n")
    mark = f"50.{time.monotonic_ns()}"
    process = subprocess.Popen([*world.identity(), str(world.cordon), "run", "--wall", world.wall, "--", "sh", "-c", f"echo go; sleep {mark}; exit"],
                               cwd=world.project, env=world.env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    equal(process.stdout.readline(), b"go\n")

    def sleepers():
        found = []
        for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
            try:
                if path.read_bytes().split(b"\0")[-2:-1] == [mark.encode()]:
                    found.append(int(path.parent.name))
            except OSError:
                pass
        return found
    until = time.monotonic() + 10
    while not (before := sleepers()) and time.monotonic() < until:
        time.sleep(0.05)
    process.kill()
    process.wait()
    assert before, "the command does not run"
    until = time.monotonic() + 15
    while any(alive(pid) for pid in before) and time.monotonic() < until:
        time.sleep(0.1)
    equal([pid for pid in before if alive(pid)], [])
    for stream in (process.stdin, process.stdout, process.stderr):
        stream.close()


def what_it_cannot_enforce_is_refused(world):
    if world.wall == "native":
        return
    for text, word in (("limits: {disk: 1MiB}\nprofiles: {default: {network: 'off'}}\n", "disk"),
                       ("runtime: {reuse_container: true}\nprofiles: {default: {network: 'on', network_allow: ['a.example']}}\n", "hosts")):
        # Where it is no session, a list of hosts is kept: run_native_network.py and run_container_network.py.
        if word == "hosts" and world.wall == "bwrap":
            continue
        world.policy(text)
        done = world.inside("true")
        equal(done.returncode, 125)
        assert word in done.stderr, (word, done.stderr)


def sessions_belong_to_a_plan(world):
    if world.wall != "podman":
        return
    text = "runtime: {reuse_container: true}\nprofiles: {default: {network: 'off'}}\n"

    def sessions():
        done = subprocess.run(["podman", "ps", "--format", "{{.Names}}"], capture_output=True, text=True, check=True)
        return {name for name in done.stdout.split() if name.startswith("cordon-") and "default-" in name}
    before = sessions()
    world.policy(text)
    try:
        equal(world.inside("sh", "-c", "echo kept >/tmp/state").returncode, 0)
        equal(world.inside("cat", "/tmp/state").stdout, "kept\n")
        world.policy(text, workspace=", writable_paths: [out]")
        (world.project / "out").mkdir(exist_ok=True)
        world.own()
        done = world.inside("cat", "/tmp/state")
        equal((done.stdout, done.returncode), ("", 1))
        equal(len(sessions() - before), 2)
    finally:
        for name in sessions() - before:
            subprocess.run(["podman", "rm", "--force", "--time", "0", name], capture_output=True, check=False)


def the_plan_is_what_it_is_told(world):
    if world.wall == "native":
        return
    world.policy("environment: {set: {API_TOKEN: some-secret-value-0123456789}}\nprofiles: {default: {network: 'off'}}\n")
    done = world.outside(world.cordon, "plan", "--wall", world.wall, "--show-command", "--", "echo", "a b")
    equal(done.returncode, 0)
    assert "'a b'" in done.stdout and "some-secret-value" not in done.stdout, done.stdout


def no_program_of_the_project_puts_up_the_wall(world):
    """Although the search path begins with its folder, as `npm run` makes it."""
    if world.wall == "native":
        return
    world.policy("profiles: {default: {network: 'off'}}\n")
    for folder, in_path in (("node_modules/.bin", str(world.project / "node_modules/.bin")), ("bin", "bin"), ("by", str(world.folder / "by"))):
        mark = world.folder / "mark"
        world.write(f"{folder}/{world.wall}", f"#!/bin/sh\ntouch {mark}\n").chmod(0o755)
        if folder == "by":
            (world.folder / "by").symlink_to(world.project / "by")
        equal(world.outside(f"{folder}/{world.wall}").returncode, 0)
        mark.unlink()
        before = world.env["PATH"]
        world.env["PATH"] = f"{in_path}:{before}"
        equal((world.inside("true").returncode, mark.exists()), (0, False))
        world.env["PATH"] = before


def no_word_of_a_project_is_an_option(world):
    """Names that go into an engine's command line."""
    if world.wall != "podman":
        return
    for image in ("-v=/:/host", "--privileged", "--rootfs", "dir:/etc", "a b"):
        world.write("cordon.yaml", f"version: 1\nimage: {{ref: {json.dumps(image)}, pull_policy: never}}\nprofiles: {{default: {{network: 'off'}}}}\n")
        done = world.inside("sh", IMAGE)
        equal(done.returncode, 125)
        assert "cordon.yaml:2:14: ref: expected the name of an image" in done.stderr, done.stderr
    world.write("cordon.yaml", f"version: 1\nimage: {{ref: {IMAGE}}}\nruntime: {{container_name: --env=x}}\nprofiles: {{default: {{network: 'off'}}}}\n")
    assert "container_name: expected" in world.inside("true").stderr
    world.policy("profiles: {default: {network: 'off'}}\n")
    done = world.inside("sh", IMAGE, options=("--image=--privileged",))
    equal(done.returncode, 125)
    assert "--image: expected the name of an image" in done.stderr, done.stderr


def the_program_is_the_one_that_is_named(world):
    """In the user's own policy, and nowhere else."""
    if world.wall not in ("bwrap", "podman"):
        return
    world.policy("profiles: {default: {network: 'off'}}\n")
    own = world.folder / "own-program"
    mark = world.folder / "mark"
    own.write_text(f"#!/bin/sh\necho $0 >{mark}\nexec {shutil.which(world.wall)} \"$@\"\n")
    own.chmod(0o755)
    world.write("~/.config/cordon/policy.yaml", f"version: 1\nwall_programs: {{{world.wall}: {own}}}\n")
    done = world.inside("echo", "ran")
    equal((done.stdout, mark.exists()), ("ran\n", True))
    world.write("~/.config/cordon/policy.yaml", f"version: 1\nwall_programs: {{{world.wall}: /no/such/program}}\n")
    done = world.inside("echo", "ran")
    equal((done.stdout, done.returncode), ("", 125))
    (world.home / ".config/cordon/policy.yaml").unlink()
    world.write("cordon.yaml", f"version: 1\nwall_programs: {{{world.wall}: {own}}}\n")
    done = world.inside("echo", "ran")
    equal((done.stdout, done.returncode), ("", 125))
    assert "belongs into your own policy" in done.stderr, done.stderr


def none_is_asked_for_by_name(world):
    """And by nobody else: without the user's grant a project has no way to it."""
    if world.wall != "native":
        return
    world.write("cordon.yaml", "version: 1\nprofiles: {default: {mode: host}}\n")
    equal(world.outside(world.cordon, "run", "--", "true").returncode, 125)
    done = world.outside(world.cordon, "run", "--wall", "none", "--", "sh", "-c", "echo $CORDON_SECRET; exit 4")
    equal((done.stdout, done.returncode), ("\n", 4))
    (world.project / "cordon.yaml").unlink()
    begin = time.monotonic()
    world.write("cordon.yaml", "version: 1\nlimits: {wall_time: 1s}\nprofiles: {default: {network: 'off'}}\n")
    equal(world.outside(world.cordon, "run", "--wall", "none", "--", "sh", "-c", "setsid sleep 50 & sleep 50").returncode, 124)
    assert time.monotonic() - begin < 10


def it_works_in_a_container(world):
    """As an ordinary user without a capability; where something is missing, one line says what to do."""
    if world.wall != "podman":
        return
    options = ["--rm", "--network", "none", "--ulimit", "nofile=1024:1024", "--ulimit", "nproc=4096:4096", "--user", "1000:1000", "--cap-drop", "all",
               "--env", "HOME=/nonexistent", "--volume", f"{world.cordon}:/cordon:ro", "--workdir", "/workspace"]

    def run(*more):
        return subprocess.run(["podman", "run", *options, *more, IMAGE, "/cordon", "run", "--wall", "native", "--", "sh", "-c", "echo inside"],
                              capture_output=True, text=True, check=False, timeout=60)
    done = run("--security-opt", "seccomp=unconfined", "--security-opt", "unmask=ALL")
    equal((done.stdout, done.stderr, done.returncode), ("inside\n", "", 0))
    for more in ((), ("--security-opt", "seccomp=unconfined")):
        done = run(*more)
        equal((done.stdout, done.returncode, len(done.stderr.splitlines())), ("", 125, 1))
        assert "podman run --security-opt" in done.stderr, done.stderr


TESTS = [seventeen_attacks, exit_codes_and_streams, an_ignored_sigchld_changes_nothing, what_is_named_can_be_written, what_is_excluded_is_hidden,
         what_links_lead_to_is_hidden, a_link_is_no_writable_path, what_git_obeys_cannot_be_written, a_stream_is_no_way_to_its_file,
         time_and_output_are_kept, nothing_outlives_a_killed_cordon, what_it_cannot_enforce_is_refused, sessions_belong_to_a_plan,
         the_plan_is_what_it_is_told, no_program_of_the_project_puts_up_the_wall, no_word_of_a_project_is_an_option,
         the_program_is_the_one_that_is_named, it_works_in_a_container, none_is_asked_for_by_name]


def main(wanted):
    passed = failed = 0
    for test in TESTS:
        if wanted and test.__name__ not in wanted:
            continue
        for wall in PREPARE:
            for uid in (0, USER) if os.geteuid() == 0 else (os.geteuid(),):
                name = f"walls, {wall}{', as root' if uid == 0 else ''}: {test.__name__.replace('_', ' ')}"
                with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
                    try:
                        PREPARE[wall](uid)
                        test(Walls(pathlib.Path(folder).resolve(), uid, wall))
                        print(f"ok   {name}", flush=True)
                        passed += 1
                    except Skipped as reason:
                        print(f"skip {name}: {reason}", flush=True)
                    except (AssertionError, OSError, subprocess.SubprocessError, ValueError, KeyError, json.JSONDecodeError) as error:
                        print(f"FAIL {name}: {type(error).__name__}: {error}", flush=True)
                        failed += 1
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

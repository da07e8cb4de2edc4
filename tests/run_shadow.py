#!/usr/bin/env python3
"""What `cordon shadow`, `diff`, `commit` and `discard` do with a command's changes: run_shadow.py [NAME…]

Every test runs with an overlay and with a copy, as the caller and, if that is root, as an ordinary user too. Commands run in the
view by `cordon-shadow-enter`, which mounts it as a wall does.
"""
import base64
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from processes import drawn

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = pathlib.Path(os.environ.get("CORDON_BUILD", ROOT / "build"))
USER = 65534
# A commit waits for the disk; in memory, that takes no time.
BASE = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


class World:
    """A home, a workspace and one shadow of it."""

    def __init__(self, folder, mode, uid):
        self.folder, self.mode, self.uid = folder, mode, uid
        self.home, self.ws, self.bin = folder / "home", folder / "ws", folder / "bin"
        for path in (folder, self.home, self.ws, self.bin):
            path.mkdir(exist_ok=True)
            path.chmod(0o755)
        for program in (BUILD / "cordon", BUILD / "tests/cordon-shadow-enter"):
            shutil.copy(program, self.bin)
        self.env = {"PATH": "/usr/bin:/bin:/usr/sbin:/sbin", "HOME": str(self.home), "LANG": "C.UTF-8"}
        self.own()

    def own(self):
        if self.uid != os.geteuid():
            subprocess.run(["chown", "-hR", f"{self.uid}:{self.uid}", self.home, self.ws], check=True)

    def as_user(self, command):
        if self.uid == os.geteuid():
            return command
        return ["setpriv", f"--reuid={self.uid}", f"--regid={self.uid}", "--clear-groups", *command]

    def cordon(self, *arguments, status=0, cwd=None, **env):
        done = subprocess.run(self.as_user([self.bin / "cordon", *arguments]), cwd=cwd or self.ws, env={**self.env, **env},
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="surrogateescape", timeout=60)
        assert done.returncode == status, f"{arguments}: {done.returncode}, {done.stdout}{done.stderr}"
        return done.stdout if status == 0 else done.stderr

    def make(self, *options):
        self.id = self.cordon("shadow", "create", "--mode", self.mode, *options).strip()

    def run(self, script):
        """In the view, by the host's bash."""
        done = subprocess.run(self.as_user([self.bin / "cordon-shadow-enter", self.id, "bash", "-c", script]), cwd=self.folder,
                              env=self.env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def diff(self):
        return json.loads(self.cordon("diff", "--json"))

    def write(self, path, text):
        """By the user, outside of the view."""
        target = self.ws / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
        for made in (target, *target.parents):
            if made == self.ws:
                break
            if made.lstat().st_uid != self.uid:
                os.chown(made, self.uid, self.uid)

    def picture(self):
        found = {}
        for path in sorted(self.ws.rglob("*")):
            stat = path.lstat()
            what = os.readlink(path) if path.is_symlink() else path.read_bytes() if path.is_file() else b""
            found[str(path.relative_to(self.ws))] = (stat.st_mode, what)
        return found


def equal(got, wanted):
    assert got == wanted, f"{got!r}, expected {wanted!r}"


def paths(report, kind):
    return [change["path"] for change in report[kind]]


def a_command_works_on_a_view(world):
    world.write("a.txt", "one\ntwo\n")
    world.write("gone", "gone\n")
    world.write("old", "a text that keeps its contents\n")
    world.write("dir/sub/file", "x\n")
    world.write("run", "#!/bin/sh\n")
    (world.ws / "link").symlink_to("a.txt")
    world.own()
    before = world.picture()
    world.make()
    equal(world.diff()["status"], "+0 ~0 -0")
    world.run("echo three >>a.txt; rm gone link; mv old new; rm -r dir; mkdir dir; echo y >dir/other; chmod 755 run; ln -s run link")
    equal(world.picture(), before)
    report = world.diff()
    equal((paths(report, "adds"), paths(report, "modifies"), paths(report, "deletes")),
          (["dir/other"], ["a.txt", "link", "run"], ["dir/sub", "dir/sub/file", "gone"]))
    equal([(change["from"], change["path"]) for change in report["renames"]], [("old", "new")])
    equal(report["modifies"][0]["text"], "@@ -1,2 +1,3 @@\n one\n two\n+three\n")
    equal((report["modifies"][2]["before"]["mode"], report["modifies"][2]["after"]["mode"]), ("0644", "0755"))
    text = world.cordon("diff")
    for part in ("rename  old => new\n", "modify  run  (mode 0644 => 0755)\n", "--- a/a.txt\n+++ b/a.txt\n", "status: +2 ~3 -4\n"):
        assert part in text, (part, text)
    coloured = drawn(world.as_user([world.bin / "cordon", "diff"]), cwd=world.ws, env={**world.env, "TERM": "xterm"})[1]
    assert "\033[32m+three\033[m\n" in coloured, coloured
    equal(re.sub("\033\\[[0-9]*m", "", coloured), text)
    equal(world.cordon("commit"), "committed: +2 ~3 -4\n")
    wanted = world.run("find . -mindepth 1 -printf '%P %y %m %l\\n' | sort; cat a.txt new dir/other")
    done = subprocess.run(["bash", "-c", "find . -mindepth 1 -printf '%P %y %m %l\\n' | sort; cat a.txt new dir/other"], cwd=world.ws,
                          env=world.env, capture_output=True, text=True, check=True)
    equal(done.stdout, wanted)
    for path in world.ws.rglob("*"):
        equal(path.lstat().st_uid, world.uid)
    equal(world.diff()["status"], "+0 ~0 -0")
    world.run("echo again >a.txt")
    equal(paths(world.diff(), "modifies"), ["a.txt"])
    equal(world.cordon("discard"), f"discarded: {world.id}\n")
    equal(list((world.home / ".local/state/cordon/shadow").iterdir()), [])


def what_is_left_out_is_listed(world):
    world.write(".cordonignore", "*.pem\n/build/\n")
    world.write("key.pem", "secret")
    world.write("build/out", "o")
    world.write("sub/build/kept", "k")
    world.write("sub/.gitignore", "*.log\n!keep.log\n")
    world.write("sub/a.log", "l")
    world.write("sub/keep.log", "l")
    os.mkfifo(world.ws / "pipe")
    world.own()
    world.make("--gitignore", "--ignore", "private")
    equal(world.run("find . -type f | sort"), "./.cordonignore\n./sub/.gitignore\n./sub/build/kept\n./sub/keep.log\n")
    equal({entry["path"]: entry["why"] for entry in world.diff()["not_imported"]},
          {"build": "ignored (.cordonignore: /build/)", "key.pem": "ignored (.cordonignore: *.pem)",
           "pipe": "a FIFO, a socket or a device", "sub/a.log": "ignored (sub/.gitignore: *.log)"})
    world.run("echo mine >key.pem; mkdir build; echo x >new.log; echo y >sub/b.log")
    # Rules hide what was there, never what the command made.
    equal(paths(world.diff(), "adds"), ["build", "key.pem", "new.log", "sub/b.log"])
    assert "key.pem: conflict: is in the workspace and was not imported" in world.cordon("commit", status=125)
    equal((world.ws / "key.pem").read_text(), "secret")
    equal(world.cordon("commit", "sub", "new.log"), "committed: +2 ~0 -0\n")
    world.run("rm -r sub")
    assert "has something that would be lost: sub/a.log" in world.cordon("commit", "sub", status=125)


def hostile_names_draw_nothing(world):
    world.make()
    world.run(r"""touch -- -rf $'\e]52;c;eA==\a' $'two\nlines' $'\xff\xfe' $'a\xe2\x80\xaeb'; printf '\e[2J\e[31mred\n' >plain; printf 'a\0b' >binary
              head -c 3000000 /dev/zero >large; mkdir $'d\n'; echo x >$'d\n/x'""")
    text = world.cordon("diff")
    assert "\x1b" not in text and "\x07" not in text and "‮" not in text, text
    for part in ('"-rf"', '"two\\nlines"', '"\\377\\376"', "+\\x1b[2J\\x1b[31mred", "no text of binary: binary",
                 "no text of large: larger than 1 MiB"):
        assert part in text, (part, text)
    exact = [base64.b64decode(change["path_base64"]) for change in world.diff()["adds"] if "path_base64" in change]
    equal(exact, [b"\xff\xfe"])
    equal(world.cordon("commit", "--", "./-rf"), "committed: +1 ~0 -0\n")
    world.cordon("commit")
    assert (world.ws / "two\nlines").exists() and (world.ws / os.fsdecode(b"\xff\xfe")).exists()


def what_the_host_would_obey_is_refused(world):
    world.write(".git/config", "[core]\n")
    world.write(".git/HEAD", "ref: refs/heads/main\n")
    world.own()
    world.make()
    world.run("echo fsmonitor=evil >>.git/config; mkdir -p .git/hooks .vscode sub; echo evil >.git/hooks/pre-commit; echo x >.vscode/tasks.json;"
              "ln -s /tmp/evil .husky; echo 'gitdir: /tmp/evil' >sub/.git; echo x >.bashrc; echo fine >fine; cp /bin/true s; chmod 6755 s; mkfifo f")
    said = world.cordon("commit", status=125)
    for path in (".git/config", ".git/hooks/pre-commit", ".vscode/tasks.json", ".husky", "sub/.git", ".bashrc"):
        assert f"cordon: {path}: is protected" in said, (path, said)
    assert "s: would run with another's rights" in said and "f: is a FIFO" in said, said
    assert not (world.ws / "fine").exists()
    world.cordon("commit", ".git", status=125)
    world.cordon("commit", "--skip-refused")
    assert (world.ws / "fine").exists() and not (world.ws / ".husky").is_symlink()
    equal((world.ws / ".git/config").read_text(), "[core]\n")
    world.cordon("commit", ".git/config", ".git/hooks/pre-commit")
    equal((world.ws / ".git/config").read_text(), "[core]\nfsmonitor=evil\n")
    assert "s: would run" in world.cordon("commit", "s", status=125)


def links_out_stay_links(world):
    victim = world.folder / "victim"
    victim.mkdir()
    (victim / "file").write_text("safe")
    world.write("d/file", "d")
    world.own()
    world.make()
    world.run(f"rm -r d; ln -s {victim} d; ln -s /etc/passwd p; ln -s ../../x up")
    text = world.cordon("diff")
    equal(text.count("leads outside the workspace"), 3)
    world.cordon("commit")
    equal((os.readlink(world.ws / "p"), (victim / "file").read_text()), ("/etc/passwd", "safe"))
    # What the command made through a link of the shadow is not there; what it makes beside one is.
    world.run("rm d; mkdir d; echo new >d/file")
    world.cordon("commit")
    equal(((world.ws / "d/file").read_text(), (victim / "file").read_text()), ("new\n", "safe"))


def changes_of_the_real_tree_are_not_lost(world):
    for name in ("a", "b", "c"):
        world.write(name, "base\n")
    world.own()
    world.make()
    world.run("for f in a b c; do echo shadow >$f; done; echo shadow >d")
    world.write("a", "user\n")
    world.write("d", "user\n")
    (world.ws / "b").unlink()
    before = world.picture()
    said = world.cordon("commit", status=125)
    for part in ("a: conflict: has changed in the workspace since", "b: conflict: is not in the workspace any more",
                 "d: conflict: has been made in the workspace meanwhile", "nothing was committed: 3 refused"):
        assert part in said, (part, said)
    equal(world.picture(), before)
    equal(world.cordon("commit", "c"), "committed: +0 ~1 -0\n")
    world.cordon("commit", "--force", "a", "--force", "d", status=125)
    equal(world.cordon("commit", "--dry-run", "--force", "."), "would commit: +1 ~2 -0\n")
    equal((world.ws / "a").read_text(), "user\n")
    world.cordon("commit", "--force", ".")
    equal([(world.ws / name).read_text() for name in "abcd"], ["shadow\n"] * 4)


def a_directory_that_may_not_be_written_is_said_before(world):
    world.write("locked/file", "f")
    (world.ws / "locked").chmod(0o555)
    world.make()
    world.run("chmod u+w locked; echo n >locked/new; chmod 555 locked")
    if world.uid == 0:
        world.cordon("commit")
        equal((world.ws / "locked/new").read_text(), "n\n")
        return
    before = world.picture()
    for options in (("--dry-run",), ()):
        said = world.cordon("commit", *options, status=125)
        assert "locked/new: conflict: locked may not be written" in said, said
        equal(world.picture(), before)
    (world.ws / "locked").chmod(0o755)
    world.cordon("commit", "--force", "locked", "locked/new")
    equal((world.ws / "locked/new").read_text(), "n\n")


def the_user_s_program_approves(world):
    world.write("a", "a\n")
    world.own()
    hook = world.folder / "hook"
    hook.write_text("#!/bin/sh\ncat >" + str(world.home) + "/report.json\npwd >&2\nexit ${ANSWER:-0}\n")
    hook.chmod(0o755)
    config = world.home / ".config/cordon"
    config.mkdir(parents=True)
    (config / "policy.yaml").write_text(f"version: 1\ncommit_approval: [{hook}]\n")
    world.own()
    for path in (world.home / ".config", config):
        path.chmod(0o700)
    # A project cannot name one.
    world.write("cordon.yaml", "version: 1\ncommit_approval: [/bin/true]\n")
    world.make()
    world.run("echo b >a")
    assert "did not approve; nothing was committed" in world.cordon("commit", status=125, ANSWER="1")
    equal((world.ws / "a").read_text(), "a\n")
    report = json.loads((world.home / "report.json").read_text())
    equal((report["modifies"][0]["path"], report["modifies"][0]["text"]), ("a", "@@ -1 +1 @@\n-a\n+b\n"))
    world.cordon("commit")
    equal((world.ws / "a").read_text(), "b\n")
    assert "your own policy" in world.cordon("plan", "--", "make", status=125)


def kill_commits(world, count, old, new):
    """How many of some commits were killed; each leaves all of the old or all of the new, with 21 things that are new too."""
    killed = 0
    for delay in (0, 0.001, 0.004, 0.008, 0.012, 0.02, 0.03):
        process = subprocess.Popen(self_command(world, "commit"), cwd=world.ws, env=world.env, stdin=subprocess.DEVNULL,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        time.sleep(delay)
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=30)
        killed += process.returncode == -signal.SIGKILL
        status = world.diff()["status"]
        contents = {(world.ws / f"f{number}").read_text() for number in range(count)}
        assert (status, contents) in ((f"+21 ~{count} -0", {old}), ("+0 ~0 -0", {new})), (status, contents)
        equal([path.name for path in world.ws.iterdir() if path.name.startswith(".cordon")], [])
        if status == "+0 ~0 -0":
            break
    return killed


def a_killed_commit_is_taken_back_or_finished(world):
    """The real command, killed at moments that differ; anew if it was quicker each time."""
    count, rounds = 60, 10
    for number in range(count):
        world.write(f"f{number}", "0\n")
    world.own()
    world.make()
    for number in range(1, rounds + 1):
        folder = f"d{number}"
        world.run(f"for n in {{0..{count - 1}}}; do echo {number} >f$n; done; mkdir {folder}; for n in {{1..20}}; do echo x >{folder}/$n; done")
        if kill_commits(world, count, f"{number - 1}\n", f"{number}\n") > 0:
            break
        assert number < rounds, "every commit was done before it was killed"
    world.cordon("commit")
    equal(len(list((world.ws / folder).iterdir())), 20)


def self_command(world, *arguments):
    return world.as_user([world.bin / "cordon", *arguments])


def rights_that_the_command_took_away(world):
    world.make()
    world.run("mkdir -p closed/in; echo x >closed/in/file; chmod 000 closed/in/file closed/in closed; echo y >f; chmod 200 f")
    equal(paths(world.diff(), "adds"), ["closed", "closed/in", "closed/in/file", "f"])
    equal([change["after"]["mode"] for change in world.diff()["adds"]], ["0000", "0000", "0000", "0200"])
    world.cordon("commit")
    equal((world.ws / "closed").lstat().st_mode & 0o7777, 0)
    equal((world.ws / "f").lstat().st_mode & 0o7777, 0o200)
    world.cordon("discard")


def a_full_disk_changes_nothing(world):
    """The workspace is a file system of one MiB."""
    if world.mode == "overlay":
        return  # the shadow would be on the host's, which is as in mode copy
    script = f"""set -e; mount -t tmpfs -o size=1m,mode=755 tmpfs {world.ws}; cd {world.ws}; echo old >a; {world.bin}/cordon shadow create --mode copy . >{world.home}/id
                 tree={world.home}/.local/state/cordon/shadow/$(cat {world.home}/id)/tree; head -c 5000000 /dev/zero >$tree/a; echo n >$tree/b
                 ! {world.bin}/cordon commit; ls -A; cat a; echo small >$tree/a; {world.bin}/cordon commit"""
    done = subprocess.run(world.as_user(["unshare", "-rm", "bash", "-c", script]), env=world.env, cwd="/", capture_output=True, text=True,
                          stdin=subprocess.DEVNULL, timeout=60)
    equal((done.returncode, done.stdout), (0, "a\nold\ncommitted: +1 ~1 -0\n"))
    assert "No space left on device" in done.stderr, done.stderr


def files_of_others_are_refused(world):
    if world.uid == os.geteuid():
        return
    world.write("mine", "m\n")
    (world.ws / "roots").write_text("r\n")  # in a directory of the user's, who could remove it
    world.make()
    world.run("echo new >mine; rm roots; echo new >roots")
    assert "to whom it belongs" in world.cordon("commit", status=125)
    equal(((world.ws / "mine").read_text(), (world.ws / "roots").read_text()), ("m\n", "r\n"))


def one_at_a_time(world):
    world.make()
    # It has the shadow before anybody else wants it.
    holder = subprocess.Popen(world.as_user([world.bin / "cordon-shadow-enter", world.id, "sh", "-c", "echo there; exec sleep 20"]),
                              env=world.env, stdout=subprocess.PIPE, text=True)
    equal(holder.stdout.readline(), "there\n")
    assert "is using it" in world.cordon("commit", status=125)
    assert "is using it" in world.cordon("discard", status=125)
    equal(world.diff()["status"], "+0 ~0 -0")
    for pid in pathlib.Path(f"/proc/{holder.pid}/task/{holder.pid}/children").read_text().split():
        os.kill(int(pid), signal.SIGKILL)
    holder.wait(timeout=20)
    holder.stdout.close()
    world.cordon("discard")


def touching_is_no_conflict_where_everything_was_hashed(world):
    world.write("a", "base\n")
    world.write("b", "base\n")
    world.make("--hash")
    world.run("echo shadow | tee a b")
    os.utime(world.ws / "a")
    world.write("b", "user\n")
    said = world.cordon("commit", status=125)
    assert "b: conflict" in said and "a: conflict" not in said, said
    equal(world.cordon("commit", "a"), "committed: +0 ~1 -0\n")


def mistakes_are_named(world):
    assert "no shadow of this directory" in world.cordon("diff", status=125)
    world.make()
    assert "no such shadow" in world.cordon("diff", "--shadow", "zz", status=125)
    assert "nothing has changed there" in world.cordon("commit", "nothing", status=125)
    assert "is not in" in world.cordon("commit", "../other", status=125)
    first = world.id
    world.make()
    assert first in world.cordon("diff", status=125)
    equal(world.cordon("discard", "--shadow", first[:8]), f"discarded: {first}\n")
    base = world.home / f".local/state/cordon/shadow/{world.id}/base"
    base.write_bytes(base.read_bytes()[:-1])
    assert "damaged" in world.cordon("diff", status=125)
    assert "Cordon's own" in world.cordon("shadow", "create", str(world.home), status=125)


TESTS = [a_command_works_on_a_view, what_is_left_out_is_listed, hostile_names_draw_nothing, what_the_host_would_obey_is_refused,
         links_out_stay_links, changes_of_the_real_tree_are_not_lost,
         a_directory_that_may_not_be_written_is_said_before, the_user_s_program_approves,
         a_killed_commit_is_taken_back_or_finished, rights_that_the_command_took_away, a_full_disk_changes_nothing,
         files_of_others_are_refused, one_at_a_time,
         touching_is_no_conflict_where_everything_was_hashed, mistakes_are_named]


def run(test, mode, uid):
    with tempfile.TemporaryDirectory(dir=BASE, ignore_cleanup_errors=True) as folder:
        try:
            test(World(pathlib.Path(folder).resolve(), mode, uid))
            return None
        except (AssertionError, subprocess.SubprocessError, OSError, ValueError, KeyError, TypeError) as error:
            return f"{type(error).__name__}: {error}"
        finally:
            subprocess.run(["chmod", "-R", "u+rwx", folder], stderr=subprocess.DEVNULL, check=False)


def main(wanted):
    passed = failed = 0
    users = [os.geteuid()] + ([USER] if os.geteuid() == 0 else [])
    for test in TESTS:
        name = test.__name__.replace("_", " ")
        if wanted and test.__name__ not in wanted:
            continue
        for mode in ("overlay", "copy"):
            for uid in users:
                problem = run(test, mode, uid)
                passed, failed = passed + (problem is None), failed + (problem is not None)
                if problem:
                    print(f"FAIL shadow: {name} ({mode}, user {uid})\n     {problem}", flush=True)
        print(f"done shadow: {name}", flush=True)
    print(f"{passed} passed, {failed} failed")
    return 0 if passed and not failed else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

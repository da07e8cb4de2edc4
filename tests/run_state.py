#!/usr/bin/env python3
"""Trees of live sandboxes as archives, export and import: run_state.py [NAME...]"""
import contextlib
import hashlib
import io
import itertools
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tarfile
import tempfile
import threading
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent
CORDON = str(ROOT / "build/cordon")
sys.path.insert(0, str(ROOT / "sdk/python"))
os.environ["CORDON"] = CORDON

from cordon_sandbox import RpcError, Sandbox  # noqa: E402
from processes import answers, eventually  # noqa: E402

MAKE_TREE = r"""
mkdir -p /tmp/t/sub/deep; cd /tmp/t
echo hello > sub/f; chmod 640 sub/f; touch -d '2020-02-03 04:05:06.123456789 UTC' sub/f
ln -s ../sub/f sub/link; ln -s /nowhere dangling; ln sub/f hard; mkfifo pipe
: > empty; head -c 300000 /dev/urandom > random; printf x > $'odd\xff\nname'; printf y > 'straße'
chmod 1777 sub/deep; touch -d '2001-01-01 UTC' sub/deep
"""
# Everything that an archive keeps, one line a file.
DESCRIBE = r"""cd %s; find . -mindepth 1 -printf '%%P|%%y|%%m|%%u|%%l|%%T@|%%n|' \( -type f -exec sha256sum {} \; -o -printf '\n' \) | LC_ALL=C sort"""


def layout_of(state):
    """The files of the image in the tar."""
    with tarfile.open(fileobj=io.BytesIO(state)) as tar:
        return {member.name: tar.extractfile(member).read() for member in tar if member.isfile()}


def tar_of(*members):
    """(name, kind, contents or target)"""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, kind, what in members:
            info = tarfile.TarInfo(name)
            info.type = kind
            data = b""
            if kind in (tarfile.SYMTYPE, tarfile.LNKTYPE):
                info.linkname = what
            else:
                data = what or b""
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


class Trees(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.sandbox = Sandbox(fs_limit_bytes=64 << 20, limits={"fileCount": 3000})
        cls.sandbox.commands.run(MAKE_TREE)

    @classmethod
    def tearDownClass(cls):
        cls.sandbox.destroy()

    def run_(self, command):
        return self.sandbox.commands.run(command)

    def test_there_and_back(self):
        data = self.sandbox.files.pack("/tmp/t")
        with tarfile.open(fileobj=io.BytesIO(data)) as tar:
            members = {member.name: member for member in tar}
        self.assertEqual((members["hard"].mode, members["hard"].uid), (0o640, 1000))
        self.assertEqual([name for name, member in members.items() if member.islnk()], ["sub/f"])
        report = self.sandbox.files.unpack("/tmp/back", data)
        self.assertEqual((report.skipped, report.entries), ([], len(members)))
        self.assertEqual(self.run_(DESCRIBE % "/tmp/back/.").stdout.replace("/tmp/back", ""),
                         self.run_(DESCRIBE % "/tmp/t/.").stdout.replace("/tmp/t", ""))

    def test_host_tools_read_it_and_are_read(self):
        with tempfile.TemporaryDirectory() as folder:
            place = pathlib.Path(folder)
            (place / "a.tar").write_bytes(self.sandbox.files.pack("/tmp/t"))
            (place / "out").mkdir()
            subprocess.run(["tar", "-xf", "a.tar", "-C", "out"], cwd=folder, check=True)
            self.assertEqual((place / "out/sub/f").read_text(), "hello\n")
            self.assertEqual(os.readlink(place / "out/sub/link"), "../sub/f")
            self.assertEqual((place / "out/straße").read_text(), "y")
            self.assertEqual((place / "out/hard").stat().st_ino, (place / "out/sub/f").stat().st_ino)
            for option, form in (("", "gnu"), ("-z", "pax"), ("--zstd", "ustar")):
                out = subprocess.run(["tar", "-c", *filter(None, [option]), f"--format={form}", "-C", folder, "out/sub"],
                                     capture_output=True, check=True).stdout
                self.sandbox.files.unpack(f"/tmp/from-{form}", out)
                self.assertEqual(self.run_(f"cat /tmp/from-{form}/out/sub/link").stdout, "hello\n")

    def refuse(self, data, text, path="/tmp/refused"):
        before = self.run_("find / -xdev 2>/dev/null | sort | sha256sum").stdout
        with self.assertRaises(RpcError) as caught:
            self.sandbox.files.unpack(path, data)
        self.assertIn(text, str(caught.exception))
        self.assertEqual(self.run_("find / -xdev 2>/dev/null | sort | sha256sum").stdout, before)

    def test_escapes(self):
        file, link, hard = tarfile.REGTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE
        self.refuse(tar_of(("../x", file, b"1")), '".."')
        self.refuse(tar_of(("a/../../x", file, b"1")), '".."')
        self.refuse(tar_of(("/etc/x", file, b"1")), "absolute")
        self.refuse(tar_of(("good", file, b"1"), ("l", link, "/etc"), ("l/x", file, b"1")), "below a link")
        self.refuse(tar_of(("l", link, ".."), ("l/l", link, ".."), ("l/l/x", file, b"1")), "below a link")
        self.refuse(tar_of(("h", hard, "/etc/passwd")), "absolute")
        self.refuse(tar_of(("h", hard, "etc/passwd")), "has not brought")
        self.refuse(tar_of(("n" * 300, file, b"1")), "255")
        self.refuse(b"no tar at all" * 100, "archive")
        self.refuse(tar_of(("f", file, b"x" * 5000))[:3000], "archive")

    def test_links_that_are_there_already(self):
        self.run_("mkdir /tmp/into; ln -s /tmp/victim /tmp/into/l; mkdir /tmp/victim")
        with self.assertRaises(RpcError):
            self.sandbox.files.unpack("/tmp/into", tar_of(("l/x/y", tarfile.REGTYPE, b"1")))
        # The last component is replaced, and never followed.
        self.run_("echo kept > /tmp/victim/f; ln -s /tmp/victim/f /tmp/into/f")
        self.sandbox.files.unpack("/tmp/into", tar_of(("f", tarfile.REGTYPE, b"new")))
        self.assertEqual(self.run_("cat /tmp/victim/f /tmp/into/f; ls /tmp/victim").stdout, "kept\nnewf\n")

    def test_bombs(self):
        with tempfile.TemporaryDirectory() as folder:
            with open(folder + "/big", "wb") as file:
                file.truncate(200 << 20)
            for option in ("-c", "-cS"):  # as zeros, and as a hole
                bomb = subprocess.run(["tar", option, "--zstd", "-C", folder, "big"], capture_output=True, check=True).stdout
                self.assertLess(len(bomb), 100_000)
                self.refuse(bomb, "bytes of files")
        self.refuse(tar_of(*((str(i), tarfile.REGTYPE, b"") for i in range(4000))), "more than 3000 entries")

    def test_devices_are_left_out(self):
        report = self.sandbox.files.unpack("/tmp/devices", tar_of(("null", tarfile.CHRTYPE, None), ("f", tarfile.REGTYPE, b"1")))
        self.assertEqual((report.entries, report.skipped), (1, ["null: a device or socket"]))


class States(unittest.TestCase):
    def setUp(self):
        self.sandbox = Sandbox()
        self.addCleanup(self.sandbox.destroy)

    def other(self):
        sandbox = Sandbox()
        self.addCleanup(sandbox.destroy)
        return sandbox

    def test_session(self):
        self.sandbox.commands.run(r"""
            x='a b'; export Y=$'c\nd'; declare -a arr=(1 'two three' [9]=nine); declare -A map=([k]='v w'); declare -r FIXED=7
            declare -i number=5; raw=$'\xff\xfe'; f() { echo "f:$1:$x"; }; g() { echo g; }; export -f g; alias ll='echo LL'
            shopt -s extglob nullglob; set -u; umask 027; trap 'echo usr' USR1; mkdir -p ~/"work dir"; cd ~/"work dir" """)
        self.sandbox.commands.run("echo a command")
        state = self.sandbox.export_state()
        other = self.other()
        report = other.import_state(state)
        self.assertEqual(report.skipped, [])
        shown = other.commands.run(r"""
            echo "$x|$Y|${arr[*]}|${!arr[*]}|${map[k]}|$FIXED|$number"; printf '%s' "$raw" | xxd -p; f 1; ll; umask; pwd; kill -USR1 $$
            shopt extglob nullglob; bash -c 'g; echo $Y'; (FIXED=1) 2>&1 | grep -o readonly; echo $unset_one""")
        self.assertEqual(shown.stdout, "a b|c\nd|1 two three nine|0 1 9|v w|7|5\nfffe\nf:1:a b\nLL\n0027\n/home/user/work dir\nusr\n"
                         "extglob        \ton\nnullglob       \ton\ng\nc d\nreadonly\n")
        self.assertIn("unbound variable", shown.stderr)
        self.assertIn("echo a command", [entry["command"] for entry in other.history()])

    def test_capturing_changes_nothing(self):
        self.sandbox.commands.run("set -e; IFS=:; (exit 0); true; a=1; trap 'echo bye' EXIT; f() { :; }; set -- one two")
        before = self.sandbox.commands.run("declare -p; trap -p; set +o; echo $*").stdout
        self.sandbox.export_state()
        after = self.sandbox.commands.run("declare -p; trap -p; set +o; echo $*").stdout
        volatile = ("BASHPID", "SECONDS", "RANDOM", "EPOCH", "LINENO", "HISTCMD", " _=", "BASH_ARG", "SRANDOM", "BASH_COMMAND", "PIPESTATUS")
        keep = lambda text: [line for line in text.splitlines() if not any(name in line for name in volatile)]
        self.assertEqual(keep(before), keep(after))

    def test_tree(self):
        self.sandbox.commands.run(MAKE_TREE + "mv /tmp/t ~/t; rm ~/.profile; echo changed >> ~/.bashrc")
        other = self.other()
        other.import_state(self.sandbox.export_state())
        describe = DESCRIBE % "/home/user"
        self.assertEqual(other.commands.run(describe).stdout, self.sandbox.commands.run(describe).stdout)
        self.assertFalse(other.files.exists("/home/user/.profile"))
        self.assertEqual(other.commands.run("echo $(cat ~/t/hard); stat -c %h ~/t/hard").stdout, "hello\n2\n")

    def test_contents_of_every_size(self):
        """Around the chunks in which a sandbox keeps contents, and the pieces in which they come."""
        sizes = (0, 1, 65_535, 65_536, 65_537, 131_072, 250_000, 1_048_576, 1_048_577, 5_000_001)
        make = "mkdir -p ~/sizes; cd ~/sizes; python3 -c 'import random, sys\nfor size in map(int, sys.argv[1:]): open(str(size), \"wb\").write(random.Random(size).randbytes(size))' "
        self.sandbox.commands.run(make + " ".join(map(str, sizes)))
        state = self.sandbox.export_state()
        free = "stat -f -c '%f %d' /"
        other = self.other()
        other.import_state(state)
        left = other.commands.run(free).stdout
        self.assertEqual(other.commands.run("cd ~/sizes; sha256sum *").stdout, self.sandbox.commands.run("cd ~/sizes; sha256sum *").stdout)
        # A file that grows shows nothing that was there before; what is replaced gives its room back.
        grown = "cd ~/sizes; truncate -s 5242880 250000 1048577; tail -c +250001 250000 | tr -d '\\0' | wc -c; tail -c +1048578 1048577 | tr -d '\\0' | wc -c"
        self.assertEqual(other.commands.run(grown).stdout, "0\n0\n")
        for _ in range(3):
            other.import_state(state)
        self.assertEqual(other.commands.run(free).stdout, left)
        self.assertEqual(other.commands.run("cd ~/sizes; sha256sum *").stdout, self.sandbox.commands.run("cd ~/sizes; sha256sum *").stdout)

    def test_only_what_is_its_own(self):
        state = self.sandbox.export_state()
        self.assertLess(len(state), 20_000)
        self.assertEqual(state, self.sandbox.export_state())
        self.sandbox.commands.run("python3 -c 'import json'; find / > /dev/null 2>&1; cat /usr/bin/ls > /dev/null")
        self.assertLess(len(self.sandbox.export_state()), 25_000)

    def test_modes(self):
        self.sandbox.commands.run("echo from > /tmp/shared; echo from > /tmp/from; a=from; b=from")
        state = self.sandbox.export_state()
        for mode, kept in (("merge", True), ("replace", False)):
            other = self.other()
            other.commands.run("echo to > /tmp/shared; mkdir -p /tmp/d/e; echo to > /tmp/d/e/to; a=to; c=to; rm ~/.profile")
            report = other.import_state(state, mode=mode)
            self.assertEqual(other.commands.run("cat /tmp/shared /tmp/from; echo $a $b").stdout, "from\nfrom\nfrom from\n")
            self.assertEqual(other.files.exists("/tmp/d/e/to"), kept)
            self.assertEqual(other.commands.run("echo \"[$c]\"").stdout, "[to]\n" if kept else "[]\n")
            self.assertEqual(any("home/user/.profile" in line for line in report.skipped), not kept)
        with self.assertRaisesRegex(RpcError, "replace"):
            self.sandbox.import_state(state, mode="else")

    def test_no_shell_refuses_to_be_replaced(self):
        """What a session made of words that end it, and somebody who runs commands meanwhile."""
        state = self.sandbox.export_state()
        for before in ("builtin() { :; }; exit() { :; }", "trap 'exec bash' EXIT", "trap '' TERM HUP; exec 3<>/dev/null", "sleep 99 & kill -STOP $!"):
            self.sandbox.commands.run("a=before")
            self.sandbox.commands.run(before)
            self.sandbox.import_state(state)
            self.assertEqual(self.sandbox.commands.run("echo ${a-unset} $(trap); type -t exit").stdout, "unset\nbuiltin\n", before)
        self.sandbox.commands.run("a=whole; b=whole")
        state = self.sandbox.export_state()
        seen = set()
        with self.meanwhile(lambda: seen.add(self.sandbox.commands.run("echo ${a-unset} ${b-unset}").stdout)):
            for _ in range(20):
                self.sandbox.import_state(state)
        self.assertEqual(seen, {"whole whole\n"})

    @contextlib.contextmanager
    def meanwhile(self, work):
        """Somebody else does that over and over."""
        done = threading.Event()
        def go_on():
            while not done.is_set():
                work()
        worker = threading.Thread(target=go_on)
        worker.start()
        try:
            yield
        finally:
            done.set()
            worker.join()

    def test_files_and_session_are_of_one_moment(self):
        """Whatever commands somebody else runs while states come and go."""
        states = {}
        write = "g=%s; echo $g > ~/g; head -c 300000 /dev/urandom > ~/some; echo $g > ~/z"
        show = "echo $(cat ~/g ~/z) $g"
        for name in ("one", "other"):
            self.sandbox.commands.run(write % name)
            states[f"{name} {name} {name}\n"] = self.sandbox.export_state()
        for mode in ("replace", "merge"):
            seen = set()
            with self.meanwhile(lambda: seen.add(self.sandbox.commands.run(show).stdout)):
                for _ in range(10):
                    for state in states.values():
                        self.sandbox.import_state(state, mode=mode)
            self.assertLessEqual(seen, set(states), mode)
        numbers = itertools.count()
        with self.meanwhile(lambda: self.sandbox.commands.run(write % next(numbers))):
            exported = [self.sandbox.export_state() for _ in range(20)]
        for state in exported:
            self.sandbox.import_state(state)
            shown = self.sandbox.commands.run(show).stdout.split()
            self.assertEqual((len(shown), len(set(shown))), (3, 1), shown)

    def test_a_restore_waits_for_an_import(self):
        self.sandbox.commands.run("g=old; echo $g > ~/g")
        self.sandbox.snapshot("old")
        self.sandbox.commands.run("g=new; echo $g > ~/g")
        state = self.sandbox.export_state()
        with self.meanwhile(lambda: self.sandbox.restore("old")):
            for _ in range(20):
                self.sandbox.import_state(state)
        self.assertIn(self.sandbox.commands.run("echo $(cat ~/g) $g").stdout, ("old old\n", "new new\n"))

    def test_a_fork_waits_for_an_import(self):
        """It has all of what is imported or nothing."""
        states = {}
        for name in ("one", "other"):
            self.sandbox.commands.run(f"g={name}; echo $g > ~/g; head -c 300000 /dev/urandom > ~/some; echo $g > ~/z")
            states[name] = self.sandbox.export_state()
        seen = set()
        def look():
            with self.sandbox.fork() as fork:
                seen.add(fork.commands.run("echo $(cat ~/g ~/z) $g; ls /run/cordon").stdout)
        with self.meanwhile(look):
            for _ in range(15):
                for state in states.values():
                    self.sandbox.import_state(state)
        self.assertLessEqual(seen, {f"{name} {name} {name}\n" for name in states})

    def test_what_waited_for_an_import_is_not_done_in_a_fork(self):
        self.sandbox.commands.run("g=then; echo $g > ~/g; head -c 3000000 /dev/urandom > ~/some")
        state = self.sandbox.export_state()
        self.sandbox.snapshot("s")
        forks = []
        for _ in range(5):
            asked = [self.sandbox._start("persistence.import", {"blobId": self.sandbox._give_blob(state)})[1],
                     self.sandbox._start("snapshot.restore", {"snapshotId": "s"})[1]]
            forks.append(self.sandbox.fork())
            self.addCleanup(forks[-1].destroy)
            for answer in asked:
                self.assertIn("result", answer.get())
        for fork in forks:
            fork.commands.run("g=now")
            fork.snapshot("s")
            fork.commands.run("g=later")
            fork.export_state()
            self.assertEqual(fork.commands.run("echo $g").stdout, "later\n")

    def test_an_import_that_nobody_waits_for_any_more(self):
        """While it waits for a command to end it can be cancelled, and its client's end cancels it."""
        state = self.sandbox.export_state()
        with tempfile.TemporaryDirectory() as folder, subprocess.Popen([CORDON, "serve", "--unix", f"{folder}/s"]) as daemon:
            self.assertTrue(eventually(lambda: answers(f"{folder}/s")))
            sandbox = Sandbox(socket=f"{folder}/s", detached=True)
            sandbox.commands.run("echo mine > ~/f")
            command = sandbox._start("run", {"command": "until [ -e ~/go ]; do sleep 0.02; done; v=set"})[1]
            other = Sandbox.connect(sandbox.sandbox_id, socket=f"{folder}/s")
            for method in ("persistence.export", "persistence.import"):
                params = {"blobId": other._give_blob(state)} if method == "persistence.import" else {}
                given_up = other._start(method, params)[1]
                self.assertEqual(other.commands.cancel(), 1)
                self.assertEqual(given_up.get()["error"]["data"]["errno"], "ECANCELED", method)
            # No archive is left of it.
            for _ in range(7):
                other._give_blob(state)
            other._start("persistence.import", {"blobId": other._give_blob(state)})
            other.disconnect()
            sandbox.files.write("go", b"")
            command.get()
            self.assertEqual(sandbox.commands.run("cat ~/f; echo $v").stdout, "mine\nset\n")
            sandbox.destroy()
            daemon.terminate()

    def test_a_client_that_goes_while_it_takes_a_sandbox_away(self):
        with tempfile.TemporaryDirectory() as folder, subprocess.Popen([CORDON, "serve", "--unix", f"{folder}/s"]) as daemon:
            self.assertTrue(eventually(lambda: answers(f"{folder}/s")))
            sandbox = Sandbox(socket=f"{folder}/s", detached=True)
            other = Sandbox.connect(sandbox.sandbox_id, socket=f"{folder}/s")
            other._call("offload", {})
            with self.assertRaisesRegex(RpcError, "offloaded"):
                sandbox.commands.run("true")
            other.disconnect()
            self.assertTrue(eventually(sandbox.is_running))
            self.assertEqual(sandbox.commands.run("echo here").stdout, "here\n")
            sandbox.destroy()
            daemon.terminate()

    def test_damage(self):
        self.sandbox.commands.run("echo precious > /tmp/f")
        state = self.sandbox.export_state()
        other = self.other()
        other.commands.run("echo mine > /tmp/mine")
        for broken in (b"", b"nonsense", state[:len(state) // 2], state[:5000]):
            with self.assertRaises(RpcError, msg=len(broken)):
                other.import_state(broken)
        files = layout_of(state)
        for name in [name for name in files if name.startswith("blobs/")]:
            changed = dict(files, **{name: files[name][:-1] + bytes([files[name][-1] ^ 1])})
            with self.assertRaisesRegex(RpcError, "hash"):
                other.import_state(tar_of(*((key, tarfile.REGTYPE, value) for key, value in changed.items())))
        # Nothing of it was taken over, and nothing was removed.
        self.assertEqual(other.commands.run("cat /tmp/mine; ls /tmp").stdout, "mine\nmine\n")

    def hostile(self, layer, said=b""):
        """An image whose hashes are right; `said` are more members of its configuration."""
        digest = lambda data: "sha256:" + hashlib.sha256(data).hexdigest()
        config = json.dumps({"architecture": "wasm", "os": "linux", "rootfs": {"type": "layers", "diff_ids": [digest(layer)]}}).encode()
        config = config[:-1] + said + b"}"
        describe = lambda kind, data: {"mediaType": f"application/vnd.oci.image.{kind}", "digest": digest(data), "size": len(data)}
        manifest = json.dumps({"schemaVersion": 2, "config": describe("config.v1+json", config),
                               "layers": [describe("layer.v1.tar", layer)]}).encode()
        index = json.dumps({"schemaVersion": 2, "manifests": [describe("manifest.v1+json", manifest)]}).encode()
        blobs = [("blobs/sha256/" + digest(data)[7:], tarfile.REGTYPE, data) for data in (config, layer, manifest)]
        return tar_of(("oci-layout", tarfile.REGTYPE, b'{"imageLayoutVersion": "1.0.0"}'), ("index.json", tarfile.REGTYPE, index), *blobs)

    def test_hostile_images(self):
        file, link = tarfile.REGTYPE, tarfile.SYMTYPE
        self.sandbox.import_state(self.hostile(tar_of(("tmp/fine", file, b"1"))))
        self.assertEqual(self.sandbox.files.read("/tmp/fine"), b"1")
        for layer, reason in ((tar_of(("../x", file, b"1")), '".."'), (tar_of(("l", link, "/etc"), ("l/x", file, b"1")), "below a link"),
                              (tar_of(("/x", file, b"1")), "absolute"), (b"x" * 2000, "archive")):
            with self.assertRaisesRegex(RpcError, reason):
                self.sandbox.import_state(self.hostile(layer))
        report = self.sandbox.import_state(self.hostile(tar_of(("dev/sda", file, b"1"), ("proc/x", file, b"1"), ("tmp/y", file, b"1"))))
        self.assertEqual(len(report.skipped), 2)
        # /bin is a link: nothing is written through it.
        with self.assertRaises(RpcError):
            self.sandbox.import_state(self.hostile(tar_of(("bin/x/y", file, b"1"))), mode="merge")
        self.assertEqual(self.sandbox.commands.run("ls /usr/bin/bash").stdout, "/usr/bin/bash\n")

    def test_descriptions_that_would_take_the_stack_or_the_memory(self):
        layer = tar_of(("tmp/fine", tarfile.REGTYPE, b"1"))
        for shape in (b"[" * 1_500_000 + b"]" * 1_500_000, b'{"x":' * 500_000 + b"1" + b"}" * 500_000, b"[" + b"[]," * 1_200_000 + b"[]]", b"[" * 1000 + b"]" * 1000):
            for name in (b"dev.cordon.session", b"config", b"other"):
                with self.assertRaisesRegex(RpcError, "levels or"):
                    self.sandbox.import_state(self.hostile(layer, b', "' + name + b'": {"x": ' + shape + b"}"))
        # The sandbox and its daemon are there, and what is as deep as it may be is read.
        said = b', "dev.cordon.session": {"version": 1, "x": ' + b"[" * 29 + b"]" * 29 + b', "directory": "/tmp"}'
        self.sandbox.import_state(self.hostile(layer, said))
        self.assertEqual(self.sandbox.commands.run("pwd; cat fine").stdout, "/tmp\n1")

    def test_whiteouts(self):
        self.sandbox.commands.run("mkdir -p /tmp/o/p; touch /tmp/o/p/q /tmp/gone")
        self.sandbox.import_state(self.hostile(tar_of(("tmp/.wh.gone", tarfile.REGTYPE, b""), ("tmp/o/.wh..wh..opq", tarfile.REGTYPE, b""),
                                                      ("tmp/o/new", tarfile.REGTYPE, b"1"))), mode="merge")
        self.assertEqual(self.sandbox.commands.run("ls /tmp /tmp/o").stdout, "/tmp:\no\n\n/tmp/o:\nnew\n")

    def test_command_line(self):
        with tempfile.TemporaryDirectory() as folder:
            path = folder + "/s"
            daemon = subprocess.Popen([CORDON, "serve", "--unix", path])
            self.addCleanup(daemon.wait)
            self.addCleanup(daemon.terminate)
            self.assertTrue(eventually(lambda: answers(path)))
            cordon = lambda command, *words: subprocess.run([CORDON, command, "--socket", path, *words], capture_output=True, text=True, check=False)
            self.sandbox.commands.run("echo kept > ~/kept; x=5")
            pathlib.Path(folder, "state").write_bytes(self.sandbox.export_state())
            made = cordon("import", folder + "/state")
            self.assertEqual((made.returncode, made.stderr), (0, ""))
            done = cordon("export", made.stdout.strip(), folder + "/again")
            self.assertRegex(done.stdout, "^sha256:[0-9a-f]{64}\n$")
            other = self.other()
            other.import_state(pathlib.Path(folder, "again").read_bytes())
            self.assertEqual(other.commands.run("cat ~/kept; echo $x").stdout, "kept\n5\n")
            self.assertEqual(os.stat(folder + "/again").st_mode & 0o777, 0o600)
            for words, reason in (((made.stdout.strip(), "/nope/x"), "open(/nope"), (("unknown", folder + "/b"), "Unknown sandboxId")):
                failed = cordon("export", *words)
                self.assertEqual((failed.returncode, reason in failed.stderr), (125, True), failed.stderr)
            failed = cordon("import", "/etc/passwd")
            self.assertEqual((failed.returncode, "archive" in failed.stderr), (125, True), failed.stderr)

    @unittest.skipUnless(shutil.which("podman"), "no podman on this machine")
    def test_podman(self):
        self.sandbox.commands.run(MAKE_TREE + "mv /tmp/t ~/t; export GREETING=hello; cd ~/t; rm ~/.profile")
        state = self.sandbox.export_state()
        with tempfile.TemporaryDirectory() as folder:
            with tarfile.open(fileobj=io.BytesIO(state)) as tar:
                tar.extractall(folder + "/image", filter="data") if hasattr(tarfile, "data_filter") else tar.extractall(folder + "/image")
            storage = ["--root", folder + "/root", "--runroot", folder + "/run", "--storage-driver", "vfs"]
            # podman names the image after the folder it is told, so that is a fixed one: "tmp…_" of a temporary one is no name.
            podman = lambda *words: subprocess.run(["podman", *storage, *words], capture_output=True, text=True, check=False, cwd=folder)
            pulled = podman("pull", "-q", "oci:image")
            self.assertEqual(pulled.returncode, 0, pulled.stderr)
            image = pulled.stdout.strip()
            config = json.loads(podman("image", "inspect", image).stdout)[0]["Config"]
            self.assertEqual((config["WorkingDir"], "GREETING=hello" in config["Env"]), ("/home/user/t", True))
            made = podman("create", image, "true")
            self.assertEqual(made.returncode, 0, made.stderr)
            exported = subprocess.run(["podman", *storage, "export", made.stdout.strip()], capture_output=True, check=True).stdout
            with tarfile.open(fileobj=io.BytesIO(exported)) as tar:
                self.assertEqual(tar.extractfile("home/user/t/sub/f").read(), b"hello\n")
                self.assertEqual(tar.getmember("home/user/t/sub/f").mode & 0o7777, 0o640)
            podman("rm", "-a", "-f")


if __name__ == "__main__":
    unittest.main(verbosity=2)

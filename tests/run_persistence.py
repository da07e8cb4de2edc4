#!/usr/bin/env python3
"""Sandboxes whose state is kept in a folder of the host: run_persistence.py [--kills N] [NAME...]"""
import argparse
import hashlib
import json
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import warnings

ROOT = pathlib.Path(__file__).resolve().parent.parent
CORDON = str(pathlib.Path(os.environ.get("CORDON_BUILD", ROOT / "build")) / "cordon")
sys.path.insert(0, str(ROOT / "sdk/python"))
os.environ["CORDON"] = CORDON

from cordon_sandbox import RpcError, Sandbox  # noqa: E402
from processes import children, descendants, eventually, wait_until_gone  # noqa: E402

kills = 25


class Case(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp()
        os.environ["CORDON_STATE_DIR"] = f"{self.folder}/states"
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)

    def open(self, mode="persistent", namespace="n", **options):
        sandbox = Sandbox(persistence={"mode": mode, "namespace": namespace, **options})
        self.addCleanup(sandbox.destroy)
        return sandbox

    def run_in(self, sandbox, command):
        done = sandbox.commands.run(command)
        self.assertEqual((done.exit_code, done.stderr), (0, ""), command)
        return done.stdout

    def place(self, namespace="n"):
        return pathlib.Path(self.folder) / "states" / namespace

    def index(self):
        try:
            return (self.place() / "index.json").read_bytes()
        except FileNotFoundError:
            return b""

    def layers(self):
        digest = json.loads(self.index())["manifests"][0]["digest"].removeprefix("sha256:")
        return json.loads((self.place() / "blobs/sha256" / digest).read_text())["layers"]

    def saved(self, sandbox):
        """Waits until what is in the sandbox now has been saved."""
        # The first save may have begun before; one follows the other.
        for _ in range(2):
            before = self.index()
            sandbox.files.write("/tmp/mark", str(random.random()))
            self.assertTrue(eventually(lambda before=before: self.index() != before))

    @staticmethod
    def kill(sandbox):
        """As the end of a machine: nobody can say goodbye."""
        process = sandbox._daemon._process
        pids = descendants(process.pid)
        process.send_signal(signal.SIGKILL)
        process.wait()
        # They end with it, each as soon as it has a processor.
        wait_until_gone(pids)
        sandbox._daemon.close()
        sandbox._daemon = None


class Persistent(Case):
    def test_files_and_session_come_back(self):
        sandbox = self.open()
        self.run_in(sandbox, "mkdir -p ~/d/e; echo text >~/d/e/f; ln ~/d/e/f ~/d/hard; ln -s e/f ~/d/soft; chmod 640 ~/d/e/f; "
                             "touch -d 2001-02-03 ~/d/e/f; mkfifo ~/d/fifo; cd ~/d; x='a b'; f() { echo $x; }; alias l=ls; export Y=1")
        sandbox.destroy()
        again = self.open()
        self.assertEqual(self.run_in(again, "pwd; f; echo $Y; alias l"), "/home/user/d\na b\n1\nalias l='ls'\n")
        self.assertEqual(self.run_in(again, "cat soft; stat -c '%a %h %y %i' e/f | cut -c1-16; [ e/f -ef hard ] && echo same; [ -p fifo ] && echo fifo"),
                         "text\n640 2 2001-02-03\nsame\nfifo\n")
        self.assertEqual(again.commands.run("history list").stdout.count("mkdir -p"), 1)

    def test_nothing_is_lost_by_a_kill_after_a_save(self):
        sandbox = self.open(autosaveMs=20)
        self.run_in(sandbox, "echo one >~/f; x=1")
        self.saved(sandbox)
        self.kill(sandbox)
        again = self.open()
        self.assertEqual(self.run_in(again, "cat ~/f; echo $x"), "one\n1\n")

    def test_background_jobs_are_saved_while_nobody_asks(self):
        sandbox = self.open(autosaveMs=20)
        self.run_in(sandbox, "(for i in $(seq 100); do echo $i >~/n; sleep 0.05; done) & disown; true")
        seen = set()
        self.assertTrue(eventually(lambda: seen.add(self.index()) or len(seen) > 8))
        self.kill(sandbox)
        self.assertGreater(int(self.run_in(self.open(), "cat ~/n")), 1)

    def test_a_long_command_holds_files_up_no_longer_than_an_interval(self):
        sandbox = self.open(autosaveMs=20)
        self.run_in(sandbox, "echo before >~/v; x=before")
        self.saved(sandbox)
        sandbox._start("run", {"command": "x=during; echo during >~/v; sleep 60"})
        self.assertTrue(eventually(lambda: sandbox.files.read("/home/user/v") == b"during\n"))
        self.saved(sandbox)
        self.kill(sandbox)
        self.assertEqual(self.run_in(self.open(), "cat ~/v; echo $x"), "during\nbefore\n")

    def test_a_save_brings_what_has_changed(self):
        sandbox = self.open(mode="session")
        self.run_in(sandbox, "head -c 3000000 /dev/urandom >~/big; mkdir ~/many; cd ~/many; for i in $(seq 300); do echo $i >$i; done; cd")
        self.assertTrue(sandbox.save_state())
        self.assertFalse(sandbox.save_state())
        first, = self.layers()
        self.assertGreater(first["size"], 3000000)
        self.run_in(sandbox, "echo more >~/small; rm ~/many/7")
        self.assertTrue(sandbox.save_state())
        old, new = self.layers()
        self.assertEqual(old, first)
        self.assertLess(new["size"], 3000)
        # The session alone.
        self.run_in(sandbox, "y=2")
        self.assertTrue(sandbox.save_state())
        self.assertEqual(self.layers(), [old, new])
        self.assertEqual(len(list((self.place() / "blobs/sha256").iterdir())), 4)

    def test_layers_tell_of_everything_that_was_removed_or_replaced(self):
        steps = ["mkdir -p a/b/c; echo 1 >a/b/c/f; echo 2 >a/g; echo 3 >h; echo x >many1; ln many1 many2; mkdir old; echo o >old/o",
                 "rm -r a/b; echo 22 >a/g; mv h i",
                 "rm a/g; mkdir a/g; echo deep >a/g/deep; mkdir -p a/b; echo again >a/b/f",
                 "mv a z; ln many1 z/many3; rm many1",
                 "mv old new; rm /usr/bin/tree; mkdir /usr/bin/tree; echo in >/usr/bin/tree/in",
                 "rm -r z/g; echo file >z/g; rm -r /usr/bin/tree; echo t >/usr/bin/tree; chmod 700 z; touch -h -d 2002-03-04 z/g",
                 "rm -rf new; ln -s z new; setfacl 2>/dev/null; : >empty; truncate -s 5M sparse"]
        look = ("cd /home/user; find . /usr/bin/tree -mindepth 0 -printf '%p %y %m %n %s %l\\n' | grep -v '^. ' | sort; "
                "find . /usr/bin/tree -type f -exec sha256sum {} + | sort; find . -type f -printf '%p %T@\\n' | sort; [ many2 -ef z/many3 ] && echo linked || true")
        sandbox = self.open(mode="session")
        for number, step in enumerate(steps):
            sandbox.commands.run(step)
            self.assertTrue(sandbox.save_state(), step)
            self.assertEqual(len(self.layers()), number + 1)
            wanted = self.run_in(sandbox, look)
            # The namespace is free while its sandbox is gone.
            copy = pathlib.Path(self.folder) / "states/copy"
            shutil.copytree(self.place(), copy)
            other = self.open(mode="persistent", namespace="copy")
            self.assertEqual(self.run_in(other, look), wanted, step)
            other.destroy()
            shutil.rmtree(copy)

    def test_layers_do_not_grow_for_ever(self):
        sandbox = self.open(mode="session")
        for i in range(70):
            self.run_in(sandbox, f"echo {i} >~/v{i % 5}")
            self.assertTrue(sandbox.save_state())
            self.assertLessEqual(len(self.layers()), 32)
        sandbox.destroy()
        again = self.open()
        self.assertEqual(self.run_in(again, "cat ~/v?"), "65\n66\n67\n68\n69\n")
        # A save that begins anew because much was added.
        again.files.write("/home/user/big", os.urandom(2_500_000))
        self.run_in(again, "rm ~/v1")

    def test_a_restored_snapshot_is_saved_as_it_is(self):
        sandbox = self.open(mode="session")
        self.run_in(sandbox, "echo 1 >~/f; echo only then >~/g")
        sandbox.save_state()
        snapshot = sandbox.snapshot()
        self.run_in(sandbox, "echo 2 >~/f; rm ~/g; echo 3 >~/h")
        sandbox.save_state()
        sandbox.restore(snapshot)
        sandbox.save_state()
        sandbox.destroy()
        self.assertEqual(self.run_in(self.open(), "cat ~/f ~/g; ls ~/h 2>/dev/null || echo gone"), "1\nonly then\ngone\n")

    def test_a_fork_is_not_saved(self):
        sandbox = self.open()
        self.run_in(sandbox, "echo mine >~/f")
        fork = sandbox.fork()
        self.run_in(fork, "echo other >~/f")
        with self.assertRaisesRegex(RpcError, "Persistence not configured"):
            fork.save_state()
        sandbox.destroy()
        # The namespace is free although the fork lives.
        self.assertEqual(self.run_in(self.open(), "cat ~/f"), "mine\n")
        fork.destroy()


    def test_an_import_that_waits_keeps_no_save_waiting(self):
        sandbox = self.open(autosaveMs=20)
        self.run_in(sandbox, "echo imported >~/f")
        state = sandbox.export_state()
        self.run_in(sandbox, "echo mine >~/f")
        sandbox._start("run", {"command": "sleep 60"})
        sandbox._start("persistence.import", {"blobId": sandbox._give_blob(state)})
        sandbox.files.write("/home/user/g", b"new")
        self.saved(sandbox)
        sandbox.files.write("/home/user/h", b"last")
        sandbox.destroy()
        self.assertEqual(self.run_in(self.open(), "cat ~/f ~/g ~/h"), "mine\nnewlast")

    def test_an_import_is_saved_as_a_whole(self):
        """Whoever asks for a save meanwhile, and whatever waits for its turn."""
        sandbox = self.open(mode="session")
        self.run_in(sandbox, "x=imported; echo $x >~/f; head -c 3000000 /dev/urandom >~/big")
        state = sandbox.export_state()
        self.run_in(sandbox, "x=mine; echo $x >~/f")
        sandbox.save_state()
        for _ in range(5):
            asked = [sandbox._start("persistence.import", {"blobId": sandbox._give_blob(state)})[1],
                     sandbox._start("run", {"command": "sleep 0.2"})[1], sandbox._start("persistence.save", {})[1]]
            for answer in asked[:1] + asked[2:]:
                self.assertIn("result", answer.get())
            copy = pathlib.Path(self.folder) / "states/copy"
            shutil.copytree(self.place(), copy)
            asked[1].get()
            other = self.open(namespace="copy")
            self.assertIn(self.run_in(other, "echo $(cat ~/f) $x"), ("mine mine\n", "imported imported\n"))
            other.destroy()
            shutil.rmtree(copy)
            self.run_in(sandbox, "x=mine; echo $x >~/f")
            sandbox.save_state()

    def test_the_end_of_one_that_stands_still(self):
        sandbox = self.open()
        sandbox._start("run", {"command": "echo seen >~/f; sleep 60"})
        self.assertTrue(eventually(lambda: sandbox.files.exists("f")))
        sandbox.suspend()
        ended = threading.Thread(target=sandbox.destroy, daemon=True)
        ended.start()
        ended.join(20)
        self.assertFalse(ended.is_alive())
        self.assertEqual(self.run_in(self.open(), "cat ~/f"), "seen\n")

    def test_a_save_that_does_not_end_keeps_no_daemon(self):
        sandbox = self.open()
        daemon = sandbox._daemon._process
        pids = descendants(daemon.pid)
        keeper, = children(daemon.pid)
        os.kill(keeper, signal.SIGSTOP)
        sandbox._daemon.close()
        sandbox._daemon = None
        daemon.wait(30)
        self.assertEqual(wait_until_gone(pids), [])

    def test_the_end_of_one_with_many_processes(self):
        sandbox = self.open()
        for _ in range(20):
            sandbox.commands.spawn(["sleep", "1000"])
        sandbox.files.write("f", b"seen")
        ended = threading.Thread(target=sandbox.destroy, daemon=True)
        ended.start()
        ended.join(20)
        self.assertFalse(ended.is_alive())
        self.assertEqual(self.run_in(self.open(), "cat ~/f"), "seen")

    def test_commands_that_come_before_the_state(self):
        """A client need not have heard of its sandbox to ask it for something."""
        first = self.open()
        self.run_in(first, "x=kept; echo $x >~/f; cd /tmp")
        first.destroy()
        lines = [{"method": "create", "params": {"persistence": {"mode": "persistent", "namespace": "n"}}},
                 *({"method": "run", "params": {"command": "echo $PWD $x $(cat ~/f 2>/dev/null)"}} for _ in range(20))]
        text = "".join(json.dumps({"jsonrpc": "2.0", "id": number, **line}) + "\n" for number, line in enumerate(lines))
        with subprocess.Popen([CORDON, "serve", "--stdio"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as daemon:
            daemon.stdin.write(text.encode())
            daemon.stdin.flush()
            told = [json.loads(daemon.stdout.readline()) for _ in lines]
            daemon.stdin.close()
        seen = {one["result"]["stdout"] for one in told if one["id"] > 0}
        self.assertLessEqual(seen, {"/home/user\n", "/tmp kept kept\n"})


class Namespaces(Case):
    def test_one_sandbox_at_a_time(self):
        first = self.open()
        with self.assertRaisesRegex(RpcError, "another sandbox has this namespace"):
            self.open()
        other = self.open(namespace="other")
        self.run_in(other, "echo other >~/f")
        first.destroy()
        self.assertEqual(self.run_in(self.open(), "ls ~/f 2>/dev/null || echo none"), "none\n")

    def test_names(self):
        for name in ("", ".", "..", "../x", "a/b", ".hidden", "a b", "ä", "x" * 101, "a\0b"):
            with self.assertRaisesRegex(RpcError, "persistence.namespace must be"):
                self.open(namespace=name)
        self.assertFalse((pathlib.Path(self.folder) / "states").exists())
        for settings, words in (({"mode": "eternal"}, "persistence.mode"), ({"autosaveMs": 1}, "autosaveMs"), ({"namespaces": "x"}, "Unknown member")):
            with self.assertRaisesRegex(RpcError, words):
                Sandbox(persistence={"mode": "persistent", **settings})

    def test_a_folder_of_others_is_refused(self):
        self.place().mkdir(parents=True)
        self.place().chmod(0o755)
        with self.assertRaisesRegex(RpcError, "must belong to this user alone"):
            self.open()
        shutil.rmtree(self.place())
        elsewhere = pathlib.Path(self.folder) / "elsewhere"
        elsewhere.mkdir(mode=0o700)
        self.place().symlink_to(elsewhere)
        with self.assertRaisesRegex(RpcError, "open\\("):
            self.open()
        self.assertEqual(list(elsewhere.iterdir()), [])

    def test_they_are_listed_and_deleted(self):
        with Sandbox() as asker:
            saved, delete = asker.sandboxes.list_saved, asker.sandboxes.delete_saved
            self.assertEqual(saved(), [])
            before = time.time() * 1000
            mine = asker.sandboxes.create(persistence={"mode": "session", "namespace": "mine"})
            self.assertEqual(saved(), [])
            self.run_in(mine, "head -c 300000 /dev/urandom >/tmp/x")
            mine.save_state()
            other = self.open(namespace="others")
            other.commands.run("touch /tmp/y")
            self.assertTrue(eventually(lambda: len(saved()) == 2))
            first, second = saved()
            self.assertEqual((first["namespace"], first["inUse"], first["sandboxId"]), ("mine", True, mine.sandbox_id))
            self.assertEqual((second["namespace"], second["inUse"], second.get("sandboxId")), ("others", True, None))
            self.assertGreater(first["sizeBytes"], 300000)
            self.assertGreater(first["savedMs"], before - 2000)
            for name, reason in (("mine", "has this namespace"), ("others", "has this namespace"), ("none", "ENOENT"), ("../states", "persistence.namespace"),
                                 ("", "persistence.namespace"), (".", "persistence.namespace")):
                with self.assertRaises(RpcError) as caught:
                    delete(name)
                self.assertIn(reason, str(caught.exception))
            other.destroy()
            mine.destroy()
            self.assertTrue(eventually(lambda: not any(one["inUse"] for one in saved())))
            delete("mine")
            self.assertEqual([one["namespace"] for one in saved()], ["others"])
            self.assertEqual(sorted(path.name for path in self.place("").iterdir()), ["others"])
            again = asker.sandboxes.create(persistence={"mode": "session", "namespace": "mine"})
            self.assertFalse(again.load_state())
            again.destroy()

    def test_who_was_destroyed_has_no_namespace(self):
        with Sandbox() as asker:
            for mode in ("session", "persistent") * 10:
                sandbox = asker.sandboxes.create(persistence={"mode": mode, "namespace": "n"})
                self.run_in(sandbox, "echo 1 >~/f")
                sandbox.save_state()
                sandbox.destroy()
                asker.sandboxes.delete_saved("n")

    def test_what_is_no_state_is_left_alone(self):
        folder = self.place("")
        folder.mkdir(parents=True, mode=0o700)
        (folder / "empty").mkdir(mode=0o700)
        (folder / "open").mkdir(mode=0o755)
        (folder / "open/index.json").write_text("{}")
        (folder / "file").write_text("")
        (folder / "link").symlink_to("/etc")
        with Sandbox() as asker:
            self.assertEqual(asker.sandboxes.list_saved(), [])
            for name in ("open", "file", "link"):
                with self.assertRaises(RpcError):
                    asker.sandboxes.delete_saved(name)
        self.assertEqual(sorted(path.name for path in folder.iterdir()), ["empty", "file", "link", "open"])
        self.assertTrue((folder / "open/index.json").exists())

    def test_on_request(self):
        sandbox = self.open(mode="session")
        self.run_in(sandbox, "echo 1 >~/f")
        self.assertFalse(sandbox.load_state())
        sandbox.save_state()
        self.run_in(sandbox, "echo 2 >~/f; echo new >~/g; x=5")
        self.assertTrue(sandbox.load_state())
        self.assertEqual(self.run_in(sandbox, "cat ~/f; ls ~/g 2>/dev/null || echo gone; echo ${x-unset}"), "1\ngone\nunset\n")
        sandbox.clear_persisted_state()
        self.assertFalse(sandbox.load_state())
        self.assertEqual(list((self.place() / "blobs/sha256").iterdir()), [])
        sandbox.destroy()
        self.assertEqual(self.index(), b"")  # nobody asked for it at the end
        with self.assertRaisesRegex(RpcError, 'Persistence not configured. Set persistence.mode to "session" or "persistent".'):
            Sandbox().save_state()


class Damage(Case):
    def test_a_damaged_state_is_refused_and_left_alone(self):
        sandbox = self.open()
        self.run_in(sandbox, "echo 1 >~/f")
        sandbox.destroy()
        blob = max((self.place() / "blobs/sha256").iterdir(), key=lambda path: path.stat().st_size)
        whole = blob.read_bytes()
        blob.write_bytes(whole[:-5] + bytes([whole[-5] ^ 1]) + whole[-4:])
        before = self.index()
        with self.assertRaisesRegex(RpcError, "cannot be loaded"):
            self.open()
        self.assertEqual(self.index(), before)
        blob.write_bytes(whole)
        self.assertEqual(self.run_in(self.open(), "cat ~/f"), "1\n")

    def test_what_can_be_saved_can_be_loaded(self):
        """Layers of large files that are written anew: all of them together must be read into memory at the end. They once came to more
        than is loaded, and the state was lost. So did what a kill leaves beside them."""
        size = 60_000_000
        limits = {"fs_bytes": 64 << 20}
        sandbox = Sandbox(persistence={"mode": "session", "namespace": "n"}, limits=limits)
        self.addCleanup(sandbox.destroy)
        for _ in range(4):
            self.run_in(sandbox, f"head -c {size} /dev/urandom >~/big")
            self.assertTrue(sandbox.save_state())
        told = self.run_in(sandbox, "md5sum ~/big")
        sandbox.destroy()
        left = bytes(size)
        (self.place() / "blobs/sha256" / hashlib.sha256(left).hexdigest()).write_bytes(left)
        again = Sandbox(persistence={"mode": "session", "namespace": "n"}, limits=limits)
        self.addCleanup(again.destroy)
        self.assertTrue(again.load_state())
        self.assertEqual(self.run_in(again, "md5sum ~/big"), told)

    @unittest.skipUnless(os.geteuid() == 0, "needs a file system of its own")
    def test_a_full_disk(self):
        place = pathlib.Path(self.folder) / "states"
        place.mkdir()
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", place], capture_output=True, text=True)
        if mounted.returncode != 0:
            self.skipTest(f"nothing can be mounted here: {mounted.stderr.strip()}")
        try:
            sandbox = self.open(autosaveMs=20)
            self.run_in(sandbox, "echo 1 >~/f")
            self.saved(sandbox)
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                sandbox.files.write("/home/user/big", os.urandom(4_000_000))
                self.assertTrue(eventually(lambda: caught))
                self.assertRegex(str(caught[0].message), "could not be saved.*No space left")
                with self.assertRaisesRegex(RpcError, "last changes could not be saved.*No space left"):
                    sandbox.destroy()
            # What could not be saved does not fill the disk.
            self.assertLess(sum(path.stat().st_size for path in place.rglob("*") if path.is_file()), 100_000)
            self.assertEqual(self.run_in(self.open(), "cat ~/f; ls ~/big 2>/dev/null || echo none"), "1\nnone\n")
        finally:
            self.doCleanups()
            subprocess.run(["umount", place], check=True)

    def test_kills_at_any_moment(self):
        """Whatever is loaded was there at one moment, not before what was known to be saved."""
        known = 0
        for _ in range(kills):
            sandbox = self.open(autosaveMs=10)
            at = int(self.run_in(sandbox, "cat ~/count 2>/dev/null || echo 0"))
            self.assertGreaterEqual(at, known)
            # While a command runs its files are saved, and the session as it was before.
            self.assertIn(int(self.run_in(sandbox, "echo ${count-0}")), range(at + 1))
            end = time.monotonic() + random.random() * 0.3
            known = at
            while time.monotonic() < end:
                at += 1
                # One line: a save comes before it or after it.
                self.run_in(sandbox, f"count={at}; echo {at} >~/.count; mv ~/.count ~/count; echo {at} >~/d$((count % 20))")
                if at % 10 == 0:
                    self.saved(sandbox)
                    known = at
            self.kill(sandbox)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--kills", type=int, default=kills)
    known_options, names = parser.parse_known_args()
    kills = known_options.kills
    unittest.main(verbosity=2, argv=[sys.argv[0], *names])

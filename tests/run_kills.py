#!/usr/bin/env python3
"""kill -9 in the middle of snapshot, restore, export, import and install: run_kills.py [--kills N] [--seed N]

One daemon, one sandbox that is kept in a folder, and a command about it that is killed at a random moment: the command itself, something of the
sandbox's (its keeper, what that started, a package's worker), or the daemon. What was there before or what should have come must then be there,
whole, in the sandbox or in the one that is made of its folder; and nothing else: no process, no file that nobody finishes, no half package.
"""
import argparse
import hashlib
import json
import os
import pathlib
import random
import signal
import socket
import subprocess
import sys
import tarfile
import time
import unittest

import package_world as world
from package_world import COMMAND, CORDON, Server, assemble, hash_of
from processes import answers, descendants, eventually, wait_until_gone

OPERATIONS = ("snapshot", "restore", "export", "import", "install")
VICTIMS = ("client", "sandbox", "daemon")
FILES = 20
kills = len(OPERATIONS) * len(VICTIMS)
seed = None


def image_of(path):
    """What an exported file holds, every hash held against its bytes."""
    with tarfile.open(path) as tar:
        blobs = {member.name: tar.extractfile(member).read() for member in tar.getmembers() if member.isfile()}
    for name, data in blobs.items():
        if name.startswith("blobs/sha256/"):
            assert hashlib.sha256(data).hexdigest() == name.rpartition("/")[2], name
    manifest = json.loads(blobs["index.json"])["manifests"][0]["digest"].replace(":", "/")
    described = json.loads(blobs["blobs/" + manifest])
    return [blobs["blobs/" + part["digest"].replace(":", "/")] for part in (described["config"], *described["layers"])]


class Daemon:
    def __init__(self, folder):
        self.path = str(folder / "s")
        self.environment = {"HOME": str(folder), "PATH": "/usr/bin:/bin", "XDG_CACHE_HOME": str(world.CACHE), "CORDON_SOCKET": self.path,
                            "CORDON_STATE_DIR": str(folder / "states"), "CORDON_CA_FILE": os.environ["CORDON_CA_FILE"]}
        self.process = None

    def start(self):
        self.process = subprocess.Popen([CORDON, "serve", "--unix", self.path], env=self.environment)
        assert eventually(lambda: answers(self.path))

    def ask(self, method, **params):
        """The answer; RuntimeError: what was refused, ConnectionError: nobody answers any more."""
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(60)
            client.connect(self.path)
            client.sendall(json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode() + b"\n")
            line = client.makefile().readline()
        if not line:
            raise ConnectionError(method)
        message = json.loads(line)
        if "error" in message:
            raise RuntimeError(message["error"]["message"])
        return message["result"]

    def command(self, *words):
        return subprocess.Popen([CORDON, *words], env=self.environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                stderr=subprocess.DEVNULL)


class Kills(unittest.TestCase):
    def setUp(self):
        self.port = world.serve()
        self.folder = world.WORLD / "kills"
        self.folder.mkdir()
        self.addCleanup(world.FOLDER.cleanup)
        self.daemon = Daemon(self.folder)
        self.daemon.start()
        self.addCleanup(self.end)
        self.file = self.folder / "image.tar"
        self.number = 0
        self.sandbox = self.create()

    def end(self):
        pids = descendants(self.daemon.process.pid)
        self.daemon.process.terminate()
        self.daemon.process.wait()
        self.assertEqual(wait_until_gone(pids), [])

    def create(self):
        made = self.daemon.ask("create", detached=True, persistence={"mode": "persistent", "namespace": "n", "autosaveMs": 20},
                               packagePolicy=world.policy(self.port))
        self.assertEqual(made.get("skipped", []), [])
        return made["sandboxId"]

    def run_in(self, command):
        done = self.daemon.ask("run", sandboxId=self.sandbox, command=command)
        self.assertEqual((done["exitCode"], done["stderr"]), (0, ""), (command, done))
        return done["stdout"]

    def write(self):
        """A new generation of all files, which is seen from one moment to the next, and of a variable."""
        self.number += 1
        self.run_in(f"g={self.number}; d=~/tree$g; mkdir $d; for ((i = 0; i < {FILES}; ++i)); do echo $g >$d/$i; done; ln -s $d ~/new; mv -T ~/new ~/now; "
                    f"for old in ~/tree*; do [ $old = $d ] || rm -r $old; done")
        return self.number

    def read(self):
        """(generation of the files, of the session): the files are all of one. A shell that was killed knows none."""
        lines = self.run_in("sort -u ~/now/*; ls ~/now | wc -l; ls -d ~/tree* | wc -l; echo ${g-0}").split()
        self.assertEqual((len(lines), lines[1:3]), (4, [str(FILES), "1"]), lines)
        return int(lines[0]), int(lines[3])

    def save(self):
        self.daemon.ask("persistence.save", sandboxId=self.sandbox)

    def packages(self):
        """Names of those that are installed; each is there as a whole."""
        names = [one["name"] for one in self.daemon.ask("package.list", sandboxId=self.sandbox)["packages"]]
        self.assertEqual(self.run_in("pkg list | cut -f 1").split(), names)
        self.assertEqual(self.run_in("cd /usr/share/pkg/bin 2>/dev/null && ls | sed s/.wasm//; cd").split(), names)
        for name in names:
            self.assertEqual(self.run_in(name), f"says {name}\n")
        return names

    def settle(self):
        """Whoever asked is gone, and the sandbox goes on with what it was asked: that ends what runs meanwhile."""
        def is_whole():
            try:
                files, session = self.read()
                return session in (files, 0)
            except AssertionError:
                return False
        eventually(is_whole)

    def remove_packages(self):
        for name in self.packages():
            self.daemon.ask("package.remove", sandboxId=self.sandbox, name=name)

    def until_there(self):
        """The sandbox, or one of its folder. Whether it is another one."""
        pids = descendants(self.daemon.process.pid)
        if self.daemon.process.poll() is not None:
            self.daemon.start()
        try:
            self.run_in("(true)")  # Needs its family process, whose end may not have been heard of.
            return False
        except (RuntimeError, ConnectionError, AssertionError):
            pass
        # Its end may have to be heard of yet, and its keeper to end.
        end = time.monotonic() + 20
        while True:
            try:
                self.daemon.ask("sandbox.destroy", sandboxId=self.sandbox)
            except RuntimeError:
                pass
            try:
                self.sandbox = self.create()
                break
            except RuntimeError as error:
                if "another sandbox has this namespace" not in str(error) or time.monotonic() > end:
                    raise
        self.assertEqual(wait_until_gone([pid for pid in pids if pid not in descendants(self.daemon.process.pid)]), [])
        return True

    def begin(self, operation, name):
        if operation == "snapshot":
            return self.daemon.command("snapshot", self.sandbox, name)
        if operation == "restore":
            return self.daemon.command("restore", self.sandbox, "old")
        if operation == "export":
            return self.daemon.command("export", self.sandbox, str(self.file))
        if operation == "import":
            return self.daemon.command("import", str(self.folder / "old.tar"), self.sandbox)
        return self.daemon.command("exec", "--sandbox", self.sandbox, "--", "pkg", "install", f"https://localhost:{self.port}/{name}.wasm")

    def strike(self, victim, client):
        """Kills it, and waits until the command has ended."""
        pids = descendants(self.daemon.process.pid)
        if victim == "client":
            client.kill()
        elif victim == "daemon":
            self.daemon.process.kill()
            self.daemon.process.wait()
        elif pids:
            pids = [self.chance.choice(pids)]
            try:
                os.kill(pids[0], signal.SIGKILL)
            except ProcessLookupError:
                pass
        status = client.wait(60)
        if victim != "client":
            self.assertEqual(wait_until_gone(pids), [])
        return status

    def prepare(self):
        """The state before: saved, a snapshot and an image of an earlier one."""
        if "old" not in [one["snapshotId"] for one in self.daemon.ask("snapshot.list", sandboxId=self.sandbox)["snapshots"]]:
            self.old = self.write()
            self.daemon.ask("snapshot.create", sandboxId=self.sandbox, name="old")
            self.assertEqual(self.daemon.command("export", self.sandbox, str(self.folder / "old.tar")).wait(60), 0)
            self.exported = self.old
        before = self.write()
        self.save()
        return before

    def time(self, operation, count):
        """What one takes that nobody disturbs."""
        start = time.monotonic()
        self.assertEqual(self.begin(operation, self.module(f"{operation}{count}")).wait(60), 0, operation)
        return time.monotonic() - start

    @staticmethod
    def module(name):
        Server.files[f"/{name}.wasm"] = assemble(COMMAND.replace("\\03\\00\\00\\00", f"\\{len(name) + 6:02x}\\00\\00\\00") % f"says {name}")
        return name

    def check_image(self, path):
        self.assertTrue(image_of(path))

    def check_files(self):
        """No file anywhere that nobody finishes; what is in stores is whole."""
        self.assertEqual([path.name for path in self.folder.iterdir() if path.name not in ("s", "states", "image.tar", "old.tar", ".cache")], [])
        for place in ("objects", "packages"):
            names = [path.name for path in (world.CACHE / "cordon" / place).iterdir()]
            self.assertEqual([name for name in names if name.startswith(".")], [])
        for path in (world.CACHE / "cordon/packages").iterdir():
            self.assertEqual(hash_of(path.read_bytes()), path.stem)
        if self.file.exists():
            self.check_image(self.file)

    def test_kills(self):
        number = seed if seed is not None else random.SystemRandom().randrange(1 << 30)
        self.chance = random.Random(number)
        rounds = [(operation, victim) for operation in OPERATIONS for victim in VICTIMS]
        self.prepare()
        # The first of a kind fills caches.
        times = {operation: min(self.time(operation, i) for i in range(2)) for operation in OPERATIONS}
        self.remove_packages()
        done = dict.fromkeys(rounds, 0)
        for count in range(kills):
            operation, victim = rounds[count % len(rounds)]
            try:
                self.one(operation, victim, times[operation], f"p{count}", done)
            except BaseException as error:
                error.add_note(f"--seed {number}, kill {count}: {operation}, {victim}")
                raise
        print(f"{kills} kills, seed {number}; commands that were done before: {sum(done.values())}")

    def one(self, operation, victim, seconds, name, done):
        before = self.prepare()
        self.module(name)
        snapshots = self.daemon.ask("snapshot.list", sandboxId=self.sandbox)["snapshots"]
        client = self.begin(operation, name)
        time.sleep(self.chance.random() * seconds)
        status = self.strike(victim, client)
        done[operation, victim] += status == 0
        self.look_after(operation, victim, name, status, before, snapshots)

    def restore_that(self, name, stored, victim):
        """One whose own process was killed is refused, and changes nothing."""
        before = self.read()
        try:
            self.daemon.ask("snapshot.restore", sandboxId=self.sandbox, snapshotId=name)
        except RuntimeError as error:
            if victim != "sandbox":
                raise
            self.assertIn("a process of the snapshot has ended", str(error))
            stored = before[0]
        self.assertEqual(self.read(), (stored, stored))

    def look_after(self, operation, victim, name, status, before, snapshots):
        changes = operation in ("restore", "import")
        is_another = self.until_there()
        if status == 0 or not changes:
            wanted = {self.old} if changes else {before}
            # A state of the last moment may not have been saved.
            wanted |= {before} if is_another else set()
        else:
            wanted = {before, self.old}
        if changes and not is_another:
            self.settle()
        seen = self.read()
        self.assertIn(seen[0], wanted)
        if victim != "sandbox" or seen[1] != 0:
            self.assertEqual(seen[0], seen[1], "files and session are of two states")
        if operation == "install":
            self.assertTrue(eventually(lambda: not world_fetchers(self.port)))
            installed = self.packages()
            self.assertIn(installed, ([], [name]))
            if status == 0 and not is_another:
                self.assertIn(name, installed)
        else:
            self.packages()
        self.remove_packages()
        if operation == "snapshot" and not is_another:
            now = [one["snapshotId"] for one in self.daemon.ask("snapshot.list", sandboxId=self.sandbox)["snapshots"]]
            self.assertIn(len(now), (len(snapshots), len(snapshots) + 1))
            self.write()
            if name in now:
                self.restore_that(name, before, victim)
                self.daemon.ask("snapshot.delete", sandboxId=self.sandbox, snapshotId=name)
        if victim == "sandbox" and not is_another:
            # What was killed may have been a process of it.
            self.daemon.ask("snapshot.delete", sandboxId=self.sandbox, snapshotId="old")
        if operation == "export" and status == 0:
            self.assertTrue(self.file.exists())
        self.check_files()


def world_fetchers(port):
    """Processes that fetch something of these tests."""
    found = []
    for process in pathlib.Path("/proc").iterdir():
        try:
            words = (process / "cmdline").read_bytes()
        except OSError:
            continue
        if b"\0get\0https://localhost:%d/" % port in words:
            found.append(process.name)
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--kills", type=int, default=kills)
    parser.add_argument("--seed", type=int)
    options, names = parser.parse_known_args()
    kills, seed = options.kills, options.seed
    unittest.main(verbosity=2, argv=[sys.argv[0], *names])

#!/usr/bin/env python3
"""What becomes of directories that a client watches: run_watch.py [NAME...]"""
import asyncio
import json
import os
import pathlib
import shutil
import subprocess
import sys
import time
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent
CORDON = str(pathlib.Path(os.environ.get("CORDON_BUILD", ROOT / "build")) / "cordon")
sys.path.insert(0, str(ROOT / "sdk/python"))
os.environ["CORDON"] = CORDON

from cordon_sandbox import AsyncSandbox, RpcError, Sandbox  # noqa: E402


class Case(unittest.TestCase):
    def setUp(self):
        self.sandbox = Sandbox()
        self.addCleanup(self.sandbox.destroy)
        self.run_("mkdir /tmp/w")

    def run_(self, command):
        done = self.sandbox.commands.run(command)
        self.assertEqual((done.exit_code, done.stderr), (0, ""), command)
        return done.stdout

    def watch(self, path="/tmp/w", **options):
        watch = self.sandbox.files.watch(path, **options)
        self.addCleanup(watch.stop)
        return watch

    def until(self, watch, last):
        """What is told until an event that is the last one."""
        events = []
        for event in watch:
            events.append(tuple(event))
            if events[-1] == last:
                return events

    def tells(self, watch, command, last, *also):
        """The command is told by that event, maybe after these; a file may be seen before it is written."""
        self.run_(command)
        events = self.until(watch, last)
        self.assertLessEqual(set(events), {last, *also}, command)
        return events


class Events(Case):
    def test_what_happens_to_files(self):
        watch = self.watch()
        f, g, host = "/tmp/w/f", "/tmp/w/g", "/tmp/w/host"
        self.tells(watch, f": >{f}", ("created", f))
        self.tells(watch, f"echo y >>{f}", ("changed", f))
        self.tells(watch, f"mv {f} {g}", ("removed", f), ("created", g), ("changed", f))
        self.tells(watch, f"chmod 600 {g}", ("changed", g), ("created", g))
        self.tells(watch, f"rm {g}", ("removed", g), ("changed", g))
        self.sandbox.files.write(host, "1")
        self.until(watch, ("created", host))
        # Another file in its place, of the same size.
        self.sandbox.files.write(host, "2")
        self.until(watch, ("changed", host))

    def test_a_change_that_hides(self):
        self.run_("echo x >/tmp/w/f; touch -d 2001-01-01 /tmp/w/f")
        watch = self.watch()
        self.tells(watch, "echo y >/tmp/w/f; touch -d 2001-01-01 /tmp/w/f", ("changed", "/tmp/w/f"))

    def test_what_is_below(self):
        self.run_("mkdir -p /tmp/w/a/b")
        flat, deep = self.watch(), self.watch(recursive=True)
        self.run_("echo x >/tmp/w/a/b/f")
        self.run_("echo x >/tmp/w/last")
        self.assertEqual(self.until(flat, ("created", "/tmp/w/last")), [("created", "/tmp/w/last")])
        self.assertIn(("created", "/tmp/w/a/b/f"), self.until(deep, ("created", "/tmp/w/last")))
        self.run_("mv /tmp/w/a /tmp/w/z")
        self.assertIn(("created", "/tmp/w/z"), self.until(flat, ("removed", "/tmp/w/a")))
        events = self.until(deep, ("removed", "/tmp/w/a/b/f"))
        for path in ("", "/b", "/b/f"):
            self.assertIn(("created", "/tmp/w/z" + path), events)
            self.assertIn(("removed", "/tmp/w/a" + path), events)

    def test_a_directory_that_goes_and_comes(self):
        watch = self.watch()
        self.tells(watch, ": >/tmp/w/f", ("created", "/tmp/w/f"))
        self.tells(watch, "rm -r /tmp/w", ("removed", "/tmp/w/f"))
        self.tells(watch, "mkdir /tmp/w; : >/tmp/w/g", ("created", "/tmp/w/g"))

    def test_it_ends(self):
        watch = self.watch()
        watch.stop()
        watch.stop()
        self.assertEqual(list(watch), [])
        self.run_("echo x >/tmp/w/f")
        # They are given back: more than there may be at a time.
        for _ in range(40):
            self.sandbox.files.watch("/tmp/w").stop()
        watches = [self.watch() for _ in range(16)]
        with self.assertRaisesRegex(RpcError, "at most 16"):
            self.sandbox.files.watch("/tmp/w")
        self.tells(watches[-1], ": >/tmp/w/g", ("created", "/tmp/w/g"))

    def test_refusals(self):
        self.run_("ln -s w /tmp/link; : >/tmp/file")
        for path in ("/tmp/none", "/tmp/file", "/tmp/link"):
            with self.assertRaises(RpcError):
                self.sandbox.files.watch(path)

    def test_names_that_are_no_text(self):
        watch = self.watch()
        self.tells(watch, ": >$'/tmp/w/\\xff'", ("created", "/tmp/w/\udcff"))


class States(Case):
    def test_a_restored_snapshot(self):
        snapshot = self.sandbox.snapshot()
        watch = self.watch()
        self.tells(watch, ": >/tmp/w/f", ("created", "/tmp/w/f"))
        self.sandbox.restore(snapshot)
        self.until(watch, ("removed", "/tmp/w/f"))
        self.tells(watch, ": >/tmp/w/g", ("created", "/tmp/w/g"))

    def test_a_fork_watches_nothing(self):
        watch = self.watch()
        fork = self.sandbox.fork()
        self.addCleanup(fork.destroy)
        fork.commands.run("echo x >/tmp/w/fork")
        self.tells(watch, ": >/tmp/w/own", ("created", "/tmp/w/own"))
        with fork.files.watch("/tmp/w") as other:
            fork.commands.run("rm /tmp/w/fork")
            self.until(other, ("removed", "/tmp/w/fork"))


class Bounds(Case):
    def test_too_much_at_once(self):
        watch = self.watch()
        self.run_("mkdir /tmp/v; for i in {1..1500}; do : >/tmp/v/$i; done")
        self.tells(watch, "rmdir /tmp/w; mv /tmp/v /tmp/w", ("overflow", "/tmp/w"))
        self.tells(watch, ": >/tmp/w/f", ("created", "/tmp/w/f"))

    def test_more_than_is_compared(self):
        self.run_("for i in {1..4200}; do : >/tmp/w/$i; done")
        watch = self.watch()
        self.tells(watch, ": >/tmp/w/f", ("overflow", "/tmp/w"))
        self.run_("rm -r /tmp/w/*")
        # What is told again begins after the look that saw that there is less.
        end = time.monotonic() + 60
        number = 0
        while not any(event.type == "created" for event in watch.get_new_events()):
            self.assertLess(time.monotonic(), end)
            number += 1
            self.run_(f": >/tmp/w/g{number}; sleep 0.05")

    def test_a_guest_that_changes_all_the_time_harms_nobody(self):
        watch = self.watch()
        self.run_("(while :; do echo x >/tmp/w/f; rm /tmp/w/f; done) &")
        self.run_(": >/tmp/w/last")
        self.until(watch, ("created", "/tmp/w/last"))
        self.assertEqual(self.run_("echo fine"), "fine\n")
        self.run_("kill $!")

    def test_a_client_that_does_not_listen(self):
        process = subprocess.Popen([CORDON, "serve", "--stdio"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        with process:
            for number, (method, params) in enumerate([("create", {}), ("run", {"command": "mkdir /tmp/w"}),
                                                       ("files.watch", {"path": "/tmp/w"}),
                                                       ("run", {"command": "for i in {1..900}; do : >/tmp/w/$i; done"})]):
                process.stdin.write(json.dumps({"jsonrpc": "2.0", "id": number, "method": method, "params": params}).encode() + b"\n")
                process.stdin.flush()
                if number < 3:
                    answer = json.loads(process.stdout.readline())
            self.assertEqual(answer["result"]["watchId"], 1)
            told = set()
            while len(told) < 900:
                message = json.loads(process.stdout.readline())
                if message.get("method") == "files.changed":
                    self.assertEqual(message["params"]["type"], "created")
                    told.add(message["params"]["path"])
            process.stdin.close()


class Clients(Case):
    def test_asyncio(self):
        async def work():
            async with AsyncSandbox() as sandbox:
                async with await sandbox.files.watch("/tmp") as watch:
                    await sandbox.commands.run(": >/tmp/f")
                    async for event in watch:
                        self.assertEqual(tuple(event), ("created", "/tmp/f"))
                        break
        asyncio.run(work())

    @unittest.skipUnless(shutil.which("node"), "no Node on this machine")
    def test_typescript(self):
        program = f"""
            import {{ Sandbox }} from {json.dumps(str(ROOT / "sdk/typescript/index.js"))};
            const sandbox = await Sandbox.create();
            let told;
            const first = new Promise((resolve) => {{ told = resolve; }});
            const watch = await sandbox.files.watchDir('/tmp', told, {{ recursive: true }});
            await sandbox.run('mkdir /tmp/d; echo x >/tmp/d/f');
            console.log(JSON.stringify(await first));
            await watch.stop();
        """
        done = subprocess.run(["node", "--input-type=module", "-e", program], capture_output=True, text=True, timeout=120)
        self.assertEqual((done.returncode, done.stderr, done.stdout), (0, "", '{"type":"created","path":"/tmp/d"}\n'))


if __name__ == "__main__":
    unittest.main()

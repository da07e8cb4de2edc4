#!/usr/bin/env python3
"""Packages of live sandboxes whose client says which programs may be started: run_pkg_tools.py [NAME...]

A package is one of them where its name is in the list, with whatever name its file has later; each way around is first seen to work without a list.
"""
import asyncio
import json
import os
import sys
import unittest

import package_world as world
from package_world import COMMAND, Server, WORLD, assemble, hash_of

os.environ["XDG_CACHE_HOME"] = str(world.CACHE)

from cordon_sandbox import AsyncSandbox, PackageError, Sandbox  # noqa: E402

DENIED = "tool not allowed by security policy"
# Programs of the userland that the attempts need.
USUAL = ["cat", "chmod", "cp", "env", "find", "ln", "mkdir", "mv", "rm", "xargs"]

# Ways to start the package `other` where `hello` may be started.
ATTEMPTS = {
    "its name": "other",
    "its path": "/usr/local/bin/other",
    "its file": "/usr/share/pkg/bin/other.wasm",
    "a copy with the name of an allowed package": "mkdir -p /tmp/c; cp /usr/share/pkg/bin/other.wasm /tmp/c/hello; /tmp/c/hello",
    "a copy with the name of an allowed tool": "mkdir -p /tmp/c; cp /usr/share/pkg/bin/other.wasm /tmp/c/cat; /tmp/c/cat",
    "in front of it on the search path": "mkdir -p /tmp/c; cp /usr/share/pkg/bin/other.wasm /tmp/c/hello; PATH=/tmp/c:$PATH hello",
    "its bytes, written by an allowed program": "cat /usr/share/pkg/bin/other.wasm >/tmp/bytes; chmod +x /tmp/bytes; /tmp/bytes",
    "its bytes in the place of an allowed copy": "cp /usr/share/pkg/bin/hello.wasm /tmp/h; /tmp/h >/dev/null; cat /usr/share/pkg/bin/other.wasm >/tmp/h; /tmp/h",
    "a symbolic link": "ln -s /usr/share/pkg/bin/other.wasm /tmp/hello; /tmp/hello",
    "a hard link of a copy": "cp /usr/share/pkg/bin/other.wasm /tmp/o; ln /tmp/o /tmp/hello; /tmp/hello",
    "a copy that was renamed": "cp /usr/share/pkg/bin/other.wasm /tmp/o; mv /tmp/o /tmp/hello; /tmp/hello",
    "another first argument": "(exec -a hello other)",
    "the first argument of a program that is many": "(exec -a cat other)",
    "env": "env other",
    "xargs": "echo | xargs other",
    "find": "find /etc/hostname -exec other \\;",
    "an interpreter line": "printf '#!/usr/local/bin/other\\n' >/tmp/hello; chmod +x /tmp/hello; /tmp/hello",
    "an open file": "exec 9</usr/share/pkg/bin/other.wasm; /proc/self/fd/9; exec 9<&-",
    "a background job": "other & wait",
    "a substitution": "x=$(other); echo \"$x\"",
}


def setUpModule():
    global PORT, BASE
    PORT = world.serve()
    BASE = f"https://localhost:{PORT}"
    Server.files.update({f"/{name}.wasm": assemble(COMMAND % text) for name, text in (("hello", "hi"), ("other", "ho"), ("third", "hu"))})


def tearDownModule():
    world.FOLDER.cleanup()


class Case(unittest.TestCase):
    maxDiff = None

    def options(self, tools, **policy):
        security = {} if tools is None else {"tool_allowlist": tools}
        return {"security": security, "package_policy": world.policy(PORT, **policy)}

    def open(self, tools, **policy):
        self.events = []
        sandbox = Sandbox(on_audit_event=self.events.append, **self.options(tools, **policy))
        self.addCleanup(sandbox.destroy)
        return sandbox

    def install(self, sandbox, *names):
        for name in names:
            sandbox.packages.install(f"{BASE}/{name}.wasm")
        return sandbox

    def runs(self, sandbox, command, output):
        done = sandbox.commands.run(command)
        self.assertEqual((done.stdout, done.stderr, done.exit_code, done.error_class), (output, "", 0, None), command)

    def is_denied(self, sandbox, name):
        done = sandbox.commands.run(name)
        name = name.rsplit("/", 1)[-1]
        self.assertEqual((done.exit_code, done.stdout, done.stderr, done.error_class), (126, "", f"{name}: {DENIED}\n", "CAPABILITY_DENIED"))


class Tools(Case):
    def test_what_is_allowed_runs_and_what_is_not_says_so(self):
        sandbox = self.install(self.open(["hello", "cat"]), "hello", "other")
        self.runs(sandbox, "hello; hello | cat; sh -c hello", "hi\nhi\nhi\n")
        self.is_denied(sandbox, "other")
        denied = [event for event in self.events if event["type"] == "capability.denied"]
        self.assertEqual([(one["capability"], one["tool"]) for one in denied], [("tool", "other")])
        self.assertEqual(denied[0]["requestId"], [event for event in self.events if event["type"] == "command.complete"][-1]["requestId"])
        done = sandbox.commands.exec(["other"])
        self.assertEqual((done.exit_code, done.stderr, done.error_class), (126, f"other: {DENIED}\n", "CAPABILITY_DENIED"))
        # The list of before goes on: a program of the userland is what it was.
        self.is_denied(sandbox, "ls")

    def test_no_way_around(self):
        free = self.install(self.open(None), "hello", "other")
        bound = self.install(self.open(["hello", *USUAL]), "hello", "other")
        for name, script in ATTEMPTS.items():
            with self.subTest(name):
                for sandbox in (free, bound):
                    sandbox.commands.run("rm -rf /tmp/*; hash -r")
                self.assertIn("ho\n", free.commands.run(script).stdout, "it does not work without a list either")
                done = bound.commands.run(script)
                self.assertNotIn("ho\n", done.stdout)
                self.assertIn(DENIED, done.stderr)
                self.assertEqual(done.error_class, "CAPABILITY_DENIED")

    def test_what_is_allowed_is_its_bytes(self):
        sandbox = self.install(self.open(["hello", *USUAL]), "hello", "other")
        self.runs(sandbox, "cp /usr/share/pkg/bin/hello.wasm /tmp/mine; /tmp/mine; ln -s /tmp/mine /tmp/link; (exec -a other /tmp/link)", "hi\nhi\n")
        # The same bytes under two names, one of which may be started, are one program.
        self.is_denied(sandbox, "other")
        sandbox.packages.install(f"{BASE}/third.wasm", name="hello-too")
        self.is_denied(sandbox, "hello-too")
        sandbox.packages.install(f"{BASE}/hello.wasm", name="same")
        self.runs(sandbox, "same", "hi\n")
        sandbox.packages.remove("hello")
        sandbox.packages.install(f"{BASE}/other.wasm", name="hello")
        self.runs(sandbox, "hash -r; hello; other", "ho\nho\n")
        # What was allowed stays so for whoever has a copy, as what was removed does.
        self.runs(sandbox, "/tmp/mine", "hi\n")

    def test_updates(self):
        Server.files["/changing.wasm"] = Server.files["/hello.wasm"]
        sandbox = self.install(self.open(["changing"]), "changing")
        self.runs(sandbox, "changing", "hi\n")
        Server.files["/changing.wasm"] = Server.files["/other.wasm"]
        self.assertTrue(sandbox.packages.update("changing").updated)
        self.runs(sandbox, "changing", "ho\n")

    def test_names_of_programs_that_are_there(self):
        sandbox = self.open(["cat", "hello"])
        with self.assertRaises(PackageError) as refused:
            sandbox.packages.install(f"{BASE}/other.wasm", name="cat")
        self.assertEqual(refused.exception.errno, "E_PKG_EXISTS")
        # Where the policy lets packages have such names, they are what the list says.
        shadowing = self.open(["cat"], allowShadowing=True)
        for name in ("cat", "ls", "bash"):
            shadowing.packages.install(f"{BASE}/other.wasm" if name == "cat" else f"{BASE}/hello.wasm", name=name)
        self.runs(shadowing, "hash -r; cat", "ho\n")
        self.runs(shadowing, "/usr/bin/cat </dev/null; echo whole", "whole\n")
        self.is_denied(shadowing, "ls")
        self.is_denied(shadowing, "/usr/local/bin/bash")

    def test_asyncio(self):
        async def use():
            async with AsyncSandbox(**self.options(["hello"])) as sandbox:
                for name in ("hello", "other"):
                    await sandbox.packages.install(f"{BASE}/{name}.wasm")
                return [((done := await sandbox.commands.run(name)).exit_code, done.stdout) for name in ("hello", "other")]
        self.assertEqual(asyncio.run(use()), [(0, "hi\n"), (126, "")])


class Asking(Case):
    """`pkg` is a script, so it is what it asks for that is decided."""

    def test_inside(self):
        sandbox = self.open(["pkg", "hello"])
        self.assertEqual(sandbox.commands.run(f"pkg install {BASE}/hello.wasm >/dev/null && hello").stdout, "hi\n")
        self.assertEqual(sandbox.commands.run(f"pkg install {BASE}/other.wasm --name my-own >/dev/null; pkg list").stdout.count("\n"), 2)
        self.is_denied(sandbox, "my-own")
        # A name of the list is whatever has it.
        self.assertEqual(sandbox.commands.run(f"pkg remove hello >/dev/null; pkg install {BASE}/third.wasm --name hello >/dev/null; hash -r; hello").stdout, "hu\n")

    def test_not_inside(self):
        sandbox = self.open(["hello", "cat"])
        before = Server.connections
        for command in (f"pkg install {BASE}/hello.wasm", "pkg list", "pkg"):
            done = sandbox.commands.run(command)
            self.assertEqual((done.exit_code, done.stdout, done.stderr, done.error_class), (126, "", f"pkg: {DENIED}\n", "CAPABILITY_DENIED"), command)
        # A copy of the script, and the same words without it.
        self.assertEqual(sandbox.commands.run("cat /usr/bin/pkg >/tmp/p; bash /tmp/p list").stderr, f"pkg: {DENIED}\n")
        done = sandbox.commands.run(f"exec 7<>/dev/cordon/pkg; printf '%s\\0' 2 install {BASE}/hello.wasm >&7; cat <&7; exec 7>&-")
        self.assertEqual((done.stdout, done.error_class), (f"err pkg: {DENIED}\nexit 126\n", "CAPABILITY_DENIED"))
        denied = [event for event in self.events if event["type"] == "capability.denied"]
        self.assertEqual([event["tool"] for event in denied], ["pkg"] * 5)
        self.assertEqual(len({event["requestId"] for event in denied}), 5)
        self.assertEqual((sandbox.packages.list(), Server.connections), ([], before))
        # The client is no command.
        self.runs(self.install(sandbox, "hello"), "hello", "hi\n")
        # Words are no denial.
        self.assertIsNone(sandbox.commands.run(f"echo 'pkg: {DENIED}' >&2; exit 126").error_class)

    def test_many_that_ask(self):
        """They get their answers one after the other, and the client can install meanwhile."""
        sandbox = self.open(["hello"])
        done = sandbox.commands.spawn(["bash", "-c", "for i in {1..100}; do pkg list; done 2>/dev/null"])
        self.install(sandbox, "hello")
        done.wait()
        self.assertEqual(done.error_class, "CAPABILITY_DENIED")
        denied = [event for event in self.events if event["type"] == "capability.denied"]
        self.assertEqual(len(denied) + sum(event.get("missed", 0) for event in denied), 100)
        self.runs(sandbox, "hello", "hi\n")


class State(Case):
    def check(self, sandbox):
        self.runs(sandbox, "hello", "hi\n")
        self.is_denied(sandbox, "other")

    def test_forks_and_snapshots(self):
        sandbox = self.install(self.open(["hello", "third"]), "hello", "other")
        before = sandbox.snapshot()
        fork = sandbox.fork()
        self.addCleanup(fork.destroy)
        self.check(fork)
        self.install(fork, "third")
        self.runs(fork, "third", "hu\n")
        self.check(self.install(sandbox, "third"))
        sandbox.restore(before)
        self.check(sandbox)
        self.assertEqual(sandbox.commands.run("hash -r; third").exit_code, 127)
        # A fork of what was restored, whose origin is gone.
        last = sandbox.fork()
        self.addCleanup(last.destroy)
        sandbox.destroy()
        self.check(last)

    def test_export_and_import(self):
        """What comes along is what the list of the sandbox that it comes to says."""
        free = self.install(self.open(None), "hello", "other")
        free.commands.run("cp /usr/share/pkg/bin/hello.wasm /home/user/hello; cp /usr/share/pkg/bin/other.wasm /home/user/other")
        state = free.export_state()
        for names, good in ((["hello"], ["hello"]), (["other"], ["other"]), ([], []), (["hello", "other"], ["hello", "other"])):
            sandbox = self.open(names)
            self.assertEqual(sandbox.import_state(state).skipped, [])
            for name, words in (("hello", "hi\n"), ("other", "ho\n")):
                for path in (name, f"/home/user/{name}"):
                    if name in good:
                        self.runs(sandbox, path, words)
                    else:
                        self.is_denied(sandbox, path)
        # And out of one with a list.
        again = self.open(["other"])
        again.import_state(sandbox.export_state())
        self.runs(again, "other", "ho\n")
        self.is_denied(again, "hello")

    def test_an_import_that_takes_the_place_of_a_tool(self):
        shadowing = self.open(None, allowShadowing=True)
        shadowing.packages.install(f"{BASE}/other.wasm", name="cat")
        state = shadowing.export_state()
        sandbox = self.open(["cat"])
        self.assertEqual(sandbox.import_state(state).skipped, ["package cat: 'cat' is a program that is there already (E_PKG_EXISTS)"])
        self.assertNotEqual(sandbox.commands.run("hash -r; cat").exit_code, 0)
        self.assertEqual(sandbox.commands.run("/usr/bin/cat /etc/hostname").exit_code, 0)

    def test_an_import_whose_list_lies(self):
        """It says that another module is the one that is allowed: it is that, if its file and the policy agree, and no other."""
        sandbox = self.install(self.open(None), "hello", "other")
        entries = json.loads(sandbox.files.read("/usr/share/pkg/packages.json"))
        entries["packages"]["hello"]["sha256"] = hash_of(Server.files["/other.wasm"])
        sandbox.files.write("/usr/share/pkg/packages.json", json.dumps(entries))
        bound = self.open(["hello"])
        self.assertEqual(bound.import_state(sandbox.export_state()).skipped,
                         ["package hello: its file is not there, or has another hash (E_PKG_INTEGRITY)"])
        self.is_denied(bound, "other")
        self.assertNotIn("h", bound.commands.run("hello").stdout)

    def test_states_that_are_kept(self):
        os.environ["CORDON_STATE_DIR"] = str(WORLD / "states")
        self.addCleanup(os.environ.pop, "CORDON_STATE_DIR")
        options = dict(persistence={"mode": "persistent", "namespace": "tools"}, **self.options(["hello"]))
        with Sandbox(**options) as sandbox:
            self.install(sandbox, "hello", "other")
        with Sandbox(**options) as sandbox:
            self.check(sandbox)
        options["security"]["tool_allowlist"] = ["other"]
        with Sandbox(**options) as sandbox:
            self.runs(sandbox, "other", "ho\n")
            self.is_denied(sandbox, "hello")

    def test_offload(self):
        kept = {}
        storage = {"save": kept.__setitem__, "load": kept.__getitem__}
        with Sandbox(storage=storage, **self.options(["hello"])) as sandbox:
            self.install(sandbox, "hello", "other")
            sandbox.offload()
            sandbox.rehydrate()
            self.check(sandbox)


if __name__ == "__main__":
    sys.exit(world.main(sys.modules[__name__], [name for name in sys.argv[1:] if not name.startswith("-")]))

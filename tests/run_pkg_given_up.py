#!/usr/bin/env python3
"""Installations that nobody waits for any more: run_pkg_given_up.py [--full] [NAME...]

A server that stops in the middle holds them up; whoever asked is killed, cancels, leaves, or loses the sandbox. With --full also a server that is slow
on purpose, which takes half a minute.
"""
import asyncio
import json
import os
import pathlib
import socket
import subprocess
import sys
import threading
import time
import unittest

import package_world as world
from package_world import COMMAND, CORDON, Server, WORLD, assemble

os.environ["XDG_CACHE_HOME"] = str(world.CACHE)

from cordon_sandbox import AsyncSandbox, PackageError, Sandbox  # noqa: E402
from processes import answers, eventually  # noqa: E402

FULL = "--full" in sys.argv


def setUpModule():
    global BASE, PORT
    PORT = world.serve()
    BASE = f"https://localhost:{PORT}"
    Server.files.update({"/hello.wasm": assemble(COMMAND % "hi"), "/stalled.wasm": world.stalled, "/drops.wasm": drops})


def tearDownModule():
    world.FOLDER.cleanup()


def drops(request):
    """A byte now and then, as long as somebody takes them."""
    request.send_response(200)
    request.send_header("Content-Length", "100000")
    request.end_headers()
    try:
        while True:
            request.wfile.write(b"x")
            time.sleep(0.5)
    except OSError:
        pass


def fetchers():
    """Those that are at it for these tests, whoever started them."""
    found = []
    for process in pathlib.Path("/proc").iterdir():
        try:
            words = (process / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if len(words) > 2 and words[1] == b"get" and words[2].startswith(BASE.encode() + b"/"):
            found.append(process.name)
    return found


class GivenUp(unittest.TestCase):
    def setUp(self):
        self.events = []
        self.store = world.kept()
        self.asked = Server.asked.count("/stalled.wasm")

    def sandbox(self):
        sandbox = Sandbox(package_policy=world.policy(PORT), on_audit_event=self.events.append)
        self.addCleanup(sandbox.destroy)
        return sandbox

    def stall(self, sandbox):
        """An installation of the session's that hangs."""
        sandbox.commands.run(f"pkg install {BASE}/stalled.wasm >/tmp/out 2>&1 &")
        self.until_it_stalls()

    def until_it_stalls(self):
        self.assertTrue(eventually(lambda: Server.asked.count("/stalled.wasm") > self.asked))

    def nothing_is_left(self):
        self.assertTrue(eventually(lambda: not fetchers()))
        self.assertEqual(world.kept(), self.store)

    def installed(self):
        """Sources and ends of installations, as events tell them."""
        return [(event["type"].rpartition(".")[2], event["source"].rpartition("/")[2], event.get("code")) for event in list(self.events)
                if event["type"].startswith("package.install.") and not event["type"].endswith("start")]

    def test_a_guest_that_is_killed(self):
        sandbox = self.sandbox()
        for signal in ("KILL", "TERM"):
            self.asked = Server.asked.count("/stalled.wasm")
            self.stall(sandbox)
            self.assertEqual(len(fetchers()), 1)
            sandbox.commands.run(f"kill -{signal} %1; wait")
            self.nothing_is_left()
        self.assertEqual(sandbox.commands.run(f"pkg install {BASE}/hello.wasm >/dev/null; hello; pkg list | cut -f 1").stdout, "hi\nhello\n")
        self.assertEqual(self.installed(), [("cancelled", "stalled.wasm", "E_PKG_CANCELLED")] * 2 + [("complete", "hello.wasm", None)])
        self.store = world.kept()

    def test_one_that_waits_its_turn(self):
        sandbox = self.sandbox()
        self.stall(sandbox)
        waiting = sandbox.commands.run(f"pkg install {BASE}/hello.wasm --name waiting", timeout_ms=300)
        self.assertEqual(waiting.error_class, "TIMEOUT")
        connections = Server.connections
        sandbox.commands.run("kill %1; wait")
        self.assertTrue(eventually(lambda: len(self.installed()) == 2))
        self.assertEqual(self.installed(), [("cancelled", "hello.wasm", "E_PKG_CANCELLED"), ("cancelled", "stalled.wasm", "E_PKG_CANCELLED")])
        self.assertEqual((sandbox.packages.list(), Server.connections), ([], connections))
        self.nothing_is_left()

    def test_a_client_that_cancels(self):
        sandbox = self.sandbox()
        failed = []

        def install():
            try:
                sandbox.packages.install(f"{BASE}/stalled.wasm")
            except PackageError as error:
                failed.append(error.errno)
        client = threading.Thread(target=install)
        client.start()
        self.until_it_stalls()
        self.assertEqual(sandbox._call("cancel", {"requestId": 10**9})["cancelled"], 0)
        self.assertEqual(sandbox.commands.cancel(), 1)
        client.join()
        self.assertEqual((failed, self.installed()), (["E_PKG_CANCELLED"], [("cancelled", "stalled.wasm", "E_PKG_CANCELLED")]))
        self.nothing_is_left()
        self.assertEqual(sandbox.commands.cancel(), 0)

    def test_a_task_that_is_cancelled(self):
        async def use():
            async with AsyncSandbox(package_policy=world.policy(PORT), on_audit_event=self.events.append) as sandbox:
                task = asyncio.create_task(sandbox.packages.install(f"{BASE}/stalled.wasm"))
                await asyncio.to_thread(self.until_it_stalls)
                task.cancel()
                await asyncio.wait([task])
                await asyncio.to_thread(self.nothing_is_left)
                return await sandbox.packages.list()
        self.assertEqual(asyncio.run(use()), [])
        self.assertEqual(self.installed(), [("cancelled", "stalled.wasm", "E_PKG_CANCELLED")])

    def test_a_restore(self):
        """Whoever asked is not there any more."""
        sandbox = self.sandbox()
        before = sandbox.snapshot()
        self.stall(sandbox)
        sandbox.restore(before)
        self.nothing_is_left()
        self.assertEqual(sandbox.commands.run(f"pkg install {BASE}/hello.wasm >/dev/null; hello").stdout, "hi\n")
        self.store = world.kept()

    def test_a_sandbox_that_ends(self):
        sandbox = self.sandbox()
        self.stall(sandbox)
        sandbox.destroy()
        self.nothing_is_left()
        self.assertEqual(self.installed(), [("cancelled", "stalled.wasm", "E_PKG_CANCELLED")])

    def test_clients_that_leave(self):
        """A sandbox that is everybody's goes on, and what its clients wanted does not."""
        path = str(WORLD / "socket")
        daemon = subprocess.Popen([CORDON, "serve", "--unix", path])
        self.addCleanup(daemon.wait)
        self.addCleanup(daemon.terminate)
        self.assertTrue(eventually(lambda: answers(path)))

        def ask(client, number, method, params):
            client.sendall(json.dumps({"jsonrpc": "2.0", "id": number, "method": method, "params": params}).encode() + b"\n")
        with socket.socket(socket.AF_UNIX) as one, socket.socket(socket.AF_UNIX) as other:
            for client in (one, other):
                client.connect(path)
            answer = one.makefile()
            ask(one, 1, "create", {"detached": True, "packagePolicy": world.policy(PORT)})
            sandbox = json.loads(answer.readline())["result"]["sandboxId"]
            ask(other, 1, "package.install", {"sandboxId": sandbox, "source": f"{BASE}/stalled.wasm"})
            self.until_it_stalls()
            self.assertEqual(len(fetchers()), 1)
            other.close()
            self.nothing_is_left()
            ask(one, 2, "package.install", {"sandboxId": sandbox, "source": f"{BASE}/hello.wasm"})
            self.assertEqual(json.loads(answer.readline())["result"]["name"], "hello")
            ask(one, 3, "package.install", {"sandboxId": sandbox, "source": f"{BASE}/stalled.wasm"})
            self.asked += 1
            self.until_it_stalls()
            answer.close()
        self.store = world.kept()
        self.nothing_is_left()

    @unittest.skipUnless(FULL, "takes half a minute")
    def test_a_server_that_is_slow_on_purpose(self):
        sandbox = self.sandbox()
        with self.assertRaises(PackageError) as refused:
            sandbox.packages.install(f"{BASE}/drops.wasm")
        self.assertEqual(refused.exception.errno, "E_PKG_FETCH")
        self.assertIn("too slow", str(refused.exception))
        self.nothing_is_left()


if __name__ == "__main__":
    sys.exit(world.main(sys.modules[__name__], [name for name in sys.argv[1:] if not name.startswith("-")]))

#!/usr/bin/env python3
"""What the SDKs add to the daemon: pools, offload, names that users bring: run_sdk.py [NAME...]"""
import asyncio
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent
CORDON = str(pathlib.Path(os.environ.get("CORDON_BUILD", ROOT / "build")) / "cordon")
sys.path.insert(0, str(ROOT / "sdk/python"))
os.environ["CORDON"] = CORDON

from cordon_sandbox import AsyncSandbox, AsyncSandboxPool, Extension, RpcError, Sandbox, SandboxError, SandboxPool  # noqa: E402
from processes import answers, children, descendants, wait_until_gone  # noqa: E402


def eventually(condition, seconds=30):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True


def keepers(daemon):
    """One process of the daemon's own for each sandbox."""
    return keepers_of(daemon._process)


def keepers_of(process):
    return children(process.pid)


class Pools(unittest.TestCase):
    def open(self, **options):
        pool = SandboxPool(**options)
        self.addCleanup(pool.drain)
        return pool

    def test_sandboxes_wait_and_are_replaced(self):
        pool = self.open(min_size=2, max_size=4, replenish_interval_ms=20, env={"GIVEN": "yes"})
        pool.init()
        self.assertEqual(len(keepers(pool._daemon)), 2)
        waiting = set(keepers(pool._daemon))
        sandboxes = [pool.checkout() for _ in range(2)]
        # Those that had waited: others may have come meanwhile.
        self.assertLessEqual(waiting, set(keepers(pool._daemon)))
        self.assertEqual(len({sandbox.session_id for sandbox in sandboxes}), 2)
        for sandbox in sandboxes:
            self.assertEqual(sandbox.commands.run("echo $GIVEN; ls /tmp; : >/tmp/mine").stdout, "yes\n")
        self.assertTrue(eventually(lambda: len(keepers(pool._daemon)) == 4))
        # There is room for no more.
        pids = set(keepers(pool._daemon))
        third = pool.checkout()
        self.assertEqual(third.commands.run("ls /tmp").stdout, "")
        self.assertEqual(set(keepers(pool._daemon)), pids)
        pool.release(third)
        self.assertTrue(eventually(lambda: len(keepers(pool._daemon)) == 4 and set(keepers(pool._daemon)) != pids))
        with self.assertRaisesRegex(SandboxError, "Sandbox has been destroyed"):
            third.commands.run("true")
        with self.assertRaisesRegex(SandboxError, "not of this pool"):
            pool.release(third)

    def test_whoever_comes_when_all_are_out_waits(self):
        pool = self.open(min_size=0, max_size=1)
        first = pool.checkout()
        got = []
        waiter = threading.Thread(target=lambda: got.append(pool.checkout()))
        waiter.start()
        waiter.join(0.3)
        self.assertTrue(waiter.is_alive())
        first.destroy()  # as good as release
        waiter.join(60)
        self.assertEqual(got[0].commands.run("echo fine").stdout, "fine\n")

    def test_every_option_holds(self):
        events = []
        pool = self.open(min_size=1, max_size=3, security={"tool_allowlist": ["cat"], "limits": {"stdout_bytes": 5}}, label="worker",
                         cwd="/tmp", timeout_ms=60_000, on_audit_event=events.append, python_path=["/tmp/lib"])
        sandbox = pool.checkout()
        self.assertEqual(sandbox.commands.run("ls").error_class, "CAPABILITY_DENIED")
        self.assertEqual(sandbox.commands.run("pwd; echo more").stdout, "/tmp\n")
        self.assertEqual(sandbox.commands.run("echo ${PYTHONPATH:5}").stdout, "lib\n")
        self.assertIn("capability.denied", [event["type"] for event in events])
        # And what one of them is to have alone.
        other = pool.checkout(env={"X": "1"}, cwd="/home", label="special")
        self.assertEqual(other.commands.run("echo $X $PWD").stdout, "1 /ho")
        self.assertEqual(other.commands.run("ls").error_class, "CAPABILITY_DENIED")
        self.assertEqual(sorted(str(info.label) for info in other.sandboxes.list()), ["None", "special"])

    def test_sizes_and_draining(self):
        for sizes in ({"min_size": 2, "max_size": 1}, {"min_size": -1}, {"min_size": 0, "max_size": 0}):
            with self.assertRaises(ValueError):
                SandboxPool(**sizes)
        with self.assertRaises(ValueError):
            SandboxPool(persistence={"mode": "session"})
        with self.assertRaisesRegex(RpcError, "Unknown limit: x"):
            self.open(limits={"x": 1}).init()
        pool = self.open(min_size=1, max_size=2)
        sandbox = pool.checkout()
        pids = descendants(pool._daemon._process.pid) + [pool._daemon._process.pid]
        pool.drain()
        self.assertEqual(wait_until_gone(pids), [])
        with self.assertRaisesRegex(SandboxError, "Sandbox has been destroyed"):
            sandbox.commands.run("true")
        for call in (pool.init, pool.checkout):
            with self.assertRaisesRegex(SandboxError, "Pool is draining"):
                call()

    def test_drain_wakes_who_waits(self):
        pool = self.open(min_size=0, max_size=1)
        pool.checkout()
        told = []

        def wait():
            try:
                pool.checkout()
            except SandboxError as error:
                told.append(str(error))

        waiter = threading.Thread(target=wait)
        waiter.start()
        waiter.join(0.2)
        pool.drain()
        waiter.join(60)
        self.assertEqual(told, ["Pool is draining"])

    def test_asyncio(self):
        async def work():
            async with AsyncSandboxPool(min_size=1, max_size=2, env={"A": "1"}) as pool:
                one, two = await asyncio.gather(pool.checkout(), pool.checkout(env={"A": "2"}))
                self.assertEqual([(await sandbox.commands.run("echo $A")).stdout for sandbox in (one, two)], ["1\n", "2\n"])
                third = asyncio.ensure_future(pool.checkout())
                done, _ = await asyncio.wait([third], timeout=0.3)
                self.assertFalse(done)
                await pool.release(two)
                self.assertEqual((await (await third).commands.run("echo $A")).stdout, "1\n")
                pid = pool._daemon._process.pid
            with self.assertRaisesRegex(SandboxError, "Pool is draining"):
                await pool.checkout()
            self.assertEqual(wait_until_gone([pid]), [])
        asyncio.run(work())


class Offload(unittest.TestCase):
    def setUp(self):
        self.kept = {}
        self.storage = {"save": self.kept.__setitem__, "load": self.kept.__getitem__}

    def open(self, **options):
        sandbox = Sandbox(**{"storage": self.storage, **options})
        self.addCleanup(sandbox.destroy)
        return sandbox

    def test_files_and_session_come_back(self):
        sandbox = self.open(env={"GIVEN": "1"})
        sandbox.commands.run("mkdir ~/d; cd ~/d; echo text >f; ln -s f link; chmod 600 f; x='a b'; export Y=2; f() { echo \"f $1\"; }; "
                             "alias l='echo aliased'")
        before = sandbox.session_id
        pids = descendants(sandbox._daemon._process.pid)
        self.assertGreater(len(pids), 2)
        sandbox.offload()
        self.assertEqual(wait_until_gone(pids), [], "its memory is not free")
        self.assertEqual(descendants(sandbox._daemon._process.pid), [])
        self.assertEqual(list(self.kept), [before])
        for call in (lambda: sandbox.commands.run("true"), lambda: sandbox.files.read("f"), sandbox.fork, sandbox.usage,
                     sandbox.export_state):
            with self.assertRaisesRegex(SandboxError, "Sandbox is offloaded — call rehydrate\\(\\) first"):
                call()
        sandbox.offload()
        sandbox.rehydrate()
        sandbox.rehydrate()
        self.assertEqual(sandbox.commands.run("pwd; cat link; stat -c %a f; echo $x $Y $GIVEN; f 3; l").stdout,
                         "/home/user/d\ntext\n600\na b 2 1\nf 3\naliased\n")
        self.assertIn("mkdir ~/d", sandbox.history()[0]["command"])
        self.assertEqual(sandbox.session_id, before)

    def test_again_and_again(self):
        sandbox = self.open(security={"tool_allowlist": ["cat"]})
        for number in range(3):
            sandbox.commands.run(f"n{number}={number}")
            sandbox.offload()
            sandbox.rehydrate()
            self.assertEqual(sandbox.commands.run("ls").error_class, "CAPABILITY_DENIED")
        self.assertEqual(sandbox.commands.run("echo $n0$n1$n2").stdout, "012\n")

    def test_refusals(self):
        with self.assertRaisesRegex(SandboxError, "No storage callbacks configured"):
            self.open(storage=None).offload()
        sandbox = self.open()
        process = sandbox.commands.spawn(["sleep", "1000"])
        with self.assertRaisesRegex(SandboxError, "Cannot offload while a command is running"):
            sandbox.offload()
        process.kill()
        process.wait()
        sandbox.offload()
        sandbox.rehydrate()
        with tempfile.TemporaryDirectory() as folder:
            os.environ["CORDON_STATE_DIR"] = folder
            self.addCleanup(os.environ.pop, "CORDON_STATE_DIR")
            saved = self.open(persistence={"mode": "persistent"})
            with self.assertRaisesRegex(SandboxError, "saved in its namespace"):
                saved.offload()
            saved.destroy()

    def test_storage_that_fails(self):
        def fail(*_):
            raise OSError("no space")

        storage = dict(self.storage, save=fail)
        sandbox = self.open(storage=storage)
        sandbox.commands.run("x=1")
        with self.assertRaisesRegex(OSError, "no space"):
            sandbox.offload()
        self.assertEqual(sandbox.commands.run("echo $x").stdout, "1\n", "it has to go on")
        storage.update(self.storage)
        sandbox.offload()
        storage["load"] = fail
        with self.assertRaisesRegex(OSError, "no space"):
            sandbox.rehydrate()
        storage["load"] = lambda _: b"no state at all"
        with self.assertRaises(RpcError):
            sandbox.rehydrate()
        with self.assertRaisesRegex(SandboxError, "offloaded"):
            sandbox.commands.run("true")
        storage["load"] = self.storage["load"]
        sandbox.rehydrate()
        self.assertEqual(sandbox.commands.run("echo $x").stdout, "1\n")

    def test_asyncio(self):
        async def work():
            async def save(name, state):
                self.kept[name] = state

            async def load(name):
                return self.kept[name]

            async with AsyncSandbox(storage={"save": save, "load": load}) as sandbox:
                await sandbox.commands.run("cd /tmp; x=1")
                await sandbox.offload()
                with self.assertRaisesRegex(SandboxError, "offloaded"):
                    await sandbox.commands.run("true")
                await sandbox.rehydrate()
                self.assertEqual((await sandbox.commands.run("echo $PWD $x")).stdout, "/tmp 1\n")
        asyncio.run(work())


class Suspended(unittest.TestCase):
    def setUp(self):
        self.sandbox = Sandbox()
        self.addCleanup(self.sandbox.destroy)

    def states(self):
        """Of all its processes, as the host says: T is stopped."""
        states = []
        for pid in descendants(self.sandbox._daemon._process.pid):
            try:
                states.append(pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0])
            except OSError:
                continue
        return states

    def test_nothing_runs_until_it_is_resumed(self):
        process = self.sandbox.commands.spawn(["sh", "-c", "while :; do :; done"])
        self.sandbox.suspend()
        self.sandbox.pause()
        # The service, the shell and the loop.
        self.assertTrue(eventually(lambda: self.states().count("T") >= 3), self.states())
        asked = []
        asker = threading.Thread(target=lambda: asked.append(self.sandbox.commands.exec(["echo", "later"]).stdout))
        asker.start()
        asker.join(0.3)
        self.assertEqual(asked, [])
        self.sandbox.resume()
        self.sandbox.resume()
        asker.join(60)
        self.assertEqual(asked, ["later\n"])
        self.assertEqual(self.states().count("T"), 0)
        process.kill()
        process.wait()

    def test_no_time_passes_for_a_command(self):
        done = []
        started = threading.Event()
        runner = threading.Thread(target=lambda: done.append(self.sandbox.commands.run(
            "echo on; while [ ! -e /tmp/go ]; do sleep 0.01; done; echo end", timeout_ms=6000, on_stdout=lambda _: started.set())))
        runner.start()
        started.wait()
        self.sandbox.suspend()
        time.sleep(6.5)  # longer than the command may take
        self.sandbox.resume()
        self.sandbox.files.write("/tmp/go", "")
        runner.join(60)
        self.assertEqual((done[0].stdout, done[0].error_class), ("on\nend\n", None))
        self.assertLess(done[0].execution_time_ms, 6000)

    def test_it_can_be_destroyed(self):
        pids = descendants(self.sandbox._daemon._process.pid)
        self.sandbox.suspend()
        self.sandbox.destroy()
        self.assertEqual(wait_until_gone(pids), [])


class Names(unittest.TestCase):
    """That users of other packages bring."""

    def test_commands(self):
        with Sandbox.create() as sandbox:
            sandbox.commands.run("x=session")
            self.assertEqual(sandbox.commands.run("pwd; echo $A$x", cwd="/tmp", envs={"A": "1"}).stdout, "/tmp\n1\n")
            self.assertEqual(sandbox.commands.run("pwd; echo $x").stdout, "/home/user\nsession\n")
            process = sandbox.commands.run("read line; echo got $line; exit 3", background=True)
            self.assertEqual([one.id for one in sandbox.commands.list()], [process.id])
            sandbox.commands.send_stdin(process.id, "it\n")
            self.assertEqual((list(process), process.exit_code), ([("stdout", b"got it\n")], 3))
            self.assertEqual(sandbox.commands.list(), [])
            sleeper = sandbox.commands.run("sleep 1000", background=True)
            self.assertTrue(sandbox.commands.kill(sleeper.id))
            sleeper.wait()
            self.assertFalse(sandbox.commands.kill(sleeper.id))
            seen = []
            sandbox.commands.exec(["echo", "x"], on_stdout=seen.append)
            self.assertEqual(seen, [b"x\n"])

    def test_files_and_sandboxes(self):
        sandbox = Sandbox(label="first")
        self.assertTrue(sandbox.is_running())
        sandbox.files.write("t", "ä")
        self.assertEqual((sandbox.files.read("t"), sandbox.files.read("t", format="text")), ("ä".encode(), "ä"))
        self.assertEqual(sandbox.files.get_info("t").size, 2)
        other = sandbox.sandboxes.create("second", env={"B": "2"})
        self.assertEqual(other.commands.run("echo $B; ls").stdout, "2\n")
        infos = {info.label: info.sandbox_id for info in sandbox.sandboxes.list()}
        self.assertEqual(infos, {"first": sandbox.sandbox_id, "second": other.sandbox_id})
        sandbox.sandboxes.remove(other.sandbox_id)
        self.assertFalse(other.is_running())
        other.destroy()
        sandbox.kill()
        self.assertFalse(sandbox.is_running())

    def test_asyncio(self):
        async def work():
            events = []
            sandbox = await AsyncSandbox.create(security={"tool_allowlist": ["cat"]}, on_audit_event=events.append)
            await sandbox.set_env("A", "1")
            self.assertEqual((await sandbox.get_env("A"), await sandbox.get_env("NONE")), ("1", None))
            process = await sandbox.commands.spawn(["cat"])
            await process.write("hi")
            await process.close_stdin()
            self.assertEqual([piece async for piece in process], [("stdout", b"hi")])
            self.assertEqual(process.exit_code, 0)
            background = await sandbox.commands.run("ls", background=True)
            self.assertEqual((await background.wait(), background.error_class), (126, "CAPABILITY_DENIED"))
            await sandbox.commands.run("echo x")
            self.assertEqual([entry["command"] for entry in await sandbox.history()], ["echo x"])
            other = await sandbox.sandboxes.create("other")
            self.assertEqual((await other.commands.run("ls")).exit_code, 126)
            self.assertEqual([info.label for info in await other.sandboxes.list() if info.label], ["other"])
            await other.destroy()
            self.assertTrue(await sandbox.is_running())
            await sandbox.destroy()
            self.assertEqual([event["type"] for event in events if event["sessionId"] == sandbox.session_id][-1], "sandbox.destroy")
        asyncio.run(work())


@unittest.skipUnless(shutil.which("node"), "no Node on this machine")
class Requests(unittest.TestCase):
    """What one request may say, and what there is to ask."""

    def check(self, run, execute):
        """Both are functions of a command and keywords."""
        capped = run("printf 0123456789; printf 0123456789 >&2", stdout_limit_bytes=4, stderr_limit_bytes=5)
        self.assertEqual((capped.stdout, capped.stderr, capped.error_class), ("0123", "01234", "LIMIT_EXCEEDED"))
        self.assertEqual(run("printf 0123456789").stdout, "0123456789")
        self.assertEqual(execute(["printf", "0123456789"], stdout_limit_bytes=3).stdout, "012")
        self.assertEqual(run("printf 0123456789", env={"A": "b"}, stdout_limit_bytes=2).stdout, "01")
        for options in ({"stdout_limit": 3}, {"stdout_limit_bytes": 3, "background": True}):
            with self.assertRaises(TypeError):
                run("true", **options)

    def test_limits_and_lists(self):
        with Sandbox(extensions=[Extension("up", "makes letters large", str.upper, usage="up", category="text")]) as sandbox:
            self.check(sandbox.commands.run, sandbox.commands.exec)
            listed = sandbox.list_extensions()
            self.assertEqual([(one["name"], one["usage"], one["category"]) for one in listed], [("up", "up", "text")])
            self.assertGreaterEqual(sandbox.sandboxes.version()["protocol"], 1)
            self.assertIs(sandbox.sandboxes.list()[0].detached, False)

    def test_asynchronous(self):
        async def program():
            async with AsyncSandbox(extensions=[Extension("up", "makes letters large", str.upper)]) as sandbox:
                loop = asyncio.get_running_loop()

                def waiting(function):
                    return lambda *words, **options: asyncio.run_coroutine_threadsafe(function(*words, **options), loop).result()
                await asyncio.to_thread(self.check, waiting(sandbox.commands.run), waiting(sandbox.commands.exec))
                self.assertEqual([one["name"] for one in await sandbox.list_extensions()], ["up"])
                self.assertGreaterEqual((await sandbox.sandboxes.version())["protocol"], 1)
        asyncio.run(program())


class Socket(unittest.TestCase):
    """A daemon that is there, and sandboxes that stay when their client has gone."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = f"{folder.name}/s"
        self.daemon = subprocess.Popen([CORDON, "serve", "--unix", self.path])
        self.addCleanup(self.end)
        self.assertTrue(eventually(lambda: answers(self.path)))

    def end(self):
        below = descendants(self.daemon.pid)
        self.daemon.terminate()
        self.daemon.wait()
        self.assertEqual(wait_until_gone(below), [])

    def test_stays_and_goes(self):
        with Sandbox(socket=self.path, detached=True) as sandbox:
            sandbox.commands.run("x=kept")
            fork = sandbox.fork()
            fork.commands.run("x=of-fork")
            ids = [sandbox.sandbox_id, fork.sandbox_id]
            fork.disconnect()
        said = []
        for sandbox_id in ids:
            with Sandbox.connect(sandbox_id, socket=self.path) as again:
                said.append(again.commands.run("echo $x").stdout)
                self.assertIs(again.sandboxes.list()[0].detached, True)
        self.assertEqual(said, ["kept\n", "of-fork\n"])
        again = Sandbox.connect(ids[0], socket=self.path)
        again.destroy()
        with self.assertRaisesRegex(SandboxError, "Unknown sandboxId"):
            Sandbox.connect(ids[0], socket=self.path)
        self.assertEqual(self.run_async(ids[1]), "of-fork\n")

    def run_async(self, sandbox_id):
        async def program():
            async with await AsyncSandbox.connect(sandbox_id, socket=self.path) as sandbox:
                said = (await sandbox.commands.run("echo $x")).stdout
            other = await AsyncSandbox.create(socket=self.path)
            self.assertEqual(len(await other.sandboxes.list()), 2)
            with self.assertRaisesRegex(SandboxError, "not detached"):
                await other.disconnect()
            await other.destroy()
            with self.assertRaisesRegex(SandboxError, "Unknown sandboxId"):
                await AsyncSandbox.connect("none", socket=self.path)
            return said
        return asyncio.run(program())

    def test_what_is_not_detached_ends_with_its_client(self):
        with Sandbox(socket=self.path, detached=True) as watcher:
            sandbox = Sandbox(socket=self.path)
            with self.assertRaisesRegex(SandboxError, "not detached"):
                sandbox.disconnect()
            self.assertEqual(len(keepers_of(self.daemon)), 2)
            sandbox._daemon.close()  # as a program that ends
            self.assertTrue(eventually(lambda: len(keepers_of(self.daemon)) == 1))
            self.assertTrue(watcher.is_running())

    def test_typescript(self):
        done = subprocess.run(["node", ROOT / "tests/sdk/socket.mjs", self.path], capture_output=True, text=True, timeout=120)
        self.assertEqual((done.returncode, done.stderr, done.stdout), (0, "", "all of it\n"))

    def test_refusals(self):
        with self.assertRaisesRegex(SandboxError, "detached"):
            Sandbox(detached=True)
        with self.assertRaisesRegex(SandboxError, "cannot reach the daemon at /no/such"):
            Sandbox(socket="/no/such")
        with self.assertRaises(ValueError):
            SandboxPool(socket=self.path)


class TypeScript(unittest.TestCase):
    def run_program(self, name):
        done = subprocess.run(["node", ROOT / "tests/sdk" / name], capture_output=True, text=True, timeout=300)
        self.assertEqual((done.returncode, done.stderr), (0, ""), done.stdout)
        self.assertEqual(done.stdout, "all of it\n")

    def test_policy(self):
        self.run_program("policy.mjs")

    def test_pool_and_offload(self):
        self.run_program("pool.mjs")

    def test_requests(self):
        self.run_program("requests.mjs")

    def test_native_runners(self):
        self.run_program("native.mjs")


if __name__ == "__main__":
    unittest.main()

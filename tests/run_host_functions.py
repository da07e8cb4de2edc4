#!/usr/bin/env python3
"""Commands of a sandbox that a client serves, through the protocol and the SDKs: run_host_functions.py [NAME...]"""
import asyncio
import hashlib
import json
import os
import pathlib
import subprocess
import sys
import threading
import time
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent
CORDON = str(ROOT / "build/cordon")
sys.path.insert(0, str(ROOT / "sdk/python"))
os.environ["CORDON"] = CORDON

from cordon_sandbox import AsyncSandbox, Extension, PythonPackage, RpcError, Sandbox  # noqa: E402
from typescript import needs_node, run_with_package  # noqa: E402

EVERY_BYTE = bytes(range(256))
PATIENCE = 30  # seconds; nothing here takes one


def upper(args, stdin, **_):
    return {"stdout": stdin.upper() if not args else " ".join(args).upper() + "\n"}


def say_all(args, stdin, env, cwd):
    text = json.dumps({"args": args, "stdin": stdin, "cwd": cwd, "given": env.get("GIVEN")})
    return {"stdout": text, "stderr": "seen\n", "exit_code": 7}


def copy(stdin):
    yield from stdin


def double(stdin):
    return stdin + stdin


def fail(args):
    raise ValueError(f"no such thing: {args[0]}")


class Hold:
    """A command that goes on until it is released; counts those that have begun and those that were cancelled."""

    def __init__(self):
        self.begun = threading.Semaphore(0)
        self.released = threading.Event()
        self.cancelled = threading.Semaphore(0)

    def __call__(self, call):
        self.begun.release()
        while not self.released.wait(0.01):
            if call.cancelled.is_set():
                self.cancelled.release()
                return 1
        return "held\n"


def begins(test, hold, count=1):
    for _ in range(count):
        test.assertTrue(hold.begun.acquire(timeout=PATIENCE))


class Commands(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.hold = Hold()
        cls.sandbox = Sandbox(extensions=[
            Extension("up", "makes letters large", upper, usage="up [WORD...]", examples=["echo a | up"], category="text"),
            Extension("say-all", "says how it was called", say_all),
            Extension("copy", "copies", copy, stdin="stream"),
            Extension("double", "twice the same", double, stdin="bytes"),
            Extension("fail", "raises", fail, stdin="none"),
            Extension("hold", "waits", cls.hold, stdin="none"),
            Extension("ignore", "reads nothing", lambda: "called\n", stdin="stream"),
        ])

    @classmethod
    def tearDownClass(cls):
        cls.sandbox.destroy()

    def run_(self, command, **options):
        return self.sandbox.commands.run(command, **options)

    def check(self, command, output, **options):
        result = self.run_(command, **options)
        self.assertEqual((result.stdout, result.stderr, result.exit_code), (output, "", 0), command)

    def test_how_it_is_called(self):
        result = self.run_("cd /tmp; GIVEN='a b' say-all -x '' 'two words' <<< input; cd")
        self.assertEqual(json.loads(result.stdout),
                         {"args": ["-x", "", "two words"], "stdin": "input\n", "cwd": "/tmp", "given": "a b"})
        self.assertEqual(result.stderr, "seen\n")
        self.assertEqual(self.run_("say-all </dev/null >/dev/null 2>&1; echo $?").stdout, "7\n")

    def test_it_is_a_program(self):
        self.check("command -v up; type -t up", "/usr/local/bin/up\nfile\n")
        self.check("echo a b c | xargs -n1 up", "A\nB\nC\n")
        self.check("seq 100 | xargs -P 8 -n 1 up | sort -n | tail -n 1", "100\n")
        self.check("find /usr/local/bin -name up -exec {} done \\;", "DONE\n")
        self.check("x=$(up inner); echo [$x]", "[INNER]\n")
        self.check("env -i /usr/local/bin/up bare", "BARE\n")
        self.check("python3 -c 'import subprocess; print(subprocess.check_output([\"up\", \"p\"]))'", "b'P\\n'\n")
        self.check("timeout 20 up timed; up a && ! fail x 2>/dev/null || echo no", "TIMED\nA\n")

    def test_pipelines(self):
        self.check("printf 'b\\na\\n' | up | sort | tr -d '\\n'", "AB")
        self.check("printf 'x\\ny\\n' | copy | up | copy | cat", "X\nY\n")
        self.check("up < <(printf q) > /tmp/up.out; cat /tmp/up.out", "Q")

    def test_bytes(self):
        data = EVERY_BYTE * 64
        self.assertEqual(self.run_("double", stdin=data).stdout_bytes, data + data)
        result = self.run_("double | sha256sum", stdin=data)
        self.assertEqual(result.stdout.split()[0], hashlib.sha256(data + data).hexdigest())
        self.assertEqual(self.run_("printf '\\377\\0x' | copy | od -An -tx1").stdout.split(), ["ff", "00", "78"])

    def test_much_in_pieces(self):
        self.run_("head -c 20000000 /dev/urandom > /tmp/much")
        result = self.run_("sha256sum < /tmp/much; cat /tmp/much | copy | sha256sum; copy < /tmp/much | copy | sha256sum")
        self.assertEqual(len(set(result.stdout.splitlines())), 1, result.stdout + result.stderr)
        self.run_("rm /tmp/much")

    def test_input_that_is_not_asked_for_stays(self):
        self.check("printf '1\\n2\\n3\\n' | while read x; do ignore; done", "called\n" * 3)
        self.check("printf '1\\n2\\n' | (ignore; cat)", "called\n1\n2\n")

    def test_status_and_errors(self):
        result = self.run_("fail one")
        self.assertEqual((result.exit_code, result.stderr), (1, "fail: ValueError: no such thing: one\n"))
        self.assertEqual(self.run_("fail a 2>/dev/null | cat; echo ${PIPESTATUS[*]}").stdout, "1 0\n")
        self.assertEqual(self.run_("up x >&-").exit_code, 1)
        self.assertEqual(self.run_("say-all <&- | head -c 20").stdout, '{"args": [], "stdin"')
        self.assertEqual(self.run_("up a > /dev/full").exit_code, 1)

    def test_a_reader_that_goes(self):
        written, ended = [], threading.Event()

        def without_end():
            try:
                while True:
                    yield b"x" * 65536
                    written.append(1)
            finally:
                ended.set()

        self.sandbox.register_extensions([Extension("without-end", "", without_end, stdin="none")])
        result = self.run_("without-end | head -c 1000000 | wc -c; echo ${PIPESTATUS[0]}")
        self.assertEqual(result.stdout, "1000000\n141\n")
        self.assertTrue(ended.wait(PATIENCE))
        # What a pipe, two rings and one piece on its way hold, and not what would have been written meanwhile.
        self.assertLess(len(written) * 65536, 4_000_000)
        self.sandbox.remove_extension("without-end")

    def test_a_slow_reader_holds_the_writer_up(self):
        written = []

        def much():
            for _ in range(200):
                yield b"x" * 65536
                written.append(1)

        self.sandbox.register_extensions([Extension("much", "", much, stdin="none")])
        self.run_("mkfifo /tmp/go")
        process = self.sandbox.commands.spawn(["sh", "-c", "much | (read go < /tmp/go; wc -c)"])
        last = -1
        while len(written) != last:  # until it stands still
            last = len(written)
            self.run_("sleep 0.3")
        self.assertLess(last * 65536, 4_000_000)
        self.run_("echo > /tmp/go")
        self.assertEqual(b"".join(data for _, data in process).strip(), b"13107200")
        self.run_("rm /tmp/go")
        self.sandbox.remove_extension("much")

    def check_cancelled(self, command, **options):
        result = self.run_(command, **options)
        self.assertTrue(self.hold.cancelled.acquire(timeout=PATIENCE), command)
        self.hold.begun.acquire(timeout=PATIENCE)
        return result

    def test_cancellation(self):
        self.assertEqual(self.check_cancelled("timeout 0.3 hold").exit_code, 124)
        self.assertEqual(self.check_cancelled("hold", timeout_ms=300).error_class, "TIMEOUT")
        self.check_cancelled("hold & sleep 0.3; kill -9 $!; wait $!")
        self.check_cancelled("hold | cat & sleep 0.3; kill %%; wait")
        process = self.sandbox.commands.spawn(["hold"])
        begins(self, self.hold)
        process.kill()
        process.wait()
        self.assertTrue(self.hold.cancelled.acquire(timeout=PATIENCE))
        self.check("up after", "AFTER\n")

    def test_job_control(self):
        process = self.sandbox.commands.spawn(["hold"])
        begins(self, self.hold)
        process.signal(19)
        state = "cat /proc/$(pgrep -f bin/hold)/stat | cut -d' ' -f3"
        while self.run_(state).stdout.strip() != "T":
            time.sleep(0.01)
        process.signal(18)
        while self.run_(state).stdout.strip() == "T":
            time.sleep(0.01)
        process.signal(2)
        self.assertEqual(process.wait(), 130)
        self.assertTrue(self.hold.cancelled.acquire(timeout=PATIENCE))

    def test_many_at_once(self):
        processes = [self.sandbox.commands.spawn(["hold"]) for _ in range(14)]
        self.run_("hold > /tmp/last & hold > /dev/null & echo")
        begins(self, self.hold, 16)
        result = self.run_("up more")
        self.assertEqual((result.exit_code, result.stderr), (125, "up: too many host functions run at once\n"))
        self.hold.released.set()
        for process in processes:
            self.assertEqual(b"".join(data for _, data in process), b"held\n")
            self.assertEqual(process.exit_code, 0)
        self.check("wait; cat /tmp/last", "held\n")
        self.hold.released.clear()
        self.check("up again", "AGAIN\n")

    def test_names(self):
        def refused(name, reason):
            with self.assertRaisesRegex(RpcError, reason):
                self.sandbox.register_extensions([Extension(name, "", upper)])
        for name in ("", "-x", ".x", "a/b", "../x", "a b", "a\nb", "x" * 65, "ä"):
            refused(name, "Invalid extension name")
        for name in ("cd", "if", "echo", "extensions", "history"):
            refused(name, "is the shell's own")
        for name in ("ls", "python3", "bash"):
            refused(name, f"EEXIST: {name} is a program of the sandbox")
        self.run_("echo own > /tmp/mine; chmod +x /tmp/mine")
        # All or none.
        with self.assertRaises(RpcError):
            self.sandbox.register_extensions([Extension("fresh", "", upper), Extension("ls", "", upper)])
        self.assertEqual(self.run_("fresh").exit_code, 127)
        with self.assertRaisesRegex(RpcError, "Two extensions of one name"):
            self.sandbox.register_extensions([Extension("fresh", "", upper), Extension("fresh", "", upper)])

    def test_later_and_no_more(self):
        self.assertEqual(self.sandbox.register_extensions([Extension("later", "", lambda: "first\n", stdin="none")]), ["later"])
        self.check("later", "first\n")
        self.sandbox.register_extensions([Extension("later", "", lambda: "second\n", stdin="none")])
        self.check("later", "second\n")
        self.run_("cp /usr/local/bin/later /tmp/kept")
        self.sandbox.remove_extension("later")
        self.assertEqual(self.run_("hash -r; later").exit_code, 127)
        result = self.run_("/tmp/kept")
        self.assertEqual((result.exit_code, result.stderr), (127, "later: no such host function\n"))
        with self.assertRaisesRegex(RpcError, "Unknown extension: later"):
            self.sandbox.remove_extension("later")

    def test_extensions_lists_them(self):
        lines = self.run_("extensions list").stdout.splitlines()
        self.assertIn(["up", "makes", "letters", "large", "[text]"], [line.split() for line in lines])
        self.assertEqual(self.run_("extensions list --category text | wc -l").stdout, "1\n")
        listed = json.loads(self.run_("extensions list --json --category=text").stdout)
        self.assertEqual(listed, [{"name": "up", "description": "makes letters large", "usage": "up [WORD...]",
                                   "examples": ["echo a | up"], "category": "text"}])
        self.assertEqual(self.run_("extensions info up").stdout,
                         "Name: up\nDescription: makes letters large\nCategory: text\nUsage: up [WORD...]\n"
                         "Examples:\n  echo a | up\n")
        result = self.run_("extensions info none")
        self.assertEqual((result.exit_code, result.stderr), (1, "extensions: 'none' not found\n"))
        self.assertEqual(self.run_("extensions what; echo $?").stdout, "1\n")

    def test_python_package(self):
        def serve(args):
            return str(int(args[0]) ** 2) + "\n"
        package = PythonPackage("1.2.3", "squares", {
            "__init__.py": "import subprocess\nfrom .names import NAME\n\ndef square(x):\n"
                           "    return int(subprocess.check_output([NAME, str(x)]))\n",
            "names.py": b"NAME = 'to-square'\n", "data/table.bin": EVERY_BYTE})
        self.sandbox.register_extensions([Extension("to-square", "squares", serve, stdin="none", python_package=package)])
        self.check("cd /; python3 -c 'import to_square; print(to_square.square(12))'; cd", "144\n")
        self.check("python3 -c 'import importlib.metadata as m; print(m.version(\"to_square\"), m.metadata(\"to_square\")[\"Summary\"])'",
                   "1.2.3 squares\n")
        self.check("python3 -c 'import importlib.resources as r; print(len((r.files(\"to_square\") / \"data/table.bin\").read_bytes()))'",
                   "256\n")
        for path in ("../x.py", "/x.py", "a//b", "", "a/../b", "./a"):
            with self.assertRaisesRegex(RpcError, "No path below it"):
                self.sandbox.register_extensions([
                    Extension("bad", "", serve, python_package=PythonPackage("1", "", {path: ""}))])
        for version in ("", "1/2", "../1", "1\n2"):
            with self.assertRaises(RpcError):
                self.sandbox.register_extensions([Extension("bad", "", serve, python_package=PythonPackage(version, "", {}))])


class Copies(unittest.TestCase):
    def test_forks_and_snapshots(self):
        hold = Hold()
        with Sandbox(extensions=[Extension("up", "", upper), Extension("hold", "", hold, stdin="none")]) as sandbox:
            sandbox.commands.run("(hold; echo status $?) > /tmp/told 2>&1 & echo")
            begins(self, hold)
            fork = sandbox.fork()
            # Nobody serves the copy of a call that goes on: it ends. The other goes on.
            told = fork.commands.run("wait; cat /tmp/told")
            self.assertEqual(told.stdout, "hold: the host function has gone\nstatus 125\n")
            self.assertEqual(fork.commands.run("up fork; extensions list | wc -l").stdout, "FORK\n2\n")
            hold.released.set()
            self.assertEqual(sandbox.commands.run("wait; cat /tmp/told").stdout, "held\nstatus 0\n")
            hold.released.clear()
            fork.destroy()
            self.assertEqual(sandbox.commands.run("up still").stdout, "STILL\n")

            sandbox.snapshot("before")
            sandbox.commands.run("hold & echo")
            begins(self, hold)
            sandbox.restore("before")
            self.assertTrue(hold.cancelled.acquire(timeout=PATIENCE))
            self.assertEqual(sandbox.commands.run("up restored; seq 30 | xargs -n1 up | wc -l").stdout, "RESTORED\n30\n")

    def test_state_that_is_taken_elsewhere(self):
        with Sandbox(extensions=[Extension("up", "", upper)]) as sandbox:
            state = sandbox.export_state()
        with Sandbox() as other:
            other.import_state(state)
            result = other.commands.run("up x")
            self.assertEqual((result.exit_code, result.stderr), (127, "up: no such host function\n"))

    def test_no_host_at_all(self):
        done = subprocess.run([CORDON, "run", "-c", "extensions list"], capture_output=True, text=True, timeout=60)
        self.assertEqual((done.returncode, done.stderr), (125, "extensions: no host serves functions here\n"))


class Asynchronous(unittest.TestCase):
    def test_coroutines_and_generators(self):
        async def slow_upper(args, stdin):
            await asyncio.sleep(0.05)
            return {"stdout": stdin.upper(), "exitCode": len(args)}

        async def stream(call):
            async for piece in call.stdin:
                yield piece[::-1]
            yield {"stderr": "done\n", "exit_code": 4}

        cancelled = asyncio.Event()

        async def wait():
            try:
                await asyncio.sleep(1000)
            finally:
                cancelled.set()

        def plain(stdin):
            return stdin.read()[:3]

        extensions = [Extension("up", "", slow_upper), Extension("stream", "", stream, stdin="stream"),
                      Extension("wait", "", wait, stdin="none"), Extension("plain", "", plain, stdin="stream")]
        with self.assertRaisesRegex(RpcError, "shell's own"):  # `wait` is
            asyncio.run(AsyncSandbox.create(extensions=extensions))
        extensions[2].name = "linger"

        async def work():
            async with AsyncSandbox(extensions=extensions) as sandbox:
                results = await asyncio.gather(*[sandbox.commands.exec(["up", "a"], stdin=f"t{i}") for i in range(10)])
                self.assertEqual([(one.stdout, one.exit_code) for one in results], [(f"T{i}", 1) for i in range(10)])
                result = await sandbox.commands.run("printf abc | stream; echo $?")
                self.assertEqual((result.stdout, result.stderr), ("cba4\n", "done\n"))
                self.assertEqual((await sandbox.commands.run("plain <<< abcdef")).stdout, "abc")
                await sandbox.commands.run("timeout 0.3 linger")
                await asyncio.wait_for(cancelled.wait(), PATIENCE)
                fork = await sandbox.fork()
                self.assertEqual((await fork.commands.run("printf x | up 1 2; echo $?")).stdout, "X2\n")
                await fork.destroy()
        asyncio.run(work())

    def test_coroutines_for_programs_that_wait(self):
        async def serve(stdin):
            async for piece in stdin:
                await asyncio.sleep(0)
                yield piece
        with Sandbox(extensions=[Extension("serve", "", serve, stdin="stream")]) as sandbox:
            self.assertEqual(sandbox.commands.run("seq 1000 | serve | tail -n 1").stdout, "1000\n")

    @needs_node
    def test_typescript(self):
        run_with_package(self, "extensions.mjs")


if __name__ == "__main__":
    unittest.main(verbosity=2)

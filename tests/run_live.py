#!/usr/bin/env python3
"""Sandboxes that live, seen through the SDKs: their sessions and processes: run_live.py [NAME...]"""
import asyncio
import os
import pathlib
import signal
import sys
import threading
import time
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent
CORDON = str(ROOT / "build/cordon")
sys.path.insert(0, str(ROOT / "sdk/python"))
os.environ["CORDON"] = CORDON

from cordon_sandbox import AsyncSandbox, RpcError, Sandbox, SandboxError  # noqa: E402
from processes import DAEMONIZED  # noqa: E402
from typescript import needs_node, run_with_package  # noqa: E402


class Session(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.sandbox = Sandbox()

    @classmethod
    def tearDownClass(cls):
        cls.sandbox.destroy()

    def run_(self, command, **options):
        return self.sandbox.commands.run(command, **options)

    def test_state_survives(self):
        self.run_("cd /tmp; x='a b'; f() { echo \"f:$1\"; }; alias ll='echo LL'; trap 'echo usr' USR1; declare -A m=([k]=v)")
        result = self.run_("pwd; echo \"$x\"; f 2; ll; kill -USR1 $$; echo ${m[k]}")
        self.assertEqual(result.stdout, "/tmp\na b\nf:2\nLL\nusr\nv\n")
        self.assertEqual(result.stderr, "")
        self.run_("cd")

    def test_status(self):
        self.assertEqual(self.run_("(exit 42)").exit_code, 42)
        self.assertEqual(self.run_("echo $?").stdout, "42\n")
        self.assertEqual(self.run_("true | false | true; echo ${PIPESTATUS[*]}").stdout, "0 1 0\n")
        self.assertEqual(self.run_("nonexistent-command").exit_code, 127)
        self.assertEqual(self.run_("sh -c 'kill -9 $$'").exit_code, 137)
        self.assertEqual(self.run_("").exit_code, 0)
        self.assertEqual(self.run_("return 5; echo no").exit_code, 5)

    def test_exit_starts_a_new_shell(self):
        self.run_("gone=1")
        self.assertEqual(self.run_("echo out; exit 3").exit_code, 3)
        self.assertEqual(self.run_("echo \"[$gone]\"").stdout, "[]\n")
        for _ in range(20):
            self.assertEqual(self.run_("set -e; false; echo no").exit_code, 1)
            self.assertEqual(self.run_("echo alive").stdout, "alive\n")

    def test_syntax_errors(self):
        for broken in ("echo 'unterminated", "if then", "echo $(", "for", "{", "cat <<'"):
            result = self.run_(broken)
            self.assertNotEqual(result.exit_code, 0, broken)
            self.assertIn("line", result.stderr, broken)
            self.assertEqual(self.run_("echo fine").stdout, "fine\n", broken)

    def test_here_documents(self):
        self.assertEqual(self.run_("cat <<A\none $((1+1))\nA\ncat <<'B'\n$x\nB").stdout, "one 2\n$x\n")
        # bash warns and takes what there is.
        self.assertEqual(self.run_("cat <<A\nopen").stdout, "open\n")

    def test_streams_are_apart(self):
        result = self.run_("echo out; echo err >&2; cat", stdin="in\n")
        self.assertEqual((result.stdout, result.stderr), ("out\nin\n", "err\n"))
        self.assertEqual(self.run_("cat; read x; echo $?").stdout, "1\n")

    def test_binary(self):
        data = bytes(range(256)) * 40
        self.assertEqual(self.run_("cat", stdin=data).stdout_bytes, data)
        self.assertEqual(self.run_("head -c 3 /dev/zero").stdout_bytes, b"\0\0\0")
        self.assertEqual(self.run_("printf '\\xff\\xfe'").stdout_bytes, b"\xff\xfe")

    def test_much_output(self):
        result = self.run_("head -c 10000000 /dev/zero | tr '\\0' x")
        self.assertEqual(len(result.stdout), 10_000_000)
        self.assertFalse(result.truncated["stdout"])

    def test_much_input(self):
        data = os.urandom(3_000_000)
        self.assertEqual(self.run_("wc -c", stdin=data).stdout.strip(), "3000000")

    def test_background_jobs(self):
        start = time.monotonic()
        result = self.run_("sleep 60 & echo started; pid=$!")
        self.assertLess(time.monotonic() - start, 5)
        self.assertEqual((result.stdout, result.stderr), ("started\n", ""))
        self.assertIn("sleep 60", self.run_("jobs").stdout)
        self.assertEqual(self.run_("kill -0 $pid && kill $pid; wait $pid; echo $?").stdout, "143\n")

    def test_late_output_is_nobodys(self):
        self.run_("(sleep 0.1; echo late) &")
        self.assertEqual(self.run_("sleep 0.3; echo mine").stdout, "mine\n")
        for _ in range(40):  # more than there are streams
            self.assertEqual(self.run_("(sleep 60; echo late) & echo x").stdout, "x\n")
        self.assertEqual(self.run_("kill $(jobs -p); wait 2>/dev/null; echo done").stdout, "done\n")

    def check_time_out(self, command, lives_on=True):
        self.run_("kept=yes")
        result = self.run_(f"echo before; {command}; echo after", timeout_ms=200)
        self.assertEqual((result.exit_code, result.error_class, result.stdout), (124, "TIMEOUT", "before\n"), command)
        self.assertLess(result.execution_time_ms, 5000, command)
        for _ in range(3):
            self.assertEqual(self.run_("echo \"$kept\"").stdout, "yes\n" if lives_on else "\n", command)

    def test_time_out(self):
        self.check_time_out("sleep 100")
        self.check_time_out("while :; do :; done")
        self.check_time_out("while :; do sleep 0.01; done")
        self.check_time_out("f() { f2() { while :; do :; done; }; f2; }; f")
        self.check_time_out("yes | sort >/dev/null")
        self.check_time_out("sh -c 'trap \"\" INT TERM HUP; while :; do :; done'")
        self.check_time_out("(while :; do :; done)")
        self.check_time_out("x=$(while :; do :; done)")
        self.check_time_out("read line </dev/zero")
        self.check_time_out(f"{DAEMONIZED} sleep 100; sleep 100")
        self.check_time_out("python3 -c 'while True: pass'")

    def test_time_out_of_a_shell_that_will_not(self):
        self.check_time_out("trap '' INT; while :; do :; done", lives_on=False)

    def test_time_out_ends_descendants_and_spares_others(self):
        self.run_("sleep 61 & other=$!")
        self.run_(f"{DAEMONIZED} sleep 62; sleep 63 & sleep 0.3; ps -o args= -e >/tmp/seen; sleep 64", timeout_ms=2000)
        self.assertIn("sleep 62", self.run_("cat /tmp/seen").stdout)
        self.assertEqual(self.run_("ps -o args= -e | grep -c '^sleep 6[234]'").stdout, "0\n")
        self.assertEqual(self.run_("kill -0 $other && echo lives").stdout, "lives\n")
        self.run_("kill $other")

    def test_cancel(self):
        threading.Timer(0.2, self.sandbox.commands.cancel).start()
        result = self.run_("echo before; sleep 100")
        self.assertEqual((result.exit_code, result.error_class, result.stdout), (124, "CANCELLED", "before\n"))
        self.assertEqual(self.run_("echo fine").stdout, "fine\n")

    def test_prompt_may_change(self):
        self.assertEqual(self.run_("PS1='$ '; PROMPT_COMMAND='echo noise'; (exit 9)").exit_code, 9)
        self.assertEqual(self.run_("unset PROMPT_COMMAND; echo fine").stdout, "fine\n")
        # A command that takes its time is not taken for a shell without a prompt.
        self.assertEqual(self.run_("sleep 0.4; echo slow").stdout, "slow\n")
        self.assertEqual([self.run_(f"echo {i}").stdout for i in range(3)], ["0\n", "1\n", "2\n"])

    def test_limits_of_output(self):
        with Sandbox(limits={"stdoutBytes": 1000, "stderrBytes": 10}) as sandbox:
            result = sandbox.commands.run("kept=yes; for i in {1..5000}; do echo line $i; done; echo 0123456789abc >&2")
            self.assertEqual((len(result.stdout), result.stderr), (1000, "0123456789"))
            self.assertEqual((result.truncated, result.error_class, result.exit_code),
                             ({"stdout": True, "stderr": True}, "LIMIT_EXCEEDED", 0))
            self.assertEqual(sandbox.commands.run("echo $kept").stdout, "yes\n")

    def test_command_too_large(self):
        result = self.run_("#" * 70_000)
        self.assertEqual((result.exit_code, result.stderr, result.error_class),
                         (1, "command too large\n", "LIMIT_EXCEEDED"))
        self.assertEqual(len(self.run_("echo " + "x" * 60_000).stdout), 60_001)

    def test_history(self):
        with Sandbox() as sandbox:
            sandbox.commands.run("echo hello")
            sandbox.commands.run("echo two\necho lines")
            sandbox.set_env("NOT", "recorded")
            self.assertEqual([entry["command"] for entry in sandbox.history()], ["echo hello", "echo two\necho lines"])
            self.assertIn("    1  echo hello\n", sandbox.commands.run("history list").stdout)
            sandbox.commands.run("history clear")
            self.assertEqual(sandbox.history(), [])
            self.assertEqual(sandbox.commands.run("history nonsense").exit_code, 1)
            sandbox.clear_history()
            self.assertEqual(sandbox.commands.run("history").stdout.strip(), "1  history")

    def test_environment(self):
        self.sandbox.set_env("QUOTED", "it's \"$HOME\"\n")
        self.assertEqual(self.sandbox.get_env("QUOTED"), "it's \"$HOME\"\n")
        self.assertEqual(self.run_("printenv QUOTED").stdout, "it's \"$HOME\"\n\n")
        self.assertIsNone(self.sandbox.get_env("UNSET_ONE"))
        with self.assertRaisesRegex(RpcError, "Invalid environment variable name: 'a b'"):
            self.sandbox.set_env("a b", "")
        self.assertNotIn("PS1", self.run_("env").stdout)

    def test_streaming(self):
        seen = []
        result = self.run_("echo one; sleep 0.3; echo two >&2", on_stdout=lambda data: seen.append((time.monotonic(), data)))
        end = time.monotonic()
        self.assertEqual((seen[0][1], result.stdout, result.stderr), (b"one\n", "one\n", "two\n"))
        self.assertGreater(end - seen[0][0], 0.2)


class Processes(unittest.TestCase):
    def setUp(self):
        self.sandbox = Sandbox()
        self.addCleanup(self.sandbox.destroy)

    def test_exec(self):
        run = self.sandbox.commands.exec
        self.assertEqual(run(["pwd"], cwd="/tmp").stdout, "/tmp\n")
        self.assertEqual(run(["sh", "-c", "echo $A"], env={"A": "b c"}).stdout, "b c\n")
        self.assertEqual(run(["cat"], stdin="in").stdout, "in")
        self.assertEqual(run(["no-such-program"]).exit_code, 127)
        timed = run(["sh", "-c", "echo x; sleep 100"], timeout_ms=200)
        self.assertEqual((timed.exit_code, timed.error_class, timed.stdout), (124, "TIMEOUT", "x\n"))

    def test_many_at_once(self):
        results = [None] * 40
        def work(i):
            results[i] = self.sandbox.commands.exec(["sh", "-c", f"sleep 0.05; echo {i}"], timeout_ms=0).stdout
        threads = [threading.Thread(target=work, args=(i,)) for i in range(len(results))]
        [thread.start() for thread in threads]
        [thread.join() for thread in threads]
        self.assertEqual(results, [f"{i}\n" for i in range(len(results))])

    def test_the_session_has_a_place_of_its_own(self):
        """However many processes run beside it."""
        processes = [self.sandbox.commands.spawn(["sleep", "1000"]) for _ in range(20)]
        self.assertEqual(self.sandbox.commands.run("echo here", timeout_ms=20_000).stdout, "here\n")
        # Those that wait begin when others end.
        waits = self.sandbox.commands.spawn(["echo", "at last"])
        for process in processes:
            process.kill()
        self.assertEqual(list(waits), [("stdout", b"at last\n")])

    def test_spawn_talks_both_ways(self):
        process = self.sandbox.commands.spawn(["sh", "-c", "while read x; do echo got $x; done; exit 7"])
        process.write("a\n")
        output = iter(process)
        self.assertEqual(next(output), ("stdout", b"got a\n"))
        process.write("b\n")
        self.assertEqual(next(output), ("stdout", b"got b\n"))
        process.close_stdin()
        self.assertEqual(process.wait(), 7)

    def test_back_pressure(self):
        process = self.sandbox.commands.spawn(["sleep", "100"])
        done = threading.Event()
        threading.Thread(target=lambda: (self.ignore_errors(process.write, b"x" * 2_000_000), done.set()), daemon=True).start()
        self.assertFalse(done.wait(0.5), "more went on than a process that reads nothing has room for")
        process.kill()
        process.wait()
        self.assertTrue(done.wait(5))

    @staticmethod
    def ignore_errors(call, *arguments):
        try:
            call(*arguments)
        except RpcError:
            pass

    def test_signals_and_terminal(self):
        process = self.sandbox.commands.spawn(["bash", "--norc"], terminal=(30, 99))
        text = b""
        process.write("stty size; trap 'stty size' WINCH; echo ready$((1+1))\n")
        for _, data in process:
            text += data
            if b"ready2" in text and b"resized" not in text:
                text += b"resized"
                process.resize(40, 50)
                process.write("\n\nexit 4\n")
        self.assertIn(b"30 99", text)
        self.assertIn(b"40 50", text)
        self.assertEqual(process.exit_code, 4)
        sleeper = self.sandbox.commands.spawn(["sleep", "100"])
        sleeper.signal(signal.SIGTERM)
        self.assertEqual(sleeper.wait(), 128 + signal.SIGTERM)
        for name in ("SIGUSR1", "USR1"):
            sleeper = self.sandbox.commands.spawn(["sleep", "100"])
            for wrong in ("SIGNONE", "usr1", "", "SIGSIGUSR1", 0, 65):
                self.assertRaises(RpcError, sleeper.signal, wrong)
            sleeper.signal(name)
            self.assertEqual(sleeper.wait(), 128 + signal.SIGUSR1)

    def test_a_run_beside_a_process(self):
        process = self.sandbox.commands.spawn(["sh", "-c", "sleep 0.5; echo late > /tmp/f"])
        self.assertEqual(self.sandbox.commands.run("cat /tmp/f 2>&1; echo now").stdout[-4:], "now\n")
        process.wait()
        self.assertEqual(self.sandbox.commands.run("cat /tmp/f").stdout, "late\n")


class Sdks(unittest.TestCase):
    def test_python_snippet(self):
        with Sandbox() as sb:
            result = sb.commands.run("ls -la /home/user")
            self.assertIn("total", result.stdout)
            sb.files.write("/home/user/data.csv", b"name,score\nalice,95\nbob,87\n")
            result = sb.commands.run("cat /home/user/data.csv | sort -t, -k2 -rn")
            self.assertEqual(result.stdout, "alice,95\nbob,87\nname,score\n")
        with self.assertRaisesRegex(SandboxError, "Sandbox has been destroyed"):
            sb.commands.run("true")

    def test_python_async(self):
        async def work():
            async with AsyncSandbox() as sb:
                await sb.files.write("/tmp/f", b"x" * 5_000_000)
                self.assertEqual(len(await sb.files.read("/tmp/f")), 5_000_000)
                both = await asyncio.gather(sb.commands.run("sleep 0.2; echo one"), sb.commands.exec(["echo", "two"]))
                self.assertEqual([one.stdout for one in both], ["one\n", "two\n"])
                with self.assertRaises(asyncio.TimeoutError):
                    await asyncio.wait_for(sb.commands.run("sleep 100"), 0.3)
                self.assertEqual((await sb.commands.run("echo fine")).stdout, "fine\n")
        asyncio.run(work())

    @needs_node
    def test_typescript(self):
        run_with_package(self, "typescript.mjs")


if __name__ == "__main__":
    unittest.main(verbosity=2)

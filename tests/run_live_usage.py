#!/usr/bin/env python3
"""What commands of live sandboxes use, as their results say: run_live_usage.py [NAME...]"""
import asyncio
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent
CORDON = str(ROOT / "build/cordon")
sys.path.insert(0, str(ROOT / "sdk/python"))
os.environ["CORDON"] = CORDON

from cordon_sandbox import AsyncSandbox, Sandbox  # noqa: E402
from processes import answers, descendants, eventually  # noqa: E402
from typescript import needs_node, run_with_package  # noqa: E402

MIB = 1 << 20
# So long by its own clock, whatever else the machine does.
BUSY = "import time\nstart = time.process_time()\nwhile time.process_time() - start < 0.3: pass"
LARGE = "x = bytearray(50 << 20)"


class OfCommands(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.sandbox = Sandbox()
        cls.run_ = cls.sandbox.commands.run
        cls.exec = cls.sandbox.commands.exec

    @classmethod
    def tearDownClass(cls):
        cls.sandbox.destroy()

    def check_idle(self, usage):
        self.assertLess(usage.cpu_ms, 100)
        self.assertLess(usage.memory_peak_bytes, 10 * MIB)

    def test_processor_time(self):
        for result in (self.run_(f"python3 -c '{BUSY}'"), self.exec(["python3", "-c", BUSY])):
            self.assertEqual(result.exit_code, 0)
            self.assertGreaterEqual(result.usage.cpu_ms, 290)
            self.assertLess(result.usage.cpu_ms, 1500)

    def test_processor_time_of_the_shell_itself(self):
        used = self.run_("for ((i = 0; i < 60000; ++i)); do :; done").usage
        self.assertGreater(used.cpu_ms, 5)
        self.check_idle(self.run_("true").usage)

    def test_memory(self):
        for result in (self.run_(f"python3 -c '{LARGE}'"), self.exec(["python3", "-c", LARGE]), self.run_(f"sh -c 'python3 -c \"{LARGE}\" | cat'")):
            self.assertGreaterEqual(result.usage.memory_peak_bytes, 50 * MIB)
            self.assertLess(result.usage.memory_peak_bytes, 100 * MIB)

    def test_idle(self):
        self.run_(f"python3 -c '{LARGE}'")
        for result in (self.run_("sleep 0.2"), self.exec(["sleep", "0.2"]), self.run_(":")):
            self.check_idle(result.usage)
        self.assertEqual(self.run_(":").usage.processes, 0)
        self.assertEqual(self.exec(["true"]).usage.processes, 1)
        self.assertEqual(self.run_("true | cat | wc -c").usage.processes, 3)

    def test_bytes(self):
        used = self.run_("head -c 300000 /dev/zero >/tmp/zeros; cat /tmp/zeros >/tmp/more; echo four; echo six66 >&2").usage
        self.assertEqual((used.file_written_bytes, used.file_read_bytes), (600000, 300000))
        self.assertEqual((used.stdout_bytes, used.stderr_bytes), (5, 6))

    def test_what_was_dropped_is_counted(self):
        with Sandbox(limits={"stdoutBytes": 1000}) as sandbox:
            result = sandbox.commands.run("head -c 5000 /dev/zero")
            self.assertEqual((len(result.stdout_bytes), result.usage.stdout_bytes), (1000, 5000))

    def test_commands_side_by_side_share_nothing(self):
        busy = self.sandbox.commands.spawn(["python3", "-c", BUSY + "\nx = bytearray(50 << 20)\nprint('there', flush=True)\ninput()"])
        self.assertEqual(next(iter(busy))[1], b"there\n")
        self.check_idle(self.run_("sleep 0.1; true").usage)
        busy.write("\n")
        self.assertEqual(busy.wait(), 0)
        self.assertGreaterEqual(busy.usage.cpu_ms, 290)
        self.assertGreaterEqual(busy.usage.memory_peak_bytes, 50 * MIB)

    def test_background_jobs(self):
        """What goes on is counted until now, for the command that began it and for no other."""
        first = self.run_(f"python3 -c '{BUSY}\nopen(\"/tmp/done\", \"w\")\ninput()' < <(sleep 60) & until [ -e /tmp/done ]; do sleep 0.01; done")
        self.assertGreaterEqual(first.usage.cpu_ms, 290)
        later = self.run_("kill %1 $!; wait; rm /tmp/done")
        self.check_idle(later.usage)

    def test_ends_of_all_kinds(self):
        endless = "python3 -c 'while True: pass'"
        for result in (self.run_(endless, timeout_ms=500), self.exec(["python3", "-c", "while True: pass"], timeout_ms=500),
                       self.run_("while :; do :; done", timeout_ms=500)):
            self.assertEqual(result.error_class, "TIMEOUT")
            self.assertGreater(result.usage.cpu_ms, 20)
        self.assertGreaterEqual(self.run_(f"python3 -c '{BUSY}'; exit 3").usage.cpu_ms, 290)
        self.assertGreaterEqual(self.run_(f"exec python3 -c '{BUSY}'").usage.cpu_ms, 290)
        killed = self.exec(["python3", "-c", BUSY + "\nimport os; os.kill(os.getpid(), 9)"])
        self.assertEqual(killed.signal, 9)
        self.assertGreaterEqual(killed.usage.cpu_ms, 290)
        self.check_idle(self.run_("echo after").usage)

    def test_many_runs_with_something_left_in_the_background(self):
        """More than there are places for accounts that nobody holds."""
        for _ in range(60):
            self.check_idle(self.run_("sleep 300 & :").usage)
        used = self.run_(f"kill $(jobs -p); wait 2>/dev/null; python3 -c '{LARGE}'").usage
        self.assertLess(used.memory_peak_bytes, 100 * MIB)
        self.assertGreaterEqual(used.memory_peak_bytes, 50 * MIB)
        self.check_idle(self.run_(":").usage)

    def test_forks_and_restored_sandboxes_count_anew(self):
        with Sandbox() as origin:
            origin.commands.run(f"python3 -c '{BUSY}'")
            snapshot = origin.snapshot()
            with origin.fork() as fork:
                self.check_idle(fork.commands.run("echo x").usage)
                self.assertGreaterEqual(fork.commands.run(f"python3 -c '{BUSY}'").usage.cpu_ms, 290)
            origin.commands.run(f"python3 -c '{LARGE}'")
            origin.restore(snapshot)
            self.check_idle(origin.commands.run("echo x").usage)
            self.assertGreaterEqual(origin.commands.run(f"python3 -c '{LARGE}'").usage.memory_peak_bytes, 50 * MIB)

    def test_events_say_it_too(self):
        events = []
        with Sandbox(on_audit_event=events.append) as sandbox:
            sandbox.commands.run(f"python3 -c '{BUSY}'")
        ends = [event for event in events if event["type"] == "command.complete"]
        self.assertEqual(len(ends), 1)
        self.assertGreaterEqual(ends[0]["usage"]["cpuMs"], 290)

    def test_asyncio(self):
        async def work():
            async with AsyncSandbox() as sandbox:
                result = await sandbox.commands.run(f"python3 -c '{LARGE}'")
                self.assertGreaterEqual(result.usage.memory_peak_bytes, 50 * MIB)
                process = await sandbox.commands.spawn(["python3", "-c", BUSY])
                self.assertEqual(await process.wait(), 0)
                self.assertGreaterEqual(process.usage.cpu_ms, 290)
        asyncio.run(work())

    @needs_node
    def test_nobody_is_busy_with_a_command_that_is_over_and_whose_client_does_not_read(self):
        """Neither after its time is over, nor with one that has ended before."""
        for command, milliseconds in (("exec cat /dev/zero", 300), ("head -c 500000 /dev/zero; exec true", 600)):
            with subprocess.Popen([CORDON, "serve", "--stdio"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as daemon:
                def ask(method, **params):
                    daemon.stdin.write((json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}) + "\n").encode())
                    daemon.stdin.flush()
                ask("create")
                daemon.stdout.readline()
                processes = descendants(daemon.pid)
                # More than a pipe and what the daemon keeps for a client that does not listen.
                for _ in range(12):
                    ask("spawn", argv=["sh", "-c", command], timeoutMs=milliseconds)
                time.sleep(1.5)
                before = self.ticks(processes)
                time.sleep(1)
                self.assertLess(self.ticks(processes) - before, os.sysconf("SC_CLK_TCK") / 3)
                daemon.kill()

    @staticmethod
    def ticks(pids):
        """Of those that are there."""
        total = 0
        for pid in pids:
            try:
                fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            total += int(fields[11]) + int(fields[12])
        return total

    def test_typescript(self):
        run_with_package(self, "usage.mjs")

    def test_command_line(self):
        with tempfile.TemporaryDirectory() as folder:
            environment = {**os.environ, "CORDON_SOCKET": f"{folder}/s"}
            daemon = subprocess.Popen([CORDON, "serve", "--unix", f"{folder}/s"], env={**environment, "HOME": folder})
            try:
                self.assertTrue(eventually(lambda: answers(f"{folder}/s")))
                def cordon(*words):
                    return subprocess.run([CORDON, *words], env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                                          timeout=60, check=False)
                sandbox = cordon("create").stdout.strip()
                done = cordon("exec", "--sandbox", sandbox, "--json", "--report", f"{folder}/report", "--", "python3", "-c",
                              BUSY + "\nprint('out')\nraise SystemExit(4)")
                self.assertEqual((done.returncode, done.stderr), (4, "out\n"))
                told = json.loads(done.stdout)
                self.assertEqual((told["end"], told["exit_code"], told["wall"], told["output_bytes"]), ("exited", 4, "wasm", 4))
                self.assertGreaterEqual(told["cpu_us"], 290_000)
                self.assertEqual(json.loads(pathlib.Path(f"{folder}/report").read_text()), told)
                refused = cordon("exec", "--sandbox", "nobody", "--json", "--", "true")
                self.assertEqual(refused.returncode, 125)
                self.assertIn("nobody", json.loads(refused.stdout)["reason"])
            finally:
                daemon.terminate()
                daemon.wait()


if __name__ == "__main__":
    unittest.main(verbosity=2)

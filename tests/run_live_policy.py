#!/usr/bin/env python3
"""What a live sandbox is not allowed, and what its client hears of it: run_live_policy.py [NAME...]"""
import json
import os
import pathlib
import subprocess
import sys
import threading
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent
CORDON = str(pathlib.Path(os.environ.get("CORDON_BUILD", ROOT / "build")) / "cordon")
sys.path.insert(0, str(ROOT / "sdk/python"))
os.environ["CORDON"] = CORDON

from cordon_sandbox import RpcError, Sandbox  # noqa: E402

DENIED = "tool not allowed by security policy"
# What every attempt wants to have run, and how one sees that it did.
PYTHON = "python3 -c 'open(\"/tmp/ran\", \"w\")'"
ARGUMENTS = "-c 'open(\"/tmp/ran\", \"w\")'"

# Ways to start Python that do not say its name, with the tools that each needs beside it.
ATTEMPTS = {
    "by its name": ([], PYTHON),
    "by its path": ([], f"/usr/bin/{PYTHON}"),
    "a path with detours": ([], f"/usr/../usr/bin/./{PYTHON}"),
    "a copy": (["cp"], f"cp /usr/bin/python3 /tmp/other; /tmp/other {ARGUMENTS}"),
    "a copy with the name of an allowed tool": (["cp", "cat"], f"cp /usr/bin/python3 /tmp/cat; /tmp/cat {ARGUMENTS}"),
    "its bytes, written by another program": (["cat", "chmod"], f"cat /usr/bin/python3 >/tmp/bytes; chmod +x /tmp/bytes; /tmp/bytes {ARGUMENTS}"),
    "a symbolic link": (["ln"], f"ln -s /usr/bin/python3 /tmp/link; /tmp/link {ARGUMENTS}"),
    "a hard link of a copy": (["cp", "ln"], f"cp /usr/bin/python3 /tmp/o; ln /tmp/o /tmp/hard; /tmp/hard {ARGUMENTS}"),
    "another first argument": (["cat"], f"(exec -a cat /usr/bin/python3 {ARGUMENTS})"),
    "env": (["env"], f"env {PYTHON}"),
    "timeout": (["timeout"], f"timeout 60 {PYTHON}"),
    "xargs": (["xargs"], f"echo | xargs {PYTHON}"),
    "find": (["find"], f"find /etc/hostname -exec {PYTHON} \\;"),
    "awk": (["awk"], "awk 'BEGIN { system(\"python3 -c \\047open(\\042/tmp/ran\\042, \\042w\\042)\\047\") }'"),
    "another shell": (["sh", "dash"], f"sh -c \"$(printf %s {json.dumps(PYTHON)})\""),
    "an interpreter line": (["chmod"], "printf '#!/usr/bin/python3\\nopen(\"/tmp/ran\", \"w\")\\n' >/tmp/script; chmod +x /tmp/script; /tmp/script"),
    "an interpreter line with env": (["chmod", "env"], "printf '#!/usr/bin/env python3\\nopen(\"/tmp/ran\", \"w\")\\n' >/tmp/script; chmod +x /tmp/script; /tmp/script"),
    "an interpreter that is a link": (["chmod", "ln"], "ln -s /usr/bin/python3 /tmp/i; printf '#!/tmp/i\\nopen(\"/tmp/ran\", \"w\")\\n' >/tmp/script; chmod +x /tmp/script; /tmp/script"),
    "an open file": ([], f"exec 9</usr/bin/python3; /proc/self/fd/9 {ARGUMENTS}; exec 9<&-"),
    "the place of the shell": ([], f"(exec {PYTHON})"),
    "a background job": ([], f"{PYTHON} & wait"),
    "a substitution": ([], f": \"$({PYTHON})\""),
    "the search path": (["ln"], f"ln -s /usr/bin/python3 /tmp/cat; PATH=/tmp:$PATH; cat {ARGUMENTS}"),
}

# Ways to have the one program that is many do what another of its names does.
MANY = {
    "its name": "rm /tmp/victim",
    "the first argument of another": "(exec -a rm /usr/bin/cat /tmp/victim)",
    "the whole program": "coreutils --coreutils-prog=rm /tmp/victim",
    "a name that is none": "(exec -a nothing /usr/bin/cat --coreutils-prog=rm /tmp/victim)",
    "a slash behind an allowed name": "(exec -a cat/ /usr/bin/cat --coreutils-prog=rm /tmp/victim)",
    "an empty name": "(exec -a '' /usr/bin/cat --coreutils-prog=rm /tmp/victim)",
    "a copy": "/tmp/copies/rm /tmp/victim",
    "an interpreter line": "/tmp/script /tmp/victim",
}


class Case(unittest.TestCase):
    def open(self, tools=None, **options):
        security = {} if tools is None else {"tool_allowlist": tools}
        sandbox = Sandbox(security=security, **options)
        self.addCleanup(sandbox.destroy)
        return sandbox


class Tools(Case):
    def test_what_is_allowed_runs(self):
        sandbox = self.open(["cat", "grep", "wc"])
        done = sandbox.commands.run("cat /etc/passwd | grep -c root | wc -l; cd /tmp; x=$((1 + 1)); [ $x = 2 ] && printf '%s\\n' $x")
        self.assertEqual((done.stdout, done.stderr, done.exit_code, done.error_class), ("1\n2\n", "", 0, None))

    def test_what_is_not_allowed_says_so(self):
        sandbox = self.open(["cat"])
        done = sandbox.commands.run("kept=1; python3 --version")
        self.assertEqual((done.exit_code, done.stdout, done.stderr, done.error_class),
                         (126, "", f"python3: {DENIED}\n", "CAPABILITY_DENIED"))
        self.assertEqual(sandbox.commands.run("echo $kept").stdout, "1\n")
        done = sandbox.commands.exec(["python3", "--version"])
        self.assertEqual((done.exit_code, done.stderr, done.error_class), (126, f"python3: {DENIED}\n", "CAPABILITY_DENIED"))
        process = sandbox.commands.spawn(["ls", "/"])
        self.assertEqual(list(process), [("stderr", f"ls: {DENIED}\n".encode())])
        self.assertEqual((process.exit_code, process.error_class), (126, "CAPABILITY_DENIED"))
        # Not there is something else.
        done = sandbox.commands.run("no-such-program")
        self.assertEqual((done.exit_code, done.error_class), (127, None))

    def test_words_are_no_denial(self):
        sandbox = self.open(["cat"])
        done = sandbox.commands.run(f"echo 'python3: {DENIED}' >&2; exit 126")
        self.assertEqual((done.exit_code, done.stderr, done.error_class), (126, f"python3: {DENIED}\n", None))

    def test_no_way_around(self):
        free = self.open()
        for name, (tools, script) in ATTEMPTS.items():
            with self.subTest(name):
                free.commands.run("rm -rf /tmp/*")
                free.commands.run(script)
                self.assertTrue(free.files.exists("/tmp/ran"), "it does not work without a policy either")
                sandbox = self.open(tools)
                done = sandbox.commands.run(script)
                self.assertFalse(sandbox.files.exists("/tmp/ran"))
                self.assertIn(DENIED, done.stderr)
                self.assertEqual(done.error_class, "CAPABILITY_DENIED")
                sandbox.destroy()

    def test_no_way_around_in_a_program_that_is_many(self):
        for tools in (None, ["cat"]):
            sandbox = self.open(tools)
            for name, script in MANY.items():
                with self.subTest(name, tools=tools):
                    sandbox.files.write("/tmp/victim", "x")
                    sandbox.files.mkdir("/tmp/copies")
                    sandbox.files.copy("/usr/bin/coreutils", "/tmp/copies/rm")
                    sandbox.files.write("/tmp/script", "#!/usr/bin/coreutils --coreutils-prog-shebang=rm\n", mode=0o755)
                    done = sandbox.commands.run(script)
                    self.assertEqual(sandbox.files.exists("/tmp/victim"), tools is not None)
                    self.assertEqual(done.error_class, None if tools is None else "CAPABILITY_DENIED")

    def test_a_program_that_is_many_as_a_whole(self):
        sandbox = self.open(["coreutils"])
        self.assertEqual(sandbox.commands.run("echo x >/tmp/f; cat /tmp/f; rm /tmp/f; ls /tmp").stdout, "x\n")

    def test_the_policy_stays(self):
        sandbox = self.open(["cat"])
        snapshot = sandbox.snapshot()
        state = self.open().export_state()

        def check(other):
            self.assertEqual(other.commands.run("ls").stderr, f"ls: {DENIED}\n")
            self.assertEqual(other.commands.run("cat /etc/hostname").exit_code, 0)

        check(sandbox)
        fork = sandbox.fork()
        self.addCleanup(fork.destroy)
        check(fork)
        sandbox.restore(snapshot)
        check(sandbox)
        sandbox.import_state(state)
        check(sandbox)
        self.assertEqual(sandbox.commands.run("exit 3").exit_code, 3)
        check(sandbox)

    def test_programs_that_the_client_changes(self):
        # The place of an allowed tool is no tool.
        sandbox = self.open(["cat"])
        program = sandbox.files.read("/usr/bin/python3")
        sandbox.files.write("/usr/local/bin/cat", program, mode=0o755)
        self.assertEqual(sandbox.commands.run(f"cat {ARGUMENTS}").stderr, f"cat: {DENIED}\n")
        sandbox.files.rm("/usr/local/bin/cat")
        sandbox.files.copy("/usr/bin/coreutils", "/tmp/cat")
        self.assertEqual(sandbox.commands.run("/tmp/cat /etc/hostname").exit_code, 0)

    def test_lists(self):
        sandbox = self.open([])
        self.assertEqual(sandbox.commands.run("echo words; ls").stderr, f"ls: {DENIED}\n")
        self.assertEqual(self.open(["no-such-tool", "cat"]).commands.run("cat /etc/hostname").exit_code, 0)
        for wrong in (["a/b"], [""], [".."], [7], ["x" * 64], "cat", ["a\nb"]):
            with self.assertRaisesRegex(RpcError, "security.toolAllowlist"):
                Sandbox(security={"toolAllowlist": wrong})

    def test_hundreds_of_denials_in_one_command(self):
        events = []
        sandbox = self.open(["cat"], on_audit_event=events.append)
        done = sandbox.commands.run("for i in {1..300}; do ls; done 2>/dev/null")
        self.assertEqual(done.error_class, "CAPABILITY_DENIED")
        denied = [event for event in events if event["type"] == "capability.denied"]
        self.assertEqual(len(denied) + sum(event.get("missed", 0) for event in denied), 300)


class Limits(Case):
    def class_of(self, sandbox, command):
        return sandbox.commands.run(command).error_class

    def test_the_places_of_limits(self):
        for options in ({"limits": {"stdout_bytes": 3}}, {"security": {"limits": {"stdoutBytes": 3}}},
                        {"security": {"limits": {"stdout_bytes": 3}}}):
            sandbox = Sandbox(**options)
            self.addCleanup(sandbox.destroy)
            done = sandbox.commands.run("echo 123456")
            self.assertEqual((done.stdout, done.error_class), ("123", "LIMIT_EXCEEDED"), options)
        sandbox = Sandbox(security={"limits": {"timeoutMs": 300, "commandBytes": 100}, "hardKill": False})
        self.addCleanup(sandbox.destroy)
        done = sandbox.commands.run("while :; do :; done")
        self.assertEqual((done.exit_code, done.error_class), (124, "TIMEOUT"))
        self.assertEqual(self.class_of(sandbox, "#" * 101), "LIMIT_EXCEEDED")

    def test_what_is_not_known_is_refused(self):
        for options, words in (({"limits": {"openFiles": 3}}, "Unknown limit: openFiles"),
                               ({"security": {"limits": {"cpu_time": 1}}}, "Unknown limit: cpuTime"),
                               ({"security": {"sandboxed": True}}, "Unknown member of security: sandboxed"),
                               ({"limits": {"memoryBytes": -1}}, "Limit must be a number"),
                               ({"nice": 20}, "0 to 19")):
            with self.assertRaisesRegex(RpcError, words):
                Sandbox(**options)
        with self.assertRaises(TypeError):
            Sandbox(toolAllowlist=["cat"])

    def test_files_and_memory(self):
        events = []
        sandbox = Sandbox(fs_limit_bytes=4 << 20, limits={"fileCount": 60}, on_audit_event=events.append)
        self.addCleanup(sandbox.destroy)
        self.assertEqual(self.class_of(sandbox, "for i in {1..200}; do : >/tmp/$i || exit 1; done"), "LIMIT_EXCEEDED")
        self.assertEqual(self.class_of(sandbox, "rm -f /tmp/*; head -c 9000000 /dev/zero >/tmp/x"), "LIMIT_EXCEEDED")
        # One that it did not mind.
        self.assertIsNone(self.class_of(sandbox, "head -c 9000000 /dev/zero >/tmp/x; true"))
        self.assertIsNone(self.class_of(sandbox, "rm -f /tmp/*; echo fine"))
        self.assertEqual([event["limit"] for event in events if event["type"] == "limit.exceeded"], ["fileCount", "fsBytes", "fsBytes"])

    def test_requests(self):
        sandbox = Sandbox(security={"limits": {"rpcBytes": 10_000}})
        self.addCleanup(sandbox.destroy)
        self.assertEqual(sandbox.commands.run("cat | wc -c", stdin="x" * 5000).stdout, "5000\n")
        answer = self.ask_raw({"limits": {"rpcBytes": 10_000}}, "x" * 20_000)
        self.assertEqual(answer["error"]["message"], "Request too large")

    def ask_raw(self, options, line):
        process = subprocess.Popen([CORDON, "serve", "--stdio"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        with process:
            process.stdin.write(json.dumps({"jsonrpc": "2.0", "id": 1, "method": "create", "params": options}).encode() + b"\n")
            process.stdin.flush()
            self.assertIn("result", json.loads(process.stdout.readline()))
            process.stdin.write(line.encode() + b"\n")
            process.stdin.flush()
            answer = json.loads(process.stdout.readline())
            process.stdin.close()
        return answer

    def test_nice(self):
        sandbox = Sandbox(nice=7)
        self.addCleanup(sandbox.destroy)
        sleeper = sandbox.commands.spawn(["sleep", "1000"])
        self.addCleanup(sleeper.kill)
        from processes import descendants
        values = {os.getpriority(os.PRIO_PROCESS, pid) for pid in descendants(sandbox._daemon._process.pid)}
        self.assertEqual(values, {max(7, os.getpriority(os.PRIO_PROCESS, 0))})


class Events(Case):
    def setUp(self):
        self.events = []

    def types(self):
        return [event["type"] for event in self.events]

    def test_the_life_of_a_sandbox(self):
        sandbox = Sandbox(on_audit_event=self.events.append)
        sandbox.commands.run("exit 4")
        sandbox.set_env("A", "1")  # no command of the client's
        sandbox.commands.exec(["echo", "a b"])
        sandbox.destroy()
        self.assertEqual(self.types(), ["sandbox.create", "command.start", "command.complete", "command.start", "command.complete",
                                        "sandbox.destroy"])
        self.assertEqual({event["sessionId"] for event in self.events}, {sandbox.session_id})
        times = [event["timestamp"] for event in self.events]
        self.assertEqual(times, sorted(times))
        self.assertEqual((self.events[2]["command"], self.events[2]["exitCode"]), ("exit 4", 4))
        self.assertEqual(self.events[3]["command"], "echo a b")
        self.assertNotIn("reason", self.events[-1])

    def test_ends_of_commands(self):
        sandbox = self.open(["sleep"], on_audit_event=self.events.append)
        sandbox.commands.run("sleep 100", timeout_ms=200)
        started = threading.Event()
        canceller = threading.Thread(target=lambda: (started.wait(), sandbox.commands.cancel()))
        canceller.start()
        sandbox.commands.run("echo here; sleep 100", on_stdout=lambda _: started.set())
        canceller.join()
        sandbox.commands.run("rm /tmp/x")
        self.assertEqual(self.types()[1:], ["command.start", "command.timeout", "command.start", "command.cancelled",
                                            "command.start", "capability.denied", "command.complete"])
        denied, complete = self.events[-2:]
        self.assertEqual((denied["capability"], denied["tool"], denied["requestId"]), ("tool", "rm", complete["requestId"]))
        self.assertEqual((complete["exitCode"], complete["errorClass"]), (126, "CAPABILITY_DENIED"))

    def test_limits(self):
        sandbox = self.open(limits={"stdoutBytes": 3, "commandBytes": 50}, on_audit_event=self.events.append)
        sandbox.commands.run("echo 12345")
        sandbox.commands.run("#" * 51)
        self.assertEqual([(event["type"], event.get("limit")) for event in self.events[1:]],
                         [("command.start", None), ("limit.exceeded", "stdoutBytes"), ("command.complete", None),
                          ("limit.exceeded", "commandBytes")])

    def test_words_make_no_event(self):
        sandbox = self.open(["cat"], on_audit_event=self.events.append)
        sandbox.commands.run(f"echo 'ls: {DENIED}' >&2; echo 'command timeout' >&2; exit 126")
        self.assertEqual(self.types(), ["sandbox.create", "command.start", "command.complete"])
        self.assertNotIn("errorClass", self.events[-1])

    def test_names_that_a_command_chose(self):
        sandbox = self.open(["ln"], on_audit_event=self.events.append)
        sandbox.commands.run("ln -s /usr/bin/ls $'/tmp/a\\e[31m\\nb'; $'/tmp/a\\e[31m\\nb'")
        self.assertEqual([event["tool"] for event in self.events if event["type"] == "capability.denied"], ["a?[31m?b"])

    def test_background_denials(self):
        sandbox = self.open(["sleep"], on_audit_event=self.events.append)
        sandbox.commands.run("(while [ ! -e /tmp/go ]; do sleep 0.01; done; ls; : >/tmp/done) &")
        done = sandbox.commands.run(": >/tmp/go; while [ ! -e /tmp/done ]; do sleep 0.01; done")
        self.assertIsNone(done.error_class, "another command was refused something")
        denied = [event for event in self.events if event["type"] == "capability.denied"]
        self.assertEqual([event["tool"] for event in denied], ["ls"])
        self.assertNotIn("requestId", denied[0])

    def test_forks_and_ends(self):
        sandbox = self.open(on_audit_event=self.events.append)
        fork = sandbox.fork()
        fork.commands.run("true")
        fork.destroy()
        made = [event for event in self.events if event.get("forkOf")]
        self.assertEqual([(event["sessionId"], event["forkOf"]) for event in made], [(fork.session_id, sandbox.session_id)])
        self.assertEqual([event["type"] for event in self.events if event["sessionId"] == fork.session_id],
                         ["sandbox.create", "command.start", "command.complete", "sandbox.destroy"])

    def test_callbacks_that_fail_or_ask(self):
        asked = []

        def callback(event):
            if event["type"] == "command.start":
                try:
                    sandbox.commands.run("true")
                except Exception as error:
                    asked.append(str(error))

        sandbox = self.open(on_audit_event=callback)
        self.assertEqual(sandbox.commands.run("echo fine").stdout, "fine\n")
        self.assertEqual(asked, ["a callback for events cannot ask the sandbox"])

    def test_nobody_hears_who_did_not_ask(self):
        process = subprocess.Popen([CORDON, "serve", "--stdio"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        lines = "".join(json.dumps({"jsonrpc": "2.0", "id": i, "method": method, "params": params}) + "\n" for i, (method, params) in
                        enumerate([("create", {"security": {"toolAllowlist": []}}), ("run", {"command": "ls"})]))
        with process:
            process.stdin.write(lines.encode())
            process.stdin.flush()
            answers = [json.loads(process.stdout.readline()) for _ in range(2)]
            process.stdin.close()
        self.assertEqual(answers[1]["result"]["errorClass"], "CAPABILITY_DENIED")


if __name__ == "__main__":
    unittest.main()

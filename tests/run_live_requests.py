#!/usr/bin/env python3
"""What a daemon makes of requests that are wrong: each is refused with its reason, nothing is done, and everybody else is untouched.
run_live_requests.py [NAME...]"""
import asyncio
import base64
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent
CORDON = str(ROOT / "build/cordon")
sys.path.insert(0, str(ROOT / "sdk/python"))
os.environ["CORDON"] = CORDON

from cordon_sandbox import AsyncSandbox, RpcError, Sandbox, SandboxError  # noqa: E402

INVALID = -32602


class Daemon:
    """One at standard input and output, asked by hand."""

    def __init__(self):
        self.process = subprocess.Popen([CORDON, "serve", "--stdio"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.last = 0

    def ask(self, method, **params):
        self.last += 1
        self.process.stdin.write(json.dumps({"jsonrpc": "2.0", "id": self.last, "method": method, "params": params}).encode() + b"\n")
        self.process.stdin.flush()
        for line in self.process.stdout:
            answer = json.loads(line)
            if answer.get("id") == self.last:
                return answer
        raise AssertionError(f"the daemon ended at {method} {params}")

    def result(self, method, **params):
        return self.ask(method, **params)["result"]

    def error(self, method, **params):
        answer = self.ask(method, **params)
        return answer["error"] if "error" in answer else answer

    def close(self):
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait()


def parameters():
    """(method, its parameters) of the table that the daemon is made of; nested ones are left out."""
    table = (ROOT / "src/rpc/methods.def").read_text()
    for method, text in re.findall(r'^METHOD\("([^"]+)",\s*\w+,\s*"([^"]*)"', table, re.M):
        while "{" in text:
            text = re.sub(r"\{[^{}]*\}", "", text)
        yield method, re.findall(r"\w+", text)


class Requests(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.daemon = Daemon()
        cls.addClassCleanup(cls.daemon.close)
        cls.daemon.result("create")

    def refused(self, message, method, **params):
        error = self.daemon.error(method, **params)
        self.assertEqual((error.get("code"), error.get("message")), (INVALID, message), (method, params))

    def run_(self, command):
        return self.daemon.result("run", command=command)["stdout"]

    def test_what_is_not_known(self):
        self.refused("Unknown param: comand", "run", comand="true")
        self.refused("Unknown param: packagepolicy", "create", packagepolicy={"enabled": False})
        self.refused("Unknown param: toolAllowlist", "create", toolAllowlist=["cat"])  # a member of security
        self.refused("Unknown param: rows", "spawn", argv=["true"], rows=5)
        self.refused("Unknown param: as", "sandbox.create", **{"as": 1})
        self.assertEqual(self.daemon.error("sandbox.create", label=5)["code"], INVALID)  # known, as of create
        self.assertEqual(len(self.daemon.result("sandbox.list")["sandboxes"]), 1)

    def test_what_is_missing(self):
        self.daemon.result("files.write", path="/tmp/kept", data="kept")
        self.refused("Missing required param: data", "files.write", path="/tmp/kept")
        self.refused("Missing required param: data", "files.write", path="/tmp/kept", append=True)
        self.refused("Missing required param: data", "blob.write")
        self.assertEqual(self.run_("cat /tmp/kept"), "kept")
        self.assertEqual(self.daemon.error("files.read", path="/tmp/nothing", length=0)["data"], {"errno": "ENOENT"})

    def test_what_is_no_bool(self):
        self.daemon.result("files.write", path="/tmp/log", data="one ")
        for wrong in ("yes", 1, "true", [], {}):
            self.refused("Param must be true or false: append", "files.write", path="/tmp/log", data="two ", append=wrong)
            self.refused("Param must be true or false: detached", "create", detached=wrong)
            self.refused("Param must be true or false: audit", "create", audit=wrong)
            self.refused("Param must be true or false: detached", "sandbox.fork", detached=wrong)
            self.refused("Param must be true or false: recursive", "files.watch", path="/tmp", recursive=wrong)
            self.refused("Param must be true or false: stream", "run", command="true", stream=wrong)
            self.refused("Param must be true or false: writable", "mount", path="/tmp/m", files={}, writable=wrong)
        self.daemon.result("files.write", path="/tmp/log", data="two", append=True)
        self.assertEqual(self.run_("cat /tmp/log"), "one two")
        self.assertEqual(len(self.daemon.result("sandbox.list")["sandboxes"]), 1)

    def test_what_is_no_base64(self):
        self.refused("Param must be a string: stdinBase64", "run", command="cat", stdin="x", stdinBase64=5)
        self.refused("Param is no base64: dataBase64", "files.write", path="/tmp/b", dataBase64="?")
        self.daemon.result("files.write", path="/tmp/b", dataBase64=base64.b64encode(b"\0\xff").decode())
        self.assertEqual(self.run_("od -An -tx1 /tmp/b").split(), ["00", "ff"])

    def test_what_is_no_terminal(self):
        """The first of these once ended the daemon, and with it everybody's sandboxes."""
        number = "Param must be a number from 1 to 65535: "
        for wrong, reason in (({"rows": "x"}, number + "rows"), ({"columns": []}, number + "columns"), ({"rows": 0}, number + "rows"),
                              ({"rows": -1}, number + "rows"), ({"columns": 65536}, number + "columns"),
                              ({"rows": 2**64 - 1}, number + "rows"), ({"rows": 1e300}, number + "rows"),
                              ({"lines": 5}, "Unknown member of terminal: lines"),
                              ("yes", "Param must be an object: terminal"), (True, "Param must be an object: terminal")):
            self.refused(reason, "spawn", argv=["true"], terminal=wrong)
        self.assertEqual(self.run_("echo alive"), "alive\n")

    def test_every_parameter_may_be_anything(self):
        """Every parameter of every method, with what it cannot be: always an answer, and never that the daemon failed."""
        good = {"command": "true", "argv": ["true"], "path": "/tmp/any", "data": "x", "name": "n", "from": "/tmp/a", "to": "/tmp/b",
                "target": "t", "value": "v", "mode": 0o644, "processId": 77, "callId": "c", "rows": 1, "columns": 1, "signal": 15}
        wrong = [None, True, -1, 1.5, 1e300, 2**63, 2**64 - 1, "", "a\nb", "a\0b", "x" * 5000, [], [1], {}, {"a": 1}]
        known = {one["sandboxId"] for one in self.daemon.result("sandbox.list")["sandboxes"]}
        asked = 0
        for method, names in parameters():
            if method in ("kill", "sandbox.destroy", "sandbox.remove", "offload", "pool.fill"):
                continue  # those end what the others need
            for name in names:
                for value in wrong:
                    params = {other: good[other] for other in names if other in good and other != name}
                    answer = self.daemon.ask(method, **{**params, name: value})
                    self.assertNotEqual(answer.get("error", {}).get("code"), -32603, (method, name, value, answer))
                    if "error" in answer:
                        self.assertNotEqual(answer["error"]["message"], "", (method, name, value))
                    asked += 1
                    for sandbox in [answer.get("result", {}), *answer.get("result", {}).get("forks", [])]:
                        if sandbox.get("sandboxId") not in (None, *known):
                            self.daemon.result("sandbox.destroy", sandboxId=sandbox["sandboxId"])
        self.assertGreater(asked, 1000)
        self.assertEqual(self.run_("echo alive"), "alive\n")


class First(unittest.TestCase):
    def test_one_that_could_not_be_made_is_not_the_first(self):
        """What names no sandbox is for the first one that there is."""
        daemon = Daemon()
        self.addCleanup(daemon.close)
        self.assertIn("/etc/passwd", daemon.error("create", directory="/etc/passwd")["message"])
        self.assertEqual(daemon.error("run", command="true")["message"], "No sandbox: call create first")
        daemon.result("create")
        self.assertEqual(daemon.result("run", command="echo hi")["stdout"], "hi\n")

    def test_standard_descriptors_that_are_closed(self):
        """Nothing else is taken for them: such a daemon once waited for ever."""
        for closed in ("<&-", ">&-", "<&- >&- 2>&-"):
            done = subprocess.run(["bash", "-c", f"{CORDON} serve --stdio {closed}"], stdin=subprocess.DEVNULL, capture_output=True,
                                  text=True, timeout=60, check=False)
            self.assertEqual((done.returncode, done.stdout), (125, ""), closed)
            self.assertTrue("2>" in closed or "standard input and output must be" in done.stderr, done.stderr)


class Sandboxes(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.sandbox = Sandbox()
        cls.addClassCleanup(cls.sandbox.destroy)

    def test_snapshots(self):
        for ask in (self.sandbox.delete_snapshot, self.sandbox.restore):
            with self.assertRaisesRegex(RpcError, "no snapshot of that name") as caught:
                ask("nope")
            self.assertEqual(caught.exception.errno, "ENOENT")
        for name in ("a\nb", "a\x1b[31m", "\x7f"):
            with self.assertRaisesRegex(RpcError, "without control characters"):
                self.sandbox.snapshot(name)
        self.assertEqual(self.sandbox.snapshots(), [])

    def test_directories_that_are_not_there(self):
        """Once such a command ran in /."""
        self.sandbox.files.write("/tmp/file", b"")
        self.sandbox.commands.run("mkdir -m 0 /tmp/closed")
        for directory, reason in (("/no/such", "no such directory"), ("/tmp/file", "not a directory"), ("/tmp/closed", "cannot be entered")):
            result = self.sandbox.commands.exec(["pwd"], cwd=directory)
            self.assertEqual((result.exit_code, result.stdout, result.stderr), (125, "", f"cordon: {directory}: {reason}\n"))
            process = self.sandbox.commands.spawn(["touch", "/tmp/made"], cwd=directory)
            self.assertEqual(process.wait(), 125)
        self.assertFalse(self.sandbox.files.exists("/tmp/made"))
        self.assertEqual(self.sandbox.commands.exec(["pwd"], cwd="/tmp/../etc").stdout, "/etc\n")

    def test_directory_of_a_sandbox(self):
        with Sandbox(cwd="/work/new") as sandbox:
            self.assertEqual(sandbox.commands.run("pwd; touch made; ls").stdout, "/work/new\nmade\n")
            self.assertEqual(sandbox.commands.exec(["pwd"]).stdout, "/work/new\n")
        with Sandbox(cwd="here") as sandbox:
            self.assertEqual(sandbox.commands.run("pwd").stdout, "/home/user/here\n")
            # A session goes on without it.
            self.assertEqual(sandbox.commands.run("cd /; rmdir /home/user/here; exit").exit_code, 0)
            self.assertEqual(sandbox.commands.run("pwd").stdout, "/\n")
        with self.assertRaisesRegex(SandboxError, "/etc/passwd"):
            Sandbox(cwd="/etc/passwd")

    def test_directories_where_something_else_is(self):
        self.sandbox.files.write("/tmp/f/file", b"mine")
        self.sandbox.commands.run("cd /tmp/f; ln -s . here; ln -s file link; ln -s nowhere dangling")
        for path, error in (("file", "EEXIST"), ("link", "EEXIST"), ("dangling", "EEXIST"), ("file/below", "ENOTDIR")):
            with self.assertRaisesRegex(RpcError, error):
                self.sandbox.files.mkdir(f"/tmp/f/{path}")
            with self.assertRaisesRegex(RpcError, "ENOTDIR"):
                self.sandbox.files.write(f"/tmp/f/{path}/file", b"")
        for path in ("", "here", "here/sub", "here/sub"):
            self.sandbox.files.mkdir(f"/tmp/f/{path}")
        self.sandbox.files.mkdir("/tmp/f/a/b", mode=0o700)
        self.assertEqual(self.sandbox.commands.run("stat -c %a /tmp/f/a /tmp/f/a/b; cat /tmp/f/file").stdout, "755\n700\nmine")

    def test_long_names(self):
        name = "n" * 255
        for data in (b"one", b"two"):
            self.sandbox.files.write(f"/tmp/{name}", data)
            self.assertEqual(self.sandbox.files.read(f"/tmp/{name}"), data)
        with self.assertRaisesRegex(RpcError, "ENAMETOOLONG"):
            self.sandbox.files.write(f"/tmp/{name}n", b"")

    def test_text_that_is_none(self):
        for call in (lambda: self.sandbox.files.read("/tmp/\ud800"), lambda: self.sandbox.commands.run("echo \ud800"),
                     lambda: self.sandbox.commands.exec(["cat"], stdin="\udcff")):
            with self.assertRaisesRegex(ValueError, r"is no Unicode text: '\\ud"):
                call()
        self.assertEqual(self.sandbox.commands.run("echo '\U0001f600 \\ud800'").stdout, "\U0001f600 \\ud800\n")

        async def work():
            async with AsyncSandbox() as sandbox:
                with self.assertRaisesRegex(ValueError, "is no Unicode text"):
                    await sandbox.files.read("/tmp/\ud800")
                self.assertEqual((await sandbox.commands.run("echo on")).stdout, "on\n")

        asyncio.run(work())

    @unittest.skipUnless(shutil.which("node"), "no Node on this machine")
    def test_text_that_is_none_in_typescript(self):
        program = f"""
            import {{ Sandbox }} from {json.dumps(str(ROOT / "sdk/typescript/index.js"))};
            const sandbox = await Sandbox.create();
            for (const path of ['/tmp/\\udcff', '/tmp/\\\\\\ud800']) await sandbox.files.read(path).catch((error) => console.log(error.message));
            console.log((await sandbox.run("echo '\\u{{1f600}} \\\\ud800'")).stdout);
            await sandbox.destroy();
        """
        done = subprocess.run(["node", "--input-type=module", "-e", program], capture_output=True, text=True, timeout=120)
        refusal = "files.read: is no Unicode text: half of a surrogate pair\n"
        self.assertEqual((done.returncode, done.stderr, done.stdout), (0, "", refusal * 2 + "\U0001f600 \\ud800\n\n"))

    def test_a_line_where_words_belong(self):
        for start in (self.sandbox.commands.exec, self.sandbox.commands.spawn):
            with self.assertRaisesRegex(TypeError, "argv: must be a list of strings, not 'ls -l'"):
                start("ls -l")

    def test_arguments_that_are_too_many_or_none(self):
        for argv in ([], ["echo"] * 10001, ["a\0b"]):
            with self.assertRaisesRegex(RpcError, "an array of 1 to 10000 strings without zero bytes: argv"):
                self.sandbox.commands.exec(argv)
        self.assertEqual(self.sandbox.commands.exec(["echo"] + ["a"] * 9999).stdout_bytes.count(b"a"), 9999)

    def test_files_that_are_neither_files_nor_directories(self):
        self.sandbox.commands.run("mkfifo /tmp/fifo")
        for path in ("/tmp/fifo", "/dev/zero"):
            with self.assertRaisesRegex(RpcError, "EINVAL"):
                self.sandbox.files.read(path)

    def test_a_file_that_a_link_leads_to_and_that_is_not_there(self):
        self.sandbox.commands.run("ln -s target /tmp/link")
        self.sandbox.files.write("/tmp/link", b"text")
        self.assertEqual(self.sandbox.commands.run("stat -c %a:%F /tmp/link /tmp/target; cat /tmp/target").stdout,
                         "777:symbolic link\n644:regular file\ntext")

    def test_a_size_of_no_terminal(self):
        process = self.sandbox.commands.spawn(["cat"])
        with self.assertRaisesRegex(RpcError, "ENOTTY.*the process has no terminal"):
            process.resize(40, 50)
        process.kill()

    def test_names_beside_a_file(self):
        self.sandbox.files.write("/tmp/d/a.cordon-new", b"mine")
        self.sandbox.files.write("/tmp/d/a", b"other")
        self.assertEqual(self.sandbox.commands.run("cd /tmp/d && cat a.cordon-new && ls -A").stdout, "minea\na.cordon-new\n")


if __name__ == "__main__":
    unittest.main(verbosity=2)

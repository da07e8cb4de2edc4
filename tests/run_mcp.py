#!/usr/bin/env python3
"""`cordon mcp` with the protocol's own TypeScript client, which npm brings: run_mcp.py

Its packages are in tests/mcp/package-lock.json with their hashes, and are kept in the user's cache under the hash of that file. Where npm
reaches no index, that part is skipped with the reason.
"""
import hashlib
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

import package_world
from native_world import Skipped

ROOT = pathlib.Path(__file__).resolve().parent.parent
CORDON = pathlib.Path(os.environ.get("CORDON_BUILD", ROOT / "build")) / "cordon"
HERE = ROOT / "tests/mcp"


def packages():
    if not shutil.which("npm") or not shutil.which("node"):
        raise Skipped("no Node on this machine")
    cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache")) / "cordon/tests"
    lock = hashlib.sha256((HERE / "package-lock.json").read_bytes()).hexdigest()
    place = cache / f"mcp-{lock[:32]}"
    if place.exists():
        return place
    cache.mkdir(parents=True, exist_ok=True)
    folder = pathlib.Path(tempfile.mkdtemp(dir=cache))
    for name in ("package.json", "package-lock.json"):
        shutil.copy(HERE / name, folder)
    # Every package is held against its hash.
    done = subprocess.run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        shutil.rmtree(folder)
        raise Skipped("npm brings no client: " + (done.stderr.strip() or "no reason").splitlines()[-1])
    folder.rename(place)
    return place


def node(program, *arguments):
    """Runs a program of tests/mcp, which says so when it has come to its end."""
    modules = packages() / "node_modules"
    with tempfile.TemporaryDirectory() as folder:
        os.symlink(modules, f"{folder}/node_modules")
        for source in HERE.glob("*.mjs"):
            shutil.copy(source, folder)
        done = subprocess.run(["node", "--preserve-symlinks-main", program, CORDON, folder, *arguments], cwd=folder, capture_output=True, text=True,
                              timeout=180, check=False)
        assert (done.returncode, done.stdout) == (0, "all of it\n"), done.stdout + done.stderr


def client():
    node("client.mjs")


def options():
    """Every option of a sandbox: what the server says holds, a model may have less, and is refused more."""
    hello = package_world.assemble(package_world.COMMAND % "hi")
    package_world.Server.files.update({"/hello.wasm": hello, "/other.wasm": hello, "/huge.wasm": hello + b"\0\4\1x" + b"x" * 2})
    port = package_world.serve()
    node("options.mjs", f"https://localhost:{port}", os.environ["CORDON_CA_FILE"])


def exchange(lines, *arguments):
    """What the server says to these lines, until its input ends."""
    done = subprocess.run([CORDON, "mcp", *arguments], input=b"".join(lines), capture_output=True, timeout=60, check=False)
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()], done.stderr.decode()


def request(number, method, **params):
    return json.dumps({"jsonrpc": "2.0", "id": number, "method": method, "params": params}).encode() + b"\n"


def hostile_lines():
    with subprocess.Popen([CORDON, "mcp"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        def ask(line):
            process.stdin.write(line)
            process.stdin.flush()
            return json.loads(process.stdout.readline())
        assert ask(b"nonsense\n")["error"]["code"] == -32700
        assert ask(b"[" * 50_000 + b"\n")["error"]["code"] == -32600
        assert ask(b"[]\n")["error"]["code"] == -32600
        assert ask(request(1, "tools/call"))["error"]["message"] == "Unknown tool: "
        assert ask(request(2, "tools/call", name="run_command", arguments=[]))["error"]["code"] == -32602
        assert ask(request(3, "tools/call", name="run_command", arguments={"command": "echo hi"}, _meta=5))["result"]["structuredContent"]["stdout"] == "hi\n"
        # Unknown versions get the newest one.
        assert ask(request(4, "initialize", protocolVersion="1999"))["result"]["protocolVersion"] == "2025-06-18"
        assert ask(request(5, "initialize", protocolVersion="2024-11-05"))["result"]["protocolVersion"] == "2024-11-05"
        process.stdin.write(b'{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":{}}}\n')
        assert ask(request(6, "ping"))["result"] == {}
        process.stdin.close()
        assert process.wait(20) == 0


def cancelled_states():
    """An import or export that waits for a command to end is given up with its call, whether it has been brought to the sandbox or not."""
    for pause in (0, 0.5):
        with tempfile.TemporaryDirectory() as folder, \
                subprocess.Popen([CORDON, "mcp", "--state-dir", folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            def send(line):
                process.stdin.write(line)
                process.stdin.flush()
            def start(number, tool, **arguments):
                send(request(number, "tools/call", name=tool, arguments=arguments))
            def answer():
                told = json.loads(process.stdout.readline())
                assert not told["result"]["isError"], told
                return told["id"], told["result"]["structuredContent"]
            def ask(number, tool, **arguments):
                start(number, tool, **arguments)
                return answer()[1]
            ask(1, "run_command", command="echo old >f; head -c 9000000 /dev/urandom >large")
            ask(2, "export_state", name="s")
            ask(3, "run_command", command="echo new >f")
            start(4, "run_command", command="until [ -e go ]; do sleep 0.02; done")
            start(5, "import_state", name="s")
            start(6, "export_state", name="other")
            time.sleep(pause)
            for number in (5, 6):
                send(json.dumps({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": number}}).encode() + b"\n")
            start(7, "write_file", path="go", content="")
            assert {answer()[0], answer()[0]} == {4, 7}
            assert ask(8, "run_command", command="cat f")["stdout"] == "new\n"
            assert os.listdir(folder) == ["s.oci.tar"], os.listdir(folder)
            process.stdin.close()
            assert process.wait(20) == 0


def audit_that_cannot_be_written():
    """Without its file nothing goes on: here a disk is full after a page."""
    if subprocess.run(["unshare", "--user", "--map-root-user", "--mount", "true"], capture_output=True, check=False).returncode != 0:
        raise Skipped("no user namespaces on this machine")
    with tempfile.TemporaryDirectory() as folder:
        mounted = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", 'mount -t tmpfs -o size=4k none "$1" && exec "$0" mcp --audit-file "$1/log"']
        with subprocess.Popen([*mounted, CORDON, folder], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
            for number in range(10):
                process.stdin.write(request(number, "tools/call", name="run_command", arguments={"command": ": " + "x" * 1000}))
            process.stdin.flush()
            # Its end comes before that of its input.
            error = process.stderr.read()
            assert process.wait(60) == 125 and b"write(audit file)" in error, (process.returncode, error)


def settings():
    for arguments, words in ((["--timeout-ms", "0"], "--timeout-ms: must be a number"), (["--config", "/nope"], "open(/nope)"),
                             (["--config", "/etc/passwd"], "no JSON object"), (["--mount", "/etc"], "expected HOST:GUEST"),
                             (["--mount", "/etc:x"], "must be absolute"), (["--mount", "/no/such:/mnt"], "/no/such"),
                             (["--mount", "/etc/passwd:/mnt"], "no directory of the host"),
                             (["--max-timeout-ms", "5", "--timeout-ms", "6"], "less than timeoutMs"), (["--nice", "20"], "from 0 to 19"),
                             (["--namespace", "x"], "--persistence-dir"), (["--persistence", "session"], "--persistence-dir"),
                             (["--persistence-dir", "/tmp", "--persistence", "always"], "persistent or session"),
                             (["--persistence-dir", "/tmp", "--namespace", "../x"], "persistence.namespace must be"),
                             (["--package-policy", "{"], "must be an object"), (["--package-policy", '{"enabled": 5}'], "packagePolicy.enabled"),
                             (["--package-host", "a/b"], "packagePolicy.allowedHosts"),
                             (["--package-host", "a", "--package-policy", "{}"], "give one of the two"), (["--env", "A"], "expected NAME=VALUE"),
                             (["--audit-file", "/etc"], "open(/etc)"), (["--audit-file", "/dev/null"], "no regular file")):
        status, _, error = exchange([], *arguments)
        assert (status, words in error) == (125, True), error
    with tempfile.NamedTemporaryFile("w") as file:
        file.write('{"timeoutMS": 5}')
        file.flush()
        status, _, error = exchange([], "--config", file.name)
        assert (status, "timeoutMS" in error) == (125, True), error


def main():
    passed = failed = 0
    for test in (client, options, hostile_lines, cancelled_states, audit_that_cannot_be_written, settings):
        try:
            test()
            passed += 1
        except Skipped as reason:
            print(f"skipped {test.__name__}: {reason}")
        except Exception as error:  # one that fails is told of, and the others run
            failed += 1
            print(f"FAILED {test.__name__}: {type(error).__name__}: {error}")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

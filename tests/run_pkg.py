#!/usr/bin/env python3
"""Packages of live sandboxes: what installs and runs, what attacks come to, what is kept: run_pkg.py [NAME...]

Modules are assembled here; those that nobody here built are in run_pkg_modules.py.
"""
import json
import os
import shutil
import subprocess
import sys
import unittest

import package_world as world
from package_world import COMMAND, CORDON, Server, WORLD, assemble, hash_of

os.environ["XDG_CACHE_HOME"] = str(world.CACHE)

from cordon_sandbox import AsyncSandbox, PackageError, RpcError, Sandbox  # noqa: E402

EVERYTHING = "find / -xdev \\( -path /proc -o -path /run -o -path /dev \\) -prune -o -printf '%p %s %m\\n' 2>/dev/null | sort"
MODULES = {
    "hello": COMMAND % "hi",
    "other": COMMAND % "ho",
    "third": COMMAND % "hu",
    "reactor": '(module (memory (export "memory") 1) (func (export "run")))',
    "imports-memory": '(module (import "env" "memory" (memory 1)) (func (export "_start")))',
    "old-wasi": '(module (import "wasi_unstable" "sched_yield" (func (result i32))) (memory (export "memory") 1) (func (export "_start")))',
    "other-type": '(module (import "wasi_snapshot_preview1" "fd_write" (func (param i64))) (memory (export "memory") 1) (func (export "_start")))',
}


def setUpModule():
    global PORT, BASE
    PORT = world.serve()
    BASE = f"https://localhost:{PORT}"
    files = Server.files
    files.update({f"/{name}.wasm": assemble(text) for name, text in MODULES.items()})
    hello = files["/hello.wasm"]
    files.update({
        "/no-module.wasm": b"<html>not found</html>", "/empty.wasm": b"", "/component.wasm": b"\0asm\x0d\0\1\0" + b"\0" * 100,
        "/damaged.wasm": hello[:-4], "/moved": world.redirect("/hello.wasm"), "/loop": world.redirect("/loop"),
        "/away": world.redirect("https://not-allowed.example/hello.wasm"),
        "/away-twice": world.redirect(f"{BASE}/away"),
        "/away-user": world.redirect(f"https://localhost:{PORT}@not-allowed.example/hello.wasm"),
        "/away-scheme": world.redirect("//not-allowed.example/hello.wasm"),
        "/away-port": world.redirect("https://localhost:1/hello.wasm"),
        "/away-dot": world.redirect(f"https://localhost.:{PORT}/hello.wasm"),
        "/away-address": world.redirect(f"https://127.0.0.1:{PORT}/hello.wasm"),
        "/plain": world.redirect(f"http://localhost:{PORT}/hello.wasm"), "/file": world.redirect("file:///etc/passwd"),
        "/away-zero": world.raw(b"HTTP/1.1 302 Found\r\nLocation: https://localhost\0.evil.example/x\r\nContent-Length: 0\r\n\r\n"),
        "/endless.wasm": world.endless, "/stalled.wasm": world.stalled, "/huge.wasm": world.lying(1 << 40, b"x"), "/short.wasm": world.lying(10_000, b"x" * 100),
        "/long.wasm": world.lying(8, hello), "/negative.wasm": world.lying(-1, hello),
        "/nonsense.wasm": world.raw(b"\xff" * 10_000), "/error.wasm": world.raw(b"HTTP/1.1 500 No\r\nContent-Length: 2\r\n\r\nno"),
    })
    write_index("hello", "other")


def tearDownModule():
    world.FOLDER.cleanup()


def index_of(*names):
    return {"version": 1, "packages": {name: {
        "url": f"{name}.wasm", "sha256": hash_of(Server.files[f"/{name}.wasm"]), "size": len(Server.files[f"/{name}.wasm"]),
        "description": f"says {name}"} for name in names}}


def write_index(*names):
    Server.files["/pkg-index.json"] = json.dumps(index_of(*names)).encode()


class PackageTest(unittest.TestCase):
    maxDiff = None

    def sandbox(self, **more):
        sandbox = Sandbox(package_policy=world.policy(PORT, **more))
        self.addCleanup(sandbox.destroy)
        return sandbox

    def run_(self, sandbox, command, **options):
        result = sandbox.commands.run(command, **options)
        return result.exit_code, result.stdout, result.stderr

    def refuse(self, code, source, sandbox=None, connects=False, **options):
        """It is refused with this code, nothing is left behind, and nobody was asked if the host should not have been."""
        sandbox = sandbox or self.sandbox()
        before = sandbox.commands.run(EVERYTHING).stdout
        store, connections = world.kept(), Server.connections
        with self.assertRaises(PackageError) as refused:
            sandbox.packages.install(source, **options)
        self.assertEqual(refused.exception.errno, code, str(refused.exception))
        if not connects:
            self.assertEqual(Server.connections, connections)
        self.assertEqual(sandbox.commands.run(EVERYTHING).stdout, before)
        self.assertEqual((sandbox.packages.list(), world.kept()), ([], store))
        return str(refused.exception)


class Use(PackageTest):
    def test_install_run_remove(self):
        sandbox = self.sandbox()
        size = len(Server.files["/hello.wasm"])
        status, output, errors = self.run_(sandbox, f"pkg install {BASE}/hello.wasm")
        self.assertEqual((status, errors), (0, ""))
        self.assertEqual(output.splitlines()[0], "Downloading hello")
        self.assertEqual(output.splitlines()[-1], f"installed hello ({size} bytes) from {BASE}/hello.wasm")
        self.assertEqual(self.run_(sandbox, "hello; hello | wc -c; sh -c hello; type -p hello; cp $(type -p hello) /tmp/copy; /tmp/copy"),
                         (0, "hi\n3\nhi\n/usr/local/bin/hello\nhi\n", ""))
        self.assertEqual(sandbox.files.read("/usr/share/pkg/bin/hello.wasm"), Server.files["/hello.wasm"])
        entry = json.loads(sandbox.files.read("/usr/share/pkg/packages.json"))["packages"]["hello"]
        self.assertEqual((entry["sha256"], entry["size"], entry["url"]), (hash_of(Server.files["/hello.wasm"]), size, f"{BASE}/hello.wasm"))
        self.assertEqual(self.run_(sandbox, "pkg list"), (0, f"hello\t{size}\t{BASE}/hello.wasm\n", ""))
        info = sandbox.commands.run("pkg info hello").stdout
        self.assertIn(f"Name: hello\nURL: {BASE}/hello.wasm\nSize: {size}\nSHA-256: {entry['sha256']}\nInstalled: 20", info)
        self.assertEqual(self.run_(sandbox, f"pkg install {BASE}/hello.wasm"),
                         (1, "", "pkg install: Package 'hello' is already installed (E_PKG_EXISTS)\n"))
        self.assertEqual(sandbox.commands.run(f"pkg install {BASE}/moved --name moved && moved").stdout.splitlines()[-1], "hi")
        self.assertEqual(self.run_(sandbox, "pkg remove hello"), (0, "removed hello\n", ""))
        self.assertEqual(sandbox.commands.run("hash -r; hello").exit_code, 127)
        self.assertEqual(self.run_(sandbox, "ls /usr/share/pkg/bin /usr/local/bin; pkg list | cut -f 1"),
                         (0, "/usr/local/bin:\nmoved\n\n/usr/share/pkg/bin:\nmoved.wasm\nmoved\n", ""))

    def test_words(self):
        sandbox = self.sandbox()
        for words, text in (("", "usage: pkg <install|remove|list|info"), ("x", "pkg: unknown subcommand 'x'"),
                            ("install", "pkg install: no URL specified"), ("remove x", "pkg remove: 'x' is not installed"),
                            ("remove", "pkg remove: a name is needed"), ("info x", "pkg info: package 'x' not found"),
                            ("update x", "pkg update: Package 'x' is not installed (E_PKG_NOT_FOUND)"),
                            ("install ftp://x", "pkg install: invalid URL 'ftp://x' (E_PKG_FETCH)"),
                            ("install --evil x", "pkg install: unknown option --evil"), ("install a b", "more than one URL or name"),
                            ("install x --name", "--name needs a value"), ("search", "pkg search: no package index is configured (E_PKG_NOT_FOUND)"),
                            (f"install {BASE}/", "could not derive package name from URL (E_PKG_INVALID_NAME)"),
                            ("'$(id)\n'", "pkg: unknown subcommand '$(id)\\x0a'")):
            status, output, errors = self.run_(sandbox, f"pkg {words}")
            self.assertEqual((status, output, text in errors), (1, "", True), (words, errors))

    def test_api(self):
        sandbox = self.sandbox()
        lines = []
        package = sandbox.packages.install(f"{BASE}/hello.wasm?x=y", on_progress=lines.append)
        self.assertEqual((package.name, package.size, package.sha256), ("hello", len(Server.files["/hello.wasm"]), hash_of(Server.files["/hello.wasm"])))
        self.assertEqual(lines[0], "Downloading hello")
        self.assertEqual([one.name for one in sandbox.packages.list()], ["hello"])
        self.assertEqual(sandbox.packages.info("hello").url, f"{BASE}/hello.wasm?x=y")
        self.assertFalse(sandbox.packages.update("hello").updated)
        sandbox.packages.remove("hello")
        for call in (sandbox.packages.info, sandbox.packages.remove, sandbox.packages.update):
            with self.assertRaises(PackageError) as refused:
                call("hello")
            self.assertEqual((refused.exception.errno, str(refused.exception)), ("E_PKG_NOT_FOUND", "Package 'hello' is not installed"))
        # Also the session's own variables and functions know nothing of it.
        self.assertEqual(self.run_(sandbox, "x=1; exec 7<>/dev/cordon/pkg; exec 7>&-; echo $x"), (0, "1\n", ""))

    def test_update(self):
        Server.files["/changing.wasm"] = Server.files["/hello.wasm"]
        sandbox = self.sandbox()
        self.assertEqual(sandbox.commands.run(f"pkg install {BASE}/changing.wasm >/dev/null; changing; pkg update").stdout,
                         "hi\nDownloading changing\nchanging is current\n")
        Server.files["/changing.wasm"] = Server.files["/other.wasm"]
        self.assertEqual(sandbox.commands.run("pkg update changing | tail -1; changing").stdout, "updated changing\nho\n")
        self.assertEqual(sandbox.packages.info("changing").sha256, hash_of(Server.files["/other.wasm"]))
        Server.files["/changing.wasm"] = b"gone"
        status, _, errors = self.run_(sandbox, "pkg update")
        self.assertEqual((status, errors), (1, "pkg update: no WebAssembly module (E_PKG_INVALID_MODULE)\n"))
        self.assertEqual(sandbox.commands.run("changing").stdout, "ho\n")

    def test_disabled(self):
        for policy in (None, {"enabled": False}, {}):
            sandbox = Sandbox(package_policy=policy)
            self.addCleanup(sandbox.destroy)
            for call in (lambda: sandbox.packages.install(f"{BASE}/hello.wasm"), sandbox.packages.list):
                with self.assertRaises(PackageError) as refused:
                    call()
                self.assertEqual((refused.exception.errno, str(refused.exception)), ("E_PKG_DISABLED", "Package installation is disabled"))
            self.assertEqual(self.run_(sandbox, "pkg list"), (1, "", "pkg: package manager is disabled\n"))

    def test_policies_that_are_none(self):
        for policy, text in (({"enabled": "yes"}, "packagePolicy.enabled"), ({"enabled": True, "allowHosts": []}, "packagePolicy.allowHosts"),
                             ({"enabled": True, "maxPackageBytes": 0}, "packagePolicy.maxPackageBytes"),
                             ({"enabled": True, "allowedHosts": "localhost"}, "packagePolicy.allowedHosts")):
            with self.assertRaises(RpcError) as refused:
                Sandbox(package_policy=policy)
            self.assertEqual((refused.exception.code, text in str(refused.exception)), (-32602, True))

    def test_limits(self):
        sandbox = self.sandbox(maxInstalledPackages=1)
        sandbox.packages.install(f"{BASE}/hello.wasm")
        with self.assertRaises(PackageError) as refused:
            sandbox.packages.install(f"{BASE}/other.wasm")
        self.assertEqual((refused.exception.errno, str(refused.exception)), ("E_PKG_LIMIT", "Maximum of 1 packages reached"))
        # A module that the sandbox's own file system has no room for.
        full = Sandbox(package_policy=world.policy(PORT), fs_limit_bytes=1 << 20)
        self.addCleanup(full.destroy)
        full.commands.run("head -c 2000000 /dev/zero > /tmp/full 2>/dev/null")
        with self.assertRaises(PackageError) as refused:
            full.packages.install(f"{BASE}/hello.wasm")
        self.assertEqual(refused.exception.errno, "E_PKG_LIMIT", str(refused.exception))
        self.assertEqual(full.commands.run("ls /usr/share/pkg/bin; hello 2>/dev/null").exit_code, 127)

    def test_several_at_once(self):
        sandbox = self.sandbox()
        command = " & ".join(f"pkg install {BASE}/{name}.wasm >/dev/null" for name in ("hello", "other", "third")) + "; wait; hello; other; third"
        self.assertEqual(sandbox.commands.run(command).stdout, "hi\nho\nhu\n")
        self.assertEqual([one.name for one in sandbox.packages.list()], ["hello", "other", "third"])

    def test_asyncio(self):
        import asyncio

        async def use():
            async with AsyncSandbox(package_policy=world.policy(PORT)) as sandbox:
                lines = []
                await sandbox.packages.install(f"{BASE}/hello.wasm", on_progress=lines.append)
                self.assertEqual(lines[0], "Downloading hello")
                self.assertFalse((await sandbox.packages.update("hello", on_progress=lines.append)).updated)
                names = [one.name for one in await sandbox.packages.list()]
                await sandbox.packages.remove("hello")
                return names
        self.assertEqual(asyncio.run(use()), ["hello"])

    @unittest.skipUnless(shutil.which("node"), "no node on this machine")
    def test_typescript(self):
        folder = WORLD / "typescript"
        (folder / "node_modules/@cordon").mkdir(parents=True)
        (folder / "node_modules/@cordon/sandbox").symlink_to(world.ROOT / "sdk/typescript")
        shutil.copy(world.ROOT / "tests/sdk/packages.mjs", folder)
        done = subprocess.run(["node", "packages.mjs", str(PORT)], cwd=folder, capture_output=True, text=True, timeout=120, check=False)
        self.assertEqual((done.returncode, done.stderr, done.stdout), (0, "", "all of it\n"))

    def test_audit(self):
        messages = world.audit(CORDON, [
            ("create", {"packagePolicy": world.policy(PORT), "audit": True}), ("package.install", {"source": f"{BASE}/hello.wasm", "progress": True}),
            ("package.install", {"source": "https://evil.example/x.wasm"})])
        events = [one["params"] for one in messages if one.get("method") == "audit" and one["params"]["type"].startswith("package.")]
        self.assertEqual([one["type"] for one in events], ["package.install.start", "package.install.complete",
                                                           "package.install.start", "package.install.denied"])
        self.assertEqual((events[1]["name"], events[1]["sha256"]), ("hello", hash_of(Server.files["/hello.wasm"])))
        self.assertEqual((events[3]["code"], events[3]["source"]), ("E_PKG_HOST_DENIED", "https://evil.example/x.wasm"))
        self.assertIn("package.progress", [one.get("method") for one in messages])


class Attacks(PackageTest):
    def test_hosts(self):
        sandbox = self.sandbox()
        self.assertEqual(self.refuse("E_PKG_HOST_DENIED", "https://evil.example/x.wasm", sandbox), "Host 'evil.example' is not in the allowed hosts list")
        for url in (f"https://localhost:{PORT}@evil.example/hello.wasm", f"https://user@localhost:{PORT}/hello.wasm",
                    f"https://localhost.:{PORT}/hello.wasm", f"https://127.0.0.1:{PORT}/hello.wasm", f"https://[::1]:{PORT}/hello.wasm",
                    f"https://2130706433:{PORT}/hello.wasm", f"https://localhost.evil.example:{PORT}/hello.wasm",
                    f"https://localhost\0.evil.example:{PORT}/hello.wasm", f"https://evil.example\0.localhost:{PORT}/hello.wasm",
                    f"https://evil.example\\@localhost:{PORT}/hello.wasm", f"https://%6cocalhost:{PORT}/hello.wasm",
                    "https://localhost/hello.wasm", "https://localhost:22/hello.wasm", f"https://l\u00f6calhost:{PORT}/hello.wasm"):
            self.refuse("E_PKG_HOST_DENIED", url, sandbox)
        for url in (f"http://localhost:{PORT}/hello.wasm", "file:///etc/passwd", f"httpsx://localhost:{PORT}/hello.wasm",
                    f"https://localhost:{PORT}/hello.wasm\r\nHost: evil", f"https://localhost:{PORT}/a b.wasm"):
            self.refuse("E_PKG_FETCH", url, sandbox, name="x")

    def test_private_addresses(self):
        # Whoever names this machine by a name that leads here must say that it may.
        for hosts in ([f"localhost:{PORT}"], None):
            sandbox = self.sandbox(allowPrivateHosts=False, allowedHosts=hosts)
            self.assertRegex(self.refuse("E_PKG_HOST_DENIED", f"{BASE}/hello.wasm", sandbox), r"Host 'localhost' has the address .* \(.*\)")
        sandbox = self.sandbox(allowPrivateHosts=False, allowedHosts=None)
        for host in ("127.0.0.1", "[::1]", "0.0.0.0", "169.254.169.254", "10.0.0.1", "[::ffff:127.0.0.1]", "[64:ff9b::7f00:1]", "2130706433", "127.1"):
            self.refuse("E_PKG_HOST_DENIED", f"https://{host}:{PORT}/hello.wasm", sandbox, name="x")
        # The certificate is that of the name, and holds for no address.
        address = self.sandbox(allowPrivateHosts=False, allowedHosts=[f"127.0.0.1:{PORT}"])
        self.assertIn("127.0.0.1", self.refuse("E_PKG_FETCH", f"https://127.0.0.1:{PORT}/hello.wasm", address, connects=True))

    def test_redirects(self):
        sandbox = self.sandbox()
        for path, code in (("/away", "E_PKG_HOST_DENIED"), ("/away-twice", "E_PKG_HOST_DENIED"), ("/away-user", "E_PKG_HOST_DENIED"),
                           ("/away-scheme", "E_PKG_HOST_DENIED"), ("/away-port", "E_PKG_HOST_DENIED"), ("/away-dot", "E_PKG_HOST_DENIED"),
                           ("/away-address", "E_PKG_HOST_DENIED"), ("/plain", "E_PKG_FETCH"), ("/file", "E_PKG_FETCH"),
                           ("/loop", "E_PKG_FETCH"), ("/away-zero", "E_PKG_FETCH")):
            asked = len(Server.asked)
            self.refuse(code, BASE + path, sandbox, connects=True, name="x")
            self.assertNotIn("/hello.wasm", Server.asked[asked:], path)
        open_ = self.sandbox(allowedHosts=None, allowPrivateHosts=False)
        self.refuse("E_PKG_HOST_DENIED", f"{BASE}/moved", open_)

    def test_sizes(self):
        sandbox = self.sandbox(maxPackageBytes=100_000)
        self.assertRegex(self.refuse("E_PKG_TOO_LARGE", f"{BASE}/endless.wasm", sandbox, connects=True), r"^Package size \d+ exceeds limit of 100000 bytes$")
        self.assertEqual(self.refuse("E_PKG_TOO_LARGE", f"{BASE}/huge.wasm", sandbox, connects=True), f"Package size {1 << 40} exceeds limit of 100000 bytes")
        self.refuse("E_PKG_FETCH", f"{BASE}/short.wasm", sandbox, connects=True)
        self.refuse("E_PKG_INVALID_MODULE", f"{BASE}/long.wasm", sandbox, connects=True)
        for name in ("nonsense", "error", "nowhere"):
            self.refuse("E_PKG_FETCH", f"{BASE}/{name}.wasm", sandbox, connects=True)
        with self.assertRaises(PackageError):
            sandbox.packages.install(f"{BASE}/negative.wasm", sha256="0" * 64)
        self.assertEqual(self.refuse("E_PKG_FETCH", f"{BASE}/nowhere.wasm", sandbox, connects=True), "fetch failed with HTTP 404")
        small = self.sandbox(maxPackageBytes=len(Server.files["/hello.wasm"]) - 1)
        self.refuse("E_PKG_TOO_LARGE", f"{BASE}/hello.wasm", small, connects=True)

    def test_integrity(self):
        right = hash_of(Server.files["/third.wasm"])
        strict = self.sandbox(requireIntegrity=True)
        self.assertEqual(self.refuse("E_PKG_INTEGRITY", f"{BASE}/third.wasm", strict), "Package policy requires an integrity hash but none was provided")
        self.assertEqual(self.refuse("E_PKG_INTEGRITY", f"{BASE}/third.wasm", strict, connects=True, sha256="0" * 64),
                         f"SHA-256 mismatch: expected {'0' * 64}, got {right}")
        for none in ("x", right[:-1], right + "0", "md5:" + right):
            self.refuse("E_PKG_INTEGRITY", f"{BASE}/third.wasm", strict, sha256=none)
        strict.packages.install(f"{BASE}/third.wasm", sha256="SHA256:".lower() + right.upper())
        self.assertEqual(strict.commands.run("third").stdout, "hu\n")

    def test_modules_that_are_none(self):
        sandbox = self.sandbox()
        for name, text in (("no-module", "no WebAssembly module"), ("empty", "no WebAssembly module"), ("component", "a component, where a module is needed"),
                           ("reactor", "it exports no function _start and memory (a reactor or library)"), ("damaged", "0x"),
                           ("imports-memory", "it imports env.memory, which is no function"), ("old-wasi", "it imports wasi_unstable"),
                           ("other-type", "it imports wasi_snapshot_preview1.fd_write with another type")):
            self.assertIn(text, self.refuse("E_PKG_INVALID_MODULE", f"{BASE}/{name}.wasm", sandbox, connects=True), name)

    def test_names(self):
        sandbox = self.sandbox()
        for name in ("../x", "..", ".", "a/b", "-x", "a b", "a\0b", "/etc/x", ".hidden", "a" * 65, "\u00e9"):
            self.refuse("E_PKG_INVALID_NAME", f"{BASE}/hello.wasm", sandbox, name=name)
        self.refuse("E_PKG_INVALID_NAME", f"{BASE}/x/..", sandbox)
        self.refuse("E_PKG_INVALID_NAME", "../../etc/passwd", self.sandbox(index=f"{BASE}/pkg-index.json"))
        for name in ("ls", "bash", "pkg"):
            self.assertIn(f"'{name}' is a program", self.refuse("E_PKG_EXISTS", f"{BASE}/hello.wasm", sandbox, connects=True, name=name))
        shadowing = self.sandbox(allowShadowing=True)
        shadowing.packages.install(f"{BASE}/hello.wasm", name="ls")
        self.assertEqual(shadowing.commands.run("hash -r; ls").stdout, "hi\n")
        shadowing.packages.remove("ls")
        self.assertEqual(shadowing.commands.run("hash -r; ls -d /tmp").stdout, "/tmp\n")

    def test_a_stranger_behind_the_name(self):
        """Without the certificate's authority, and with another's."""
        world.subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj",
                              "/CN=localhost", "-keyout", WORLD / "x.pem", "-out", WORLD / "stranger.pem"], check=True, capture_output=True)
        before = os.environ["CORDON_CA_FILE"]
        self.addCleanup(os.environ.__setitem__, "CORDON_CA_FILE", before)
        for authorities, text in ((WORLD / "stranger.pem", "certificate"), (WORLD / "nowhere.pem", "no certificates of authorities")):
            os.environ["CORDON_CA_FILE"] = str(authorities)
            asked = len(Server.asked)
            self.assertIn(text, self.refuse("E_PKG_FETCH", f"{BASE}/hello.wasm", self.sandbox(), connects=True))
            self.assertEqual(Server.asked[asked:], [])

    def test_a_guest_has_no_word_in_it(self):
        sandbox = self.sandbox(allowedHosts=[f"localhost:{PORT}", "named-in-the-policy.example"])
        # It is nowhere to be read ...
        self.assertEqual(sandbox.commands.run("grep -rls 'named-in-the-[p]olicy' /etc /home /run /tmp /usr/local /usr/share/pkg /var; env | grep -c 'named-[i]n'").stdout, "0\n")
        # ... and what looks like one is nobody's.
        sandbox.commands.run("mkdir -p ~/.config /tmp/etc; echo '{\"enabled\": true, \"allowedHosts\": [\"evil.example\"]}' | tee ~/.config/pkg-policy.json "
                             "~/pkg-policy.json /tmp/etc/pkg-policy.json; export CORDON_REGISTRY=https://evil.example/ CORDON_PACKAGE_POLICY=~/pkg-policy.json "
                             "https_proxy=http://evil.example CORDON_CA_FILE=/tmp/x SSL_CERT_FILE=/tmp/x")
        self.assertEqual(self.run_(sandbox, "pkg install https://evil.example/x.wasm"),
                         (1, "", "pkg install: Host 'evil.example' is not in the allowed hosts list (E_PKG_HOST_DENIED)\n"))
        sandbox.packages.install(f"{BASE}/hello.wasm")
        for command in ("echo x > /usr/share/pkg/packages.json", "rm -f /usr/share/pkg/bin/hello.wasm", "echo x >> /usr/share/pkg/bin/hello.wasm",
                        "ln -sf /bin/true /usr/local/bin/hello", "mv /usr/share/pkg /tmp", "touch /usr/share/pkg/bin/x.wasm", "rm -f /dev/cordon/pkg"):
            self.assertNotEqual(sandbox.commands.run(command).exit_code, 0, command)
        # A module of its own is no program: it would have to be compiled.
        sandbox.files.write("/tmp/own.wasm", Server.files["/other.wasm"], mode=0o755)
        self.assertEqual(sandbox.commands.run("/tmp/own.wasm").exit_code, 126)

    def test_a_guest_that_talks_nonsense(self):
        sandbox = self.sandbox()
        # A keeper that hears no number hangs up.
        self.assertNotEqual(sandbox.commands.run("for i in 1 2 3 4 5 6; do head -c 100000 /dev/zero | tr '\\0' x 1<>/dev/cordon/pkg || break; done 2>/dev/null; "
                                                 "exit ${PIPESTATUS[1]}").exit_code, 125)
        for text in ("x\\0", "5\\0a\\0", "0\\0", "99999\\0", "1\\0list\\0more", "-1\\0"):
            self.assertEqual(sandbox.commands.run(f"exec 7<>/dev/cordon/pkg; printf '{text}' >&7; exec 7>&-").exit_code, 0, text)
        self.assertNotEqual(sandbox.commands.run("cat </dev/cordon/pkg").exit_code, 0)
        self.assertNotEqual(sandbox.commands.run("echo >/dev/cordon/pkg").exit_code, 0)
        # All are taken: the next one is told, and they are free again when those who have them are gone.
        held = "for i in 1 2 3 4; do (exec 7<>/dev/cordon/pkg; echo >>/tmp/held; exec sleep 1000) & done; until [ $(cat /tmp/held 2>/dev/null | wc -l) -ge 4 ]; do sleep 0.02; done; "
        self.assertEqual(self.run_(sandbox, held + "pkg list; kill %1 %2 %3 %4; wait 2>/dev/null; true")[2], "pkg: others are at it, try again\n")
        self.assertEqual(self.run_(sandbox, f"pkg install {BASE}/hello.wasm >/dev/null; hello"), (0, "hi\n", ""))
        # One that is ended in the middle leaves everything whole.
        killed = sandbox.commands.run(f"pkg install {BASE}/stalled.wasm", timeout_ms=300)
        self.assertEqual(killed.error_class, "TIMEOUT")
        self.assertEqual(self.run_(sandbox, f"pkg install {BASE}/other.wasm >/dev/null; other; pkg list | cut -f 1"), (0, "ho\nhello\nother\n", ""))


class Indexes(PackageTest):
    def index(self, **more):
        return self.sandbox(index=f"{BASE}/pkg-index.json", **more)

    def test_by_name(self):
        write_index("hello", "other")
        sandbox = self.index(requireIntegrity=True)
        self.assertEqual([line.split("\t")[0::2] for line in sandbox.commands.run("pkg search").stdout.splitlines()],
                         [["hello", "says hello"], ["other", "says other"]])
        self.assertEqual([one.name for one in sandbox.packages.search("says o")], ["other"])
        # Other alphabets are read as they are; what a terminal would obey, or what turns a line around, is not.
        index = index_of("hello")
        index["packages"]["hello"]["description"] = "dit « ça » \u202e\x1b[31m"
        Server.files["/pkg-index.json"] = json.dumps(index).encode()
        self.assertEqual(self.index(requireIntegrity=True).commands.run("pkg search").stdout.split("\t")[-1], "dit « ça » \\xe2\\x80\\xae\\x1b[31m\n")
        write_index("hello", "other")
        self.assertEqual(sandbox.commands.run("pkg install other >/dev/null && other").stdout, "ho\n")
        self.assertEqual(sandbox.commands.run("pkg install hello --name greet >/dev/null && greet").stdout, "hi\n")
        self.assertEqual(sandbox.commands.run("pkg update other").stdout.splitlines()[-1], "other is current")
        with self.assertRaises(PackageError) as refused:
            sandbox.packages.install("unknown")
        self.assertEqual((refused.exception.errno, str(refused.exception)), ("E_PKG_NOT_FOUND", "package 'unknown' not found in registry"))

    def test_damaged(self):
        def with_index(text, code, **more):
            Server.files["/pkg-index.json"] = text if isinstance(text, bytes) else json.dumps(text).encode()
            return self.refuse(code, "hello", self.index(**more), connects=True)
        good = index_of("hello")
        with_index(json.dumps(good).encode()[:-20], "E_PKG_INDEX")
        with_index(b"\xff\xfe" * 1000, "E_PKG_INDEX")
        with_index(b"", "E_PKG_INDEX")
        with_index([], "E_PKG_INDEX")
        evil = json.loads(json.dumps(good))
        evil["packages"]["../../evil"] = good["packages"]["hello"]
        self.assertIn("is no name", with_index(evil, "E_PKG_INDEX"))
        for member, value, code in (("sha256", "0" * 64, "E_PKG_INTEGRITY"), ("sha256", "x", "E_PKG_INDEX"), ("size", 1 << 40, "E_PKG_TOO_LARGE"),
                                    ("size", -1, "E_PKG_INDEX"), ("url", "https://evil.example/x.wasm", "E_PKG_HOST_DENIED"),
                                    ("url", f"http://localhost:{PORT}/hello.wasm", "E_PKG_INDEX"), ("url", "", "E_PKG_INDEX"),
                                    ("url", "away", "E_PKG_HOST_DENIED")):
            changed = json.loads(json.dumps(good))
            changed["packages"]["hello"][member] = value
            # What is in the store needs no fetching.
            if member == "url" and value == "away":
                changed["packages"]["hello"]["sha256"] = "1" * 64
            with_index(changed, code)
        Server.files["/pkg-index.json"] = world.endless
        self.refuse("E_PKG_TOO_LARGE", "hello", self.index(), connects=True)
        write_index("hello", "other")

    def test_build_and_sign(self):
        folder = WORLD / "site"
        folder.mkdir()
        for name in ("hello", "other"):
            (folder / f"{name}.wasm").write_bytes(Server.files[f"/{name}.wasm"])
        key = WORLD / "index-key.pem"
        subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", key], check=True)
        built = subprocess.run([CORDON, "pkg", "build-index", folder, "--key", key], capture_output=True, text=True, check=True)
        self.assertIn("2 packages", built.stdout)
        public = built.stdout.split("indexKey: ")[1].strip()
        index = json.loads((folder / "pkg-index.json").read_text())
        self.assertEqual(index["packages"]["hello"], {"url": "hello.wasm", "sha256": hash_of(Server.files["/hello.wasm"]), "size": len(Server.files["/hello.wasm"])})
        # What people write into it stays.
        index["packages"]["hello"]["description"] = "says hi"
        (folder / "pkg-index.json").write_text(json.dumps(index))
        subprocess.run([CORDON, "pkg", "build-index", folder, "--key", key], capture_output=True, check=True)
        Server.files.update({f"/site/{path.name}": path.read_bytes() for path in folder.iterdir()})
        signed = dict(index=f"{BASE}/site/pkg-index.json", indexKey=public)
        sandbox = self.sandbox(**signed)
        sandbox.packages.install("hello")
        self.assertEqual((sandbox.commands.run("hello").stdout, sandbox.packages.search("hi")[0].description), ("hi\n", "says hi"))
        good, mark = Server.files["/site/pkg-index.json"], Server.files["/site/pkg-index.json.minisig"]
        lines = mark.decode().splitlines()
        other = subprocess.run([CORDON, "pkg", "build-index", folder, "--key", self.other_key()], capture_output=True, text=True, check=True).stdout
        other = other.split("indexKey: ")[1].strip()
        for files, key_, text in (
                ({"pkg-index.json": good.replace(b"says hi", b"says ho")}, public, "the signature does not hold"),
                ({"pkg-index.json.minisig": "\n".join([*lines[:2], lines[2] + "x", lines[3], ""]).encode()}, public, "the signature does not hold"),
                ({"pkg-index.json.minisig": b"nonsense"}, public, "the signature is damaged"),
                ({"pkg-index.json.minisig": None}, public, "the package index has no signature"),
                ({}, other, "the signature is of another key"), ({}, "RWQnonsense", "the public key is none of minisign")):
            Server.files.update({"/site/pkg-index.json": good, "/site/pkg-index.json.minisig": mark})
            Server.files.update({f"/site/{name}": value for name, value in files.items()})
            self.assertIn(text, self.refuse("E_PKG_INTEGRITY", "hello", self.sandbox(index=signed["index"], indexKey=key_), connects=True))
        # An index without modules that are none, and without an old signature.
        done = subprocess.run([CORDON, "pkg", "build-index", folder], capture_output=True, text=True, check=True)
        self.assertFalse((folder / "pkg-index.json.minisig").exists(), done.stdout)
        (folder / "text.wasm").write_text("text")
        done = subprocess.run([CORDON, "pkg", "build-index", folder], capture_output=True, text=True, check=False)
        self.assertEqual((done.returncode, "text.wasm: no WebAssembly module" in done.stderr), (125, True), done.stderr)

    def other_key(self):
        key = WORLD / "other-key.pem"
        subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", key], check=True)
        return key


class State(PackageTest):
    def test_other_sandboxes_have_none_of_it(self):
        self.sandbox().packages.install(f"{BASE}/hello.wasm")
        other = self.sandbox()
        self.assertEqual(other.commands.run("hello").exit_code, 127)
        # Brought home once: with its hash, nobody is asked again.
        connections = Server.connections
        other.packages.install(f"{BASE}/hello.wasm", sha256=hash_of(Server.files["/hello.wasm"]))
        self.assertEqual((other.commands.run("hello").stdout, Server.connections), ("hi\n", connections))

    def test_a_store_that_was_tampered_with(self):
        self.sandbox().packages.install(f"{BASE}/third.wasm")
        right = hash_of(Server.files["/third.wasm"])
        (world.CACHE / f"cordon/packages/{right}.wasm").write_bytes(Server.files["/hello.wasm"])
        sandbox = self.sandbox()
        sandbox.packages.install(f"{BASE}/third.wasm", sha256=right)
        self.assertEqual(sandbox.commands.run("third").stdout, "hu\n")

    def test_export_and_import(self):
        sandbox = self.sandbox()
        sandbox.packages.install(f"{BASE}/hello.wasm")
        state = sandbox.export_state()
        installed = sandbox.packages.info("hello").installed
        other = self.sandbox()
        other.packages.install(f"{BASE}/other.wasm")
        self.assertEqual(other.import_state(state).skipped, [])
        self.assertEqual(other.commands.run("hello; pkg list | cut -f 1; other 2>/dev/null; echo $?").stdout, "hi\nhello\n127\n")
        self.assertEqual(other.packages.info("hello").installed, installed)
        self.assertEqual(other.commands.run("pkg remove hello; hash -r; hello 2>/dev/null; echo $?").stdout, "removed hello\n127\n")
        # Where the policy says otherwise, the file is there and does not run.
        for policy, reason in ((None, "Package installation is disabled (E_PKG_DISABLED)"),
                               (world.policy(PORT, allowedHosts=["a.example"]), f"Host 'localhost:{PORT}' is not in the allowed hosts list (E_PKG_HOST_DENIED)"),
                               (world.policy(PORT, maxPackageBytes=10), f"Package size {len(Server.files['/hello.wasm'])} exceeds limit of 10 bytes (E_PKG_TOO_LARGE)"),
                               (world.policy(PORT, maxInstalledPackages=0), "Maximum of 0 packages reached (E_PKG_LIMIT)")):
            plain = Sandbox(package_policy=policy)
            self.addCleanup(plain.destroy)
            self.assertEqual(plain.import_state(state).skipped, [f"package hello: {reason}"])
            self.assertEqual(plain.commands.run("hello").exit_code, 126)

    def test_a_state_that_lies(self):
        """What an import says is installed is anybody's word."""
        sandbox = self.sandbox()
        sandbox.packages.install(f"{BASE}/hello.wasm")
        sandbox.files.write("/usr/share/pkg/bin/hello.wasm", Server.files["/other.wasm"], mode=0o755)
        state = sandbox.export_state()
        other = self.sandbox()
        self.assertEqual(other.import_state(state).skipped, ["package hello: its file is not there, or has another hash (E_PKG_INTEGRITY)"])
        self.assertEqual(other.commands.run("hello").exit_code, 126)
        for text in ("nonsense", '{"packages": {"../../x": {}}}', '{"packages": []}', "[" * 100_000):
            sandbox.files.write("/usr/share/pkg/packages.json", text)
            self.assertEqual(self.sandbox().import_state(sandbox.export_state()).skipped, [])

    def test_forks_and_snapshots(self):
        sandbox = self.sandbox()
        sandbox.packages.install(f"{BASE}/hello.wasm")
        before = sandbox.snapshot()
        copy = sandbox.fork()
        self.addCleanup(copy.destroy)
        self.assertEqual(copy.commands.run("hello; pkg list | cut -f 1").stdout, "hi\nhello\n")
        copy.packages.install(f"{BASE}/other.wasm")
        sandbox.packages.install(f"{BASE}/third.wasm")
        self.assertEqual(copy.commands.run("other; third 2>/dev/null; echo $?").stdout, "ho\n127\n")
        self.assertEqual(sandbox.commands.run("third; other 2>/dev/null; echo $?").stdout, "hu\n127\n")
        sandbox.packages.remove("hello")
        sandbox.restore(before)
        self.assertEqual([one.name for one in sandbox.packages.list()], ["hello"])
        self.assertEqual(sandbox.commands.run("hash -r; hello; third 2>/dev/null; echo $?").stdout, "hi\n127\n")
        sandbox.packages.install(f"{BASE}/third.wasm")
        self.assertEqual(sandbox.commands.run("third").stdout, "hu\n")

    def test_a_fork_in_the_middle(self):
        """Whoever is just asking goes on in the sandbox, and is told the end in the copy."""
        sandbox = self.sandbox()
        sandbox.commands.run("(exec 7<>/dev/cordon/pkg; echo >/tmp/open; exec cat <&7 >/tmp/out 2>&1) & until [ -e /tmp/open ]; do sleep 0.02; done")
        copy = sandbox.fork()
        self.addCleanup(copy.destroy)
        self.assertEqual(copy.commands.run("wait; echo over", timeout_ms=20_000).stdout, "over\n")
        self.assertEqual(copy.commands.run(f"pkg install {BASE}/hello.wasm >/dev/null; hello").stdout, "hi\n")
        self.assertEqual(sandbox.commands.run("kill %1 && echo was there; pkg list").stdout, "was there\n")

    def test_states_that_are_kept(self):
        os.environ["CORDON_STATE_DIR"] = str(WORLD / "states")
        self.addCleanup(os.environ.pop, "CORDON_STATE_DIR")
        options = dict(persistence={"mode": "persistent", "namespace": "p"}, package_policy=world.policy(PORT))
        with Sandbox(**options) as sandbox:
            sandbox.packages.install(f"{BASE}/hello.wasm")
        with Sandbox(**options) as sandbox:
            self.assertEqual(sandbox.commands.run("hello; pkg list | cut -f 1").stdout, "hi\nhello\n")


if __name__ == "__main__":
    sys.exit(world.main(sys.modules[__name__], [name for name in sys.argv[1:] if not name.startswith("-")]))

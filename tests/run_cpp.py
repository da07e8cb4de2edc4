#!/usr/bin/env python3
"""The C++ interface as somebody else has it: programs of sdk/cpp, built against what was installed: run_cpp.py [NAME...]"""
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

import package_world as world

BUILD = world.ROOT / "build"


def run(*words, **options):
    return subprocess.run([*map(str, words)], capture_output=True, text=True, check=False, **options)


class Programs(unittest.TestCase):
    """Each says what did not hold, or "all of it"."""

    @classmethod
    def setUpClass(cls):
        """With the compiler of the system and nothing but what was installed, whose command they start."""
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.folder = folder.name
        installed = pathlib.Path(cls.folder, "there")
        for words in (("--install", BUILD, "--prefix", installed),
                      ("-S", world.ROOT / "tests/sdk/cpp", "-B", f"{cls.folder}/build", "-G", "Ninja", "-DCMAKE_CXX_COMPILER=clang++-19",
                       f"-DCMAKE_PREFIX_PATH={installed}"), ("--build", f"{cls.folder}/build")):
            done = run("cmake", *words)
            assert done.returncode == 0, done.stdout + done.stderr
        cls.environment = {"PATH": f"{installed}/bin:/usr/bin:/bin", "HOME": cls.folder, "XDG_CACHE_HOME": str(world.CACHE),
                           "CORDON_CA_FILE": os.environ["CORDON_CA_FILE"], "CORDON_STATE_DIR": f"{cls.folder}/states"}

    def program(self, name, *words):
        done = run(f"{self.folder}/build/{name}", *words, env=self.environment, timeout=180)
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "all of it\n", ""))

    def test_commands_files_and_states(self):
        self.program("example")

    def test_sessions(self):
        self.program("sessions")

    def test_mounts(self):
        with tempfile.TemporaryDirectory() as folder:
            self.program("mounts", folder)

    def test_file_systems(self):
        self.program("file_systems")

    def test_extensions(self):
        self.program("extensions")

    def test_packages(self):
        base = f"localhost:{world.serve()}"
        packages = {}
        for name, says in (("hello", "hi"), ("other", "ho")):
            data = world.assemble(world.COMMAND % says)
            world.Server.files[f"/{name}.wasm"] = data
            packages[name] = {"url": f"https://{base}/{name}.wasm", "sha256": world.hash_of(data), "size": len(data), "description": f"says {name}"}
        world.Server.files["/pkg-index.json"] = json.dumps({"version": 1, "packages": packages}).encode()
        world.Server.files["/stalled.wasm"] = world.stalled
        self.program("packages", base)


if __name__ == "__main__":
    sys.exit(world.main(sys.modules[__name__], sys.argv[1:]))

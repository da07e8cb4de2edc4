#!/usr/bin/env python3
"""What goes with the userland to whoever is given it: its exact sources in one archive, notices in the image: run_sources.py [NAME…]"""
import hashlib
import json
import os
import pathlib
import subprocess
import sys
import tarfile
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = pathlib.Path(os.environ.get("CORDON_BUILD", ROOT / "build"))


def pack(target, *ports):
    subprocess.run([ROOT / "guest/pack_sources.py", target, *ports], stdout=subprocess.DEVNULL, check=True)


class Sources(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))

    def test_each_source_is_the_one_that_is_pinned(self):
        """A source package with its .dsc, one whose files are pinned, one of npm's, what another needs, and the libc."""
        pack(self.folder / "a.tar", "bzip2", "zip", "quickjs")
        with tarfile.open(self.folder / "a.tar") as archive:
            files = {member.name: archive.extractfile(member).read() for member in archive}
        pins = {port["name"]: port["source"] for port in json.loads((BUILD / "guest/manifest.json").read_text())["ports"]}
        hashes = {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
        of = {port: {name.rpartition("/")[2]: value for name, value in hashes.items() if name.startswith(f"userland-sources/sources/{port}/")}
              for port in ("bzip2", "zip", "quickjs", "musl")}
        self.assertEqual([name for name, value in of["bzip2"].items() if value == pins["bzip2"]], ["bzip2_1.0.8-5.dsc"])
        listed = files["userland-sources/sources/bzip2/bzip2_1.0.8-5.dsc"].decode()
        for name, value in of["bzip2"].items():
            self.assertTrue(name.endswith(".dsc") or f" {value} " in listed, name)
        self.assertEqual(of["zip"], {name: value for value, name in pins["zip"]})
        self.assertEqual(list(of["quickjs"].values()), [pins["quickjs"]])
        self.assertTrue(any(name.endswith(".dsc") for name in of["musl"]))

    def test_what_builds_them_is_there_as_it_is_here(self):
        pack(self.folder / "a.tar", "zlib")
        with tarfile.open(self.folder / "a.tar") as archive:
            archive.extractall(self.folder, filter="data")
        there = self.folder / "userland-sources/cordon"
        for name in ("guest/build.py", "guest/ports/bash/recipe.sh", "guest/libc/patches/musl.patch", "src/kernel/syscalls.def"):
            self.assertEqual((there / name).read_bytes(), (ROOT / name).read_bytes(), name)
        self.assertTrue(os.access(there / "guest/libc/build-musl.sh", os.X_OK))

    def test_equal_trees_give_equal_archives(self):
        for name in ("a.tar", "b.tar"):
            pack(self.folder / name, "zlib")
        self.assertEqual((self.folder / "a.tar").read_bytes(), (self.folder / "b.tar").read_bytes())

    def test_an_unknown_port_is_named(self):
        done = subprocess.run([ROOT / "guest/pack_sources.py", self.folder / "a.tar", "no-such"], capture_output=True, text=True, check=False)
        self.assertEqual((done.returncode, done.stderr), (1, "guest: there is no port no-such\n"))

    def test_every_port_has_its_notices_in_the_image(self):
        for port in ["musl", *(path.parent.name for path in (ROOT / "guest/ports").glob("*/recipe.sh"))]:
            notices = BUILD / "guest/rootfs/usr/share/doc" / port / "copyright"
            self.assertGreater(notices.stat().st_size, 100, port)


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[1:]])

#!/usr/bin/env python3
"""Files as streams through the SDKs: run_live_streams.py [NAME...]"""
import asyncio
import io
import os
import pathlib
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "sdk/python"))
os.environ["CORDON"] = str(ROOT / "build/cordon")

from cordon_sandbox import AsyncSandbox, RpcError, Sandbox  # noqa: E402
from typescript import needs_node, run_with_package  # noqa: E402

MIB = 1 << 20
DATA = bytes(range(256)) * 4096 * 5 + b"the end"  # more than one request


class Broken(Exception):
    pass


def broken():
    yield b"x" * 3 * MIB
    raise Broken


class Streams(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.sandbox = Sandbox()
        cls.files = cls.sandbox.files

    @classmethod
    def tearDownClass(cls):
        cls.sandbox.destroy()

    def setUp(self):
        self.addCleanup(self.sandbox.commands.run, "rm -rf /tmp/t")
        self.files.mkdir("/tmp/t")

    def names(self):
        return sorted(entry.name for entry in self.files.list("/tmp/t"))

    def test_read(self):
        self.files.write("/tmp/t/f", DATA)
        pieces = list(self.files.read_stream("/tmp/t/f"))
        self.assertEqual(b"".join(pieces), DATA)
        self.assertEqual({len(piece) for piece in pieces[:-1]}, {MIB})
        self.assertEqual(b"".join(self.files.read("/tmp/t/f", stream=True)), DATA)
        self.assertEqual(b"".join(self.files.read("/tmp/t/f", format="stream", offset=5, length=3 * MIB)), DATA[5:5 + 3 * MIB])
        self.assertEqual([len(piece) for piece in self.files.read_stream("/tmp/t/f", length=25, piece_bytes=10)], [10, 10, 5])
        self.assertEqual(self.files.read("/tmp/t/f"), DATA)
        self.assertEqual(self.files.read("/tmp/t/f", offset=len(DATA) - 3, format="text"), "end")
        self.files.write("/tmp/t/empty", b"")
        self.assertEqual(list(self.files.read_stream("/tmp/t/empty")), [])
        with self.assertRaises(RpcError) as caught:
            next(self.files.read_stream("/tmp/t/none"))
        self.assertEqual(caught.exception.errno, "ENOENT")

    def test_no_more_is_asked_for_than_one_ahead(self):
        self.files.write("/tmp/t/f", DATA)
        asked = []
        start = self.sandbox._start
        self.sandbox._start = lambda method, params, *rest: asked.append(params) or start(method, params, *rest)
        try:
            stream = self.files.read_stream("/tmp/t/f", piece_bytes=MIB // 4)
            for count in range(1, 4):
                next(stream)
                self.assertEqual(len(asked), count + 1)
            stream.close()
            self.assertEqual(len(asked), 4)
        finally:
            del self.sandbox._start
        self.assertEqual(self.files.read("/tmp/t/f", length=3), DATA[:3])

    def test_write(self):
        for name, data in (("generator", (DATA[at:at + 100_000] for at in range(0, len(DATA), 100_000))), ("file", io.BytesIO(DATA)), ("list", [DATA[:7], DATA[7:]])):
            self.files.write(f"/tmp/t/{name}", data, mode=0o600)
            self.assertEqual(self.files.read(f"/tmp/t/{name}"), DATA, name)
            self.assertEqual(self.files.stat(f"/tmp/t/{name}").mode & 0o777, 0o600)
        self.assertEqual(self.names(), ["file", "generator", "list"])
        self.files.write("/tmp/t/text", iter(["one\n", "zwei ü\n"]))
        self.assertEqual(self.files.read("/tmp/t/text", format="text"), "one\nzwei ü\n")
        self.files.write("/tmp/t/text", ["more", b""], append=True)
        self.files.write("/tmp/t/text", [])
        self.assertEqual(self.files.read("/tmp/t/text"), b"")
        with tempfile.TemporaryFile() as file:
            file.write(DATA)
            file.seek(0)
            self.files.write("/tmp/t/deep/er", file)
        self.assertEqual(self.files.read("/tmp/t/deep/er"), DATA)

    def test_a_write_replaces_in_one_step_or_not_at_all(self):
        self.files.write("/tmp/t/f", b"before")
        seen = []
        def watched():
            for at in range(0, len(DATA), MIB):
                yield DATA[at:at + MIB]
                seen.append(self.files.read("/tmp/t/f"))
        self.files.write("/tmp/t/f", watched())
        self.assertEqual(set(seen), {b"before"})
        self.assertEqual(self.files.read("/tmp/t/f"), DATA)
        with self.assertRaises(Broken):
            self.files.write("/tmp/t/f", broken())
        self.assertEqual(self.files.read("/tmp/t/f"), DATA)
        with self.assertRaises(RpcError):
            self.files.write("/proc/f", iter([DATA]))
        self.assertEqual(self.names(), ["f"])

    def test_asyncio(self):
        async def work():
            async with AsyncSandbox() as sandbox:
                async def source():
                    for at in range(0, len(DATA), 300_000):
                        yield DATA[at:at + 300_000]
                await sandbox.files.write("/tmp/f", source())
                self.assertEqual(await sandbox.files.read("/tmp/f"), DATA)
                await sandbox.files.write("/tmp/g", sandbox.files.read_stream("/tmp/f"))
                stream = await sandbox.files.read("/tmp/g", stream=True)
                self.assertEqual(b"".join([piece async for piece in stream]), DATA)
                await sandbox.files.write("/tmp/h", io.BytesIO(DATA))
                async for piece in sandbox.files.read_stream("/tmp/h"):
                    self.assertEqual(piece, DATA[:MIB])
                    break
                async def fails():
                    for piece in broken():
                        yield piece
                with self.assertRaises(Broken):
                    await sandbox.files.write("/tmp/h", fails())
                self.assertEqual(await sandbox.files.read("/tmp/h"), DATA)
                self.assertEqual([one.name for one in await sandbox.files.list("/tmp")], ["f", "g", "h"])
        asyncio.run(work())

    @needs_node
    def test_typescript(self):
        run_with_package(self, "streams.mjs")


if __name__ == "__main__":
    unittest.main(verbosity=2)

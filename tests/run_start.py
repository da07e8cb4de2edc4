#!/usr/bin/env python3
"""What the start of our programs does not ask the processor: cmake/quick_start.py, on the C library that they are linked with."""
import pathlib
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.append(str(ROOT / "cmake"))
import quick_start  # noqa: E402

LIBRARY = subprocess.run(["g++", "-print-file-name=libc.a"], capture_output=True, text=True, check=True).stdout.strip()
PROGRAM = """
#include <stdio.h>
#include <string.h>
#include <unistd.h>
static char from[64 << 20], to[64 << 20];
int main(void) {
  for (size_t i = 0; i < sizeof from; ++i) from[i] = (char)(i * 31 >> 3);
  for (size_t size = 1; size <= sizeof from; size *= 4) {
    memcpy(to, from, size);
    if (memcmp(to, from, size) != 0) return 1;
  }
  printf("%ld\\n", sysconf(_SC_LEVEL3_CACHE_SIZE));
  return 0;
}
"""


def is_known_processor():
    text = pathlib.Path("/proc/cpuinfo").read_text()
    return "GenuineIntel" in text or "AuthenticAMD" in text


def is_known_library():
    found = quick_start.Object(subprocess.run(["ar", "p", LIBRARY, quick_start.MEMBER], capture_output=True, check=True).stdout)
    return any(name.split(".")[0] == "handle_intel" for name, *_ in found.functions())


class QuickStart(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def printed(self, *objects):
        (self.folder / "p.c").write_text(PROGRAM)
        subprocess.run(["gcc", "-O2", "-static", "-o", self.folder / "p", self.folder / "p.c", *objects], check=True)
        return subprocess.run([self.folder / "p"], capture_output=True, text=True, check=True).stdout.strip()

    def test_a_program_starts_copies_and_has_not_asked(self):
        quick_start.main(LIBRARY, self.folder / "start.o")
        told = self.printed(self.folder / "start.o")
        if is_known_processor() and is_known_library():
            self.assertEqual(told, str(quick_start.SIZE))
        else:
            self.assertEqual(told, self.printed())

    def test_a_library_that_starts_otherwise_is_left_as_it_is(self):
        (self.folder / "libc-start.c").write_text("long handle_intel(void) { return 0; }\n")
        subprocess.run(["gcc", "-c", "libc-start.c"], cwd=self.folder, check=True)
        subprocess.run(["ar", "rc", "other.a", quick_start.MEMBER], cwd=self.folder, check=True)
        said = subprocess.run([quick_start.__file__, "other.a", "start.o"], cwd=self.folder, capture_output=True, text=True, check=True)
        self.assertIn("other.a starts in another way", said.stdout)
        self.assertEqual((self.folder / "start.o").read_bytes(), (self.folder / quick_start.MEMBER).read_bytes())

    @unittest.skipUnless(is_known_library(), "this C library is not known to ask")
    def test_what_is_built_starts_so(self):
        for name in ("cordon", "cordon-template", "cordon-unpack", "cordon-gateway"):
            program = quick_start.Object((ROOT / "build" / name).read_bytes())
            answers = {}
            for function, section, address, _ in program.functions():
                answer = quick_start.ANSWERS.get(function.split(".")[0])
                if answer is not None:
                    at = program.sections[section][4] + address - program.sections[section][3]
                    answers[function.split(".")[0]] = bytes(program.bytes[at:at + len(answer)])
            self.assertEqual(answers, quick_start.ANSWERS, name)


if __name__ == "__main__":
    unittest.main(verbosity=2)

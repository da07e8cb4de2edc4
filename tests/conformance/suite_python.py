"""CPython's own regression suite: Lib/test of its source, each module by regrtest in a process of its own. No resource is
enabled (-u), so what needs a network, much disk, much processor time or a display is skipped, by the suite's own switches."""
import re
import subprocess

from suite import Result, Suite, last_line

# Tests that lie inside of the packages that they test, which the image and the distribution leave out.
INSIDE = ["unittest/test", "lib2to3/tests", "distutils/tests", "ctypes/test"]

START = """\
'''regrtest with the parts of packages that are tests only.'''
import faulthandler
import importlib
import os

HERE = os.path.dirname(os.path.abspath(__file__))
for name in ("unittest", "lib2to3", "distutils", "ctypes"):
    try:
        importlib.import_module(name).__path__.append(os.path.join(HERE, "inside", name))
    except ImportError:
        pass
try:
    faulthandler.dump_traceback_later(3600)
    faulthandler.cancel_dump_traceback_later()
except RuntimeError:  # no threads: regrtest goes without the watchdog of its own exit
    faulthandler.dump_traceback_later = lambda *_, **__: None
if __name__ == "__main__":
    from test.libregrtest import main
    main()
"""


class Python(Suite):
    name = "python3.11"
    seconds = 400
    batch = 4
    # Programs that the tests start look nowhere else.
    installed = {"lib/test": "/usr/lib/python3.11/test"}

    def tests(self):
        folder = self.source / "Lib/test"
        names = sorted(path.stem for path in folder.iterdir() if path.name.startswith("test_") and
                       (path.suffix == ".py" or (path / "__init__.py").is_file()))
        start = "exec /usr/bin/python3.11 start.py --tempdir $TMPDIR -v"
        return [(name, f"{start} {name}") for name in names]

    def fill(self, tree):
        (tree / "lib").mkdir()
        subprocess.run(["cp", "-r", str(self.source / "Lib/test"), str(tree / "lib/test")], check=True)
        for name in INSIDE:
            target = tree / "inside" / name
            target.parent.mkdir(parents=True)
            subprocess.run(["cp", "-r", str(self.source / "Lib" / name), str(target)], check=True)
        (tree / "start.py").write_text(START)
        for name in ("support", "libregrtest"):
            subprocess.run(["/usr/bin/python3.11", "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash", str(tree / "lib/test" / name)],
                           check=True)

    def verdict(self, status, log):
        skipped = re.search(r"^test_\w+ skipped(?: -- (.*)| \((.*)\))?$", log, re.M)
        if status == 0:
            return Result("skip", (skipped[1] or skipped[2] or "")[:160]) if skipped else Result("pass")
        if status in (124, 137):
            return Result("fail", f"not done in {self.seconds} s")
        bad = list(dict.fromkeys(re.findall(r"^(?:FAIL|ERROR): (\w+)", log, re.M)))
        if not bad:
            return Result("fail", last_line(log))
        count = re.findall(r"^Ran (\d+) tests?", log, re.M)
        return Result("fail", f"{len(bad)} of {count[-1] if count else '?'}: {' '.join(bad)}"[:300])


SUITE = Python

"""What a suite is: which source it comes from, how its folder is made without a build tree, which tests it has and what
their output means. One subclass a suite, in the file of its name."""
import dataclasses
import os
import pathlib
import re
import shutil
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "guest"))
import build as guest  # noqa: E402  the recipes' pins and the toolchain
import sources  # noqa: E402

UNPACKED = guest.CACHE.parent / "conformance"


@dataclasses.dataclass
class Result:
    outcome: str  # pass, fail or skip
    reason: str = ""
    log: str = ""


def unpack(package):
    """The folder of the source package that the recipe of `package` pins: fetched, verified, patched, kept in the cache."""
    port = guest.Port(package, guest.Toolchain(), [])
    folder = UNPACKED / f"{package}-{port.version.replace(':', '_')}"
    if not folder.is_dir():
        UNPACKED.mkdir(parents=True, exist_ok=True)
        work = UNPACKED / f".{folder.name}.{os.getpid()}"
        try:
            port.unpack(work)
        except (guest.BuildError, sources.SourceError) as error:
            sys.exit(f"unpacking {package}: {error}")
        work.rename(folder)
    return folder, re.sub(r"^\d+:|-[^-]*$", "", port.version)


def words_of_makefile(text, name):
    """The words of all assignments of a makefile's variable."""
    text = text.replace("\\\n", " ")
    return [word for line in re.findall(rf"^{name}\s*\+?=(.*)$", text, re.M) for word in line.split() if not word.startswith("$(")]


class Suite:
    name = ""            # of the suite and of its source package
    seconds = 60         # one test may take
    batch = 40           # tests that share one sandbox
    options = []         # of `cordon run`, beside those that all have
    installed = {}       # {folder of the tree: where an installation has it}, on both sides

    def __init__(self):
        self.source, self.version = unpack(self.name)
        self.work = None     # a temporary folder, while the suite runs

    def tests(self):
        """[(name, shell command)], in order. The command runs in the tree that fill() made."""
        raise NotImplementedError

    def fill(self, tree):
        """Puts into the empty folder `tree` what the tests need; a setup.sh there runs once before the tests of a batch."""
        raise NotImplementedError

    def helpers(self):
        """{name: [C files and compiler options]} of programs that the upstream build makes for its tests only."""
        return {}

    def verdict(self, status, log):
        """A Result from the exit status and the output of a test; automake's convention."""
        if status == 0:
            return Result("pass")
        if status == 77:
            return Result("skip", reason_of_skip(log))
        if status in (124, 137):
            return Result("fail", f"not done in {self.seconds} s")
        return Result("fail", last_line(log))

    def verdict_of(self, _name, status, log):
        return self.verdict(status, log)

    def copy(self, tree, *names):
        for name in names:
            source, target = self.source / name, tree / name
            target.parent.mkdir(parents=True, exist_ok=True)
            if source.is_dir():
                shutil.copytree(source, target, symlinks=True, dirs_exist_ok=True)
            else:
                shutil.copy2(source, target)


def reason_of_skip(log):
    found = re.findall(r"(?:skipped test: |skip: |: skipping[^:]*: )(.*)", log)
    return found[0].strip() if found else last_line(log)


def last_line(log):
    """What says most of a failure in one line: the last one that is not a trace of the shell or of cleaning up."""
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    noise = re.compile(r"\++ |(rm|chmod|cd|exit) |Exit |removed|%")
    said = [line for line in lines if not noise.match(line)] or lines or ["no output"]
    return said[-1][:160]

"""GNU findutils: the shell scripts of tests/, which stand on init.sh, and the DejaGnu tests of find and xargs, each translated
to a shell script by dejagnu.tcl, because the sandbox has no Tcl."""
import re
import shutil
import subprocess

from automake import Automake
from suite import pathlib

HERE = pathlib.Path(__file__).parent


class Findutils(Automake):
    name = "findutils"
    programs = ["find", "xargs"]
    folder = "."
    include = ["tests", "init.cfg", "find/testsuite", "xargs/testsuite"]
    variables = "PREFERABLY_POSIX_SHELL=/bin/sh"

    def scripts_folder(self):
        return "tests"

    def test_names(self):
        makefile = (self.source / "tests/local.mk").read_text()
        listed = re.search(r"^all_tests = \\\n(.*?)\n\n", makefile, re.M | re.S)[1]
        return [*re.findall(r"tests/\S+\.sh", listed), "tests/find/type_list.sh"]

    def dejagnu(self):
        return sorted(str(path.relative_to(self.source)) for program in ("find", "xargs")
                      for path in (self.source / program / "testsuite").glob("*/*.exp") if path.parent.name != "config")

    def tests(self):
        found = [(name.removeprefix("tests/"), self.command(name)) for name in self.test_names()]
        for path in self.dejagnu():
            parts = path.removesuffix(".exp").split("/")
            found.append((f"{parts[2]}/{parts[3]}", f"export LC_ALL=C GNU_FINDUTILS_FD_LEAK_CHECK=1 top=$PWD; mkdir -p run/{parts[2]}-{parts[3]}; "
                          f"cd run/{parts[2]}-{parts[3]}; exec bash $top/{path.removesuffix('.exp')}.sh"))
        return found

    def fill(self, tree):
        super().fill(tree)
        for path in self.dejagnu():
            script = subprocess.run(["tclsh", str(HERE / "dejagnu.tcl"), str(self.source / path), path], capture_output=True, text=True, check=False)
            # What cannot be translated says so and fails on both sides.
            text = script.stdout if script.returncode == 0 else f"echo 'not translated: {path}' >&2\nexit 77\n"
            (tree / path).with_suffix(".sh").write_text(text)
        shutil.copy(HERE / "dejagnu.sh", tree)


SUITE = Findutils

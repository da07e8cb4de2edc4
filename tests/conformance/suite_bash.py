"""bash: tests/run-* of its source; each compares the output of a script with what it is to be, and prints the difference."""
import re

from suite import Result, Suite, last_line

WARNINGS = re.compile(r"warning: .*\n?")


class Bash(Suite):
    name = "bash"
    seconds = 240
    batch = 10

    def tests(self):
        names = sorted(path.name for path in (self.source / "tests").glob("run-*"))
        environment = "cd tests && export THIS_SH=/usr/bin/bash BUILD_DIR=$PWD/.. BASH_TSTOUT=$TMPDIR/bashtst-$$ PATH=$PWD:$PATH &&"
        return [(name.removeprefix("run-"), f"{environment} sh ./{name}") for name in names if name not in ("run-all", "run-minimal", "run-gprof")]

    def fill(self, tree):
        self.copy(tree, "tests", "y.tab.c", "config.h.in")
        (tree / "config.h.in").rename(tree / "config.h")  # a here-document includes its text
        (tree / "setup.sh").write_text('for helper in recho zecho xcase printenv; do ln -sf "$(command -v $helper)" tests/; done\n')

    def helpers(self):
        include = self.work / "include"
        include.mkdir(exist_ok=True)
        (include / "config.h").write_text("#define HAVE_STRING_H 1\n#define HAVE_STDLIB_H 1\n#define HAVE_UNISTD_H 1\n")
        (include / "bashansi.h").write_text("#include <stdlib.h>\n#include <string.h>\n")
        return {name: [str(self.source / f"support/{name}.c"), f"-I{include}", "-DHAVE_CONFIG_H"] for name in ("recho", "zecho", "xcase", "printenv")}

    def verdict(self, status, log):
        """The scripts do not agree on their status; any output but warnings is a difference."""
        said = WARNINGS.sub("", log).strip()
        if status in (124, 137):
            return super().verdict(status, log)
        different = re.findall(r"^[<>] .*", said, re.M)
        if not different and (status == 0 or not said):
            return Result("pass")
        return Result("fail", f"{len(different)} lines differ, first {different[0]}"[:160] if different else last_line(said))


SUITE = Bash

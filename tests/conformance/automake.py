"""What the suites of GNU programs share that run scripts on gnulib's init.sh: the environment of automake's test harness, and a
folder with links to the programs of the system under test where the built ones would be."""
from suite import Result, Suite, words_of_makefile  # noqa: F401  for the suites

SETUP = r"""
mkdir -p "@BIN@"
for program in @PROGRAMS@; do ln -sf "$(command -v "$program")" "@BIN@/$program"; done
for helper in @HELPERS@; do ln -sf "$(command -v "$helper")" "@SCRIPTS@/$helper"; done
"""

ENVIRONMENT = r"""
top=$PWD
cd "@FOLDER@"
if test -f @SCRIPTS@/envvar-check; then
  unset TMPDIR
  . ./@SCRIPTS@/envvar-check
fi
export LC_ALL=C TMPDIR=$top/tmp VERSION=@VERSION@ PACKAGE_VERSION=@VERSION@ PACKAGE_BUGREPORT=bug-@NAME@@gnu.org
export LOCALE_FR=none LOCALE_FR_UTF8=none AWK=awk EGREP='grep -E' EXEEXT= CC=false MAKE=make PERL=perl SHELL=/bin/bash
export abs_top_builddir=$top abs_top_srcdir=$top abs_srcdir=$PWD srcdir=. top_srcdir=$top built_programs='@PROGRAMS@'
export host_triplet=$HOSTTYPE-linux-gnu host_os=linux-gnu CONFIG_HEADER=$top/config.h fail=0
export @VARIABLES@
export PATH=$top/@BIN@:$PATH
exec 9>&2
"""


class Automake(Suite):
    programs = []            # that are tested
    folder = "tests"         # where the scripts start
    bin = "src"              # where they expect the programs
    include = ["tests"]      # what of the source they need
    scripts = None           # the folder of init.sh's companions, relative to `folder`
    variables = "fail=0"     # of this suite
    expected_failures = []   # scripts that are to fail

    def test_names(self):
        raise NotImplementedError

    def tests(self):
        return [(name, self.command(name)) for name in dict.fromkeys(self.test_names())]

    def scripts_folder(self):
        return "testsuite" if self.folder == "." else "."

    def command(self, name):
        start = f"tst={name}; . ./environment; "
        if not name.endswith(".pl"):
            return f"{start} exec bash ./{name}"
        return f"{start} exec perl -w -I$PWD/{self.scripts_folder()} -MCuSkip -MCoreutils -M'CuTmpdir qw({name})' {name}"

    def fill(self, tree):
        self.copy(tree, *self.include)
        places = {"BIN": self.bin, "PROGRAMS": " ".join(self.programs), "VERSION": self.version, "NAME": self.name, "FOLDER": self.folder,
                  "VARIABLES": self.variables, "SCRIPTS": self.scripts_folder()}
        (tree / "setup.sh").write_text(filled(SETUP, places | {"HELPERS": " ".join(self.helpers()),
                                                               "SCRIPTS": f"{self.folder}/{self.scripts_folder()}"}))
        (tree / "environment").write_text(filled(ENVIRONMENT, places))
        (tree / "config.h").write_text("")

    def small(self, source):
        """How to compile a program of the source that includes gnulib's headers for its own name only."""
        empty = self.work / "include"
        empty.mkdir(exist_ok=True)
        for name, text in {"config.h": "", "progname.h": "#define set_program_name(name) ((void)(name))\n", "getprogname.h": ""}.items():
            (empty / name).write_text(text)
        return [str(self.source / source), f"-I{empty}"]

    def verdict_of(self, name, status, log):
        if name in self.expected_failures and status not in (77, 124, 137):
            return Result("pass") if status != 0 else Result("fail", "passes, and is known to fail")
        return self.verdict(status, log)


def filled(text, values):
    for name, value in values.items():
        text = text.replace(f"@{name}@", value)
    return text

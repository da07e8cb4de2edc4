"""gawk: test/ of its source; its makefile's targets compare what gawk prints with what it is to print, and leave what differs."""
import re

from suite import Result, Suite, last_line, words_of_makefile

VALUES = {"srcdir": ".", "abs_srcdir": ".", "abs_builddir": ".", "SHELL": "/bin/bash", "PATH_SEPARATOR": ":", "LN_S": "ln -s", "AWK": "gawk",
          "MKDIR_P": "mkdir -p", "SET_MAKE": "", "CFLAGS": "-O2", "EXEEXT": "", "abs_top_builddir": "..", "top_srcdir": "..", "top_builddir": ".."}
GROUPS = ["BASIC_TESTS", "UNIX_TESTS", "GAWK_EXT_TESTS", "MACHINE_TESTS", "LOCALE_CHARSET_TESTS"]


class Gawk(Suite):
    name = "gawk"
    batch = 60

    def tests(self):
        makefile = (self.source / "test/Makefile.am").read_text()
        names = [word for group in GROUPS for word in words_of_makefile(makefile, group)]
        # What differs stays in _NAME beside what it is to be; the recipes themselves always succeed.
        return [(name, f"cd test && rm -f _{name} && make -s {name} && if [ -e _{name} ]; then "
                       f"diff {name}.ok _{name}; exit 1; fi") for name in dict.fromkeys(names)]

    def fill(self, tree):
        self.copy(tree, "test")
        text = (tree / "test/Makefile.in").read_text()
        text = re.sub(r"^# Tell versions.*", "", text, flags=re.M)
        text = re.sub(r"^include \./\$\(DEPDIR\).*$", "", text, flags=re.M)
        text = re.sub(r"@(\w+)@", lambda found: VALUES.get(found[1], ""), text)
        # Rules that would make the makefile again.
        text = re.sub(r"^(?:Makefile|\$\(srcdir\)/Makefile\.in|\$\(top_srcdir\)/configure|\$\(ACLOCAL_M4\)|\$\(am__aclocal_m4_deps\)):.*\n(?:\t.*\n)*", "", text,
                      flags=re.M)
        (tree / "test/Makefile").write_text(text)
        (tree / "setup.sh").write_text("ln -s /usr/bin/gawk gawk\n")

    def verdict(self, status, log):
        if status in (124, 137) or status == 0:
            return super().verdict(status, log)
        different = re.findall(r"^[<>] .*", log, re.M)
        return Result("fail", f"{len(different)} lines differ, first {different[0]}"[:160] if different else last_line(log))


SUITE = Gawk

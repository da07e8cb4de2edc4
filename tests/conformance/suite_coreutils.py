"""GNU coreutils: tests/ of its source, shell and perl scripts that stand on init.sh and Coreutils.pm."""
import re

from suite import Suite, words_of_makefile

# What configure found; the same for both sides except what the recipe turns off.
FACTS = """\
#define HAVE_GETMNTENT 1
#define HAVE_INOTIFY 1
#define HAVE_LINKAT 1
#define HAVE_LUTIMES 1
#define HAVE_MNTENT_H 1
#define HAVE_OPENAT 1
#define HAVE_PTHREAD_T 1
#define HAVE_SETGROUPS 1
#define HAVE_UTIMENSAT 1
#define LINK_FOLLOWS_SYMLINKS 0
#undef LINKAT_SYMLINK_NOTSUP
"""
FACTS_OF_HOST = """\
#define HAVE_SELINUX_SELINUX_H 1
#define USE_ACL 1
#define USE_XATTR 1
"""

# src/ is the folder of the built programs: here, links to those of the system under test that say that they are coreutils.
SETUP = r"""
mkdir -p src
built=
for program in $(cat programs.txt); do
  at=$(command -v "/usr/bin/${program/ginstall/install}") || continue
  case $program in
    '[' | test | true | false | kill) ;;
    *) "$at" --version 2>/dev/null </dev/null | sed 1q | grep -q coreutils || continue ;;
  esac
  ln -s "$at" "src/$program"
  built+=" $program"
done
echo "built_programs='$built'" >>environment
cp facts.h config.h
[ "$SIDE" = sandbox ] || cat facts-host.h >>config.h
"""

ENVIRONMENT = r"""
. tests/lang-default
unset TMPDIR
. tests/envvar-check
TMPDIR=$PWD/tmp
export VERSION=@VERSION@ PACKAGE_VERSION=@VERSION@ LOCALE_FR=none LOCALE_FR_UTF8=none fail=0 host_os=linux-gnu
export abs_top_builddir=$PWD abs_top_srcdir=$PWD abs_srcdir=$PWD srcdir=. top_srcdir=. CONFIG_HEADER=$PWD/config.h
export host_triplet=$HOSTTYPE-linux-gnu CC=false AWK=awk EGREP='grep -E' EXEEXT= MAKE=make PERL=perl SHELL=/bin/bash TMPDIR
export CU_TEST_NAME=coreutils,$(echo "$tst" | tr / -)
export PATH=$PWD/src:$PATH built_programs
exec 9>&2
"""


class Coreutils(Suite):
    name = "coreutils"
    seconds = 180

    def tests(self):
        makefile = (self.source / "tests/local.mk").read_text()
        names = words_of_makefile(makefile, "all_tests") + words_of_makefile(makefile, "all_root_tests")
        return [(name.removeprefix("tests/"), self.command(name)) for name in dict.fromkeys(names)]

    @staticmethod
    def command(name):
        start = f"tst={name}; . ./environment; "
        if name.endswith(".sh"):
            return f"{start} exec bash {name}"
        taint = " -T" if name.endswith(".xpl") else ""
        return f"{start} exec perl{taint} -w -I$PWD/tests -MCuSkip -MCoreutils -M'CuTmpdir qw({name})' {name}"

    def fill(self, tree):
        self.copy(tree, "tests", "init.cfg", "src/tail.c", "src/remove.c", "src/stty.c", "build-aux/gen-lists-of-programs.sh", "AUTHORS", "THANKS.in")
        listing = (self.source / "build-aux/gen-lists-of-programs.sh").read_text()
        lists = re.findall(r"^(?:disabled_by_default_progs|build_if_possible_progs|normal_progs)='(.*?)'", listing, re.M | re.S)
        (tree / "programs.txt").write_text("\n".join(word for text in lists for word in text.split() if word != "\\") + "\n")
        (tree / "facts.h").write_text(FACTS)
        (tree / "facts-host.h").write_text(FACTS_OF_HOST)
        (tree / "environment").write_text(ENVIRONMENT.replace("@VERSION@", self.version))
        (tree / "setup.sh").write_text(SETUP)

    def helpers(self):
        return {"getlimits": ["getlimits.c"]}


SUITE = Coreutils

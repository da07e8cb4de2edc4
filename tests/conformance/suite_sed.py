"""GNU sed: testsuite/ of its source, shell and perl scripts that stand on init.sh."""
from automake import Automake, words_of_makefile


class Sed(Automake):
    name = "sed"
    programs = ["sed"]
    folder = "."
    bin = "sed"
    include = ["testsuite", "init.cfg"]
    variables = "MALLOC_PERTURB_=1 LOCALE_JA=none SED_TEST_NAME=$(echo \"$tst\" | tr / -)"

    def test_names(self):
        return words_of_makefile((self.source / "testsuite/local.mk").read_text(), "T")

    def helpers(self):
        return {"get-mb-cur-max": self.small("testsuite/get-mb-cur-max.c")}


SUITE = Sed

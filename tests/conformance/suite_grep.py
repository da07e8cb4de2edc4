"""GNU grep: tests/ of its source, shell and perl scripts that stand on init.sh."""
from automake import Automake, words_of_makefile


class Grep(Automake):
    name = "grep"
    seconds = 180
    programs = ["grep", "egrep", "fgrep"]
    folder = "tests"
    variables = "PCRE_WORKS=1 MALLOC_PERTURB_=1 GREP_TEST_NAME=$(echo \"$tst\" | tr / -)"
    expected_failures = ["triple-backref", "equiv-classes"]

    def test_names(self):
        return words_of_makefile((self.source / "tests/Makefile.am").read_text(), "TESTS")

    def helpers(self):
        return {"get-mb-cur-max": self.small("tests/get-mb-cur-max.c")}


SUITE = Grep

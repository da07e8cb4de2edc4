"""GNU diffutils: tests/ of its source, shell scripts that stand on init.sh."""
from automake import Automake, words_of_makefile


class Diffutils(Automake):
    name = "diffutils"
    programs = ["cmp", "diff", "diff3", "sdiff"]
    folder = "tests"
    variables = "MALLOC_PERTURB_=1 PREFERABLY_POSIX_SHELL=/bin/sh REPLACE_GETCWD=0 DIFFUTILS_TEST_NAME=$(echo \"$tst\" | tr / -)"
    expected_failures = ["large-subopt"]

    def test_names(self):
        return words_of_makefile((self.source / "tests/Makefile.am").read_text(), "TESTS")


SUITE = Diffutils

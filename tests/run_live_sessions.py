#!/usr/bin/env python3
"""Sessions whose shell has learnt strange things: they go on, and what is read of them is right. run_live_sessions.py [NAME...]"""
import os
import pathlib
import sys
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "sdk/python"))
os.environ["CORDON"] = str(ROOT / "build/cordon")

from cordon_sandbox import Sandbox  # noqa: E402

ALIASES = "; ".join(f"alias {name}='echo {name} is an alias'" for name in (".", "builtin", "export", "printf", "trap", "set", "declare"))
# What is told of a session, by words that it cannot have changed.
TOLD = r"pwd; \builtin trap -p; \builtin set +o; \builtin shopt -p; \builtin declare -f; \builtin alias; \builtin declare -p A M V 2>&1"


class Sessions(unittest.TestCase):
    def check(self, setup):
        """In such a session commands run, variables are set and read, and a copy by its state is the same."""
        with Sandbox() as sandbox, Sandbox() as copy:
            sandbox.commands.run(setup)
            for value in ("a b", "$x'\"\n"):
                sandbox.set_env("V", value)
                self.assertEqual(sandbox.get_env("V"), value, setup)
            self.assertIsNone(sandbox.get_env("NOPE"), setup)
            self.assertEqual(sandbox.commands.run(r"\builtin printf %s hi 2>/dev/null").stdout.replace("trap\n", ""), "hi", setup)
            self.assertEqual(copy.import_state(sandbox.export_state()).skipped, [], setup)
            told = [one.commands.run(TOLD, timeout_ms=20000).stdout for one in (sandbox, copy)]
            self.assertEqual(told[0], told[1], setup)
            self.assertIn("declare", told[0])

    def test_aliases_of_every_word(self):
        self.check(ALIASES)

    def test_a_function_that_is_called_as_what_runs_scripts(self):
        self.check("function . { echo mine; }")

    def test_traps_that_print(self):
        self.check("trap 'echo trap' ERR; set -E")
        self.check("trap 'echo trap' DEBUG")
        self.check("set -T; trap 'echo trap' DEBUG; trap 'echo trap' RETURN")

    def test_options(self):
        for option in ("-x", "-v", "-u", "-C", "-f", "-o pipefail", "-o posix"):
            self.check(f"set {option}")
        self.check("shopt -s nullglob failglob extglob lastpipe; IFS=x")

    def test_variables(self):
        self.check("declare -a A=(1 'b c' $'x\\ny'); declare -A M=([k]=v ['a b']='q\"x'); exec 9>/tmp/nine")


if __name__ == "__main__":
    unittest.main(verbosity=2)

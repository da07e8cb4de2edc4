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
TOLD = "; ".join("\\__cordon_builtin " + command for command in ("pwd", "trap -p", "set +o", "shopt -p", "declare -f", "declare -F", "alias",
                                                                   "declare -p A M V 2>&1"))
# Every builtin of bash, and words that are none.
BUILTINS = """. : [ alias bg bind break builtin caller cd command compgen complete compopt continue declare dirs disown echo enable eval exec
exit export false fc fg getopts hash help history jobs kill let local logout mapfile popd printf pushd pwd read readarray readonly return set
shift shopt source suspend test times trap true type typeset ulimit umask unalias unset wait while_ stop ls cat""".split()


class Sessions(unittest.TestCase):
    def check(self, setup):
        """In such a session commands run, variables are set and read, and a copy by its state is the same."""
        with Sandbox() as sandbox, Sandbox() as copy:
            sandbox.commands.run(setup)
            for value in ("a b", "$x'\"\n"):
                sandbox.set_env("V", value)
                self.assertEqual(sandbox.get_env("V"), value, setup)
            self.assertIsNone(sandbox.get_env("NOPE"), setup)
            self.assertEqual(sandbox.commands.run(r"\__cordon_builtin printf %s hi 2>/dev/null").stdout.replace("trap\n", ""), "hi", setup)
            self.assertEqual(copy.import_state(sandbox.export_state()).skipped, [], setup)
            told = [one.commands.run(TOLD, timeout_ms=20000).stdout for one in (sandbox, copy)]
            self.assertEqual(told[0], told[1], setup)
            self.assertIn("declare", told[0])

    def test_aliases_of_every_word(self):
        self.check(ALIASES)

    def test_a_function_that_is_called_as_what_runs_scripts(self):
        self.check("function . { echo mine; }")

    def define(self, *names, body=r"\__cordon_builtin echo mine: $FUNCNAME"):
        return "\n".join(f"function {name} {{ {body}; }}" for name in names)

    def test_functions_that_are_called_as_builtins(self):
        for name in "builtin command declare unset eval printf read exec trap alias cd set shopt true compgen export umask history".split():
            with self.subTest(name):
                self.check(self.define(name))

    def test_functions_that_are_called_as_all_builtins(self):
        # The last one is there before `function` is no more than a word.
        self.check(self.define(*BUILTINS))

    def test_functions_that_fail_print_and_end_as_builtins(self):
        self.check(self.define(*BUILTINS, body="echo wrong >&2; return 3"))
        self.check(self.define("builtin", "printf", "set", body="sleep 60"))

    def test_aliases_of_all_builtins(self):
        self.check("\n".join(f"alias {name}='sleep 60 #'" for name in BUILTINS if name not in (":", "[", ".", "alias")))

    def test_builtins_that_are_disabled(self):
        self.check(f"enable -n {' '.join(name for name in BUILTINS[:-4])}")

    def test_the_functions_answer_and_no_command_is_changed(self):
        with Sandbox() as sandbox, Sandbox() as other:
            sandbox.commands.run(self.define(*BUILTINS))
            for one in (sandbox, sandbox.fork(), other):
                if one is other:
                    self.assertEqual(one.import_state(sandbox.export_state()).skipped, [])
                for name in ("builtin", "echo", "cd", "read", "history", "declare"):
                    self.assertEqual(one.commands.run(f"{name} a").stdout, f"mine: {name}\n")
                result = one.commands.run("(\\__cordon_builtin exit 7)")
                self.assertEqual((result.exit_code, result.stdout, result.stderr), (7, "", ""))

    def test_snapshots_of_sessions_with_functions_that_are_called_as_builtins(self):
        with Sandbox() as sandbox:
            sandbox.commands.run(self.define("builtin", "eval", "printf", "[", "exit", body="return 5") + "\nx=1")
            stored = sandbox.snapshot()
            sandbox.commands.run("x=2; unset -f builtin eval")
            self.assertEqual(sandbox.commands.run("builtin; echo $? $x").stdout, "0 2\n")
            sandbox.restore(stored)
            self.assertEqual(sandbox.commands.run("builtin; echo $? $x").stdout, "5 1\n")
            # The status of the last command, and interrupts, are heard of.
            self.assertEqual(sandbox.commands.run("(\\exec sh -c 'exit 9')").exit_code, 9)
            self.assertEqual(sandbox.fork().commands.run("echo $?").stdout, "9\n")
            self.assertEqual(sandbox.commands.run("while :; do :; done", timeout_ms=300).error_class, "TIMEOUT")
            self.assertEqual(sandbox.commands.run("PS1=x; set -x; builtin; set +x; echo $x").stdout, "1\n")
            self.assertEqual(sandbox.get_env("x"), "1")

    def test_a_session_that_keeps_its_own_functions(self):
        with Sandbox() as sandbox, Sandbox() as other:
            sandbox.commands.run(self.define("declare", "trap", "alias", "shopt", "set", "umask", "cd", body="echo theirs"))
            other.commands.run("cd /tmp; umask 077; declare -A M=([a]=b); alias l='ls -l'; trap 'echo bye' INT; shopt -s nullglob; set -u")
            self.assertEqual(sandbox.import_state(other.export_state(), mode="merge").skipped, [])
            self.assertEqual(sandbox.commands.run(r"pwd; declare; \builtin umask; echo ${M[a]}; \builtin alias l; \builtin trap -p; "
                                                  r"\builtin shopt -q nullglob && echo $-").stdout.split("\n")[:6],
                             ["/tmp", "theirs", "0077", "b", "alias l='ls -l'", "trap -- 'echo bye' SIGINT"])

    def test_functions_with_extended_patterns(self):
        self.check("shopt -s extglob\nf() { case $1 in +(a|b)) echo yes ;; !(c)) echo no ;; esac; }\nshopt -u extglob")

    def test_functions_that_posix_would_refuse(self):
        self.check("function export { echo mine; }\nfunction a-b { echo mine; }\nset -o posix")

    def test_attributes_of_functions(self):
        self.check(self.define("builtin", "declare", "f") + r"""
\__cordon_builtin export -f f; \__cordon_builtin declare -ft builtin; \__cordon_builtin readonly -f declare""")

    def test_streams_by_their_names(self):
        scripts = {
            "cat /dev/stdin": "given\n", "cat < /dev/stdin": "given\n", "wc -l < /dev/fd/0": "1\n", "cat /proc/self/fd/0 - < /dev/null": "",
            "echo a | tee /dev/stdout": "a\na\n", "sh -c 'echo b > /dev/stdout'": "b\n", "cat > /dev/stdout": "given\n",
            "python3 -c \"open('/dev/stdout', 'w').write('c')\"": "c", "(echo d >> /dev/stderr) 2>&1": "d\n", "sh -c 'echo e > /dev/stderr' 2>&1": "e\n",
            "exec 2>&1; sh -c 'echo f > /dev/stderr'": "f\n", "exec 3>&1; sh -c 'echo g > /dev/fd/3'": "g\n",
            "set -C; sh -Cc 'echo h > /dev/stdout'; echo i > /dev/stdout": "h\ni\n",
            "[ /dev/stdin -ef /proc/self/fd/0 ] && sh -c '[ -r /dev/stdin -a -w /dev/stdout ] && echo j'": "j\n"}
        with Sandbox() as sandbox:
            for script, output in scripts.items():
                result = sandbox.commands.run(script, stdin="given\n")
                self.assertEqual((result.exit_code, result.stdout, result.stderr), (0, output, ""), script)
                self.assertEqual(sandbox.commands.exec(["bash", "-c", script], stdin="given\n").stdout, output, script)
            # Not to the wrong end of it, and not to what is over.
            self.assertNotEqual(sandbox.commands.run("sh -c 'echo x > /dev/stdin'").exit_code, 0)
            sandbox.commands.run("exec 5>&1")
            self.assertEqual(sandbox.commands.run("sh -c 'echo late > /dev/fd/5'; echo now").stdout, "now\n")

    def test_the_shells_own_list_of_commands_is_empty(self):
        with Sandbox() as sandbox:
            self.assertEqual(sandbox.commands.run("set -o history; fc -l").stdout, "")

    def test_traps_that_print(self):
        self.check("trap 'echo trap' ERR; set -E")
        self.check("trap 'echo trap' DEBUG")
        self.check("set -T; trap 'echo trap' DEBUG; trap 'echo trap' RETURN")

    def test_a_shell_that_can_begin_nothing_any_more(self):
        for setup in ("x=1; ulimit -n 3", "x=1; set -r"):
            with self.subTest(setup), Sandbox() as sandbox:
                self.assertEqual(sandbox.commands.run(setup).exit_code, 0)
                result = sandbox.commands.run("echo lost")
                self.assertEqual((result.exit_code, result.stdout), (125, ""))
                self.assertIn("cordon: the session's shell cannot open the command any more", result.stderr)
                self.assertEqual(sandbox.commands.run("echo new$x").stdout, "new\n")
                self.assertEqual(sandbox.commands.run("exit 1").exit_code, 1)
                self.assertEqual(sandbox.commands.run("false").exit_code, 1)

    def test_options(self):
        for option in ("-x", "-v", "-u", "-C", "-f", "-o pipefail", "-o posix"):
            self.check(f"set {option}")
        self.check("shopt -s nullglob failglob extglob lastpipe; IFS=x")

    def test_variables(self):
        self.check("declare -a A=(1 'b c' $'x\\ny'); declare -A M=([k]=v ['a b']='q\"x'); exec 9>/tmp/nine")


if __name__ == "__main__":
    unittest.main(verbosity=2)

#!/usr/bin/env python3
"""The commands about a daemon's sandboxes: run_client.py [NAME...]"""
import os
import pathlib
import pty
import subprocess
import tempfile
import unittest

from processes import answers, descendants, eventually, wait_until_gone

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = ROOT / "build"
CORDON = str(BUILD / "cordon")


class Commands(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.socket = f"{self.folder}/s"
        self.daemon = subprocess.Popen([CORDON, "serve", "--unix", self.socket], env={"HOME": self.folder, "PATH": "/usr/bin:/bin"})
        self.addCleanup(self.end)
        self.assertTrue(eventually(lambda: answers(self.socket)))

    def end(self):
        children = descendants(self.daemon.pid)
        self.daemon.terminate()
        self.daemon.wait()
        self.assertEqual(wait_until_gone(children), [])

    def cordon(self, *words, status=0, **options):
        done = subprocess.run([CORDON, *words], env={**os.environ, "CORDON_SOCKET": self.socket}, capture_output=True, text=True,
                              check=False, timeout=60, **options)
        self.assertEqual(done.returncode, status, done.stderr)
        return done

    def create(self, *words):
        return self.cordon("create", *words).stdout.strip()

    def test_forks_and_what_is_saved(self):
        sandbox = self.create()
        ids = self.cordon("fork", "--count", "3", sandbox).stdout.split()
        self.assertEqual(len(set(ids)), 3)
        for one in ids:
            self.assertEqual(self.run_in(one, "echo", "lives"), "lives\n")
        self.assertEqual(len(self.cordon("ls").stdout.splitlines()), 4)
        refused = self.cordon("fork", "--count", "100", sandbox, status=125)
        self.assertEqual(len(refused.stdout.split()), 60)
        self.assertEqual(refused.stderr.count("Maximum of 64"), 40)
        self.assertEqual(self.cordon("ls", "--saved").stdout, "")
        self.assertIn("nothing is saved under the name n", self.cordon("kill", "--saved", "n", status=125).stderr)
        self.cordon("kill", status=125)

    def run_in(self, sandbox, *words, status=0, **options):
        return self.cordon("exec", "--sandbox", sandbox, "--", *words, status=status, **options).stdout

    def test_sandboxes(self):
        one, other = self.create("--env", "A=b"), self.create("--memory", "256MiB", "--timeout", "10s")
        listed = self.cordon("ls").stdout
        self.assertEqual(sorted(line.split()[0] for line in listed.splitlines()), sorted([one, other]))
        self.run_in(one, "sh", "-c", "echo kept >~/f")
        self.assertEqual(self.run_in(one, "cat", "f"), "kept\n")
        self.run_in(other, "cat", "f", status=1)
        figures = self.cordon("stats", one).stdout
        self.assertIn("memory bytes, peak", figures)
        self.cordon("kill", other)
        self.assertEqual([line.split()[0] for line in self.cordon("ls").stdout.splitlines()], [one])
        self.assertIn("Unknown sandboxId", self.cordon("kill", other, status=125).stderr)

    def test_streams_and_status(self):
        sandbox = self.create()
        data = os.urandom(3_000_000).hex()
        self.assertEqual(self.run_in(sandbox, "cat", input=data), data)
        done = self.cordon("exec", "--sandbox", sandbox, "--", "sh", "-c", "echo out; echo err >&2; exit 7", status=7)
        self.assertEqual((done.stdout, done.stderr), ("out\n", "err\n"))
        self.run_in(sandbox, "no-such-program", status=127)
        self.assertEqual(self.run_in(sandbox, "true", stdin=subprocess.DEVNULL), "")

    def test_terminal(self):
        """With a terminal the command has one, of the same size, whose line discipline is the sandbox's."""
        sandbox = self.create()
        pid, terminal = pty.fork()
        if pid == 0:
            os.execve(CORDON, ["cordon", "exec", "--socket", self.socket, "--sandbox", sandbox, "--", "bash", "--norc"], {"PATH": "/usr/bin:/bin"})
        os.set_blocking(terminal, False)
        seen = b""

        def shows(text):
            nonlocal seen
            try:
                seen += os.read(terminal, 65536)
            except (BlockingIOError, OSError):
                pass
            return text in seen
        self.assertTrue(eventually(lambda: shows(b"$ ")), seen)
        # It says so itself before it sleeps: between two processes nobody would be at the terminal to be interrupted.
        os.write(terminal, b"tty; sh -c 'echo here; exec sleep 100'\r")
        self.assertTrue(eventually(lambda: shows(b"\nhere")), seen)
        self.assertIn(b"\n/dev/pts/", seen)
        os.write(terminal, b"\x03")
        os.write(terminal, b"echo ended $((100 + 30)); exit 5\r")
        self.assertTrue(eventually(lambda: shows(b"ended 130")), seen)
        self.assertEqual(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), 5)
        os.close(terminal)

    def test_copies(self):
        sandbox = self.create()
        tree = pathlib.Path(self.folder, "tree")
        (tree / "sub").mkdir(parents=True)
        (tree / "sub/data").write_bytes(os.urandom(2_500_000))
        (tree / "link").symlink_to("sub/data")
        (tree / "run").write_text("#!/bin/sh\n")
        (tree / "run").chmod(0o755)
        self.cordon("cp", str(tree), f"{sandbox}:/tmp")
        self.assertEqual(self.run_in(sandbox, "readlink", "/tmp/tree/link"), "sub/data\n")
        self.assertEqual(self.run_in(sandbox, "stat", "-c", "%a", "/tmp/tree/run"), "755\n")
        self.cordon("cp", f"{sandbox}:/tmp/tree", f"{self.folder}/back")
        self.assertEqual((pathlib.Path(self.folder, "back/sub/data")).read_bytes(), (tree / "sub/data").read_bytes())
        self.assertEqual(os.readlink(f"{self.folder}/back/link"), "sub/data")
        self.cordon("cp", f"{sandbox}:/tmp/tree/run", self.folder)
        self.assertEqual(pathlib.Path(self.folder, "run").read_text(), "#!/bin/sh\n")
        self.assertIn("SANDBOX:PATH", self.cordon("cp", "/etc/passwd", "/tmp/x", status=125).stderr)
        self.cordon("cp", f"{sandbox}:/no/such", self.folder, status=125)

    def test_copies_follow_no_link_out(self):
        """A tree of the sandbox's that would lead elsewhere when it is written here."""
        sandbox = self.create()
        victim = pathlib.Path(self.folder, "victim")
        victim.write_text("untouched")
        there = pathlib.Path(self.folder, "there/tree")
        there.mkdir(parents=True)
        (there / "f").symlink_to(victim)
        self.run_in(sandbox, "sh", "-c", "mkdir /tmp/tree; echo hostile >/tmp/tree/f")
        self.cordon("cp", f"{sandbox}:/tmp/tree", f"{self.folder}/there")
        self.assertEqual(victim.read_text(), "untouched")
        self.assertEqual((there / "f").read_text(), "hostile\n")

    def test_names_of_a_guest_draw_nothing(self):
        sandbox = self.create()
        self.run_in(sandbox, "bash", "-c", r"mkdir /tmp/tree; mkfifo $'/tmp/tree/\e[2Jred'")
        told = self.cordon("cp", f"{sandbox}:/tmp/tree", self.folder).stderr
        self.assertIn(r"left out: ", told)
        self.assertIn(r"\x1b[2Jred", told)
        self.assertNotIn("\x1b", told)

    def test_forks_and_snapshots(self):
        sandbox = self.create()
        self.run_in(sandbox, "sh", "-c", "echo one >/tmp/f")
        self.assertEqual(self.cordon("snapshot", sandbox, "first").stdout, "first\n")
        copy = self.cordon("fork", sandbox).stdout.strip()
        self.run_in(sandbox, "sh", "-c", "echo two >/tmp/f")
        self.assertEqual(self.run_in(copy, "cat", "/tmp/f"), "one\n")
        self.cordon("restore", sandbox, "first")
        self.assertEqual(self.run_in(sandbox, "cat", "/tmp/f"), "one\n")
        self.cordon("kill", sandbox)
        self.assertEqual(self.run_in(copy, "cat", "/tmp/f"), "one\n")

    def test_snapshots_are_listed_and_deleted(self):
        sandbox = self.create()
        for name in ("one", "1"):
            self.cordon("snapshot", sandbox, name)
        self.assertEqual(self.cordon("snapshot", sandbox).stdout, "2\n")  # the first number that is free
        self.cordon("snapshot", sandbox, "--delete", "1")
        self.assertEqual(self.cordon("snapshot", sandbox, "--list").stdout, "2\none\n")
        for words in (("--delete", "1"), ("x", "--list"), ("x", "--delete", "one"), ("a\nb",)):
            self.assertEqual(self.cordon("snapshot", sandbox, *words, status=125).stdout, "")
        self.assertEqual(self.cordon("snapshot", sandbox, "--list").stdout, "2\none\n")

    def test_what_a_sandbox_is_created_with(self):
        sandbox = self.create("--tool", "cat", "--tool", "pwd", "--cwd", "/work", "--label", "a\n\x1b[31mred", "--max-output", "1MiB",
                              "--max-files", "5000", "--nice", "5", "--max-procs", "10", "--package-host", "tools.example")
        self.assertEqual(self.cordon("ls").stdout, f"{sandbox}\t0 running\ta\\x0a\\x1b[31mred\n")
        self.assertEqual(self.run_in(sandbox, "pwd"), "/work\n")
        refused = self.cordon("exec", "--sandbox", sandbox, "--", "sort", status=126).stderr
        self.assertEqual(refused, "sort: tool not allowed by security policy\n")
        for words, reason in ((("--nice", "20"), "nice"), (("--max-procs", "1"), "processes"), (("--tool", "a/b"), "toolAllowlist"),
                              (("--saved", "a/b"), "namespace"), (("--saved", ""), "namespace"), (("--package-host", ""), "allowedHosts"),
                              (("--cwd", "/etc/passwd"), "/etc/passwd")):
            self.assertIn(reason, self.cordon("create", *words, status=125).stderr)
        self.assertEqual(len(self.cordon("ls").stdout.splitlines()), 1)

    def test_what_is_kept_comes_back(self):
        sandbox = self.create("--saved", "project")
        self.run_in(sandbox, "sh", "-c", "echo kept >file")
        self.assertIn("another sandbox has this namespace", self.cordon("create", "--saved", "project", status=125).stderr)
        self.cordon("kill", sandbox)
        self.assertEqual(self.run_in(self.create("--saved", "project"), "cat", "file"), "kept\n")

    def test_options_of_plans_are_not_for_sandboxes(self):
        """--dry-run once ran the command."""
        sandbox = self.create()
        for words in (("--dry-run",), ("--shadow",), ("--wall", "native"), ("--strict-security",), ("--mode", "sandbox"), ("--plan", "x")):
            refused = self.cordon("exec", "--sandbox", sandbox, *words, "--", "touch", "/tmp/made", status=125).stderr
            self.assertIn(f"--sandbox excludes {words[0]}", refused)
        # A variable that is empty names no profile.
        self.assertIn("Unknown sandboxId", self.cordon("exec", "--sandbox", "", "--", "touch", "/tmp/made", status=125).stderr)
        self.assertEqual(self.run_in(sandbox, "ls", "/tmp"), "")
        self.assertIn("command is required", self.cordon("exec", "--sandbox", sandbox, status=125).stderr)

    def test_where_and_how_long_a_command_runs(self):
        sandbox = self.create()
        self.assertEqual(self.cordon("exec", "--sandbox", sandbox, "--cwd", "/usr", "--", "pwd").stdout, "/usr\n")
        refused = self.cordon("exec", "--sandbox", sandbox, "--cwd", "/no/such", "--", "pwd", status=125)
        self.assertEqual((refused.stdout, refused.stderr), ("", "cordon: /no/such: no such directory\n"))
        self.cordon("exec", "--sandbox", sandbox, "--timeout", "200ms", "--", "sleep", "100", status=124)
        self.assertIn("--cwd requires --sandbox", self.cordon("exec", "--cwd", "/", "test", "--", "pwd", status=125).stderr)
        # Of files, an error is said once.
        self.assertEqual(self.cordon("cp", f"{sandbox}:/no/such", self.folder, status=125).stderr,
                         "cordon: file in the sandbox: /no/such: No such file or directory\n")

    def test_refusals(self):
        missing = subprocess.run([CORDON, "ls"], env={"PATH": "/usr/bin:/bin"}, capture_output=True, text=True, check=False)
        self.assertEqual((missing.returncode, "--socket" in missing.stderr), (125, True), missing.stderr)
        self.assertIn("connect(/no/socket)", self.cordon("ls", "--socket", "/no/socket", status=125).stderr)
        self.assertIn("profile", self.cordon("exec", status=125).stderr)
        self.assertIn("expected NAME=VALUE", self.cordon("create", "--env", "A", status=125).stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)

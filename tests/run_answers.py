#!/usr/bin/env python3
"""What commands that run nothing say with --json, --quiet and -v, and what every command says of itself: run_answers.py [Class.test]

Members are held against the table that the documentation comes from.
"""
import json
import os
import pathlib
import re
import select
import signal
import subprocess
import sys
import tempfile
import time
import unittest

from processes import descendants, eventually, wait_until_gone

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "scripts"))
from document_results import answers  # noqa: E402

CORDON = str(pathlib.Path(os.environ.get("CORDON_BUILD", ROOT / "build")) / "cordon")
ASKS = "version: 1\nprofiles: {default: {network: on, network_allow: [api.example]}}\n"


class World(unittest.TestCase):
    """A home and a project, without tests."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name).resolve()
        self.home, self.project = self.folder / "home", self.folder / "project"
        for path in (self.home, self.project):
            path.mkdir()
        self.env = {"PATH": "/usr/bin:/bin", "HOME": str(self.home)}

    def cordon(self, *words, status=0):
        done = subprocess.run([CORDON, *map(str, words)], cwd=self.project, env=self.env, stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, timeout=60, check=False)
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        return done

    def answer(self, command, *words, status=0):
        """The object, which has the table's members and no others."""
        done = self.cordon(*command.split(), "--json", *words, status=status)
        self.assertEqual(done.stdout.count("\n"), 1, done.stdout)
        self.assertTrue(done.stdout.isascii())
        found = json.loads(done.stdout)
        name = command.removeprefix("shadow ") if command != "shadow create" else command
        wanted = [member for about, member, _, _ in answers() if about == name]
        self.assertTrue(wanted)
        self.assertEqual(list(found), ["exit_code", "errors", *wanted])
        self.assertEqual(found["exit_code"], status)
        self.assertEqual(bool(found["errors"]), status != 0)
        for error in found["errors"]:
            self.assertIn(f"cordon: {error}\n", done.stderr)
        return found

    def write(self, name, text):
        (self.project / name).write_text(text)


class Answers(World):
    def test_trust(self):
        self.assertEqual(self.answer("trust")["state"], "nothing needed")
        self.write("cordon.yaml", ASKS)
        found = self.answer("trust", status=125)
        self.assertEqual((found["state"], found["approvals"][0]["what"]), ("needed", ["line 2: the host api.example"]))
        self.assertEqual(self.answer("trust", "--list")["approvals"], [])
        self.assertEqual(self.answer("trust", "--yes"), {**found, "exit_code": 0, "errors": [], "state": "approved"})
        self.assertEqual(self.answer("trust", "--list")["approvals"], found["approvals"])
        self.assertEqual(self.answer("trust", "--revoke", "cordon.yaml")["state"], "revoked")
        self.assertIn("was not approved", self.answer("trust", "--revoke", "cordon.yaml", status=125)["errors"][0])
        self.write("cordon.yaml", "nonsense: 1\n")
        self.assertIn("cordon.yaml:1:1", self.answer("trust", status=125)["errors"][0])

    def test_init(self):
        found = self.answer("init", "--preset", "pnpm")
        self.assertEqual((found["file"], found["preset"]), ("cordon.yaml", "pnpm"))
        self.assertEqual(found["text"], (self.project / "cordon.yaml").read_text())
        self.assertIn("refusing to overwrite", self.answer("init", status=125)["errors"][0])
        shown = self.answer("init", "--preset", "pnpm", "--output", "-")
        self.assertEqual((shown["file"], shown["text"]), (None, found["text"]))
        self.assertEqual(self.answer("init", "--user")["preset"], None)
        self.assertIn("unknown preset", self.answer("init", "--preset", "x", status=125)["errors"][0])

    def test_clean(self):
        self.assertEqual(self.answer("clean", "--caches", "--dry-run")["removed"], [])
        kept = self.home / ".cache/cordon/container-1"
        kept.mkdir(parents=True)
        for dry in (True, False):
            found = self.answer("clean", "--caches", *(["--dry-run"] if dry else []))
            self.assertEqual((found["dry_run"], found["removed"]), (dry, [{"kind": "folder", "name": str(kept)}]))
            self.assertEqual(kept.exists(), dry)

    def test_shim(self):
        shims = self.folder / "shims"
        made = {"file": f"{shims}/sh", "program": "/usr/bin/sh", "state": "made"}
        self.assertEqual(self.answer("shim", "--dir", shims, "sh")["shims"], [made])
        found = self.answer("shim", "--dir", shims, "--verify", "sh", status=1)
        self.assertEqual(found["shims"], [{**made, "state": "found"}])
        self.assertIn("must come first in PATH", found["errors"][0])
        (shims / "env").write_text("somebody's")
        done = self.cordon("shim", "--json", "--dir", shims, "env")
        self.assertEqual(json.loads(done.stdout)["shims"][0]["state"], "foreign")
        self.assertEqual(self.answer("shim", "--dir", shims, "--remove", "sh")["shims"], [{**made, "program": None, "state": "removed"}])
        self.assertIn("not found", self.answer("shim", "--dir", shims, "no-such-program", status=125)["errors"][0])

    def test_shadows(self):
        self.write("file", "old\n")
        self.assertIn("no shadow", self.answer("discard", status=125)["errors"][0])
        for command in (("diff",), ("commit",)):
            self.assertIn("no shadow", json.loads(self.cordon(*command, "--json", status=125).stdout)["errors"][0])
        made = self.answer("shadow create", "--mode", "copy")
        self.assertEqual((made["workspace"], made["mode"], made["paths"], made["not_imported"]), (str(self.project), "copy", 1, 0))
        tree = self.home / f".local/state/cordon/shadow/{made['shadow']}/tree"
        (tree / "file").write_text("new\n")
        found = self.answer("commit", "--dry-run")
        self.assertEqual((found["shadow"], found["state"], found["report"]["status"]), (made["shadow"], "would commit", "+0 ~1 -0"))
        self.assertEqual((self.project / "file").read_text(), "old\n")
        self.write("file", "another\n")
        refused = self.answer("commit", status=125)
        self.assertEqual(refused["state"], "refused")
        self.assertIn("file: conflict", refused["errors"][0])
        self.assertEqual(self.answer("commit", "--force", "file")["state"], "committed")
        self.assertEqual((self.project / "file").read_text(), "new\n")
        self.assertEqual(self.answer("discard")["shadow"], made["shadow"])

    def test_plans_that_are_none(self):
        self.write("cordon.yaml", "version: 1\nnonsense: 1\nmore: 2\n")
        found = self.answer("plan", "--", "true", status=125)
        self.assertEqual((found["plan"], len(found["errors"])), (None, 2))

    def test_names_draw_nothing(self):
        project = self.project / "a\x1b[2J\u009bred"
        project.mkdir()
        self.project = project
        self.write("cordon.yaml", ASKS)
        self.assertEqual(self.answer("trust", status=125)["approvals"][0]["path"], f"{project}/cordon.yaml")
        said = self.cordon("shim", "--dir", project, "sh").stdout
        self.assertIn("a\\x1b[2J", said)
        self.assertNotIn("\x1b", said)

    def test_quiet_and_verbose(self):
        self.write("cordon.yaml", ASKS)
        self.assertEqual(self.cordon("init", "--quiet", "--output", "made.yaml").stdout, "")
        self.assertTrue((self.project / "made.yaml").exists())
        self.assertEqual(self.cordon("clean", "--quiet", "--caches").stdout, "")
        self.assertEqual(self.cordon("--quiet", "shim", "--dir", self.folder / "shims", "sh").stdout, "")
        quiet = self.cordon("shadow", "create", "--quiet")
        self.assertEqual((quiet.stderr, len(quiet.stdout.split())), ("", 1))
        self.assertEqual(self.cordon("discard", "--quiet").stdout, "")
        self.assertIn("sha256", self.cordon("-v", "trust", "--yes").stderr)
        self.assertIn("the preset is generic", self.cordon("init", "-v", "--output", "-").stderr)
        self.assertEqual(self.cordon("init", "--output", "-").stderr, "")


class Daemon(World):
    def setUp(self):
        super().setUp()
        self.env["CORDON_SOCKET"] = str(self.folder / "s")
        self.daemon = subprocess.Popen([CORDON, "serve", "--unix", self.env["CORDON_SOCKET"]], env=self.env)
        self.addCleanup(self.end)
        self.assertTrue(eventually(lambda: subprocess.run([CORDON, "ls"], env=self.env, capture_output=True, check=False).returncode == 0))

    def end(self):
        children = descendants(self.daemon.pid)
        self.daemon.terminate()
        self.daemon.wait()
        self.assertEqual(wait_until_gone(children), [])


class OfADaemon(Daemon):
    def test_sandboxes(self):
        one = self.answer("create", "--label", "a\x1b[31m\u00e9")["sandbox"]
        self.assertEqual(self.answer("ls"), {"exit_code": 0, "errors": [], "saved": None,
                                             "sandboxes": [{"sandbox": one, "running": 0, "label": "a\x1b[31m\u00e9"}]})
        self.assertEqual(self.answer("ls", "--saved")["saved"], [])
        self.assertEqual(self.answer("snapshot", one, "first")["snapshot"], "first")
        self.assertEqual(self.answer("snapshot", one, "--list")["snapshots"], ["first"])
        self.assertEqual(self.answer("restore", one, "first")["snapshot"], "first")
        self.assertEqual(len(set(self.answer("fork", one, "--count", 2)["sandboxes"])), 2)
        self.assertEqual(len(self.answer("fork", one)["sandboxes"]), 1)
        usage = self.answer("stats", one)["usage"]
        self.assertEqual(list(usage), ["processes", "processes_started", "memory_bytes", "memory_peak_bytes", "file_bytes", "files"])
        self.assertEqual(self.answer("stats")["usage"]["sandboxes"], 4)
        self.write("file", "text")
        self.assertEqual(self.answer("cp", "file", f"{one}:/tmp/file")["left_out"], [])
        self.assertRegex(self.answer("export", one, "state.tar")["digest"], "^sha256:[0-9a-f]{64}$")
        copy = self.answer("import", "state.tar")["sandbox"]
        self.assertEqual(self.cordon("exec", "--sandbox", copy, "--", "cat", "/tmp/file").stdout, "text")
        self.assertEqual(self.answer("kill", copy)["sandbox"], copy)
        for words in (("kill", copy), ("restore", copy, "x"), ("fork", copy), ("stats", copy), ("snapshot", copy), ("export", copy, "x.tar"),
                      ("cp", "file", f"{copy}:/tmp/file"), ("import", "no.tar")):
            self.answer(*words, status=125)


class Terminal:
    """A command whose standard error is a terminal, and nothing else of it."""

    def __init__(self, command, env, cwd, **options):
        self.ours, theirs = os.openpty()
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=theirs, env=env, cwd=cwd, **options)
        os.close(theirs)
        self.text = ""

    def read_until(self, wanted):
        end = time.monotonic() + 60
        while not re.search(wanted, self.text):
            if not select.select([self.ours], [], [], max(0, end - time.monotonic()))[0]:
                self.process.kill()
                raise AssertionError(f"no {wanted!r} in {self.text[-300:]!r}")
            self.text += os.read(self.ours, 65536).decode()

    def finish(self):
        """(exit status, standard output, what was on the terminal)"""
        try:
            while part := os.read(self.ours, 65536):
                self.text += part.decode()
        except OSError:  # EIO: nobody has it open any more
            pass
        os.close(self.ours)
        out = self.process.stdout.read().decode()
        self.process.stdout.close()
        return self.process.wait(timeout=60), out, self.text


class Progress(Daemon):
    """What takes its time is an import from a pipe, which goes on when the test lets it."""

    def setUp(self):
        super().setUp()
        self.env["TERM"] = "xterm"
        self.cordon("export", self.answer("create")["sandbox"], "state.tar")
        self.archive = (self.project / "state.tar").read_bytes()
        os.mkfifo(self.project / "slow")

    def import_slowly(self, *options, holds, **env):
        terminal = Terminal([CORDON, "import", *options, "slow"], {**self.env, **env}, self.project)
        with open(self.project / "slow", "wb") as pipe:
            pipe.write(self.archive[:4096])
            pipe.flush()
            holds(terminal)
            pipe.write(self.archive[4096:])
        return terminal.finish()

    def test_on_a_terminal_it_is_shown_and_vanishes(self):
        status, out, text = self.import_slowly(holds=lambda terminal: terminal.read_until("importing.*importing"))
        self.assertEqual((status, len(out.split())), (0, 1))
        self.assertRegex(text, r"^(\r\x1b\[Kcordon: importing(, \d+ MiB)?, \d+ s)+\r\x1b\[K$")

    def test_elsewhere_and_unwanted_it_is_not(self):
        """Held well beyond the time after which it would be drawn."""
        def hold(_terminal):
            time.sleep(1.2)
        for options, env in ((["--quiet"], {}), (["--json"], {}), ([], {"TERM": "dumb"})):
            status, _, text = self.import_slowly(*options, holds=hold, **env)
            self.assertEqual((status, text), (0, ""))
        process = subprocess.Popen([CORDON, "import", "slow"], cwd=self.project, env=self.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        with open(self.project / "slow", "wb") as pipe:
            hold(None)
            pipe.write(self.archive)
        self.assertEqual((process.communicate(timeout=60)[1], process.returncode), (b"", 0))

    def test_shadows_and_an_interrupt(self):
        """More to read than there is time for; the terminal's own key ends it."""
        with open(self.project / "large", "wb") as file:
            file.truncate(1 << 40)
        terminal = Terminal([CORDON, "shadow", "create", "--hash", "--mode", "overlay"], self.env, self.project)
        terminal.read_until("making the shadow, [0-9]+ looked at, [0-9]+ s")
        terminal.process.send_signal(signal.SIGINT)
        self.assertEqual(terminal.finish()[0], -signal.SIGINT)
        (self.project / "large").unlink()
        self.assertEqual(json.loads(self.cordon("shadow", "list", "--json").stdout), [])

    def test_what_is_quick_shows_nothing(self):
        self.write("file", "text")
        terminal = Terminal([CORDON, "trust", "--list"], self.env, self.project)
        self.assertEqual(terminal.finish(), (0, "", ""))


class Help(unittest.TestCase):
    def said(self, *words):
        return subprocess.run([CORDON, *words], env={"PATH": "/usr/bin:/bin"}, capture_output=True, text=True, check=True).stdout

    def test_every_command_has_examples(self):
        commands = [line.split()[0] for line in self.said("--help").splitlines() if line.startswith("  ") and line[2:3].isalpha()]
        self.assertGreater(len(commands), 25)
        without = [name for name in commands if not re.search(rf"(^|\$\(|&& )cordon {name}\b", self.said(name, "--help"), re.MULTILINE)]
        self.assertEqual(without, [])

    def test_a_command_line_that_cannot_be_read_is_one_line(self):
        for words in ((), ("nonsense",), ("run", "--nonsense"), ("snapshot",), ("ls", "--json", "--nonsense"), ("run", "--mode", "x", "true"),
                      ("kill", "--saved", "a", "b")):
            done = subprocess.run([CORDON, *words], env={"PATH": "/usr/bin:/bin"}, capture_output=True, text=True, check=False)
            self.assertEqual((done.returncode, done.stdout), (125, ""), words)
            self.assertRegex(done.stderr, r"\Acordon: .+; --help says what there is\n\Z")

    def test_options_are_completed(self):
        for shell, mark in (("bash", "--json"), ("zsh", "--json"), ("fish", "-l json")):
            text = self.said("completions", shell)
            for name in ("trust", "clean", "init", "shim", "commit", "discard", "stats"):
                part = [line for line in text.splitlines() if name in line] if shell != "zsh" else [text.split(f"    {name})")[1].split(";;")[0]]
                self.assertTrue(any(mark in line for line in part), (shell, name))


if __name__ == "__main__":
    unittest.main()

#!/usr/bin/env python3
"""What README.md, the guide and `--help` show of the command line does what it says: run_documents.py [Class.test]

Every line of theirs that calls `cordon` is taken out and run by a shell, in a project that has what they speak of. Which are not run
stands here with the reason, and a line of either table that no document has any more is an error.
"""
import os
import pathlib
import re
import subprocess
import tempfile
import unittest

from processes import descendants, eventually, wait_until_gone

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = pathlib.Path(os.environ.get("CORDON_BUILD", ROOT / "build"))
PROJECT = {
    "Makefile": "test check all:\n\t@echo made\n",
    "src/Makefile": "all:\n\t@echo made\n",
    "src/main.c": "int main() { return 0; }\n",
    "src/build": "#!/bin/sh\necho built\n",
    "script.py": "import sys\nprint(sys.argv)\n",
    "agent.sh": "#!/bin/sh\necho by the agent >made-by-agent\n",
}
HOOK = "mkdir -p .git/hooks; cordon run --shadow -- sh -c 'mkdir -p .git/hooks; echo >.git/hooks/pre-commit'"
# What is in a line: why it is not run.
IS_NOT_RUN = {
    "SCRIPT": "a form, as its capital letters say",
    "PROGRAM ARGUMENTS": "a form",
    "COMMAND": "a form",
    "DIR": "a form",
    "NAME": "a form",
    "FILE": "a form",
    "program.wasm": "run by the cases of modules",
    "npm": "what npm does is asked of its index: run_packages.py",
    "left-pad": "the same",
    "cordon install": "needs an index: run_install.py",
    "cordon bootstrap": "the same",
    "cordon audit": "the same",
    "cordon serve": "runs already, or does not end",
    "cordon mcp": "speaks a protocol: run_mcp.py",
    "cordon init -i": "asks at a terminal",
    "cordon doctor": "tries every wall, for seconds: run_host.py",
    "cordon freeze": "of an image that only the build has",
    "--wall bwrap": "not on every machine: run_walls.py",
    "cordon sh": "run_terminal.py",
}
# How a line begins, and what has to be done before it means something; `$id` is a sandbox of the daemon that every line has.
BEFORE = {
    "cordon diff": "cordon run --shadow -- ./agent.sh",
    "cordon commit": "cordon run --shadow -- sh -c 'mkdir -p src; echo >>src/main.c; echo >>Makefile'",
    "cordon commit .git/hooks": HOOK,
    "cordon discard": "cordon shadow create",
    "cordon trust --revoke": "printf 'version: 1\\nprofiles: {default: {network: on, network_allow: [a.example]}}\\n' >cordon.yaml; cordon trust --yes",
    "cordon restore": "cordon snapshot $id before",
    "cordon cp $id:": "cordon exec --sandbox $id -- touch /tmp/report.txt",
    "cordon exec --sandbox": "cordon cp ./src $id:/home/user",
    "cordon import": "cordon export $id state.tar",
    "cordon pkg": f"mkdir modules; cp '{BUILD}/guest/tests/locks.wasm' modules; openssl genpkey -algorithm ed25519 -out key.pem",
    "cordon shim": "PATH=~/.local/bin:$PATH; cordon shim",
    "cordon completions bash": "mkdir -p ~/.local/share/bash-completion/completions",
    "cordon completions fish": "mkdir -p ~/.config/fish/completions",
}


def lines():
    """(where it stands, the line), without what is said about it behind it."""
    for name in ("README.md", "docs/guide.md", "docs/shadow.md", "docs/packages.md"):
        for line in (ROOT / name).read_text().splitlines():
            if line.startswith("    "):
                yield name, line.strip().split("  ")[0].replace("build/cordon", "cordon")
    said = subprocess.run([BUILD / "cordon", "--help"], capture_output=True, text=True, check=True).stdout
    commands = [[name] for name in re.findall(r"^  ([a-z]+) ", said, re.M)] + [["shadow", "create"], ["shadow", "list"]]
    for command in commands:
        said = subprocess.run([BUILD / "cordon", *command, "--help"], capture_output=True, text=True, check=True).stdout
        for line in said.splitlines():
            yield f"cordon {' '.join(command)} --help", line


def examples():
    return [(place, line) for place, line in lines() if re.match(r"(\w+=\$\()?cordon( |$)", line)]


class Documents(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name).resolve()
        (self.folder / "bin").mkdir()
        (self.folder / "bin/cordon").symlink_to(BUILD / "cordon")
        self.daemon = subprocess.Popen([BUILD / "cordon", "serve", "--unix", self.folder / "s"], env=self.environment("daemon"))
        self.addCleanup(self.end)
        self.assertTrue(eventually(lambda: subprocess.run([BUILD / "cordon", "ls", "--socket", self.folder / "s"], capture_output=True,
                                                          check=False).returncode == 0))

    def end(self):
        children = descendants(self.daemon.pid)
        self.daemon.terminate()
        self.daemon.wait()
        self.assertEqual(wait_until_gone(children), [])

    def environment(self, home):
        return {"PATH": f"{self.folder}/bin:/usr/local/bin:/usr/bin:/bin", "HOME": str(self.folder / home), "CORDON_SOCKET": "./cordon.sock"}

    def project(self, name):
        """A directory with what the examples speak of, beside a home of its own."""
        for path, text in PROJECT.items():
            file = self.folder / name / "project" / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
            file.chmod(0o755)
        (self.folder / name / "project/cordon.sock").symlink_to(self.folder / "s")
        return self.folder / name / "project"

    def test_examples_of_the_command_line(self):
        used, ran = set(), set()
        for place, line in examples():
            why_not = [part for part in IS_NOT_RUN if part in line]
            before = [start for start in BEFORE if line.startswith(start)]
            used.update(why_not, before)
            if why_not or line in ran:
                continue
            name = str(len(ran))
            ran.add(line)
            before = BEFORE[max(before, key=len)] if before else ""
            id_ = "id=$(cordon create)" if "$id" in before + line else ""
            script = "\n".join(["set -e", id_, f"{{ {before or ':'}; }} >&2", line])
            done = subprocess.run(["bash", "-c", script], cwd=self.project(name), env=self.environment(name), stdin=subprocess.DEVNULL,
                                  capture_output=True, text=True, timeout=120, check=False)
            with self.subTest(place=place, line=line):
                self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertGreater(len(ran), 40)
        self.assertEqual({*IS_NOT_RUN, *BEFORE} - used, set(), "in no document any more")


if __name__ == "__main__":
    unittest.main()

"""jq: the scripts of tests/, and each program of its *.test files as a test of its own."""
import re

from suite import Result, Suite

SCRIPTS = ["shtest", "utf8test"]


def blocks(text):
    """(number of the line, block) of each test in a file: program, input, outputs; or %%FAIL, program, message."""
    found, block, start = [], [], 0
    for number, line in enumerate([*text.split("\n"), ""], 1):
        if line.startswith("#") and not block:
            continue
        if line.strip():
            start = start if block else number
            block.append(line)
        elif block:
            found.append((start, "\n".join(block) + "\n"))
            block = []
    return found


class Jq(Suite):
    name = "jq"
    batch = 200
    seconds = 300

    def files(self):
        return sorted((self.source / "tests").glob("*.test"))

    def tests(self):
        found = [(name, f"cd tests && sh ./{name}") for name in SCRIPTS]
        for path in self.files():
            found += [(f"{path.stem}:{number}", f"jq -L tests/modules --run-tests blocks/{path.stem}-{number}.test")
                      for number, _ in blocks(path.read_text())]
        return found

    def fill(self, tree):
        self.copy(tree, "tests")
        (tree / "blocks").mkdir()
        for path in self.files():
            for number, block in blocks(path.read_text()):
                (tree / "blocks" / f"{path.stem}-{number}.test").write_text(block)
        (tree / "setup.sh").write_text("ln -s /usr/bin/jq jq\n")

    def verdict(self, status, log):
        counted = re.search(r"(\d+) of (\d+) tests passed", log)
        if counted and counted[1] == counted[2] != "0":
            return Result("pass")
        if counted:
            wrong = re.search(r"^\*\*\* (.*)", log, re.M)
            return Result("fail", wrong[1][:160] if wrong else counted[0])
        return super().verdict(status, log)


SUITE = Jq

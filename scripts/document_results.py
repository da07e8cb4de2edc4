#!/usr/bin/env python3
"""The tables of docs/guide.md that say what --json and --report hold, from src/cli/result_fields.def and answer_fields.def: document_results.py write | check"""
import re
import sys

from generated_document import ROOT, run

TABLE = ROOT / "src/cli/result_fields.def"
ANSWERS = ROOT / "src/cli/answer_fields.def"
TARGET = ROOT / "docs/guide.md"


def rows(macro):
    """[(name, type, text)], in the order of the file."""
    found = []
    for number, line in enumerate(TABLE.read_text().splitlines(), 1):
        if not line.startswith(macro + "("):
            continue
        match = re.fullmatch(macro + r'\((\w+), "(.*?)", "(.*)"\)', line)
        if match is None:
            sys.exit(f"{TABLE.name}:{number}: not a row")
        found.append(match.groups())
    return found


def table(macro):
    lines = ["| member | is | means |", "|---|---|---|"]
    lines += [f"| `{name}` | {kind} | {text} |" for name, kind, text in rows(macro)]
    return "\n".join(lines)


def answers():
    """[(command, name, type, text)], in the order of the file."""
    found = []
    for number, line in enumerate(ANSWERS.read_text().splitlines(), 1):
        if not line.startswith('ANSWER_FIELD("'):
            continue
        match = re.fullmatch(r'ANSWER_FIELD\("([\w ]+)", (\w+), "(.*?)", "(.*)"\)', line)
        if match is None:
            sys.exit(f"{ANSWERS.name}:{number}: not a row")
        found.append(match.groups())
    return found


def answer_table():
    lines = ["| `cordon` | member | is | means |", "|---|---|---|---|"]
    lines += [f"| `{command}` | `{name}` | {kind} | {text} |" for command, name, kind, text in answers()]
    return "\n".join(lines)


def replaced(text):
    for macro in ("RESULT_FIELD", "INSTALL_FIELD", "ANSWER_FIELD"):
        begin, end = f"<!-- {macro} -->\n", f"\n<!-- end of {macro} -->"
        before, rest = text.split(begin)
        text = before + begin + (answer_table() if macro == "ANSWER_FIELD" else table(macro)) + end + rest.split(end, 1)[1]
    return text


if __name__ == "__main__":
    run(TARGET, replaced, __doc__)

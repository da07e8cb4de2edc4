#!/usr/bin/env python3
"""The table of docs/userland.md from what was built: document_userland.py write | check"""
import json
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
TARGET = ROOT / "docs/userland.md"
BEGIN, END = "<!-- table: scripts/document_userland.py write -->\n", "<!-- end of table -->\n"
MANY = 12  # names of programs that a row lists


def row(port):
    names = port["programs"]
    shown = ", ".join(f"`{name}`" for name in names[:MANY]) + (f" and {len(names) - MANY} more" if len(names) > MANY else "")
    return f"| {port['name']} | {port['version']} | {shown or 'a library'} | {port['licence'] or 'its own, see its notices'} |\n"


def text(current):
    ports = json.loads((ROOT / "build/guest/manifest.json").read_text())["ports"]
    before, rest = current.split(BEGIN)
    table = "| source | version | programs | licence as a whole |\n|---|---|---|---|\n"
    return before + BEGIN + table + "".join(map(row, sorted(ports, key=lambda port: port["name"]))) + END + rest.split(END)[1]


def main(mode):
    current = TARGET.read_text()
    if mode == "write":
        TARGET.write_text(text(current))
        return 0
    is_current = text(current) == current
    if not is_current:
        print("docs/userland.md is not current: run scripts/document_userland.py write")
    print(f"{int(is_current)} passed, {int(not is_current)} failed")
    return 0 if is_current else 1


if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1] not in ("write", "check"):
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1]))

#!/usr/bin/env python3
"""The table of docs/userland.md from what was built: document_userland.py write | check"""
import json

from generated_document import ROOT, run

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


if __name__ == "__main__":
    run(TARGET, text, __doc__)

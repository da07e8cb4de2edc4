#!/usr/bin/env python3
"""The table of docs/wasi.md from src/kernel/wasi.def: document_wasi.py write | check"""
import re
import sys

from generated_document import ROOT, run

TARGET = ROOT / "docs/wasi.md"
HEAD = """# The import module `wasi_snapshot_preview1`

Generated from `src/kernel/wasi.def` by `scripts/document_wasi.py write`; a test checks that it is current.

All of WASI preview 1, over the same files and descriptors as the module `cordon`. Each function returns an errno of WASI as an
i32, but `proc_exit`, which does not return.

A program finds open, from descriptor 3 on: its working directory as `.`, then every directory in `/` that it may read under its
absolute name. Paths are relative to a descriptor; one that begins with `/` or leaves its directory by `..` is refused with
`notcapable`. Descriptors above 2 are not inherited. A signal whose action is the default acts as in any other process.

| function | parameters (i: i32, I: i64) | names | notes |
|---|---|---|---|
"""


def text(_):
    rows = re.findall(r'^WASI\((\w+),\s*"(\w*)",\s*"([^"]*)",\s*"([^"]*)"\)', (ROOT / "src/kernel/wasi.def").read_text(), re.M)
    for name, parameters, names, _ in rows:
        if len(parameters) != len([part for part in names.split(", ") if part]):
            sys.exit(f"wasi.def: {name}: {len(parameters)} parameters, named '{names}'")
    return HEAD + "".join(f"| `{name}` | {parameters} | {names} | {notes} |\n" for name, parameters, names, notes in rows)


if __name__ == "__main__":
    run(TARGET, text, __doc__)

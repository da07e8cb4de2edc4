#!/usr/bin/env python3
"""docs/protocol.md from src/rpc/methods.def: document_protocol.py write | check"""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
TARGET = ROOT / "docs/protocol.md"
HEAD = """# The protocol of `cordon serve`

Generated from `src/rpc/methods.def` by `scripts/document_protocol.py write`; a test checks that it is current.

JSON-RPC 2.0, one message a line, on standard input and output (`--stdio`, one client) or a socket (`--unix PATH`, mode 0600; the
peer must be the same user or root). Parameters are an object. Requests are answered as they are finished, not in order: `cancel`,
`process.*` and `files.*` work while a command runs. A request is at most 8 MiB and 32 levels deep; longer ones are refused
and skipped. A client that does not take its answers is not read from.

Whoever begins with a zero byte talks MessagePack instead: every message in both directions is four bytes, its length, highest first,
and a map with the same members. Bytes are bytes there, in parameters and results, under their plain name.

Bytes that are no UTF-8 come twice: as text with replacements under their name, exact as base64 under their name + `Base64`.
Parameters that are bytes are given either way. A path that is not absolute begins in `/home/user`.

Errors: -32700 no JSON or `Request too large`, -32600 no request, -32601 `Method not found: X`, -32602 a parameter
(`Missing required param: X`, `Unknown sandboxId: X`, `Maximum of N concurrent sandboxes reached`), 1 the sandbox or
its files, with the name of the error in `data.errno`. That a command fails is no error but its `exitCode`; a time-out is exit
code 124 with what was written until then. `errorClass` is `TIMEOUT`, `CANCELLED` or `LIMIT_EXCEEDED` (output was dropped, or the
command was too large); `CAPABILITY_DENIED` is kept for policies.

Notifications: `output {requestId | processId, stream, data}`; `exit {processId, exitCode, executionTimeMs, truncated, [signal],
[errorClass]}`; `package.progress {requestId, text}`; `audit {type, sandboxId, timestamp, …}`: an installation of a package began, was
refused or is complete ([packages](packages.md)); `persistence.failed {sandboxId, error}`: a sandbox could not be saved, which is tried again.

In brackets: what may be left out. Every method but `create`, `sandbox.list`, `kill`, `version` and `process.*` takes `sandboxId`;
without it the first sandbox of the connection is meant. A sandbox ends with its connection unless it is detached; whoever
may connect and knows its id may use a detached one.

| method | parameters | result | |
|---|---|---|---|
"""


def text():
    table = (ROOT / "src/rpc/methods.def").read_text()
    rows = re.findall(r'^METHOD\("([^"]+)", \w+,\s*"([^"]*)",\s*"([^"]*)",\s*"([^"]*)"\)', table, re.M)
    if len(rows) != table.count("\nMETHOD("):
        sys.exit("methods.def: a row cannot be read")
    cells = [[cell.replace("|", "\\|") for cell in row] for row in rows]
    return HEAD + "".join(f"| `{name}` | {parameters} | {result} | {summary} |\n" for name, parameters, result, summary in cells)


def main(mode):
    if mode == "write":
        TARGET.write_text(text())
        return 0
    current = TARGET.exists() and TARGET.read_text() == text()
    if not current:
        print("docs/protocol.md is not current: run scripts/document_protocol.py write")
    print(f"{int(current)} passed, {int(not current)} failed")
    return 0 if current else 1


if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1] not in ("write", "check"):
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1]))

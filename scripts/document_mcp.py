#!/usr/bin/env python3
"""docs/mcp.md from src/mcp/tools.def and settings.def: document_mcp.py write | check"""
import json
import re
import sys

from generated_document import ROOT, run

TARGET = ROOT / "docs/mcp.md"
HEAD = """# The tools of `cordon mcp`

Generated from `src/mcp/tools.def` and `settings.def` by `scripts/document_mcp.py write`; a test checks that it is current.

A server of the Model Context Protocol on standard input and output (revisions 2024-11-05 to 2025-06-18). Every result is structured
content that fits the tool's output schema, and the same as text. What a guest printed comes without control sequences of terminals, as
UTF-8; `read_file` with `encoding: base64` is exact. A call with a progress token hears of a command's output, and of how much of a state has
passed, as it happens; a cancelled call ends its command. Without `sandbox_id` the first sandbox is meant, and is made when there is none.
Sandboxes end with the connection. In brackets: what may be left out.

    {"mcpServers": {"cordon": {"command": "cordon", "args": ["mcp"]}}}

| tool | arguments | result | |
|---|---|---|---|
"""
SETTINGS = """
A flag wins over a variable of the environment, and that over the file (`--config`, `CORDON_MCP_CONFIG`), a JSON object.

| flag | variable | in the file | default | |
|---|---|---|---|---|
"""

TAIL = """
## Who decides

Settings are the operator's, and a model is not trusted with them: an argument of `create_sandbox`, `run_command` or `exec` may ask for less than
they say, and is refused with the setting's value where it asks for more. Less is: a smaller number (of `nice` and `autosave_ms` a larger one), some of
the programs of `tools`, some of the hosts of a `packagePolicy` and names below them, some of the `mounts`, those read only, `session` instead of `persistent`. Where `tools` is not
set, a sandbox may be given any list. What only the operator decides: whether packages may be installed at all and from which index, which
directories of the host there are and where, whether sandboxes are saved and where, what all sandboxes have together, the audit file. Variables,
a directory of the sandbox and a label decide nothing, and are the model's.

Of a sandbox's options in the SDKs these are not here: `detached` (sandboxes end with the connection; saved ones come back by their namespace),
commands and file systems that a client serves (the client of this protocol has no place for them), `rpcBytes` (a request has at most 64 MiB), `hardKill` (always). Packages are installed by
`pkg` in commands. What needs a stream while a command runs (a terminal, standard input piece by piece) is not here either.
"""


def members(schema):
    required = schema.get("required", [])
    def one(name, inner):
        kind = inner.get("type", "")
        kind = " | ".join(inner["enum"]) if "enum" in inner else kind
        text = f"{name}: {kind}"
        return text if name in required else f"[{text}]"
    return ", ".join(one(name, inner) for name, inner in schema.get("properties", {}).items())


def text(_):
    table = (ROOT / "src/mcp/tools.def").read_text()
    rows = re.findall(r'^TOOL\((\w+), \w+, (\w+), "([^"]*)",\s*"([^"]*)",\s*R"\((.*?)\)",\s*R"\((.*?)\)",\s*R"\((.*?)\)"\)$', table, re.M | re.S)
    if len(rows) != table.count("\nTOOL("):
        sys.exit("tools.def: a row cannot be read")
    out = HEAD
    for name, where, _, summary, notes, given, result in rows:
        json.loads(notes)
        summary += {"kAlways": "", "kWhereSaved": " With `--persistence-dir` alone."}[where]
        cells = [f"`{name}`", members(json.loads(given)), members(json.loads(result)), summary]
        out += "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n"
    out += SETTINGS
    settings = (ROOT / "src/mcp/settings.def").read_text()
    fields = r'"([^"]*)", "([^"]*)", "([^"]*)"'
    numbers = re.findall(rf'^NUMBER\(\w+, {fields}, [^"]*?, ([^,"]*), "([^"]*)"\)$', settings, re.M)
    texts = re.findall(rf'^TEXT\(\w+, {fields}, "([^"]*)"\)$', settings, re.M)
    lists = re.findall(rf'^LIST\(\w+, {fields}, "([^"]*)"\)$', settings, re.M)
    if len(numbers + texts + lists) != len(re.findall(r"^[A-Z]+\(", settings, re.M)):
        sys.exit("settings.def: a row cannot be read")
    for flag, variable, member, default, about in numbers:
        number, _, shift = re.sub(r"int64_t\{(\d+)\}", r"\1", default.replace("'", "")).partition("<<")
        out += f"| `{flag}` | `{variable}` | `{member}` | {int(number) << int(shift or 0)} | {about} |\n"
    for flag, variable, member, about in texts:
        out += f"| `{flag}` | `{variable}` | `{member}` | none | {about} |\n"
    for flag, variable, member, about in lists:
        variables = f"`{variable}0`, `_1`, …" if variable.endswith("_") else f"`{variable}`, with commas"
        out += f"| `{flag}`, several times | {variables} | `{member}`, a list | none | {about} |\n"
    return out + TAIL


if __name__ == "__main__":
    run(TARGET, text, __doc__)

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
    rows = re.findall(r'^TOOL\((\w+), \w+, "([^"]*)",\s*"([^"]*)",\s*R"\((.*?)\)",\s*R"\((.*?)\)",\s*R"\((.*?)\)"\)$', table, re.M | re.S)
    if len(rows) != table.count("\nTOOL("):
        sys.exit("tools.def: a row cannot be read")
    out = HEAD
    for name, _, summary, notes, given, result in rows:
        json.loads(notes)
        cells = [f"`{name}`", members(json.loads(given)), members(json.loads(result)), summary]
        out += "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n"
    out += SETTINGS
    settings = (ROOT / "src/mcp/settings.def").read_text()
    rows = re.findall(r'^SETTING\(\w+, "([^"]*)", "([^"]*)", "([^"]*)", [^"]*?, ([^,"]*), "([^"]*)"\)$', settings, re.M)
    if len(rows) != settings.count("\nSETTING("):
        sys.exit("settings.def: a row cannot be read")
    for flag, variable, member, default, about in rows:
        number, _, shift = re.sub(r"int64_t\{(\d+)\}", r"\1", default.replace("'", "")).partition("<<")
        value = int(number) << int(shift or 0)
        out += f"| `{flag}` | `{variable}` | `{member}` | {value} | {about} |\n"
    out += "| `--state-dir` | `CORDON_MCP_STATE_DIR` | `stateDir` | none | where exported states are kept, by name |\n"
    return out + ("| `--mount` | `CORDON_MCP_MOUNT_0`, `_1`, … | `mounts`, a list | none | `HOST:GUEST`, a directory of the host that every "
                  "sandbox sees; read only, unless `:rw` follows. `--mount` may be given several times |\n")


if __name__ == "__main__":
    run(TARGET, text, __doc__)

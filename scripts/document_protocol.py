#!/usr/bin/env python3
"""docs/protocol.md from src/rpc/methods.def: document_protocol.py write | check"""
import re
import sys

from generated_document import ROOT, run

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
Parameters that are bytes are given either way, and so are paths (`path`, `from`, `to`, `target`, `cwd`, `directory`), whose names need not be
text. A path that is not absolute begins in `/home/user`. A parameter that is not known is refused.

Errors: -32700 no JSON or `Request too large`, -32600 no request, -32601 `Method not found: X`, -32602 a parameter
(`Missing required param: X`, `Unknown sandboxId: X`, `Maximum of N concurrent sandboxes reached`), 1 the sandbox or
its files, with the name of the error in `data.errno`, which is `LIMIT_EXCEEDED` where all sandboxes together have what they may. That a command fails is no error but its `exitCode`; a time-out is exit
code 124 with what was written until then. `errorClass` is `TIMEOUT`, `CANCELLED`, `LIMIT_EXCEEDED` (output was dropped, the command
was too large, or it failed and had met a limit of memory, processes or files) or `CAPABILITY_DENIED` (a program that
`security.toolAllowlist` does not name was to be started, or `pkg` asked for something where it does not name that). All are told by who decided it, whatever the command prints.

`usage` of a result is counted by the sandbox's kernel for this command alone: its processes bear its number, wherever they move to, and
commands that run at the same time share no figure. `cpuMs`: processor time, of user and system together, which the host's clock of each process
shows; of processes that go on in the background, until now. A command of the session has the part that the shell took for it. What the sandbox
does to begin and end a process is in it as far as the process itself does it. `memoryPeakBytes`: pages of its processes at a time, as
`memoryBytes` limits them; the session's shell is among them. `processes`: started. `stdoutBytes`, `stderrBytes`: written, with what was dropped.
`fileReadBytes`, `fileWrittenBytes`: of files by calls, mounts included; programs that are loaded, pipes, sockets and terminals are not. There is no network
to count. A process that the host killed from outside the sandbox is missing in `cpuMs`. The figures do not decide anything: limits are held elsewhere, and
native code that broke out of the engine could write others.

Notifications: `output {requestId | processId, stream, data}`; `exit {processId, exitCode, executionTimeMs, truncated, usage, [signal],
[errorClass]}`; `persistence.failed {sandboxId, error}`: a sandbox could not be saved, which is tried again;
`package.progress {requestId, text}`;
`files.changed {watchId, type, path}` of `files.watch`: `created`, `changed`, `removed`, or `overflow`: more is different than is told, or
the client did not take what it was told;
`audit {type, sessionId, timestamp, …}`: what happened to a sandbox that was created with `audit`, to the connection that created it:
`sandbox.create [forkOf]`, `sandbox.destroy [reason]`, `command.start {command, requestId | processId}`, `command.complete`,
`command.timeout` and `command.cancelled` (the same with `exitCode`, `executionTimeMs`, `usage`, `[errorClass]`), `limit.exceeded {limit}`,
`capability.denied {capability, tool, [requestId]}`, `package.install.start`, `package.install.denied`, `package.install.cancelled`, `package.install.complete` ([packages](packages.md)). Before the answer that they belong to. A client that does not take its messages
loses events and nothing else: `missed` in the next one says how many.

Requests to the client, with ids `cb_N`: `extension.invoke {sandboxId, name, args, env, cwd}` calls a command that it has registered; the
answer is `{exitCode, [stdout], [stderr]}`, or an error, whose message the command writes, ending with 1. `callId` of `extension.read` and
`extension.write` is the id of the request, until it is answered. `extension.cancel {sandboxId, callId}`, a notification: the command has ended, and
nobody waits for the answer. Arguments and variables that are no UTF-8 have replacements; `argsBase64` is there then, and exact.

In brackets: what may be left out. Every method but `create`, `sandbox.list`, `usage.total`, `persistence.list`, `persistence.delete`, `kill`, `version` and `process.*` takes `sandboxId`;
without it the first sandbox of the connection is meant. A sandbox ends with its connection unless it is detached; whoever
may connect and knows its id may use a detached one.

| method | parameters | result | |
|---|---|---|---|
"""


def text(_):
    table = (ROOT / "src/rpc/methods.def").read_text()
    rows = re.findall(r'^METHOD\("([^"]+)", \w+,\s*"([^"]*)",\s*"([^"]*)",\s*"([^"]*)"\)', table, re.M)
    if len(rows) != table.count("\nMETHOD("):
        sys.exit("methods.def: a row cannot be read")
    cells = [[cell.replace("|", "\\|") for cell in row] for row in rows]
    return HEAD + "".join(f"| `{name}` | {parameters} | {result} | {summary} |\n" for name, parameters, result, summary in cells)


if __name__ == "__main__":
    run(TARGET, text, __doc__)

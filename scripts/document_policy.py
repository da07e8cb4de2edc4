#!/usr/bin/env python3
"""docs/policy.md from src/policy/schema.def and src/policy/managers.def: document_policy.py write | check"""
import re
import sys

from generated_document import ROOT, run

POLICY = ROOT / "src/policy"
TARGET = ROOT / "docs/policy.md"
HEAD = """# Policy files

Generated from `src/policy/schema.def`, `managers.def` and `host_sources.def` by `scripts/document_policy.py write`; a test checks
that it is current.

`cordon.yaml` or `sbox.yaml` (version 1) of a project is looked for upwards from the working directory; your own policy is
`policy.yaml` in `~/.config/cordon`. `cordon init` writes either; `cordon plan -- COMMAND` shows what comes of them. Unknown keys,
wrong types and contradictory rules are errors with file, line and column, all at once, and end with 125.

**Whose word counts.** A project's file only narrows what your own policy grants. What it asks for beyond that is left out of the
plan, listed as *needs your approval*, and the plan is refused until `cordon trust` has approved it. An approval is of a file's
bytes: a change withdraws it. Files of the project that an approved policy has used outside the sandbox, a script of `pre_run_on: host` or what an
image is built from, are approved by their own bytes. Hosts that only a project's lockfile or configuration names are approved as that list of hosts. Lists
of denied variables and excluded paths of both files add up. Where there is no wall (`mode: host`, `--wall none`) a project's
variables, `pre_run` and `shell` wait for approval too.

**Which profile.** `--profile`; otherwise the first rule that matches, of your own policy, then of the project, then of the package
manager's preset; otherwise `default`; otherwise the first profile of the project. A rule's pattern is compared word by word with
the command as it was typed and with what it comes to: without the program's directory, without `env`, `nice`, `timeout`, `npx`,
`sh -c` and their like, without options before the subcommand, with the subcommand's full name. So `npx npm i`,
`/usr/bin/npm  install` and `env A=b npm --prefix x add` all match `npm install*`. A shell script of more than one command is a
command of its own.

**Variables that look secret** are recognised by their names (parts such as TOKEN, SECRET, PASSWORD, KEY; prefixes of cloud
providers) and by how their values begin. An install with network never gets one. Their values are in no plan.

**A network** is a list: names, addresses and ports are decided together, outside the sandbox, and what the list does not name is refused
at once. A name of the list that resolves to a private or loopback address, or to one of this machine's, is refused too, unless you or your own
configuration named that very host. Metadata services, link-local addresses and groups are reached by no name, only where a rule names
the address. What you grant to projects widely (`*.domain`, `0.0.0.0/0`, `any_network`) is what is public: a private address or name of
theirs needs a grant of just that, or approval. Every decision is a line of JSON in `cordon/network.log` of the state folder (`$XDG_STATE_HOME`,
`~/.local/state`; kept once more as `network.log.1` when it is long), and a line on standard error sums up. Without the place for the
log, the gateway or the kernel's packet filter (NF_TABLES_INET, NFT_TPROXY) nothing runs.

**Never to be written**, unless named one by one in your own or an approved file: what the host would execute or obey later, such as
git's hooks and configuration, shell start-up files, and the configuration of editors, agents and package managers.

The column *in* says where a field may be: **all** files, **cordon** is not in sbox.yaml, **user** is in your own policy alone. The
meaning is the same everywhere.
"""
FILES = {"kBoth": "all", "kCordon": "cordon", "kUser": "user"}
TYPES = {"Text": "text", "Flag": "true or false", "Number": "number", "Size": "size", "Duration": "duration", "TextList": "list",
         "TextMap": "mapping", "CapabilityRules": "see right"}


def sections():
    """[(structure, text, rows)], a row (type, name, form, default, files, text), in the order of the file."""
    found = []
    for number, line in enumerate((POLICY / "schema.def").read_text().splitlines(), 1):
        if match := re.fullmatch(r'POLICY_SECTION\((\w+), "(.*)"\)', line):
            found.append((match[1], match[2], []))
        elif match := re.fullmatch(r'POLICY_FIELD\(([\w<>]+), (\w+), "(.*?)", "(.*?)", (\w+), "(.*)"\)', line):
            found[-1][2].append(match.groups())
        elif line.startswith("POLICY_") and not line.startswith("POLICY_END"):
            sys.exit(f"schema.def:{number}: not a row")
    return found


def kind(row, titles):
    type_, form = row[0], row[2]
    if match := re.fullmatch(r"(Nested|Each|Named)<(\w+)>", type_):
        link = f"[{titles[match[2]]}](#{titles[match[2]].replace(' ', '-')})"
        return {"Nested": link, "Each": f"list of {link}", "Named": f"names with {link}"}[match[1]]
    if "|" in form:
        words = ", ".join(f"`{word}`" for word in form.split("|"))
        return f"list of {words}" if type_ == "TextList" else words
    name = form.replace("-", " ")
    if type_ == "TextList":
        return f"list of {name or 'text'}"
    return name if type_ == "Text" and name else TYPES[type_]


def table(rows, titles):
    lines = ["| field | is | default | in | means |", "|---|---|---|---|---|"]
    for row in rows:
        default = f"`{row[3]}`" if row[3] else ""
        lines.append(f"| `{row[1]}` | {kind(row, titles)} | {default} | {FILES[row[4]]} | {row[5]} |".replace("  |", " |"))
    return "\n".join(lines) + "\n"


def managers():
    text = (POLICY / "managers.def").read_text()
    before = []
    lines = ["| manager | install | build | install writes | build writes | lockfiles |", "|---|---|---|---|---|---|"]
    for body in re.findall(r"^MANAGER\((.*?)\)$", text, re.M | re.S):
        cell = re.findall(r'"(.*?)"', body)
        if len(cell) > 13:
            before.append(f"\nBefore an install of {cell[0]} runs, in the same sandbox: `{cell[13]}`.\n")
        words = [", ".join(f"`{word}`" for word in cell[i].split(separator) if word)
                 for i, separator in ((4, "|"), (5, "|"), (6, " "), (7, " "), (8, " "))]
        lines.append(f"| {cell[0]} | " + " | ".join(words) + " |")
    return "\n".join(lines).replace("  |", " |") + "\n" + "".join(before)


def sources():
    order = ["kVariable", "kProject", "kUser", "kMachine", "kLockfile", "kBuiltin"]
    found = {}
    for name, level, where in re.findall(r'^SOURCE\("(\w+)", (\w+), "(.*?)",', (POLICY / "host_sources.def").read_text(), re.M):
        where = "~/" + where if level == "kUser" else re.sub(r"^@(\w*)/", lambda match: f"({match[1] or 'its program'})/", where)
        found.setdefault(name, {}).setdefault(level, []).append(f"`{where}`")
    lines = ["| manager | variables | project | user | machine | lockfile | its own default |", "|---|---|---|---|---|---|---|"]
    for name, levels in found.items():
        lines.append(f"| {name} | " + " | ".join(", ".join(levels.get(level, [])) for level in order) + " |")
    return "\n".join(lines).replace("  |", " |") + "\n"


def text(_):
    found = sections()
    titles = {structure: re.sub(r"(?<!^)(?=[A-Z])", " ", structure).lower() for structure, _, _ in found}
    titles["Document"] = "the file"
    parts = [HEAD]
    for structure, meaning, rows in found[-1:] + found[:-1]:
        parts.append(f"\n## {titles[structure]}\n\n{meaning}\n\n{table(rows, titles)}")
    parts.append("\n## package managers\n\nPresets, as `package_manager: {name: …}` or without any file. An install has the network, its hosts"
                 " and the role\n`install`; a build has no network; everything else has the profile `default`: no network, nothing writable.\n\n")
    parts.append(managers())
    parts.append("\nWhere their hosts come from. Hosts that your own or the machine's configuration names may have private addresses; those"
                 " that\nonly a project names need approval. The program's own default, read from its files, counts as the machine's where"
                 " nothing else\nnames an index.\n\n")
    parts.append(sources())
    return "".join(parts)


if __name__ == "__main__":
    run(TARGET, text, __doc__)

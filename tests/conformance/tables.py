"""The tables in docs/conformance: one row a test, with its result in the sandbox and on the host and, where it passes on the
host only, the cause, which comes from causes/SUITE.txt (a pattern for names, a colon, the cause; the first that fits counts)."""
import csv
import fcntl
import fnmatch
import pathlib
import re

from suite import ROOT

FOLDER = ROOT / "docs/conformance"
SUMMARY = ROOT / "docs/conformance.md"
COLUMNS = ["test", "sandbox", "host", "reason", "cause"]


def read(name):
    """{test: row}"""
    path = FOLDER / f"{name}.csv"
    if not path.is_file():
        return {}
    with open(path, newline="", encoding="utf-8") as file:
        return {row["test"]: row for row in csv.DictReader(file)}


def causes(name):
    path = pathlib.Path(__file__).parent / "causes" / f"{name}.txt"
    found = []
    for line in path.read_text().splitlines() if path.is_file() else []:
        if line and not line.startswith("#"):
            pattern, cause = line.split(": ", 1)
            found.append((pattern, cause))
    return found


def steady(reason):
    """A reason without what is different in every run: numbers of processes, names of temporary folders, times."""
    reason = re.sub(r"conformance[-.][\w.]+/\S*", "…", reason)
    reason = re.sub(r"gt-[\w+.-]+\.\w{4}\b", "gt", reason)
    reason = re.sub(r"0x[0-9a-f]{4,}|\b\d{4,}\b|\b\d+\.\d+\b", "N", reason)
    return "".join(character for character in reason if character.isprintable()).strip()


def host_only(row):
    return row["host"] == "pass" and row["sandbox"] not in ("pass", "")


def merge(name, table, tests, found):
    """The rows of `tests`: those of the table, with the results that were found now. `found` is {side: {test: Result}}."""
    known = causes(name)
    rows = {}
    for test in tests:
        row = {column: "" for column in COLUMNS} | table.get(test, {}) | {"test": test}
        for side, results in found.items():
            if test in results:
                row[side] = results[test].outcome
        if test in found.get("sandbox", {}):
            row["reason"] = steady(found["sandbox"][test].reason)
        row["cause"] = ""
        if host_only(row):
            row["cause"] = next((cause for pattern, cause in known if fnmatch.fnmatchcase(test, pattern)), "unexplained")
        rows[test] = row
    return rows


def write(name, order, found, only_these):
    """Puts results into the table, in the suite's order; others' rows and sides stay, because runs may overlap. With
    `only_these` tests that the suite does not have any more go."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    with open(ROOT / "build/conformance.lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        table = read(name)
        if only_these:
            table = {test: row for test, row in table.items() if test in order}
        tested = {test for results in found.values() for test in results}
        rows = merge(name, table, [test for test in order if test in table or test in tested], found)
        with open(FOLDER / f"{name}.csv", "w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows.values())
        write_summary()


def sums(rows):
    run = [row for row in rows if row["sandbox"] and row["host"]]
    native = [row for row in run if row["host"] == "pass"]
    both = sum(row["sandbox"] == "pass" for row in native)
    return {"tests": len(rows), "not run": len(rows) - len(run), "sandbox": sum(row["sandbox"] == "pass" for row in rows), "host": len(native), "both": both,
            "host only": len(native) - both, "unexplained": sum(row["cause"] == "unexplained" for row in rows),
            "share": f"{100 * both / len(native):.1f} %" if native else "-"}


def write_summary():
    """The part of docs/conformance.md between its two marks: sums, and each test that passes on the host only."""
    lines = ["| suite | tests | not run on both sides yet | pass in the sandbox | on the host | in both | of the host's |",
             "|---|--:|--:|--:|--:|--:|--:|"]
    details = []
    everything = []
    for path in sorted(FOLDER.glob("*.csv")):
        rows = list(read(path.stem).values())
        everything += rows
        total = sums(rows)
        lines.append(f"| [{path.stem}](conformance/{path.name}) | {total['tests']} | {total['not run']} | {total['sandbox']} | "
                     f"{total['host']} | {total['both']} | {total['share']} |")
        different = [row for row in rows if host_only(row)]
        if different:
            details += ["", f"### {path.stem}", "", "| test | sandbox | cause |", "|---|---|---|"]
            details += [f"| {cell(row['test'])} | {row['sandbox']} | {cell(row['cause'])} |" for row in different]
    total = sums(everything)
    lines.append(f"| all | {total['tests']} | {total['not run']} | {total['sandbox']} | {total['host']} | {total['both']} | {total['share']} |")
    text = SUMMARY.read_text()
    begin, end = "<!-- table: make conformance -->\n", "<!-- end of table -->"
    head, rest = text.split(begin, 1)
    tail = rest.split(end, 1)[1]
    SUMMARY.write_text(head + begin + "\n" + "\n".join(lines) + "\n\n## Passed on the host only\n" + "\n".join(details) + "\n\n" + end + tail)


def cell(text):
    return text.replace("|", "\\|").replace("<", "&lt;")


def report(name, rows, table, written):
    """Prints the sums and what is worse than in the table; (as in the table or better, worse)."""
    total = sums(list(rows.values()))
    print(f"{name}: {total['tests']} tests, {total['sandbox']} pass in the sandbox, {total['host']} on the host, {total['both']} in both "
          f"({total['share']}), {total['unexplained']} unexplained", flush=True)
    worse = [] if written else [row for test, row in rows.items()
                                if row["sandbox"] != "pass" and table.get(test, {"sandbox": "pass"})["sandbox"] == "pass"]
    for row in worse:
        print(f"  {name}/{row['test']}: {row['sandbox']}, {row['reason']}; passed before")
    return len(rows) - len(worse), len(worse)

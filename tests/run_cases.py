#!/usr/bin/env python3
"""Runs declarative cases: run_cases.py fast | full | FILE | NAME…      The format is in tests/README.md."""
import hashlib
import os
import pathlib
import re
import shlex
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
BUILD = pathlib.Path(os.environ.get("CORDON_BUILD", HERE.parent / "build"))
DIRECTIVES = {"set", "options", "copy-in", "module", "wat", "script", "command", "stdin", "stdout", "stdout-matches", "stderr", "stderr-matches", "exit",
              "host", "within"}


def parse(path):
    """A case file is `## name` followed by `key: value` lines and `key:` blocks that are indented by two spaces."""
    cases, case, key = [], None, None
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if line.startswith("## "):
            case, key = {"name": line[3:].strip(), "file": path.name, "set": "fast"}, None
            cases.append(case)
        elif key and (line.startswith("  ") or not line.strip()):
            case[key] += line[2:] + "\n"
        elif match := re.fullmatch(r"([a-z-]+):(?: (.*))?", line):
            if case is None or match[1] not in DIRECTIVES:
                sys.exit(f"{path}:{number}: unknown directive {match[1]!r}")
            if match[2] is None:
                key = match[1]
                case[key] = ""
            else:
                case[match[1]], key = match[2], None
        elif line.strip() and not line.startswith("#"):
            sys.exit(f"{path}:{number}: neither a directive nor part of a block")
    for case in cases:
        for name in ("stdout", "stderr", "stdin", "script", "wat"):
            if name in case and case[name].endswith("\n\n"):
                case[name] = case[name].rstrip("\n") + "\n"
    return cases


def compile_text(text):
    """The path of a module m.wasm, made from the text format."""
    folder = BUILD / "tests" / "wat" / hashlib.sha256(text.encode()).hexdigest()[:16]
    folder.mkdir(parents=True, exist_ok=True)
    module = folder / "m.wasm"
    if not module.exists():
        (folder / "m.wat").write_text(text)
        subprocess.run(["wat2wasm", "--debug-names", "--enable-all", folder / "m.wat", "-o", module], check=True)
    return str(module)


def run(case):
    """Returns the reasons why the case failed."""
    environment = {"PATH": os.environ["PATH"], "HOME": "/nowhere", "XDG_CACHE_HOME": str(BUILD / "tests"), "CORDON_SECRET": "do-not-enter"}
    command = [str(BUILD / "cordon"), "run", "--check-kernel", *shlex.split(case.get("options", ""))]
    if "module" in case:
        command += ["--module", str(BUILD / case["module"])]
    if "wat" in case:
        command += ["--module", compile_text(case["wat"])]
    if "copy-in" in case:
        command += ["--copy-in", f"{HERE.parent / case['copy-in']}:/home/user/{pathlib.Path(case['copy-in']).name}"]
    command += ["-c", case["script"]] if "script" in case else ["--", *shlex.split(case["command"])]
    limit = float(case.get("within", 15))
    start = time.monotonic()
    try:
        done = subprocess.run(command, input=case.get("stdin", "").encode(), capture_output=True, timeout=limit, env=environment)
    except subprocess.TimeoutExpired:
        return [f"not done within {limit} s"]
    out, error = done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")
    wrong = []
    if done.returncode != int(case.get("exit", 0)):
        wrong.append(f"exit {done.returncode}, expected {case.get('exit', 0)}")
    for name, text in (("stdout", out), ("stderr", error)):
        if name in case and text.removesuffix("\n") != case[name].removesuffix("\n"):
            wrong.append(f"{name} {text!r}, expected {case[name]!r}")
    if "stdout-matches" in case and not re.search(case["stdout-matches"].strip(), out):
        wrong.append(f"stdout {out!r} does not match")
    if "stderr-matches" in case and not re.search(case["stderr-matches"].strip(), error):
        wrong.append(f"stderr {error!r} does not match")
    if "host" in case:
        host = subprocess.run(["bash", "-c", case["host"]], input=case.get("stdin", "").encode(), capture_output=True)
        if host.stdout != done.stdout:
            same = os.path.commonprefix([host.stdout, done.stdout])
            wrong.append(f"after {same[-60:]!r} the host prints {host.stdout[len(same):][:200]!r}, the sandbox {done.stdout[len(same):][:200]!r}")
    if wrong:
        wrong.append(f"stderr: {error[-500:]!r}, {time.monotonic() - start:.1f} s")
    return wrong


def main(wanted):
    cases = [case for path in sorted((HERE / "cases").glob("*.case")) for case in parse(path)]
    chosen = [case for case in cases if {case["set"], case["name"], case["file"].removesuffix(".case")} & set(wanted)]
    passed = 0
    for case in chosen:
        wrong = run(case)
        passed += not wrong
        print(f"{'FAIL' if wrong else 'ok  '} {case['file']}: {case['name']}", *(f"\n     {reason}" for reason in wrong), sep="", flush=True)
    print(f"{passed} passed, {len(chosen) - passed} failed")
    return 0 if chosen and passed == len(chosen) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:] or ["fast"]))

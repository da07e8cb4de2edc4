#!/usr/bin/env python3
"""Package managers behind the native wall, through the gateway, with what they bring home without Cordon: run_packages.py [NAME…]

From the index that this machine's own configuration of the package manager names; where that cannot be reached, skipped with the reason.
"""
import hashlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
CORDON = pathlib.Path(os.environ.get("CORDON_BUILD", ROOT / "build")) / "cordon"


class Skipped(Exception):
    pass


def equal(got, wanted):
    assert got == wanted, f"{got!r}, expected {wanted!r}"


def tree(folder):
    """Everything below it: links as they are, files with their mode and what they hold."""
    found = {}
    for path in sorted(folder.rglob("*")):
        stat = path.lstat()
        text = os.readlink(path) if path.is_symlink() else hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "folder"
        found[str(path.relative_to(folder))] = (oct(stat.st_mode), stat.st_uid, text)
    return found


def run(command, folder, state):
    return subprocess.run(command, cwd=folder, env={**os.environ, "XDG_STATE_HOME": str(state)}, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=180, check=False)


def compare(folder, command, files, result):
    """The command without Cordon and behind the wall, each in a project of its own."""
    if not shutil.which(command[0]):
        raise Skipped(f"{command[0]} is not installed")
    trees = {}
    for name in ("without", "behind"):
        project = folder / name
        project.mkdir()
        for path, text in files.items():
            (project / path).write_text(text)
        prefix = [] if name == "without" else [CORDON, "run", "--wall", "native", "--report", folder / "report.json", "--"]
        try:
            done = run([*prefix, *command], project, folder / "state")
        except subprocess.TimeoutExpired:
            if name == "without":
                raise Skipped("its index does not answer") from None
            raise
        if name == "without" and done.returncode != 0:
            raise Skipped("without Cordon it fails too: " + (done.stderr.strip() or "no reason").splitlines()[-1])
        equal((name, done.returncode, done.stderr if done.returncode else ""), (name, 0, ""))
        trees[name] = tree(project / result)
        assert trees[name], f"nothing in {name}/{result}"
    differing = sorted({path for path, _ in set(trees["without"].items()) ^ set(trees["behind"].items())})
    equal(differing, [])
    report = json.loads((folder / "report.json").read_text())
    assert len(report["network"]["allowed"]) >= 1, report
    equal(report["network"]["refused"], {})
    assert re.search(r"^cordon: \d+ hosts? allowed, 0 refused$", done.stderr, re.MULTILINE), done.stderr


def npm_install(folder):
    package = {"name": "small", "version": "1.0.0", "dependencies": {"chalk": "4.1.2", "semver": "7.5.4", "is-odd": "3.0.1"}}
    compare(folder, ["npm", "install", "--no-audit", "--no-fund", "--no-update-notifier"], {"package.json": json.dumps(package)}, "node_modules")


def pip_download(folder):
    compare(folder, ["pip", "download", "--no-deps", "--disable-pip-version-check", "-d", ".venv/wheels", "six==1.16.0"], {"requirements.txt": "six==1.16.0\n"},
            ".venv/wheels")


def main(wanted):
    passed = failed = 0
    for test in (npm_install, pip_download):
        if wanted and test.__name__ not in wanted:
            continue
        title = f"packages: {test.__name__.replace('_', ' ')}"
        with tempfile.TemporaryDirectory() as folder:
            try:
                test(pathlib.Path(folder).resolve())
                print(f"ok   {title}", flush=True)
                passed += 1
            except Skipped as reason:
                print(f"skip {title}: {reason}", flush=True)
            except (AssertionError, OSError, subprocess.SubprocessError, ValueError, KeyError) as error:
                print(f"FAIL {title}: {type(error).__name__}: {error}", flush=True)
                failed += 1
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

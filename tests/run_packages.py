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

from native_world import Skipped, equal

ROOT = pathlib.Path(__file__).resolve().parent.parent
CORDON = pathlib.Path(os.environ.get("CORDON_BUILD", ROOT / "build")) / "cordon"


def tree(folder):
    """Everything below it: links as they are, files with their mode and what they hold."""
    found = {}
    for path in sorted(folder.rglob("*")):
        stat = path.lstat()
        text = os.readlink(path) if path.is_symlink() else hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "folder"
        found[str(path.relative_to(folder))] = (oct(stat.st_mode), stat.st_uid, text)
    return found


def run(command, folder, state, **env):
    return subprocess.run(command, cwd=folder, env={**os.environ, "XDG_STATE_HOME": str(state), **env}, stdin=subprocess.DEVNULL, capture_output=True, text=True,
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


def npm_with_a_hundred_packages_and_a_native_script(folder):
    """esbuild's script runs the program for this machine that came with it, and puts it where the package's own was."""
    package = {"name": "large", "version": "1.0.0", "dependencies": {"eslint": "8.57.0", "express": "4.19.2", "esbuild": "0.21.5"}}
    compare(folder, ["npm", "install", "--no-audit", "--no-fund", "--no-update-notifier"], {"package.json": json.dumps(package)}, "node_modules")
    modules = folder / "behind/node_modules"
    assert len(json.loads((modules / ".package-lock.json").read_text())["packages"]) >= 100
    version = run([CORDON, "run", "--wall", "native", "--", "node_modules/.bin/esbuild", "--version"], folder / "behind", folder / "state")
    equal((version.returncode, version.stdout), (0, "0.21.5\n"))
    assert (modules / "esbuild/bin/esbuild").read_bytes().startswith(b"\x7fELF")


# Managers that npm itself brings, of these very versions.
BROUGHT = {"yarn": "yarn@1.22.22", "pnpm": "pnpm@9.15.9", "bun": "bun@1.4.5"}


def in_two_phases_by(manager, folder):
    """From a lockfile that the manager has made outside: packages with scripts off, then a native script without a network."""
    if not shutil.which("npm"):
        raise Skipped("npm is not installed")
    brought = run(["npm", "install", "--no-audit", "--no-fund", "--no-update-notifier", "--foreground-scripts", "--prefix", str(folder / "manager"),
                   BROUGHT[manager]], folder, folder / "state")
    if brought.returncode != 0:
        raise Skipped(f"{BROUGHT[manager]} cannot be had: " + (brought.stderr.strip() or "no reason").splitlines()[-1])
    path = {"PATH": f"{folder}/manager/node_modules/.bin:{os.environ['PATH']}"}
    project = folder / "project"
    project.mkdir()
    package = {"name": "small", "version": "1.0.0", "license": "MIT", "dependencies": {"semver": "7.5.4", "esbuild": "0.21.5"},
               "scripts": {"postinstall": "node -e \"require('fs').writeFileSync('node_modules/own', String(require('os').hostname()))\""}}
    (project / "package.json").write_text(json.dumps(package))
    made = run([manager, "install", "--ignore-scripts"], project, folder / "state", **path)
    if made.returncode != 0:
        raise Skipped("without Cordon it fails too: " + (made.stderr.strip() or made.stdout.strip() or "no reason").splitlines()[-1])
    shutil.rmtree(project / "node_modules")
    before = {file.name: file.read_bytes() for file in project.iterdir() if file.is_file()}
    done = run([CORDON, "install", "--require-lockfile"], project, folder / "state", **path)
    equal((done.returncode, done.stderr if done.returncode else ""), (0, ""))
    assert "(without network)" in done.stderr and " 0 refused" in done.stderr, done.stderr
    equal({file.name: file.read_bytes() for file in project.iterdir() if file.is_file()}, before)
    # The script has put the machine's own program in the place of the package's; it leaves yarn's packages as they are, and bun runs it for
    # packages that it trusts alone.
    program = project / "node_modules/esbuild/bin/esbuild"
    equal(program.read_bytes().startswith(b"\x7fELF"), manager == "pnpm")
    # The project's own script ran, behind the wall.
    equal((project / "node_modules/own").read_text(), "cordon")
    version = run([CORDON, "run", "--wall", "native", "--", "node_modules/.bin/esbuild", "--version"], project, folder / "state")
    equal((version.returncode, version.stdout), (0, "0.21.5\n"))


def yarn_in_two_phases(folder):
    in_two_phases_by("yarn", folder)


def pnpm_in_two_phases(folder):
    in_two_phases_by("pnpm", folder)


def bun_in_two_phases(folder):
    in_two_phases_by("bun", folder)


def pip_download(folder):
    compare(folder, ["pip", "download", "--no-deps", "--disable-pip-version-check", "-d", ".venv/wheels", "six==1.16.0"], {"requirements.txt": "six==1.16.0\n"},
            ".venv/wheels")


def npm_in_two_phases(folder):
    """What a package wants run runs, and not before there is no network; the lockfile is what decided."""
    project = folder / "project"
    (project / "local").mkdir(parents=True)
    probe = "const n=require('net').connect(443,'192.0.2.1');n.on('error',()=>process.exit(0));n.on('connect',()=>process.exit(1));n.setTimeout(3000,()=>process.exit(1))"
    (project / "local/package.json").write_text(json.dumps({"name": "local", "version": "1.0.0", "scripts": {"postinstall": f"node -e \"{probe}\""}}))
    package = {"name": "small", "version": "1.0.0", "dependencies": {"semver": "7.5.4", "local": "file:local"}, "scripts": {"postinstall": "node -e \"require('fs').writeFileSync('node_modules/own','')\""}}
    (project / "package.json").write_text(json.dumps(package))
    if not shutil.which("npm"):
        raise Skipped("npm is not installed")
    done = run(["npm", "install", "--package-lock-only", "--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier"], project, folder / "state")
    if done.returncode != 0:
        raise Skipped("its index does not answer")
    lock = (project / "package-lock.json").read_bytes()
    done = run([CORDON, "bootstrap"], project, folder / "state")
    equal((done.returncode, done.stderr if done.returncode else ""), (0, ""))
    equal((project / "node_modules/semver/package.json").exists(), True)
    equal((project / "node_modules/own").exists(), False)
    done = run([CORDON, "install", "--require-lockfile"], project, folder / "state")
    equal((done.returncode, done.stderr if done.returncode else ""), (0, ""))
    digest = hashlib.sha256(lock).hexdigest()
    assert f"package-lock.json sha256 {digest}, unchanged" in done.stderr, done.stderr
    assert "(without network)" in done.stderr, done.stderr
    equal((project / "node_modules/own").exists(), True)
    equal((project / "package-lock.json").read_bytes(), lock)
    (project / "package-lock.json").unlink()
    equal(run([CORDON, "install", "--require-lockfile"], project, folder / "state").returncode, 125)


def pip_in_two_phases(folder):
    project = folder / "project"
    project.mkdir()
    (project / "requirements.txt").write_text("six==1.16.0 --hash=sha256:8abb2f1d86890a2dfb989f9a77cfcfd3e47c2a354b01111771326f8aa26e0254\n")
    if not shutil.which("pip"):
        raise Skipped("pip is not installed")
    check = run(["pip", "download", "--no-deps", "-d", str(folder / "check"), "six==1.16.0"], project, folder / "state")
    if check.returncode != 0:
        raise Skipped("its index does not answer")
    done = run([CORDON, "install", "--manager", "pip"], project, folder / "state")
    equal((done.returncode, done.stderr if done.returncode else ""), (0, ""))
    equal((project / ".venv/packages/six.py").exists(), True)


def main(wanted):
    passed = failed = 0
    for test in (npm_install, npm_with_a_hundred_packages_and_a_native_script, pip_download, npm_in_two_phases, yarn_in_two_phases, pnpm_in_two_phases,
                 bun_in_two_phases, pip_in_two_phases):
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

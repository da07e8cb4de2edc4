"""A home and a project for each test of what `cordon plan` says, and what runs them.

Programs of package managers are stand-ins that nothing runs; no test reaches a network.
"""
import json
import os
import pathlib
import subprocess
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = pathlib.Path(os.environ.get("CORDON_BUILD", ROOT / "build"))
CORDON = str(BUILD / "cordon")
PROGRAMS = ("npm", "npx", "yarn", "pnpm", "bun", "pip", "uv", "poetry", "cargo", "go", "composer", "bundle", "make", "node")
# The beginning of an sbox.yaml.
CONTAINER = "version: 1\nruntime: {backend: podman, rootless: true}\nworkspace:\n  root: .\n  mount: /workspace\n  writable: false\n"


class World:
    """A home with a user's configuration, a project, and stand-ins for package managers."""

    def __init__(self, folder):
        self.home, self.project = folder / "home", folder / "project"
        for path in (self.home, self.project, folder / "bin"):
            path.mkdir()
        for name in PROGRAMS:
            (folder / "bin" / name).write_text("#!/bin/sh\n")
            (folder / "bin" / name).chmod(0o755)
        self.env = {"PATH": f"{folder}/bin:/usr/bin:/bin", "HOME": str(self.home)}

    def write(self, path, text):
        target = (self.home if path.startswith("~/") else self.project) / path.removeprefix("~/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)

    def run(self, *arguments, stdin="", **env):
        return subprocess.run([CORDON, *arguments], cwd=self.project, env={**self.env, **env}, input=stdin, capture_output=True, text=True,
                              timeout=30)

    def plan(self, *command, options=(), **env):
        """(exit status, plan, standard error)."""
        done = self.run("plan", "--json", *options, "--", *command, **env)
        return done.returncode, json.loads(done.stdout)["plan"] if done.stdout else None, done.stderr


def equal(got, wanted):
    assert got == wanted, f"{got!r}, expected {wanted!r}"


def mount(plan, target):
    found = [mount for mount in plan["mounts"] if mount["target"] == target]
    return found[-1] if found else None


def hosts(plan):
    return [grant["host"] for grant in plan["network"]["allow"]]


def variables(plan):
    return {variable["name"]: variable.get("value") for variable in plan["environment"]["selected"]}


def main(tests, wanted):
    """Runs those of the tests that are named, or all, each in a world of its own; the exit status."""
    passed = failed = 0
    for test in tests:
        if wanted and test.__name__ not in wanted:
            continue
        name = test.__name__.replace("_", " ")
        with tempfile.TemporaryDirectory() as folder:
            try:
                test(World(pathlib.Path(folder).resolve()))
                passed += 1
                print(f"ok   plan: {name}", flush=True)
            except (AssertionError, subprocess.TimeoutExpired, OSError, ValueError, KeyError, TypeError) as error:
                failed += 1
                print(f"FAIL plan: {name}\n     {type(error).__name__}: {error}", flush=True)
    print(f"{passed} passed, {failed} failed")
    return 0 if passed and not failed else 1

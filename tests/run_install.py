#!/usr/bin/env python3
"""`cordon install` in two phases with real package managers and an index of the test's own: run_install.py [NAME…]

The index is in the world of network_world.py; nothing leaves the machine. pip and poetry are the machine's, another poetry is $CORDON_TEST_POETRY;
what is not there is skipped. poetry before 2.0 builds whatever it brings: it is refused, and that is its test.
"""
import hashlib
import os
import pathlib
import re
import shutil
import subprocess
import sys

import native_world
import python_index
import network_world
from native_world import Skipped, equal

HOST, PORT = "good.example", "8765"
INDEX = f"{HOST}:{PORT}"
CANDIDATES = list(filter(None, [os.environ.get("CORDON_TEST_POETRY"), shutil.which("poetry", path="/usr/bin:/usr/local/bin")]))


class World(native_world.World):
    """With the gateway, an index, and a user who has granted it."""

    def __init__(self, folder, uid, servers):
        super().__init__(folder, uid)
        shutil.copy(native_world.BUILD / "cordon-gateway", folder / "cordon-gateway")
        self.told_file = self.project / ".venv/told"
        python_index.make(folder / "index", str(self.told_file))
        self.write("~/.config/cordon/policy.yaml", f"version: 1\ngrants: {{network_allow: ['{INDEX}']}}\n")
        self.index = subprocess.Popen(["nsenter", "--net", "--target", str(servers.pid), "python3", "-I", "-u", "-m", "http.server", "--bind", "::", PORT,
                                       "--directory", folder / "index"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        assert PORT in self.index.stdout.readline()

    def close(self):
        self.index.kill()
        self.index.wait()

    def cordon_does(self, *words):
        return self.outside(self.cordon, *words)

    def told(self):
        return sorted(set(self.told_file.read_text().splitlines())) if self.told_file.exists() else []


def succeeded(done):
    assert done.returncode == 0, f"{done.args[-4:]} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
    return done


def refused(done, *reasons):
    equal(done.returncode, 125)
    for reason in reasons:
        assert reason in done.stderr, (reason, done.stderr)


# --- poetry ---

def with_poetry(world, is_new=True):
    """The first that this user can start, of the versions that can be told to build nothing, or of those before."""
    for program in CANDIDATES:
        world.env["PATH"] = f"{pathlib.Path(program).parent}:/usr/bin:/bin"
        try:
            said = world.outside("poetry", "--version").stdout
        except OSError:
            continue
        version = re.search(r"version (\d+)\.", said)
        if version and (int(version.group(1)) >= 2) == is_new:
            return
    raise Skipped("no poetry " + ("of version 2" if is_new else "before version 2"))


def poetry_project(world, dependencies, more="", of_source=""):
    world.write("pyproject.toml", "[tool.poetry]\nname = 'demo'\nversion = '0.1.0'\ndescription = ''\nauthors = ['a <a@b.example>']\n" + more +
                f"[[tool.poetry.source]]\nname = 'own'\nurl = 'http://{INDEX}/simple/'\n{of_source}[tool.poetry.scripts]\ndemo = 'demo:main'\n"
                "[tool.poetry.dependencies]\npython = '^3.8'\n" + dependencies +
                "[build-system]\nrequires = ['poetry-core']\nbuild-backend = 'poetry.core.masonry.api'\n")
    world.write("demo/__init__.py", "import alpha, gamma\ndef main(): print('demo has', alpha.x, gamma.x)\n")


def lock(world):
    succeeded(world.inside("poetry", "lock"))
    return (world.project / "poetry.lock").read_bytes()


def poetry_brings_wheels_and_runs_nothing_until_there_is_no_network(world):
    with_poetry(world)
    poetry_project(world, "alpha = '1.0'\ngreedy = '1.0'\n")
    text = lock(world)
    done = succeeded(world.cordon_does("bootstrap"))
    assert "cordon: 1 host allowed, 0 refused\n" in done.stderr, done.stderr
    packages = next((world.project / ".venv/lib").glob("python3*")) / "site-packages"
    equal([(packages / name).exists() for name in ("alpha.py", "gamma.py", "greedy.pth", "demo.pth")], [True, True, True, False])
    equal(world.told(), [])
    # Again, where the environment has a program of a package that runs whenever its interpreter is started.
    for _ in range(2):
        done = succeeded(world.cordon_does("install", "--require-lockfile"))
        assert f"poetry.lock sha256 {hashlib.sha256(text).hexdigest()}, unchanged" in done.stderr, done.stderr
        equal(world.told(), ["greedy with no network"])
        equal((packages / "demo.pth").exists(), True)
    equal((world.project / "poetry.lock").read_bytes(), text)
    equal(world.inside(".venv/bin/demo").stdout, "demo has 1 2\n")
    # It does run, and there is a network, where an install is of one phase.
    succeeded(world.inside("poetry", "install"))
    equal(world.told(), ["greedy with a network", "greedy with no network"])


def poetry_builds_nothing(world):
    """What has sources alone ends the install; it would have run."""
    with_poetry(world)
    poetry_project(world, "beta = '1.0'\n")
    lock(world)
    shutil.rmtree(world.project / ".venv", ignore_errors=True)
    done = world.cordon_does("install")
    assert done.returncode == 1 and "beta" in done.stdout + done.stderr, done
    equal(world.told(), [])
    succeeded(world.inside("poetry", "install"))
    assert "build of beta with a network" in world.told(), world.told()


def poetry_builds_what_is_near_without_a_network(world):
    with_poetry(world)
    poetry_project(world, "near = {path = 'near'}\n")
    for path, text in python_index.source_files("near", "1.0", str(world.told_file)).items():
        world.write("near/" + path, text)
    lock(world)
    shutil.rmtree(world.project / ".venv", ignore_errors=True)
    succeeded(world.cordon_does("bootstrap"))
    equal(world.told(), [])
    succeeded(world.cordon_does("install"))
    equal(world.told(), ["build of near with no network"])


def poetry_gets_further_words_in_both_phases(world):
    with_poetry(world)
    poetry_project(world, "alpha = '1.0'\n[tool.poetry.group.docs]\noptional = true\n[tool.poetry.group.docs.dependencies]\ngreedy = '1.0'\n")
    lock(world)
    installed = lambda: sorted(path.name for path in (world.project / ".venv/lib").glob("python3*/site-packages/*.py") if path.name != "_virtualenv.py")
    succeeded(world.cordon_does("install"))
    equal(installed(), ["alpha.py", "gamma.py"])
    succeeded(world.cordon_does("install", "--", "--with", "docs"))
    equal(installed(), ["alpha.py", "gamma.py", "greedy.py"])


def poetry_is_refused_what_it_would_build_all_the_same(world):
    with_poetry(world)
    poetry_project(world, "alpha = '1.0'\n")
    refused(world.cordon_does("install"), "no lockfile, and poetry", "-- poetry lock")
    text = lock(world).decode()
    world.write("poetry.lock", text.replace('type = "legacy"', 'type = "git"', 1))
    refused(world.cordon_does("install"), "poetry.lock: package alpha (git) would be built")
    world.write("poetry.lock", text)
    poetry_project(world, "alpha = '1.0'\n", "[tool.poetry.requires-plugins]\ngreedy = '1.0'\n")
    refused(world.cordon_does("install"), "pyproject.toml: poetry's plugin greedy")
    equal(world.told(), [])


def a_poetry_that_builds_whatever_it_brings_is_refused(world):
    with_poetry(world, is_new=False)
    poetry_project(world, "beta = '1.0'\n", of_source="default = true\n")
    lock(world)
    shutil.rmtree(world.project / ".venv", ignore_errors=True)
    done = world.cordon_does("install")
    assert done.returncode not in (0, 125) and "cordon: this poetry cannot be told to build nothing" in done.stderr, done
    equal(world.told(), [])
    done = succeeded(world.cordon_does("install", "--dry-run"))
    equal(re.findall(r"^  run +(.*)$", done.stdout, re.MULTILINE),
          ["poetry --no-plugins config installer.only-binary", "find .venv -mindepth 1 -delete",
           "poetry --no-plugins install --no-interaction --no-root --no-directory", "poetry --no-plugins install --no-interaction"])


# --- pip ---

def with_pip(world, requirements, more=()):
    world.env["PATH"] = "/usr/bin:/bin"
    if not os.access("/usr/bin/pip", os.X_OK):
        raise Skipped("no pip")
    world.write("~/.config/pip/pip.conf", f"[global]\nindex-url = http://{INDEX}/simple\ntrusted-host = {HOST}\n")
    world.write("requirements.txt", requirements)
    for path, text in more:
        world.write(path, text)


def pip_brings_wheels_and_runs_nothing_until_there_is_no_network(world):
    with_pip(world, "-r base.txt  # more\ngreedy\n", [("base.txt", "alpha == 1.0\n")])
    done = succeeded(world.cordon_does("bootstrap"))
    assert "cordon: 1 host allowed, 0 refused\n" in done.stderr, done.stderr
    equal(sorted(path.name for path in (world.project / ".venv/wheels").iterdir()),
          ["alpha-1.0-py3-none-any.whl", "gamma-2.0-py3-none-any.whl", "greedy-1.0-py3-none-any.whl"])
    for _ in range(2):
        succeeded(world.cordon_does("install"))
        equal(sorted(path.name for path in (world.project / ".venv/packages").glob("*.py")), ["alpha.py", "gamma.py", "greedy.py"])
    equal([line for line in world.told() if line.endswith("a network")], [])


def pip_builds_nothing(world):
    with_pip(world, "beta\n")
    done = world.cordon_does("install")
    assert done.returncode == 1 and "beta" in done.stderr, done
    archive = world.folder / "index/simple/beta/beta-1.0.tar.gz"
    with_pip(world, "six\n", [(path, text) for path, text in python_index.source_files("beta", "1.0", str(world.told_file)).items() if path != "PKG-INFO"])
    shutil.copy(archive, world.project)
    world.own()
    lines = [f"beta @ http://{INDEX}/simple/beta/beta-1.0.tar.gz", "beta-1.0.tar.gz", "./beta-1.0.tar.gz", ".", "-e .", "beta\n--no-binary beta"]
    for line in lines:
        world.write("requirements.txt", line + "\n")
        refused(world.cordon_does("install"), "would be built, and so run, while there is a network")
        equal(world.told(), [])
        # pip itself, told to take nothing but wheels, builds it.
        done = world.inside("pip", "download", "--only-binary", ":all:", "--dest", ".venv/wheels", "-r", "requirements.txt")
        assert any(line.startswith("build of beta with a network") for line in world.told()), (line, done)
        world.told_file.unlink()


TESTS = [poetry_brings_wheels_and_runs_nothing_until_there_is_no_network, poetry_builds_nothing, poetry_builds_what_is_near_without_a_network,
         poetry_gets_further_words_in_both_phases, poetry_is_refused_what_it_would_build_all_the_same,
         a_poetry_that_builds_whatever_it_brings_is_refused, pip_brings_wheels_and_runs_nothing_until_there_is_no_network, pip_builds_nothing]


def run_one(test, folder, uid, servers):
    world = World(folder, uid, servers)
    try:
        test(world)
    finally:
        world.close()


def main(names):
    if network_world.WORLD:
        return network_world.run_here(TESTS, names, network_world.users(), lambda uid: f"{network_world.WORLD}, uid {uid}", run_one)
    passed, failed = network_world.enter_world("root" if os.geteuid() == 0 else "user", names, __file__)
    print(f"install: {passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

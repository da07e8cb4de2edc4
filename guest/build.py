#!/usr/bin/env python3
"""Builds the guest side: toolchain, ports, and the root file system that they make up.

usage: build.py OUTPUT_DIR [PORT...]

Data flow: recipe -> source package (pinned) -> unpacked, patched -> configured and compiled with cordon-cc -> a stage
in the cache -> OUTPUT_DIR/rootfs and OUTPUT_DIR/manifest.json; test programs in OUTPUT_DIR/tests. A port that needs the
libraries of others is built after them, and again when they change. What has been built before from the same recipe,
toolchain, source and needed ports is taken from the cache. With PORT names only those and what they need are built, and
the rootfs has only those.
"""

import concurrent.futures
import contextlib
import fcntl
import hashlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time

import compile_server
import sources

HERE = pathlib.Path(__file__).resolve().parent
FREEZE = HERE / "freeze"
SYSCALLS = HERE.parent / "src/kernel/syscalls.def"
CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "cordon/guest"
# Ports are built two at a time, so that one's configure, which is sequential, overlaps with another's make.
WORKERS = int(os.environ.get("CORDON_GUEST_WORKERS", "2"))
NICE = 5
EMPTY_DIRECTORIES = ["home/user", "root", "tmp", "var/tmp", "run", "dev", "proc", "mnt", "opt", "usr/local/bin",
                     "usr/sbin", "usr/lib"]
LINKS = {"bin": "usr/bin", "sbin": "usr/sbin", "lib": "usr/lib", "var/run": "/run"}


# The names of main by its types, in the section of names.
CALLED_MAIN = re.compile(rb"__main_argc_argv|__main_void|__original_main|\x04main")


class BuildError(Exception):
    pass


def digest(*parts):
    sha = hashlib.sha256()
    for part in parts:
        data = part if isinstance(part, bytes) else str(part).encode()
        sha.update(len(data).to_bytes(8, "little") + data)
    return sha.hexdigest()


def tree_digest(*roots):
    parts = []
    for root in roots:
        files = [root] if root.is_file() else sorted(root.rglob("*"))
        for path in files:
            if path.is_file() and path.suffix != ".md" and "__pycache__" not in path.parts:
                parts += [path.relative_to(HERE), path.read_bytes()]
    return digest(*parts)


def run_logged(command, log, **kwargs):
    with open(log, "ab") as out:
        return subprocess.run(command, stdout=out, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, check=False,
                              **kwargs).returncode


def fail_with_log(what, log):
    tail = "\n".join(log.read_text(errors="replace").splitlines()[-30:])
    raise BuildError(f"{what} failed; the end of {log}:\n{tail}")


def publish(work, final):
    """Renames a finished tree into the cache. Another build may have been quicker: its result is as good."""
    final.parent.mkdir(parents=True, exist_ok=True)
    try:
        work.rename(final)
    except OSError:
        if not final.is_dir():
            raise
        shutil.rmtree(work)


def recipe_value(recipe, name):
    found = re.search(rf"^{name}=(\S+)$", recipe.read_text(), re.M)
    if not found:
        raise BuildError(f"{recipe}: no line {name}=…")
    return found.group(1)


def is_of_npm(recipe):
    return re.search(r"^npm_package=", recipe.read_text(), re.M) is not None


def recipe_pin(recipe):
    """The hash of the .dsc, of npm's package, or ((hash, name)…) of each file where the recipe pins those."""
    if is_of_npm(recipe):
        return recipe_value(recipe, "npm_sha256")
    files = re.search(r'^files_sha256="\n(.*?)"$', recipe.read_text(), re.M | re.S)
    if files:
        return tuple(tuple(line.split()) for line in files.group(1).splitlines())
    return recipe_value(recipe, "dsc_sha256")


def recipe_needs(recipe):
    found = re.search(r'^needs="([^"]*)"$', recipe.read_text(), re.M)
    return found.group(1).split() if found else []


class Toolchain:
    """musl with its wasm32 port, the compiler drivers, the compiler's runtime library."""

    def __init__(self):
        self.recipe = HERE / "libc/source.sh"
        self.pin = recipe_value(self.recipe, "dsc_sha256")
        version = subprocess.run(["clang-19", "--version"], capture_output=True, text=True, check=True).stdout
        # The rows, not their documentation: a better comment must not rebuild the world.
        rows = re.findall(r"^SYSCALL\((\d+),\s*(\w+),\s*(\d+)", SYSCALLS.read_text(), re.M)
        self.key = digest(tree_digest(HERE / "libc", HERE / "toolchain"), repr(rows), version)
        self.path = CACHE / "toolchain" / self.key[:32]

    def source(self):
        """As Port.source, of the libc."""
        return sources.fetch(CACHE, "musl", recipe_value(self.recipe, "version"), self.pin)

    def build(self, compilers):
        log = CACHE / "logs/toolchain.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_text("")
        with tempfile.TemporaryDirectory(dir=CACHE) as work_name:
            work = pathlib.Path(work_name)
            if run_logged(["dpkg-source", "--no-check", "-x", str(self.source()), str(work / "musl")], log) != 0:
                fail_with_log("unpacking musl", log)
            stage = work / "stage"
            (stage / "bin").mkdir(parents=True)
            command = [str(HERE / "libc/build-musl.sh"), str(work / "musl"), str(stage)]
            if run_logged(command, log, env={**os.environ, **compilers}) != 0:
                fail_with_log("building musl", log)
            self.add_drivers(stage)
            shutil.copy(work / "musl/COPYRIGHT", stage / "COPYRIGHT.musl")
            publish(stage, self.path)

    @staticmethod
    def add_drivers(stage):
        for driver in (HERE / "toolchain").glob("cordon-*"):
            shutil.copy(driver, stage / "bin")
        (stage / "libexec").mkdir()
        shutil.copy(HERE / "toolchain/wasm-opt", stage / "libexec")
        for tool in ("ar", "ranlib", "nm", "strip", "objcopy"):
            (stage / "bin" / f"cordon-{tool}").symlink_to(shutil.which(f"llvm-{tool}-19"))
        resources = subprocess.run(["clang-19", "-print-resource-dir"], capture_output=True, text=True,
                                   check=True).stdout.strip()
        shutil.copy(pathlib.Path(resources) / "lib/wasi/libclang_rt.builtins-wasm32.a", stage / "lib")


class Port:
    """One source package. In the cache: `rootfs`, what is shipped, and `library`, what other ports are built with."""

    def __init__(self, name, toolchain, needs):
        self.name = name
        self.recipe = HERE / "ports" / name / "recipe.sh"
        self.toolchain = toolchain
        self.needs = needs
        self.version = recipe_value(self.recipe, "version")
        self.pin = recipe_pin(self.recipe)
        parts = [self.recipe.parent, HERE / "ports/port.sh", HERE / "ports/config.site"]
        if "$FREEZE" in self.recipe.read_text():
            parts.append(FREEZE)
        self.key = digest(toolchain.key, self.pin, *[need.key for need in needs], tree_digest(*parts))
        self.path = CACHE / "ports" / f"{name}-{self.key[:32]}"
        self.log = CACHE / "logs" / f"{name}.log"

    def build(self, compilers):
        """Returns the seconds that it took; 0 from the cache. `compilers`: variables by which they are found."""
        if self.path.is_dir():
            return 0.0
        begin = time.monotonic()
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self.log.write_text("")
        with tempfile.TemporaryDirectory(dir=CACHE) as work_name:
            work = pathlib.Path(work_name)
            self.unpack(work / "source")
            for need in self.all_needs():
                copy_stage(need.path / "library", work / "libraries")
            environment = {
                **compilers, "PATH": f"{self.toolchain.path}/bin:{compilers['PATH']}", "HOME": str(work),
                "LC_ALL": "C.UTF-8", "PORT": self.name, "RECIPE": str(self.recipe), "SOURCE": str(work / "source"),
                "BUILD": str(work / "build"), "STAGE": str(work / "stage/rootfs"),
                "LIBRARY": str(work / "stage/library"), "CORDON_WORK": str(work),
                "CONFIG_SITE": str(HERE / "ports/config.site"), "FREEZE": str(FREEZE),
            }
            if run_logged(["nice", "-n", str(NICE), "bash", str(HERE / "ports/port.sh")], self.log, env=environment) != 0:
                fail_with_log(f"building {self.name}", self.log)
            self.check(work / "stage")
            publish(work / "stage", self.path)
        return time.monotonic() - begin

    def source(self):
        """The path of its .dsc, with its files beside it, or of npm's archive; fetched if it is not there."""
        if is_of_npm(self.recipe):
            return sources.fetch_npm(CACHE, recipe_value(self.recipe, "npm_package"), self.version, self.pin)
        fetch = sources.fetch_files if isinstance(self.pin, tuple) else sources.fetch
        return fetch(CACHE, self.name, self.version, self.pin)

    def unpack(self, target):
        source = self.source()
        if is_of_npm(self.recipe):
            return sources.unpack_npm(source, recipe_value(self.recipe, "npm_folder"), target)
        if run_logged(["dpkg-source", "--no-check", "-x", str(source), str(target)], self.log) != 0:
            fail_with_log(f"unpacking {self.name}", self.log)

    def all_needs(self):
        """What it needs and what that needs: a static library is linked with those that it stands on."""
        found = {}
        for need in self.needs:
            found |= {port.name: port for port in [*need.all_needs(), need]}
        return list(found.values())

    def check(self, stage):
        """A call through a wrong prototype traps at run time, and a main of an unexpected type is dropped: both fail here.
        So does what would be different in another folder."""
        made = self.log.read_text(errors="replace").split("=== make", 1)[-1]
        bad = re.findall(r".*function signature mismatch.*(?:\n>>> .*){0,2}|.*undefined symbol: .*", made)
        bad += [f"{path.name}: its main is not called, see CORDON_START in cordon-cc"
                for path in stage.rglob("*") if is_module(path) and not CALLED_MAIN.search(path.read_bytes())]
        bad += [f"{path.name}: names the folder in which it was built" for path in (stage / "rootfs").rglob("*")
                if path.is_file() and not path.is_symlink() and bytes(stage.parent) in path.read_bytes()]
        if bad:
            raise BuildError(f"{self.name}:\n" + "\n".join(bad))


def load_ports(names, toolchain):
    """The named ports and all that they need, each after what it needs."""
    ports = {}

    def load(name, dependents):
        if name in dependents:
            raise BuildError(f"ports that need each other: {' '.join(dependents)} {name}")
        recipe = HERE / "ports" / name / "recipe.sh"
        if not recipe.is_file():
            raise BuildError(f"there is no port {name}")
        if name not in ports:
            needs = [load(need, [*dependents, name]) for need in recipe_needs(recipe)]
            ports[name] = Port(name, toolchain, needs)
        return ports[name]

    for name in names:
        load(name, [])
    return list(ports.values())


def build_ports(ports, compilers):
    """Builds each as soon as what it needs is there, in the order of the list otherwise."""
    waiting, running, done = list(ports), {}, set()
    with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
        while waiting or running:
            for port in [port for port in waiting if done.issuperset(port.needs)][:WORKERS - len(running)]:
                waiting.remove(port)
                running[pool.submit(port.build, compilers)] = port
            for future in concurrent.futures.wait(running, return_when=concurrent.futures.FIRST_COMPLETED).done:
                port = running.pop(future)
                seconds = future.result()
                print(f"{port.name:9} " + (f"{seconds:6.1f} s" if seconds else "cached"), flush=True)
                done.add(port)


def copy_stage(stage, target):
    """Puts a tree over another. No file replaces one that is there: a copy onto a link would change what it points to."""
    for path in sorted(stage.rglob("*")):
        at = target / path.relative_to(stage)
        if path.is_dir() and not path.is_symlink():
            at.mkdir(parents=True, exist_ok=True)
        elif at.exists() or at.is_symlink():
            raise BuildError(f"{path} comes a second time, from {stage}")
        else:
            shutil.copy2(path, at, follow_symlinks=False)


def assemble(ports, output):
    rootfs = pathlib.Path(tempfile.mkdtemp(dir=output, prefix="rootfs."))
    os.chmod(rootfs, 0o755)
    for directory in EMPTY_DIRECTORIES:
        (rootfs / directory).mkdir(parents=True, exist_ok=True)
    for link, target in LINKS.items():
        (rootfs / link).symlink_to(target)
    copy_stage(HERE / "rootfs", rootfs)
    for port in ports:
        copy_stage(port.path / "rootfs", rootfs)
    for directory, mode in (("tmp", 0o1777), ("var/tmp", 0o1777), ("root", 0o700)):
        os.chmod(rootfs / directory, mode)
    build_programs(ports[0].toolchain, HERE / "programs", rootfs / "usr/libexec/cordon")
    build_programs(ports[0].toolchain, HERE / "programs/bin", rootfs / "usr/bin")
    doc = rootfs / "usr/share/doc/musl"
    doc.mkdir(parents=True)
    shutil.copy(ports[0].toolchain.path / "COPYRIGHT.musl", doc / "copyright")
    manifest = json.dumps({"programs": programs(rootfs), "ports": [described(port) for port in ports]}, indent=1) + "\n"
    final = output / "rootfs"
    if final.is_dir():
        shutil.rmtree(final)
    rootfs.rename(final)
    (output / "manifest.json").write_text(manifest)
    return manifest.count('"module"')


def described(port):
    """What docs/userland.md says of a port; its notices are in the root file system, in usr/share/doc/NAME/copyright."""
    folder = port.path / "rootfs/usr/bin"
    version = port.version
    if is_of_npm(port.recipe):
        version = f"npm's {recipe_value(port.recipe, 'npm_package')} {version}"
    return {"name": port.name, "version": version, "source": port.pin,
            "programs": sorted(path.name for path in folder.iterdir()) if folder.is_dir() else [],
            "licence": licence(port.path / "rootfs/usr/share/doc" / port.name / "copyright")}


def licence(copyright_file):
    """The licence of the source as a whole, by its short name; empty where the notices are not machine-readable."""
    stanzas = re.split(r"\n\s*\n", copyright_file.read_text(errors="replace"))
    for stanza in stanzas:
        whole = re.search(r"^Files:\s*\*\s*$", stanza, re.M) and re.search(r"^License:[ \t]*(\S.*)$", stanza, re.M)
        if whole:
            return whole.group(1)
    return ""


def is_module(path):
    if path.is_symlink() or not path.is_file():
        return False
    with open(path, "rb") as file:
        return file.read(8) == b"\0asm\1\0\0\0"


def programs(rootfs):
    """Every name under which a module can be executed, with the hash of the module."""
    found = []
    for path in sorted(rootfs.rglob("*")):
        real = path.resolve()
        if not real.is_relative_to(rootfs) or not real.is_file() or path.parent.is_symlink():
            continue
        if is_module(real):
            found.append({"path": "/" + str(path.relative_to(rootfs)), "module": sources.sha256_of(real),
                          "file": "/" + str(real.relative_to(rootfs))})
    return found


def compile_alone(toolchain, source, target):
    target.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run([toolchain.path / "bin/cordon-cc", "-O2", "-Wall", "-Wextra", "-Werror", "-Wl,--fatal-warnings",
                    "-o", target, source], check=True)


def build_programs(toolchain, sources_folder, folder):
    """Those of ours that the userland has."""
    for source in sorted(sources_folder.glob("*.c")):
        compile_alone(toolchain, source, folder / source.stem)
        os.chmod(folder / source.stem, 0o755)


def build_tests(toolchain, output):
    for source in sorted((HERE / "tests").glob("*.c")):
        compile_alone(toolchain, source, output / "tests" / f"{source.stem}.wasm")


def build(output, names):
    CACHE.mkdir(parents=True, exist_ok=True)
    output.mkdir(parents=True, exist_ok=True)
    toolchain = Toolchain()
    ports = load_ports(names, toolchain)
    is_all_there = all(part.path.is_dir() for part in (toolchain, *ports))
    with contextlib.nullcontext({}) if is_all_there else compile_server.running(NICE) as compilers:
        if not toolchain.path.is_dir():
            begin = time.monotonic()
            toolchain.build(compilers)
            print(f"toolchain {time.monotonic() - begin:6.1f} s", flush=True)
        build_ports(ports, compilers)
    stamp = digest(tree_digest(HERE / "rootfs", HERE / "tests", HERE / "programs", FREEZE, HERE / "build.py"), *[port.key for port in ports])
    stamp_file = output / ".stamp"
    if not stamp_file.is_file() or stamp_file.read_text() != stamp:
        stamp_file.unlink(missing_ok=True)
        print(f"rootfs    {assemble(ports, output)} programs")
        build_tests(toolchain, output)
        stamp_file.write_text(stamp)
    link = output / "toolchain"
    link.unlink(missing_ok=True)
    link.symlink_to(toolchain.path)


def port_names():
    """The slowest and what they need first, the others fill the second core meanwhile."""
    slow = ["openssl", "python3.11", "git", "coreutils", "bash"]
    return sorted((path.parent.name for path in (HERE / "ports").glob("*/recipe.sh")),
                  key=lambda name: (slow.index(name) if name in slow else len(slow), name))


def main():
    if len(sys.argv) < 2 or sys.argv[1].startswith("-"):
        sys.exit(__doc__)
    names = sys.argv[2:] or port_names()
    CACHE.mkdir(parents=True, exist_ok=True)
    with open(CACHE / "lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            build(pathlib.Path(sys.argv[1]).resolve(), names)
        except (BuildError, sources.SourceError) as error:
            sys.exit(f"guest: {error}")


if __name__ == "__main__":
    main()

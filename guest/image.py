#!/usr/bin/env python3
"""image.py ROOTFS COMPILER MKIMAGE CORDON OUT: compiles every program of the tree and packs tree and objects into the userland
image. Programs that can be frozen (guest/freeze) are run in a sandbox of that image, and it is packed again with what they wrote.

Objects are cached by the hashes of module and compiler in $XDG_CACHE_HOME/cordon/userland.
"""
import concurrent.futures
import hashlib
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import threading

CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache")) / "cordon" / "userland"


def programs(rootfs):
    for path in sorted(rootfs.rglob("*")):
        if path.is_file() and not path.is_symlink():
            with path.open("rb") as file:
                if file.read(4) == b"\0asm":
                    yield path


def compiled(path, rootfs, compiler, compiler_hash):
    """The object of a program, from the cache or compiled now."""
    key = hashlib.sha256(compiler_hash + path.read_bytes()).hexdigest()
    cached = CACHE / f"{key}.cwo"
    if not cached.exists():
        print(f"compiling {path.relative_to(rootfs)}", flush=True)
        new = CACHE / f"{key}.{os.getpid()}.{threading.get_ident()}.new"
        subprocess.run([compiler, "--tier=optimised", "-j", "1", path, "-o", new], check=True)
        new.rename(cached)
    return cached


def freeze(paths, rootfs, folder, cordon, image):
    """Those that export where they go on."""
    for path in paths:
        if b"__cordon_resume" not in path.read_bytes():
            continue
        name = str(path.relative_to(rootfs))
        print(f"freezing {name}", flush=True)
        frozen = pathlib.Path(folder, name.replace("/", "%") + ".cwf")
        subprocess.run([cordon, "freeze", "--userland", image, "-o", frozen, "/" + name], stdin=subprocess.DEVNULL, check=True)


def main(rootfs, compiler, mkimage, cordon, out):
    rootfs = pathlib.Path(rootfs)
    CACHE.mkdir(parents=True, exist_ok=True)
    compiler_hash = hashlib.sha256(pathlib.Path(compiler).read_bytes()).digest()
    # Each on a processor of its own, the largest first: threads of one compilation wait for each other.
    paths = sorted(programs(rootfs), key=lambda path: -path.stat().st_size)
    with tempfile.TemporaryDirectory() as folder, concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        objects = pool.map(lambda path: compiled(path, rootfs, compiler, compiler_hash), paths)
        for path, cached in zip(paths, objects):
            shutil.copyfile(cached, pathlib.Path(folder, str(path.relative_to(rootfs)).replace("/", "%") + ".cwo"))
        cold = pathlib.Path(folder, "userland.img")
        subprocess.run([mkimage, rootfs, folder, cold], check=True, stdout=subprocess.DEVNULL)
        freeze(paths, rootfs, folder, cordon, cold)
        subprocess.run([mkimage, rootfs, folder, out], check=True)


if __name__ == "__main__":
    main(*sys.argv[1:])

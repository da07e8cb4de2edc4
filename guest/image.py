#!/usr/bin/env python3
"""image.py ROOTFS COMPILER MKIMAGE OUT: compiles every program of the tree and packs tree and objects into the userland image.

Objects are cached by the hashes of module and compiler in $XDG_CACHE_HOME/cordon/userland.
"""
import hashlib
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache")) / "cordon" / "userland"


def programs(rootfs):
    for path in sorted(rootfs.rglob("*")):
        if path.is_file() and not path.is_symlink():
            with path.open("rb") as file:
                if file.read(4) == b"\0asm":
                    yield path


def main(rootfs, compiler, mkimage, out):
    rootfs = pathlib.Path(rootfs)
    CACHE.mkdir(parents=True, exist_ok=True)
    compiler_hash = hashlib.sha256(pathlib.Path(compiler).read_bytes()).digest()
    with tempfile.TemporaryDirectory() as folder:
        for path in programs(rootfs):
            key = hashlib.sha256(compiler_hash + path.read_bytes()).hexdigest()
            cached = CACHE / f"{key}.cwo"
            if not cached.exists():
                print(f"compiling {path.relative_to(rootfs)}", flush=True)
                new = CACHE / f"{key}.{os.getpid()}.new"
                subprocess.run([compiler, "--tier=optimised", "-j", str(os.cpu_count()), path, "-o", new], check=True)
                new.rename(cached)
            shutil.copyfile(cached, pathlib.Path(folder, str(path.relative_to(rootfs)).replace("/", "%") + ".cwo"))
        subprocess.run([mkimage, rootfs, folder, out], check=True)


if __name__ == "__main__":
    main(*sys.argv[1:])

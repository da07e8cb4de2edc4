#!/usr/bin/env python3
"""A sandbox's files in and out: transfer.py export | import | import-unpacked. Prints two times in seconds, ours and on the host, of the same tree:
`tar | zstd -1`, and for import-unpacked `zstd -d | tar x`.

The commands as a user has them, whole processes, in alternation, the median of five each; 100 MB in 400 files, half of which zstd makes small.
"""
import os
import pathlib
import random
import statistics
import subprocess
import sys
import tempfile
import time

from session import CORDON

ROUNDS = 5


def make_tree(folder):
    chance = random.Random(1)
    words = [f"word{i} " for i in range(5000)]
    for i in range(400):
        place = folder / f"d{i % 20}"
        place.mkdir(parents=True, exist_ok=True)
        text = "".join(chance.choices(words, k=20_000)).encode()
        (place / f"f{i}").write_bytes((text + chance.randbytes(125_000))[:250_000])


def timed(*command, **options):
    start = time.perf_counter()
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, **options)
    return time.perf_counter() - start, done.stdout


def main(what):
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        environment = {**os.environ, "CORDON_SOCKET": f"{folder}/s"}
        daemon = subprocess.Popen([CORDON, "serve", "--unix", f"{folder}/s"])
        try:
            while not (folder / "s").exists():
                time.sleep(0.01)
            make_tree(folder / "tree")
            sandbox = timed(CORDON, "create", env=environment)[1].strip()
            timed(CORDON, "cp", f"{folder}/tree", f"{sandbox}:/home/user", env=environment)
            image, archive = f"{folder}/image.tar", f"{folder}/tree.tar.zst"
            pack = f"tar cf - -C {folder} tree | zstd -q -1 -f -o {archive}"
            unpack = f"rm -rf {folder}/out; mkdir {folder}/out; zstd -q -d -c {archive} | tar xf - -C {folder}/out"
            ours = {"export": [CORDON, "export", sandbox, image], "import": [CORDON, "import", image, sandbox]}
            for command in (ours["export"], ours["import"], ["sh", "-c", pack], ["sh", "-c", unpack]):
                timed(*command, env=environment)
            tools = unpack if what == "import-unpacked" else pack
            times = [(timed(*ours[what.split("-")[0]], env=environment)[0], timed("sh", "-c", tools)[0]) for _ in range(ROUNDS)]
            print(" ".join(f"{statistics.median(column):.3f}" for column in zip(*times)))
        finally:
            daemon.terminate()
            daemon.wait()


if __name__ == "__main__":
    main(sys.argv[1])

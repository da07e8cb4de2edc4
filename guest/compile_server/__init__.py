"""Compiler and linker of guests, started once and forked for each run: see server.c."""
import contextlib
import os
import pathlib
import shutil
import subprocess
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
PROGRAMS = ("clang-19", "wasm-ld-19")


def build(folder):
    common = ["-O1", "-Wall", "-Wextra", "-Werror", "-fuse-ld=lld-19"]
    subprocess.run(["clang-19", *common, "-fPIC", "-shared", HERE / "server.c", "-o", folder / "server.so"], check=True)
    subprocess.run(["clang-19", *common, "-static", HERE / "client.c", "-o", folder / PROGRAMS[0]], check=True)
    for program in PROGRAMS[1:]:
        (folder / program).symlink_to(PROGRAMS[0])


@contextlib.contextmanager
def running(nice):
    """Variables for builds: a PATH of their own for the programs, and where the servers are. They end with the block; a program
    whose server has ended is run as it always is."""
    with tempfile.TemporaryDirectory(prefix="cordon-") as name:
        folder = pathlib.Path(name)
        build(folder)
        servers = []
        try:
            for program in PROGRAMS:
                servers.append(subprocess.Popen(
                    [shutil.which(program), folder / f"{program}.socket"], env={**os.environ, "LD_PRELOAD": str(folder / "server.so")},
                    stdin=subprocess.DEVNULL, preexec_fn=lambda: os.nice(nice)))
            deadline = time.monotonic() + 10
            while not all((folder / f"{program}.socket").exists() for program in PROGRAMS) and time.monotonic() < deadline:
                time.sleep(0.01)
            yield {"PATH": f"{folder}:/usr/local/bin:/usr/bin:/bin", "CORDON_COMPILERS": str(folder)}
        finally:
            for server in servers:
                server.kill()
                server.wait()

#!/usr/bin/env python3
"""cordon-job.exe under wine: what a job object holds there, and what wine does not: run_jobobject.py [NAME…]

Skipped with the reason where mingw or wine is not installed. Windows itself has not run it.
"""
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = pathlib.Path(os.environ.get("CORDON_BUILD", ROOT / "build"))
COMPILER = shutil.which("x86_64-w64-mingw32-gcc")
WINE = shutil.which("wine") or shutil.which("wine64") or ("/usr/lib/wine/wine64" if os.path.exists("/usr/lib/wine/wine64") else None)


class Windows:
    def __init__(self, folder):
        self.folder = folder
        self.env = {"PATH": "/usr/bin:/bin", "HOME": str(folder), "WINEPREFIX": str(folder / "prefix"), "WINEDEBUG": "-all", "WINEDLLOVERRIDES": "mscoree,mshtml=",
                    "CORDON_SECRET": "outside"}
        self.command = folder / "command.exe"
        subprocess.run([COMPILER, "-O1", "-Wall", "-Wextra", "-Werror", "-static", ROOT / "tests/jobobject/command.c", "-o", self.command], check=True)
        # Makes the prefix, which takes a while.
        done = self.run(self.command, "exit", "5", timeout=240)
        if done.returncode != 5:
            raise RuntimeError(f"wine runs nothing here: {done.stderr.strip()[-300:]}")

    def run(self, *words, timeout=60, **options):
        return subprocess.run([WINE, *map(str, words)], env=self.env, cwd=self.folder, capture_output=True, timeout=timeout, text=True, **options)

    def job(self, *words, options=(), **more):
        return self.run(BUILD / "cordon-job.exe", *options, "--", self.command.name, *words, **more)

    def end(self):
        subprocess.run(["wineserver", "-k"], env=self.env, capture_output=True, check=False)


def equal(got, wanted):
    assert got == wanted, f"{got!r}, expected {wanted!r}"


def lines(done):
    return done.stdout.replace("\r\n", "\n")


def exit_codes_and_streams(world):
    for code in (0, 7, 200):
        equal(world.job("exit", str(code)).returncode, code)
    done = world.job("copy", input="through\n")
    equal((lines(done), done.stderr.replace("\r", "")), ("through\n", "error\n"))
    done = world.job("words", "a b", 'c"d', "e\\", "f\\\"g", "")
    equal(lines(done), '[a b]\n[c"d]\n[e\\]\n[f\\"g]\n[]\n')


def variables_are_those_of_the_file(world):
    (world.folder / "variables").write_text("NAME=some value\nOTHER=x=y\n")
    for name, wanted in (("NAME", "some value"), ("OTHER", "x=y"), ("CORDON_SECRET", "(none)")):
        equal(lines(world.job("variable", name, options=("--variables", "variables"))), wanted + "\n")
    # Without a job they are the caller's.
    equal(lines(world.run(world.command, "variable", "CORDON_SECRET")), "outside\n")


def time_ends_everything(world):
    begin = time.monotonic()
    done = world.job("sleep", "30000", options=("--wall-time-ms", "1500"))
    equal((done.returncode, done.stderr.replace("\r", "")), (124, "cordon-job: limit wall time\n"))
    assert time.monotonic() - begin < 15
    done = world.job("spin", options=("--wall-time-ms", "1000"))
    equal(done.returncode, 124)


def nothing_outlives_the_command(world):
    mark = world.folder / "mark"
    equal(world.run(world.command, "leave", "mark").returncode, 0)
    time.sleep(4)
    equal(mark.exists(), True)
    mark.unlink()
    equal(world.job("leave", "mark").returncode, 0)
    time.sleep(4)
    equal(mark.exists(), False)


def output_is_counted(world):
    done = world.job("output", "100000", options=("--output", "1000"))
    equal((len(done.stdout), done.stderr.replace("\r", "")), (1000, "cordon-job: limit output\n"))
    equal(len(world.job("output", "900", options=("--output", "1000")).stdout), 900)


def what_is_wrong_is_refused(world):
    for options, word in ((("--memory", "0"), "number"), (("--what", "1"), "unknown option"), (("--memory",), "without its value")):
        done = world.run(BUILD / "cordon-job.exe", *options, "--", world.command.name, "exit", "0")
        equal(done.returncode, 125)
    equal(world.run(BUILD / "cordon-job.exe").returncode, 125)
    equal(world.run(BUILD / "cordon-job.exe", "--", "no-such-program.exe").returncode, 127)
    equal(world.job("exit", "0", options=("--variables", "no-such-file")).returncode, 125)


def limits_of_the_kernel_are_as_wine_has_them(world):
    """Each is seen, or seen not to be enforced: wine accepts what it does not hold."""
    held = {"processes": lines(world.job("processes", "5", options=("--processes", "3"))) == "2\n",
            "memory": lines(world.job("memory", str(256 << 20), options=("--memory", str(64 << 20)))) == "refused\n",
            "cpu time": world.job("spin", options=("--cpu-time-ms", "500", "--wall-time-ms", "6000")).returncode == 137}
    print("     held under wine: " + (", ".join(name for name, is_held in held.items() if is_held) or "none") + "; not: "
          + (", ".join(name for name, is_held in held.items() if not is_held) or "none"))
    # Without the limit, each of them happens.
    equal(lines(world.job("processes", "5")), "5\n")
    equal(lines(world.job("memory", str(256 << 20))), "had it\n")


def a_plan_is_its_command_line(world):
    """What cordon says is what the program takes."""
    project = world.folder / "project"
    project.mkdir()
    (project / "cordon.yaml").write_text("version: 1\nlimits: {memory: 1GiB, processes: 9, wall_time: 40s}\nprofiles: {default: {network: 'off'}}\n")
    env = {"PATH": f"{world.folder}:/usr/bin:/bin", "HOME": str(world.folder / "home")}
    shutil.copy(world.command, world.folder / "command")
    done = subprocess.run([BUILD / "cordon", "plan", "--wall", "jobobject", "--show-command", "--", "command", "words", "a b"], cwd=project, env=env,
                          capture_output=True, text=True, check=False)
    equal(done.stderr, "")
    words = done.stdout.split()
    equal((words[0], words[words.index("--memory") + 1], words[words.index("--processes") + 1], words[words.index("--wall-time-ms") + 1]),
          ("cordon-job.exe", str(1 << 30), "9", "40000"))
    done = subprocess.run([BUILD / "cordon", "run", "--wall", "jobobject", "--", "command"], cwd=project, env=env, capture_output=True, text=True,
                          check=False)
    equal((done.returncode, done.stdout), (125, ""))
    assert "Windows" in done.stderr, done.stderr


TESTS = [exit_codes_and_streams, variables_are_those_of_the_file, time_ends_everything, nothing_outlives_the_command, output_is_counted, what_is_wrong_is_refused,
         limits_of_the_kernel_are_as_wine_has_them, a_plan_is_its_command_line]


def main(wanted):
    for what, there in (("mingw", COMPILER), ("wine", WINE), ("cordon-job.exe", (BUILD / "cordon-job.exe").exists())):
        if not there:
            print(f"skip job objects: {what} is not there\n1 passed, 0 failed")
            return 0
    passed = failed = 0
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        world = Windows(pathlib.Path(name).resolve())
        try:
            for test in TESTS:
                if wanted and test.__name__ not in wanted:
                    continue
                title = f"job objects: {test.__name__.replace('_', ' ')}"
                try:
                    test(world)
                    print(f"ok   {title}", flush=True)
                    passed += 1
                except (AssertionError, OSError, subprocess.SubprocessError, ValueError, json.JSONDecodeError) as error:
                    print(f"FAIL {title}: {type(error).__name__}: {error}", flush=True)
                    failed += 1
        finally:
            world.end()
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

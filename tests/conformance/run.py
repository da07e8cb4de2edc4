#!/usr/bin/env python3
"""Upstream test suites, in the sandbox and with the host's own programs: run.py [SUITE…] [options]

Data flow: source package (pinned by the recipe) -> a folder with its tests (SUITE.py) -> drive.sh in sandboxes and on the
host -> one result a test -> compared with docs/conformance/SUITE.csv, or written there.
The closing line counts tests whose result is in the table or better, and those that are worse.
"""
import argparse
import concurrent.futures
import fnmatch
import importlib
import os
import pathlib
import queue
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import threading

import tables
from suite import ROOT, Result, guest

SUITES = ["coreutils", "grep", "sed", "gawk", "findutils", "diffutils", "bash", "jq", "python"]
BUILD = pathlib.Path(os.environ.get("CORDON_BUILD", ROOT / "build"))
INSIDE = "/tmp/conformance"
GRACE = 40  # seconds beyond a test's own limit until the whole sandbox is ended


def compile_helpers(suite, folder):
    """Programs for the tests only, for both sides: (folder of the host's, modules for the sandbox)."""
    toolchain = guest.Toolchain().path
    modules = []
    (folder / "bin").mkdir()
    (folder / "modules").mkdir()
    for name, sources in suite.helpers().items():
        sources = [str(pathlib.Path(__file__).parent / source) if (pathlib.Path(__file__).parent / source).is_file() else source
                   for source in sources]
        module = folder / "modules" / name  # the name it gets inside
        for command in (["clang-19", "-w", "-o", str(folder / "bin" / name)], [str(toolchain / "bin/cordon-cc"), "-w", "-o", str(module)]):
            subprocess.run([*command, *sources], check=True)
        modules.append(module)
    return folder / "bin", modules


class Side:
    """Where tests run: `command` starts the driver in a fresh copy of the suite's tree."""

    def __init__(self, suite, folder):
        self.suite, self.folder = suite, folder

    def environment(self):
        return {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "SHELL": "/bin/bash", "SIDE": self.name}

    def close(self, place):
        pass


class Sandbox(Side):
    name = "sandbox"

    def open(self, _):
        command = [os.environ.get("CORDON", str(BUILD / "cordon")), "run", "--copy-in", f"{self.folder}/tree:{INSIDE}/tree",
                   "--cwd", f"{INSIDE}/tree", "--env", "SIDE=sandbox", "--memory", "3GiB", "--disk", "3GiB", "--max-files", "400000",
                   "--max-procs", "500", "--max-output", "1GiB", *self.suite.options, *shlex.split(os.environ.get("CORDON_RUN_OPTIONS", ""))]
        for module in self.suite.modules:
            command += ["--module", str(module)]
        for folder, place in self.suite.installed.items():
            command += ["--copy-in", f"{self.folder}/tree/{folder}:{place}"]
        return [*command, "--", "bash", "drive.sh", str(self.suite.seconds)], {"cwd": str(self.folder)}


class Host(Side):
    name = "host"

    def open(self, place):
        """As an unprivileged user, as in the sandbox, and so that what a test leaves running ends with its batch."""
        shutil.copytree(self.folder / "tree", place / "tree", symlinks=True)
        environment = {**self.environment(), "HOME": str(place), "PATH": f"{self.suite.host_bin}:/usr/bin:/bin"}
        command = ["bash", "drive.sh", str(self.suite.seconds)]
        if os.geteuid() == 0:
            subprocess.run(["chown", "-R", "nobody:nogroup", str(place)], check=True)
            environment |= {"USER": "nobody", "LOGNAME": "nobody"}
            binds = "".join(f"mount --bind {shlex.quote(folder)} {shlex.quote(target)} && " for folder, target in self.suite.installed.items())
            command = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-c", binds + 'exec "$@"', "sh",
                       "setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", "--inh-caps=-all", *command]
        elif self.suite.installed:
            sys.exit(f"{self.suite.name}: only root can put its tests where an installation has them")
        return command, {"cwd": str(place / "tree"), "env": environment}


def read_results(suite, side, process, lines, results):
    """Reads the driver's output until it ends or does not go on; returns the name of the test that was running then."""
    running, log = None, []
    while True:
        try:
            line = lines.get(timeout=suite.seconds + GRACE)
        except queue.Empty:
            process.kill()
            return running, "the sandbox did not go on"
        if line is None:
            return running, "\n".join(log)[-2000:]
        if line.startswith("\1begin "):
            running, log = line[7:].rstrip("\n"), []
        elif line.startswith("\1end ") and running is not None:
            status = int(line.rsplit("\t", 1)[1])
            text = "".join(log)
            results[running] = suite.verdict_of(running, status, text)
            results[running].log = text
            keep_log(suite, side, running, results[running])
            if suite.verbose:
                print(f"{suite.name}/{running} {side} {results[running].outcome} {results[running].reason}", flush=True)
            running, log = None, []
        else:
            log.append(line)


def run_batch(side, tests):
    """{name: Result}. What ends the sandbox fails; the tests after it run in another one."""
    results, waiting = {}, list(tests)
    while waiting:
        with tempfile.TemporaryDirectory(prefix="conformance.") as place:
            os.chmod(place, 0o755)
            command, options = side.open(pathlib.Path(place))
            # What is started ends with this program, however that ends.
            command = ["setpriv", "--pdeathsig", "KILL", *command]
            with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                  errors="replace", **options) as process:
                lines = queue.SimpleQueue()
                threading.Thread(target=lambda: ([lines.put(line) for line in process.stdout], lines.put(None)), daemon=True).start()
                try:
                    process.stdin.write("".join(f"{name}\t{command}\n" for name, command in waiting))
                    process.stdin.close()
                except BrokenPipeError:
                    pass
                running, said = read_results(side.suite, side.name, process, lines, results)
            subprocess.run(["chmod", "-R", "u+rwX", place], check=False, stderr=subprocess.DEVNULL)
            shutil.rmtree(place, ignore_errors=True)
            os.makedirs(place, exist_ok=True)
        done = [test for test in waiting if test[0] in results]
        waiting = [test for test in waiting if test[0] not in results]
        if waiting and not done and running is None:
            sys.exit(f"{side.suite.name}, {side.name}: the driver ended with {process.returncode}\n{said}")
        if waiting:
            ended = running or waiting[0][0]
            results[ended] = Result("fail", f"the {side.name} ended with it, status {process.returncode}", said)
            waiting = [test for test in waiting if test[0] != ended]
    return results


def run_side(side, tests, jobs, done_with):
    """All tests, those that fail once more, alone: what fails only beside others is not what this is about. `done_with` gets
    results as they come."""
    batches = [tests[start:start + side.suite.batch] for start in range(0, len(tests), side.suite.batch)]
    results = {}
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        for done in pool.map(lambda batch: run_batch(side, batch), batches):
            results |= done
            done_with(done)
    again = [test for test in tests if results[test[0]].outcome == "fail"]
    for name, command in again:
        second = run_batch(side, [(name, command)])[name]
        if second.outcome != "fail":
            results[name] = second
    return results


def keep_log(suite, side, name, result):
    """What a failing test said, for who looks for the cause."""
    folder = BUILD / "conformance" / suite.name / side
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / re.sub(r"[^\w.+-]", "_", name)[:120]
    file.unlink(missing_ok=True)
    if result.outcome != "pass":
        file.write_text(result.log)


def run_suite(name, arguments):
    """(tests that are as in the table or better, tests that are worse)"""
    module = importlib.import_module(f"suite_{name}")
    suite = module.SUITE()
    all_tests = suite.tests()
    order = [test for test, _ in all_tests]
    tests = [test for test in all_tests if not arguments.only or any(fnmatch.fnmatchcase(test[0], one) for one in arguments.only)]
    with tempfile.TemporaryDirectory(prefix=f"conformance-{name}.") as folder_name:
        folder = pathlib.Path(folder_name)
        os.chmod(folder, 0o755)
        (folder / "tree").mkdir()
        suite.work, suite.verbose = folder, arguments.verbose
        suite.fill(folder / "tree")
        shutil.copy(pathlib.Path(__file__).parent / "drive.sh", folder / "tree")
        suite.host_bin, suite.modules = compile_helpers(suite, folder)
        table = tables.read(name)
        found = {}
        for side in (Sandbox(suite, folder), Host(suite, folder)):
            if arguments.side not in (None, side.name):
                continue

            def done_with(results, side=side):
                if arguments.write:
                    tables.write(name, order, {side.name: results}, only_these=False)

            found[side.name] = run_side(side, tests, arguments.jobs, done_with)
    if arguments.write:
        tables.write(name, order, found, only_these=True)
    return tables.report(name, tables.merge(name, table, [test for test, _ in tests], found), table, written=arguments.write)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("suites", nargs="*", metavar="SUITE", default=SUITES, help=", ".join(SUITES))
    parser.add_argument("--only", action="append", metavar="TEST", help="tests with this name or pattern")
    parser.add_argument("--side", choices=["sandbox", "host"], help="one side; the other is taken from the table")
    parser.add_argument("--write", action="store_true", help="write docs/conformance")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--verbose", action="store_true", help="a line for each test")
    arguments = parser.parse_args()
    unknown = set(arguments.suites) - set(SUITES)
    if unknown:
        parser.error(f"no suite {', '.join(sorted(unknown))}; there are {', '.join(SUITES)}")
    passed = failed = 0
    for name in arguments.suites:
        good, bad = run_suite(name, arguments)
        passed, failed = passed + good, failed + bad
    print(f"{passed} passed, {failed} failed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()

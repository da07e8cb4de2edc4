#!/usr/bin/env python3
"""Runs the test sets: run_tests.py fast | full | total

Every stage is a command that ends with a line `N passed, N failed` or is ctest. One line is printed for each stage,
its whole output when it fails. Stages of the fast set run two at a time: most of them wait. The sums go to
$CORDON_TEST_RESULTS (CI sums both sets: `total`).
"""
import concurrent.futures
import os
import pathlib
import re
import signal
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = ROOT / "build"
SUITE = ROOT / "../shared/spec-testsuite"
RESULTS = os.environ.get("CORDON_TEST_RESULTS")


def ctest(label, build=BUILD):
    return ["ctest", "--test-dir", str(build), "-L", f"^{label}$", "--output-on-failure", "--no-tests=error"]


def suite_files():
    core = sorted(SUITE.glob("*.wast"))
    proposals = [path for name in ("exception-handling", "extended-const", "tail-call", "threads")
                 for path in sorted((SUITE / "proposals" / name).glob("*.wast"))]
    return [str(path) for path in core + proposals]


FAST = [
    # The longest first.
    ("cases", ["tests/run_cases.py", "fast"]),
    ("packages of sandboxes", ["tests/run_pkg.py"]),
    ("native wall", ["tests/run_native.py"]),
    ("host", ["tests/run_host.py", "fast"]),
    ("forks and snapshots", ["tests/run_live_state.py"]),
    ("live sandboxes", ["tests/run_live.py"]),
    ("files of live sandboxes", ["tests/run_live_files.py"]),
    ("daemon of live sandboxes", ["tests/run_live_daemon.py"]),
    ("quota of a daemon", ["tests/run_live_quota.py"]),
    ("files as streams", ["tests/run_live_streams.py"]),
    ("use of commands", ["tests/run_live_usage.py"]),
    ("wrong requests", ["tests/run_live_requests.py"]),
    ("strange sessions", ["tests/run_live_sessions.py"]),
    ("packages of others", ["tests/run_pkg_modules.py"]),
    ("packages and lists of tools", ["tests/run_pkg_tools.py"]),
    ("formatting and READMEs", ["scripts/check_style.py", "format", "readmes"]),
    ("documents", ["scripts/document_wasi.py", "check"]),
    ("userland document", ["scripts/document_userland.py", "check"]),
    ("policy documents", ["scripts/document_policy.py", "check"]),
    ("result document", ["scripts/document_results.py", "check"]),
    ("unit tests", ctest("fast")),
    ("terminal", ["tests/run_terminal.py"]),
    ("plans", ["tests/run_plan.py"]),
    ("plans of sbox.yaml", ["tests/run_plan_sbox.py"]),
    ("plans of hostile projects", ["tests/run_plan_hostile.py"]),
    ("answers for programs", ["tests/run_answers.py"]),
    ("examples of documents", ["tests/run_documents.py"]),
    ("shadow workspaces", ["tests/run_shadow.py"]),
    ("native wall and projects", ["tests/run_native_workspace.py"]),
    ("start of programs", ["tests/run_start.py"]),
    ("root of the native wall", ["tests/run_native_root.py"]),
    ("kept roots of the native wall", ["tests/run_native_prepared.py"]),
    ("results", ["tests/run_results.py"]),
    ("sockets of daemons", ["tests/run_daemon.py"]),
    ("policies of live sandboxes", ["tests/run_live_policy.py"]),
    ("software development kits", ["tests/run_sdk.py"]),
    ("watched directories", ["tests/run_watch.py"]),
    ("snippets of users", ["tests/run_snippets.py"]),
    ("sources of the userland", ["tests/run_sources.py"]),
    ("host functions", ["tests/run_host_functions.py"]),
    ("host functions, by hand", ["tests/run_host_protocol.py"]),
    ("mounts", ["tests/run_mounts.py"]),
    ("virtual mounts", ["tests/run_virtual_mounts.py"]),
    ("archives and states", ["tests/run_state.py"]),
    ("archives that are handed over", ["tests/run_archives.py"]),
    ("states that are kept", ["tests/run_persistence.py"]),
    ("kills", ["tests/run_kills.py"]),
    ("commands about sandboxes of a daemon", ["tests/run_client.py"]),
    ("C++ interface", ["tests/run_cpp.py"]),
    ("packages of sandboxes, given up", ["tests/run_pkg_given_up.py"]),
    ("model context protocol", ["tests/run_mcp.py"]),
    ("protocol document", ["scripts/document_protocol.py", "check"]),
    ("tools document", ["scripts/document_mcp.py", "check"]),
]
FULL = [
    ("static analysis", ["scripts/check_style.py", "tidy"]),
    ("slow cases", ["tests/run_cases.py", "full"]),
    ("escape", ["tests/run_escape.py"]),
    ("escape from forks", ["tests/run_escape_forks.py"]),
    ("host, slow", ["tests/run_host.py", "full"]),
    ("kills while states are kept", ["tests/run_persistence.py", "--kills", "200", "Damage.test_kills_at_any_moment"]),
    ("kills in the middle of everything else", ["tests/run_kills.py", "--kills", "200"]),
    ("network", ["tests/run_network.py"]),
    ("names of a network", ["tests/run_network_names.py"]),
    ("network of the native wall", ["tests/run_native_network.py"]),
    ("network of containers", ["tests/run_container_network.py"]),
    ("published ports", ["tests/run_ports.py"]),
    ("native wall under Debian's kernel", ["tests/run_debian_kernel.py"]),
    ("other walls", ["tests/run_walls.py"]),
    ("classes of attacks, other walls", ["tests/run_wall_classes.py"]),
    ("job objects", ["tests/run_jobobject.py"]),
    ("packed software development kits", ["tests/run_snippets.py", "packed"]),
    ("package managers", ["tests/run_packages.py"]),
    ("package managers in two phases", ["tests/run_install.py"]),
    ("conformance of diffutils", ["tests/conformance/run.py", "diffutils"]),
    ("packages from slow servers", ["tests/run_pkg_given_up.py", "--full", "GivenUp.test_a_server_that_is_slow_on_purpose"]),
    ("packages of others, large", ["tests/run_pkg_modules.py", "--full", "LargeModules"]),
    ("official suite, optimised tier", ["build/cordon-spectest", *suite_files()]),
    ("official suite, fast tier", ["build/cordon-spectest", "--tier=fast", *suite_files()]),
    ("cases, checked build", ["scripts/run_checked.sh"]),
    ("address and undefined behaviour sanitizers", ["scripts/run_sanitized.sh"]),
    ("fuzz targets", ["scripts/run_fuzz.sh"]),
]


def count(output):
    """(passed, failed) from the last closing line of a runner."""
    own = re.findall(r"^(?:\w+: )?(\d+) passed, (\d+) failed", output, re.MULTILINE)
    if own:
        return int(own[-1][0]), int(own[-1][1])
    by_ctest = re.findall(r"(\d+) tests? failed out of (\d+)", output)
    if by_ctest:
        failed, total = map(int, by_ctest[-1])
        return total - failed, failed
    by_unittest = re.findall(r"^Ran (\d+) tests? in .*\n\n(OK|FAILED)(?: \((.*)\))?$", output, re.MULTILINE)
    if by_unittest:
        total, _, counts = by_unittest[-1]
        counted = dict(re.findall(r"(\w+)=(\d+)", counts))
        failed = int(counted.get("failures", 0)) + int(counted.get("errors", 0))
        return int(total) - failed - int(counted.get("skipped", 0)), failed
    return 0, 0


def run(stage):
    """(passed, failed), and what is to be printed."""
    name, command = stage
    start = time.monotonic()
    done = subprocess.run(command, cwd=ROOT, text=True, errors="replace", stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    passed, failed = count(done.stdout)
    skipped = re.search(r"^skip: .*", done.stdout, re.MULTILINE)
    if skipped and done.returncode == 0 and passed + failed == 0:
        return (0, 0), f"skip {name}{skipped[0].removeprefix('skip')}"
    if done.returncode != 0 and failed == 0 or passed + failed == 0:
        failed += 1  # it died, or ran nothing
    line = f"{'FAIL' if failed else 'ok  '} {name}: {passed} passed, {failed} failed, {time.monotonic() - start:.0f} s"
    return (passed, failed), f"{done.stdout}\n{line}" if failed else line


def run_all(stages, at_once):
    passed = failed = 0
    with concurrent.futures.ThreadPoolExecutor(at_once) as pool:
        for done in concurrent.futures.as_completed([pool.submit(run, stage) for stage in stages]):
            counts, text = done.result()
            print(text, flush=True)
            passed, failed = passed + counts[0], failed + counts[1]
    return passed, failed


def main(which):
    # Whoever started this in the background had them ignored, and so would have every program here: tests send them.
    for ignored in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_DFL)
    if which == "total":
        sums = [tuple(map(int, path.read_text().split())) for path in pathlib.Path(RESULTS).iterdir()]
        passed, failed = (sum(column) for column in zip(*sums)) if sums else (0, 1)
    else:
        passed, failed = run_all(FAST, 2) if which == "fast" else run_all(FULL, 1)
        if RESULTS:
            pathlib.Path(RESULTS, which).write_text(f"{passed} {failed}")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))

"""Runs tests in the world of run_network.py: what the tests of walls, containers and package managers there have in common."""
import pathlib
import subprocess
import tempfile

import native_world
import run_network
from native_world import Skipped

_FAILURES = (AssertionError, OSError, subprocess.SubprocessError, ValueError, KeyError, IndexError, TypeError, StopIteration)


def users():
    """In whose name: root's world has an ordinary user, too."""
    return (0, native_world.USER) if run_network.WORLD == "root" else (0,)


def run_here(tests, wanted, uids, title, run):
    """The exit status. `run(test, folder, uid, servers)` in an empty folder; `title(uid)` stands before a test's name."""
    passed = failed = 0
    with tempfile.TemporaryDirectory() as name:
        servers = run_network.make_world(pathlib.Path(name))
        try:
            for test in tests:
                if wanted and test.__name__ not in wanted:
                    continue
                for uid in uids:
                    line = f"{title(uid)}: {test.__name__.replace('_', ' ')}"
                    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
                        try:
                            run(test, pathlib.Path(folder).resolve(), uid, servers)
                            print(f"ok   {line}", flush=True)
                            passed += 1
                        except Skipped as reason:
                            print(f"skip {line}: {reason}", flush=True)
                        except _FAILURES as error:
                            print(f"FAIL {line}: {type(error).__name__}: {error}", flush=True)
                            failed += 1
        finally:
            servers.kill()
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0

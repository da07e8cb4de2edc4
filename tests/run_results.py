#!/usr/bin/env python3
"""What `--json` and `--report` say, against what was done: run_results.py [NAME…]

As root every test runs twice, as root and as an ordinary user. The members are those of src/cli/result_fields.def.
"""
import json
import os
import pathlib
import shutil
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from native_world import BUILD, ROOT, equal, policy, run  # noqa: E402

sys.path.insert(0, str(ROOT / "scripts"))
from document_results import rows  # noqa: E402

RUN = [name for name, _, _ in rows("RESULT_FIELD")]
INSTALL = [name for name, _, _ in rows("INSTALL_FIELD")]
NPM = """#!/bin/sh
echo "npm $*"
case "$*" in
  *--ignore-scripts*) mkdir -p node_modules && echo downloaded >node_modules/mark ;;
  *) cat node_modules/mark && echo built >node_modules/built ;;
esac
"""


def result(done):
    """The one line of standard output."""
    equal(done.stdout.count("\n"), 1)
    return json.loads(done.stdout)


def told(world, *command, **options):
    done = world.inside(*command, options=("--json",), **options)
    got = result(done)
    equal((list(got), got["exit_code"]), (RUN, done.returncode))
    return got


def the_result_is_all_of_standard_output(world):
    done = world.inside("sh", "-c", "cat; echo err >&2; exit 3", options=("--json",), input="through\n")
    equal((done.stderr, done.returncode), ("through\nerr\n", 3))
    got = result(done)
    equal(list(got), RUN)
    equal([got[name] for name in ("end", "exit_code", "signal", "reason", "errors", "wall", "output_bytes", "error_bytes", "truncated", "limits_met", "network", "not_taken")],
          ["exited", 3, 0, "", [], "native", 8, 4, False, [], None, []])
    equal(got["command"], ["sh", "-c", "cat; echo err >&2; exit 3"])


def how_it_ended_is_told(world):
    got = told(world, "sh", "-c", "kill -TERM $$")
    equal((got["end"], got["exit_code"], got["signal"]), ("signal", 143, 15))
    world.write("text", "no program").chmod(0o755)
    got = told(world, "./text")
    equal((got["end"], got["exit_code"], got["signal"]), ("not run", 126, 0))
    policy(world, "limits: {wall_time: 1s, output: 1000}\nprofiles: {default: {network: 'off'}}\n")
    got = told(world, "sleep", "20")
    equal((got["end"], got["exit_code"], got["signal"], got["reason"], got["limits_met"]), ("wall time", 124, 9, "limit wall time 1 s", ["wall time"]))
    assert 1_000_000 <= got["wall_us"] < 10_000_000, got
    done = world.inside("seq", "1", "100000", options=("--json",))
    got = result(done)
    equal((got["truncated"], got["output_bytes"], got["limits_met"]), (True, 1000, ["output"]))


def what_was_used_is_told(world):
    idle = told(world, "sleep", "0.4")
    busy = told(world, "python3", "-c", "import time\nx = b'x' * (80 << 20)\nwhile time.process_time() < 0.4: pass")
    assert idle["wall_us"] >= 400_000 and idle["cpu_us"] < 300_000, idle
    assert 400_000 <= busy["cpu_us"] <= 4_000_000 and busy["wall_us"] >= 350_000, busy
    assert 80 << 20 <= busy["memory_peak_bytes"] < 400 << 20, busy
    assert idle["memory_peak_bytes"] < 60 << 20, idle


def the_plan_is_named(world):
    policy(world, "profiles: {default: {network: 'off'}, quiet: {network: 'off'}}\ndispatch: {one: {match: ['echo *'], profile: quiet}}\n")
    got = told(world, "echo", "x")
    done = world.outside(world.cordon, "plan", "--hash", "--wall", "native", "--", "echo", "x")
    equal((got["profile"], got["rule"], got["plan"]), ("quiet", "one", done.stdout.strip()))


def a_report_is_the_result(world):
    report = world.project / "report.json"
    done = world.inside("sh", "-c", "echo out; exit 5", options=("--json", "--report", report))
    equal(json.loads(report.read_text()), result(done))
    assert report.read_text().startswith("{\n  \"end\": \"exited\",\n"), report.read_text()
    # Alone it leaves the streams as they are.
    done = world.inside("echo", "out", options=("--report", report))
    equal((done.stdout, json.loads(report.read_text())["output_bytes"]), ("out\n", 4))


def what_is_refused_is_told(world):
    policy(world, "workspace: {writable: true}\nprofiles: {default: {network: 'off', writable: true}}\n")
    got = told(world, "true")
    equal((got["end"], got["exit_code"], got["wall"]), ("refused", 125, None))
    assert any("approval" in text for text in got["errors"]) and got["reason"] == got["errors"][0], got
    done = world.inside("true", options=("--json", "--dry-run"))
    equal((done.returncode != 0, done.stdout), (True, ""))


def other_walls_tell_the_same(world):
    for wall in ("bwrap", "none"):
        if wall == "bwrap" and not shutil.which("bwrap"):
            continue
        if wall == "none":
            policy(world, "profiles: {default: {network: 'off'}}\n")
        done = world.outside(world.cordon, "run", "--json", "--wall", wall, "--", "sh", "-c", "printf abc; exit 6")
        got = result(done)
        equal((list(got), got["end"], got["exit_code"], got["output_bytes"], got["wall"], done.stderr), (RUN, "exited", 6, 3, wall, "abc"))


def the_wasm_wall_tells_the_same(world):
    if world.uid != os.geteuid() or not (BUILD / "userland.img").exists():
        return
    done = world.outside(BUILD / "cordon", "run", "--json", "-c", "printf abc; printf de >&2; exit 4")
    got = result(done)
    # Two streams; which of them comes first nobody says.
    equal((list(got), sorted(done.stderr), done.returncode), (RUN, sorted("abcde"), 4))
    equal([got[name] for name in ("end", "exit_code", "wall", "output_bytes", "error_bytes", "plan")], ["exited", 4, "wasm", 3, 2, None])
    done = world.outside(BUILD / "cordon", "run", "--json", "--memory", "nonsense", "-c", "true")
    got = result(done)
    equal((got["end"], done.returncode), ("refused", 125))
    assert "--memory" in got["reason"], got


def an_install_is_told_as_a_whole(world):
    """With a package manager that needs no network; its plan has one all the same."""
    shutil.copy(BUILD / "cordon-gateway", world.folder / "cordon-gateway")
    npm = world.folder / "tools/bin/npm"
    npm.parent.mkdir(parents=True)
    npm.write_text(NPM)
    npm.chmod(0o755)
    world.env["PATH"] = f"{npm.parent}:/usr/bin:/bin"
    world.write("package.json", '{"name": "x", "version": "1.0.0"}')
    world.write("package-lock.json", '{"name": "x", "lockfileVersion": 3, "packages": {}}')
    done = world.outside(world.cordon, "install", "--json")
    got = result(done)
    if any("packet filter" in text for command in got["commands"] for text in command["errors"]):
        print("     no packet filter in this kernel: not seen further")
        return
    equal((list(got), got["exit_code"], got["manager"], got["errors"], done.returncode), (INSTALL, 0, "npm", [], 0))
    assert len(got["commands"]) >= 2, got
    equal([(list(command), command["exit_code"], command["wall"]) for command in got["commands"]], [(RUN, 0, "native")] * len(got["commands"]))
    equal([command["network"] is not None for command in got["commands"]], [True] + [False] * (len(got["commands"]) - 1))
    equal([(lockfile["file"], lockfile["state"]) for lockfile in got["lockfiles"]], [("package-lock.json", "unchanged")])
    equal((world.project / "node_modules/built").read_text(), "built\n")
    (world.project / "package-lock.json").unlink()
    done = world.outside(world.cordon, "install", "--json", "--require-lockfile")
    got = result(done)
    equal((got["exit_code"], got["commands"], done.returncode), (125, [], 125))
    assert "no lockfile" in got["errors"][0], got


TESTS = [the_result_is_all_of_standard_output, how_it_ended_is_told, what_was_used_is_told, the_plan_is_named, a_report_is_the_result,
         what_is_refused_is_told, other_walls_tell_the_same, the_wasm_wall_tells_the_same, an_install_is_told_as_a_whole]

if __name__ == "__main__":
    sys.exit(run("results", TESTS, sys.argv[1:]))

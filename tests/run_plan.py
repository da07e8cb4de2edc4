#!/usr/bin/env python3
"""What `cordon plan`, `cordon init` and `cordon trust` say: run_plan.py [NAME…]"""
import hashlib
import json
import re
import subprocess
import sys

from plan_world import CORDON, equal, hosts, main, mount, variables
from processes import drawn


def everything_wrong_is_said_at_once(world):
    world.write("cordon.yaml", "version: 1\nworkspce: {}\nprofiles:\n  a: {network: 'off', network_allow: [x.example]}\n  b: {writable: 7}\n")
    done = world.run("plan", "--", "make")
    equal((done.returncode, done.stdout), (125, ""))
    at = f"cordon: {world.project}/cordon.yaml"
    equal(done.stderr.splitlines(), [f"{at}:2:1: unknown key 'workspce'; is 'workspace' meant?",
                                     f"{at}:4:38: network_allow lists hosts, but network is off",
                                     f"{at}:5:17: writable: expected true or false, got '7'"])


def the_text_says_what_and_why(world):
    world.write("~/.npmrc", "registry=https://npm.example/\n")
    world.write("package-lock.json", "{}")
    done = world.run("plan", "--", "npx", "npm", "i", GITHUB_TOKEN="x")
    for part in ("profile     pm-npm-install", "'npm install *' matches npm install", "wall        native",
                 "allow       npm.example:443", "~/.npmrc; may be private", f"rw {world.project}/node_modules (made if missing)",
                 "denied      GITHUB_TOKEN", "lockfile    package-lock.json", "memory      4 GiB",
                 "guarantees"):
        assert part in done.stdout, (part, done.stdout)
    equal((done.returncode, done.stderr), (0, ""))
    lacks = json.loads(world.run("plan", "--json", "--", "npx", "npm", "i").stdout)["machine_lacks"]
    equal("this machine cannot" in done.stdout, bool(lacks))
    assert all(lack in done.stdout for lack in lacks), (lacks, done.stdout)


def the_hash_is_of_the_canonical_plan(world):
    done = world.run("plan", "--json", "--", "make", "x")
    answer = json.loads(done.stdout)
    text = json.dumps(answer["plan"], sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    equal(hashlib.sha256(text.encode()).hexdigest(), answer["hash"])
    equal(world.run("plan", "--hash", "--", "make", "x").stdout.strip(), answer["hash"])
    assert world.run("plan", "--hash", "--", "make", "y").stdout.strip() != answer["hash"]
    assert answer["hash"] in world.run("plan", "--", "make", "x").stdout


# --- sbox.yaml, in the shapes that people have ---

def approval_is_asked_shown_and_withdrawn(world):
    text = "version: 1\nprofiles: {default: {network: on, network_allow: [api.example]}}\n"
    world.write("cordon.yaml", text)
    equal((world.plan("make")[0], hosts(world.plan("make")[1])), (125, []))
    done = world.run("trust")
    equal((done.returncode, "the host api.example" in done.stdout, "nobody to ask" in done.stderr), (125, True, True))
    equal(world.plan("make")[0], 125)
    equal(world.run("trust", "--yes").returncode, 0)
    equal((world.plan("make")[0], hosts(world.plan("make")[1])), (0, ["api.example"]))
    assert "nothing needs" in world.run("trust", "--yes").stdout
    assert "api.example" in world.run("trust", "--list").stdout
    world.write("cordon.yaml", text + "# changed\n")
    equal(world.plan("make")[0], 125)
    world.write("cordon.yaml", text)
    equal(world.plan("make")[0], 0)
    equal(world.run("trust", "--revoke", "cordon.yaml").returncode, 0)
    equal(world.plan("make")[0], 125)
    equal(world.run("trust", "--revoke", "cordon.yaml").returncode, 125)
    equal(oct((world.home / ".config/cordon/trust.json").stat().st_mode & 0o777), "0o600")


def without_a_command_every_profile_is_looked_at(world):
    """What one of them runs on the host is approved with what the others do."""
    world.write("cordon.yaml", "version: 1\nprofiles:\n  default: {network: 'off', pre_run: [./a.sh], pre_run_on: host}\n"
                "  other: {network: 'off', pre_run: [./b.sh], pre_run_on: host}\n")
    for name in ("a.sh", "b.sh"):
        world.write(name, "#!/bin/sh\n")
    shown = world.run("trust", "--yes").stdout
    for name in ("a.sh", "b.sh"):
        equal(shown.count(f"{name} asks for\n"), 1)
    equal([world.plan("make", options=["--profile", name])[0] for name in ("default", "other")], [0, 0])


def what_is_not_there_is_said_with_what_is(world):
    world.write("cordon.yaml", "version: 1\nprofiles: {default: {network: 'off'}, build: {network: 'off'}}\n")
    for words in (("exec", "nope", "--", "true"), ("run", "--profile", "nope", "--", "true")):
        done = world.run(*words)
        equal((done.returncode, done.stderr), (125, "cordon: unknown profile 'nope' (known: build, default)\n"))
    digest = world.run("plan", "--hash", "--", "true").stdout.strip()
    done = world.run("run", "--plan", digest[:12], "--", "true")
    equal((done.returncode, done.stderr), (125, "cordon: --plan: is not the whole hash of a plan, as cordon plan prints it\n"))


def hosts_of_a_lockfile_are_approved_as_a_list(world):
    world.write("package-lock.json", '{"a": {"resolved": "https://other.example/a.tgz"}}')
    equal(world.plan("npm", "ci")[0], 125)
    done = world.run("trust", "--yes", "--", "npm", "ci")
    assert "other.example:443" in done.stdout, done.stdout
    status, plan, _ = world.plan("npm", "ci")
    equal((status, hosts(plan), plan["network"]["allow"][0]["may_be_private"]), (0, ["other.example:443"], False))


def the_users_policy_is_read(world):
    world.write("~/.config/cordon/policy.yaml", """version: 1
grants: {network_allow: ['*.corp.example'], environment: ['CORP_*']}
environment: {deny: ['*_X']}
limits: {memory: 1GiB}
""")
    world.write("cordon.yaml", "version: 1\nenvironment: {pass_through: [CORP_A, CORP_X]}\n"
                "profiles: {default: {network: on, network_allow: [a.corp.example]}}\n")
    status, plan, error = world.plan("make", CORP_A="1", CORP_X="2")
    equal((status, error, hosts(plan), plan["limits"]["memory_bytes"]), (0, "", ["a.corp.example"], 1 << 30))
    equal(variables(plan).get("CORP_A"), "1")
    assert "CORP_X" not in variables(plan)
    (world.home / ".config/cordon/policy.yaml").write_text("version: 1\nnonsense: 1\n")
    equal(world.plan("make")[0], 125)


def init_writes_what_is_found(world):
    world.write("pnpm-lock.yaml", "")
    done = world.run("init")
    equal((done.returncode, done.stdout), (0, "wrote cordon.yaml\n"))
    assert "package_manager:\n  name: pnpm\n" in (world.project / "cordon.yaml").read_text()
    equal(world.plan("pnpm", "add", "x")[1]["decision"]["profile"], "pm-pnpm-install")
    done = world.run("init")
    equal((done.returncode, "refusing to overwrite" in done.stderr), (125, True))
    equal(world.run("init", "--force", "--preset", "rust").returncode, 0)
    equal(world.plan("cargo", "b")[1]["decision"]["profile"], "pm-cargo-build")
    done = world.run("init", "--output", "sbox.yaml")
    equal((done.returncode, (world.project / "sbox.yaml").exists()), (125, False))
    assert "cordon.yaml is what is written" in done.stderr, done.stderr
    equal((world.run("init", "--preset", "x").returncode, world.run("init", "--user").returncode), (125, 0))
    assert "grants:" in (world.home / ".config/cordon/policy.yaml").read_text()
    equal(world.plan("cargo", "b")[0], 0)
    world.write("yarn.lock", "")
    assert "yarn, pnpm" in world.run("init", "--output", "-", "--from-lockfile").stderr


def adding_a_package_says_what_it_needs(world):
    def hints(*command, options=()):
        return world.plan("npm", *command, options=options)[1]["hints"]

    world.write("cordon.yaml", "version: 1\npackage_manager: {name: npm}\n")
    for name in ("package.json", "package-lock.json"):
        world.write(name, "{}")
    assert hints("install", "left-pad")[0].startswith("package.json is read-only")
    equal((hints("install"), hints("install", "left-pad", options=["--wall", "none"])), ([], []))
    what = re.search(r"package_manager: \{.*\}", hints("i", "left-pad")[0])[0]
    world.write("cordon.yaml", f"version: 1\n{what}\n")
    equal(world.run("trust", "--yes").returncode, 0)
    equal(hints("install", "left-pad"), [])
    equal(mount(world.plan("npm", "install", "left-pad")[1], str(world.project / "package.json"))["read_only"], False)


def doctor_looks_at_the_project(world):
    def here(**env):
        done = subprocess.run([CORDON, "doctor", "--json"], cwd=world.project, env={**world.env, **env}, capture_output=True, text=True, timeout=60)
        return {finding["name"]: (finding["fine"], finding["detail"]) for finding in json.loads(done.stdout)["here"]}
    equal({name: fine for name, (fine, _) in here().items()}, {"policy": True, "approval": True, "variables": True, "credentials": True})
    world.write(".env", "A=b\n")
    world.write(".npmrc", "")
    world.write("cordon.yaml", "version: 1\nenvironment: {pass_through: [API_TOKEN]}\nworkspace: {exclude_paths: [.npmrc]}\n")
    found = here(API_TOKEN="x")
    equal((found["policy"][0], str(world.project / "cordon.yaml") in found["policy"][1], found["approval"][0]), (True, True, False))
    equal(found["credentials"], (False, "commands see .env; workspace: {exclude_paths: […]} hides them"))
    world.run("trust", "--yes")
    found = here(API_TOKEN="x")
    assert found["approval"][0] and not found["variables"][0] and found["variables"][1].startswith("1 that look secret are passed"), found
    world.write("cordon.yaml", "version: 1\nno: 1\n")
    equal([name for name in here()], ["policy"])
    assert not here()["policy"][0]


def init_asks(world):
    """Each answer is judged as the file would be; what is wrong is asked for again."""
    world.write("package.json", '{"name": "x"}')
    done = world.run("init", "-i", stdin="npmm\nnpm\n\nbad host!\nregistry.example, *.b.example\ny\n../up\ndist\n\nTERM\nmuch\n2GiB\n10m\n")
    equal((done.returncode, done.stdout), (0, "wrote cordon.yaml\n"))
    for said in ("[npm]: ", "there is no npmm", "'host!'", "../up", "'much'"):
        assert said in done.stderr, (said, done.stderr)
    equal(world.run("trust", "--yes").returncode, 0)
    status, plan, _ = world.plan("make", TERM="dumb")
    equal((status, hosts(plan), plan["limits"]["memory_bytes"], plan["limits"]["wall_time_ms"]), (0, ["registry.example", "*.b.example"], 2 << 30, 600000))
    equal(variables(plan).get("TERM"), "dumb")
    equal(world.plan("npm", "ci")[1]["decision"]["profile"], "pm-npm-install")
    (world.project / "cordon.yaml").unlink()
    done = world.run("init", "-i", stdin="npm\n")
    equal((done.returncode, "nothing was written" in done.stderr, (world.project / "cordon.yaml").exists()), (125, True, False))


def colours_are_for_terminals(world):
    world.write("cordon.yaml", "version: 1\nprofiles: {default: {}}\n")
    for env, head in (({"TERM": "xterm"}, "\033[1mcommand\033[m\n"), ({"TERM": "xterm", "NO_COLOR": "1"}, "command\n"), ({"TERM": "dumb"}, "command\n")):
        plain = world.run("plan", "--", "make", **env).stdout
        assert "\033" not in plain and plain.startswith("command\n"), plain
        status, text = drawn([CORDON, "plan", "--", "make"], cwd=world.project, env={**world.env, **env})
        equal((status, text.startswith(head)), (0, True))
        equal(text.replace("\033[1m", "").replace("\033[m", ""), plain)


def many_files_and_patterns(world):
    """What is hidden among two thousand files is exactly what matches."""
    for folder in range(40):
        for file in range(50):
            world.write(f"d{folder}/f{file}.txt", "")
    world.write("d7/deep/key.pem", "")
    patterns = ", ".join(f"'*.x{number}'" for number in range(18))
    world.write("cordon.yaml", f"version: 1\nworkspace: {{exclude_paths: [{patterns}, '**/*.pem', 'd3/f1?.txt']}}\nprofiles: {{default: {{}}}}\n")
    _, plan, _ = world.plan("make")
    equal(sorted(entry["target"] for entry in plan["mounts"] if entry["kind"] == "mask" and entry["name"] == "excluded"),
          sorted([f"{world.project}/d7/deep/key.pem", *(f"{world.project}/d3/f1{n}.txt" for n in range(10))]))


def a_program_that_is_not_there(world):
    """One line, wherever it is not."""
    for program in ("/nowhere-8417", "./nowhere-8417", "nowhere-8417", "/usr/nowhere-8417"):
        done = world.run("run", "--wall", "native", "--", program)
        equal((done.returncode, done.stderr), (127, f"cordon: {program}: not found on this machine\n"))
        equal(world.run("plan", "--wall", "native", "--", program).returncode, 125)
    done = world.run("run", "--wall", "native", "--", "/etc/passwd")
    equal((done.returncode, done.stderr), (125, "cordon: /etc/passwd: programs in /etc cannot be shown: it holds /etc/shadow\n"))


def a_directory_that_has_gone(world):
    gone = world.home.parent / "gone"
    gone.mkdir()
    done = subprocess.run(["sh", "-c", 'rmdir "$PWD" && exec "$0" plan -- make', CORDON], cwd=gone, env=world.env, capture_output=True, text=True, timeout=30)
    equal((done.returncode, done.stderr), (125, "cordon: the working directory is not there any more\n"))


def what_an_image_is_built_from_is_approved_by_its_contents(world):
    world.write("cordon.yaml", "version: 1\nimage: {build: Dockerfile}\nprofiles: {default: {}}\n")
    world.write("Dockerfile", "FROM scratch\n")
    shown = world.run("trust", "--yes").stdout
    assert f"{world.project}/Dockerfile asks for" in shown, shown
    status, plan, _ = world.plan("true")
    equal((status, plan["files"][1]["path"], plan["files"][1]["approved"]), (0, f"{world.project}/Dockerfile", True))
    before = world.run("plan", "--hash", "--", "true").stdout
    world.write("Dockerfile", "FROM scratch\nRUN evil\n")
    status, changed, error = world.plan("true")
    equal((status, len(changed["withheld"])), (125, 1))
    assert "contents are not approved" in changed["withheld"][0]["why"], changed["withheld"]
    # An image of what was there before is another one.
    equal(changed["image"]["tag"] != plan["image"]["tag"], True)
    world.write("~/.config/cordon/policy.yaml", "version: 1\ngrants: {image_builds: true}\n")
    equal((world.plan("true")[0], world.run("plan", "--hash", "--", "true").stdout != before), (0, True))


def an_empty_value_is_none(world):
    """A script's variable that was never set must not mean what nobody said."""
    for option in ("--profile", "--policy", "--config", "--workspace", "--image", "--wall"):
        done = world.run("plan", option, "", "--", "make")
        equal((done.returncode, done.stdout), (125, ""))
        assert "empty" in done.stderr and option in done.stderr, done.stderr
    equal(world.run("exec", "", "--", "make").returncode, 125)


TESTS = [everything_wrong_is_said_at_once, the_text_says_what_and_why, the_hash_is_of_the_canonical_plan, approval_is_asked_shown_and_withdrawn,
         what_an_image_is_built_from_is_approved_by_its_contents, hosts_of_a_lockfile_are_approved_as_a_list, without_a_command_every_profile_is_looked_at,
         what_is_not_there_is_said_with_what_is, the_users_policy_is_read, init_writes_what_is_found, adding_a_package_says_what_it_needs,
         doctor_looks_at_the_project, init_asks, colours_are_for_terminals, many_files_and_patterns, a_program_that_is_not_there,
         a_directory_that_has_gone, an_empty_value_is_none]


if __name__ == "__main__":
    sys.exit(main(TESTS, sys.argv[1:]))

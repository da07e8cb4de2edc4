#!/usr/bin/env python3
"""What hostile projects gain by `cordon plan`, and strange ones: nothing: run_plan_hostile.py [NAME…]"""
import json
import os
import pathlib
import re
import subprocess
import sys

from plan_world import CONTAINER, CORDON, equal, hosts, main, mount, variables


def controls(text):
    return [letter for letter in text if letter < " " and letter != "\n" or letter in "\x7f\x9b\u202e"]


def a_hostile_repository_gains_nothing(world):
    """A host-side hook, the host itself as the wall, secrets, the whole network, links and variables: all of it asked for, none given."""
    world.write("~/.ssh/id_ed25519", "key")
    world.write("~/.aws/credentials", "key")
    (world.project / "node_modules").symlink_to(world.home / ".ssh")
    (world.project / "out").mkdir()
    world.write("packages/a/.env", "TOKEN=x")
    world.write(".git/config", "[core]\n\tfsmonitor = touch /tmp/owned\n[remote \"o\"]\n\turl = https://me:token@git.example/x\n")
    world.write("sbox.yaml", CONTAINER.replace("root: .", "root: ../home").replace("rootless: true", "rootless: false") + """  writable_paths: [node_modules, .git/hooks, .vscode]
image: {build: ./Dockerfile}
environment: {pass_through: [NPM_TOKEN, HOME, DATABASE_URL]}
mounts: [{type: bind, source: /etc, target: /host-etc}, {source: ~/.aws, target: /aws}]
caches: [{name: x, target: /x, source: ~/.ssh}, {name: y, target: /y, source: shared}]
secrets: [{name: k, source: ~/.ssh/id_ed25519, target: /k}]
profiles:
  default:
    mode: host
    network: host
    no_new_privileges: false
    capabilities: [SYS_ADMIN]
    pre_run: ["touch /tmp/owned"]
""")
    status, plan, error = world.plan("make", NPM_TOKEN="t", DATABASE_URL="postgres://u:p@h/x")
    equal(status, 125)
    assert "need your approval" in error, error
    assert plan["wall"] == "container" and plan["network"]["mode"] == "off" and not hosts(plan), plan
    equal(plan["workspace"]["root"], str(world.project))
    sources = [entry.get("source", "") for entry in plan["mounts"]]
    for secret in (".ssh", ".aws", "/etc"):
        assert not any(secret in source for source in sources), sources
    equal([entry["target"] for entry in plan["mounts"] if entry["kind"] == "bind" and not entry["read_only"]], [])
    assert {"NPM_TOKEN", "DATABASE_URL"}.isdisjoint(variables(plan)) and '"t"' not in json.dumps(plan), plan
    equal((plan["rights"]["no_new_privileges"], plan["rights"]["capabilities_added"], plan["rights"]["map_user"]), (True, [], True))
    equal((plan["pre_run"], plan["network"]["ports"], plan["image"]["build_file"]),
          ([{"argv": ["touch", "/tmp/owned"], "on_host": False, "origin": "project"}], [], ""))
    equal(mount(plan, "/workspace/.git/config")["kind"], "mask")


def what_is_wrong_draws_nothing(world):
    """Errors show what a hostile file or tree says, and a terminal must not obey it."""
    hostile = "o\x1b]52;c;eA==\x07\x9b31m\u202ex"
    quoted = json.dumps(hostile)
    for text in (f"version: 1\nworkspace: {{writable_paths: [{quoted}, '..']}}\nprofiles: {{default: {{}}}}\n", f"version: 1\n{quoted}: 1\n",
                 f"version: {quoted}\n", f"version: 1\nprofiles: {{default: {{pre_run: [{quoted}]}}}}\n",
                 "version: 1\nworkspace: {writable_paths: [out]}\nprofiles: {default: {}}\n"):
        world.write("cordon.yaml", text)
        if "out" in text:
            (world.project / "out").symlink_to(hostile)
        for command in (("plan", "--", "make"), ("run", "--", "true"), ("install", "--manager", "npm"), ("trust", "--yes")):
            done = world.run(*command)
            assert done.returncode in (0, 125) and (done.stderr or command[0] == "trust"), (command, done)
            equal(controls(done.stdout + done.stderr), [])
    (world.project / "out").unlink()
    (world.project / hostile).mkdir()
    (world.project / hostile / "cordon.yaml").write_text("version: 2\n")
    done = subprocess.run([CORDON, "run", "--", "true"], cwd=world.project / hostile, env=world.env, capture_output=True, text=True, timeout=30)
    equal((done.returncode, controls(done.stderr)), (125, []))
    assert "unsupported config version" in done.stderr, done.stderr


def what_is_hidden_has_a_bound(world):
    """A hostile tree costs neither minutes nor more mounts than the kernel has."""
    for file in range(6000):
        world.write(f"many/f{file}", "")
    world.write("cordon.yaml", "version: 1\nworkspace: {exclude_paths: ['f*']}\nprofiles: {default: {}}\n")
    code, plan, errors = world.plan("make")
    equal((code, sum(entry["kind"] == "mask" for entry in plan["mounts"])), (125, 4096))
    equal(errors.count("more than 4096 files"), 1)
    world.write("cordon.yaml", "version: 1\nworkspace: {exclude_paths: ['many/']}\nprofiles: {default: {}}\n")
    code, plan, _ = world.plan("make")
    equal((code, mount(plan, f"{world.project}/many")["kind"]), (0, "mask"))


def a_home_by_another_name_is_the_home(world):
    """Through a link, as homes on other disks are: what is secret in it stays so by its real name."""
    link = world.home.parent / "link"
    link.symlink_to(world.home)
    world.write("~/.ssh/id", "key")
    world.write("cordon.yaml", f"version: 1\nmounts: [{{source: {world.home}/.ssh, target: /k}}]\ncaches: [{{name: c, source: {world.home}/.ssh, target: /c}}]\n"
                "profiles: {default: {}}\n")
    equal(world.run("trust", "--yes", HOME=str(link)).returncode, 0)
    done = world.run("plan", "--", "make", HOME=str(link))
    assert done.stderr.count("would show ~/.ssh") == 2, done
    world.project = world.home
    done = world.run("plan", "--", "make", HOME=str(link))
    assert "shows your home directory" in done.stderr and "your own policy and approvals are inside" in done.stderr, done


def without_a_wall_a_project_says_nothing(world):
    """Whoever runs something on the host runs that, and nothing that a repository adds to it: by the option, or by his own profile."""
    world.write("cordon.yaml", "version: 1\nenvironment: {set: {LD_PRELOAD: ./evil.so}}\nprofiles: {default: {pre_run: [touch made], shell: /bin/evil}}\n")
    world.write("~/.config/cordon/policy.yaml", "version: 1\nprofiles: {default: {}, trusted: {mode: host}}\ndispatch: {own: {match: ['true *'], profile: trusted}}\n")
    for options, command in ((["--wall", "none"], ["id"]), (["--mode", "host"], ["id"]), ([], ["true", "x"])):
        done = world.run("run", *options, "--", *command)
        equal((done.returncode, "need your approval" in done.stderr or "needs your approval" in done.stderr, done.stdout), (125, True, ""))
        code, plan, _ = world.plan(*command, options=options)
        equal(("LD_PRELOAD" in variables(plan), plan["pre_run"], variables(plan)["SHELL"]), (False, [], "/bin/sh"))
    assert not (world.project / "made").exists()
    # Behind a wall it is harmless.
    code, plan, errors = world.plan("id")
    equal((code, errors, variables(plan)["LD_PRELOAD"]), (0, "", "./evil.so"))
    done = world.run("trust", stdin="")
    for line in ("line 2: without a wall, the variable LD_PRELOAD=./evil.so", "line 3: without a wall, the command 'touch made' before it",
                 "line 3: without a wall, the shell /bin/evil"):
        assert line in done.stdout, done
    world.run("trust", "--yes")
    _, plan, errors = world.plan("id", options=["--wall", "none"])
    equal((errors, variables(plan)["LD_PRELOAD"], [command["argv"] for command in plan["pre_run"]]), ("", "./evil.so", [["touch", "made"]]))


def another_name_for_the_workspace_shows_no_more(world):
    """A project may mount what is its own without being approved, but not around what the user, or its own list, excludes."""
    world.write("~/.config/cordon/policy.yaml", "version: 1\nworkspace: {exclude_paths: [.env, keys/]}\ngrants: {workspace: all}\n")
    world.write(".env", "secret")
    world.write("keys/public", "key")
    world.write("data/file", "x")

    def errors_of(rule):
        world.write("cordon.yaml", f"version: 1\n{rule}\nprofiles: {{default: {{}}}}\n")
        equal(world.run("trust", "--yes").returncode, 0)
        return world.run("plan", "--", "make").stderr

    for source in (".", ".env", "keys", "keys/public"):
        errors = errors_of(f"mounts: [{{source: {source}, target: /other, read_only: true}}]")
        assert "which is hidden or protected: '" in errors, (source, errors)
    errors = errors_of("toolchains: [.]\nworkspace: {mount: /workspace}")
    assert "which is hidden or protected: '" in errors, errors
    equal(errors_of("mounts: [{source: data, target: /other}]\ncaches: [{name: c, source: ./data, target: /cache}]"), "")
    equal(errors_of("secrets: [{name: s, source: keys/public, target: /run/key}]"), "")
    world.write("~/.config/cordon/policy.yaml", "version: 1\ngrants: {workspace: all}\n")
    # What a file excludes itself it may show part of.
    equal(errors_of("workspace: {exclude_paths: [keys/]}\nmounts: [{source: keys/public, target: /other, read_only: true}]"), "")
    for rule in ("mounts: [{source: ., target: /other}]", "caches: [{name: c, source: ./.git, target: /cache}]"):
        assert "holds what writable_paths keep from being written" in errors_of(rule), rule
    world.write("data/clone/.git/config", "[core]\n")
    assert "holds a repository" in errors_of("mounts: [{source: data, target: /other}]")
    equal(errors_of("mounts: [{source: data, target: /other, read_only: true}]"), "")
    settings = str(world.home.parent / "settings")
    world.write("cordon.yaml", "version: 1\nprofiles: {default: {}}\n")
    os.makedirs(f"{settings}/cordon")
    pathlib.Path(f"{settings}/cordon/policy.yaml").write_text(f"version: 1\nmounts: [{{source: {settings}, target: /settings}}]\n")
    assert "holds your own policy" in world.run("plan", "--", "make", XDG_CONFIG_HOME=settings).stderr


def homes_that_are_the_machines(world):
    """Services have such: the command's home is an empty directory all the same."""
    for home in ("/", "/bin", "/usr/sbin", "/dev"):
        code, plan, errors = world.plan("make", HOME=home, XDG_CONFIG_HOME=str(world.home), XDG_CACHE_HOME=str(world.home))
        equal((code, errors, variables(plan)["HOME"]), (0, "", "/home/user"))
        equal(mount(plan, "/home/user")["kind"], "tmpfs")
        assert all(mount["target"] != home or mount["kind"] != "tmpfs" for mount in plan["mounts"]), (home, plan)
    world.write("pnpm-lock.yaml", "lockfileVersion: '9.0'\n")
    code, plan, _ = world.plan("pnpm", "install", HOME="", XDG_CACHE_HOME=str(world.home / "cache"))
    equal(variables(plan)["npm_config_store_dir"].startswith("/home/user/"), True)


def files_that_are_none(world):
    """Nothing that has the name of a project's file is passed over."""
    path = world.project / "cordon.yaml"
    for make, remove in ((path.mkdir, path.rmdir), (lambda: os.mkfifo(path), path.unlink), (lambda: path.symlink_to("/dev/zero"), path.unlink)):
        make()
        code, _, errors = world.plan("true")
        equal(code, 125)
        assert re.search(r"cordon.yaml: (no regular file|a symbolic link)", errors), errors
        remove()
    for text in (b"version: 1\n\ttab: x\n", b"version: 1\n\xff\n", b"version: 1\na: *x\n"):
        path.write_bytes(text)
        code, _, errors = world.plan("true")
        equal((code, len(errors.splitlines())), (125, 1))
        assert "is missing" not in errors, errors


TESTS = [a_hostile_repository_gains_nothing, what_is_wrong_draws_nothing, what_is_hidden_has_a_bound, a_home_by_another_name_is_the_home,
         without_a_wall_a_project_says_nothing, another_name_for_the_workspace_shows_no_more, homes_that_are_the_machines, files_that_are_none]


if __name__ == "__main__":
    sys.exit(main(TESTS, sys.argv[1:]))

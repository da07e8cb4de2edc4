#!/usr/bin/env python3
"""What `cordon plan`, `cordon init` and `cordon trust` say, in homes and projects made for each test: run_plan.py [NAME…]

Programs of package managers are stand-ins that nothing runs; no test reaches a network.
"""
import hashlib
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

from processes import drawn

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = pathlib.Path(os.environ.get("CORDON_BUILD", ROOT / "build"))
CORDON = str(BUILD / "cordon")
PROGRAMS = ("npm", "npx", "yarn", "pnpm", "bun", "pip", "uv", "poetry", "cargo", "go", "composer", "bundle", "make", "node")


class World:
    """A home with a user's configuration, a project, and stand-ins for package managers."""

    def __init__(self, folder):
        self.home, self.project = folder / "home", folder / "project"
        for path in (self.home, self.project, folder / "bin"):
            path.mkdir()
        for name in PROGRAMS:
            (folder / "bin" / name).write_text("#!/bin/sh\n")
            (folder / "bin" / name).chmod(0o755)
        self.env = {"PATH": f"{folder}/bin:/usr/bin:/bin", "HOME": str(self.home)}

    def write(self, path, text):
        target = (self.home if path.startswith("~/") else self.project) / path.removeprefix("~/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)

    def run(self, *arguments, stdin="", **env):
        return subprocess.run([CORDON, *arguments], cwd=self.project, env={**self.env, **env}, input=stdin, capture_output=True, text=True,
                              timeout=30)

    def plan(self, *command, options=(), **env):
        """(exit status, plan, standard error)."""
        done = self.run("plan", "--json", *options, "--", *command, **env)
        return done.returncode, json.loads(done.stdout)["plan"] if done.stdout else None, done.stderr


def equal(got, wanted):
    assert got == wanted, f"{got!r}, expected {wanted!r}"


def mount(plan, target):
    found = [mount for mount in plan["mounts"] if mount["target"] == target]
    return found[-1] if found else None


def hosts(plan):
    return [grant["host"] for grant in plan["network"]["allow"]]


def variables(plan):
    return {variable["name"]: variable.get("value") for variable in plan["environment"]["selected"]}


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

CONTAINER = "version: 1\nruntime: {backend: podman, rootless: true}\nworkspace:\n  root: .\n  mount: /workspace\n  writable: false\n"


def sbox_npm(world):
    world.write("sbox.yaml", CONTAINER + """  writable_paths: [node_modules]
  exclude_paths: [".env", "*.pem", "secrets/*"]
image:
  ref: node:22-bookworm-slim
  digest: sha256:1111111111111111111111111111111111111111111111111111111111111111
environment:
  pass_through: [TERM]
  set: {NODE_ENV: development}
  deny: [NPM_TOKEN, AWS_SECRET_ACCESS_KEY]
profiles:
  install:
    mode: sandbox
    network: on
    network_allow: ["*.npm.example"]
    role: install
    lockfile_files: [package-lock.json]
    no_new_privileges: true
    cap_drop: [ALL]
  default: {mode: sandbox, network: off, writable: false}
dispatch:
  install: {match: ["npm install*", "npm ci*"], profile: install}
""")
    world.write("package-lock.json", "{}")
    world.write("keys/server.pem", "x")
    world.write(".env", "x")
    equal(world.run("trust", "--yes").returncode, 0)
    status, plan, error = world.plan("npm", "ci", TERM="xterm", NPM_TOKEN="secret")
    equal((status, error), (0, ""))
    equal((plan["wall"], plan["decision"]["profile"], plan["decision"]["rule"], plan["decision"]["pattern"]),
          ("container", "install", "install", "npm ci*"))
    equal((plan["image"]["engine"], plan["image"]["reference"], plan["image"]["pinned"]),
          ("podman", "node:22-bookworm-slim@sha256:" + "1" * 64, True))
    equal((plan["workspace"]["mount"], plan["workspace"]["writable"], plan["directory"]), ("/workspace", False, "/workspace"))
    equal(hosts(plan), ["*.npm.example"])
    equal(mount(plan, "/workspace/node_modules")["read_only"], False)
    equal([mount(plan, "/workspace/" + path)["kind"] for path in (".env", "keys/server.pem")], ["mask", "mask"])
    equal(variables(plan)["NODE_ENV"], "development")
    assert "NPM_TOKEN" not in variables(plan) and "NPM_TOKEN" in {entry["name"] for entry in plan["environment"]["denied"]}
    equal((plan["rights"]["capabilities_dropped"], plan["rights"]["map_user"]), (["ALL"], True))
    equal(plan["lockfiles"][0]["sha256"], hashlib.sha256(b"{}").hexdigest())
    status, plan, _ = world.plan("node", "server.js")
    equal((plan["decision"]["profile"], plan["network"]["mode"]), ("default", "off"))


def sbox_npm_global_tool(world):
    """The command is not a rule's: an install by another spelling is still one, a program of another name is not."""
    world.write("sbox.yaml", CONTAINER + """image: {preset: node}
profiles:
  run: {mode: sandbox, network: off}
  install: {mode: sandbox, network: on, network_allow: [npm.example]}
dispatch:
  i: {match: ["npm install *"], profile: install}
""")
    world.run("trust", "--yes")
    equal(world.plan("env", "A=b", "/usr/bin/npm", "i", "-g", "tool")[1]["decision"]["profile"], "install")
    plan = world.plan("npm", "test")[1]
    equal((plan["decision"]["profile"], "first profile" in plan["decision"]["profile_from"]), ("run", True))


def sbox_missing_lockfile(world):
    text = CONTAINER + "image: {ref: 'node:22'}\npackage_manager: {name: npm, network_allow: [npm.example]}\n"
    world.write("sbox.yaml", text)
    world.run("trust", "--yes")
    status, plan, _ = world.plan("npm", "install")
    equal((status, any("no lockfile" in note for note in plan["notes"])), (0, True))
    equal(mount(plan, "/workspace/package-lock.json")["if_missing"], "stage file")
    status, _, error = world.plan("npm", "install", options=["--strict-security"])
    equal((status, "no lockfile: package-lock.json" in error, "has no digest" in error), (125, True, True))


def sbox_presets(world):
    for manager, install, build, writable in (("npm", ["npm", "ci"], ["npm", "run", "build"], "node_modules"),
                                              ("uv", ["uv", "sync"], ["uv", "build"], ".venv"),
                                              ("bun", ["bun", "install"], ["bun", "run", "build"], "node_modules"),
                                              ("poetry", ["poetry", "install"], ["poetry", "build"], ".venv"),
                                              ("cargo", ["cargo", "fetch"], ["cargo", "build"], "target"),
                                              ("go", ["go", "mod", "download"], ["go", "build", "-o", "dist/x", "./..."], "vendor"),
                                              ("pnpm", ["pnpm", "i"], ["pnpm", "build"], "node_modules"),
                                              ("yarn", ["yarn"], ["yarn", "build"], "node_modules")):
        world.write("sbox.yaml", CONTAINER + f"image: {{preset: polyglot}}\npackage_manager:\n  name: {manager}\n  network_allow: [index.example]\n")
        world.run("trust", "--yes")
        _, plan, error = world.plan(*install)
        equal((error, plan["decision"]["profile"], plan["network"]["mode"], hosts(plan)), ("", f"pm-{manager}-install", "list", ["index.example"]))
        equal(mount(plan, f"/workspace/{writable}")["read_only"], False)
        _, plan, _ = world.plan(*build)
        equal((plan["decision"]["profile"], plan["network"]["mode"]), (f"pm-{manager}-build", "off"))
        _, plan, _ = world.plan("node", "x")
        equal((plan["decision"]["profile"], [entry for entry in plan["mounts"] if entry["name"] == "writable"]), ("default", []))


def sbox_session_with_caches_and_secrets(world):
    world.write("sbox.yaml", """version: 1
runtime: {backend: docker, reuse_container: true, container_name: 'dev-{profile}', pull_policy: missing}
workspace: {mount: /workspace, writable: true, writable_paths: []}
image: {build: ./Dockerfile}
identity: {map_user: true}
caches:
  - {name: npm, target: /root/.npm}
secrets:
  - {source: ~/.npmrc, target: /run/secrets/npmrc, when_profiles: [install], deny_roles: [run]}
mounts:
  - {source: ./fixtures, target: /fixtures, read_only: true}
  - {type: tmpfs, target: /scratch}
profiles:
  install: {mode: sandbox, network: on, network_allow: [npm.example], writable: true, pre_run: ['echo "a b"']}
  dev: {mode: sandbox, network: bridge, ports: ['3000'], writable: true}
  host: {mode: host}
""")
    world.write("Dockerfile", "FROM x\n")
    world.write("fixtures/x", "x")
    world.write("~/.npmrc", "//npm.example/:_authToken=x\n")
    world.run("trust", "--yes")
    _, plan, error = world.plan("npm", "ci")
    equal(error, "")
    equal((plan["image"]["engine"], plan["image"]["reuse"], plan["image"]["container_name"]), ("docker", True, "dev-install"))
    equal(world.run("plan", "--audit", "--", "npm", "ci").stdout.split("\naudit\n")[1].splitlines()[0], "  it reads " + str(world.home / ".npmrc") + ", and has a network")
    assert re.search(r"^  session +dev-install-\(hash\)  +kept for commands of the same plan", world.run("plan", "--", "npm", "ci").stdout, re.MULTILINE)
    # Without a container nothing is kept, and the plan says so.
    _, native, error = world.plan("npm", "ci", options=["--wall", "native"])
    equal((error, native["image"], [note.split(":")[0] for note in native["notes"]]), ("", None, ["the wall native uses no image", "reuse_container"]))
    assert mount(plan, "/root/.npm")["source"].startswith(str(world.home / ".cache/cordon/caches/")), plan["mounts"]
    equal(mount(plan, "/run/secrets/npmrc")["source"], str(world.home / ".npmrc"))
    equal((mount(plan, "/fixtures")["beneath"], mount(plan, "/scratch")["kind"]), (str(world.project), "tmpfs"))
    equal([(command["argv"], command["on_host"]) for command in plan["pre_run"]], [(["echo", "a b"], False)])
    equal(plan["workspace"]["writable"], True)
    _, plan, _ = world.plan("npm", "start", options=["--profile", "dev"])
    equal((plan["network"]["mode"], plan["network"]["name"], plan["network"]["ports"], mount(plan, "/run/secrets/npmrc")),
          ("named", "bridge", [{"host": 3000, "port": 3000}], None))
    equal(world.plan("npm", "start", options=["--profile", "host"])[1]["wall"], "none")


# --- who may say what ---

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


def controls(text):
    return [letter for letter in text if letter < " " and letter != "\n" or letter in "\x7f\x9b\u202e"]


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


TESTS = [everything_wrong_is_said_at_once, the_text_says_what_and_why, the_hash_is_of_the_canonical_plan, sbox_npm, sbox_npm_global_tool,
         sbox_missing_lockfile, sbox_presets, sbox_session_with_caches_and_secrets, a_hostile_repository_gains_nothing,
         approval_is_asked_shown_and_withdrawn, hosts_of_a_lockfile_are_approved_as_a_list, the_users_policy_is_read,
         init_writes_what_is_found, adding_a_package_says_what_it_needs, doctor_looks_at_the_project, init_asks, colours_are_for_terminals, many_files_and_patterns, what_is_wrong_draws_nothing,
         what_is_hidden_has_a_bound, a_home_by_another_name_is_the_home, without_a_wall_a_project_says_nothing,
         another_name_for_the_workspace_shows_no_more, homes_that_are_the_machines, files_that_are_none, a_program_that_is_not_there,
         a_directory_that_has_gone]


def main(wanted):
    passed = failed = 0
    for test in TESTS:
        if wanted and test.__name__ not in wanted:
            continue
        name = test.__name__.replace("_", " ")
        with tempfile.TemporaryDirectory() as folder:
            try:
                test(World(pathlib.Path(folder).resolve()))
                passed += 1
                print(f"ok   plan: {name}", flush=True)
            except (AssertionError, subprocess.TimeoutExpired, OSError, ValueError, KeyError, TypeError) as error:
                failed += 1
                print(f"FAIL plan: {name}\n     {type(error).__name__}: {error}", flush=True)
    print(f"{passed} passed, {failed} failed")
    return 0 if passed and not failed else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

#!/usr/bin/env python3
"""What `cordon plan` makes of an sbox.yaml: run_plan_sbox.py [NAME…]"""
import hashlib
import re
import sys

from plan_world import CONTAINER, equal, hosts, main, mount, variables


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


TESTS = [sbox_npm, sbox_npm_global_tool, sbox_missing_lockfile, sbox_presets, sbox_session_with_caches_and_secrets]


if __name__ == "__main__":
    sys.exit(main(TESTS, sys.argv[1:]))

#!/usr/bin/env python3
"""The native wall and a project: what the host obeys later, files that are not there yet, shadows, and the commands around it:
run_native_workspace.py [NAME…]
"""
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from native_world import SECRET, equal, policy, run  # noqa: E402


def writable(world, more="", workspace=""):
    """A project that may be written, by the user's own word."""
    world.write("~/.config/cordon/policy.yaml", "version: 1\ngrants: {workspace: all}\n")
    policy(world, f"workspace: {{writable: true{workspace}}}\nprofiles: {{default: {{network: 'off', writable: true{more}}}}}\n")


def tree(folder):
    return {str(path.relative_to(folder)): path.read_bytes() if path.is_file() and not path.is_symlink() else None
            for path in sorted(folder.rglob("*"))}


HANDED_OVER = [".git/hooks/pre-commit", ".git/config", ".git/config.worktree", ".git/commondir", ".git/info/attributes", ".git/modules/x/config",
               ".gitmodules", ".husky/pre-commit", ".bashrc", ".profile", ".zshrc", ".envrc", ".vscode/tasks.json", ".idea/x", ".mcp.json",
               ".claude/settings.json", ".codex/config.toml", ".npmrc", ".cargo/config.toml", ".config/fish/config.fish", "cordon.yaml", "sbox.yaml",
               "sub/.git/hooks/pre-commit", "sub/.git/config", "sub/.git/commondir", ".gitconfig", ".bash_aliases", ".cargo/config", ".pnpmfile.cjs",
               ".nvim.lua", ".zed/tasks.json", ".githooks/pre-commit", "settings/git", "sub/tools/hooks/pre-commit"]


def what_the_host_obeys_later_cannot_be_written(world):
    """In a writable workspace, there or not; each attack works on a copy outside."""
    writable(world)
    for git in (".git", "sub/.git"):
        config = "[core]\nhooksPath = tools/hooks\n" if git.startswith("sub") else "[core]\nhooksPath = .githooks\n[include]\npath = ../settings/git\n"
        for path, text in (("HEAD", "ref: refs/heads/main\n"), ("config", config), ("hooks/old", ""), ("info/exclude", ""), ("objects/x", ""), ("refs/x", "")):
            world.write(f"{git}/{path}", text)
    world.write(".githooks/old", "")
    before = tree(world.project)
    copy = world.folder / "copy"
    for path in HANDED_OVER:
        shutil.copytree(world.project, copy)
        subprocess.run(["chown", "-hR", f"{world.uid}:{world.uid}", copy], check=True) if os.geteuid() == 0 else None
        done = subprocess.run([*world.identity(), "python3", "attacks.py", "attack", "hand_over", path], cwd=copy, env=world.env, capture_output=True,
                              text=True, check=False)
        equal((path, done.stdout), (path, "reached\n"))
        shutil.rmtree(copy)
    script = ("import subprocess, sys\nfor path in sys.argv[1:]:\n"
              "  print(path, subprocess.run(['python3', 'attacks.py', 'attack', 'hand_over', path], capture_output=True, text=True).stdout, end='')")
    done = world.inside("python3", "-c", script, *HANDED_OVER)
    equal([line for line in done.stdout.splitlines() if "blocked" not in line], [])
    equal(len(done.stdout.splitlines()), len(HANDED_OVER))
    after = tree(world.project)
    for path in ("made", "other"):
        after.pop(path, None)
    # Nothing was put there to hold the places, and the host's directories bear no marks.
    equal(after, before)
    marked = [str(path) for path in [world.project, *world.project.rglob("*")] if not path.is_symlink() and os.listxattr(path)]
    equal(marked, [])
    equal(list((world.home / ".cache/cordon/overlays").iterdir()), [])


def repositories_in_what_is_named_keep_their_settings(world):
    """In a writable path of a workspace that cannot be written, whatever their names are; and those of worktrees that are elsewhere."""
    policy(world, "workspace: {writable_paths: [packages, vendor, dist]}\nprofiles: {default: {network: 'off'}}\n")
    world.write("packages/new/file", "")
    world.write("package.json", "{}")
    # Directories of these names are filled by package managers, but not in this project or not by an install.
    gits = ("packages/x/.git", "packages/bare.git", "packages/.bare", "packages/.bare/modules/in it", "vendor/x/.git", "dist/x/.git")
    for git in gits:
        for path, text in (("HEAD", "ref: refs/heads/main\n"), ("config", "[core]\n"), ("hooks/old", ""), ("objects/x", ""), ("refs/x", "")):
            world.write(f"{git}/{path}", text)
    worktrees = [f"{git}/worktrees/w" for git in gits[:3]]
    for worktree in worktrees:
        for path, text in (("HEAD", "ref: refs/heads/main\n"), ("commondir", "../..\n"), ("gitdir", "/else/where/.git\n")):
            world.write(f"{worktree}/{path}", text)
    world.write("packages/checkout/.git", "gitdir: ../.bare\n")
    handed_over = [f"{git}/{path}" for git in gits for path in ("hooks/pre-commit", "config", "config.worktree", "commondir")]
    handed_over += [f"{worktree}/{path}" for worktree in worktrees for path in ("commondir", "config.worktree")] + ["packages/checkout/.git"]
    script = ("import pathlib, sys\nfor path in sys.argv[1:]:\n  try: pathlib.Path(path).write_text('x'); print(path)\n  except OSError: pass\n"
              "pathlib.Path('packages/new/made').touch(); pathlib.Path('packages/x/.git/refs/made').touch(); pathlib.Path('packages/x/made').touch()")
    before = tree(world.project)
    done = world.inside("python3", "-c", script, *handed_over)
    equal((done.stdout, done.stderr, done.returncode), ("", "", 0))
    after = tree(world.project)
    for path in ("packages/new/made", "packages/x/.git/refs/made", "packages/x/made"):
        equal(after.pop(path), b"")
    equal(after, before)
    # Their own names are what a policy has to say.
    policy(world, "workspace: {writable_paths: [packages, packages/x/.git/hooks]}\nprofiles: {default: {network: 'off'}}\n")
    world.outside(str(world.cordon), "trust", "--yes")
    done = world.inside("python3", "-c", script, *handed_over)
    equal(done.stdout, "packages/x/.git/hooks/pre-commit\n")


def a_worktree_can_be_worked_on(world):
    """Its `.git` is a file, which says where the repository is; as in a submodule."""
    writable(world)
    world.write(".git", "gitdir: /else/where\n")
    world.own()
    done = world.inside("sh", "-c", "echo made >file; echo x >>.git; rm -f .git; mv .git other; cat file .git")
    equal((done.stdout, done.returncode), ("made\ngitdir: /else/where\n", 0))
    equal([(world.project / name).read_text() for name in ("file", ".git")], ["made\n", "gitdir: /else/where\n"])


def a_repository_without_a_worktree_can_be_worked_on(world):
    """The workspace is the repository itself."""
    writable(world)
    for path in ("HEAD", "config", "hooks/old", "objects/x", "refs/x"):
        world.write(path, "")
    world.own()
    done = world.inside("sh", "-c", "for path in config hooks/new commondir refs/new; do echo x >$path && echo $path; done; true")
    equal((done.stdout, done.returncode), ("refs/new\n", 0))


def what_cannot_be_listed_is_hidden(world):
    """Where something is to be hidden: who owns a directory may open it, and who knows a name in it need not."""
    policy(world, "workspace: {exclude_paths: ['.env']}\nprofiles: {default: {network: 'off'}}\n")
    world.write("closed/.env", SECRET)
    world.write("closed/known", "x")
    (world.project / "closed").chmod(0o311)
    try:
        done = world.inside("cat", "closed/.env", "closed/known")
        # Root lists it, and hides what there is.
        equal(done.stdout, "x" if world.uid == 0 else "")
    finally:
        (world.project / "closed").chmod(0o755)


def a_project_with_a_repository_can_be_worked_on(world):
    if not shutil.which("git") or not shutil.which("gcc"):
        raise AssertionError("git and gcc are needed for this test")
    writable(world)
    world.write("main.c", "int main(void) { return 3; }\n")
    world.write("src/old.txt", "old\n")
    world.outside("git", "init", "-q", ".")
    script = ("export GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@b GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@b; set -e; git add main.c src cordon.yaml; git commit -qm first;"
              "gcc main.c -o program; ./program || echo $?; mkdir -p dist/deep && echo 1 >dist/deep/a; rm -rf dist; mkdir dist; echo 2 >dist/b;"
              "mv src lib; mv lib/old.txt lib/new.txt; ln -s lib link; ln lib/new.txt hard; git add -A lib src; git commit -qm second; git status --short")
    done = world.inside("sh", "-c", script)
    equal((done.stdout, done.returncode), ("3\n?? attacks.py\n?? dist/\n?? hard\n?? link\n?? program\n", 0))
    equal(world.outside("git", "log", "--format=%s").stdout, "second\nfirst\n")
    equal([(world.project / "lib/new.txt").read_text(), (world.project / "dist/b").read_text(), os.readlink(world.project / "link")], ["old\n", "2\n", "lib"])
    equal({path.lstat().st_uid for path in world.project.rglob("*") if ".git" not in path.parts and path.name != "cordon"}, {world.uid})


def what_is_excluded_and_not_there_cannot_be_made(world):
    writable(world, workspace=", exclude_paths: [.env, keys/, deep/er/secret]")
    world.write("deep/er/fine", "x")
    done = world.inside("sh", "-c", "echo a >.env; mkdir keys; echo b >keys/c; echo d >deep/er/secret; mv deep/er deep/other; rm -rf deep; echo e >deep/er/new; cat .env deep/er/new")
    equal(done.stdout, "e\n")
    equal([(world.project / path).exists() for path in (".env", "keys", "deep/er/secret", "deep/other", "deep/er/new")], [False, False, False, False, True])
    # What came between planning and running, or stays there from an earlier run, is no surprise.
    equal(world.inside("true").returncode, 0)


def a_place_for_the_overlay_is_needed(world):
    """Without one nothing runs, and the remedy is named."""
    if os.geteuid() != 0 or world.uid != 0:
        return
    writable(world)
    script = ("mount --make-rprivate / && mount -t tmpfs none $HOME/../project && cp -r $HOME/../saved/. $HOME/../project/ && cd $HOME/../project && "
              f"{world.cordon} run -- sh -c 'echo ran'")
    shutil.copytree(world.project, world.folder / "saved")
    done = subprocess.run(["unshare", "-m", "sh", "-c", script], env=world.env, capture_output=True, text=True, check=False)
    equal((done.stdout, done.returncode), ("", 125))
    assert "XDG_CACHE_HOME" in done.stderr, done.stderr


def files_that_may_be_made_are_taken_over(world):
    policy(world, "workspace: {writable_paths: [new.lock, sub/other.lock, never.lock, odd.lock, holes.lock]}\nprofiles: {default: {network: 'off'}}\n")
    world.write("sub/x", "x")
    secret = world.write("~/secret", SECRET)
    script = f"test ! -e new.lock && echo made >new.lock && echo >>new.lock && echo two >sub/other.lock; mkdir $(readlink odd.lock); ln -s {secret} x; echo no >else.lock"
    done = world.inside("sh", "-c", script)
    equal([(world.project / path).read_text() for path in ("new.lock", "sub/other.lock")], ["made\n\n", "two\n"])
    equal((world.project / "new.lock").stat().st_uid, world.uid)
    equal([(world.project / path).exists() for path in ("never.lock", "odd.lock", "else.lock")], [False] * 3)
    assert "odd.lock: not taken over" in done.stderr, done.stderr
    equal(sorted(path.name for path in world.project.iterdir()), ["attacks.py", "cordon.yaml", "new.lock", "sub"])
    # What takes nothing in memory takes nothing of the host's disk.
    done = world.inside("sh", "-c", "f=$(readlink holes.lock); truncate -s 1T $f; echo in the middle | dd of=$f bs=1 seek=1G conv=notrunc 2>/dev/null; echo end >>$f")
    holes = world.project / "holes.lock"
    equal((done.stderr, holes.stat().st_size, holes.stat().st_blocks < 1000), ("", (1 << 40) + 4, True))
    with open(holes, "rb") as file:
        found = []
        for at in (0, 1 << 30, 1 << 40):
            file.seek(at)
            found.append(file.read(14))
    equal(found, [bytes(14), b"in the middle\n", b"end\n"])
    holes.unlink()
    # A link that stands in its place is not followed to what the host has.
    world.inside("sh", "-c", f"ln -s {secret} $(readlink never.lock)")
    assert not (world.project / "never.lock").exists()


def an_older_plan_is_refused(world):
    """Whatever of it differs."""
    policy(world, "workspace: {writable_paths: [out]}\nprofiles: {default: {network: 'off'}}\n")
    (world.project / "out").mkdir()
    world.own()
    digest = world.outside(world.cordon, "plan", "--hash", "--", "echo", "ran").stdout.strip()
    equal(world.outside(world.cordon, "run", "--plan", digest, "--", "echo", "ran").stdout, "ran\n")

    def refused():
        done = world.outside(world.cordon, "run", "--plan", digest, "--", "echo", "ran")
        equal((done.stdout, done.returncode), ("", 125))
        assert "another" in done.stderr, done
    # An empty hash is of no plan: what a script is left with whose `cordon plan` failed.
    equal(world.outside(world.cordon, "run", "--plan", "", "--", "echo", "ran").returncode, 125)
    world.env["LANGUAGE"] = "x"
    equal(world.outside(world.cordon, "run", "--plan", digest, "--", "echo", "ran").stdout, "ran\n")
    world.env["USER"] = "nobody"
    refused()
    world.env["USER"] = "somebody"
    (world.project / "out").rmdir()
    refused()
    (world.project / "out").mkdir()
    world.own()
    world.write("cordon.yaml", (world.project / "cordon.yaml").read_text() + "limits: {memory: 1GiB}\n")
    refused()


def a_shadow_takes_what_is_written(world):
    """And gives it back only when it is committed."""
    world.write("kept", "old")
    world.write("gone", "x")
    world.write("sub/deep", "x")
    script = "echo new >kept && rm gone && mkdir -p made .git/hooks && echo hi >made/file && echo evil >.git/hooks/pre-commit && echo done"
    done = world.inside("sh", "-c", script, options=("--shadow",))
    equal((done.stdout, done.returncode), ("done\n", 0))
    assert re.search(r"^cordon: shadow \w+: \+\d+ ~1 -1; cordon diff, cordon commit or cordon discard$", done.stderr, re.MULTILINE), done.stderr
    equal([(world.project / path).exists() for path in ("gone", "made", ".git")], [True, False, False])
    equal((world.project / "kept").read_text(), "old")
    # The next command goes on where the first ended.
    equal(world.inside("sh", "-c", "cat kept made/file", options=("--shadow", "--quiet")).stdout, "new\nhi\n")
    # Outside of it nothing has changed.
    equal(world.inside("cat", "kept").stdout, "old")
    done = world.outside(world.cordon, "diff", "--summary")
    assert "modify  kept" in done.stdout and "delete  gone" in done.stdout, done.stdout
    # What git would obey is not taken over with the rest.
    equal(world.outside(world.cordon, "commit").returncode, 125)
    equal(world.outside(world.cordon, "commit", "--skip-refused").returncode, 0)
    equal([(world.project / path).exists() for path in ("gone", "made/file", ".git/hooks/pre-commit")], [False, True, False])
    equal((world.project / "kept").read_text(), "new\n")
    equal((world.project / "made/file").stat().st_uid, world.uid)
    equal(world.outside(world.cordon, "discard").returncode, 0)


def what_is_hidden_is_not_uncovered_outside(world):
    """An editor saves by renaming a new file over the old one, and git does: what is mounted on that goes. In an overlay it stays."""
    for path in (".env", "a b/key", ".npmrc"):
        world.write(path, SECRET if path != ".npmrc" else "old")
    script = "echo go; read x; sleep 0.5; cat .env a*/key; echo more >>.npmrc; sleep 2; echo on"

    def remove(path):
        os.unlink(world.project / path)

    def rename_over(path):
        world.write("new", SECRET)
        os.rename(world.project / "new", world.project / path)

    def during_it(how, path):
        process = world.start("sh", "-c", script)
        equal(process.stdout.readline(), b"go\n")
        how(path)
        out, err = process.communicate(b"\n", timeout=30)
        return process.returncode, out, err.decode()

    policy(world, "workspace: {exclude_paths: [.env, a b/key]}\nprofiles: {default: {network: 'off'}}\n")
    for how, path in ((rename_over, ".env"), (remove, ".env"), (rename_over, "a b/key")):
        world.write(".env", SECRET)
        code, out, err = during_it(how, path)
        equal((code, out), (125, b""))
        assert f"{world.project / path}, which is hidden, was removed or replaced outside" in err, err
    # What is not hidden may change.
    world.write(".env", SECRET)
    equal(during_it(rename_over, "attacks.py")[:2], (0, b"on\n"))
    writable(world, workspace=", exclude_paths: [.env, a b/key]")
    for path in (".env", "a b/key", ".npmrc"):
        equal(during_it(rename_over, path)[:2], (0, b"on\n"))
    equal((world.project / ".npmrc").read_text(), SECRET)


def what_is_excluded_is_not_in_a_shadow(world):
    """Neither what is there, nor what comes into being while the command runs."""
    policy(world, "workspace: {shadow: true, writable: true, exclude_paths: ['*.pem', 'sub/.env']}\nprofiles: {default: {network: 'off'}}\n")
    world.write("sub/.env", SECRET)
    world.write("sub/key.pem", SECRET)
    for path in ("sub/.env", "sub/key.pem"):
        world.attack("read", path)
    process = world.start("sh", "-c", "echo go; read x; cat sub/*.pem sub/.e* *.pem; ls -a . sub; mv sub other && cat other/*")
    equal(process.stdout.readline(), b"go\n")
    world.write("later.pem", SECRET)
    world.write("sub/later.pem", SECRET)
    out, err = process.communicate(b"\n", timeout=30)
    assert SECRET.encode() not in out + err and b"later" not in out, out
    equal((world.project / "sub").is_dir(), True)
    equal(world.outside(world.cordon, "discard").returncode, 0)


def commands_are_written_down(world):
    world.inside("sh", "-c", "exit 3")
    done = world.outside(world.cordon, "log", "--json")
    line = json.loads(done.stdout.splitlines()[-1])
    equal((line["command"], line["exit_code"], line["wall"], line["directory"]), (["sh", "-c", "exit 3"], 3, "native", str(world.project)))
    assert "sh -c exit 3" in world.outside(world.cordon, "log").stdout
    equal((world.home / ".local/state/cordon/run.log").stat().st_mode & 0o777, 0o600)


def a_profile_is_named(world):
    policy(world, "profiles: {default: {network: 'off'}, loud: {network: 'off', shell: /bin/bash}}\n")
    equal(world.outside(world.cordon, "exec", "loud", "--", "sh", "-c", "echo $SHELL").stdout, "/bin/bash\n")
    equal(world.outside(world.cordon, "exec", "other", "--", "true").returncode, 125)
    done = world.outside(world.cordon, "run", "--dry-run", "--", "touch", "made")
    equal(((world.project / "made").exists(), done.returncode), (False, 0))
    assert "profile" in done.stdout, done.stdout


def shims_stand_before_programs(world):
    shims = world.home / "new/shims"
    equal(world.outside(world.cordon, "shim", "--dir", shims, "python3").returncode, 0)
    path = world.env["PATH"]
    problems = world.outside(world.cordon, "shim", "--dir", shims, "--verify")
    equal(problems.returncode, 1)
    assert "must come first" in problems.stderr, problems.stderr
    world.env["PATH"] = f"{shims}:{path}"
    equal(world.outside(world.cordon, "shim", "--dir", shims, "--verify").returncode, 0)
    code = "import os; print(os.uname().nodename == 'cordon')"
    equal(world.outside("python3", "-c", code).stdout, "False\n")
    policy(world, "profiles: {default: {network: 'off'}}\n")
    equal(world.outside("python3", "-c", code).stdout, "True\n")
    (shims / "python3").write_text("#!/bin/sh\nexit 0\n# A shim of cordon: \n")
    world.own()
    equal(world.outside(world.cordon, "shim", "--dir", shims, "--verify").returncode, 1)
    (shims / "sh").write_text("somebody's")
    world.own()
    world.outside(world.cordon, "shim", "--dir", shims, "sh")
    equal((shims / "sh").read_text(), "somebody's")


def options_stand_before_the_command_too(world):
    policy(world, "profiles: {default: {network: 'off'}, loud: {network: 'off', shell: /bin/bash}, out: {mode: host}}\n")

    def said(*words):
        done = world.outside(world.cordon, *words)
        return done.stdout, done.returncode
    equal(said("--profile", "loud", "run", "-e", "A=b c", "--", "sh", "-c", "echo $SHELL $A"), ("/bin/bash b c\n", 0))
    (world.project / "cordon.yaml").rename(world.project / "other.yaml")
    equal(said("--config=other.yaml", "-v", "exec", "loud", "--", "sh", "-c", "echo $SHELL"), ("/bin/bash\n", 0))
    # A host's profile that nobody granted: refused, and behind a wall all the same where that is asked for.
    equal(said("--config", "other.yaml", "run", "--profile", "out", "--", "uname", "-n"), ("", 125))
    equal(said("--config", "other.yaml", "--mode", "sandbox", "run", "--profile", "out", "--", "uname", "-n"), ("cordon\n", 0))
    equal(said("run", "--mode", "host", "--", "uname", "-n"), (os.uname().nodename + "\n", 0))
    equal(said("run", "--mode", "host", "--wall", "native", "--", "true"), ("", 125))
    equal(said("--nonsense", "run", "--wall", "native", "--", "true"), ("", 125))
    assert said("--version")[0].startswith("cordon "), said("--version")


def a_policy_is_named_for_once(world):
    """The caller's own word: what it grants is granted, and nothing else of his."""
    policy(world, "workspace: {writable: true}\nprofiles: {default: {network: 'off', writable: true}}\n")
    equal(world.inside("touch", "made").returncode, 125)
    mine = world.write("~/mine.yaml", "version: 1\ngrants: {workspace: all}\n")
    equal(world.inside("touch", "made", options=("--policy", mine)).returncode, 0)
    equal((world.project / "made").exists(), True)
    world.write("~/.config/cordon/policy.yaml", "version: 1\ngrants: {workspace: all}\n")
    mine.write_text("version: 1\n")
    equal(world.inside("touch", "made", options=("--policy", mine)).returncode, 125)
    inside = world.write("mine.yaml", "version: 1\ngrants: {workspace: all}\n")
    done = world.inside("true", options=("--policy", inside))
    equal(done.returncode, 125)
    assert "inside the workspace" in done.stderr, done.stderr
    mine.chmod(0o666)
    equal(world.inside("true", options=("--policy", mine)).returncode, 125)
    equal(world.inside("true", options=("--policy", world.home / "none.yaml")).returncode, 125)


def commands_run_on_the_host_where_the_user_says_so(world):
    policy(world, "profiles: {default: {network: 'off', pre_run: [\"sh -c 'echo $CORDON_SECRET of $(uname -n) >>said'\"], pre_run_on: host}}\n")
    equal((world.inside("true").returncode, (world.project / "said").exists()), (125, False))
    world.write("~/.config/cordon/policy.yaml", "version: 1\ngrants: {host_commands: true}\n")
    equal(world.inside("cat", "said").stdout, f"{world.env['CORDON_SECRET']} of {os.uname().nodename}\n")
    for wall in ("none", "native"):
        equal(world.outside(world.cordon, "plan", "--wall", wall, "--", "true").stdout.count("on the host"), 2)
    equal((world.project / "said").read_text().count("\n"), 1)
    policy(world, "profiles: {default: {network: 'off', pre_run: [\"sh -c 'exit 5'\", 'touch never'], pre_run_on: host}}\n")
    done = world.inside("echo", "ran")
    equal((done.stdout, done.stderr, done.returncode), ("", "cordon: pre-run command 'sh' on the host failed with 5\n", 5))
    equal((world.project / "never").exists(), False)


def files_used_on_the_host_are_approved_by_their_contents(world):
    policy(world, "profiles: {default: {network: 'off', writable_paths: [hooks], pre_run: [hooks/one, 'sh hooks/two'], pre_run_on: host}}\n")
    for name in ("one", "two"):
        world.write(f"hooks/{name}", f"#!/bin/sh\necho {name} >>said\n").chmod(0o755)
    trust = lambda: world.outside(world.cordon, "trust", "--yes", "--", "true")
    equal(world.inside("true").returncode, 125)
    shown = trust().stdout
    assert all(f"{world.project}/{name} asks for" in shown for name in ("cordon.yaml", "hooks/one", "hooks/two")), shown
    # What the sandbox may write does not run outside afterwards.
    done = world.inside("sh", "-c", "echo 'echo evil >>said' >>hooks/two")
    equal((done.returncode, (world.project / "said").read_text()), (0, "one\ntwo\n"))
    done = world.inside("true")
    equal((done.returncode, (world.project / "said").read_text()), (125, "one\ntwo\n"))
    assert f"needs your approval (cordon trust): {world.project}/hooks/two" in done.stderr, done.stderr
    before = world.outside(world.cordon, "plan", "--json", "--", "true").stdout
    trust()
    equal(world.inside("true").returncode, 0)
    assert world.outside(world.cordon, "plan", "--json", "--", "true").stdout != before
    # Whose user says that commands of projects may run on the host is not asked.
    world.write("~/.config/cordon/policy.yaml", "version: 1\ngrants: {host_commands: true}\n")
    world.write("hooks/one", "#!/bin/sh\n")
    equal(world.inside("true").returncode, 0)


def completions_are_read_by_the_shell(world):
    script = world.outside(world.cordon, "completions", "bash").stdout
    done = world.outside("bash", "-c", f"{script}\nCOMP_WORDS=(cordon ru); COMP_CWORD=1; _cordon; echo ${{COMPREPLY[@]}}\n"
                                       "COMP_WORDS=(cordon run --sha); COMP_CWORD=2; _cordon; echo ${COMPREPLY[@]}")
    equal((done.stdout, done.stderr), ("run\n--shadow\n", ""))
    for shell in ("zsh", "fish"):
        text = world.outside(world.cordon, "completions", shell).stdout
        assert "install" in text and "shadow" in text, text
    equal(world.outside(world.cordon, "completions", "cmd").returncode, 125)


def clean_removes_what_is_kept(world):
    done = world.outside(world.cordon, "clean", "--caches")
    equal((done.stdout, done.returncode), ("nothing to remove\n", 0))
    digest = __import__("hashlib").sha256(str(world.project).encode()).hexdigest()[:16]
    for name in (digest + "-npm", "0123456789abcdef-npm"):
        world.write(f"~/.cache/cordon/caches/{name}/file", "x")
    equal(world.outside(world.cordon, "clean", "--caches", "--dry-run").stdout.count("would remove"), 1)
    equal(world.outside(world.cordon, "clean", "--caches").returncode, 0)
    equal(os.listdir(world.home / ".cache/cordon/caches"), ["0123456789abcdef-npm"])


TESTS = [what_the_host_obeys_later_cannot_be_written, repositories_in_what_is_named_keep_their_settings,
         a_worktree_can_be_worked_on, a_repository_without_a_worktree_can_be_worked_on, what_cannot_be_listed_is_hidden,
         a_project_with_a_repository_can_be_worked_on, what_is_excluded_and_not_there_cannot_be_made,
         a_place_for_the_overlay_is_needed, files_that_may_be_made_are_taken_over, an_older_plan_is_refused, a_shadow_takes_what_is_written,
         what_is_hidden_is_not_uncovered_outside, what_is_excluded_is_not_in_a_shadow, commands_are_written_down, a_profile_is_named, options_stand_before_the_command_too,
         a_policy_is_named_for_once, commands_run_on_the_host_where_the_user_says_so,
         files_used_on_the_host_are_approved_by_their_contents, shims_stand_before_programs,
         completions_are_read_by_the_shell, clean_removes_what_is_kept]

if __name__ == "__main__":
    sys.exit(run("native", TESTS, sys.argv[1:]))

#!/usr/bin/env python3
"""What the native wall keeps of its roots, in the user's cache: run_native_prepared.py [NAME…]

A root is prepared, or made in memory; the command sees the same. As root every test runs twice, as root and as an ordinary user.
"""
import os
import pathlib
import shutil
import stat
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from native_world import equal, run  # noqa: E402

KEPT = 8


def roots(world):
    return world.home / ".cache/cordon/roots"


def names(world):
    return sorted(path.name for path in roots(world).iterdir())


# Of `/`: where it is in its file system, and what that is.
ROOT = ("awk", '$5 == "/" {print $4, $9}', "/proc/self/mountinfo")


def root_of(world, **options):
    done = world.inside(*ROOT, **options)
    equal((done.returncode, done.stderr), (0, ""))
    return done.stdout.strip()


def is_prepared(world):
    place, kind = root_of(world).split()
    assert place.endswith("/root") and ("/cordon/roots/" in place) == (kind != "tmpfs"), (place, kind)
    return kind != "tmpfs"


def is_prepared_next(world):
    """One that is not there is made while the command runs, for the next."""
    equal(world.inside("true").returncode, 0)
    return is_prepared(world)


def tree(folder):
    """Everything that can be changed of it."""
    found = {}
    for path in sorted([folder, *folder.rglob("*")]):
        facts = path.lstat()
        text = os.readlink(path) if path.is_symlink() else path.read_bytes() if path.is_file() else None
        found[str(path)] = (facts.st_mode, facts.st_uid, facts.st_nlink, facts.st_mtime_ns, facts.st_ctime_ns, text)
    return found


def a_root_is_kept(world):
    equal(world.inside("true").returncode, 0)
    kept = names(world)
    equal(len(kept), 1)
    before = tree(roots(world))
    assert is_prepared(world)
    equal((names(world), tree(roots(world)) == before), (kept, True))
    equal(stat.S_IMODE(roots(world).stat().st_mode), 0o700)
    # No secret, and nothing that is not the machine's or this user's name.
    secret = world.write("~/secret", "a-secret-of-a-file")
    world.write("~/.config/cordon/policy.yaml", f"version: 1\nsecrets: [{{name: s, source: {secret}, target: /run/secrets/s}}]\n")
    equal(world.inside("cat", "/run/secrets/s").stdout, "a-secret-of-a-file")
    for path in roots(world).rglob("*"):
        assert not path.is_file() or path.is_symlink() or not any(word in path.read_bytes() for word in (b"a-secret-of", b"a-secret-that")), path


def the_command_sees_the_same(world):
    script = ("cd / && find . -path ./proc -prune -o -path ./usr -prune -o -path ./etc/ssl/certs -prune -o -path ./tmp -prune -o "
              "-printf '%p %y %m %U %G %l\n' 2>&1 | sort; cat /etc/passwd /etc/group /etc/hosts /etc/resolv.conf; awk '{print $5, $6}' /proc/self/mountinfo")
    assert is_prepared_next(world)
    prepared = world.inside("sh", "-c", script).stdout
    assert is_prepared(world) and "/etc/nsswitch.conf" in prepared, prepared
    world.env["XDG_CACHE_HOME"] = "/proc/none"
    assert not is_prepared(world)
    equal(world.inside("sh", "-c", script).stdout, prepared)


def whatever_is_odd_is_not_used(world):
    assert not is_prepared(world)
    assert is_prepared(world)
    root = roots(world) / names(world)[0]
    for path, mode in ((roots(world), 0o755), (roots(world), 0o1700), (root, 0o755), (root, 0o600), (root / "root", 0o777), (root / "root", 0o700)):
        before = stat.S_IMODE(path.stat().st_mode)
        path.chmod(mode)
        equal((path.name, mode, is_prepared(world)), (path.name, mode, False))
        path.chmod(before)
    assert is_prepared(world)
    away = roots(world).rename(world.home / "away")
    roots(world).symlink_to(away)
    assert not is_prepared(world)
    roots(world).unlink()
    roots(world).write_text("")
    assert not is_prepared(world)
    roots(world).unlink()
    away.rename(roots(world))
    root.rename(world.home / "elsewhere")
    root.symlink_to(world.home / "elsewhere")
    assert not is_prepared(world)
    root.unlink()
    (world.home / "elsewhere").rename(root)
    assert is_prepared(world)
    # Of another description, by chance or not.
    text = (root / "description").read_bytes()
    for other in (text[:-1], text + b"x", text[:-2] + b"xx", b""):
        (root / "description").unlink()
        (root / "description").write_bytes(other)
        assert not is_prepared(world), other
    (root / "description").write_bytes(text)
    assert is_prepared(world)
    (root / "root").rename(root / "other")
    (root / "root").symlink_to("other")
    assert not is_prepared(world)
    (root / "root").unlink()
    (root / "other").rename(root / "root")
    if os.geteuid() == 0:
        for path in (roots(world), root, root / "root"):
            os.chown(path, 4321, 4321)
            equal((path.name, is_prepared(world)), (path.name, False))
            os.chown(path, world.uid, world.uid)
        assert is_prepared(world)


def nobody_else_s_cache_is_used(world):
    """Nor is anything made there: as root with another's home, or in a folder that cannot be written."""
    shutil.rmtree(world.home)
    world.home.mkdir()
    if os.geteuid() == 0:
        os.chown(world.home, 4321, 4321)
        world.home.chmod(0o777)
        assert not is_prepared(world)
        assert not roots(world).exists()
        os.chown(world.home, world.uid, world.uid)
    if world.uid:
        world.home.chmod(0o500)
        assert not is_prepared(world)
        world.home.chmod(0o700)
    del world.env["HOME"]
    assert not is_prepared(world)
    world.env["HOME"] = str(world.home)
    assert is_prepared_next(world)


def it_cannot_be_written_from_inside(world):
    equal(world.inside("true").returncode, 0)
    before = tree(roots(world))
    for name, arguments in (("open_for_writing", ("/etc/nsswitch.conf",)), ("open_again", ("/proc/self/root/etc/nsswitch.conf",)),
                            ("make", ("/etc/ld.so.preload",)), ("make", ("/new",)), ("make", ("/proc/1/root/new",)), ("lease", ("/etc/nsswitch.conf",)),
                            ("hard_link", ("/etc/nsswitch.conf", "/etc/linked"))):
        world.attack(name, *arguments, control=False)
    world.attack("lease", "attacks.py")
    script = ("import os\nfor call in (lambda: os.chmod('/etc/nsswitch.conf', 0o777), lambda: os.utime('/etc/nsswitch.conf', (1, 1)), lambda: os.chmod('/', 0o777),\n"
              "  lambda: os.rename('/etc/passwd', '/etc/other'), lambda: os.unlink('/etc/passwd'), lambda: os.rmdir('/var'), lambda: os.mkdir('/etc/new'),\n"
              "  lambda: os.symlink('x', '/etc/new'), lambda: os.setxattr('/etc/passwd', 'user.x', b'x'), lambda: os.truncate('/etc/passwd', 0)):\n"
              "  try: call(); print('did it')\n  except OSError: print('no')")
    equal(world.inside("python3", "-c", script).stdout, "no\n" * 10)
    equal(tree(roots(world)), before)
    # Outside, its owner does.
    world.own()
    assert is_prepared(world)
    world.outside("chmod", "u+w", roots(world) / names(world)[0] / "root/etc/nsswitch.conf", check=True)


def what_the_host_changes_is_seen(world):
    """Whatever is copied is what the host has, from the moment it has it; what is fresh is not kept."""
    if world.uid:
        return  # nothing in /etc is an ordinary user's
    text = world.home / "profile"
    text.write_text("one\n")
    show = f"{world.cordon} run --wall native -- sh -c 'cat /etc/profile; {ROOT[0]} \"\\$5 == \\\"/\\\" {{print \\$9}}\" /proc/self/mountinfo'"
    script = (f"mount --make-rprivate / && mount --bind {text} /etc/profile || exit 77\n{show}\n"
              f"until {show} | grep -q -v -e tmpfs -e one; do sleep 0.2; done\n{show}\nprintf 'two\\n' >{text}\n{show}\n")
    done = world.outside("unshare", "-m", "sh", "-c", script)
    equal((done.returncode, done.stderr), (0, ""))
    lines = done.stdout.split()
    equal((lines[:2], lines[2], lines[4:]), (["one", "tmpfs"], "one", ["two", "tmpfs"]))
    assert lines[3] != "tmpfs", lines


def few_are_kept_and_none_in_use_goes(world):
    world.env["USER"] = "first"
    assert is_prepared_next(world)
    process = world.start("sh", "-c", "echo up; read line; cat /etc/passwd; ls /usr /etc | wc -l")
    equal(process.stdout.readline(), b"up\n")
    for number in range(KEPT + 4):
        world.env["USER"] = f"user{number}"
        assert is_prepared_next(world)
    equal(len(names(world)), KEPT)
    # The one in use stays, whatever is asked for.
    equal(world.outside(world.cordon, "clean", "--all", "--dry-run").stdout.splitlines()[-1], f"would remove {len(names(world)) - 1} roots of the native wall")
    done = world.outside(world.cordon, "clean", "--all")
    equal((done.returncode, len(names(world))), (0, 1))
    out, _ = process.communicate(b"\n")
    assert out.startswith(b"first:x:") and int(out.split()[-1]) > 20, out
    equal(world.outside(world.cordon, "clean", "--all").stdout.splitlines()[-1], "removed 1 root of the native wall")
    equal(names(world), [])
    world.env["USER"] = "first"
    assert is_prepared_next(world)


def many_begin_at_once(world):
    processes = [world.start("cat", "/etc/passwd") for _ in range(12)]
    texts = {process.communicate()[0] for process in processes}
    equal((len(texts), len(names(world))), (1, 1))
    assert is_prepared(world)


def who_is_killed_leaves_nothing_half(world):
    for number in range(20):
        world.env["USER"] = f"killed{number % 3}"
        process = world.start("true")
        time.sleep(number * 0.0005)
        process.kill()
        process.communicate()
    for number in range(3):
        world.env["USER"] = f"killed{number}"
        done = world.inside("sh", "-c", "head -1 /etc/passwd; cat /etc/nsswitch.conf | md5sum; test -d /var/tmp && test -c /dev/null")
        wanted = subprocess.run(["md5sum"], stdin=open("/etc/nsswitch.conf", "rb"), capture_output=True, text=True, check=True).stdout
        equal((done.returncode, done.stdout.splitlines()[0].split(":")[0], done.stdout.splitlines()[1] + "\n"), (0, f"killed{number}", wanted))
    assert all(name.startswith(".new-") or len(name) == 16 for name in names(world)), names(world)
    equal(world.outside(world.cordon, "clean", "--all").returncode, 0)
    equal(names(world), [])


TESTS = [a_root_is_kept, the_command_sees_the_same, whatever_is_odd_is_not_used, nobody_else_s_cache_is_used, it_cannot_be_written_from_inside,
         what_the_host_changes_is_seen, few_are_kept_and_none_in_use_goes, many_begin_at_once, who_is_killed_leaves_nothing_half]

if __name__ == "__main__":
    sys.exit(run("native prepared", TESTS, sys.argv[1:]))

#!/usr/bin/env python3
"""What the native wall's root is made of, and how its namespaces begin and end: run_native_root.py [NAME…]

As root every test runs twice, as root and as an ordinary user.
"""
import hashlib
import json
import os
import pathlib
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from native_world import equal, policy, run  # noqa: E402


def of_kind(plan, kind):
    return [mount for mount in plan["mounts"] if mount["kind"] == kind]


def what_is_copied_is_what_the_host_has(world):
    plan = world.plan("true")["plan"]
    copies = of_kind(plan, "copy")
    assert len(copies) > 3 and all(mount["read_only"] for mount in copies), copies
    for mount in copies:
        done = world.inside("sha256sum", mount["target"])
        equal(done.stdout, f"{hashlib.sha256(pathlib.Path(mount['source']).read_bytes()).hexdigest()}  {mount['target']}\n")
    target = copies[0]["target"]
    script = f"echo x >>{target} || echo no; chmod 666 {target} || echo no; rm -f {target} || echo no; touch /etc/new || echo no"
    equal(world.inside("sh", "-c", script).stdout, "no\n" * 4)


def what_is_found_through_a_link_is_that_link(world):
    plan = world.plan("true")["plan"]
    for mount in of_kind(plan, "link"):
        if not mount["target"].startswith("/etc/"):
            continue
        done = world.inside("sh", "-c", f"readlink {mount['target']}; cat {mount['target']} | md5sum")
        wanted = subprocess.run(["md5sum"], stdin=open(mount["target"], "rb"), capture_output=True, text=True, check=True).stdout
        equal(done.stdout, mount["source"] + "\n" + wanted)


def of_a_small_disk_nothing_is_taken(world):
    policy(world, "limits: {disk: 1MiB}\nprofiles: {default: {network: 'off'}}\n")
    equal(of_kind(world.plan("true")["plan"], "copy"), [])
    equal(world.inside("cat", "/etc/nsswitch.conf").stdout, pathlib.Path("/etc/nsswitch.conf").read_text())


def others_have_no_copies(world):
    done = world.outside(world.cordon, "plan", "--json", "--wall", "bwrap", "--", "true")
    equal(of_kind(json.loads(done.stdout)["plan"], "copy"), [])


def left(world):
    """Processes of this world's cordon."""
    found = []
    for path in pathlib.Path("/proc").glob("[0-9]*/exe"):
        try:
            if os.readlink(path) == str(world.cordon):
                found.append(int(path.parent.name))
        except OSError:
            pass
    return found


def whoever_began_ends(world):
    """Whenever cordon is killed, and whatever comes of the plan."""
    for number in range(30):
        process = world.start("sleep", "30")
        time.sleep(number * 0.0004)
        process.kill()
        process.communicate()
    policy(world, "workspace: {writable: true}\nprofiles: {default: {network: 'off', writable: true}}\n")
    equal(world.inside("true").returncode, 125)
    until = time.monotonic() + 10
    while left(world) and time.monotonic() < until:
        time.sleep(0.05)
    equal(left(world), [])


def streams_may_be_closed(world):
    run = f"{world.cordon} run --wall native -- sh -c 'ls -l /proc/self/fd | grep -c -v /dev/null; exit 3'"
    for closing in ("<&-", ">&-", "2>&-", "<&- >&- 2>&-"):
        done = world.outside("sh", "-c", f"{run} {closing}")
        equal((closing, done.returncode), (closing, 3))


def signals_that_the_caller_blocks_arrive(world):
    """The first process is born with everything blocked and takes what is handed on."""
    code = ("import signal, subprocess, sys, time\n"
            "signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])\n"
            f"p = subprocess.Popen([{str(world.cordon)!r}, 'run', '--wall', 'native', '--', 'sh', '-c', 'trap \"echo term; exit 9\" TERM; echo up; while :; do sleep 0.05; done'], stdout=subprocess.PIPE)\n"
            "print(p.stdout.readline()); p.terminate(); print(p.stdout.read(), p.wait())")
    done = world.outside("python3", "-c", code)
    equal(done.stdout, "b'up\\n'\nb'term\\n' 9\n")


def no_signal_is_left_ignored(world):
    code = (f"import signal, subprocess\nfor number in set(signal.valid_signals()) - {{9, 17, 19}}:\n  signal.signal(number, signal.SIG_IGN)\n"
            f"subprocess.run([{str(world.cordon)!r}, 'run', '--wall', 'native', '--', 'grep', '-E', 'Sig(Ign|Blk)', '/proc/self/status'], restore_signals=False)")
    done = world.outside("python3", "-c", code)
    equal([int(line.split()[1], 16) & 0x7fffffff for line in done.stdout.splitlines()], [0, 0])


def what_cannot_be_started_is_said(world):
    world.write("no-program", "").chmod(0o755)
    world.write("script", "#!/none/such\n").chmod(0o755)
    world.own()
    for name, code in (("./no-program", 126), ("./script", 127)):
        equal((name, world.inside(name).returncode), (name, code))


def without_a_network_of_its_own_nothing_runs(world):
    """It is made beside the root: who waits for it in vain says so, and what to do. Only root outside keeps control groups as root of a user namespace."""
    if world.uid != 0:
        return
    done = world.outside("unshare", "--user", "--map-root-user", "sh", "-c", 'echo 0 >/proc/sys/user/max_net_namespaces && exec "$@"', "sh",
                         world.cordon, "run", "--wall", "native", "--", "sh", "-c", "echo ran")
    equal((done.stdout, done.returncode), ("", 125))
    assert "unshare(CLONE_NEWNET): there may be no more of them (sysctl user.max_net_namespaces): No space left on device" in done.stderr, done


TESTS = [no_signal_is_left_ignored, what_cannot_be_started_is_said, what_is_copied_is_what_the_host_has, what_is_found_through_a_link_is_that_link, of_a_small_disk_nothing_is_taken, others_have_no_copies,
         whoever_began_ends, streams_may_be_closed, signals_that_the_caller_blocks_arrive,
         without_a_network_of_its_own_nothing_runs]

if __name__ == "__main__":
    sys.exit(run("native root", TESTS, sys.argv[1:]))

#!/usr/bin/env python3
"""What a container reaches of the world of tests/network_world.py: run_container_network.py [NAME…]

As root alone, which podman needs to be in a network that somebody else made; who is not root sees that it is refused.
"""
import json
import os
import pathlib
import shutil
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import network_world  # noqa: E402
from processes import wait_until_gone  # noqa: E402
from native_world import USER, Skipped, equal  # noqa: E402
from run_native_network import World  # noqa: E402
from run_walls import IMAGE, prepare_podman  # noqa: E402

ASK = "busybox nslookup good.example >/tmp/answer 2>&1; "


def send(address, port):
    """A line that comes back, or nothing."""
    return f"echo x-{address} | busybox nc -w 3 {address} {port} 2>/dev/null; "


class Containers(World):
    def __init__(self, folder, uid):
        super().__init__(folder, uid)
        self.env["PATH"] = "/usr/sbin:/usr/bin:/sbin:/bin"

    def inside(self, *command, options=(), **more):
        return self.outside(self.cordon, "run", "--wall", "podman", "--image", IMAGE, *options, "--", *command, **more)


def an_allowed_host_is_reached_and_nothing_else(world):
    world.allow("good.example:7000")
    report = world.project / "report.json"
    places = (("20.1.1.1", 7000), ("20.1.1.2", 7000), ("20.1.1.1", 7005), ("10.9.9.9", 7000), ("169.254.169.254", 80))
    # Before a name was asked for, its address is nobody's.
    script = send("20.1.1.1", 7000) + "echo -; " + ASK + "".join(send(*place) for place in places)
    done = world.inside("sh", "-c", script, options=("--report", report))
    equal((done.stdout, done.stderr.splitlines()[-1:]), ("-\nx-20.1.1.1\n", done.stderr.splitlines()[-1:]))
    told = json.loads(report.read_text())
    equal((told["end"], told["wall"], told["network"]["allowed"]), ("exited", "container", {"good.example:7000": 1}))
    equal(len(told["network"]["refused"]), len(places))
    # Outside, the same is reached.
    done = world.outside("sh", "-c", send("20.1.1.2", 7000))
    equal(done.stdout, "x-20.1.1.2\n")


def there_is_nothing_but_a_loopback(world):
    world.allow("good.example:7000")
    script = ("cat /etc/resolv.conf; busybox ip -o link | wc -l; ls /sys/class/net; grep -c : /proc/net/dev; "
              "grep -E '^Cap(Eff|Prm):' /proc/self/status; busybox ip link set lo down 2>/dev/null || echo no; touch /etc/resolv.conf 2>/dev/null || echo no")
    done = world.inside("sh", "-c", script)
    equal(done.stdout, "nameserver 192.0.0.1\noptions timeout:10 attempts:1\n1\n1\nCapPrm:\t0000000000000000\nCapEff:\t0000000000000000\nno\nno\n")


def nothing_of_it_outlives_the_command(world):
    world.allow("good.example:7000")
    process = subprocess.Popen([world.cordon, "run", "--wall", "podman", "--image", IMAGE, "--", "sh", "-c", "echo up; sleep 60"], cwd=world.project,
                               env=world.env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    equal(process.stdout.readline(), b"up\n")
    pid, _ = network_world.memory_of_gateway(process.pid)
    process.kill()
    process.communicate()
    equal(wait_until_gone([pid]), [])


def without_a_gateway_nothing_runs(world):
    world.allow("good.example:7000")
    (world.folder / "cordon-gateway").write_text("#!/bin/sh\nexit 3\n")
    done = world.inside("echo", "ran")
    equal((done.stdout, done.returncode), ("", 125))
    assert "gateway" in done.stderr, done.stderr


def who_cannot_is_told_why(world):
    world.allow("good.example:7000")
    done = world.outside(world.cordon, "run", "--wall", "docker", "--image", IMAGE, "--", "true")
    equal((done.stdout, done.returncode), ("", 125))
    assert "a list of hosts with docker" in done.stderr, done.stderr
    shutil.chown(world.folder, USER, USER)
    world.uid = USER
    world.own()
    done = world.inside("true")
    equal((done.stdout, done.returncode), ("", 125))
    assert "ordinary user" in done.stderr, done.stderr


TESTS = [an_allowed_host_is_reached_and_nothing_else, there_is_nothing_but_a_loopback, nothing_of_it_outlives_the_command, without_a_gateway_nothing_runs,
         who_cannot_is_told_why]


def run_one(test, folder, uid, _):
    test(Containers(folder, uid))


def main(names):
    if network_world.WORLD:
        return network_world.run_here(TESTS, names, (0,), lambda _: "network of a container", run_one)
    try:
        prepare_podman(os.geteuid())
    except Skipped as reason:
        print(f"skip network of a container: {reason}\n1 passed, 0 failed")
        return 0
    passed, failed = network_world.enter_world("root", names, __file__)
    print(f"container network: {passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

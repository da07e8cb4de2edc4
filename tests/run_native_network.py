#!/usr/bin/env python3
"""What a command behind the native wall reaches of the world of tests/network_world.py: run_native_network.py [NAME…]

As root every test runs twice, as root and as an ordinary user; as an ordinary user once, as root of namespaces of his own.
"""
import json
import os
import shutil
import signal
import sys
import time

import native_world
import network_world
from native_world import equal
from processes import wait_until_gone

CONNECT = "import json, socket, time\n" + network_world.CONNECT


class World(native_world.World):
    """With the gateway beside cordon, and a policy of the user's that names hosts."""

    def __init__(self, folder, uid):
        super().__init__(folder, uid)
        shutil.copy(native_world.BUILD / "cordon-gateway", folder / "cordon-gateway")
        self.log = self.home / ".local/state/cordon/network.log"

    def allow(self, *hosts, more=""):
        rules = f", network_allow: [{', '.join(json.dumps(host) for host in hosts)}]" if hosts else ""
        self.write("~/.config/cordon/policy.yaml", f"version: 1\n{more}profiles: {{default: {{network: 'on'{rules}}}}}\n")

    def python(self, text, options=()):
        return self.inside("python3", "-I", "-c", CONNECT + text, options=options)


def reach(*places):
    """What is sent into a connection that has been reset meanwhile is the other error."""
    return f"print(json.dumps([str(connect(*place)).replace('BrokenPipe', 'ConnectionReset') for place in {list(places)!r}]))"


def an_allowed_host_is_reached_and_nothing_else(world):
    world.allow("good.example:7000", "good.example:80")
    refused = [("20.1.1.2", 7000), ("20.1.1.1", 7005), ("10.9.9.9", 7000), ("169.254.169.254", 80), ("20.0.0.1", 7000), ("2600:2::2", 7000)]
    # Outside, the same is reached.
    done = world.outside("python3", "-I", "-c", CONNECT + reach(("20.1.1.2", 7000), ("10.9.9.9", 7000), ("2600:2::2", 7000)))
    equal(json.loads(done.stdout), ["b'x'"] * 3)
    report = world.project / "report.json"
    done = world.python(reach(("good.example", 7000), ("evil.example", 7000), *refused), options=("--report", report))
    equal(json.loads(done.stdout), ["b'x'", "gaierror"] + ["ConnectionResetError"] * len(refused))
    assert done.stderr.startswith("cordon: 1 host allowed, 7 refused: ") and "evil.example" in done.stderr, done.stderr
    equal(done.returncode, 0)
    told = json.loads(report.read_text())
    equal((told["end"], told["network"]["allowed"], told["network"]["log"]), ("exited", {"good.example:7000": 1}, str(world.log)))
    equal(len(told["network"]["refused"]), 7)
    lines = [json.loads(line) for line in world.log.read_text().splitlines()]
    flows = [(line["verdict"], line["destination"]) for line in lines if line["event"] == "flow"]
    equal(([verdict for verdict, _ in flows].count("allowed"), len(flows)), (1, 1 + len(refused)))
    equal((world.log.stat().st_mode & 0o777, world.log.stat().st_uid), (0o600, world.uid))
    # Tools that know nothing of a sandbox; a second run appends.
    equal(world.inside("curl", "-4sS", "http://good.example/").stdout, "good.example at ::ffff:20.1.1.1\n")
    assert len(world.log.read_text().splitlines()) > len(lines)


def who_was_refused_is_named(world):
    """By what a package manager says to the scripts that it runs, or the program's name; as root and not, behind both walls."""
    world.allow("good.example:7000")
    script = world.write("install.py", CONNECT + "connect('evil.example', 7000); connect('20.1.1.2', 7000); connect('2600:2::2', 7000)\n"
                         "u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); u.sendto(b'x', ('20.1.1.2', 7001)); u.settimeout(5)\n"
                         "try: u.recv(1)\nexcept OSError: pass\n")
    hosts = ["20.1.1.2:7000", "20.1.1.2:7001", "[2600:2::2]:7000", "evil.example"]
    report = world.project / "report.json"
    named = "env npm_package_name=left-pad npm_lifecycle_event=postinstall"
    for wall in ("native", "bwrap"):
        run = [world.cordon, "run", "--wall", wall, "--report", report, "--", "sh", "-c"]
        # Also where the program that connects has lost the variables, from who started it.
        for shell in (f"{named} python3 -I {script}", f"{named} sh -c 'env -i python3 -I {script}; true'"):
            # Whoever is looked for too late, on a machine that is busy, is not named.
            for _ in range(5):
                done = world.outside(*run, shell)
                network = json.loads(report.read_text())["network"]
                if len(network["by"]) == len(hosts):
                    break
            equal((sorted(network["refused"]), network["by"]), (hosts, {host: "postinstall of left-pad" for host in hosts}))
            equal(done.stderr, "cordon: 0 hosts allowed, 4 refused: " + ", ".join(f"{host} by postinstall of left-pad" for host in hosts) + "\n")
        done = world.outside(*run, f"env npm_package_name='$(x)\x1b[2J' npm_lifecycle_event=a python3 -I {script}")
        assert "evil.example by a of ??x??" in done.stderr and "\x1b" not in done.stderr, done.stderr
        done = world.outside(*run, f"python3 -I {script}")
        assert "evil.example by python3" in done.stderr, done.stderr
    lines = [json.loads(line) for line in world.log.read_text().splitlines()]
    equal({line["event"] for line in lines if line.get("by") == "postinstall of left-pad"}, {"lookup", "flow"})


def being_refused_without_end_holds_nobody_up(world):
    world.allow("good.example:7000")
    done = world.python("""
import threading
def worker():
    for i in range(100): connect('20.1.1.2', 7000)
threads = [threading.Thread(target=worker) for _ in range(16)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(connect('good.example', 7000))
""")
    equal((done.stdout, done.returncode), ("b'x'\n", 0))


def bubblewrap_has_the_same_network(world):
    world.allow("good.example:7000", "good.example:80")
    refused = [("20.1.1.2", 7000), ("20.1.1.1", 7005), ("10.9.9.9", 7000), ("169.254.169.254", 80), ("20.0.0.1", 7000), ("2600:2::2", 7000)]
    report = world.project / "report.json"
    run = [world.cordon, "run", "--wall", "bwrap", "--report", report, "--"]
    done = world.outside(*run, "python3", "-I", "-c", CONNECT + reach(("good.example", 7000), ("evil.example", 7000), *refused))
    equal((done.stdout and json.loads(done.stdout), done.stderr.split(":")[0]), (["b'x'", "gaierror"] + ["ConnectionResetError"] * len(refused), "cordon"))
    assert done.stderr.startswith("cordon: 1 host allowed, 7 refused: ") and "evil.example" in done.stderr, done.stderr
    equal(json.loads(report.read_text())["network"]["allowed"], {"good.example:7000": 1})
    # No rights over the namespace that it is in: neither filter nor routes nor links can be changed.
    script = "grep -c '^Cap.*[[:space:]]0*$' /proc/self/status; nft flush ruleset; ip link set lo down; ip route flush table all; unshare -Un true || echo no"
    done = world.outside(*run, "sh", "-c", script)
    equal(done.stdout, "5\nno\n")
    done = world.outside(*run, "python3", "-I", "-c", CONNECT + reach(("good.example", 7000), ("10.9.9.9", 7000)))
    equal(json.loads(done.stdout), ["b'x'", "ConnectionResetError"])


def a_report_is_written_where_it_was_to_be(world):
    """Whatever the command puts in its place."""
    world.write("~/.config/cordon/policy.yaml", "version: 1\ngrants: {workspace: all}\nprofiles: {default: {network: 'off', writable: true}}\n")
    world.write("cordon.yaml", "version: 1\nworkspace: {writable: true}\n")
    victim = world.write("~/victim", "mine\n")
    report = world.project / "report.json"
    script = f"rm -f report.json; ln -s {victim} report.json; readlink report.json"
    equal(world.inside("sh", "-c", script, options=("--report", report)).stdout, f"{victim}\n")
    equal(victim.read_text(), "mine\n")
    done = world.inside("echo", "ran", options=("--report", report))
    equal((done.stdout, done.returncode, victim.read_text()), ("", 125, "mine\n"))
    assert "O_NOFOLLOW" in done.stderr, done.stderr


def the_whole_network_has_no_private_addresses(world):
    world.allow()
    done = world.python(reach(("evil.example", 7000), ("2600:2::2", 7000), ("10.9.9.9", 7000), ("169.254.169.254", 80), ("20.0.0.1", 7000), ("intern.example", 7000)))
    equal(json.loads(done.stdout)[:5], ["b'x'", "b'x'"] + ["ConnectionResetError"] * 3)
    assert "b'x'" not in json.loads(done.stdout)[5], done.stdout


def a_host_of_ones_own_list_may_be_private_and_no_metadata_service(world):
    """Whoever answers for a listed name might lead it to where a cloud gives its credentials away."""
    world.allow("intern.example:7000", "meta.example")
    equal(world.python(reach(("intern.example", 7000), ("meta.example", 80), ("169.254.169.254", 80))).stdout,
          '["b\'x\'", "gaierror", "ConnectionResetError"]\n')
    # Where it is meant, its address says so.
    world.allow("meta.example", "169.254.169.254")
    equal(world.inside("curl", "-sS", "-m", "5", "http://meta.example/").stdout, "meta.example at ::ffff:169.254.169.254\n")


def what_is_enforced_is_the_plan(world):
    """Read back from inside."""
    world.allow("good.example:7000")
    printed = world.plan("true")
    equal([lack for lack in printed["machine_lacks"] if "native" in lack or "network" in lack], [])
    equal([grant["host"] for grant in printed["plan"]["network"]["allow"]], ["good.example:7000"])
    script = ("cat /etc/resolv.conf; ls /proc/self/fd | wc -l; grep -c : /proc/net/dev; grep -E '^(CapEff|CapBnd|Seccomp):' /proc/self/status")
    done = world.inside("sh", "-c", script)
    equal(done.stdout, "nameserver 192.0.0.1\noptions timeout:10 attempts:1\n4\n1\nCapEff:\t0000000000000000\nCapBnd:\t0000000000000000\nSeccomp:\t2\n")
    done = world.python("""
s = socket.create_server(('127.0.0.1', 0)); print(socket.create_connection(s.getsockname()) and 'loopback')
import fcntl, struct
def tried(what):
    try: what(); return 'reached'
    except OSError as error: return type(error).__name__
down = struct.pack('16sH14x', b'lo', 0)
print(tried(lambda: fcntl.ioctl(socket.socket(socket.AF_INET, socket.SOCK_DGRAM), 0x8914, down)))
print(tried(lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)))
print(tried(lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM).setsockopt(socket.SOL_SOCKET, 36, 1)))
print(tried(lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM).setsockopt(socket.SOL_IP, 19, 1)))
print(socket.if_nameindex())
""")
    equal(done.stdout.splitlines(), ["loopback"] + ["PermissionError"] * 4 + ["[(1, 'lo')]"])
    equal(done.stderr, "cordon: 0 hosts allowed, 0 refused\n")


def the_end_of_the_gateway_is_the_end_of_the_network(world):
    world.allow("good.example:7000")
    process = world.start("python3", "-I", "-c", CONNECT + """
s = socket.create_connection(('good.example', 7000)); s.sendall(b'x'); s.recv(1); print('up', flush=True); input()
try: print(s.recv(1) or 'nothing')
except OSError as error: print(type(error).__name__)
print(connect('20.1.1.1', 7000), connect('good.example', 7000), connect('10.9.9.9', 7000))
""")
    equal(process.stdout.readline(), b"up\n")
    pid, _ = network_world.memory_of_gateway(process.pid)
    os.kill(pid, signal.SIGKILL)
    equal(wait_until_gone([pid]), [])  # it closes its flows before its listeners
    out, err = process.communicate(b"\n", timeout=30)
    lines = out.decode().splitlines()
    assert lines[0] in ("nothing", "ConnectionResetError"), lines
    equal(lines[1], "ConnectionRefusedError gaierror ConnectionRefusedError")
    equal(process.returncode, 125)
    assert b"did not live to the end" in err, err


def the_gateway_ends_with_the_keeper(world):
    world.allow("good.example:7000")
    process = world.start("sh", "-c", "echo up; sleep 30")
    equal(process.stdout.readline(), b"up\n")
    pid, _ = network_world.memory_of_gateway(process.pid)
    process.kill()
    process.communicate()
    equal(wait_until_gone([pid]), [])


def without_a_gateway_or_a_log_nothing_runs(world):
    world.allow("good.example:7000")
    world.env["XDG_STATE_HOME"] = "/proc/no"
    done = world.inside("echo", "ran")
    equal((done.stdout, done.returncode), ("", 125))
    assert "XDG_STATE_HOME" in done.stderr and "mkdir(/proc/no/cordon)" in done.stderr, done.stderr
    del world.env["XDG_STATE_HOME"]
    gateway = world.folder / "cordon-gateway"
    gateway.write_text("#!/bin/sh\nexit 3\n")
    done = world.inside("echo", "ran")
    assert done.returncode == 125 and "gateway did not live to the end" in done.stderr, done
    gateway.unlink()
    done = world.inside("echo", "ran")
    equal((done.stdout, done.returncode), ("", 125))
    assert "cordon-gateway" in done.stderr, done.stderr
    # It is for a network alone.
    world.log.unlink(missing_ok=True)
    world.write("~/.config/cordon/policy.yaml", "version: 1\nprofiles: {default: {network: 'off'}}\n")
    done = world.inside("echo", "ran")
    equal((done.stdout, done.stderr, world.log.exists()), ("ran\n", "", False))


def limits_end_what_has_a_network(world):
    world.allow("good.example:7000", more="limits: {wall_time: 1s}\n")
    begin = time.monotonic()
    done = world.python("s = socket.create_connection(('good.example', 7000)); s.recv(1)")
    equal((done.returncode, done.stderr), (124, "cordon: limit wall time 1 s\ncordon: 1 host allowed, 0 refused\n"))
    assert time.monotonic() - begin < 5


TESTS = [an_allowed_host_is_reached_and_nothing_else, who_was_refused_is_named, being_refused_without_end_holds_nobody_up,
         bubblewrap_has_the_same_network, a_report_is_written_where_it_was_to_be, the_whole_network_has_no_private_addresses,
         a_host_of_ones_own_list_may_be_private_and_no_metadata_service, what_is_enforced_is_the_plan,
         the_end_of_the_gateway_is_the_end_of_the_network, the_gateway_ends_with_the_keeper, without_a_gateway_or_a_log_nothing_runs,
         limits_end_what_has_a_network]


def run_one(test, folder, uid, _):
    test(World(folder, uid))


def main(names):
    if network_world.WORLD:
        return network_world.run_here(TESTS, names, network_world.users(), lambda uid: f"{network_world.WORLD}, uid {uid}", run_one)
    passed, failed = network_world.enter_world("root" if os.geteuid() == 0 else "user", names, __file__)
    print(f"native network: {passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

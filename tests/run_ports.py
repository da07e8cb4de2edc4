#!/usr/bin/env python3
"""Published ports of the native wall: what the host's loopback reaches of the command, and nothing else: run_ports.py [NAME…]

As root every test runs twice, as root and as an ordinary user. Everything is on loopback.
"""
import hashlib
import os
import pathlib
import shutil
import socket
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from processes import wait_until_gone  # noqa: E402
from native_world import BUILD, World, equal, run  # noqa: E402

ECHO = """
import socket, sys
listener = socket.create_server((sys.argv[1], 8000), family=socket.AF_INET6 if ':' in sys.argv[1] else socket.AF_INET)
print('up', flush=True)
while True:
    client, peer = listener.accept()
    with client:
        if len(sys.argv) > 2: client.sendall(peer[0].encode() + b'\\n')
        while data := client.recv(65536): client.sendall(data)
"""


class Ports(World):
    def __init__(self, folder, uid):
        super().__init__(folder, uid)
        shutil.copy(BUILD / "cordon-gateway", folder / "cordon-gateway")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.publish(f"{self.port}:8000")

    def publish(self, *ports):
        rules = ", ".join(f"'{port}'" for port in ports)
        self.write("~/.config/cordon/policy.yaml", f"version: 1\nprofiles: {{default: {{network: 'off', ports: [{rules}]}}}}\n")

    def server(self, address="127.0.0.1", *more):
        process = self.start("python3", "-I", "-c", ECHO, address, *more)
        line = process.stdout.readline()
        if line != b"up\n":
            raise AssertionError((line, process.communicate()))
        return process

    def connect(self, address="127.0.0.1"):
        return socket.create_connection((address, self.port), 10)


def end(process):
    process.terminate()
    process.communicate(timeout=20)


def through(client, data):
    """What comes back of it, sent and received at a time."""
    client.settimeout(30)
    if (pid := os.fork()) == 0:
        client.sendall(data)
        client.shutdown(socket.SHUT_WR)
        os._exit(0)
    got = b""
    while part := client.recv(1 << 20):
        got += part
    os.waitpid(pid, 0)
    return got


def what_it_listens_on_is_reached(world):
    process = world.server()
    try:
        data = os.urandom(1 << 20) * 16
        with world.connect() as client:
            equal(hashlib.sha256(through(client, data)).digest(), hashlib.sha256(data).digest())
        with world.connect() as one, world.connect() as other:
            other.sendall(b"b")
            one.sendall(b"a")
            equal(one.recv(1), b"a")
            one.close()
            equal(other.recv(1), b"b")
    finally:
        end(process)


def the_other_loopback_serves_too(world):
    process = world.server("::1")
    try:
        with world.connect() as client:
            client.sendall(b"six")
            equal(client.recv(3), b"six")
    finally:
        end(process)


def it_is_this_machine_alone_that_reaches_it(world):
    process = world.server("127.0.0.1", "tell")
    try:
        for address in ("127.0.0.2", "::1"):
            try:
                world.connect(address).close()
                raise AssertionError(address)
            except OSError:
                pass
        # From inside it is one of its own.
        with world.connect() as client:
            equal(client.recv(100), b"127.0.0.1\n")
    finally:
        end(process)


def where_nobody_listens_it_is_turned_away(world):
    process = world.start("sh", "-c", "echo up; sleep 30")
    try:
        equal(process.stdout.readline(), b"up\n")
        try:
            with world.connect() as client:
                equal(client.recv(1), b"")
        except ConnectionResetError:  # perhaps before connect has returned
            pass
    finally:
        end(process)


def a_port_that_is_taken_is_an_error_before_anything_runs(world):
    with socket.create_server(("127.0.0.1", world.port)):
        done = world.inside("echo", "ran")
    equal((done.stdout, done.returncode), ("", 125))
    assert f"127.0.0.1:{world.port}" in done.stderr and "in use" in done.stderr, done.stderr
    equal(world.inside("echo", "ran").stdout, "ran\n")
    if world.uid != 0:
        world.publish("81:8000")
        done = world.inside("echo", "ran")
        equal((done.stdout, done.returncode), ("", 125))
        assert "127.0.0.1:81" in done.stderr, done.stderr


def relays():
    found = {}
    for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
            if words[:2] == [b"cordon-gateway", b"ports"]:
                found[int(path.parent.name)] = (path.parent / "status").read_text()
        except OSError:
            pass
    return found


def who_takes_connections_is_locked_in_and_ends_with_it(world):
    before = set(relays())
    for how in ("terminate", "kill"):
        process = world.server()
        mine = {pid: status for pid, status in relays().items() if pid not in before}
        equal(len(mine), 1)
        (pid, status), = mine.items()
        facts = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
        equal([int(facts[f"Cap{name}"], 16) for name in ("Inh", "Prm", "Eff", "Amb")], [0] * 4)
        equal((facts["NoNewPrivs"], facts["Seccomp"]), ("1", "2"))
        if os.geteuid() == 0:
            equal(os.readlink(f"/proc/{pid}/ns/net") != os.readlink("/proc/self/ns/net"), True)
        getattr(process, how)()
        process.communicate(timeout=20)
        equal(wait_until_gone([pid]), [])
        socket.create_server(("127.0.0.1", world.port)).close()


def the_command_does_not_see_it(world):
    process = world.start("sh", "-c", "ls /proc | grep -c '^[0-9]'; cat /proc/*/cmdline | tr '\\0' ' '; ls /proc/self/fd | wc -l; echo; sleep 30")
    try:
        lines = [process.stdout.readline().decode() for _ in range(3)]
        assert "gateway" not in "".join(lines), lines
    finally:
        end(process)


def a_project_asks_for_it(world):
    (world.home / ".config/cordon/policy.yaml").unlink()
    world.write("cordon.yaml", f"version: 1\nprofiles: {{default: {{network: 'off', ports: ['{world.port}:8000']}}}}\n")
    done = world.inside("echo", "ran")
    equal((done.stdout, done.returncode), ("", 125))
    assert "approval" in done.stderr, done.stderr
    equal(world.outside(world.cordon, "trust", "--yes").returncode, 0)
    process = world.server()
    try:
        with world.connect() as client:
            client.sendall(b"x")
            equal(client.recv(1), b"x")
    finally:
        end(process)


def other_walls_refuse_it(world):
    done = world.outside(world.cordon, "run", "--wall", "bwrap", "--", "echo", "ran")
    equal((done.stdout, done.returncode), ("", 125))
    assert "published ports" in done.stderr, done.stderr


def many_come_and_go(world):
    process = world.server()
    try:
        begin = time.monotonic()
        for number in range(200):
            with world.connect() as client:
                client.sendall(str(number).encode())
                client.shutdown(socket.SHUT_WR)
                equal(client.recv(100), str(number).encode())
        assert time.monotonic() - begin < 20
    finally:
        end(process)


TESTS = [what_it_listens_on_is_reached, the_other_loopback_serves_too, it_is_this_machine_alone_that_reaches_it, where_nobody_listens_it_is_turned_away,
         a_port_that_is_taken_is_an_error_before_anything_runs, who_takes_connections_is_locked_in_and_ends_with_it, the_command_does_not_see_it,
         a_project_asks_for_it, other_walls_refuse_it, many_come_and_go]

if __name__ == "__main__":
    sys.exit(run("ports", TESTS, sys.argv[1:], make=Ports))

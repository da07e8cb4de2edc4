"""The world of tests about the network: a network namespace for a gateway and one for the servers that it reaches.

`enter_world` runs a test program again in a namespace of its own, `run_here` makes the rest there and runs tests; `network_servers.py` are the servers.
"""
import json
import os
import pathlib
import re
import subprocess
import tempfile

from native_world import USER, Skipped, equal

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = pathlib.Path(os.environ.get("CORDON_BUILD", ROOT / "build"))
WORLD = os.environ.get("CORDON_TEST_WORLD")  # set in the namespaces: who runs there

OUTSIDE = ["20.0.0.2/24", "2600:1::2/64"]
ADDRESSES = ["20.1.1.1", "20.1.1.2", "20.1.1.3", "10.9.9.9", "192.168.7.7", "169.254.169.254", "169.254.7.7", "168.63.129.16",
             "100.100.100.200", "192.0.0.192", "198.18.0.7", "2600:2::1", "2600:2::2", "fd00:ec2::254", "64:ff9b::a09:909",
             "2002:a09:909::1", "2001:0:1:2::3", "::ffff:0:a09:909"]
SPECIAL = ["10.9.9.9", "192.168.7.7", "169.254.169.254", "168.63.129.16", "100.100.100.200", "192.0.0.192", "198.18.0.7", "127.0.0.1",
           "0.0.0.0", "20.0.0.1", "fd00:ec2::254", "64:ff9b::a09:909", "2002:a09:909::1", "2001:0:1:2::3", "::ffff:10.9.9.9", "::1",
           "fe80::1", "::ffff:0:a09:909", "2600:1::1"]
NAMES = {"good.example": ["20.1.1.1", "2600:2::1"], "evil.example": ["20.1.1.2", "2600:2::2"], "shared.example": ["20.1.1.3"],
         "hidden.example": ["20.1.1.3"], "other.example": ["20.1.1.3"], "alias.example": ["20.1.1.1"], "slow.example": ["20.1.1.1"], "intern.example": ["10.9.9.9"], "meta.example": ["169.254.169.254"],
         "*.wild.example": ["20.1.1.1"], "rebind.example": [["20.1.1.1"], ["10.9.9.9"]], "six.example": ["2600:2::1"],
         "fine.special.example": ["20.1.1.1"], "mixed.example": ["10.9.9.9", "20.1.1.1"], "many.example": [f"20.2.{n // 200}.{n % 200}" for n in range(400)],
         **{f"s{n}.special.example": [address] for n, address in enumerate(SPECIAL)}}
_FAILURES = (AssertionError, OSError, subprocess.SubprocessError, ValueError, KeyError, IndexError, TypeError, StopIteration)

CONNECT = """
def connect(host, port, data=b"x"):
    '''What one gets of a connection: its first bytes, or why not.'''
    begin = time.monotonic()
    try:
        with socket.create_connection((host, port), 5) as s:
            s.sendall(data)
            got = s.recv(100) or 'nothing'
    except OSError as error:
        got = type(error).__name__
    if time.monotonic() - begin > 3: got = 'slow ' + str(got)
    return got
def becomes(wanted, *arguments):
    '''What connect says, once that is what is wanted, or after some time.'''
    until = time.monotonic() + 5
    while (got := connect(*arguments)) != wanted and time.monotonic() < until: time.sleep(0.02)
    return got
"""


def memory_of_gateway(parent):
    for path in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            text = path.read_text()
        except OSError:
            continue
        if "(cordon-gateway)" in text and int(text.rsplit(")", 1)[1].split()[1]) == parent:
            status = (path.parent / "status").read_text()
            return int(path.parent.name), int(re.search(r"VmHWM:\s+(\d+)", status).group(1))
    return None


def _run(command, **options):
    return subprocess.run(command, check=True, **options)


def make_world(folder):
    """The gateway's namespace is this process's; the servers get one of their own."""
    (folder / "names.json").write_text(json.dumps(NAMES))
    (folder / "resolv.conf").write_text("nameserver 20.0.0.2\n")
    (folder / "hosts").write_text("127.0.0.1 localhost\n")
    _run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", folder / "cert.pem", "-out", folder / "cert.crt", "-days", "1",
         "-subj", "/CN=good.example"], stderr=subprocess.DEVNULL)
    with (folder / "cert.pem").open("a") as file:
        file.write((folder / "cert.crt").read_text())
    _run(["mount", "--make-rprivate", "/"])
    _run(["mount", "--bind", folder / "resolv.conf", "/etc/resolv.conf"])
    _run(["mount", "--bind", folder / "hosts", "/etc/hosts"])
    servers = subprocess.Popen(["unshare", "--net", "sh", "-c", "echo here; read _; exec python3 -I \"$@\"", "sh",
                                ROOT / "tests/network_servers.py", folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    equal(servers.stdout.readline(), "here\n")
    there = ["nsenter", "--net", "--target", str(servers.pid)]
    commands = [["ip", "link", "set", "lo", "up"], ["ip", "link", "add", "w0", "type", "veth", "peer", "name", "s0", "netns", str(servers.pid)],
                ["ip", "address", "add", "20.0.0.1/24", "dev", "w0"], ["ip", "address", "add", "2600:1::1/64", "dev", "w0", "nodad"],
                ["ip", "link", "set", "w0", "up"],
                [*there, "ip", "link", "set", "lo", "up"], [*there, "ip", "link", "set", "s0", "up"]]
    commands += [[*there, "ip", "address", "add", address, "dev", "s0", *(["nodad"] if ":" in address else [])] for address in OUTSIDE]
    commands += [[*there, "ip", "address", "add", address, "dev", "lo"] for address in ADDRESSES]
    commands += [["ip", "route", "add", "default", "via", "20.0.0.2"], ["ip", "-6", "route", "add", "default", "via", "2600:1::2"]]
    for command in commands:
        _run(command)
    servers.stdin.write("\n")
    servers.stdin.flush()
    equal(servers.stdout.readline(), "ready\n")
    return servers


def users():
    """In whose name: root's world has an ordinary user, too."""
    return (0, USER) if WORLD == "root" else (0,)


def run_here(tests, wanted, uids, title, run):
    """The exit status. `run(test, folder, uid, servers)` in an empty folder; `title(uid)` stands before a test's name."""
    passed = failed = 0
    with tempfile.TemporaryDirectory() as name:
        servers = make_world(pathlib.Path(name))
        try:
            for test in tests:
                if wanted and test.__name__ not in wanted:
                    continue
                for uid in uids:
                    line = f"{title(uid)}: {test.__name__.replace('_', ' ')}"
                    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
                        try:
                            run(test, pathlib.Path(folder).resolve(), uid, servers)
                            print(f"ok   {line}", flush=True)
                            passed += 1
                        except Skipped as reason:
                            print(f"skip {line}: {reason}", flush=True)
                        except _FAILURES as error:
                            print(f"FAIL {line}: {type(error).__name__}: {error}", flush=True)
                            failed += 1
        finally:
            servers.kill()
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


def enter_world(who, names, script):
    """A script again, in namespaces of its own."""
    command = ["unshare", "--net", "--mount"] if who == "root" else ["unshare", "--user", "--map-root-user", "--net", "--mount"]
    if who == "user" and os.getuid() == 0:
        command = ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups", *command]
    environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/nowhere", "LANG": "C.UTF-8", "CORDON_TEST_WORLD": who, "CORDON_BUILD": str(BUILD)}
    environment = {name: value for name, value in os.environ.items() if name.startswith("CORDON_TEST_")} | environment
    done = subprocess.run([*command, "/usr/bin/python3", script, *names], env=environment, stdout=subprocess.PIPE, text=True)
    print(done.stdout, end="", flush=True)
    counts = re.findall(r"^(\d+) passed, (\d+) failed", done.stdout, re.MULTILINE)
    return tuple(map(int, counts[-1])) if counts and (done.returncode in (0, 1)) else (0, 1)

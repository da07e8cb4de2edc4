#!/usr/bin/env python3
"""What a command behind a gateway reaches, and what not: run_network.py [NAME…]

Nothing leaves the machine: the test makes a network namespace for the gateway and one for the servers that it reaches, with public,
private, link-local and metadata addresses, so that an open wall would show. As root it runs twice, the second time as an ordinary user.
"""
import os
import pathlib
import re
import socket
import sys

from behind_gateway import Inside, python, run_tests, start
from native_world import equal
from network_world import CONNECT, WORLD, memory_of_gateway
from processes import wait_until_gone

TESTS = []


def test(function):
    TESTS.append(function)
    return function


@test
def an_allowed_host_is_reached():
    ran = Inside(["good.example"], "curl -sS http://good.example/ && wget -qO- http://good.example/ && curl -sSk https://good.example/")
    equal(ran.out, "good.example at ::ffff:20.1.1.1\n" * 3) if "2600" not in ran.out else None
    equal(ran.out.count("good.example at"), 3)
    equal(ran.summary, "2 hosts allowed, 0 refused")


@test
def both_families_are_reached():
    ran = Inside(["good.example"], "curl -4sS http://good.example/; curl -6sS http://good.example/; curl -6sSk https://good.example/")
    equal(ran.out, "good.example at ::ffff:20.1.1.1\ngood.example at 2600:2::1\ngood.example at 2600:2::1\n")


@test
def addresses_that_were_never_resolved_are_refused_at_once():
    ran = Inside(["good.example"], python(CONNECT + """
for host in ('20.1.1.1', '20.1.1.2', '2600:2::1', '10.9.9.9', '169.254.169.254', '8.8.8.8', '::ffff:20.1.1.2', 'fd00:ec2::254'):
    for port in (80, 443, 22, 7000):
        print(host, port, connect(host, port))
"""))
    for line in ran.out.splitlines():
        assert line.endswith(("ConnectionResetError", "BrokenPipeError")), line
    equal(len(ran.flows("refused")), 32)


@test
def an_allowed_host_has_its_ports():
    ran = Inside(["good.example:7000"], python(CONNECT + """
print(connect('good.example', 7000), connect('good.example', 80), connect('good.example', 7005))
"""))
    equal(ran.out, "b'x' ConnectionResetError ConnectionResetError\n")
    assert "no rule allows port 80" in ran.flows("refused")[0]["reason"]


@test
def a_private_host_that_a_rule_names():
    ran = Inside(["private=intern.example", "good.example"], "curl -sS http://intern.example/; curl -sS -m 5 http://10.9.9.9/; curl -m 5 192.168.7.7")
    equal(ran.out, "intern.example at ::ffff:10.9.9.9\n")
    equal(len(ran.flows("refused")), 2)


@test
def rules_for_addresses():
    ran = Inside(["20.1.1.0/24:7000", "[2600:2::1]:7000", "private=10.0.0.0/8:7000", "private=0.0.0.0/0"], python(CONNECT + """
for host, port in (('20.1.1.2', 7000), ('2600:2::1', 7000), ('10.9.9.9', 7000), ('2600:2::2', 7000), ('20.1.1.2', 7005), ('192.168.7.7', 80),
                   ('169.254.169.254', 80), ('20.0.0.1', 80)):
    print(connect(host, port))
"""))
    equal(ran.out.splitlines(), ["b'x'"] * 3 + ["ConnectionResetError"] * 5)


@test
def everything_public():
    ran = Inside(["all"], python(CONNECT + """
for host in ('evil.example', '20.1.1.2', '2600:2::2', '10.9.9.9', '169.254.169.254', '168.63.129.16', 'fd00:ec2::254', '20.0.0.1'):
    print(connect(host, 7000))
"""))
    equal(ran.out.splitlines(), ["b'x'"] * 3 + ["ConnectionResetError"] * 5)


@test
def another_name_at_the_same_address_is_refused():
    ran = Inside(["shared.example"], """
ask() { curl -sSk -m 5 "$@" && echo; }
# And waits for the end: what comes from a client that has gone is not looked at.
say() { exec 3<>/dev/tcp/20.1.1.3/$1; printf "$2" >&3; timeout 5 cat <&3 >/dev/null 2>&1; exec 3>&-; }
ask https://shared.example/; ask http://shared.example/
ask --resolve hidden.example:443:20.1.1.3 https://hidden.example/
ask --resolve hidden.example:80:20.1.1.3 http://hidden.example/
ask -H 'Host: hidden.example' http://shared.example/
say 80 'GET / HTTP/1.1\\r\\nHost: shared.example\\r\\nHost: hidden.example\\r\\n\\r\\n'
ask --request-target http://hidden.example/ http://shared.example/
ask https://20.1.1.3/
say 80 'GET / HTTP/1.1\\r\\nHost: shared.example\\r\\n\\r\\nGET / HTTP/1.1\\r\\nHost: hidden.example\\r\\n\\r\\n'
say 443 'SSH-2.0-x\\r\\n'
""")
    equal(ran.out.split("\n\n"), ["shared.example at ::ffff:20.1.1.3"] * 2 + [""])
    reasons = [line["reason"] for line in ran.flows("refused")]
    equal(reasons, ["asks for hidden.example at an address of shared.example"] * 3 + ["a header that may be there once is there twice",
          "a request that names two hosts", "TLS that does not say whom it asks for",
          "asks for hidden.example at an address of shared.example", "neither TLS nor HTTP"])
    assert "hidden.example:443" in ran.summary, ran.summary


@test
def the_raw_grant_is_not_checked():
    ran = Inside(["20.1.1.3"], "curl -sSk --resolve hidden.example:443:20.1.1.3 https://hidden.example/")
    equal(ran.out, "hidden.example at ::ffff:20.1.1.3\n")


@test
def a_name_is_checked_at_other_ports_too():
    ran = Inside(["shared.example:8080"], "curl -sS http://shared.example:8080/; curl -sS -H 'Host: hidden.example' http://shared.example:8080/;"
                 "exec 3<>/dev/tcp/20.1.1.3/8080; printf 'FOO / HTTP/1.1\\r\\nHost: hidden.example\\r\\n\\r\\n' >&3; timeout 5 cat <&3 2>/dev/null;"
                 "exec 3<>/dev/tcp/20.1.1.3/8080; printf 'GET  /\\tHTTP/1.1\\r\\nHost: hidden.example\\r\\n\\r\\n' >&3; timeout 5 cat <&3 2>/dev/null")
    equal(ran.out, "shared.example:8080 at ::ffff:20.1.1.3\n")
    equal(len(ran.flows("refused")), 3)


@test
def servers_that_speak_first():
    ran = Inside(["good.example:7005"], python("""
s = socket.create_connection(('good.example', 7005), 5)
print(s.recv(100)); s.sendall(b'EHLO home\\r\\n'); print(s.recv(100)); s.sendall(b'G'); print(s.recv(100))
"""))
    equal(ran.out, "b'hello from a server that speaks first\\n'\nb'EHLO home\\r\\n'\nb'G'\n")


@test
def datagrams():
    ran = Inside(["good.example:7001", "good.example:443", "20.1.1.2:9"], python("""
def ask(host, port, data, family=socket.AF_INET):
    s = socket.socket(family, socket.SOCK_DGRAM); s.settimeout(1)
    try:
        s.connect((host, port)); s.send(data)
        return len(s.recv(65536))
    except OSError as error:
        return type(error).__name__
for size in (0, 1, 1000, 60000): print(ask('good.example', 7001, bytes(size)))
print(ask('good.example', 7001, bytes(100), socket.AF_INET6))
print(ask('good.example', 443, b'quic'))
print(ask('20.1.1.2', 9, b'closed there'), ask('20.1.1.2', 7001, b'x'), ask('2600:2::2', 7001, b'x', socket.AF_INET6))
# Without connecting: the answer comes from whom it was sent to.
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(1)
s.sendto(b'x', (socket.gethostbyname('good.example'), 7001)); print(s.recvfrom(10))
"""))
    # An empty datagram that comes back has no bytes either.
    equal(ran.out.splitlines(), ["0", "1", "1000", "60000", "100", "ConnectionRefusedError",
                                 "ConnectionRefusedError ConnectionRefusedError ConnectionRefusedError", "(b'x', ('20.1.1.1', 7001))"])


@test
def groups_and_broadcasts_go_nowhere():
    ran = Inside(["all"], python("""
for host, family in (('224.0.0.251', socket.AF_INET), ('239.255.255.250', socket.AF_INET), ('255.255.255.255', socket.AF_INET), ('ff02::fb', socket.AF_INET6)):
    s = socket.socket(family, socket.SOCK_DGRAM); s.settimeout(0.3); s.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    try: s.sendto(b'x', (host, 7001)); print(s.recvfrom(10))
    except OSError as error: print(type(error).__name__)
"""))
    assert all(line in ("TimeoutError", "ConnectionRefusedError", "OSError", "PermissionError") for line in ran.out.splitlines()), ran.out
    equal(ran.flows("allowed"), [])


@test
def loopback_works_inside():
    ran = Inside(["good.example"], python("""
for host, family in (('127.0.0.1', socket.AF_INET), ('127.8.9.10', socket.AF_INET), ('::1', socket.AF_INET6), ('192.0.0.2', socket.AF_INET)):
    listener = socket.socket(family); listener.bind((host, 0)); listener.listen()
    client = socket.create_connection(listener.getsockname()[:2], 5); server, _ = listener.accept()
    server.sendall(b'tcp '); print(client.recv(9).decode(), end='')
    one = socket.socket(family, socket.SOCK_DGRAM); one.bind((host, 0))
    two = socket.socket(family, socket.SOCK_DGRAM); two.sendto(b'udp', one.getsockname()); print(one.recv(9).decode())
try: socket.create_connection(('127.0.0.1', 80), 5)
except OSError as error: print(type(error).__name__)
"""))
    equal(ran.out, "tcp udp\n" * 4 + "ConnectionRefusedError\n")
    equal(ran.log, [])


@test
def a_server_inside_takes_nothing_from_the_gateway():
    ran = Inside(["good.example"], python(CONNECT + """
for family, host in ((socket.AF_INET, '0.0.0.0'), (socket.AF_INET6, '::')):
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        s = socket.socket(family, kind); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        try: s.bind((host, 1)); print('bound')
        except OSError as error: print(type(error).__name__)
l = socket.socket(); l.bind(('0.0.0.0', 7000)); l.listen(); print(connect('20.1.1.1', 7000))
"""))
    equal(ran.out.splitlines(), ["PermissionError"] * 4 + ["ConnectionResetError"])


@test
def the_hosts_own_services_are_not_reached():
    listeners = [socket.create_server((host, 9999), family=family) for host, family in
                 (("127.0.0.1", socket.AF_INET), ("::1", socket.AF_INET6), ("20.0.0.1", socket.AF_INET))]
    abstract = socket.socket(socket.AF_UNIX)
    abstract.bind("\0cordon-test-abstract")
    abstract.listen()
    try:
        ran = Inside(["all", "localhost:9999", "private=127.0.0.0/8:9999"], python(CONNECT + """
for host in ('127.0.0.1', '::1', '20.0.0.1', '0.0.0.0', 'localhost', '::ffff:127.0.0.1'): print(connect(host, 9999))
try: socket.socket(socket.AF_UNIX).connect('\\0cordon-test-abstract'); print('connected')
except OSError as error: print(type(error).__name__)
"""))
        assert all(line in ("ConnectionRefusedError", "ConnectionResetError") for line in ran.out.splitlines()), ran.out
        equal(len(ran.out.splitlines()), 7)
    finally:
        for listener in [*listeners, abstract]:
            listener.settimeout(0)
            try:
                listener.accept()
                raise AssertionError("somebody was there")
            except BlockingIOError:
                pass
            listener.close()


@test
def there_is_no_other_way_out():
    ran = Inside(["all"], "ls /sys/class/net 2>/dev/null; cut -d: -f1 /proc/net/dev | tail -n +3; ip link add dummy0 type dummy; ip link set lo down;"
                 "nft flush ruleset; ip route add 20.1.1.2 dev lo; grep CapEff /proc/self/status; ping -c1 -W1 20.1.1.1 >/dev/null && echo pinged")
    equal(ran.out.split()[-3:], ["lo", "CapEff:", "0000000000000000"])
    assert ran.err.count("Operation not permitted") >= 3, ran.err


@test
def large_transfers_arrive_whole():
    ran = Inside(["good.example", "good.example:7003"], python("""
import urllib.request
digest = hashlib.sha256(); size = 0
with urllib.request.urlopen('http://good.example/big') as response:
    while part := response.read(1 << 20): digest.update(part); size += len(part)
print(size, digest.hexdigest())
# The client ends its direction, the server answers after that.
s = socket.create_connection(('good.example', 7003)); mine = hashlib.sha256()
for i in range(100):
    part = os.urandom(1 << 20); mine.update(part); s.sendall(part)
s.shutdown(socket.SHUT_WR); print(s.recv(100).decode() == mine.hexdigest())
"""), seconds=60)
    import hashlib
    expected = hashlib.sha256(bytes(range(256)) * (1 << 20)).hexdigest()
    equal(ran.out, f"{256 << 20} {expected}\nTrue\n")
    up = ran.flows("allowed")[-1]
    equal((up["sent_bytes"], up["received_bytes"]), (100 << 20, 64))


@test
def uploads_over_http_arrive_whole():
    ran = Inside(["good.example"], "head -c 50000000 /dev/zero >/tmp/cordon-up-$$; sha256sum </tmp/cordon-up-$$ | cut -d' ' -f1;"
                 "curl -sS --data-binary @/tmp/cordon-up-$$ http://good.example/; curl -sS -H 'Transfer-Encoding: chunked' -H 'Expect:' "
                 "--data-binary @/tmp/cordon-up-$$ http://good.example/ --next -sS http://good.example/; rm /tmp/cordon-up-$$", seconds=60)
    lines = ran.out.splitlines()
    equal(lines[1:3], [lines[0]] * 2)
    assert lines[3].startswith("good.example at"), lines


@test
def resets_are_passed_on_in_both_directions():
    ran = Inside(["good.example:7004", "good.example:7006"], python(CONNECT + """
print(connect('good.example', 7004, b'xy'))
for how in ('end', 'reset'):
    s = socket.create_connection(('good.example', 7006)); s.sendall(b'x'); time.sleep(0.1)
    if how == 'reset': s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
    s.close(); print(becomes(how.encode(), 'good.example', 7006, b'?'))
"""))
    equal(ran.out, "ConnectionResetError\nb'end'\nb'reset'\n")


@test
def a_closed_port_is_a_reset():
    ran = Inside(["good.example:7999"], python(CONNECT + "print(connect('good.example', 7999))"))
    equal(ran.out, "ConnectionResetError\n")
    assert "refused" in ran.flows("allowed")[0]["failure"]


@test
def thousands_of_connections():
    ran = Inside(["good.example:7000"], python(CONNECT + """
host = socket.gethostbyname('good.example')
bad = sum(connect(host, 7000) != b'x' for _ in range(2000))
held = [socket.create_connection((host, 7000)) for _ in range(400)]
for i, s in enumerate(held): s.sendall(str(i).encode())
bad += sum(s.recv(10) != str(i).encode() for i, s in enumerate(held))
print(bad)
"""), seconds=120)
    equal(ran.out, "0\n")
    equal(len(ran.flows("allowed")), 2400)
    equal(ran.summary, "1 host allowed, 0 refused")


@test
def more_flows_than_allowed_are_refused():
    ran = Inside(["max-flows=50", "good.example:7000"], python(CONNECT + """
socket.gethostbyname('good.example')
held = [socket.create_connection(('20.1.1.1', 7000)) for _ in range(50)]
for s in held: s.sendall(b'x'); s.recv(1)
print(connect('20.1.1.1', 7000)); held[0].close(); print(becomes(b'x', '20.1.1.1', 7000))
"""))
    equal(ran.out, "ConnectionResetError\nb'x'\n")


@test
def who_does_not_read_does_not_stall_or_swell_the_gateway():
    ran = start(["good.example:7007", "good.example:7000"], python(CONNECT + """
host = socket.gethostbyname('good.example')
held = [socket.create_connection((host, 7007)) for _ in range(300)]
for s in held: s.sendall(b'x')
time.sleep(2)
print(connect('good.example', 7000), flush=True)
input()
"""))
    equal(ran.stdout.readline(), "b'x'\n")
    _, kilobytes = memory_of_gateway(ran.pid)
    ran.communicate("\n", timeout=20)
    assert kilobytes < 150 << 10, f"{kilobytes} KiB"


@test
def requests_that_do_not_end_do_not_swell_the_gateway():
    ran = start(["good.example", "good.example:7000"], python(CONNECT + """
import resource
resource.setrlimit(resource.RLIMIT_NOFILE, [resource.getrlimit(resource.RLIMIT_NOFILE)[1]] * 2)
host = socket.gethostbyname('good.example'); held = []
for _ in range(2000):
    held.append(socket.create_connection((host, 80)))
    try: held[-1].sendall(b'GET / HTTP/1.1\\r\\nX: ' + b'a' * 60000)
    except OSError: pass
whole = connect(host, 80, b'GET / HTTP/1.1\\r\\nHost: good.example\\r\\n\\r\\n')
print(whole[:15], connect('good.example', 7000), flush=True)
input()
"""))
    equal(ran.stdout.readline(), "b'HTTP/1.1 200 OK' b'x'\n")
    _, kilobytes = memory_of_gateway(ran.pid)
    ran.communicate("\n", timeout=20)
    assert kilobytes < 80 << 10, f"{kilobytes} KiB"


@test
def a_dead_gateway_ends_everything():
    ran = start(["good.example:7000"], python(CONNECT + """
s = socket.create_connection(('good.example', 7000)); s.sendall(b'x'); s.recv(1); print('up', flush=True); input()
try: print(s.recv(1) or 'nothing')
except OSError as error: print(type(error).__name__)
print(connect('20.1.1.1', 7000), connect('20.1.1.2', 80), connect('2600:2::1', 7000))
begin = time.monotonic()
try: socket.gethostbyname('good.example')
except OSError as error: print(type(error).__name__)
print(time.monotonic() - begin < 2)
"""))
    equal(ran.stdout.readline(), "up\n")
    pid, _ = memory_of_gateway(ran.pid)
    os.kill(pid, 9)
    equal(wait_until_gone([pid]), [])  # it closes its flows before its listeners
    out, err = ran.communicate("\n", timeout=30)
    lines = out.splitlines()
    assert lines[0] in ("nothing", "ConnectionResetError"), lines
    equal(lines[1:], ["ConnectionRefusedError"] * 1 + [] if len(lines) == 2 else [" ".join(["ConnectionRefusedError"] * 3), "gaierror", "True"])
    assert "did not live to the end" in err, err


@test
def whoever_started_it_takes_it_along():
    ran = start(["good.example:7000"], python(CONNECT + "print('up', flush=True); input()"))
    ran.stdout.readline()
    pid, _ = memory_of_gateway(ran.pid)
    ran.kill()
    ran.communicate()
    equal(wait_until_gone([pid]), [])


@test
def the_log_says_what_happened():
    ran = Inside(["good.example"], "curl -sS http://good.example/ -4 >/dev/null; curl -sS http://evil.example/; curl -sS -m 3 http://20.1.1.2/")
    flow = ran.flows("allowed")[0]
    equal((flow["transport"], flow["destination"], flow["names"], flow["rule"]), ("tcp", "20.1.1.1:80", ["good.example"], "good.example"))
    assert flow["sent_bytes"] > 50 and flow["received_bytes"] > 50 and flow["duration_ms"] >= 0, flow
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", flow["time"]), flow
    equal(ran.summary, "1 host allowed, 2 refused: 20.1.1.2:80, evil.example")


@test
def the_gateway_holds_nothing():
    ran = start(["good.example:7000"], python(CONNECT + "print(connect('good.example', 7000), flush=True); input()"))
    ran.stdout.readline()
    pid, _ = memory_of_gateway(ran.pid)
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    environment = pathlib.Path(f"/proc/{pid}/environ")
    fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    ran.communicate("\n", timeout=20)
    equal((fields["CapEff"], fields["CapBnd"] if WORLD == "root" else "", fields["NoNewPrivs"], fields["Seccomp"]),
          ("0" * 16, "0" * 16 if WORLD == "root" else "", "1", "2"))
    if WORLD == "root":
        equal(fields["Uid"].split()[1], "65534")
    try:
        equal(environment.read_bytes(), b"")
    except OSError:
        pass


if __name__ == "__main__":
    sys.exit(run_tests(TESTS, "network", sys.argv[1:], __file__))

#!/usr/bin/env python3
"""What becomes of names behind a gateway: what is asked, by whom, what name servers answer and what may come of it: run_network_names.py [NAME…]"""
import ast
import pathlib
import re
import sys

import hostile_names
from behind_gateway import Inside, python, run_tests, start
from native_world import equal
from network_world import CONNECT, SPECIAL, memory_of_gateway

TESTS = []


def test(function):
    TESTS.append(function)
    return function


QUERY = """
def query(*labels): return b'\\x12\\x34\\x01\\0\\0\\x01\\0\\0\\0\\0\\0\\0' + b''.join(bytes([len(l)]) + l for l in labels) + b'\\0\\0\\x01\\0\\x01'
names = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); names.settimeout(2); names.connect(('192.0.0.1', 53))
"""


@test
def names_are_looked_up_by_every_tool():
    ran = Inside(["good.example", "alias.example", "six.example"],
                 "dig +short good.example A; dig +short good.example AAAA; dig +tcp +short good.example; dig @9.9.9.9 +short good.example;"
                 "dig +short alias.example; getent ahostsv4 good.example | head -1; getent hosts six.example; dig +short localhost;"
                 "dig -6 @2606:4700::1111 +short good.example")
    equal(ran.out, "20.1.1.1\n2600:2::1\n20.1.1.1\n20.1.1.1\n20.1.1.1\n20.1.1.1        STREAM good.example\n"
          "2600:2::1       six.example\n127.0.0.1\n20.1.1.1\n")


@test
def an_answer_too_long_for_a_datagram():
    ran = Inside(["many.example"], "dig +short many.example | wc -l; dig +short +ignore +noedns many.example | wc -l")
    equal(ran.out.split(), ["32", "30"])


@test
def other_names_do_not_exist():
    ran = Inside(["good.example"], "dig evil.example; dig notgood.example; dig x.good.example; getent hosts evil.example; "
                 "curl -sS http://evil.example/")
    equal(ran.out.count("status: NXDOMAIN"), 3)
    assert "Prohibited" in ran.out and "no rule names it" in ran.out
    assert "Could not resolve host" in ran.err
    equal(ran.summary, "0 hosts allowed, 3 refused: evil.example, notgood.example, x.good.example")


@test
def strange_names_and_questions():
    ran = Inside(["good.example"], r"dig '\000.good.example'; dig 'evil.example\000.good.example'; dig good.example TXT; dig good.example MX;"
                 r"dig good.example HTTPS; dig good.example ANY; dig -x 20.1.1.1; dig . NS; dig GOOD.example. +short; dig +short chaos version")
    equal(re.findall(r"status: (\w+)", ran.out), ["NXDOMAIN", "NXDOMAIN", "REFUSED", "REFUSED", "NOERROR", "REFUSED", "NXDOMAIN", "NXDOMAIN"])
    assert "20.1.1.1" in ran.out


@test
def special_addresses_have_no_name():
    ran = Inside(["*.special.example"], "dig +short fine.special.example " +
                 " ".join(f"s{n}.special.example {kind}" for n in range(len(SPECIAL)) for kind in ("A", "AAAA")))
    equal(ran.out, "20.1.1.1\n")
    equal(ran.summary.split(":")[0], f"0 hosts allowed, {len(SPECIAL)} refused")


@test
def some_of_several_addresses():
    ran = Inside(["mixed.example"], "dig +short mixed.example; curl -sS http://mixed.example")
    equal(ran.out, "20.1.1.1\nmixed.example at ::ffff:20.1.1.1\n")
    lookup = next(line for line in ran.log if line["event"] == "lookup" and line["answers"])
    assert "10.9.9.9 is private" in lookup["left_out"][0], lookup


@test
def rebinding_changes_nothing():
    ran = Inside(["rebind.example"], "dig +short rebind.example; dig +short rebind.example; dig +short rebind.example; curl -sS -m 5 "
                 "--resolve rebind.example:80:20.1.1.1 http://rebind.example/; curl -sS -m 5 --resolve rebind.example:80:10.9.9.9 http://rebind.example/")
    equal(ran.out, "20.1.1.1\nrebind.example at ::ffff:20.1.1.1\n")
    assert any("10.9.9.9 is private" in line["reason"] for line in ran.flows("refused"))


@test
def many_that_ask_for_one_name_at_once_all_hear_it():
    ran = Inside(["slow.example"], python("""
heard = []
def ask(): heard.append(socket.gethostbyname('slow.example'))
threads = [threading.Thread(target=ask) for _ in range(300)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(len(heard), set(heard))
"""))
    equal(ran.out, "300 {'20.1.1.1'}\n")
    equal([line["answers"] for line in ran.log], [["20.1.1.1"]])


@test
def a_flood_of_names_is_slowed_and_stalls_nobody():
    ran = Inside(["*.wild.example", "good.example:7000"], python(CONNECT + """
def query(name): return b'\\x12\\x34\\x01\\0\\0\\x01\\0\\0\\0\\0\\0\\0' + b''.join(bytes([len(l)]) + l.encode() for l in name.split('.')) + b'\\0\\0\\x01\\0\\x01'
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(2); s.connect(('192.0.0.1', 53)); codes = {}
for i in range(1000):
    s.send(query(f'n{i}.wild.example'))
    code = s.recv(500)[3] & 15; codes[code] = codes.get(code, 0) + 1
print(codes[0] < 900, codes.get(2, 0) > 100)
time.sleep(0.1); print(connect('good.example', 7000))
"""))
    equal(ran.out, "True True\nb'x'\n")


@test
def name_servers_that_answer_anything():
    resolvers = pathlib.Path("/etc/resolv.conf")
    before = resolvers.read_text()
    hostile_names.serve("20.0.0.1")
    resolvers.write_text("nameserver 20.0.0.1\n")
    try:
        ran = Inside(["*.hostile.example:7000"], python(CONNECT + QUERY + f"""
heard = {{}}
def ask(label):
    own = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); own.settimeout(15); own.connect(('192.0.0.1', 53))
    own.send(query(label.encode(), b'hostile', b'example')); answer = own.recv(600); heard[label] = (answer[3] & 15, answer[7])
threads = [threading.Thread(target=ask, args=(label,)) for label in {list(hostile_names.ANSWERS)}]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(heard)
print(connect('20.1.1.1', 7000), connect('20.1.1.2', 7000), connect('10.9.9.9', 7000))
"""))
    finally:
        resolvers.write_text(before)
    heard, reached = ran.out.splitlines()
    equal(ast.literal_eval(heard), {label: wanted for label, (_, wanted) in hostile_names.ANSWERS.items()})
    equal(reached, "b'x' ConnectionResetError ConnectionResetError")


@test
def long_names_do_not_cost_the_summary():
    ran = Inside(["good.example"], python(CONNECT + QUERY + """
names.send(query()); names.recv(600)
for i in range(300): names.send(query(b'%03d' % i + b'\\1' * 60, b'\\1' * 60, b'\\1' * 60, b'\\1' * 50)); names.recv(600)
"""))
    # The first that were asked for are in it, none in full length.
    assert ran.summary.startswith("0 hosts allowed, 256 refused: ., 000\\001") and len(ran.summary) < 1200, ran.summary
    equal(len([line for line in ran.log if line["event"] == "lookup"]), 301)


@test
def thousands_of_names_of_one_address_do_not_swell_the_gateway():
    ran = start(["*.wild.example:7000"], python(CONNECT + QUERY + """
for i in range(600): names.send(query(b'%03d' % i + b'a' * 60, b'a' * 60, b'a' * 60, b'a' * 40, b'wild', b'example')); names.recv(600); time.sleep(0.008)
held = [socket.create_connection(('20.1.1.1', 7000)) for _ in range(400)]
for s in held: s.sendall(b'x'); s.recv(1)
print(connect('a.wild.example', 7000), connect('20.1.1.1', 7000), flush=True); input()
"""))
    equal(ran.stdout.readline(), "b'x' b'x'\n")
    _, kilobytes = memory_of_gateway(ran.pid)
    ran.communicate("\n", timeout=20)
    assert kilobytes < 50 << 10, f"{kilobytes} KiB"


@test
def nonsense_to_the_name_server():
    ran = Inside(["good.example"], python("""
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(0.2); s.connect(('192.0.0.1', 53))
for size in range(0, 600, 7): s.send(os.urandom(size))
for _ in range(50):
    t = socket.create_connection(('192.0.0.1', 53)); t.sendall(os.urandom(50)); t.close()
print(socket.gethostbyname('good.example'))
"""))
    equal(ran.out, "20.1.1.1\n")


if __name__ == "__main__":
    sys.exit(run_tests(TESTS, "network names", sys.argv[1:], __file__))

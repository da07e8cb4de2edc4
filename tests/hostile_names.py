"""A name server that answers anything, for tests/run_network_names.py: what it says to which name, and what may come of it."""
import socket
import struct
import threading

ALLOWED, OTHER = socket.inet_aton("20.1.1.1"), socket.inet_aton("20.1.1.2")
NAME = b"\xc0\x0c"  # the question's
A, CNAME, AAAA = 1, 5, 28


def wire(name):
    return b"".join(bytes([len(label)]) + label.encode() for label in name.split(".")) + b"\0"


def record(owner, kind, data, ttl=60, family=1):
    return owner + struct.pack(">HHIH", kind, family, ttl, len(data)) + data


def aliases(count):
    names = [NAME, *(wire(f"c{n}.example") for n in range(count))]
    return [record(one, CNAME, other) for one, other in zip(names, names[1:])] + [record(names[-1], A, ALLOWED)]


def message(number, question, records, flags=0x8180, count=None):
    return number + struct.pack(">HHHHH", flags, 1, len(records) if count is None else count, 0, 0) + question + b"".join(records)


# First label of the name: (what is answered to `number` and `question`, code and number of addresses that come of it)
ANSWERS = {
    "wrong-number": (lambda n, q: [message(bytes([n[0] ^ 1, n[1]]), q, [record(NAME, A, OTHER)]), message(n, q, [record(NAME, A, ALLOWED)])], (0, 1)),
    "wrong-name": (lambda n, q: [message(n, wire("x.example") + q[-4:], [record(NAME, A, OTHER)]), message(n, q, [record(NAME, A, ALLOWED)])], (0, 1)),
    "wrong-type": (lambda n, q: [message(n, q[:-4] + b"\0\x1c\0\1", [record(NAME, A, OTHER)]), message(n, q, [record(NAME, A, ALLOWED)])], (0, 1)),
    "question": (lambda n, q: [message(n, q, [record(NAME, A, OTHER)], flags=0x0100), message(n, q, [record(NAME, A, ALLOWED)])], (0, 1)),
    "forward": (lambda n, q: [message(n, q, [record(b"\xc0\xff", A, OTHER)]), message(n, q, [record(NAME, A, ALLOWED)])], (0, 1)),
    "miscounted": (lambda n, q: [message(n, q, [record(NAME, A, OTHER)], count=65535), message(n, q, [record(NAME, A, ALLOWED)])], (0, 1)),
    "loop": (lambda n, q: [message(n, q, [record(NAME, CNAME, wire("b.example")), record(wire("b.example"), CNAME, NAME)])], (0, 0)),
    "few-aliases": (lambda n, q: [message(n, q, aliases(9))], (0, 1)),
    "many-aliases": (lambda n, q: [message(n, q, aliases(40))], (0, 0)),
    "another-owner": (lambda n, q: [message(n, q, [record(NAME, A, ALLOWED), record(wire("evil.example"), A, OTHER)])], (0, 1)),
    "another-class": (lambda n, q: [message(n, q, [record(NAME, A, OTHER, family=3)])], (0, 0)),
    "another-type": (lambda n, q: [message(n, q, [record(NAME, AAAA, socket.inet_pton(socket.AF_INET6, "2600:2::2"))])], (0, 0)),
    "short": (lambda n, q: [message(n, q, [record(NAME, A, OTHER[:3])])], (0, 0)),
    "long": (lambda n, q: [bytes(60000), message(n, q, [record(NAME, A, ALLOWED)])], (0, 1)),
    "private": (lambda n, q: [message(n, q, [record(NAME, A, socket.inet_aton("10.9.9.9")), record(NAME, A, ALLOWED)])], (0, 1)),
    "failure": (lambda n, q: [message(n, q, [], flags=0x8182)], (2, 0)),
    "silence": (lambda n, q: [], (2, 0)),
    "half-a-frame": (lambda n, q: [message(n, q, [], flags=0x8380)], (2, 0)),
}


def serve(address):
    """Until this process ends."""
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind((address, 53))
    listener = socket.create_server((address, 53))
    held = []

    def datagrams():
        while True:
            query, source = server.recvfrom(4096)
            end = query.index(b"\0", 12) + 5
            label = query[13:13 + query[12]].decode()
            for reply in ANSWERS[label][0](query[:2], query[12:end]):
                server.sendto(reply, source)

    def connections():
        while True:
            held.append(listener.accept()[0])
            held[-1].sendall(b"\xff\xff\0")
    for loop in (datagrams, connections):
        threading.Thread(target=loop, daemon=True).start()

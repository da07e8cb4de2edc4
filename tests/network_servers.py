#!/usr/bin/env python3
"""The world outside of a gateway, for tests/network_world.py: servers on all addresses of a network namespace.

network_servers.py FOLDER: certificate in FOLDER/cert.pem, names in FOLDER/names.json: {"name": ["address", …] or [["address", …], …]},
the latter an answer for each question after another. Prints `ready`.
"""
import hashlib
import http.server
import json
import pathlib
import socket
import socketserver
import ssl
import struct
import sys
import threading

FOLDER = pathlib.Path(sys.argv[1])
NAMES = json.loads((FOLDER / "names.json").read_text())
ASKED = {}
LOCK = threading.Lock()
BIG = 256 << 20


class Web(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        if self.path == "/big":
            self.send_response(200)
            self.send_header("Content-Length", str(BIG))
            self.end_headers()
            piece = bytes(range(256)) * 4096
            for _ in range(BIG // len(piece)):
                self.wfile.write(piece)
            return
        self.say(f"{self.headers['Host']} at {self.connection.getsockname()[0]}\n".encode())

    def do_POST(self):
        digest = hashlib.sha256()
        if self.headers.get("Transfer-Encoding") == "chunked":
            while size := int(self.rfile.readline(), 16):
                digest.update(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
        left = int(self.headers.get("Content-Length", 0))
        while left:
            part = self.rfile.read(min(left, 1 << 20))
            digest.update(part)
            left -= len(part)
        self.say((digest.hexdigest() + "\n").encode())

    def say(self, body):
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    address_family = socket.AF_INET6
    daemon_threads = True
    request_queue_size = 4096

    def handle_error(self, *_):
        pass  # clients that go away are what is tested


class SecureServer(Server):
    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(FOLDER / "cert.pem")

    def finish_request(self, request, client_address):
        with self.context.wrap_socket(request, server_side=True) as secure:
            super().finish_request(secure, client_address)


def listen(port):
    listener = socket.socket(socket.AF_INET6, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    listener.bind(("::", port))
    listener.listen(4096)
    return listener


def serve(port, handle):
    def one(connection):
        with connection:
            try:
                handle(connection)
            except OSError:
                pass

    def loop(listener):
        while True:
            threading.Thread(target=one, args=(listener.accept()[0],), daemon=True).start()
    threading.Thread(target=loop, args=(listen(port),), daemon=True).start()


def echo(connection):
    while data := connection.recv(65536):
        connection.sendall(data)


def digest_at_end(connection):
    digest = hashlib.sha256()
    while data := connection.recv(1 << 20):
        digest.update(data)
    connection.sendall(digest.hexdigest().encode())


def reset_after_one(connection):
    connection.recv(1)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def say_first(connection):
    connection.sendall(b"hello from a server that speaks first\n")
    echo(connection)


def tell_how_it_ended(connection):
    """Waits for the end of one connection, and tells the next what it was."""
    data = connection.recv(1)
    if data == b"?":
        connection.sendall(ENDS[-1].encode() if ENDS else b"none")
        return
    try:
        while connection.recv(65536):
            pass
        ENDS.append("end")
    except ConnectionResetError:
        ENDS.append("reset")


ENDS = []


def flood(connection):
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
    connection.recv(1)
    while True:
        connection.sendall(bytes(65536))


def datagrams(port):
    server = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    server.bind(("::", port))
    server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)

    def loop():
        while True:
            data, controls, _, source = server.recvmsg(65536, 256)
            # From the address that it came to.
            server.sendmsg([data], [(level, kind, value) for level, kind, value in controls], 0, source)
    threading.Thread(target=loop, daemon=True).start()


def answer(query):
    at, labels = 12, []
    while query[at]:
        labels.append(query[at + 1:at + 1 + query[at]].decode())
        at += 1 + query[at]
    name = ".".join(labels).lower()
    kind = struct.unpack_from(">H", query, at + 1)[0]
    question = query[12:at + 5]
    with LOCK:
        rows = NAMES.get(name) or NAMES.get("*." + ".".join(name.split(".")[-2:]))
        if rows and isinstance(rows[0], list):
            turn = ASKED[name, kind] = ASKED.get((name, kind), -1) + 1
            rows = rows[min(turn, len(rows) - 1)]
    if rows is None:
        return query[:2] + struct.pack(">HHHHH", 0x8183, 1, 0, 0, 0) + question
    records = b""
    count = 0
    owner = b"\xc0\x0c"
    if name.startswith("alias"):
        owner = b"\x05other\x07example\x00"
        records += b"\xc0\x0c" + struct.pack(">HHIH", 5, 1, 60, len(owner)) + owner
        count += 1
    for row in rows:
        wanted = socket.AF_INET6 if ":" in row else socket.AF_INET
        if kind == (28 if wanted == socket.AF_INET6 else 1):
            data = socket.inet_pton(wanted, row)
            records += owner + struct.pack(">HHIH", kind, 1, 0 if name.startswith("rebind") else 60, len(data)) + data
            count += 1
    return query[:2] + struct.pack(">HHHHH", 0x8180, 1, count, 0, 0) + question + records


def names():
    server = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    server.bind(("::", 53))

    def loop():
        while True:
            query, source = server.recvfrom(4096)
            reply = answer(query)
            if len(reply) > 1200:  # by a connection, then
                reply = reply[:2] + struct.pack(">HHHHH", 0x8380, 1, 0, 0, 0) + query[12:query.index(b"\0", 12) + 5]
            if query[12:].startswith(b"\x04slow"):
                threading.Timer(0.2, server.sendto, (reply, source)).start()
            else:
                server.sendto(reply, source)
    threading.Thread(target=loop, daemon=True).start()

    def connection(client):
        size = struct.unpack(">H", client.recv(2))[0]
        reply = answer(client.recv(size))
        client.sendall(struct.pack(">H", len(reply)) + reply)
    serve(53, connection)


class V4V6(Server):
    def server_bind(self):
        self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        super().server_bind()


class SecureV4V6(SecureServer, V4V6):
    pass


for number in (80, 8080):
    threading.Thread(target=V4V6(("::", number), Web).serve_forever, daemon=True).start()
threading.Thread(target=SecureV4V6(("::", 443), Web).serve_forever, daemon=True).start()
serve(7000, echo)
datagrams(7001)
serve(7003, digest_at_end)
serve(7004, reset_after_one)
serve(7005, say_first)
serve(7006, tell_how_it_ended)
serve(7007, flood)
datagrams(443)
names()
print("ready", flush=True)
threading.Event().wait()

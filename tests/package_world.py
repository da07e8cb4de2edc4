"""The world of the tests of packages: a TLS server on loopback with a certificate of its own, and a cache that is the tests' own."""
import hashlib
import http.server
import json
import os
import pathlib
import ssl
import subprocess
import sys
import tempfile
import threading
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent
CORDON = str(ROOT / "build/cordon")
FETCHER = str(ROOT / "build/cordon-fetch")
sys.path.insert(0, str(ROOT / "sdk/python"))

FOLDER = tempfile.TemporaryDirectory(prefix="cordon-pkg-")
WORLD = pathlib.Path(FOLDER.name)
CACHE = WORLD / "cache"
CACHE.mkdir(mode=0o700)
os.environ["CORDON"] = CORDON
os.environ["CORDON_CA_FILE"] = str(WORLD / "ca.pem")

# Prints a line and ends: the smallest command. One that the text names is all that differs.
COMMAND = """(module (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1) (data (i32.const 16) "%s\\n") (data (i32.const 0) "\\10\\00\\00\\00\\03\\00\\00\\00")
  (func (export "_start") (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 12)))))"""


def assemble(text):
    with tempfile.NamedTemporaryFile("w", suffix=".wat") as source:
        source.write(text)
        source.flush()
        return subprocess.run(["wat2wasm", source.name, "--output=-"], capture_output=True, check=True).stdout


def hash_of(data):
    return hashlib.sha256(data).hexdigest()


class Server(http.server.BaseHTTPRequestHandler):
    """`files`: path -> bytes, or a function that answers. `asked`: the paths of requests."""

    files = {}
    asked = []
    connections = 0
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        self.asked.append(self.path)
        what = self.files.get(self.path.split("?")[0])
        self.close_connection = True
        if what is None:
            self.send_error(404)
        elif callable(what):
            what(self)
        else:
            self.send_response(200)
            self.send_header("Content-Length", str(len(what)))
            self.end_headers()
            self.wfile.write(what)


class Listener(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def get_request(self):
        connection, address = super().get_request()
        Server.connections += 1
        return connection, address

    def handle_error(self, *_):
        """A client that goes is a part of many tests."""


def redirect(target):
    def answer(request):
        request.send_response(302)
        request.send_header("Location", target)
        request.send_header("Content-Length", "0")
        request.end_headers()
    return answer


def raw(*pieces):
    """Bytes that are sent as they are."""
    def answer(request):
        try:
            for piece in pieces:
                request.wfile.write(piece)
        except OSError:
            pass
    return answer


def endless(request):
    request.send_response(200)
    request.send_header("Transfer-Encoding", "chunked")
    request.end_headers()
    try:
        while True:
            request.wfile.write(b"10000\r\n" + b"x" * 65536 + b"\r\n")
    except OSError:
        pass


def stalled(request):
    """Begins to answer and goes no further until the client has gone."""
    request.send_response(200)
    request.send_header("Content-Length", "100000")
    request.end_headers()
    request.wfile.write(b"x")
    request.rfile.read(1)


def lying(length, body):
    return raw(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % length, body)


def serve():
    """The port."""
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj",
                    "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", WORLD / "key.pem", "-out", WORLD / "ca.pem"],
                   check=True, capture_output=True)
    server = Listener(("127.0.0.1", 0), Server)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(WORLD / "ca.pem", WORLD / "key.pem")
    # The handshake is the handler's, so that nobody waits for another's.
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_address[1]


def policy(port, **more):
    return {"enabled": True, "allowedHosts": [f"localhost:{port}"], "allowPrivateHosts": True, **more}


def kept():
    """What the store of modules has."""
    return sorted(path.name for path in (CACHE / "cordon/packages").glob("*")) if (CACHE / "cordon/packages").exists() else []


def audit(sandbox_program, requests):
    """What a daemon says when it is asked these, one after the other: all messages."""
    daemon = subprocess.Popen([sandbox_program, "serve", "--stdio"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    messages = []
    for number, (method, params) in enumerate(requests, 1):
        daemon.stdin.write(json.dumps({"jsonrpc": "2.0", "id": number, "method": method, "params": params}) + "\n")
        daemon.stdin.flush()
        while True:
            messages.append(json.loads(daemon.stdout.readline()))
            if messages[-1].get("id") == number:
                break
    daemon.stdin.close()
    daemon.wait()
    daemon.stdout.close()
    return messages


def main(module, names):
    loader = unittest.defaultTestLoader
    suite = loader.loadTestsFromNames(names, module) if names else loader.loadTestsFromModule(module)
    outcome = unittest.TextTestRunner(stream=sys.stdout, verbosity=1).run(suite)
    failed = len(outcome.failures) + len(outcome.errors)
    print(f"{outcome.testsRun - failed} passed, {failed} failed")
    FOLDER.cleanup()
    return 1 if failed else 0

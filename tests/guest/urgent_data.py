"""Urgent data of TCP: what it prints must be the same in a sandbox and on the host."""
import array
import errno
import fcntl
import select
import socket
import termios
import threading

SIOCATMARK = 0x8905


def pair():
    with socket.create_server(("127.0.0.1", 0)) as server:
        a = socket.create_connection(server.getsockname())
        b, _ = server.accept()
    return a, b


def tried(call, *arguments):
    try:
        return call(*arguments)
    except OSError as error:
        return errno.errorcode[error.errno]


def number(sock, request):
    value = array.array("i", [0])
    fcntl.ioctl(sock, request, value)
    return value[0]


def urgent(sock, *flags):
    return tried(sock.recv, 10, socket.MSG_OOB | sum(flags))


def events(sock):
    poll = select.poll()
    poll.register(sock, select.POLLIN | select.POLLPRI)
    found = dict(poll.poll(0)).get(sock.fileno(), 0)
    return [name for name in ("POLLIN", "POLLPRI") if found & getattr(select, name)]


def until(sock, what):
    """The sender's bytes arrive a moment later on the host."""
    poll = select.poll()
    poll.register(sock, what)
    poll.poll(5000)


a, b = pair()
print("nothing yet", urgent(b), number(b, SIOCATMARK), events(b))
print(a.send(b"abcX", socket.MSG_OOB), a.send(b"def"))
until(b, select.POLLPRI)
print("three before the mark", events(b), number(b, SIOCATMARK), number(b, termios.FIONREAD))
print(b.recv(100), number(b, SIOCATMARK))
print(urgent(b, socket.MSG_PEEK), urgent(b), urgent(b), events(b), number(b, SIOCATMARK))
print(b.recv(100, socket.MSG_PEEK), b.recv(100), number(b, SIOCATMARK), urgent(b))
a.send(b"Y", socket.MSG_OOB)
until(b, select.POLLPRI)
print("alone", events(b), select.select([b], [], [b], 5)[2] == [b], number(b, SIOCATMARK))
b.setblocking(False)
print(tried(b.recv, 100), urgent(b), tried(b.recv, 100))
b.setblocking(True)
a.send(b"g")
print("passed", b.recv(100), urgent(b))
a.send(b"12Z", socket.MSG_OOB)
until(b, select.POLLPRI)
threading.Timer(0.2, a.send, (b"345",)).start()
print("all of it stops there, too", b.recv(5, socket.MSG_WAITALL), b.recv(3, socket.MSG_WAITALL), urgent(b))
a.send(b"PQ", socket.MSG_OOB)
until(b, select.POLLPRI)
print("the message says so", b.recvmsg(5, 0, socket.MSG_OOB)[::2], b.recv(5))

a, b = pair()
b.setsockopt(socket.SOL_SOCKET, socket.SO_OOBINLINE, 1)
a.send(b"abX", socket.MSG_OOB)
a.send(b"cd")
until(b, select.POLLPRI)
print("in line", urgent(b), b.recv(100), number(b, SIOCATMARK), urgent(b))
a.close()
rest = b""
while part := b.recv(100):
    rest += part
print(rest)

for family, kind in ((socket.AF_INET, socket.SOCK_DGRAM),):
    with socket.socket(family, kind) as c, socket.socket(family, kind) as d:
        d.bind(("127.0.0.1", 0))
        print("datagrams have none", tried(c.sendto, b"x", socket.MSG_OOB, d.getsockname()))

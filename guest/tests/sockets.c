// Sockets, files in messages, and what waits for them. Each set counts the facts that it has looked at; those that are
// wrong are printed. Everything here but `bounds` is the same on Linux.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int facts, wrong;
static void fact(const char *text, int line, int holds) {
  ++facts;
  if (holds) return;
  ++wrong;
  printf("line %d: %s (errno %d)\n", line, text, errno);
}
#define FACT(x) fact(#x, __LINE__, (x))
#define FAILS(call, error) fact(#call " gives " #error, __LINE__, (errno = 0, (call) == -1 && errno == (error)))

static int signals;
static void count_signal(int number) { signals += number > 0; }

static short ready(int fd, short events) {
  struct pollfd one = {.fd = fd, .events = events};
  return poll(&one, 1, 0) < 0 ? -1 : one.revents;
}

static socklen_t unix_address(struct sockaddr_un *to, const char *name, size_t size) {
  memset(to, 0, sizeof *to);
  to->sun_family = AF_UNIX;
  memcpy(to->sun_path, name, size);
  return offsetof(struct sockaddr_un, sun_path) + size;
}
static int bind_unix(int fd, const char *name, size_t size) {
  struct sockaddr_un address;
  socklen_t length = unix_address(&address, name, size);
  return bind(fd, (struct sockaddr *)&address, length);
}
static int connect_unix(int fd, const char *name, size_t size) {
  struct sockaddr_un address;
  socklen_t length = unix_address(&address, name, size);
  return connect(fd, (struct sockaddr *)&address, length);
}
static struct sockaddr_in at(const char *ip, int port) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
  inet_pton(AF_INET, ip, &address.sin_addr);
  return address;
}
static struct sockaddr_in6 at6(const char *ip, int port) {
  struct sockaddr_in6 address = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
  inet_pton(AF_INET6, ip, &address.sin6_addr);
  return address;
}
#define WITH(address) (struct sockaddr *)&(address), sizeof(address)
static int port_of(int fd) {
  struct sockaddr_in6 address;
  socklen_t size = sizeof address;
  return getsockname(fd, (struct sockaddr *)&address, &size) < 0 ? -1 : ntohs(address.sin6_port);
}
static int option(int fd, int level, int name) {
  int value = -1;
  socklen_t size = sizeof value;
  return getsockopt(fd, level, name, &value, &size) < 0 ? -1 : value;
}
static int set(int fd, int level, int name, int value) { return setsockopt(fd, level, name, &value, sizeof value); }

static void pairs(void) {
  int s[2];
  char text[64] = "";
  FACT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, s) == 0);
  FACT((fcntl(s[0], F_GETFL) & O_NONBLOCK) != 0 && fcntl(s[0], F_GETFD) == FD_CLOEXEC);
  FAILS(recv(s[0], text, 1, 0), EAGAIN);
  FACT(ready(s[0], POLLIN | POLLOUT) == POLLOUT);
  FACT(write(s[0], "abc", 3) == 3 && send(s[0], "def", 3, 0) == 3);
  int bytes = 0;
  FACT(ioctl(s[1], FIONREAD, &bytes) == 0 && bytes == 6);
  FACT(recv(s[1], text, 4, MSG_PEEK) == 4 && memcmp(text, "abcd", 4) == 0);
  FACT(read(s[1], text, 64) == 6 && memcmp(text, "abcdef", 6) == 0);
  FACT(write(s[1], "back", 4) == 4 && read(s[0], text, 2) == 2 && read(s[0], text, 9) == 2);
  struct stat status;
  FACT(fstat(s[0], &status) == 0 && S_ISSOCK(status.st_mode));
  FACT(option(s[0], SOL_SOCKET, SO_TYPE) == SOCK_STREAM && option(s[0], SOL_SOCKET, SO_DOMAIN) == AF_UNIX);
  FACT(option(s[0], SOL_SOCKET, SO_ERROR) == 0 && option(s[0], SOL_SOCKET, SO_ACCEPTCONN) == 0);
  FAILS(lseek(s[0], 0, SEEK_SET), ESPIPE);
  FAILS(listen(s[0], 1), EINVAL);
  struct sockaddr_un name;
  socklen_t size = sizeof name;
  FACT(getpeername(s[0], (struct sockaddr *)&name, &size) == 0 && size == 2 && name.sun_family == AF_UNIX);
  struct ucred who = {0};
  size = sizeof who;
  FACT(getsockopt(s[0], SOL_SOCKET, SO_PEERCRED, &who, &size) == 0 && who.pid == getpid() && who.uid == getuid());
  // Until it is full, and again when the reader has made room.
  static char block[4096];
  size_t sent = 0;
  while (write(s[0], block, sizeof block) > 0) sent += sizeof block;
  FACT(errno == EAGAIN && sent >= 65536 && ready(s[0], POLLOUT) == 0);
  size_t got = 0;
  for (ssize_t n; (n = read(s[1], block, sizeof block)) > 0;) got += n;
  FACT(got == sent && ready(s[0], POLLOUT) == POLLOUT);
  // Half closed, then closed.
  FACT(shutdown(s[0], SHUT_WR) == 0 && read(s[1], text, 1) == 0);
  FACT((ready(s[1], POLLIN | POLLRDHUP) & (POLLIN | POLLRDHUP | POLLHUP)) == (POLLIN | POLLRDHUP));
  FACT(write(s[1], "still", 5) == 5 && read(s[0], text, 5) == 5);
  signal(SIGPIPE, count_signal);
  FAILS(write(s[0], "x", 1), EPIPE);
  FACT(signals == 1);
  FAILS(send(s[0], "x", 1, MSG_NOSIGNAL), EPIPE);
  FACT(signals == 1);
  FACT(write(s[1], "unread", 6) == 6 && close(s[0]) == 0);
  FACT((ready(s[1], POLLIN) & (POLLIN | POLLHUP | POLLERR)) == (POLLIN | POLLHUP | POLLERR));
  FAILS(read(s[1], text, 1), ECONNRESET);
  FACT(read(s[1], text, 1) == 0);
  FAILS(send(s[1], "x", 1, MSG_NOSIGNAL), EPIPE);
  close(s[1]);
  // What was sent before the end is received.
  FACT(socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0 && write(s[0], "last", 4) == 4 && close(s[0]) == 0);
  FACT(read(s[1], text, 9) == 4 && read(s[1], text, 9) == 0);
  close(s[1]);
  FAILS(socketpair(AF_INET, SOCK_STREAM, 0, s), EOPNOTSUPP);
  FAILS(socket(AF_UNIX, SOCK_RDM, 0), ESOCKTNOSUPPORT);
  FAILS(socket(AF_UNIX, 77, 0), EINVAL);
  FAILS(socket(AF_UNIX, SOCK_STREAM, 7), EPROTONOSUPPORT);
  FAILS(socket(123, SOCK_STREAM, 0), EAFNOSUPPORT);
  FAILS(send(0, "x", 1, 0), ENOTSOCK);
  FAILS(send(99, "x", 1, 0), EBADF);
  int loose = socket(AF_UNIX, SOCK_STREAM, 0);
  FAILS(send(loose, "x", 1, 0), ENOTCONN);
  FAILS(recv(loose, text, 1, 0), EINVAL);
  FAILS(getpeername(loose, (struct sockaddr *)&name, &size), ENOTCONN);
  FACT(ready(loose, POLLIN | POLLOUT) == (POLLOUT | POLLHUP));
  close(loose);
}

static void messages(void) {
  int s[2];
  char text[64];
  static char large[100000];
  for (int type = SOCK_DGRAM; type <= SOCK_SEQPACKET; type += SOCK_SEQPACKET - SOCK_DGRAM) {
    FACT(socketpair(AF_UNIX, type, 0, s) == 0);
    FACT(write(s[0], "one", 3) == 3 && write(s[0], "", 0) == 0 && write(s[0], "three", 5) == 5);
    FACT(recv(s[1], text, 64, MSG_PEEK) == 3 && read(s[1], text, 64) == 3);
    FACT(recv(s[1], text, 64, 0) == 0);
    FACT(recv(s[1], text, 2, MSG_PEEK | MSG_TRUNC) == 5 && memcmp(text, "th", 2) == 0);
    struct iovec part = {text, 2};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    FACT(recvmsg(s[1], &message, 0) == 2 && message.msg_flags == MSG_TRUNC);
    FAILS(recv(s[1], text, 2, MSG_DONTWAIT), EAGAIN);
    FACT(write(s[1], large, sizeof large) == sizeof large && read(s[0], large, sizeof large) == sizeof large);
    FAILS(send(s[0], large, 10000000, 0), EMSGSIZE);
    int count = 0;
    while (send(s[0], text, 10, MSG_DONTWAIT) == 10) ++count;
    FACT(errno == EAGAIN && count >= 10 && (ready(s[0], POLLOUT) & POLLOUT) == 0);
    while (recv(s[1], text, 10, MSG_DONTWAIT) == 10) --count;
    FACT(count == 0 && ready(s[0], POLLOUT) == POLLOUT);
    close(s[1]);
    FAILS(send(s[0], "x", 1, MSG_NOSIGNAL), type == SOCK_DGRAM ? ECONNREFUSED : EPIPE);
    close(s[0]);
  }
  // Datagrams between sockets that have names.
  int a = socket(AF_UNIX, SOCK_DGRAM, 0), b = socket(AF_UNIX, SOCK_DGRAM, 0), c = socket(AF_UNIX, SOCK_DGRAM, 0);
  struct sockaddr_un to, from;
  socklen_t size = unix_address(&to, "\0first", 6), from_size = sizeof from;
  FACT(bind_unix(a, "\0first", 6) == 0 && bind_unix(b, "second", 7) == 0);
  FACT(sendto(b, "hello", 5, 0, (struct sockaddr *)&to, size) == 5);
  FACT(recvfrom(a, text, 64, 0, (struct sockaddr *)&from, &from_size) == 5 && strcmp(from.sun_path, "second") == 0);
  FACT(sendto(a, "reply", 5, 0, (struct sockaddr *)&from, from_size) == 5 && recv(b, text, 64, 0) == 5);
  FACT(sendto(c, "anon", 4, 0, (struct sockaddr *)&to, size) == 4);
  from_size = sizeof from;
  FACT(recvfrom(a, text, 64, 0, (struct sockaddr *)&from, &from_size) == 4 && from_size == 0);
  FAILS(send(c, "x", 1, 0), ENOTCONN);
  FACT(connect(c, (struct sockaddr *)&to, size) == 0 && send(c, "x", 1, 0) == 1 && recv(a, text, 64, 0) == 1);
  // Connected to b, a receives from b alone.
  FACT(connect_unix(a, "second", 7) == 0);
  FAILS(send(c, "x", 1, 0), EPERM);
  struct sockaddr none = {.sa_family = AF_UNSPEC};
  FACT(connect(a, &none, sizeof none) == 0 && send(c, "x", 1, 0) == 1);
  close(a);
  FAILS(send(c, "x", 1, 0), ECONNREFUSED);
  FAILS(send(c, "x", 1, 0), ENOTCONN);
  FAILS(sendto(c, "x", 1, 0, (struct sockaddr *)&to, size), ECONNREFUSED);
  close(b), close(c), unlink("second");
}

static void names(void) {
  struct stat status;
  int a = socket(AF_UNIX, SOCK_STREAM, 0), b = socket(AF_UNIX, SOCK_STREAM, 0), c = socket(AF_UNIX, SOCK_DGRAM, 0);
  umask(022);
  FAILS(listen(a, 5), EINVAL);
  FACT(bind_unix(a, "here", 5) == 0 && stat("here", &status) == 0 && S_ISSOCK(status.st_mode));
  FACT((status.st_mode & 0777) == 0755);
  FAILS(bind_unix(b, "here", 5), EADDRINUSE);
  FAILS(bind_unix(a, "there", 6), EINVAL);
  FAILS(bind_unix(b, "no/such", 8), ENOENT);
  FAILS(connect_unix(b, "here", 5), ECONNREFUSED);
  FAILS(connect_unix(b, "nowhere", 8), ENOENT);
  FAILS(open("here", O_RDWR), ENXIO);
  FACT(listen(a, 2) == 0 && option(a, SOL_SOCKET, SO_ACCEPTCONN) == 1);
  FAILS(connect_unix(c, "here", 5), EPROTOTYPE);
  FACT(ready(a, POLLIN) == 0 && connect_unix(b, "here", 5) == 0 && ready(a, POLLIN) == POLLIN);
  struct sockaddr_un name;
  socklen_t size = sizeof name;
  FACT(getpeername(b, (struct sockaddr *)&name, &size) == 0 && size == 7 && strcmp(name.sun_path, "here") == 0);
  size = sizeof name;
  int d = accept4(a, (struct sockaddr *)&name, &size, SOCK_CLOEXEC);
  FACT(d >= 0 && size == 2 && fcntl(d, F_GETFD) == FD_CLOEXEC);
  size = 4;
  FACT(getsockname(d, (struct sockaddr *)&name, &size) == 0 && size == 7 && memcmp(name.sun_path, "he", 2) == 0);
  FACT(fcntl(a, F_SETFL, O_NONBLOCK) == 0);
  FAILS(accept(a, NULL, NULL), EAGAIN);
  FAILS(accept(d, NULL, NULL), EINVAL);
  FAILS(accept(c, NULL, NULL), EOPNOTSUPP);
  // Renamed and linked, it is the same socket.
  FACT(rename("here", "moved") == 0 && link("moved", "linked") == 0);
  int e = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
  FACT(connect_unix(e, "linked", 7) == 0 && write(e, "early", 5) == 5);
  // A full list: nobody waits who does not want to.
  int more[4], refused = 0;
  for (int i = 0; i < 4; ++i) {
    more[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
    refused += connect_unix(more[i], "moved", 6) < 0 && errno == EAGAIN;
  }
  FACT(refused >= 1 && refused <= 3);
  // Those that were never accepted are told when the listener goes.
  close(a);
  char text[9];
  FAILS(read(e, text, 1), ECONNRESET);
  FACT(read(e, text, 1) == 0);
  FAILS(connect_unix(socket(AF_UNIX, SOCK_STREAM, 0), "moved", 6), ECONNREFUSED);
  FACT(write(b, "open", 4) == 4 && read(d, text, 9) == 4);
  FACT(unlink("moved") == 0 && unlink("linked") == 0);
  // Abstract names are a table of their own, and go with the socket.
  int f = socket(AF_UNIX, SOCK_STREAM, 0), g = socket(AF_UNIX, SOCK_STREAM, 0);
  FACT(bind_unix(f, "\0name\0x", 7) == 0 && stat("name", &status) < 0);
  FAILS(bind_unix(g, "\0name\0x", 7), EADDRINUSE);
  FACT(bind_unix(g, "\0name", 5) == 0 && close(f) == 0);
  f = socket(AF_UNIX, SOCK_STREAM, 0);
  FACT(bind_unix(f, "\0name\0x", 7) == 0);
  int h = socket(AF_UNIX, SOCK_DGRAM, 0);
  FACT(bind_unix(h, "", 0) == 0);
  size = sizeof name;
  FACT(getsockname(h, (struct sockaddr *)&name, &size) == 0 && size == 8 && name.sun_path[0] == 0);
  for (int fd = 3; fd < 40; ++fd) close(fd);
  // A listener that is a leftover on disk is replaced by removing it.
  a = socket(AF_UNIX, SOCK_STREAM, 0);
  FACT(bind_unix(a, "left", 5) == 0 && close(a) == 0 && stat("left", &status) == 0);
  a = socket(AF_UNIX, SOCK_STREAM, 0);
  FAILS(bind_unix(a, "left", 5), EADDRINUSE);
  FACT(unlink("left") == 0 && bind_unix(a, "left", 5) == 0 && unlink("left") == 0);
  close(a);
}

static void internet(void) {
  int a = socket(AF_INET, SOCK_STREAM, 0), b = socket(AF_INET, SOCK_STREAM, 0);
  struct sockaddr_in any = at("127.0.0.1", 0), name;
  socklen_t size = sizeof name;
  char text[64];
  FACT(option(a, SOL_SOCKET, SO_PROTOCOL) == IPPROTO_TCP && port_of(a) == 0);
  FAILS(recv(a, text, 1, 0), ENOTCONN);
  FACT(bind(a, WITH(any)) == 0 && listen(a, 5) == 0);
  int port = port_of(a);
  struct sockaddr_in here = at("127.0.0.1", port);
  FACT(port > 0);
  FAILS(bind(b, WITH(here)), EADDRINUSE);
  FACT(set(b, SOL_SOCKET, SO_REUSEADDR, 1) == 0 && option(b, SOL_SOCKET, SO_REUSEADDR) == 1);
  FAILS(bind(b, WITH(here)), EADDRINUSE);
  FACT(connect(b, WITH(here)) == 0);
  FACT(getpeername(b, (struct sockaddr *)&name, &size) == 0 && ntohs(name.sin_port) == port);
  size = sizeof name;
  FACT(getsockname(b, (struct sockaddr *)&name, &size) == 0 && name.sin_addr.s_addr == htonl(0x7f000001));
  int own = port_of(b);
  size = sizeof name;
  int c = accept(a, (struct sockaddr *)&name, &size);
  FACT(c >= 0 && ntohs(name.sin_port) == own && port_of(c) == port && size == sizeof name);
  FACT(send(b, "over", 4, 0) == 4 && recv(c, text, 4, MSG_WAITALL) == 4);
  FACT(send(c, "back", 4, 0) == 4 && recv(b, text, 4, MSG_WAITALL) == 4);
  FACT(set(b, IPPROTO_TCP, TCP_NODELAY, 1) == 0 && option(b, IPPROTO_TCP, TCP_NODELAY) == 1);
  FACT(shutdown(b, SHUT_WR) == 0 && recv(c, text, 1, 0) == 0 && send(c, "x", 1, 0) == 1 && recv(b, text, 9, 0) == 1);
  close(a), close(b), close(c);
  a = socket(AF_INET, SOCK_STREAM, 0);
  FAILS(connect(a, WITH(here)), ECONNREFUSED);
  struct sockaddr_in out = at("192.0.2.1", 80);
  FAILS(bind(a, WITH(out)), EADDRNOTAVAIL);
  close(a);
  // Both families meet at one port.
  a = socket(AF_INET6, SOCK_STREAM, 0), b = socket(AF_INET, SOCK_STREAM, 0);
  struct sockaddr_in6 any6 = at6("::", 0), name6;
  FACT(bind(a, WITH(any6)) == 0 && listen(a, 5) == 0);
  here = at("127.0.0.1", port_of(a));
  size = sizeof name6;
  FACT(connect(b, WITH(here)) == 0 && (c = accept(a, (struct sockaddr *)&name6, &size)) >= 0);
  FACT(IN6_IS_ADDR_V4MAPPED(&name6.sin6_addr) && ntohs(name6.sin6_port) == port_of(b));
  close(b), close(c);
  b = socket(AF_INET6, SOCK_STREAM, 0);
  struct sockaddr_in6 here6 = at6("::1", port_of(a));
  FACT(connect(b, WITH(here6)) == 0 && (c = accept(a, NULL, NULL)) >= 0 && write(c, "six", 3) == 3);
  FACT(read(b, text, 9) == 3);
  close(a), close(b), close(c);
  a = socket(AF_INET6, SOCK_STREAM, 0), b = socket(AF_INET, SOCK_STREAM, 0);
  FACT(set(a, IPPROTO_IPV6, IPV6_V6ONLY, 1) == 0 && bind(a, WITH(any6)) == 0 && listen(a, 5) == 0);
  here = at("127.0.0.1", port_of(a));
  FAILS(connect(b, WITH(here)), ECONNREFUSED);
  close(a), close(b);
  // An address may be shared, but one socket alone listens there.
  a = socket(AF_INET, SOCK_STREAM, 0), b = socket(AF_INET, SOCK_STREAM, 0);
  set(a, SOL_SOCKET, SO_REUSEADDR, 1), set(b, SOL_SOCKET, SO_REUSEADDR, 1);
  FACT(bind(a, WITH(any)) == 0);
  here = at("127.0.0.1", port_of(a));
  FACT(bind(b, WITH(here)) == 0 && listen(a, 1) == 0);
  FAILS(listen(b, 1), EADDRINUSE);
  close(a), close(b);
  // SO_LINGER 0 resets.
  a = socket(AF_INET, SOCK_STREAM, 0), b = socket(AF_INET, SOCK_STREAM, 0);
  struct linger now = {1, 0};
  FACT(bind(a, WITH(any)) == 0 && listen(a, 1) == 0);
  here = at("127.0.0.1", port_of(a));
  FACT(connect(b, WITH(here)) == 0 && (c = accept(a, NULL, NULL)) >= 0);
  FACT(setsockopt(b, SOL_SOCKET, SO_LINGER, &now, sizeof now) == 0 && close(b) == 0);
  FAILS(recv(c, text, 1, 0), ECONNRESET);
  close(a), close(c);
}

static void udp(void) {
  int a = socket(AF_INET, SOCK_DGRAM, 0), b = socket(AF_INET, SOCK_DGRAM, 0);
  struct sockaddr_in any = at("0.0.0.0", 0), from;
  socklen_t size = sizeof from;
  char text[64];
  static char large[70000];
  FACT(bind(a, WITH(any)) == 0);
  struct sockaddr_in here = at("127.0.0.1", port_of(a));
  FAILS(send(b, "x", 1, 0), EDESTADDRREQ);
  FACT(sendto(b, "ask", 3, 0, WITH(here)) == 3 && port_of(b) > 0);
  FACT(recvfrom(a, text, 2, MSG_TRUNC, (struct sockaddr *)&from, &size) == 3 && ntohs(from.sin_port) == port_of(b));
  FACT(from.sin_addr.s_addr == htonl(INADDR_LOOPBACK));
  FACT(sendto(a, "", 0, 0, WITH(from)) == 0 && recv(b, text, 64, 0) == 0);
  FAILS(sendto(b, large, sizeof large, 0, WITH(here)), EMSGSIZE);
  FACT(sendto(b, large, 65507, 0, WITH(here)) == 65507 && recv(a, large, sizeof large, 0) == 65507);
  // What finds no room is lost, and nobody waits.
  int count = 0;
  for (int i = 0; i < 5000; ++i) count += sendto(b, large, 1000, 0, WITH(here)) == 1000;
  FACT(count == 5000);
  while (recv(a, large, 1000, MSG_DONTWAIT) == 1000) --count;
  FACT(count > 0 && count < 5000);
  // Connected, it hears of the end, and receives from its peer alone.
  FACT(connect(b, WITH(here)) == 0 && send(b, "y", 1, 0) == 1 && recv(a, text, 9, 0) == 1);
  int c = socket(AF_INET, SOCK_DGRAM, 0);
  struct sockaddr_in to_b = at("127.0.0.1", port_of(b));
  FACT(sendto(c, "z", 1, 0, WITH(to_b)) == 1);
  FAILS(recv(b, text, 9, MSG_DONTWAIT), EAGAIN);
  close(a);
  FACT(send(b, "lost", 4, 0) == 4);
  FAILS(recv(b, text, 9, 0), ECONNREFUSED);
  FACT(send(b, "lost", 4, 0) == 4 && (ready(b, POLLIN) & POLLERR) != 0 && option(b, SOL_SOCKET, SO_ERROR) == ECONNREFUSED);
  FACT(sendto(c, "lost", 4, 0, WITH(here)) == 4);
  close(b), close(c);
}

// What differs from a Linux that has a network, and what Linux bounds in another way.
static void bounds(void) {
  int a = socket(AF_INET, SOCK_STREAM, 0), b = socket(AF_INET6, SOCK_DGRAM, 0);
  struct sockaddr_in out = at("192.0.2.1", 80);
  struct sockaddr_in6 out6 = at6("2001:db8::1", 53), mapped = at6("::ffff:192.0.2.1", 53);
  FAILS(connect(a, WITH(out)), ENETUNREACH);
  FAILS(connect(b, WITH(out6)), ENETUNREACH);
  FAILS(sendto(b, "x", 1, 0, WITH(out6)), ENETUNREACH);
  FAILS(sendto(b, "x", 1, 0, WITH(mapped)), ENETUNREACH);
  FAILS(socket(AF_INET, SOCK_RAW, IPPROTO_ICMP), EPERM);
  FAILS(socket(AF_NETLINK, SOCK_RAW, 0), EAFNOSUPPORT);
  FAILS(socket(AF_PACKET, SOCK_RAW, 0), EAFNOSUPPORT);
  struct sockaddr_in low = at("127.0.0.1", 80);
  FAILS(bind(a, WITH(low)), EACCES);
  FAILS(send(b, "x", 1, MSG_OOB), EOPNOTSUPP);
  // Every address outside of the tables: refused, not trusted.
  FAILS(bind(a, (struct sockaddr *)&low, 3), EINVAL);
  FAILS(bind(a, (struct sockaddr *)&low, 4000000000u), EINVAL);
  FAILS(connect(a, (struct sockaddr *)0xfffffff0u, 16), EFAULT);
  FAILS(send(a, (void *)0xfffffff0u, 64, 0), EFAULT);
  FAILS(setsockopt(a, SOL_SOCKET, SO_REUSEADDR, (void *)0xfffffffeu, 4), EFAULT);
  FAILS(getsockopt(a, SOL_SOCKET, SO_TYPE, &low, (void *)0xfffffffeu), EFAULT);
  struct msghdr hostile = {.msg_iov = (void *)0xffff0000u, .msg_iovlen = 1024};
  FAILS(sendmsg(b, &hostile, 0), EFAULT);
  FAILS(recvmsg(b, &hostile, 0), EFAULT);
  hostile.msg_iovlen = 1 << 30;
  FAILS(sendmsg(b, &hostile, 0), EMSGSIZE);
  close(a), close(b);
}

// --- files in messages ---

static int send_files(int fd, const int *files, int count) {
  char byte = 'f';
  static char control[CMSG_SPACE(260 * sizeof(int))];
  memset(control, 0, sizeof control);
  struct iovec part = {&byte, 1};
  struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control,
                           .msg_controllen = CMSG_SPACE(count * sizeof(int))};
  struct cmsghdr *header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(count * sizeof(int));
  memcpy(CMSG_DATA(header), files, count * sizeof(int));
  return sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT) == 1 ? 0 : -1;
}

static int message_flags;
// The number of files received, with room for `room`; -1 if nothing came.
static int receive_files(int fd, int *files, int room, int flags) {
  char byte;
  static char control[CMSG_SPACE(260 * sizeof(int))];
  struct iovec part = {&byte, 1};
  struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control,
                           .msg_controllen = room == 0 ? 0 : CMSG_LEN(room * sizeof(int))};
  if (recvmsg(fd, &message, flags) != 1) return -1;
  message_flags = message.msg_flags;
  struct cmsghdr *header = CMSG_FIRSTHDR(&message);
  if (header == NULL || header->cmsg_type != SCM_RIGHTS) return 0;
  int count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
  memcpy(files, CMSG_DATA(header), count * sizeof(int));
  return count;
}

static void rights(void) {
  int s[2], ends[2], got[260];
  char text[64];
  FACT(socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0 && pipe(ends) == 0);
  // Another process writes into a pipe that it has been sent.
  if (fork() == 0) {
    close(s[0]), close(ends[0]), close(ends[1]);
    _exit(receive_files(s[1], got, 1, 0) == 1 && write(got[0], "sent", 4) == 4 ? 0 : 1);
  }
  int status = -1;
  FACT(send_files(s[0], &ends[1], 1) == 0 && close(ends[1]) == 0);
  FACT(wait(&status) > 0 && status == 0 && read(ends[0], text, 64) == 4 && read(ends[0], text, 64) == 0);
  close(ends[0]);
  // Looking at it makes a copy; one that there is no room for is closed.
  FACT(pipe(ends) == 0 && send_files(s[0], ends, 2) == 0);
  FACT(receive_files(s[1], got, 4, MSG_PEEK) == 2 && receive_files(s[1], got + 2, 4, MSG_CMSG_CLOEXEC) == 2);
  FACT(got[0] != got[2] && fcntl(got[0], F_GETFD) == 0 && fcntl(got[2], F_GETFD) == FD_CLOEXEC);
  for (int i = 0; i < 4; ++i) close(got[i]);
  FACT(send_files(s[0], ends, 2) == 0 && receive_files(s[1], got, 1, 0) == 1 && (message_flags & MSG_CTRUNC) != 0);
  close(got[0]);
  FACT(send_files(s[0], ends, 2) == 0 && receive_files(s[1], got, 0, 0) == 0 && (message_flags & MSG_CTRUNC) != 0);
  FACT(send_files(s[0], ends, 2) == 0 && read(s[1], text, 9) == 1);
  close(ends[1]);
  FACT(read(ends[0], text, 1) == 0);
  close(ends[0]);
  // One read never takes bytes from behind a message with files.
  FACT(pipe(ends) == 0 && send_files(s[0], ends, 1) == 0 && write(s[0], "behind", 6) == 6);
  FACT(read(s[1], text, 64) == 1 && read(s[1], text, 64) == 6);
  int bad[2] = {ends[0], 77};
  FAILS(send_files(s[0], bad, 2), EBADF);
  for (int i = 0; i < 260; ++i) got[i] = ends[0];
  FAILS(send_files(s[0], got, 254), EINVAL);
  FACT(send_files(s[0], got, 253) == 0);
  // Nobody receives them.
  close(s[0]), close(s[1]), close(ends[1]), close(ends[0]);
  // Who sent it, as the receiver wants to know.
  FACT(socketpair(AF_UNIX, SOCK_DGRAM, 0, s) == 0 && set(s[1], SOL_SOCKET, SO_PASSCRED, 1) == 0);
  int child = fork();
  if (child == 0) _exit(write(s[0], "me", 2) != 2);
  char control[64];
  struct iovec part = {text, 64};
  struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = 64};
  FACT(recvmsg(s[1], &message, 0) == 2 && CMSG_FIRSTHDR(&message)->cmsg_type == SCM_CREDENTIALS);
  struct ucred who;
  memcpy(&who, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof who);
  FACT(who.pid == child && who.uid == getuid() && who.gid == getgid());
  wait(NULL);
  who.pid = 1;
  memcpy(CMSG_DATA(CMSG_FIRSTHDR(&message)), &who, sizeof who);
  if (getuid() != 0) FAILS(sendmsg(s[0], &message, 0), EPERM);
  close(s[0]), close(s[1]);
}

// Sockets that are in each other's messages: the kernel's own check finds what is left of them.
static void cycles(void) {
  int s[2], t[2], got[8];
  FACT(socketpair(AF_UNIX, SOCK_DGRAM, 0, s) == 0);
  FACT(send_files(s[0], s, 2) == 0 && send_files(s[1], s, 2) == 0);
  close(s[0]), close(s[1]);
  // A ring of two pairs that is still held by one end, which can receive all of it.
  FACT(socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0 && socketpair(AF_UNIX, SOCK_STREAM, 0, t) == 0);
  FACT(send_files(s[0], t, 2) == 0 && send_files(t[0], s, 1) == 0);
  close(s[0]), close(t[0]), close(t[1]);
  FACT(receive_files(s[1], got, 2, 0) == 2 && receive_files(got[1], got + 2, 1, 0) == 1);
  FACT(write(got[2], "x", 1) == 1 && read(s[1], got, 1) == 1);
  close(s[1]), close(got[1]), close(got[2]);
  for (int fd = 3; fd < 20; ++fd) close(fd);
  // A listener inside of a connection that nobody has accepted.
  int listener = socket(AF_UNIX, SOCK_STREAM, 0), client = socket(AF_UNIX, SOCK_STREAM, 0);
  FACT(bind_unix(listener, "\0ring", 5) == 0 && listen(listener, 1) == 0 && connect_unix(client, "\0ring", 5) == 0);
  FACT(send_files(client, &listener, 1) == 0 && send_files(client, &client, 1) == 0);
  close(listener), close(client);
  client = socket(AF_UNIX, SOCK_STREAM, 0);
  FAILS(connect_unix(client, "\0ring", 5), ECONNREFUSED);
  close(client);
  // A chain that is deeper than a stack.
  int held[2], next[2];
  FACT(socketpair(AF_UNIX, SOCK_STREAM, 0, held) == 0);
  int depth = 0;
  while (depth < 400 && socketpair(AF_UNIX, SOCK_STREAM, 0, next) == 0 && send_files(next[0], held, 2) == 0) {
    close(held[0]), close(held[1]);
    held[0] = next[0], held[1] = next[1];
    ++depth;
  }
  FACT(depth == 400);
  close(held[0]), close(held[1]);
}

// --- waiting ---

static double seconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec + now.tv_nsec / 1e9;
}

static void waiting(void) {
  int s[2];
  char text[8];
  FACT(socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0);
  struct timeval short_time = {0, 60000}, back = {0};
  socklen_t size = sizeof back;
  FACT(setsockopt(s[0], SOL_SOCKET, SO_RCVTIMEO, &short_time, sizeof short_time) == 0);
  FACT(getsockopt(s[0], SOL_SOCKET, SO_RCVTIMEO, &back, &size) == 0 && back.tv_usec == 60000 && back.tv_sec == 0);
  double start = seconds();
  FAILS(read(s[0], text, 1), EAGAIN);
  FACT(seconds() - start >= 0.06 && seconds() - start < 5);
  // A signal without SA_RESTART ends a wait, one with it does not.
  struct sigaction action = {.sa_handler = count_signal};
  sigaction(SIGALRM, &action, NULL);
  struct itimerval timer = {.it_value = {0, 30000}};
  setitimer(ITIMER_REAL, &timer, NULL);
  FAILS(read(s[1], text, 1), EINTR);
  action.sa_flags = SA_RESTART;
  sigaction(SIGALRM, &action, NULL);
  if (fork() == 0) {
    usleep(90000);
    _exit(write(s[0], "late", 4) != 4);
  }
  setitimer(ITIMER_REAL, &timer, NULL);
  FACT(read(s[1], text, 8) == 4 && signals == 2);
  wait(NULL);
  // Everything that was asked for, in two parts.
  if (fork() == 0) {
    int failed = write(s[0], "ab", 2) != 2;
    usleep(30000);
    _exit(failed + (write(s[0], "cd", 2) != 2));
  }
  FACT(recv(s[1], text, 4, MSG_WAITALL) == 4 && memcmp(text, "abcd", 4) == 0);
  wait(NULL);
  // A writer that waits for room ends with its reader.
  if (fork() == 0) {
    close(s[1]);
    static char much[1 << 20];
    signal(SIGPIPE, SIG_IGN);
    ssize_t sent = write(s[0], much, sizeof much);
    _exit(sent > 0 && sent < (ssize_t)sizeof much && write(s[0], much, 1) < 0 && errno == EPIPE ? 0 : 1);
  }
  close(s[0]);
  struct pollfd begun = {s[1], POLLIN, 0};
  FACT(poll(&begun, 1, -1) == 1);
  close(s[1]);
  int status = -1;
  FACT(wait(&status) > 0 && status == 0);
}

// --- many processes ---

static unsigned mix(unsigned x) { return x * 1664525u + 1013904223u; }

// Sends `count` bytes of a sequence while it checks as many of another.
static int exchange(int fd, unsigned send_seed, unsigned receive_seed, size_t count) {
  static unsigned char out[40000], in[40000];
  size_t sent = 0, received = 0, pending = 0, at = 0;
  fcntl(fd, F_SETFL, O_NONBLOCK);
  while (sent < count || received < count) {
    struct pollfd one = {.fd = fd, .events = (sent < count ? POLLOUT : 0) | (received < count ? POLLIN : 0)};
    if (poll(&one, 1, 10000) <= 0) return 1;
    if (pending == 0 && sent < count) {
      pending = 1 + send_seed % sizeof out;
      if (pending > count - sent) pending = count - sent;
      for (size_t i = 0; i < pending; ++i) out[i] = (send_seed = mix(send_seed)) >> 24;
      at = 0;
    }
    if (one.revents & POLLOUT && pending > 0) {
      ssize_t n = send(fd, out + at, pending, MSG_NOSIGNAL);
      if (n < 0 && errno != EAGAIN) return 2;
      if (n > 0) at += n, pending -= n, sent += n;
    }
    if (one.revents & (POLLIN | POLLHUP)) {
      ssize_t n = read(fd, in, sizeof in);
      if (n == 0 || (n < 0 && errno != EAGAIN)) return 3;
      for (ssize_t i = 0; i < n; ++i)
        if (in[i] != (unsigned char)((receive_seed = mix(receive_seed)) >> 24)) return 4;
      if (n > 0) received += n;
    }
  }
  return 0;
}

// A server that forks for each connection, and clients that all connect at once.
static void serve(int listener, struct sockaddr *address, socklen_t size, int clients, size_t count) {
  FACT(listen(listener, 8) == 0);
  for (int i = 0; i < clients; ++i) {
    if (fork() != 0) continue;
    close(listener);
    int fd = socket(address->sa_family, SOCK_STREAM, 0);
    unsigned seed = i;
    if (connect(fd, address, size) != 0 || write(fd, &seed, 4) != 4) _exit(9);
    _exit(exchange(fd, seed, ~seed, count));
  }
  for (int i = 0; i < clients; ++i) {
    int fd = accept(listener, NULL, NULL);
    if (fork() != 0) {
      close(fd);
      continue;
    }
    close(listener);
    unsigned seed = 0;
    if (recv(fd, &seed, 4, MSG_WAITALL) != 4) _exit(8);
    _exit(exchange(fd, ~seed, seed, count));
  }
  int failed = 0, status = 0;
  while (wait(&status) > 0) failed += status != 0;
  FACT(failed == 0);
  close(listener);
}

static void servers(void) {
  struct sockaddr_un local;
  socklen_t size = unix_address(&local, "server", 7);
  int listener = socket(AF_UNIX, SOCK_STREAM, 0);
  FACT(bind(listener, (struct sockaddr *)&local, size) == 0);
  serve(listener, (struct sockaddr *)&local, size, 20, 300000);
  struct sockaddr_in here = at("127.0.0.1", 0);
  listener = socket(AF_INET, SOCK_STREAM, 0);
  FACT(bind(listener, WITH(here)) == 0);
  here.sin_port = htons(port_of(listener));
  serve(listener, (struct sockaddr *)&here, sizeof here, 20, 300000);
  struct sockaddr_in6 here6 = at6("::1", 0);
  listener = socket(AF_INET6, SOCK_STREAM, 0);
  FACT(bind(listener, WITH(here6)) == 0);
  here6.sin6_port = htons(port_of(listener));
  serve(listener, (struct sockaddr *)&here6, sizeof here6, 5, 300000);
  // Many writers of whole messages to one reader.
  int s[2];
  FACT(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, s) == 0);
  for (int i = 0; i < 10; ++i) {
    if (fork() != 0) continue;
    close(s[1]);
    unsigned message[64];
    for (unsigned n = 0; n < 200; ++n) {
      for (int k = 0; k < 64; ++k) message[k] = i << 16 | n;
      if (write(s[0], message, sizeof message) != sizeof message) _exit(1);
    }
    _exit(0);
  }
  close(s[0]);
  unsigned message[65], next[10] = {0};
  int bad = 0, whole = 0;
  while (read(s[1], message, sizeof message) == 256) {
    ++whole;
    bad += (message[0] & 0xffff) != next[message[0] >> 16]++ || message[63] != message[0];
  }
  FACT(whole == 2000 && bad == 0);
  while (wait(NULL) > 0) {}
  close(s[1]);
}

// Anything at any time, on sockets that all of them share and on new ones, until killed.
static void disturb(unsigned seed, const int *shared) {
  signal(SIGPIPE, SIG_IGN);
  static char data[9000];
  int own[8], count = 0, got[4];
  for (;;) {
    int fd = shared[(seed = mix(seed)) >> 29];
    char name[2] = {0, "abcd"[(seed >> 20) & 3]};
    while (count > 6) close(own[--count]);
    switch ((seed = mix(seed)) >> 28) {
      case 0: case 1: send(fd, data, seed >> 8 & 8191, MSG_DONTWAIT | MSG_NOSIGNAL | (seed & 4 ? MSG_OOB : 0)); break;
      case 2: case 3: recv(fd, data, sizeof data, MSG_DONTWAIT | (seed & 4 ? MSG_OOB : 0) | (seed & 24 ? 0 : MSG_PEEK)); break;
      case 4: send_files(fd, shared, 1 + (seed >> 20 & 7)); break;
      case 5: if (count > 0) send_files(fd, own, count > 3 ? 3 : count); break;
      case 6: for (int n = receive_files(fd, got, 4, MSG_DONTWAIT); n > 0 && count < 8; ) own[count++] = got[--n]; break;
      case 7: if (socketpair(AF_UNIX, SOCK_STREAM, 0, own + count) == 0) count += 2; break;
      case 8: own[count] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
              if (bind_unix(own[count], name, 2) == 0) listen(own[count], 3); ++count; break;
      case 9: own[count] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0); connect_unix(own[count++], name, 2); break;
      case 10: if (count > 0) { fcntl(own[0], F_SETFL, O_NONBLOCK); got[0] = accept(own[0], NULL, NULL);
               if (got[0] >= 0) own[count++] = got[0]; } break;
      case 11: if (count > 0) close(own[--count]); break;
      case 12: if (count > 0) shutdown(own[0], seed >> 20 & 1); break;
      case 13: { struct pollfd two[2] = {{fd, POLLIN | POLLOUT, 0}, {shared[0], POLLIN, 0}}; poll(two, 2, 1); break; }
      case 14: { struct timeval soon = {0, 3000}; setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &soon, sizeof soon);
                 setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &soon, sizeof soon); recv(fd, data, 5000, 0); break; }
      default: if (fork() == 0) { if (seed >> 27 & 1) _exit(0); usleep(1000); _exit(0); } break;
    }
  }
}

static void connected_pair(int *s) {
  struct sockaddr_in any = at("127.0.0.1", 0), name;
  socklen_t size = sizeof name;
  int listener = socket(AF_INET, SOCK_STREAM, 0);
  s[0] = socket(AF_INET, SOCK_STREAM, 0);
  if (bind(listener, WITH(any)) == 0 && listen(listener, 1) == 0) getsockname(listener, (struct sockaddr *)&name, &size);
  connect(s[0], WITH(name));
  s[1] = accept(listener, NULL, NULL);
  close(listener);
}

static void killed(int rounds) {
  int victims = 0;
  for (int round = 0; round < rounds; ++round) {
    int shared[8], children[12];
    socketpair(AF_UNIX, SOCK_STREAM, 0, shared), socketpair(AF_UNIX, SOCK_DGRAM, 0, shared + 2);
    socketpair(AF_UNIX, SOCK_SEQPACKET, 0, shared + 4), connected_pair(shared + 6);
    for (int i = 0; i < 12; ++i) {
      children[i] = fork();
      if (children[i] == 0) {
        signal(SIGCHLD, SIG_IGN);
        disturb(round * 100 + i, shared);
      }
    }
    for (int i = 0; i < 8; ++i) close(shared[i]);
    usleep(100000);
    for (int i = 0; i < 12; ++i) victims += kill(children[i], SIGKILL) == 0;
    while (wait(NULL) > 0) {}
  }
  FACT(victims == rounds * 12);
}

int main(int argc, char **argv) {
  const char *set = argc > 1 ? argv[1] : "";
  if (!strcmp(set, "pairs")) pairs();
  if (!strcmp(set, "messages")) messages();
  if (!strcmp(set, "names")) names();
  if (!strcmp(set, "internet")) internet();
  if (!strcmp(set, "udp")) udp();
  if (!strcmp(set, "bounds")) bounds();
  if (!strcmp(set, "rights")) rights();
  if (!strcmp(set, "cycles")) cycles();
  if (!strcmp(set, "waiting")) waiting();
  if (!strcmp(set, "servers")) servers();
  if (!strcmp(set, "killed")) killed(argc > 2 ? atoi(argv[2]) : 5);
  printf("%d facts, %d wrong\n", facts, wrong);
  return wrong != 0;
}

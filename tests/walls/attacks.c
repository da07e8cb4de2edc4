// The attacks of a hostile install script, by system calls and not by tools that may be missing: static, so that the
// same program runs outside and behind every wall. Prints "reached" or "blocked: why".

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

static int Blocked(const char* why) {
  printf("blocked: %s\n", why);
  return 0;
}

static int Reached(void) {
  puts("reached");
  return 0;
}

// The file holds what the test put there.
static int Read(const char* path, const char* text) {
  char part[4096] = {0};
  const int fd = open(path, O_RDONLY);
  if (fd < 0) return Blocked(strerror(errno));
  const ssize_t size = read(fd, part, sizeof part - 1);
  if (size < 0) return Blocked(strerror(errno));
  return strstr(part, text) != NULL ? Reached() : Blocked("another file");
}

static int Write(const char* path) {
  const int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0755);
  if (fd < 0) return Blocked(strerror(errno));
  return write(fd, "taken", 5) == 5 ? Reached() : Blocked(strerror(errno));
}

static int Variable(const char* text) {
  for (char** variable = environ; *variable != NULL; ++variable) {
    if (strstr(*variable, text) != NULL) return Reached();
  }
  return Blocked("no such variable");
}

// An answer of the server, over TCP or UDP, with or without HTTP.
static int Ask(const char* kind, const char* address, const char* port, const char* question) {
  const struct timeval time = {3, 0};
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((unsigned short)atoi(port))};
  inet_pton(AF_INET, address, &to.sin_addr);
  const int fd = socket(AF_INET, strcmp(kind, "udp") == 0 ? SOCK_DGRAM : SOCK_STREAM, 0);
  if (fd < 0) return Blocked(strerror(errno));
  (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &time, sizeof time);
  (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &time, sizeof time);
  if (connect(fd, (const struct sockaddr*)&to, sizeof to) != 0) return Blocked(strerror(errno));
  if (send(fd, question, strlen(question), 0) < 0) return Blocked(strerror(errno));
  char answer[16] = {0};
  return recv(fd, answer, sizeof answer, 0) > 0 ? Reached() : Blocked(strerror(errno));
}

int main(int argc, char** argv) {
  if (argc == 4 && strcmp(argv[1], "read") == 0) return Read(argv[2], argv[3]);
  if (argc == 3 && strcmp(argv[1], "write") == 0) return Write(argv[2]);
  if (argc == 3 && strcmp(argv[1], "variable") == 0) return Variable(argv[2]);
  if (argc == 5 && strcmp(argv[1], "http") == 0) {
    return Ask("tcp", argv[2], argv[3], "GET / HTTP/1.0\r\nHost: evil.example\r\n\r\n");
  }
  if (argc == 5) return Ask(argv[1], argv[2], argv[3], argv[4]);
  // More rights by a program that gives them; by being root; by becoming it.
  if (argc == 2 && strcmp(argv[1], "effective") == 0) {
    return geteuid() == 0 ? Reached() : Blocked("an ordinary user");
  }
  if (argc == 2 && strcmp(argv[1], "become") == 0) {
    return setuid(0) == 0 && geteuid() == 0 ? Reached() : Blocked(strerror(errno));
  }
  return 2;
}

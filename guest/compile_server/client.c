// Stands for a program in the PATH of a build: has it run by its server, whose socket is in
// $CORDON_COMPILERS under the program's name, or runs it itself if nobody answers.

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "request.h"

static int ask(const char* folder, const char* name) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  const int length =
      snprintf(address.sun_path, sizeof address.sun_path, "%s/%s.socket", folder, name);
  if (length < 0 || (size_t)length >= sizeof address.sun_path) return -1;
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0 || connect(fd, (struct sockaddr*)&address, sizeof address) == 0) return fd;
  close(fd);
  return -1;
}

static uint32_t measure(char** texts, uint32_t* bytes) {
  uint32_t count = 0;
  for (; texts[count] != NULL; ++count) *bytes += (uint32_t)strlen(texts[count]) + 1;
  return count;
}

static int send_all(int fd, const char* from, size_t size) {
  for (size_t done = 0; done < size;) {
    const ssize_t put = send(fd, from + done, size - done, MSG_NOSIGNAL);
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return -1;
    done += (size_t)put;
  }
  return 0;
}

static int send_request(int fd, char** words, char** variables, int directory) {
  const mode_t mask = umask(0);
  umask(mask);
  struct Head head = {.mask = mask};
  head.words = measure(words, &head.bytes);
  head.variables = measure(variables, &head.bytes);
  const int descriptors[kDescriptors] = {0, 1, 2, directory};
  struct iovec part = {&head, sizeof head};
  union {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(sizeof descriptors)];
  } control = {0};
  struct msghdr message = {
      .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
  struct cmsghdr* given = CMSG_FIRSTHDR(&message);
  given->cmsg_level = SOL_SOCKET;
  given->cmsg_type = SCM_RIGHTS;
  given->cmsg_len = CMSG_LEN(sizeof descriptors);
  memcpy(CMSG_DATA(given), descriptors, sizeof descriptors);
  char* text = malloc(head.bytes + 1);
  if (text == NULL || sendmsg(fd, &message, MSG_NOSIGNAL) != sizeof head) return -1;
  char* at = text;
  for (char** word = words; *word != NULL; ++word) at = stpcpy(at, *word) + 1;
  for (char** variable = variables; *variable != NULL; ++variable) at = stpcpy(at, *variable) + 1;
  const int sent = send_all(fd, text, head.bytes);
  free(text);
  return sent;
}

int main(int count, char** words) {
  (void)count;
  const char* slash = strrchr(words[0], '/');
  const char* name = slash == NULL ? words[0] : slash + 1;
  const char* folder = getenv("CORDON_COMPILERS");
  const int directory = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  const int server = folder == NULL || directory < 0 ? -1 : ask(folder, name);
  int status = 0;
  if (server >= 0 && send_request(server, words, environ, directory) == 0 &&
      recv(server, &status, sizeof status, MSG_WAITALL) == sizeof status) {
    if (WIFEXITED(status)) return WEXITSTATUS(status);
    fprintf(stderr, "%s: ended by signal %d\n", name, WTERMSIG(status));
    return 128 + WTERMSIG(status);
  }
  char path[4096];
  snprintf(path, sizeof path, "/usr/bin/%s", name);
  execv(path, words);
  perror(path);
  return 127;
}

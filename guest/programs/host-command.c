// host-command NAME FILE [ARGUMENT…]: a command of the sandbox that somebody outside serves. It is the interpreter that the
// first line of such a command's file names, so NAME stands there and FILE is that file.
//
// Through /dev/cordon/call it says what it was called with, and then does what it is told: reads from its standard input as much as
// is wanted, writes to its standard output and error, ends with a status. So to a shell it is a program as any other: it reads
// nothing that nobody wants, waits for who reads its output, and stops and ends by signals. Frames: src/live/host_frame.h.
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { kCall = 1, kInput = 2, kInputEnd = 3 };
enum { kWant = 1, kOutput = 2, kError = 3, kExit = 4 };
enum { kOwnFailure = 125 };

extern char **environ;

struct frame {
  uint32_t type, bytes;
};

static const char *name = "host-command";
static char piece[128 * 1024];
static int channel;

static void say(const char *what) {
  const char *parts[] = {name, ": ", what, "\n"};
  for (int i = 0; i < 4; ++i) {
    if (write(2, parts[i], strlen(parts[i])) < 0) return;
  }
}

static void fail(const char *what) {
  say(what);
  _exit(kOwnFailure);
}

// False: nobody takes it any more.
static int write_all(int fd, const void *bytes, size_t size) {
  for (const char *at = bytes; size > 0;) {
    const ssize_t done = write(fd, at, size);
    if (done < 0 && errno == EINTR) continue;
    if (done < 0) return 0;
    at += done;
    size -= (size_t)done;
  }
  return 1;
}

static void send_frame(uint32_t type, const void *bytes, uint32_t size) {
  const struct frame frame = {type, size};
  if (!write_all(channel, &frame, sizeof frame) || !write_all(channel, bytes, size)) fail("the host function has gone");
}

static int read_all(void *bytes, size_t size) {
  for (char *at = bytes; size > 0;) {
    const ssize_t done = read(channel, at, size);
    if (done < 0 && errno == EINTR) continue;
    if (done <= 0) return 0;
    at += done;
    size -= (size_t)done;
  }
  return 1;
}

static uint32_t count_of(char *const *strings, size_t *size) {
  uint32_t count = 0;
  for (; strings[count]; ++count) *size += strlen(strings[count]) + 1;
  return count;
}

static char *put(char *at, const char *text) {
  const size_t size = strlen(text) + 1;
  memcpy(at, text, size);
  return at + size;
}

static void send_call(char *const *arguments) {
  char *directory = getcwd(NULL, 0);
  if (!directory) directory = "/";
  size_t size = 2 * sizeof(uint32_t) + strlen(name) + 1 + strlen(directory) + 1;
  const uint32_t counts[] = {count_of(arguments, &size), count_of(environ, &size)};
  char *payload = malloc(size);
  if (!payload) fail("not enough memory");
  memcpy(payload, counts, sizeof counts);
  char *at = put(put(payload + sizeof counts, name), directory);
  for (; *arguments; ++arguments) at = put(at, *arguments);
  for (char **variable = environ; *variable; ++variable) at = put(at, *variable);
  send_frame(kCall, payload, (uint32_t)size);
  free(payload);
}

static void pass_on(int fd, uint32_t bytes) {
  while (bytes > 0) {
    const uint32_t part = bytes < sizeof piece ? bytes : sizeof piece;
    if (!read_all(piece, part)) fail("the host function has gone");
    bytes -= part;
    if (write_all(fd, piece, part)) continue;
    if (errno == EPIPE) {
      // As a program that ignores the signal only where it talks to the host.
      signal(SIGPIPE, SIG_DFL);
      raise(SIGPIPE);
    }
    if (fd == 1) say(strerror(errno));
    _exit(1);
  }
}

// Returns how much of standard input is wanted from now on.
static uint32_t obey(uint32_t wanted) {
  struct frame frame;
  uint32_t number = 0;
  if (!read_all(&frame, sizeof frame)) fail("the host function has gone");
  if (frame.type == kOutput || frame.type == kError) {
    pass_on(frame.type == kOutput ? 1 : 2, frame.bytes);
    return wanted;
  }
  if (frame.bytes != sizeof number || !read_all(&number, sizeof number)) fail("the host function made no sense");
  if (frame.type == kExit) _exit((int)(number & 255));
  return number;
}

static uint32_t give_input(uint32_t wanted) {
  const ssize_t got = read(0, piece, wanted < sizeof piece ? wanted : sizeof piece);
  if (got < 0 && (errno == EINTR || errno == EAGAIN)) return wanted;
  if (got < 0 && errno != EBADF) say(strerror(errno));
  send_frame(got > 0 ? kInput : kInputEnd, piece, got > 0 ? (uint32_t)got : 0);
  return 0;
}

// A channel that somebody has just left is free in a moment.
static int open_channel(void) {
  const struct timespec pause = {0, 2000000};
  for (int tries = 0; tries < 500; ++tries) {
    const int opened = open("/dev/cordon/call", O_RDWR | O_CLOEXEC);
    if (opened > 2) return opened;
    // Called with a closed stream, it must not write its output to the host.
    if (opened >= 0) {
      const int moved = fcntl(opened, F_DUPFD_CLOEXEC, 3);
      close(opened);
      return moved;
    }
    if (errno != EBUSY) fail("no host serves functions here");
    nanosleep(&pause, NULL);
  }
  fail("too many host functions run at once");
  return -1;
}

int main(int argc, char **argv) {
  if (argc > 1) name = argv[1];
  if (argc < 3) fail("this is the interpreter of commands that the host serves");
  channel = open_channel();
  signal(SIGPIPE, SIG_IGN);
  send_call(argv + 3);
  for (uint32_t wanted = 0;;) {
    struct pollfd ready[] = {{channel, POLLIN, 0}, {wanted > 0 ? 0 : -1, POLLIN, 0}};
    if (poll(ready, 2, -1) < 0) {
      if (errno == EINTR) continue;
      fail(strerror(errno));
    }
    // What the host says goes first: it may not want any more.
    if (ready[0].revents != 0) {
      wanted = obey(wanted);
    } else if (ready[1].revents != 0) {
      wanted = give_input(wanted);
    }
  }
}

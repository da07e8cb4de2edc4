// What a hostile program asks of the kernel, by system calls: static, so that the same program runs outside and behind every wall.
// kernel_attacks NAME [ARGUMENT] prints "reached" or "blocked: why"; a filter that ends the process says so by its signal.

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <pty.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

// Each gives -1 with errno where it was refused.

static int Abstract(const char* name) {
  struct sockaddr_un to = {.sun_family = AF_UNIX};
  const size_t size = strlen(name);
  memcpy(to.sun_path + 1, name, size);
  const int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  return fd < 0 ? -1 : connect(fd, (const struct sockaddr*)&to, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + size));
}

static int Descriptor(const char* number) { return fcntl(atoi(number), F_GETFD); }

static int Signal(const char* pid) { return kill(atoi(pid), 0); }

static int Process(const char* pid) {
  char path[64];
  (void)snprintf(path, sizeof path, "/proc/%s/stat", pid);
  return open(path, O_RDONLY);
}

// Into a terminal of its own; the request's upper half is not the kernel's business.
static int Type(unsigned long high) {
  int main_end, other_end;
  if (openpty(&main_end, &other_end, NULL, NULL, NULL) != 0) return -1;
  const pid_t pid = fork();
  if (pid == 0) {
    if (setsid() < 0 || ioctl(other_end, TIOCSCTTY, 0) != 0) _exit(errno);
    _exit(syscall(SYS_ioctl, other_end, TIOCSTI | high, "x") == 0 ? 0 : errno);
  }
  int status = 0;
  (void)waitpid(pid, &status, 0);
  errno = WEXITSTATUS(status);
  return errno == 0 ? 0 : -1;
}
static int TypeLow(const char* unused) { (void)unused; return Type(0); }
static int TypeHigh(const char* unused) { (void)unused; return Type(1UL << 32); }

static int X32(const char* unused) {
  (void)unused;
  return (int)syscall(0x40000000 | SYS_getpid);
}

static int I386(const char* unused) {
  (void)unused;
  long result = 20;  // getpid
  asm volatile("int $0x80" : "+a"(result) : : "memory", "r8", "r9", "r10", "r11");
  errno = (int)-result;
  return result > 0 ? 0 : -1;
}

static int IoUring(const char* unused) {
  char parameters[120] = {0};
  (void)unused;
  return (int)syscall(SYS_io_uring_setup, 1, parameters);
}

// A process that is no child of its own.
static int Trace(const char* unused) {
  (void)unused;
  const pid_t first = fork();
  if (first == 0) for (;;) pause();
  const pid_t second = fork();
  if (second == 0) _exit(ptrace(PTRACE_ATTACH, first, NULL, NULL) == 0 ? 0 : errno);
  int status = 0;
  (void)waitpid(second, &status, 0);
  (void)kill(first, SIGKILL);
  (void)waitpid(first, NULL, 0);
  errno = WEXITSTATUS(status);
  return errno == 0 ? 0 : -1;
}

static int UserNamespace(const char* unused) { (void)unused; return unshare(CLONE_NEWUSER); }

static int UserNamespace3(const char* unused) {
  (void)unused;
  unsigned long arguments[11] = {CLONE_NEWUSER, 0, 0, 0, SIGCHLD};
  const long pid = syscall(SYS_clone3, arguments, sizeof arguments);
  if (pid == 0) _exit(0);
  if (pid > 0) (void)waitpid((pid_t)pid, NULL, 0);
  return (int)pid;
}

static int Keyring(const char* unused) {
  (void)unused;
  return (int)syscall(SYS_keyctl, 0, -3, 1);
}

static int Clock(const char* unused) {
  (void)unused;
  struct timespec now;
  (void)clock_gettime(CLOCK_REALTIME, &now);
  return clock_settime(CLOCK_REALTIME, &now);
}

static int Bpf(const char* unused) {
  (void)unused;
  unsigned attributes[32] = {2, 4, 4, 1};
  return (int)syscall(SYS_bpf, 0, attributes, sizeof attributes);
}

static int Perf(const char* unused) {
  (void)unused;
  unsigned event[32] = {1, 128};
  return (int)syscall(SYS_perf_event_open, event, 0, -1, -1, 0);
}

static int Userfault(const char* unused) { (void)unused; return (int)syscall(SYS_userfaultfd, 0); }

static int Socket(const char* family) { return socket(atoi(family), atoi(family) == AF_ALG ? SOCK_SEQPACKET : atoi(family) == AF_PACKET ? SOCK_RAW : SOCK_STREAM, 0); }

static int Mount(const char* unused) {
  (void)unused;
  const int result = mount("tmpfs", "/var/tmp", "tmpfs", 0, "size=4k");
  return result == 0 ? umount2("/var/tmp", MNT_DETACH) : result;
}

static int Chroot(const char* unused) { (void)unused; return chroot("/"); }

static int OpenForWriting(const char* path) { return open(path, O_WRONLY); }

// Something is in it.
static int Tells(const char* path) {
  char part[64];
  const int fd = open(path, O_RDONLY);
  if (fd < 0) return -1;
  errno = ENODATA;
  return read(fd, part, sizeof part) > 0 ? 0 : -1;
}

static int Handle(const char* unused) {
  (void)unused;
  struct {
    struct file_handle handle;
    unsigned char bytes[128];
  } file = {.handle = {.handle_bytes = 128}};
  int mount_id;
  if (name_to_handle_at(AT_FDCWD, "/", &file.handle, &mount_id, 0) != 0) return -1;
  const int here = open("/", O_RDONLY);
  return open_by_handle_at(here, &file.handle, O_RDONLY);
}

// A program that whoever starts it runs as its owner.
static int Rights(const char* path) {
  const int fd = open(path, O_WRONLY | O_CREAT, 0755);
  if (fd < 0) return -1;
  if (fchmod(fd, 04755) != 0) return -1;
  struct stat stat = {0};
  (void)fstat(fd, &stat);
  errno = EPERM;
  return (stat.st_mode & S_ISUID) != 0 ? 0 : -1;
}

// With 0 the kernel starts what core_pattern pipes to, with 1 nothing (core(5)).
static int Core(const char* unused) {
  (void)unused;
  struct rlimit limit = {0};
  const struct rlimit none = {0};
  // Who may have no more than that already cannot be kept from it.
  if (getrlimit(RLIMIT_CORE, &limit) == 0 && limit.rlim_max == 0) {
    errno = ENODATA;
    return -1;
  }
  if (setrlimit(RLIMIT_CORE, &none) != 0 || getrlimit(RLIMIT_CORE, &limit) != 0) return -1;
  errno = EPERM;
  return limit.rlim_cur == 0 ? 0 : -1;
}

static int First(const char* name) {
  char path[64];
  (void)snprintf(path, sizeof path, "/proc/1/%s", name);
  return open(path, O_RDONLY);
}

static int Debug(const char* unused) {
  (void)unused;
  return (int)syscall(SYS_pidfd_getfd, syscall(SYS_pidfd_open, 1, 0), 0, 0);
}

static const struct {
  const char* name;
  int (*attack)(const char* argument);
} kAttacks[] = {
    {"abstract", Abstract},   {"descriptor", Descriptor},     {"signal", Signal},         {"process", Process},     {"type", TypeLow},
    {"type-high", TypeHigh},  {"x32", X32},                   {"i386", I386},             {"io-uring", IoUring},    {"trace", Trace},
    {"user-ns", UserNamespace}, {"user-ns-3", UserNamespace3}, {"keyring", Keyring},       {"clock", Clock},         {"bpf", Bpf},
    {"perf", Perf},           {"userfault", Userfault},       {"socket", Socket},         {"mount", Mount},         {"chroot", Chroot},
    {"open", OpenForWriting}, {"tells", Tells},               {"handle", Handle},         {"rights", Rights},       {"first", First},
    {"first-fd", Debug},      {"core", Core},
};

int main(int argc, char** argv) {
  for (size_t i = 0; argc >= 2 && i < sizeof kAttacks / sizeof *kAttacks; ++i) {
    if (strcmp(kAttacks[i].name, argv[1]) != 0) continue;
    if (kAttacks[i].attack(argc > 2 ? argv[2] : "") >= 0) {
      puts("reached");
    } else {
      printf("blocked: %s\n", strerror(errno));
    }
    return 0;
  }
  return 2;
}

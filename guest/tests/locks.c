// Locks on records and on whole files: one line for each fact.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

// 0, or -errno. After F_GETLK `found` is what stands in the way.
static struct flock found;
static int lock(int fd, int command, short type, off_t start, off_t size) {
  found = (struct flock){.l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = size};
  return fcntl(fd, command, &found) < 0 ? -errno : 0;
}

static void records(int fd) {
  printf("locked 2 to 5: %d", lock(fd, F_SETLK, F_WRLCK, 2, 4));
  printf(", without 3: %d\n", lock(fd, F_SETLK, F_UNLCK, 3, 1));
  fflush(stdout);
  if (fork() == 0) {
    int own = open("lock", O_RDWR);
    lock(own, F_GETLK, F_WRLCK, 0, 0);
    printf("in the way: type %d, start %d, size %d, of the parent %d\n", found.l_type,
           (int)found.l_start, (int)found.l_len, found.l_pid == getppid());
    printf("at 3: %d", lock(own, F_SETLK, F_WRLCK, 3, 1));
    printf(", at 4: %d", lock(own, F_SETLK, F_WRLCK, 4, 1));
    printf(", reading at 2: %d\n", lock(own, F_SETLK, F_RDLCK, 2, 1));
    fflush(stdout);
    printf("waited: %d\n", lock(own, F_SETLKW, F_WRLCK, 4, 1));
    fflush(stdout);
    _exit(0);
  }
  usleep(50000);
  // Closing any descriptor of the file drops all of the process.
  close(open("lock", O_RDONLY));
  wait(NULL);
}

static void whole_files(void) {
  int a = open("lock", O_RDWR);
  int b = open("lock", O_RDWR);
  printf("flock: %d", flock(a, LOCK_EX));
  printf(", by another description: %d %s", flock(b, LOCK_SH | LOCK_NB), strerror(errno));
  flock(a, LOCK_UN);
  printf(", unlocked: %d", flock(b, LOCK_SH | LOCK_NB));
  printf(", both shared: %d\n", flock(a, LOCK_SH | LOCK_NB));
  printf("of a description: %d", lock(a, F_OFD_SETLK, F_WRLCK, 0, 0));
  printf(", by another: %d\n", lock(b, F_OFD_SETLK, F_WRLCK, 0, 0));
  close(a);
  printf("after its close: %d\n", lock(b, F_OFD_SETLK, F_WRLCK, 0, 0));
  close(b);
}

static void deadlock(int fd) {
  int ends[2];
  char byte = 0;
  if (pipe(ends) != 0) perror("pipe");
  lock(fd, F_SETLK, F_WRLCK, 0, 1);
  if (fork() == 0) {
    lock(fd, F_SETLK, F_WRLCK, 1, 1);
    write(ends[1], "x", 1);
    _exit(lock(fd, F_SETLKW, F_WRLCK, 0, 1) == 0 ? 0 : 1);
  }
  read(ends[0], &byte, 1);
  usleep(50000);
  printf("deadlock: %s\n", lock(fd, F_SETLKW, F_WRLCK, 1, 1) == -EDEADLK ? "noticed" : "missed");
  lock(fd, F_SETLK, F_UNLCK, 0, 0);
  int status = -1;
  wait(&status);
  printf("the other went on: %d\n", status);
}

int main(void) {
  int fd = open("lock", O_RDWR | O_CREAT, 0644);
  if (write(fd, "0123456789", 10) != 10) perror("write");
  records(fd);
  whole_files();
  deadlock(fd);
  return 0;
}

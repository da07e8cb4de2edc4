// What a program for WASI preview 1 sees of the sandbox: one line for each fact.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static void files(void) {
  char text[100] = "";
  FILE* file = fopen("relative.txt", "w");
  fputs("hello\n", file);
  fclose(file);
  file = fopen("/home/user/relative.txt", "r");
  if (file != NULL && fgets(text, sizeof text, file) != NULL) printf("read back: %s", text);
  if (file != NULL) fclose(file);
  struct stat status;
  printf("stat: %d, size %d, file %d\n", stat("relative.txt", &status), (int)status.st_size,
         S_ISREG(status.st_mode));
  int fd = open("relative.txt", O_RDWR | O_APPEND);
  printf("append: %d", (int)write(fd, "more\n", 5));
  printf(", at 2: %d", (int)pread(fd, text, 3, 2));
  printf(" %.3s, end %d", text, (int)lseek(fd, 0, SEEK_END));
  printf(", cut: %d\n", ftruncate(fd, 4));
  close(fd);
  struct timespec times[2] = {{.tv_sec = 1000000}, {.tv_sec = 2000000, .tv_nsec = 5}};
  utimensat(AT_FDCWD, "relative.txt", times, 0);
  stat("relative.txt", &status);
  printf("times: %lld %lld.%ld\n", status.st_atim.tv_sec, status.st_mtim.tv_sec,
         status.st_mtim.tv_nsec);
}

static void names(void) {
  printf("mkdir: %d, again: %d %s\n", mkdir("d", 0777), mkdir("d", 0777), strerror(errno));
  for (int i = 0; i < 300; i++) {
    char name[40];
    snprintf(name, sizeof name, "d/a-rather-long-name-%d", i);
    close(open(name, O_CREAT | O_EXCL | O_WRONLY, 0644));
  }
  int entries = 0;
  DIR* directory = opendir("d");
  while (readdir(directory) != NULL) entries++;
  closedir(directory);
  printf("entries: %d\n", entries);
  printf("rename: %d, link: %d, unlink: %d\n", rename("d/a-rather-long-name-0", "d/x"),
         link("d/x", "y"), unlink("d/x"));
  char target[20] = "";
  printf("symlink: %d, readlink: %d", symlink("y", "z"), (int)readlink("z", target, 19));
  printf(" %s\n", target);
  printf("rmdir of what is not empty: %d %s\n", rmdir("d"), strerror(errno));
  printf("open of nothing: %d %s\n", open("/nonexistent/x", O_RDONLY), strerror(errno));
}

static void time_and_waiting(void) {
  struct timespec now;
  struct timespec before;
  struct timespec after;
  clock_gettime(CLOCK_REALTIME, &now);
  clock_gettime(CLOCK_MONOTONIC, &before);
  struct timespec wait = {.tv_nsec = 30000000};
  nanosleep(&wait, NULL);
  clock_gettime(CLOCK_MONOTONIC, &after);
  double passed = (double)(after.tv_sec - before.tv_sec) + (after.tv_nsec - before.tv_nsec) / 1e9;
  printf("after 2023: %d, slept: %d\n", now.tv_sec > 1700000000, passed >= 0.03 && passed < 5);
  struct pollfd input = {.fd = 0, .events = POLLIN};
  printf("poll of input: %d, %d\n", poll(&input, 1, 1000), input.revents & POLLIN);
  unsigned char random[16] = {0};
  int zeros = 0;
  getentropy(random, sizeof random);
  for (int i = 0; i < 16; i++) zeros += random[i] == 0;
  printf("random: %d\n", zeros < 8);
}

int main(int argc, char** argv) {
  printf("arguments: %d %s\n", argc, argc > 1 ? argv[1] : "none");
  printf("HOME: %s, SECRET: %s\n", getenv("HOME"), getenv("CORDON_SECRET") ? "seen" : "none");
  files();
  names();
  time_and_waiting();
  char line[100];
  while (fgets(line, sizeof line, stdin) != NULL) printf("line: %s", line);
  fprintf(stderr, "to standard error\n");
  return 7;
}

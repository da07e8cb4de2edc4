// What the program sees of its standard descriptors and of its user: one line for each fact.
#include <errno.h>
#include <grp.h>
#include <langinfo.h>
#include <locale.h>
#include <pthread.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <termios.h>
#include <unistd.h>
#include <wchar.h>

static void* nothing(void* unused) {
  return unused;
}

int main(void) {
  for (int fd = 0; fd < 3; fd++) {
    struct winsize size = {0};
    char name[64] = "none";
    int error = ttyname_r(fd, name, sizeof name);
    printf("%d: tty %d, name %s", fd, isatty(fd), error ? strerror(error) : name);
    if (ioctl(fd, TIOCGWINSZ, &size) == 0) printf(", %dx%d", size.ws_col, size.ws_row);
    printf("\n");
  }
  struct termios state;
  if (tcgetattr(0, &state) == 0) {
    printf("canonical %d, echo %d, foreground group is ours %d\n", !!(state.c_lflag & ICANON),
           !!(state.c_lflag & ECHO), tcgetpgrp(0) == getpgrp());
    struct termios raw = state;
    cfmakeraw(&raw);
    printf("raw: %d, restored: %d\n", tcsetattr(0, TCSANOW, &raw), tcsetattr(0, TCSANOW, &state));
  }
  struct passwd* user = getpwuid(getuid());
  struct group* group = getgrgid(getgid());
  printf("user %s, group %s, home %s\n", user ? user->pw_name : "?", group ? group->gr_name : "?",
         user ? user->pw_dir : "?");
  struct utsname system;
  uname(&system);
  printf("system %s, machine %s\n", system.sysname, system.machine);
  struct rlimit limit;
  printf("open files limited: %d\n", getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur > 0);
  setlocale(LC_ALL, "C.UTF-8");
  wchar_t wide[8];
  size_t count = mbstowcs(wide, "é→x", 8);
  printf("locale %s, 3 characters: %d, widths %d\n", nl_langinfo(CODESET), count == 3,
         wcswidth(wide, count));
  pthread_t thread;
  printf("thread: %s\n", strerror(pthread_create(&thread, NULL, nothing, NULL)));
  return 0;
}

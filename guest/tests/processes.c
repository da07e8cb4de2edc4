// fork, exec, wait, pipes, groups: one line for each fact that was seen.
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char** environ;

static void fork_copies_memory(void) {
  static int shared = 1;
  int on_stack = 1;
  fflush(stdout);
  pid_t pid = fork();
  if (pid == 0) {
    shared = 2;
    on_stack = 2;
    _exit(shared + on_stack);
  }
  int status = 0;
  pid_t waited = waitpid(pid, &status, 0);
  printf("fork: waited for the child %s, its sum %d, ours %d\n", waited == pid ? "yes" : "no",
         WEXITSTATUS(status), shared + on_stack);
}

static void pipe_carries_and_ends(void) {
  int ends[2];
  if (pipe(ends) != 0) {
    perror("pipe");
    return;
  }
  fflush(stdout);
  pid_t pid = fork();
  if (pid == 0) {
    close(ends[0]);
    // More than the pipe holds: the writer must wait for the reader.
    char block[1000];
    memset(block, 'x', sizeof block);
    for (int i = 0; i < 300; i++) {
      if (write(ends[1], block, sizeof block) != sizeof block) _exit(1);
    }
    _exit(0);
  }
  close(ends[1]);
  char buffer[4096];
  long total = 0;
  ssize_t n;
  while ((n = read(ends[0], buffer, sizeof buffer)) > 0) total += n;
  int status = 0;
  waitpid(pid, &status, 0);
  printf("pipe: %ld bytes, then end of file %s, writer's status %d\n", total, n == 0 ? "yes" : "no",
         status);
}

static void write_without_reader(void) {
  int ends[2];
  fflush(stdout);
  pid_t pid = fork();
  if (pid == 0) {
    if (pipe(ends) != 0) _exit(1);
    close(ends[0]);
    (void)!write(ends[1], "x", 1);
    _exit(2);
  }
  int status = 0;
  waitpid(pid, &status, 0);
  printf("pipe without reader: killed by signal %d\n", WIFSIGNALED(status) ? WTERMSIG(status) : 0);
}

static void spawn_with_actions(void) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) {
    perror("pipe2");
    return;
  }
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, ends[1], 1);
  char* arguments[] = {"echo", "from", "the child", NULL};
  pid_t pid;
  int error = posix_spawnp(&pid, "echo", &actions, NULL, arguments, environ);
  close(ends[1]);
  char line[64] = "";
  ssize_t n = error == 0 ? read(ends[0], line, sizeof line - 1) : 0;
  if (error == 0) waitpid(pid, NULL, 0);
  printf("posix_spawn: error %d, read %ld: %s\n", error, (long)n, strtok(line, "\n") ?: "");
  char* nothing[] = {"nothing", NULL};
  error = posix_spawn(&pid, "/no/such/program", NULL, NULL, nothing, environ);
  printf("posix_spawn of nothing: %s\n", strerror(error));
}

static void wait_for_nothing(void) {
  errno = 0;
  pid_t pid = wait(NULL);
  printf("wait without children: %d %s\n", (int)pid, strerror(errno));
}

static void exec_replaces(void) {
  fflush(stdout);
  pid_t pid = fork();
  if (pid == 0) {
    char* environment[] = {"GREETING=hi", NULL};
    execle("/bin/sh", "sh", "-c", "echo exec: $GREETING from $0; exit 7", NULL, environment);
    _exit(127);
  }
  int status = 0;
  waitpid(pid, &status, 0);
  printf("exec: status %d\n", WEXITSTATUS(status));
}

static void popen_and_system(void) {
  FILE* stream = popen("echo popen works", "r");
  char line[64] = "";
  if (stream && fgets(line, sizeof line, stream)) printf("%s", line);
  printf("pclose: %d\n", stream ? pclose(stream) : -1);
  printf("system: %d\n", WEXITSTATUS(system("exit 5")));
}

static void groups(void) {
  fflush(stdout);
  pid_t pid = fork();
  if (pid == 0)
    _exit(setsid() == getpid() && getpgrp() == getpid() && getsid(0) == getpid() ? 0 : 1);
  int status = 0;
  waitpid(pid, &status, 0);
  printf("setsid: child leads %s\n", status == 0 ? "yes" : "no");
}

int main(void) {
  fork_copies_memory();
  pipe_carries_and_ends();
  write_without_reader();
  spawn_with_actions();
  wait_for_nothing();
  exec_replaces();
  popen_and_system();
  groups();
  return 0;
}

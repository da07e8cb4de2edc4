// A program that can be frozen: tests/run_host.py makes an image of it. Each line is a fact about a start that goes on.
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../freeze/freeze.c"

#define SIZE (1 << 20)

static int starts;
static char* given_back;
static char* advised;
static char* kept;

static const char* only(const char* at, char letter) {
  for (int i = 0; i < SIZE; ++i) {
    if (at[i] != letter) return "no";
  }
  return "yes";
}

static char* filled(char letter) {
  char* at = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return at == MAP_FAILED ? NULL : memset(at, letter, SIZE);
}

static void memory(void) {
  printf("kept: %s\n", only(kept, 'k'));
  munmap(given_back, SIZE);
  char* again = mmap(given_back, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
  printf("given back and taken again at its place, zero: %s\n", again == given_back ? only(again, 0) : "not there");
  madvise(advised, SIZE, MADV_DONTNEED);
  printf("no longer needed, zero: %s\n", only(advised, 0));
  fflush(stdout);
  int status = 0;
  if (fork() == 0) {
    memset(kept, 'c', SIZE);
    _exit(only(kept, 'c')[0] == 'y' ? 0 : 1);
  }
  wait(&status);
  printf("a child wrote, %d, and the parent has: %s\n", status, only(kept, 'k'));
}

static int go_on(int argc, char** argv, char** envp) {
  if (argc > 1 && strcmp(argv[1], "over") == 0) cordon_start_over();
  printf("start %d, %d arguments, %s, X=%s, program %s\n", ++starts, argc, argv[argc - 1], getenv("X"), program_invocation_name);
  printf("freezing is in the environment: %d %d\n", cordon_freezes(), strncmp(envp[0], "CORDON_FREEZE", 13) == 0);
  memory();
  return 7;
}

int main(int argc, char** argv) {
  (void)argv;
  if (cordon_freezes()) {
    given_back = filled('g');
    advised = filled('a');
    kept = filled('k');
    cordon_freeze(go_on);
  }
  printf("from the beginning, %d arguments, %d starts\n", argc, ++starts);
  return 0;
}

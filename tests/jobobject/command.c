// What a command does in a job object, for tests/run_jobobject.py.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <windows.h>

static char own_path[MAX_PATH];

static int Start(const char* words, PROCESS_INFORMATION* made) {
  char line[MAX_PATH * 2];
  snprintf(line, sizeof line, "\"%s\" %s", own_path, words);
  STARTUPINFOA start = {.cb = sizeof start};
  return CreateProcessA(NULL, line, NULL, NULL, FALSE, 0, NULL, NULL, &start, made);
}

int main(int count, char** words) {
  GetModuleFileNameA(NULL, own_path, sizeof own_path);
  const char* what = count > 1 ? words[1] : "";
  const char* value = count > 2 ? words[2] : "0";
  if (strcmp(what, "exit") == 0) return atoi(value);
  if (strcmp(what, "sleep") == 0) {
    Sleep((DWORD)atoi(value));
    return 0;
  }
  if (strcmp(what, "words") == 0) {
    for (int i = 2; i < count; ++i) printf("[%s]\n", words[i]);
    return 0;
  }
  if (strcmp(what, "variable") == 0) {
    printf("%s\n", getenv(value) == NULL ? "(none)" : getenv(value));
    return 0;
  }
  if (strcmp(what, "copy") == 0) {
    char part[4096];
    size_t size;
    while ((size = fread(part, 1, sizeof part, stdin)) > 0) fwrite(part, 1, size, stdout);
    fputs("error\n", stderr);
    return 0;
  }
  if (strcmp(what, "output") == 0) {
    for (long i = 0; i < atol(value); ++i) {
      if (putchar('x') == EOF) return 3;
    }
    return fflush(stdout) == 0 ? 0 : 3;
  }
  if (strcmp(what, "memory") == 0) {
    char* memory =
        VirtualAlloc(NULL, (SIZE_T)atol(value), MEM_RESERVE | MEM_COMMIT, PAGE_READWRITE);
    puts(memory == NULL ? "refused" : "had it");
    return 0;
  }
  if (strcmp(what, "spin") == 0) {
    for (volatile unsigned long i = 0;; ++i) {
    }
  }
  if (strcmp(what, "processes") == 0) {
    PROCESS_INFORMATION made;
    int started = 0;
    while (started < atoi(value) && Start("sleep 3000", &made)) ++started;
    printf("%d\n", started);
    return 0;
  }
  // A child that outlives this process, if it may, and then says so in a file.
  if (strcmp(what, "leave") == 0) {
    char line[MAX_PATH];
    snprintf(line, sizeof line, "later %s", value);
    PROCESS_INFORMATION made;
    return Start(line, &made) ? 0 : 1;
  }
  if (strcmp(what, "later") == 0) {
    Sleep(2000);
    FILE* file = fopen(value, "w");
    return file == NULL || fputs("alive", file) == EOF || fclose(file) != 0;
  }
  return 99;
}

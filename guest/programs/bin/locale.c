// locale, locale -a, locale -m, locale charmap: the one locale that there is, as the environment names it.
#include <langinfo.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *value_of(const char *name) {
  const char *value = getenv(name);
  return value ? value : "";
}

static void show_all(void) {
  static const char *const kCategories[] = {"LC_CTYPE", "LC_NUMERIC", "LC_TIME",    "LC_COLLATE",   "LC_MONETARY",    "LC_MESSAGES",
                                            "LC_PAPER", "LC_NAME",    "LC_ADDRESS", "LC_TELEPHONE", "LC_MEASUREMENT", "LC_IDENTIFICATION"};
  const char *all = value_of("LC_ALL"), *language = value_of("LANG");
  printf("LANG=%s\n", language);
  for (size_t i = 0; i < sizeof kCategories / sizeof *kCategories; ++i) {
    const char *own = value_of(kCategories[i]);
    // In quotes: what follows from others.
    if (*own && !*all) {
      printf("%s=%s\n", kCategories[i], own);
    } else {
      printf("%s=\"%s\"\n", kCategories[i], *all ? all : *language ? language : "POSIX");
    }
  }
  printf("LC_ALL=%s\n", all);
}

int main(int argc, char **argv) {
  setlocale(LC_ALL, "");
  if (argc == 1) {
    show_all();
  } else if (strcmp(argv[1], "-a") == 0 || strcmp(argv[1], "--all-locales") == 0) {
    puts("C\nC.utf8\nPOSIX");
  } else if (strcmp(argv[1], "-m") == 0 || strcmp(argv[1], "--charmaps") == 0 || strcmp(argv[argc - 1], "charmap") == 0) {
    puts(strcmp(argv[argc - 1], "charmap") == 0 ? nl_langinfo(CODESET) : "UTF-8");
  } else {
    fprintf(stderr, "locale: unknown name \"%s\"\n", argv[argc - 1]);
    return 1;
  }
  return 0;
}

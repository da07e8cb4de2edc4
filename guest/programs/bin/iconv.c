// iconv [-c] [-f FROM] [-t TO] [-o FILE] [FILE…], iconv -l: text from one encoding into another, by the libc's iconv(3). What cannot
// be said in the other encoding ends it with status 1 and its place, or is left out with -c or //IGNORE.
#include <errno.h>
#include <getopt.h>
#include <iconv.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { kPiece = 65536 };

static int leaves_out;
static int by_character;  // the other encoding may lack some
static FILE *out;
static const char *out_name = "standard output";

static void fail(const char *name) {
  fprintf(stderr, "iconv: %s: %s\n", name, strerror(errno));
  exit(1);
}

// //TRANSLIT and //IGNORE are no part of the name of an encoding.
static char *encoding(const char *name) {
  char *plain = strdup(*name ? name : "UTF-8");
  if (!plain) fail(name);
  char *suffix = strstr(plain, "//");
  if (suffix && strstr(suffix, "IGNORE")) leaves_out = 1;
  if (suffix) *suffix = 0;
  return plain;
}

static void put(const char *bytes, size_t size) {
  if (fwrite(bytes, 1, size, out) != size) fail(out_name);
}

static void stop(int at_end, unsigned long long position, const char *what) {
  fflush(out);
  if (at_end) {
    fputs("iconv: incomplete character or shift sequence at end of buffer\n", stderr);
  } else {
    fprintf(stderr, "iconv: %s at position %llu\n", what, position);
  }
  exit(1);
}

// As much of the beginning of `in` as is complete: one character, or all that there is. As iconv(3).
static size_t convert_some(iconv_t way, char **in, size_t *left, char **to, size_t *space) {
  for (size_t given = by_character ? 1 : *left;; ++given) {
    size_t rest = given;
    const size_t done = iconv(way, in, &rest, to, space);
    const int is_incomplete = done == (size_t)-1 && errno == EINVAL && rest == given;
    if (is_incomplete && given < *left) continue;
    *left -= given - rest;
    return done;
  }
}

// Converts what is in `piece`; the rest of an incomplete character is moved to its beginning. Returns the size of that.
static size_t convert(iconv_t way, char *piece, size_t size, unsigned long long before, int is_last) {
  static char room[4 * kPiece];
  char *in = piece;
  size_t left = size;
  while (left > 0) {
    char *to = room;
    size_t space = sizeof room;
    const size_t done = convert_some(way, &in, &left, &to, &space);
    const unsigned long long position = before + (size_t)(in - piece);
    if (done == (size_t)-1) {
      put(room, (size_t)(to - room));
      if (errno == E2BIG) continue;
      if (errno == EINVAL && !is_last) break;
      if (!leaves_out) stop(errno == EINVAL, position, "illegal input sequence");
      ++in;
      --left;
    } else if (done == 0) {
      put(room, (size_t)(to - room));
    } else if (!leaves_out) {
      // The libc would say something else instead.
      stop(0, position, "cannot convert the character that ends");
    }
  }
  memmove(piece, in, left);
  return left;
}

static void convert_file(iconv_t way, FILE *file, const char *name) {
  char piece[kPiece];
  size_t kept = 0, got = 0;
  unsigned long long before = 0;
  iconv(way, NULL, NULL, NULL, NULL);
  while ((got = fread(piece + kept, 1, sizeof piece - kept, file)) > 0) {
    const size_t all = kept + got;
    kept = convert(way, piece, all, before, 0);
    before += all - kept;
  }
  if (ferror(file)) fail(name);
  convert(way, piece, kept, before, 1);
}

int main(int argc, char **argv) {
  static const struct option kOptions[] = {{"from-code", required_argument, NULL, 'f'}, {"to-code", required_argument, NULL, 't'},
                                           {"output", required_argument, NULL, 'o'},    {"list", no_argument, NULL, 'l'},
                                           {"silent", no_argument, NULL, 's'},          {NULL, 0, NULL, 0}};
  static const char *const kKnown[] = {
      "ASCII",       "UTF-8",       "UTF-16",      "UTF-16LE",   "UTF-16BE",    "UTF-32",      "UTF-32LE",    "UTF-32BE",
      "UCS-2",       "UCS-4",       "WCHAR_T",     "ISO-8859-1", "ISO-8859-2",  "ISO-8859-3",  "ISO-8859-4",  "ISO-8859-5",
      "ISO-8859-6",  "ISO-8859-7",  "ISO-8859-8",  "ISO-8859-9", "ISO-8859-10", "ISO-8859-11", "ISO-8859-13", "ISO-8859-14",
      "ISO-8859-15", "ISO-8859-16", "CP1250",      "CP1251",     "CP1252",      "CP1253",      "CP1254",      "CP1255",
      "CP1256",      "CP1257",      "CP1258",      "KOI8-R",     "KOI8-U",      "CP437",       "CP850",       "CP866",
      "EUC-JP",      "SHIFT_JIS",   "ISO-2022-JP", "GB18030",    "GBK",         "GB2312",      "BIG5",        "EUC-KR"};
  const char *from = "", *to = "";
  out = stdout;
  for (int option; (option = getopt_long(argc, argv, "f:t:o:cls", kOptions, NULL)) != -1;) {
    if (option == 'f') {
      from = optarg;
    } else if (option == 't') {
      to = optarg;
    } else if (option == 'o') {
      out_name = optarg;
    } else if (option == 'c') {
      leaves_out = 1;
    } else if (option == 'l') {
      for (size_t i = 0; i < sizeof kKnown / sizeof *kKnown; ++i) printf("%s//\n", kKnown[i]);
      return 0;
    } else if (option == '?') {
      return 1;
    }
  }
  char *from_name = encoding(from), *to_name = encoding(to);
  const iconv_t way = iconv_open(to_name, from_name);
  if (way == (iconv_t)-1) {
    const iconv_t known = iconv_open("UTF-8", from_name);
    fprintf(stderr, "iconv: conversion %s `%s' is not supported\n", known == (iconv_t)-1 ? "from" : "to",
            known == (iconv_t)-1 ? from_name : to_name);
    return 1;
  }
  by_character = strncasecmp(to_name, "utf", 3) != 0 && strncasecmp(to_name, "ucs", 3) != 0 && strcasecmp(to_name, "wchar_t") != 0;
  if (strcmp(out_name, "standard output") != 0 && !(out = fopen(out_name, "we"))) fail(out_name);
  if (optind == argc) convert_file(way, stdin, "standard input");
  for (; optind < argc; ++optind) {
    FILE *file = strcmp(argv[optind], "-") == 0 ? stdin : fopen(argv[optind], "re");
    if (!file) {
      fprintf(stderr, "iconv: cannot open input file `%s': %s\n", argv[optind], strerror(errno));
      return 1;
    }
    convert_file(way, file, argv[optind]);
    if (file != stdin) fclose(file);
  }
  if (fclose(out) != 0) fail(out_name);
  return 0;
}

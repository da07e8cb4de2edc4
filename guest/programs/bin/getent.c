// getent DATABASE [KEY…]: what the files of /etc say, in the form of getent(1): passwd, group, hosts, ahosts, ahostsv4, ahostsv6,
// services, protocols. Exit status: 1 for a database that there is none of, 2 for a key that is not found.
#include <arpa/inet.h>
#include <ctype.h>
#include <grp.h>
#include <netdb.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { kOk = 0, kUnknown = 1, kNotFound = 2 };
enum { kMaxFields = 64, kLine = 4096 };

static int is_number(const char *text) {
  return *text != 0 && strspn(text, "0123456789") == strlen(text);
}

static int show_user(const struct passwd *user) {
  if (!user) return kNotFound;
  printf("%s:%s:%u:%u:%s:%s:%s\n", user->pw_name, user->pw_passwd, (unsigned)user->pw_uid, (unsigned)user->pw_gid, user->pw_gecos,
         user->pw_dir, user->pw_shell);
  return kOk;
}

static int users(const char *key) {
  if (key) return show_user(is_number(key) ? getpwuid((uid_t)strtoul(key, NULL, 10)) : getpwnam(key));
  for (const struct passwd *user; (user = getpwent());) show_user(user);
  return kOk;
}

static int show_group(const struct group *group) {
  if (!group) return kNotFound;
  printf("%s:%s:%u:", group->gr_name, group->gr_passwd, (unsigned)group->gr_gid);
  for (char **member = group->gr_mem; *member; ++member) printf("%s%s", member == group->gr_mem ? "" : ",", *member);
  putchar('\n');
  return kOk;
}

static int groups(const char *key) {
  if (key) return show_group(is_number(key) ? getgrgid((gid_t)strtoul(key, NULL, 10)) : getgrnam(key));
  for (const struct group *group; (group = getgrent());) show_group(group);
  return kOk;
}

// Of /etc/services and its like: the name, its value, other names.
static int split(char *line, char *fields[kMaxFields]) {
  int count = 0;
  line[strcspn(line, "#\n")] = 0;
  for (char *field = strtok(line, " \t"); field && count < kMaxFields; field = strtok(NULL, " \t")) fields[count++] = field;
  return count;
}

// Whether a row is what was asked for: by one of its names, or by its value. "443/tcp" names a protocol too.
static int is_asked(char *const *fields, int count, const char *key) {
  const char *value = fields[1];
  const size_t digits = strspn(value, "0123456789");
  if (strcmp(key, value) == 0 || (strlen(key) == digits && strncmp(key, value, digits) == 0)) return 1;
  const char *protocol = strchr(key, '/');
  const size_t size = protocol ? (size_t)(protocol - key) : strlen(key);
  if (protocol && strcmp(value + digits, protocol) != 0) return 0;
  for (int i = 0; i < count; ++i) {
    if (i != 1 && strlen(fields[i]) == size && strncmp(fields[i], key, size) == 0) return 1;
  }
  return 0;
}

static int rows(const char *path, const char *key) {
  FILE *file = fopen(path, "re");
  char line[kLine];
  int status = key ? kNotFound : kOk;
  while (file && fgets(line, sizeof line, file)) {
    char *fields[kMaxFields];
    const int count = split(line, fields);
    if (count < 2 || (key && !is_asked(fields, count, key))) continue;
    printf("%-21s %s", fields[0], fields[1]);
    for (int i = 2; i < count; ++i) printf(" %s", fields[i]);
    putchar('\n');
    status = kOk;
    if (key) break;
  }
  if (file) fclose(file);
  return status;
}

static int services(const char *key) {
  return rows("/etc/services", key);
}
static int protocols(const char *key) {
  return rows("/etc/protocols", key);
}

// Every address of a name, or the name of an address.
static int addresses(const char *key, int family, int all) {
  struct addrinfo hints = {.ai_family = family, .ai_flags = all ? AI_CANONNAME : 0}, *found = NULL;
  static const struct {
    int type;
    const char *name;
  } kKinds[] = {{SOCK_STREAM, "STREAM"}, {SOCK_DGRAM, "DGRAM"}, {SOCK_RAW, "RAW"}};
  if (!all) hints.ai_socktype = SOCK_STREAM;
  if (getaddrinfo(key, NULL, &hints, &found) != 0) return kNotFound;
  int is_first = 1;
  for (const struct addrinfo *one = found; one; one = one->ai_next) {
    char text[INET6_ADDRSTRLEN];
    if (getnameinfo(one->ai_addr, one->ai_addrlen, text, sizeof text, NULL, 0, NI_NUMERICHOST) != 0) continue;
    if (!all) {
      printf("%-15s %s\n", text, key);
      continue;
    }
    if (one->ai_socktype != SOCK_STREAM) continue;
    for (size_t i = 0; i < sizeof kKinds / sizeof *kKinds; ++i) {
      printf("%-15s %-6s %s\n", text, kKinds[i].name, is_first ? key : "");
      is_first = 0;
    }
  }
  freeaddrinfo(found);
  return kOk;
}

// As /etc/hosts has them.
static int hosts(const char *key) {
  FILE *file = fopen("/etc/hosts", "re");
  char line[kLine];
  int status = key ? kNotFound : kOk;
  while (file && fgets(line, sizeof line, file)) {
    char *fields[kMaxFields];
    const int count = split(line, fields);
    int is_here = !key;
    for (int i = 0; i < count && key; ++i) is_here |= strcmp(fields[i], key) == 0;
    if (count < 2 || !is_here) continue;
    printf("%-15s", fields[0]);
    for (int i = 1; i < count; ++i) printf(" %s", fields[i]);
    putchar('\n');
    status = kOk;
    if (key) break;
  }
  if (file) fclose(file);
  return status == kNotFound ? addresses(key, AF_UNSPEC, 0) : status;
}

static int every_address(const char *key) {
  return key ? addresses(key, AF_UNSPEC, 1) : hosts(key);
}
static int every_v4(const char *key) {
  return key ? addresses(key, AF_INET, 1) : hosts(key);
}
static int every_v6(const char *key) {
  return key ? addresses(key, AF_INET6, 1) : hosts(key);
}

int main(int argc, char **argv) {
  static const struct {
    const char *name;
    int (*show)(const char *key);
  } kDatabases[] = {{"passwd", users},      {"group", groups},      {"hosts", hosts},       {"ahosts", every_address},
                    {"ahostsv4", every_v4}, {"ahostsv6", every_v6}, {"services", services}, {"protocols", protocols}};
  if (argc < 2) {
    fputs("usage: getent DATABASE [KEY...]\n", stderr);
    return kUnknown;
  }
  for (size_t i = 0; i < sizeof kDatabases / sizeof *kDatabases; ++i) {
    if (strcmp(argv[1], kDatabases[i].name) != 0) continue;
    int status = argc == 2 ? kDatabases[i].show(NULL) : kOk;
    for (int at = 2; at < argc; ++at) {
      const int one = kDatabases[i].show(argv[at]);
      if (one != kOk) status = one;
    }
    return status;
  }
  fprintf(stderr, "Unknown database: %s\n", argv[1]);
  return kUnknown;
}

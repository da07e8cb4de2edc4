#include "backend/wasm/detached.h"

#include <dirent.h>
#include <sys/stat.h>

#include <algorithm>
#include <charconv>
#include <string>
#include <string_view>

#include "backend/wasm/process_table.h"

namespace cordon::backend {
namespace {

// Entries of a directory of /proc, or -1.
int CountEntries(const std::string& path) {
  DIR* entries = opendir(path.c_str());
  if (entries == nullptr) return -1;
  int count = 0;
  while (const dirent* entry = readdir(entries)) count += entry->d_name[0] != '.' ? 1 : 0;
  (void)closedir(entries);
  return count;
}

// The field that begins `line`, which it leaves.
std::string_view TakeField(std::string_view* line) {
  line->remove_prefix(std::min(line->find_first_not_of(' '), line->size()));
  const std::string_view field = line->substr(0, line->find(' '));
  line->remove_prefix(field.size());
  return field;
}

// "begin-end rwxp offset device inode path"
bool MayStay(std::string_view line, std::span<const ino_t> live, ino_t code_window) {
  (void)TakeField(&line);
  const std::string_view access = TakeField(&line);
  (void)TakeField(&line);
  (void)TakeField(&line);
  const std::string_view number = TakeField(&line);
  ino_t inode = 0;
  const auto [end, error] = std::from_chars(number.begin(), number.end(), inode);
  if (error != std::errc() || end != number.end() || access.size() != 4) return false;
  // Files of other kinds have numbers of their own.
  const bool is_memory = line.find("/memfd:") != std::string_view::npos;
  if (is_memory && std::ranges::find(live, inode) != live.end()) return false;
  return access[3] != 's' || (is_memory && inode == code_window);
}

}  // namespace

bool IsDetached(pid_t pid, std::span<const ino_t> live, ino_t code_window) {
  const std::string folder = "/proc/" + std::to_string(pid);
  // Not `fd`: whoever is not root may look there only at what can be dumped.
  if (CountEntries(folder + "/task") != 1 || CountEntries(folder + "/fdinfo") != 0) return false;
  const std::string maps = ReadProc((folder + "/maps").c_str());
  if (maps.empty()) return false;
  std::string_view left = maps;
  while (!left.empty()) {
    const size_t size = std::min(left.find('\n'), left.size());
    if (!MayStay(left.substr(0, size), live, code_window)) return false;
    left.remove_prefix(std::min(size + 1, left.size()));
  }
  return true;
}

}  // namespace cordon::backend

#include "net/find_asker.h"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <memory>
#include <string_view>
#include <vector>

#include "base/owned_fd.h"

namespace cordon::net {
namespace {

using Clock = std::chrono::steady_clock;

constexpr size_t kMostProcesses = 4096;
constexpr size_t kMostText = 1 << 20;
constexpr int kMostAbove = 32;

std::string TextOf(const std::string& path) {
  const OwnedFd file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY));
  std::string text;
  std::array<char, 8192> part;
  while (file.valid() && text.size() < kMostText) {
    const ssize_t size = read(file.get(), part.data(), part.size());
    if (size <= 0) break;
    text.append(part.data(), static_cast<size_t>(size));
  }
  return text;
}

std::string Folder(pid_t pid) {
  return "/proc/" + std::to_string(pid);
}

// The names in a folder that are numbers.
std::vector<pid_t> Numbers(const std::string& folder) {
  std::vector<pid_t> numbers;
  const std::unique_ptr<DIR, int (*)(DIR*)> list(opendir(folder.c_str()), closedir);
  while (list) {
    const dirent* entry = readdir(list.get());
    if (entry == nullptr) break;
    const std::string_view name = entry->d_name;
    pid_t number = 0;
    const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), number);
    if (error == std::errc() && end == name.data() + name.size()) numbers.push_back(number);
  }
  return numbers;
}

std::vector<std::string_view> Words(std::string_view line) {
  std::vector<std::string_view> words;
  while (!line.empty()) {
    const size_t begin = std::min(line.find_first_not_of(' '), line.size());
    line.remove_prefix(begin);
    const size_t end = std::min(line.find(' '), line.size());
    if (end > 0) words.push_back(line.substr(0, end));
    line.remove_prefix(end);
  }
  return words;
}

// Of "0100007F:1F90".
int PortOf(std::string_view address) {
  unsigned port = 0;
  const std::string_view text = address.substr(std::min(address.rfind(':') + 1, address.size()));
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port, 16);
  return error == std::errc() ? static_cast<int>(port) : -1;
}

// proc(5), /proc/net/tcp: the second word is the socket's own address, the third the other one's,
// the tenth its inode. An IPv4 flow may be one of an IPv6 socket.
std::string FindSocket(pid_t first, const SocketQuestion& question) {
  const std::string kind = question.is_tcp ? "tcp" : "udp";
  for (const char* version : {"", "6"}) {
    if (!question.is_ipv4 && *version == 0) continue;
    const std::string text = TextOf(Folder(first) + "/net/" + kind + version);
    std::string_view rest = text;
    while (!rest.empty()) {
      const size_t end = std::min(rest.find('\n'), rest.size());
      const std::vector<std::string_view> words = Words(rest.substr(0, end));
      rest.remove_prefix(std::min(end + 1, rest.size()));
      constexpr size_t kInode = 9;
      if (words.size() <= kInode || PortOf(words[1]) != question.source_port) continue;
      const int other = PortOf(words[2]);
      if (other != question.destination_port && (question.is_tcp || other != 0)) continue;
      if (words[kInode] != "0") return "socket:[" + std::string(words[kInode]) + "]";
    }
  }
  return {};
}

std::vector<pid_t> Descendants(pid_t first, Clock::time_point until) {
  std::vector<pid_t> found = {first};
  for (size_t i = 0; i < found.size() && Clock::now() < until; ++i) {
    const std::string tasks = Folder(found[i]) + "/task";
    for (const pid_t task : Numbers(tasks)) {
      const std::string text = TextOf(tasks + "/" + std::to_string(task) + "/children");
      for (const std::string_view word : Words(text)) {
        pid_t pid = 0;
        (void)std::from_chars(word.data(), word.data() + word.size(), pid);
        if (pid > 0 && found.size() < kMostProcesses) found.push_back(pid);
      }
    }
  }
  return found;
}

bool Holds(pid_t pid, const std::string& socket) {
  const std::string folder = Folder(pid) + "/fd";
  return std::ranges::any_of(Numbers(folder), [&](pid_t fd) {
    std::array<char, 64> text;
    const ssize_t size =
        readlink((folder + "/" + std::to_string(fd)).c_str(), text.data(), text.size());
    return size > 0 && socket == std::string_view(text.data(), static_cast<size_t>(size));
  });
}

std::string_view ValueOf(const std::string& variables, std::string_view name) {
  std::string_view rest = variables;
  while (!rest.empty()) {
    const size_t end = std::min(rest.find('\0'), rest.size());
    const std::string_view variable = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    if (variable.size() > name.size() && variable.starts_with(name) && variable[name.size()] == '=')
      return variable.substr(name.size() + 1);
  }
  return {};
}

pid_t ParentOf(pid_t pid) {
  const std::string text = TextOf(Folder(pid) + "/stat");
  const size_t end = text.rfind(')');
  if (end == std::string::npos) return 0;
  const std::vector<std::string_view> words = Words(std::string_view(text).substr(end + 1));
  pid_t parent = 0;
  if (words.size() > 1) {
    (void)std::from_chars(words[1].data(), words[1].data() + words[1].size(), parent);
  }
  return parent;
}

std::string NameOf(pid_t pid) {
  std::string name = TextOf(Folder(pid) + "/comm");
  if (name.ends_with('\n')) name.pop_back();
  return name;
}

// npm, yarn, pnpm and bun run scripts with these variables, cargo a package's build script.
std::string Describe(pid_t found, pid_t first) {
  pid_t pid = found;
  for (int i = 0; i < kMostAbove && pid > 1 && pid != first; ++i, pid = ParentOf(pid)) {
    const std::string variables = TextOf(Folder(pid) + "/environ");
    const std::string_view package = ValueOf(variables, "npm_package_name");
    const std::string_view event = ValueOf(variables, "npm_lifecycle_event");
    if (!package.empty() && !event.empty()) {
      return std::string(event) + " of " + std::string(package);
    }
    const std::string_view crate = ValueOf(variables, "CARGO_PKG_NAME");
    if (!crate.empty() && NameOf(pid).starts_with("build-script")) {
      return "build script of " + std::string(crate);
    }
  }
  return NameOf(found);
}

}  // namespace

std::string FindAsker(pid_t first, const SocketQuestion& question, Clock::time_point until) {
  const std::string socket = FindSocket(first, question);
  if (socket.empty()) return {};
  // The newest first: whoever was just started asks more often than who waits for it.
  const std::vector<pid_t> pids = Descendants(first, until);
  for (auto pid = pids.rbegin(); pid != pids.rend() && Clock::now() < until; ++pid) {
    if (Holds(*pid, socket)) return PlainName(Describe(*pid, first));
  }
  return {};
}

}  // namespace cordon::net

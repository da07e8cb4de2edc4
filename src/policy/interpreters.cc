#include "policy/interpreters.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "base/owned_fd.h"
#include "policy/managers.h"

namespace cordon::policy {
namespace {

constexpr int kMaxLinks = 40;  // as the kernel follows

// Without "#!"; empty for everything else. The kernel reads no more of it.
std::string FirstLine(const std::string& path) {
  std::array<char, 256> start = {};
  const OwnedFd file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  struct stat status = {};
  if (!file.valid() || fstat(file.get(), &status) != 0 || !S_ISREG(status.st_mode)) return {};
  const ssize_t size = read(file.get(), start.data(), start.size());
  const std::string text(start.data(), static_cast<size_t>(std::max<ssize_t>(size, 0)));
  return text.starts_with("#!") ? text.substr(2, text.find('\n') - 2) : std::string();
}

void AddWithLinks(std::string path, std::vector<std::string>* found) {
  for (int i = 0; i < kMaxLinks && std::ranges::find(*found, path) == found->end(); ++i) {
    found->push_back(path);
    std::array<char, 4096> target;
    const ssize_t size = readlink(path.c_str(), target.data(), target.size());
    if (size <= 0) return;
    path = AbsolutePath(path.substr(0, path.rfind('/')),
                        std::string(target.data(), static_cast<size_t>(size)));
  }
}

}  // namespace

std::vector<std::string> InterpretersOf(const std::string& path, const Surroundings& around) {
  std::vector<std::string> found;
  std::string line = FirstLine(path);
  std::ranges::replace(line, '\t', ' ');
  const std::vector<std::string> words = SplitList(line);
  if (words.empty() || !words.front().starts_with('/')) return found;
  AddWithLinks(AbsolutePath("/", words.front()), &found);
  if (words.front().ends_with("/env") && words.size() > 1) {
    const size_t program = words[1] == "-S" && words.size() > 2 ? 2 : 1;
    const std::string named = around.FindProgram(words[program]);
    if (!named.empty()) AddWithLinks(named, &found);
  }
  return found;
}

}  // namespace cordon::policy

#include "backend/native/usage.h"

#include <fcntl.h>
#include <unistd.h>

#include <cstdlib>
#include <sstream>
#include <string>
#include <vector>

#include "base/owned_fd.h"

namespace cordon::backend::native {
namespace {

std::string Read(const std::string& path) {
  const OwnedFd file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  std::string text;
  char part[4096];
  for (ssize_t size; file.valid() && (size = read(file.get(), part, sizeof part)) > 0;) {
    text.append(part, static_cast<size_t>(size));
  }
  return text;
}

uint64_t Kilobytes(const std::string& text, const char* name) {
  const size_t at = text.find(name);
  if (at == std::string::npos) return 0;
  return strtoull(text.c_str() + text.find(':', at) + 1, nullptr, 10);
}

uint64_t MemoryOf(const std::string& folder) {
  const std::string rollup = Read(folder + "/smaps_rollup");
  if (!rollup.empty()) {
    return (Kilobytes(rollup, "Pss_Anon:") + Kilobytes(rollup, "Pss_Shmem:")) << 10;
  }
  // Of one that cannot be looked into.
  const std::string status = Read(folder + "/status");
  return (Kilobytes(status, "RssAnon:") + Kilobytes(status, "RssShmem:")) << 10;
}

// utime, stime, cutime and cstime, the 14th field and those after it.
uint64_t TicksOf(const std::string& folder) {
  const std::string stat = Read(folder + "/stat");
  const size_t name_end = stat.rfind(')');
  if (name_end == std::string::npos) return 0;
  std::istringstream fields(stat.substr(name_end + 1));
  std::string field;
  uint64_t ticks = 0;
  for (int i = 3; i <= 17 && fields >> field; ++i) {
    if (i >= 14) ticks += strtoull(field.c_str(), nullptr, 10);
  }
  return ticks;
}

}  // namespace

Usage MeasureUsage(pid_t first) {
  Usage usage;
  uint64_t ticks = 0;
  std::vector<pid_t> waiting = {first};
  while (!waiting.empty()) {
    const pid_t pid = waiting.back();
    waiting.pop_back();
    const std::string folder = "/proc/" + std::to_string(pid);
    usage.memory_bytes += MemoryOf(folder);
    ticks += TicksOf(folder);
    // A process's children are those of its threads; the first thread has nearly all of them, and
    // those of others come to the first process when that thread ends.
    std::istringstream children(Read(folder + "/task/" + std::to_string(pid) + "/children"));
    for (pid_t child; children >> child;) waiting.push_back(child);
  }
  const auto per_second = static_cast<uint64_t>(sysconf(_SC_CLK_TCK));
  usage.cpu_time = std::chrono::milliseconds(ticks * 1000 / per_second);
  return usage;
}

}  // namespace cordon::backend::native

#include "backend/native/usage.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <memory>
#include <set>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "base/owned_fd.h"

namespace cordon::backend::native {
namespace {

constexpr uint64_t kBlockBytes = 512;  // of st_blocks

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

// Each entry of a folder of /proc whose name is a number.
template <typename Visit>
void ForEachNumber(const std::string& path, const Visit& visit) {
  const std::unique_ptr<DIR, int (*)(DIR*)> folder(opendir(path.c_str()), closedir);
  if (!folder) return;
  while (const dirent* entry = readdir(folder.get())) {
    if (entry->d_name[0] != '.') visit(dirfd(folder.get()), entry->d_name);
  }
}

struct MemorySum {
  uint64_t own = 0;
  uint64_t shared_mapped = 0;
  std::set<ino_t> files;  // in memory, without a name; all are of one file system
  uint64_t file_bytes = 0;

  void AddMapped(const std::string& folder) {
    const std::string rollup = Read(folder + "/smaps_rollup");
    if (!rollup.empty()) {
      own += Kilobytes(rollup, "Pss_Anon:") << 10;
      shared_mapped += Kilobytes(rollup, "Pss_Shmem:") << 10;
      return;
    }
    // Of one that cannot be looked into.
    const std::string status = Read(folder + "/status");
    own += Kilobytes(status, "RssAnon:") << 10;
    shared_mapped += Kilobytes(status, "RssShmem:") << 10;
  }

  // memfd_create(2): what was written there need not be mapped by anybody.
  void AddOpen(const std::string& folder) {
    ForEachNumber(folder + "/fd", [this](int fds, const char* number) {
      constexpr std::string_view kMemoryFile = "/memfd:";
      std::array<char, kMemoryFile.size()> target;
      struct stat stat = {};
      const ssize_t size = readlinkat(fds, number, target.data(), target.size());
      if (size == ssize_t{kMemoryFile.size()} && std::ranges::equal(target, kMemoryFile) &&
          fstatat(fds, number, &stat, 0) == 0 && files.insert(stat.st_ino).second) {
        file_bytes += static_cast<uint64_t>(stat.st_blocks) * kBlockBytes;
      }
    });
  }
};

struct Times {
  uint64_t began = 0;
  uint64_t own = 0;       // ticks
  uint64_t children = 0;  // of those that it waited for
};

// utime, stime, cutime, cstime and starttime: the 14th field and those after it, and the 22nd.
Times TimesOf(const std::string& folder) {
  const std::string stat = Read(folder + "/stat");
  const size_t name_end = stat.rfind(')');
  Times times;
  if (name_end == std::string::npos) return times;
  std::istringstream fields(stat.substr(name_end + 1));
  std::string field;
  for (int i = 3; i <= 22 && fields >> field; ++i) {
    const uint64_t value = strtoull(field.c_str(), nullptr, 10);
    if (i == 14 || i == 15) times.own += value;
    if (i == 16 || i == 17) times.children += value;
    if (i == 22) times.began = value;
  }
  return times;
}

}  // namespace

Usage UsageMeter::Measure(pid_t first, Memory counted, uint64_t segments_bytes) {
  MemorySum memory;
  uint64_t ticks = 0;
  std::map<Process, uint64_t> before;
  std::swap(before, ticks_);
  std::vector<pid_t> waiting = {first};
  while (!waiting.empty()) {
    const pid_t pid = waiting.back();
    waiting.pop_back();
    const std::string folder = "/proc/" + std::to_string(pid);
    if (counted == Memory::kCount) {
      memory.AddMapped(folder);
      memory.AddOpen(folder);
    }
    const Times times = TimesOf(folder);
    ticks += times.own + times.children;
    ticks_[{pid, times.began}] = times.own;
    // A process's children are those of its threads.
    ForEachNumber(folder + "/task", [&](int, const char* thread) {
      std::istringstream children(Read(folder + "/task/" + thread + "/children"));
      for (pid_t child; children >> child;) waiting.push_back(child);
    });
  }
  uint64_t seen = 0;
  for (const auto& [process, own] : ticks_) seen += own;
  for (const auto& [process, own] : before) {
    if (!ticks_.contains(process)) ticks_of_ended_ += own;
  }
  ticks = std::max(ticks, seen + ticks_of_ended_);
  const auto per_second = static_cast<uint64_t>(sysconf(_SC_CLK_TCK));
  // What is open, or a segment, may be what is mapped.
  const uint64_t shared = std::max(memory.shared_mapped, memory.file_bytes + segments_bytes);
  return {.memory_bytes = memory.own + shared,
          .cpu_time = std::chrono::milliseconds(ticks * 1000 / per_second)};
}

}  // namespace cordon::backend::native

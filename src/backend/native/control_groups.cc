#include "backend/native/control_groups.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <memory>

namespace cordon::backend::native {
namespace {

constexpr const char* kTop = "/sys/fs/cgroup";
constexpr const char* kPrefix = "cordon-";
constexpr const char* kProcessorTime = "/cpuacct.usage";
constexpr int kPeriodUs = 100'000;
constexpr int kRemovals = 50;
constexpr useconds_t kRemovalPauseUs = 1000;

std::string Read(const std::string& path) {
  const OwnedFd file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  std::array<char, 4096> text;
  const ssize_t size = file.valid() ? read(file.get(), text.data(), text.size()) : 0;
  return {text.data(), static_cast<size_t>(size > 0 ? size : 0)};
}

bool Write(const std::string& path, const std::string& text) {
  const OwnedFd file(open(path.c_str(), O_WRONLY | O_CLOEXEC));
  return file.valid() &&
         write(file.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size());
}

// The path of this process's group in the hierarchy whose line has `:controllers:`.
std::string OwnPath(const std::string& groups, const std::string& controllers) {
  const std::string key = ":" + controllers + ":";
  for (size_t begin = 0; begin < groups.size();) {
    const size_t end = std::min(groups.find('\n', begin), groups.size());
    const std::string line = groups.substr(begin, end - begin);
    const size_t first = line.find(':');
    const size_t second = line.find(':', first + 1);
    if (second != std::string::npos) {
      const std::string list = "," + line.substr(first + 1, second - first - 1) + ",";
      if (line.find(key) == first || list.find("," + controllers + ",") != std::string::npos) {
        const std::string path = line.substr(second + 1);
        return path == "/" ? "" : path;
      }
    }
    begin = end + 1;
  }
  return "?";
}

uint64_t Number(const std::string& text, const std::string& name) {
  const size_t at = text.find(name + " ");
  return at == std::string::npos ? 0 : strtoull(text.c_str() + at + name.size() + 1, nullptr, 10);
}

std::string Quota(double cpus) {
  return std::to_string(static_cast<int64_t>(cpus * kPeriodUs));
}

// The first process of the sandbox is not the command's.
std::string Processes(const policy::LimitPlan& limits) {
  return std::to_string(*limits.processes + 1);
}

// Groups that a killed keeper left. Reading the folder costs more than is lost by a few of them, so
// every sixteenth sandbox does it. A group with processes cannot be removed.
void RemoveLeftGroups(const std::string& parent) {
  constexpr pid_t kEvery = 16;
  if (getpid() % kEvery != 0) return;
  const std::unique_ptr<DIR, int (*)(DIR*)> folder(opendir(parent.c_str()), closedir);
  if (!folder) return;
  while (const dirent* entry = readdir(folder.get())) {
    const std::string name = entry->d_name;
    if (!name.starts_with(kPrefix)) continue;
    const auto pid = static_cast<pid_t>(strtol(name.c_str() + strlen(kPrefix), nullptr, 10));
    if (pid > 0 && kill(pid, 0) != 0 && errno == ESRCH) {
      (void)unlinkat(dirfd(folder.get()), entry->d_name, AT_REMOVEDIR);
    }
  }
}

}  // namespace

ControlGroups ControlGroups::Make(const policy::LimitPlan& limits) {
  ControlGroups made;
  if (!limits.memory_bytes && !limits.processes && !limits.cpus && !limits.cpu_time) return made;
  const std::string groups = Read("/proc/self/cgroup");
  const size_t unified = groups.rfind("0::/", 0) == 0 ? 0 : groups.find("\n0::/");
  if (unified != std::string::npos) {
    const size_t begin = groups.find("::", unified) + 2;
    const std::string own = groups.substr(begin, groups.find('\n', begin) - begin);
    if (made.MakeUnified(limits, own == "/" ? "" : own)) return made;
  }
  made.MakeSeparate(limits, groups);
  return made;
}

bool ControlGroups::MakeFolder(const std::string& parent) {
  RemoveLeftGroups(parent);
  const std::string folder = parent + "/" + kPrefix + std::to_string(getpid());
  if (mkdir(folder.c_str(), 0755) != 0) {
    // Of an earlier process with this number that was killed; it has no processes any more.
    if (errno != EEXIST || rmdir(folder.c_str()) != 0 || mkdir(folder.c_str(), 0755) != 0) {
      return false;
    }
  }
  folders_.push_back(folder);
  return true;
}

// Beside this process's group or below it, whichever hands the controllers on.
bool ControlGroups::MakeUnified(const policy::LimitPlan& limits, const std::string& own) {
  const std::string base = kTop + own;
  for (const std::string& parent : {base, own.empty() ? "" : base.substr(0, base.rfind('/'))}) {
    const std::string given = " " + Read(parent + "/cgroup.subtree_control") + " ";
    const auto has = [&](const char* name) {
      const size_t at = given.find(std::string(" ") + name);
      return at != std::string::npos &&
             (given[at + 1 + strlen(name)] == ' ' || given[at + 1 + strlen(name)] == '\n');
    };
    if (parent.empty() || !has("memory") || !has("pids") || (limits.cpus && !has("cpu"))) continue;
    if (!MakeFolder(parent)) continue;
    const std::string& folder = folders_.back();
    bool is_set = true;
    if (limits.memory_bytes) {
      is_set = Write(folder + "/memory.max", std::to_string(*limits.memory_bytes));
      // Where the host has no swap there is nothing to limit.
      (void)Write(folder + "/memory.swap.max", "0");
    }
    if (limits.processes) is_set = is_set && Write(folder + "/pids.max", Processes(limits));
    if (limits.cpus) {
      is_set = is_set &&
               Write(folder + "/cpu.max", Quota(*limits.cpus) + " " + std::to_string(kPeriodUs));
    }
    unified_.reset(open(folder.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (is_set && unified_.valid()) {
      holds_memory_ = limits.memory_bytes.has_value();
      holds_processes_ = limits.processes.has_value();
      holds_processors_ = limits.cpus.has_value();
      memory_events_ = folder + "/memory.events";
      memory_peak_ = folder + "/memory.peak";
      process_events_ = folder + "/pids.events";
      processor_time_ = folder + "/cpu.stat";
      return true;
    }
    unified_.reset();
    (void)rmdir(folder.c_str());
    folders_.pop_back();
  }
  return false;
}

bool ControlGroups::MakeOne(const char* controller, const std::string& groups,
                            const std::vector<std::pair<const char*, std::string>>& settings) {
  const std::string own = OwnPath(groups, controller);
  if (own == "?" || !MakeFolder(std::string(kTop) + "/" + controller + own)) return false;
  const std::string& folder = folders_.back();
  OwnedFd tasks(open((folder + "/tasks").c_str(), O_WRONLY | O_CLOEXEC));
  bool is_set = tasks.valid();
  for (const auto& [file, text] : settings) {
    is_set = is_set && Write(folder + "/" + file, text);
  }
  if (!is_set) {
    (void)rmdir(folder.c_str());
    folders_.pop_back();
    return false;
  }
  tasks_.push_back(std::move(tasks));
  return true;
}

void ControlGroups::MakeSeparate(const policy::LimitPlan& limits, const std::string& groups) {
  if (limits.memory_bytes) {
    const std::string bytes = std::to_string(*limits.memory_bytes);
    holds_memory_ = MakeOne("memory", groups, {{"memory.limit_in_bytes", bytes}});
    if (holds_memory_) {
      // Only where the kernel counts swap.
      (void)Write(folders_.back() + "/memory.memsw.limit_in_bytes", bytes);
      memory_events_ = folders_.back() + "/memory.oom_control";
      memory_peak_ = folders_.back() + "/memory.max_usage_in_bytes";
    }
  }
  if (limits.processes) {
    holds_processes_ = MakeOne("pids", groups, {{"pids.max", Processes(limits)}});
    if (holds_processes_) process_events_ = folders_.back() + "/pids.events";
  }
  if (limits.cpus) {
    holds_processors_ = MakeOne("cpu", groups,
                                {{"cpu.cfs_period_us", std::to_string(kPeriodUs)},
                                 {"cpu.cfs_quota_us", Quota(*limits.cpus)}});
  }
  // Where it is one hierarchy with `cpu`, that group counts.
  if (limits.cpu_time && holds_processors_ &&
      access((folders_.back() + kProcessorTime).c_str(), R_OK) == 0) {
    processor_time_ = folders_.back() + kProcessorTime;
  } else if (limits.cpu_time && MakeOne("cpuacct", groups, {})) {
    processor_time_ = folders_.back() + kProcessorTime;
  }
}

Status ControlGroups::Enter() const {
  for (const OwnedFd& tasks : tasks_) {
    if (write(tasks.get(), "0", 1) != 1) return SystemError("write(cgroup tasks, \"0\")");
  }
  return {};
}

bool ControlGroups::RanOutOfMemory() const {
  return holds_memory_ && Number(Read(memory_events_), "oom_kill") > 0;
}

bool ControlGroups::RanOutOfProcesses() const {
  return holds_processes_ && Number(Read(process_events_), "max") > 0;
}

std::optional<std::chrono::milliseconds> ControlGroups::ProcessorTime() const {
  const std::string text = processor_time_.empty() ? std::string() : Read(processor_time_);
  if (text.empty()) return std::nullopt;
  using std::chrono::duration_cast;
  using std::chrono::milliseconds;
  if (unified_.valid()) {
    const std::chrono::microseconds used(Number(text, "usage_usec"));
    return duration_cast<milliseconds>(used);
  }
  const std::chrono::nanoseconds used(strtoll(text.c_str(), nullptr, 10));
  return duration_cast<milliseconds>(used);
}

std::optional<uint64_t> ControlGroups::PeakMemory() const {
  const std::string text = holds_memory_ ? Read(memory_peak_) : std::string();
  if (text.empty()) return std::nullopt;
  return strtoull(text.c_str(), nullptr, 10);
}

std::string ControlGroups::name() const {
  if (unified_.valid()) return "cgroup v2";
  return holds_memory_ || holds_processes_ || holds_processors_ ? "cgroup v1" : "no cgroup";
}

ControlGroups::~ControlGroups() {
  unified_.reset();
  tasks_.clear();
  for (const std::string& folder : folders_) {
    // A process that was reaped leaves its group a little later.
    for (int i = 0; i < kRemovals && rmdir(folder.c_str()) != 0 && errno == EBUSY; ++i) {
      usleep(kRemovalPauseUs);
    }
  }
}

}  // namespace cordon::backend::native

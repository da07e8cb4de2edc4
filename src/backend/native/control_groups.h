#ifndef CORDON_BACKEND_NATIVE_CONTROL_GROUPS_H_
#define CORDON_BACKEND_NATIVE_CONTROL_GROUPS_H_

// Limits of all processes together, where the host lets this user make control groups: version 2
// where the controllers are, or version 1. Otherwise they are somebody else's to enforce.

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/owned_fd.h"
#include "policy/plan.h"

namespace cordon::backend::native {

class ControlGroups {
 public:
  // Makes what can be made; what is held says the object.
  [[nodiscard]] static ControlGroups Make(const policy::LimitPlan& limits);
  ControlGroups() = default;
  ControlGroups(ControlGroups&&) = default;
  ControlGroups& operator=(ControlGroups&&) = delete;
  ControlGroups(const ControlGroups&) = delete;
  ControlGroups& operator=(const ControlGroups&) = delete;
  // After the last process has been reaped.
  ~ControlGroups();

  [[nodiscard]] bool holds_memory() const { return holds_memory_; }
  [[nodiscard]] bool holds_processes() const { return holds_processes_; }
  [[nodiscard]] bool holds_processors() const { return holds_processors_; }
  // For CLONE_INTO_CGROUP; -1 without version 2.
  [[nodiscard]] int unified_fd() const { return unified_.get(); }
  // By a process without other threads, for itself: into the groups of version 1. Nobody is to be
  // locked for that, which takes ten milliseconds.
  [[nodiscard]] Status Enter() const;
  // The kernel ended somebody inside for want of memory.
  [[nodiscard]] bool RanOutOfMemory() const;
  // The kernel refused somebody inside a further process.
  [[nodiscard]] bool RanOutOfProcesses() const;
  // Of all processes that were ever inside, where a group counts it.
  [[nodiscard]] std::optional<std::chrono::milliseconds> ProcessorTime() const;
  // The most that was used at a time, where they hold memory.
  [[nodiscard]] std::optional<uint64_t> PeakMemory() const;
  [[nodiscard]] std::string name() const;

 private:
  bool MakeUnified(const policy::LimitPlan& limits, const std::string& own);
  void MakeSeparate(const policy::LimitPlan& limits, const std::string& groups);
  bool MakeFolder(const std::string& parent);
  bool MakeOne(const char* controller, const std::string& groups,
               const std::vector<std::pair<const char*, std::string>>& settings);

  std::vector<std::string> folders_;
  std::vector<OwnedFd> tasks_;
  OwnedFd unified_;
  std::string memory_events_;
  std::string memory_peak_;
  std::string process_events_;
  std::string processor_time_;  // of version 1 if it is a number alone
  bool holds_memory_ = false;
  bool holds_processes_ = false;
  bool holds_processors_ = false;
};

}  // namespace cordon::backend::native

#endif  // CORDON_BACKEND_NATIVE_CONTROL_GROUPS_H_

#include "cli/limits_report.h"

#include "base/units.h"
#include "kernel/control.h"

namespace cordon::cli {
namespace {

struct LimitName {
  control::Limit bit;
  const char* name;
};

constexpr LimitName kLimits[] = {
    {control::kLimitWallTime, "wall time"}, {control::kLimitCpuTime, "cpu time"},
    {control::kLimitMemory, "memory"},      {control::kLimitProcesses, "processes"},
    {control::kLimitFiles, "files"},        {control::kLimitFileBytes, "disk"},
    {control::kLimitOutput, "output"},
};

std::string ValueOf(control::Limit bit, const backend::SandboxLimits& limits) {
  switch (bit) {
    case control::kLimitWallTime:
      return FormatDuration(limits.wall_time.value_or(std::chrono::milliseconds(0)));
    case control::kLimitCpuTime:
      return FormatDuration(limits.cpu_time.value_or(std::chrono::milliseconds(0)));
    case control::kLimitMemory:
      return FormatSize(limits.memory_bytes);
    case control::kLimitProcesses:
      return std::to_string(limits.max_processes);
    case control::kLimitFiles:
      return std::to_string(limits.max_files);
    case control::kLimitFileBytes:
      return FormatSize(limits.file_bytes);
    case control::kLimitOutput:
      return FormatSize(limits.output_bytes);
  }
  return {};
}

}  // namespace

const char* EndName(backend::End end) {
  using backend::End;
  switch (end) {
    case End::kExited:
      return "exited";
    case End::kSignal:
      return "signal";
    case End::kWallTime:
      return "wall time";
    case End::kCpuTime:
      return "cpu time";
    case End::kMemory:
      return "memory";
    case End::kInterrupted:
      return "interrupted";
    case End::kNotFound:
      return "not found";
    case End::kNotRun:
      return "not run";
    case End::kBefore:
      return "pre-run command";
    case End::kNetwork:
      return "network";
    case End::kBroken:
      return "sandbox ended";
  }
  return "";
}

std::string LimitLines(const backend::RunReport& report, const backend::SandboxLimits& limits) {
  std::string lines;
  for (const auto& [bit, name] : kLimits) {
    if ((report.limits_met & bit) == 0) continue;
    lines += std::string("cordon: limit ") + name + " " + ValueOf(bit, limits) + "\n";
  }
  return lines;
}

std::vector<std::string> LimitNames(uint32_t limits_met) {
  std::vector<std::string> names;
  for (const auto& [bit, name] : kLimits) {
    if ((limits_met & bit) != 0) names.emplace_back(name);
  }
  return names;
}

}  // namespace cordon::cli

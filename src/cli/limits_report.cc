#include "cli/limits_report.h"

#include <fcntl.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

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

Status Write(const OwnedFd& file, const nlohmann::ordered_json& json) {
  const std::string text =
      json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
  if (write(file.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size())) {
    return SystemError("write(report)");
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

Status WriteReport(const OwnedFd& file, const backend::RunReport& report) {
  nlohmann::ordered_json limits_met = nlohmann::json::array();
  for (const auto& [bit, name] : kLimits) {
    if ((report.limits_met & bit) != 0) limits_met.push_back(name);
  }
  const nlohmann::ordered_json json = {
      {"end", EndName(report.end)},
      {"reason", report.reason},
      {"exit_code", report.exit_code},
      {"signal", report.signal},
      {"limits_met", limits_met},
      {"truncated", report.truncated},
      {"wall_us", report.wall_time.count()},
      {"cpu_us", report.cpu_time.count()},
      {"memory_peak_bytes", report.memory_peak_bytes},
      {"processes_started", report.processes_started},
      {"processes_peak", report.processes_peak},
      {"file_bytes", report.file_bytes},
      {"input_bytes", report.input_bytes},
      {"output_bytes", report.output_bytes},
      {"error_bytes", report.error_bytes},
      {"namespaces", report.isolation.ToString()},
  };
  return Write(file, json);
}

Result<OwnedFd> OpenReport(const std::string& path) {
  const OwnedFd file(
      open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644));
  if (!file.valid()) return SystemError("open(" + path + ", O_NOFOLLOW)");
  // Never the number of a stream that the caller has closed: the command would get it.
  OwnedFd moved(fcntl(file.get(), F_DUPFD_CLOEXEC, STDERR_FILENO + 1));
  if (!moved.valid()) return SystemError("fcntl(F_DUPFD_CLOEXEC)");
  return moved;
}

Status WriteReport(const OwnedFd& file, const backend::PlanReport& report,
                   const std::string& network_log) {
  nlohmann::ordered_json json = {
      {"end", EndName(report.end)},
      {"reason", report.reason},
      {"exit_code", report.exit_code},
      {"limits_by", report.limits_by},
      {"output_dropped", report.output_dropped},
      {"not_taken", report.not_taken},
  };
  // How often each host was asked for, or null: no network, or nobody knows what it was.
  json["network"] = nullptr;
  if (report.network) {
    json["network"] = {{"allowed", report.network->allowed},
                       {"refused", report.network->refused},
                       {"more", report.network->more},
                       {"log", network_log}};
  }
  return Write(file, json);
}

}  // namespace cordon::cli

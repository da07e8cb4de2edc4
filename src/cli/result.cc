#include "cli/result.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <initializer_list>
#include <nlohmann/json.hpp>
#include <string_view>

#include "base/write_all.h"
#include "cli/complain.h"
#include "cli/limits_report.h"
#include "kernel/control.h"

namespace cordon::cli {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kRunFields[] = {
#define RESULT_FIELD(name, type, text) #name,
#include "cli/result_fields.def"
};
constexpr const char* kInstallFields[] = {
#define INSTALL_FIELD(name, type, text) #name,
#include "cli/result_fields.def"
};

// Every member of the table, in its order.
template <size_t kCount>
Json Blank(const char* const (&fields)[kCount]) {
  Json json;
  for (const char* field : fields) json[field] = nullptr;
  return json;
}

// What is no member of the table cannot be said: `at` throws, and a test sees it.
void Fill(Json& json, std::initializer_list<std::pair<const char*, Json>> values) {
  for (const auto& [name, value] : values) json.at(name) = value;
}

std::string Line(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

Json OrNull(const std::optional<uint64_t>& number) {
  return number ? Json(*number) : Json();
}

Json TextsOf(const std::vector<Error>& errors) {
  Json texts = Json::array();
  for (const Error& error : errors) texts.push_back(error.ToString());
  return texts;
}

Json LimitsMet(const backend::PlanReport& report) {
  using End = backend::End;
  Json met = Json::array();
  if (report.end == End::kWallTime || report.end == End::kCpuTime || report.end == End::kMemory) {
    met.push_back(EndName(report.end));
  }
  if (report.memory_was_short && report.end != End::kMemory) met.push_back("memory");
  if (report.processes_were_short) met.push_back("processes");
  if (report.output_dropped) met.push_back("output");
  return met;
}

Json NetworkOf(const backend::PlanReport& report, const std::string& log) {
  if (!report.network) return {};
  return {{"allowed", report.network->allowed},
          {"refused", report.network->refused},
          {"by", report.network->by},
          {"more", report.network->more},
          {"log", log}};
}

// Never the number of a stream that the caller has closed: the command would get it.
Result<OwnedFd> AboveStreams(int fd) {
  OwnedFd moved(fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1));
  if (!moved.valid()) return SystemError("fcntl(F_DUPFD_CLOEXEC)");
  return moved;
}

}  // namespace

std::string ResultText(const backend::RunReport& report, const std::vector<std::string>& command) {
  Json json = Blank(kRunFields);
  Fill(json, {{"end", EndName(report.end)},
              {"exit_code", report.exit_code},
              {"signal", report.signal},
              {"reason", report.reason},
              {"errors", Json::array()},
              {"wall", "wasm"},
              {"command", command},
              {"wall_us", report.wall_time.count()},
              {"cpu_us", report.cpu_time.count()},
              {"memory_peak_bytes", report.memory_peak_bytes},
              {"processes_started", report.processes_started},
              {"processes_peak", report.processes_peak},
              {"file_bytes", report.file_bytes},
              {"input_bytes", report.input_bytes},
              {"output_bytes", report.output_bytes},
              {"error_bytes", report.error_bytes},
              {"truncated", report.truncated},
              {"limits_met", LimitNames(report.limits_met)},
              {"not_taken", report.not_copied},
              {"namespaces", report.isolation.ToString()}});
  return Line(json);
}

std::string ResultText(const backend::PlanReport& report, const policy::Plan& plan,
                       const std::string& network_log) {
  Json json = Blank(kRunFields);
  Fill(json, {{"end", EndName(report.end)},
              {"exit_code", report.exit_code},
              {"signal", report.signal},
              {"reason", report.reason},
              {"errors", Json::array()},
              {"wall", policy::WallName(plan.wall)},
              {"command", plan.argv},
              {"profile", plan.decision.profile},
              {"rule", plan.decision.rule},
              {"plan", policy::PlanHash(plan)},
              {"wall_us", report.wall_time.count()},
              {"memory_peak_bytes", OrNull(report.memory_peak_bytes)},
              {"output_bytes", OrNull(report.output_bytes)},
              {"error_bytes", OrNull(report.error_bytes)},
              {"truncated", report.output_dropped},
              {"limits_met", LimitsMet(report)},
              {"limits_by", report.limits_by},
              {"network", NetworkOf(report, network_log)},
              {"not_taken", report.not_taken}});
  if (report.cpu_time) Fill(json, {{"cpu_us", report.cpu_time->count()}});
  return Line(json);
}

std::string ResultText(const CommandResult& ended, const std::vector<std::string>& command) {
  using backend::End;
  const bool is_late = ended.error_class == "TIMEOUT";
  const End end = is_late ? End::kWallTime : ended.signal != 0 ? End::kSignal : End::kExited;
  Json json = Blank(kRunFields);
  Fill(json, {{"end", EndName(end)},
              {"exit_code", ended.exit_code},
              {"signal", ended.signal},
              {"reason", ended.error_class},
              {"errors", Json::array()},
              {"wall", "wasm"},
              {"command", command},
              {"wall_us", static_cast<int64_t>(ended.execution_time_ms * 1000)},
              {"cpu_us", static_cast<int64_t>(ended.usage.cpu_ms * 1000)},
              {"memory_peak_bytes", ended.usage.memory_peak_bytes},
              {"processes_started", ended.usage.processes},
              {"output_bytes", ended.usage.stdout_bytes},
              {"error_bytes", ended.usage.stderr_bytes},
              {"truncated", ended.out_truncated || ended.err_truncated},
              {"limits_met", is_late ? Json::array({EndName(End::kWallTime)}) : Json::array()}});
  return Line(json);
}

std::string ResultText(const std::vector<Error>& refusals, int exit_code) {
  Json json = Blank(kRunFields);
  Fill(json, {{"end", "refused"},
              {"exit_code", exit_code},
              {"signal", 0},
              {"reason", refusals.empty() ? "" : refusals.front().ToString()},
              {"errors", TextsOf(refusals)}});
  return Line(json);
}

std::string ResultText(const InstallResult& result) {
  Json commands = Json::array();
  for (const std::string& command : result.commands) commands.push_back(Json::parse(command));
  Json lockfiles = Json::array();
  for (const InstalledLockfile& lockfile : result.lockfiles) {
    lockfiles.push_back(
        {{"file", lockfile.file}, {"sha256", lockfile.sha256}, {"state", lockfile.state}});
  }
  Json json = Blank(kInstallFields);
  Fill(json, {{"exit_code", result.exit_code},
              {"manager", result.manager},
              {"errors", TextsOf(result.refusals)},
              {"commands", commands},
              {"lockfiles", lockfiles}});
  return Line(json);
}

int PrintAsJson(const std::function<std::string(int* exit_code)>& run) {
  const Result<OwnedFd> out = AboveStreams(STDOUT_FILENO);
  if (!out) return Refuse(out.error());
  if (dup2(STDERR_FILENO, STDOUT_FILENO) < 0) return Refuse(SystemError("dup2").error());
  int exit_code = 0;
  const std::string line = run(&exit_code) + "\n";
  const Status written = WriteAll(out->get(), line, "result");
  return written ? exit_code : Refuse(written.error());
}

int RunAsJson(const std::function<int(RunOutcome*)>& run) {
  return PrintAsJson([&run](int* exit_code) {
    RunOutcome outcome;
    *exit_code = run(&outcome);
    const bool is_told = !outcome.result.empty() && outcome.refusals.empty();
    return is_told ? outcome.result : ResultText(outcome.refusals, *exit_code);
  });
}

Result<OwnedFd> OpenReport(const std::string& path) {
  const OwnedFd file(
      open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644));
  if (!file.valid()) return SystemError("open(" + path + ", O_NOFOLLOW)");
  return AboveStreams(file.get());
}

Status WriteReport(const OwnedFd& file, const std::string& result) {
  return WriteAll(file.get(), Json::parse(result).dump(2) + "\n", "result");
}

}  // namespace cordon::cli

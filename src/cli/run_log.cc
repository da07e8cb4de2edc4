#include "cli/run_log.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "base/owned_fd.h"
#include "cli/limits_report.h"
#include "cli/network_log.h"

namespace cordon::cli {
namespace {

constexpr off_t kLong = 16 << 20;

// Without the C library's, which reads the machine's time zone first.
std::string Now() {
  namespace chrono = std::chrono;
  const auto now = chrono::floor<chrono::seconds>(chrono::system_clock::now());
  const auto day = chrono::floor<chrono::days>(now);
  const chrono::year_month_day date(day);
  const chrono::hh_mm_ss time(now - day);
  char text[64] = {};
  (void)snprintf(text, sizeof text, "%04d-%02u-%02uT%02d:%02d:%02dZ", static_cast<int>(date.year()),
                 static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                 static_cast<int>(time.hours().count()), static_cast<int>(time.minutes().count()),
                 static_cast<int>(time.seconds().count()));
  return text;
}

OwnedFd Open(const std::string& path) {
  return OwnedFd(open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600));
}

}  // namespace

std::string RunLogPath(const policy::Surroundings& around) {
  const std::string folder = StateFolder(around);
  return folder.empty() ? folder : folder + "/run.log";
}

void AppendRunLog(const policy::Surroundings& around, const policy::Plan& plan,
                  const backend::PlanReport& report) {
  const std::string path = RunLogPath(around);
  if (path.empty()) return;
  OwnedFd file = Open(path);
  if (!file.valid() && MakeStateFolder(around)) file = Open(path);
  if (!file.valid()) return;
  const nlohmann::ordered_json line = {
      {"time", Now()},
      {"wall", policy::WallName(plan.wall)},
      {"profile", plan.decision.profile},
      {"directory", plan.workspace.root},
      {"command", plan.argv},
      {"end", EndName(report.end)},
      {"exit_code", report.exit_code},
      {"reason", report.reason},
  };
  const std::string text =
      line.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
  (void)!write(file.get(), text.data(), text.size());
  struct stat stat = {};
  if (fstat(file.get(), &stat) == 0 && stat.st_size > kLong) {
    (void)rename(path.c_str(), (path + ".1").c_str());
  }
}

}  // namespace cordon::cli

// The command line: cordon run …

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>
#include <string>
#include <vector>

#include "backend/wasm/keeper.h"
#include "kernel/control.h"

namespace cordon {
namespace {

constexpr int kOwnFailure = 125;

std::string ProgramFolder() {
  char path[4096];
  const ssize_t size = readlink("/proc/self/exe", path, sizeof path);
  const std::string text(path, size > 0 ? static_cast<size_t>(size) : 0);
  return text.substr(0, text.rfind('/'));
}

struct Options {
  std::string script;
  std::vector<std::string> command;
  std::vector<std::string> environment;
  std::vector<std::string> copy_in;
  std::vector<std::string> copy_out;
  std::string directory = "/home/user";
  std::string timeout;
  std::string report;
  uint64_t memory = uint64_t{1} << 30;
  uint64_t disk = uint64_t{256} << 20;
  uint64_t output = uint64_t{64} << 20;
  uint64_t files = 100'000;
  uint64_t processes = 256;
};

// "10s", "500ms", "2m", "1h" or seconds.
Result<std::chrono::milliseconds> ParseDuration(const std::string& text) {
  size_t used = 0;
  double value = 0;
  try {
    value = std::stod(text, &used);
  } catch (const std::exception&) {
    used = 0;
  }
  const std::string unit = text.substr(used);
  const double scale = unit == "ms"                  ? 1
                       : unit.empty() || unit == "s" ? 1000
                       : unit == "m"                 ? 60'000
                       : unit == "h"                 ? 3'600'000
                                                     : 0;
  if (used == 0 || scale == 0 || !(value > 0) || value * scale > 1e12) {
    return Fail(ErrorCode::kInvalid, "not a duration: '" + text + "' (10s, 500ms, 2m, 1h)",
                "--timeout");
  }
  return std::chrono::milliseconds(static_cast<int64_t>(value * scale));
}

Result<std::vector<backend::CopyRequest>> ParseCopies(const std::vector<std::string>& texts,
                                                      const char* option) {
  std::vector<backend::CopyRequest> copies;
  for (const std::string& text : texts) {
    const size_t colon = text.find(':');
    if (colon == std::string::npos || colon == 0 || colon + 1 == text.size()) {
      return Fail(ErrorCode::kInvalid, "expected FROM:TO, got '" + text + "'", option);
    }
    copies.push_back({text.substr(0, colon), text.substr(colon + 1)});
  }
  return copies;
}

Result<backend::RunRequest> MakeRequest(const Options& options) {
  backend::RunRequest request;
  request.programs = ProgramFolder();
  request.directory = options.directory;
  if (!options.script.empty()) request.arguments = {"bash", "-c", options.script};
  request.arguments.insert(request.arguments.end(), options.command.begin(), options.command.end());
  if (request.arguments.empty())
    return Fail(ErrorCode::kInvalid, "nothing to run: give -c SCRIPT or -- PROGRAM ARGS");
  request.environment = {"PATH=/usr/local/bin:/usr/bin:/bin",
                         "HOME=/home/user",
                         "USER=user",
                         "LOGNAME=user",
                         "SHELL=/bin/bash",
                         "LANG=C.UTF-8",
                         "PWD=" + options.directory};
  for (const std::string& variable : options.environment) {
    if (variable.find('=') == std::string::npos || variable[0] == '=') {
      return Fail(ErrorCode::kInvalid, "expected NAME=VALUE, got '" + variable + "'", "--env");
    }
    request.environment.push_back(variable);
  }
  if (!options.timeout.empty()) {
    auto duration = ParseDuration(options.timeout);
    if (!duration) return std::unexpected(duration.error());
    request.limits.wall_time = *duration;
  }
  request.limits.memory_bytes = options.memory;
  request.limits.file_bytes = options.disk;
  request.limits.output_bytes = options.output;
  request.limits.max_files = options.files;
  request.limits.max_processes = options.processes;
  auto copy_in = ParseCopies(options.copy_in, "--copy-in");
  auto copy_out = ParseCopies(options.copy_out, "--copy-out");
  if (!copy_in) return std::unexpected(copy_in.error());
  if (!copy_out) return std::unexpected(copy_out.error());
  request.copy_in = *copy_in;
  request.copy_out = *copy_out;
  return request;
}

std::string Size(uint64_t bytes) {
  constexpr const char* kUnits[] = {"B", "KiB", "MiB", "GiB"};
  int unit = 0;
  while (unit < 3 && bytes >= 1024 && bytes % 1024 == 0) bytes /= 1024, ++unit;
  return std::to_string(bytes) + " " + kUnits[unit];
}

void ReportLimits(const backend::RunReport& report, const Options& options) {
  const struct {
    control::Limit limit;
    std::string text;
  } rows[] = {
      {control::kLimitWallTime, "wall time " + options.timeout},
      {control::kLimitMemory, "memory " + Size(options.memory)},
      {control::kLimitProcesses, "processes " + std::to_string(options.processes)},
      {control::kLimitFiles, "files " + std::to_string(options.files)},
      {control::kLimitFileBytes, "disk " + Size(options.disk)},
      {control::kLimitOutput, "output " + Size(options.output)},
  };
  for (const auto& row : rows) {
    if ((report.limits_met & row.limit) != 0)
      fprintf(stderr, "cordon: limit %s\n", row.text.c_str());
  }
}

Status WriteReport(const std::string& path, const backend::RunReport& report) {
  FILE* file = fopen(path.c_str(), "we");
  if (file == nullptr) return SystemError("open(" + path + ")");
  const auto number = [](uint64_t value) { return static_cast<unsigned long long>(value); };
  fprintf(file,
          "{\"exit_code\": %d, \"signal\": %d, \"timed_out\": %s, \"truncated\": %s, "
          "\"limits_met\": %u, \"cpu_us\": %llu, "
          "\"wall_us\": %llu, \"processes_started\": %llu, \"processes_peak\": %llu, "
          "\"memory_peak_bytes\": %llu, "
          "\"input_bytes\": %llu, \"output_bytes\": %llu, \"error_bytes\": %llu}\n",
          report.exit_code, report.signal, report.timed_out ? "true" : "false",
          report.truncated ? "true" : "false", report.limits_met, number(report.cpu_us),
          number(report.wall_us), number(report.processes_started), number(report.processes_peak),
          number(report.memory_peak_bytes), number(report.input_bytes), number(report.output_bytes),
          number(report.error_bytes));
  if (fclose(file) != 0) return SystemError("write(" + path + ")");
  return {};
}

int Run(const Options& options) {
  const Result<backend::RunRequest> request = MakeRequest(options);
  if (!request) {
    fprintf(stderr, "cordon: %s\n", request.error().ToString().c_str());
    return kOwnFailure;
  }
  const Result<backend::RunReport> report = backend::RunCommand(*request);
  if (!report) {
    fprintf(stderr, "cordon: %s\n", report.error().ToString().c_str());
    return kOwnFailure;
  }
  ReportLimits(*report, options);
  if (!options.report.empty()) {
    const Status written = WriteReport(options.report, *report);
    if (!written) {
      fprintf(stderr, "cordon: %s\n", written.error().ToString().c_str());
      return kOwnFailure;
    }
  }
  return report->exit_code;
}

}  // namespace
}  // namespace cordon

int main(int argc, char** argv) try {
  CLI::App app("Runs commands that nobody vouches for.", "cordon");
  app.require_subcommand(1);
  cordon::Options options;
  CLI::App* run = app.add_subcommand("run", "run a command in a sandbox of its own");
  const CLI::AsSizeValue size(false);
  run->add_option("-c", options.script, "a script for bash");
  run->add_option("--env", options.environment, "NAME=VALUE for the command")
      ->allow_extra_args(false);
  run->add_option("--cwd", options.directory, "directory to start in");
  run->add_option("--timeout", options.timeout, "wall time: 10s, 500ms, 2m");
  run->add_option("--memory", options.memory, "memory of all processes")->transform(size);
  run->add_option("--disk", options.disk, "bytes of files")->transform(size);
  run->add_option("--max-files", options.files, "number of files");
  run->add_option("--max-procs", options.processes, "number of processes")
      ->check(CLI::Range(1, 1000));
  run->add_option("--max-output", options.output, "bytes of each output stream")->transform(size);
  run->add_option("--copy-in", options.copy_in, "HOST:GUEST before the start")
      ->allow_extra_args(false);
  run->add_option("--copy-out", options.copy_out, "GUEST:HOST after the end")
      ->allow_extra_args(false);
  run->add_option("--report", options.report, "file for a JSON report");
  run->add_option("command", options.command, "program and arguments, after --");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    const int status = app.exit(error);
    return status == 0 ? 0 : cordon::kOwnFailure;
  }
  const int status = cordon::Run(options);
  // The thread that reads standard input may still sleep there: nobody waits for it.
  fflush(stdout);
  fflush(stderr);
  _exit(status);
} catch (const std::exception& error) {
  fprintf(stderr, "cordon: %s\n", error.what());
  return cordon::kOwnFailure;
}

#include "cli/run_command.h"

#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "backend/wasm/run.h"
#include "base/units.h"
#include "cli/command_line.h"
#include "cli/complain.h"
#include "cli/limits_report.h"
#include "cli/programs.h"
#include "cli/progress.h"
#include "cli/raw_terminal.h"
#include "cli/result.h"
#include "cli/run_plan.h"
#include "cli/variable.h"

namespace cordon::cli {
namespace {

constexpr const char* kHome = "/home/user";

// As they were written; checked when the request is made, so that all errors look alike.
struct Options {
  std::string script;
  std::string run_module;
  std::string python;
  std::vector<std::string> modules;
  std::vector<std::string> command;
  std::vector<std::string> environment;
  std::vector<std::string> copy_in;
  std::vector<std::string> copy_out;
  std::string directory = kHome;
  std::string timeout;
  std::string cpu_time;
  std::string memory = "1GiB";
  std::string disk = "256MiB";
  std::string output = "64MiB";
  std::string report;
  uint64_t files = 100'000;
  uint64_t processes = 256;
  bool is_shell = false;
  bool verbose = false;
  bool check_kernel = false;
};

void AddSandboxOptions(Command& command, Options& options) {
  command.AddOption("--module", options.modules,
                    "a program compiled to WebAssembly, placed on the PATH");
  command.AddOption("-e,--env", options.environment, "NAME=VALUE for the command");
  command.AddOption("--cwd", options.directory, "directory to start in");
  command.AddOption("--timeout", options.timeout, "wall time: 10s, 500ms, 2m");
  command.AddOption("--cpu-time", options.cpu_time, "processor time of all processes");
  command.AddOption("--memory", options.memory, "memory of all processes (1GiB)");
  command.AddOption("--disk", options.disk, "bytes of files (256MiB)");
  command.AddOption("--max-files", options.files, "number of files (100000)")
      .Within(16, 10'000'000);
  command.AddOption("--max-procs", options.processes, "number of processes (256)").Within(2, 1000);
  command.AddOption("--max-output", options.output, "bytes of each output stream (64MiB)");
  command.AddOption("--copy-in", options.copy_in, "HOST:GUEST, before the start");
  command.AddOption("--copy-out", options.copy_out, "GUEST:HOST, after the end");
  command.AddOption("--report", options.report, "file for a report in JSON");
  command.AddFlag("--check-kernel", options.check_kernel,
                  "verify the kernel's data after the command (for tests)");
  command.AddFlag("-v,--verbose", options.verbose, "say what stands around the command");
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

Result<backend::SandboxLimits> ParseLimits(const Options& options) {
  backend::SandboxLimits limits;
  limits.max_files = options.files;
  limits.max_processes = options.processes;
  struct Size {
    const std::string* text;
    const char* option;
    uint64_t* value;
  };
  for (const Size& size : {Size{&options.memory, "--memory", &limits.memory_bytes},
                           Size{&options.disk, "--disk", &limits.file_bytes},
                           Size{&options.output, "--max-output", &limits.output_bytes}}) {
    const Result<uint64_t> bytes = ParseSize(*size.text, size.option);
    if (!bytes) return std::unexpected(bytes.error());
    *size.value = *bytes;
  }
  struct Time {
    const std::string* text;
    const char* option;
    std::optional<std::chrono::milliseconds>* value;
  };
  for (const Time& time : {Time{&options.timeout, "--timeout", &limits.wall_time},
                           Time{&options.cpu_time, "--cpu-time", &limits.cpu_time}}) {
    if (time.text->empty()) continue;
    const auto duration = ParseDuration(*time.text, time.option);
    if (!duration) return std::unexpected(duration.error());
    *time.value = *duration;
  }
  return limits;
}

// Nothing of the host's environment is among it, but the kind of terminal.
Result<std::vector<std::string>> MakeEnvironment(const Options& options) {
  std::vector<std::string> variables = {"PATH=/usr/local/bin:/usr/bin:/bin",
                                        std::string("HOME=") + kHome,
                                        "USER=user",
                                        "LOGNAME=user",
                                        "SHELL=/bin/bash",
                                        "LANG=C.UTF-8",
                                        "PWD=" + options.directory};
  // The one thing of the host's environment that a program needs to draw on its terminal.
  const char* terminal = getenv("TERM");
  if (terminal != nullptr && RawTerminal::IsThere())
    variables.push_back(std::string("TERM=") + terminal);
  for (const std::string& variable : options.environment) {
    Result<std::pair<std::string, std::string>> parsed = ParseVariable(variable);
    if (!parsed) return std::unexpected(parsed.error());
    const std::string name = parsed->first + "=";
    std::erase_if(variables, [&](const std::string& old) { return old.starts_with(name); });
    variables.push_back(variable);
  }
  return variables;
}

Result<backend::Module> LoadShowingProgress(const std::string& path, const std::string& compiler) {
  Progress progress("compiling " + path);
  return backend::LoadModule(path, compiler,
                             [&](size_t done, size_t total) { progress.SetParts(done, total); });
}

std::string NameIn(const std::string& path) {
  return path.substr(path.rfind('/') + 1);
}

// A file of the host for Python, which finds it in its home; "-" is standard input.
std::string PlaceOfPython(const Options& options) {
  return options.python == "-" ? "-" : std::string(kHome) + "/" + NameIn(options.python);
}

// Arguments after -- belong to whatever the options name.
std::vector<std::string> CommandOf(const Options& options) {
  std::vector<std::string> command;
  if (options.is_shell) return {"bash"};
  if (!options.script.empty()) {
    command = {"bash", "-c", options.script};
  } else if (!options.run_module.empty()) {
    command = {NameIn(options.run_module)};
  } else if (!options.python.empty()) {
    command = {"python3", PlaceOfPython(options)};
  }
  command.insert(command.end(), options.command.begin(), options.command.end());
  return command;
}

Result<backend::RunRequest> MakeRequest(const Options& options) {
  backend::RunRequest request;
  request.has_terminal = RawTerminal::IsThere();
  const Result<Programs> programs = Programs::Find();
  if (!programs) return std::unexpected(programs.error());
  request.template_path = programs->template_program;
  request.userland_path = programs->userland;
  request.directory = options.directory;
  request.arguments = CommandOf(options);
  std::vector<std::string> modules = options.modules;
  if (!options.run_module.empty()) modules.push_back(options.run_module);
  for (const std::string& path : modules) {
    Result<backend::Module> module = LoadShowingProgress(path, programs->compiler);
    if (!module) return std::unexpected(module.error());
    if (options.verbose) {
      for (const std::string& name : backend::UnknownImports(*module)) {
        Complain(
            Error{ErrorCode::kUnsupported, "unknown import " + name + " (a call traps)", path});
      }
    }
    request.modules.push_back(std::move(*module));
  }
  if (request.arguments.empty() || request.arguments[0].empty()) {
    return Fail(ErrorCode::kInvalid, "nothing to run: give -c SCRIPT or -- PROGRAM ARGS");
  }
  auto environment = MakeEnvironment(options);
  if (!environment) return std::unexpected(environment.error());
  request.environment = std::move(*environment);
  auto limits = ParseLimits(options);
  if (!limits) return std::unexpected(limits.error());
  request.limits = *limits;
  request.check_kernel = options.check_kernel;
  auto copy_in = ParseCopies(options.copy_in, "--copy-in");
  if (!copy_in) return std::unexpected(copy_in.error());
  request.copy_in = std::move(*copy_in);
  if (!options.python.empty() && options.python != "-")
    request.copy_in.push_back({options.python, PlaceOfPython(options)});
  auto copy_out = ParseCopies(options.copy_out, "--copy-out");
  if (!copy_out) return std::unexpected(copy_out.error());
  request.copy_out = std::move(*copy_out);
  return request;
}

Result<int> Execute(const Options& options, const backend::RunRequest& request,
                    RunOutcome* outcome) {
  OwnedFd report_file;
  if (!options.report.empty()) {
    Result<OwnedFd> opened = OpenReport(options.report);
    if (!opened) return std::unexpected(opened.error());
    report_file = std::move(*opened);
  }
  std::optional<RawTerminal> terminal;
  if (request.has_terminal) terminal.emplace();
  const Result<backend::RunReport> report = backend::RunCommand(request);
  // Before anything is printed.
  terminal.reset();
  if (!report) return std::unexpected(report.error());
  if (options.verbose) Complain("namespaces: " + report->isolation.ToString());
  if (!report->reason.empty()) Complain(report->reason);
  for (const std::string& path : report->not_copied) {
    Complain(path + ": not copied: neither file, directory nor link");
  }
  (void)fputs(LimitLines(*report, request.limits).c_str(), stderr);
  if (outcome == nullptr && !report_file.valid()) return report->exit_code;
  const std::string result = ResultText(*report, request.arguments);
  if (outcome != nullptr) outcome->result = result;
  if (report_file.valid()) CORDON_TRY(WriteReport(report_file, result));
  return report->exit_code;
}

// The outcome is null where nobody asks for it.
int Run(const Options& options, RunOutcome* outcome = nullptr) {
  const Result<backend::RunRequest> request = MakeRequest(options);
  const Result<int> exit_code =
      request ? Execute(options, *request, outcome) : Result<int>(std::unexpected(request.error()));
  if (exit_code) return *exit_code;
  Complain(exit_code.error());
  if (outcome != nullptr) outcome->refusals.push_back(exit_code.error());
  return backend::kOwnFailure;
}

}  // namespace

void AddRunCommand(Command& app, std::span<const std::string> words, std::function<int()>* chosen) {
  auto options = std::make_shared<Options>();
  Command run = app.AddCommand("run", "run a command in a sandbox of its own");
  run.DescribeNamed(words);
  const Option script =
      run.AddOption("-c", options->script, "a script for bash; arguments after -- are its own");
  run.AddOption("--run-module", options->run_module,
                "run a program compiled to WebAssembly; arguments after --");
  run.AddOption("--python", options->python,
                "a file for Python, or - for standard input; arguments after -- are its own")
      .Excludes(script);
  AddSandboxOptions(run, *options);
  run.AddOption("command", options->command, "program and arguments, after --");
  auto planned = std::make_shared<PlannedRun>();
  AddPlanOptions(run, *planned);
  run.Footer(
      "cordon run -c 'seq 1 100 | paste -sd+ | bc'\ncordon run --wall native -- make test\n"
      "cordon run --shadow -- ./agent.sh && cordon diff\n"
      "cordon run --wall bwrap --report report.json -- npm test");
  run.OnCall([options, planned, run, chosen] {
    planned->request.argv = options->command;
    planned->environment = options->environment;
    planned->verbose = options->verbose;
    planned->report = options->report;
    // A script and a module are the wasm wall's own.
    const bool is_wasm = run.IsGiven("-c") || run.IsGiven("--run-module");
    if (!WantsPlan(*planned, is_wasm ? Input::kScript : Input::kProgram)) {
      *chosen = [options, planned] {
        if (!planned->json) return Run(*options);
        return RunAsJson([&](RunOutcome* outcome) { return Run(*options, outcome); });
      };
      return;
    }
    for (const char* name : {"-c", "--run-module", "--module", "--cwd", "--timeout", "--cpu-time",
                             "--memory", "--disk", "--max-files", "--max-procs", "--max-output",
                             "--copy-in", "--copy-out", "--check-kernel"}) {
      if (run.IsGiven(name)) planned->foreign_option = name;
    }
    *chosen = [planned] { return RunPlanned(*planned); };
  });
}

void AddShellCommand(Command& app, std::function<int()>* chosen) {
  auto options = std::make_shared<Options>();
  options->is_shell = true;
  Command shell = app.AddCommand("sh", "an interactive shell in a sandbox of its own");
  AddSandboxOptions(shell, *options);
  shell.Footer("cordon sh\ncordon sh --copy-in ./src:/tmp/src --memory 256MiB");
  shell.OnCall([options, chosen] { *chosen = [options] { return Run(*options); }; });
}

}  // namespace cordon::cli

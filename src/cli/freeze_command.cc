#include "cli/freeze_command.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstddef>
#include <cstdio>
#include <memory>
#include <span>
#include <string>

#include "backend/wasm/run.h"
#include "base/error.h"
#include "base/owned_fd.h"
#include "cli/command_line.h"
#include "cli/complain.h"
#include "cli/programs.h"
#include "vfs/frozen_program.h"

namespace cordon::cli {
namespace {

struct Options {
  std::string program;
  std::string output;
  std::string userland;
};

// The program runs with nothing in its environment but what a start that is not frozen would find
// too; the one variable asks it to stop where it is initialised (guest/freeze).
Result<backend::RunRequest> MakeRequest(const Options& options) {
  const Result<Programs> programs = Programs::Find();
  if (!programs) return std::unexpected(programs.error());
  backend::RunRequest request;
  request.template_path = programs->template_program;
  request.userland_path = options.userland.empty() ? programs->userland : options.userland;
  request.arguments = {options.program};
  request.environment = {"PATH=/usr/local/bin:/usr/bin:/bin", "LANG=C.UTF-8", "CORDON_FREEZE=1"};
  request.directory = "/";
  return request;
}

// What the program wrote is taken only if it is whole.
Status CheckFrozen(int fd, const std::string& path) {
  struct stat stat = {};
  if (fstat(fd, &stat) != 0) return SystemError("fstat(" + path + ")");
  const auto size = static_cast<size_t>(stat.st_size);
  if (size == 0) {
    return Fail(
        ErrorCode::kInvalid,
        "the program wrote nothing: it has no point to be frozen at, or is frozen in this image");
  }
  void* at = mmap(nullptr, size, PROT_READ, MAP_PRIVATE, fd, 0);
  if (at == MAP_FAILED) return SystemError("mmap(" + path + ")");
  vfs::FrozenProgram frozen;
  const bool is_whole = frozen.Open({static_cast<const std::byte*>(at), size});
  if (is_whole) {
    (void)fprintf(stderr, "frozen: %zu runs, %u pages with contents\n", frozen.runs.size(),
                  frozen.header->page_count);
  }
  (void)munmap(at, size);
  if (!is_whole) return Fail(ErrorCode::kCorrupt, "what the program wrote is no frozen program");
  return {};
}

Status Freeze(const Options& options) {
  auto request = MakeRequest(options);
  if (!request) return std::unexpected(request.error());
  const std::string temporary = options.output + ".new";
  const OwnedFd out(open(temporary.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
  if (!out.valid()) return SystemError("open(" + temporary + ")");
  // The streams of the command are this process's.
  if (dup2(out.get(), STDOUT_FILENO) < 0) return SystemError("dup2(" + temporary + ")");
  const Result<backend::RunReport> report = backend::RunCommand(*request);
  Status status = {};
  if (!report) {
    status = std::unexpected(report.error());
  } else if (report->exit_code != 0) {
    status = Fail(ErrorCode::kInvalid,
                  "the program ended with " + std::to_string(report->exit_code) + " instead");
  } else {
    status = CheckFrozen(out.get(), temporary);
  }
  if (status && rename(temporary.c_str(), options.output.c_str()) != 0)
    status = SystemError("rename(" + options.output + ")");
  if (!status) (void)unlink(temporary.c_str());
  return status;
}

}  // namespace

void AddFreezeCommand(Command& app, std::function<int()>* chosen) {
  auto options = std::make_shared<Options>();
  Command freeze = app.AddCommand(
      "freeze", "stop a program of the userland where it is initialised (for builds)");
  freeze.AddOption("program", options->program, "path in the userland").Required();
  freeze.AddOption("-o,--output", options->output, "file for the frozen program").Required();
  freeze.AddOption("--userland", options->userland, "image other than the installed one");
  freeze.Footer("cordon freeze --userland cold.img -o python3.frozen /usr/bin/python3");
  freeze.OnCall([options, chosen] {
    *chosen = [options] {
      const Status status = Freeze(*options);
      if (status) return 0;
      Complain("freeze " + options->program + ": " + status.error().ToString());
      return backend::kOwnFailure;
    };
  });
}

}  // namespace cordon::cli

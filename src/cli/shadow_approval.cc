#include "cli/shadow_approval.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <optional>
#include <vector>

#include "base/owned_fd.h"
#include "base/write_all.h"
#include "policy/layer.h"

namespace cordon::cli {
namespace {

// A file and not a pipe: a program that does not read it all says no by its status, not by a
// signal.
Result<OwnedFd> InMemory(const std::string& text) {
  OwnedFd fd(memfd_create("report", MFD_CLOEXEC));
  if (!fd.valid()) return SystemError("memfd_create");
  CORDON_TRY(WriteAll(fd.get(), text, "memfd"));
  if (lseek(fd.get(), 0, SEEK_SET) != 0) return SystemError("lseek(memfd)");
  return fd;
}

Result<int> RunWith(const std::vector<std::string>& command, const OwnedFd& input) {
  std::vector<char*> arguments;
  arguments.reserve(command.size() + 1);
  for (const std::string& argument : command)
    arguments.push_back(const_cast<char*>(argument.c_str()));
  arguments.push_back(nullptr);
  const pid_t pid = fork();
  if (pid < 0) return SystemError("fork");
  if (pid == 0) {
    // Relative names must not lead into the workspace that it judges.
    if (chdir("/") != 0 || dup2(input.get(), STDIN_FILENO) < 0 ||
        dup2(STDERR_FILENO, STDOUT_FILENO) < 0) {
      _exit(126);
    }
    (void)execv(arguments[0], arguments.data());
    _exit(127);
  }
  int status = 0;
  while (waitpid(pid, &status, 0) < 0) {
    if (errno != EINTR) return SystemError("waitpid");
  }
  return status;
}

Status Ask(const std::vector<std::string>& command, const std::string& report) {
  const Result<OwnedFd> input = InMemory(report);
  if (!input) return std::unexpected(input.error());
  const Result<int> status = RunWith(command, *input);
  if (!status) return std::unexpected(status.error());
  if (WIFEXITED(*status) && WEXITSTATUS(*status) == 0) return {};
  constexpr int kNotStarted = 126;
  if (WIFEXITED(*status) && WEXITSTATUS(*status) >= kNotStarted)
    return Fail(ErrorCode::kInvalid, "could not be started; nothing was committed", command[0]);
  return Fail(ErrorCode::kInvalid, "did not approve; nothing was committed", command[0]);
}

}  // namespace

Result<std::function<Status(const std::string& report)>> MakeApproval(
    const policy::Surroundings& around) {
  std::vector<Error> errors;
  const std::optional<policy::Layer> user = policy::ReadUserLayer(around, &errors);
  if (!errors.empty()) return std::unexpected(errors.front());
  std::function<Status(const std::string&)> approve;
  if (!user || !user->document.commit_approval.given) return approve;
  std::vector<std::string> command;
  for (const policy::Word& word : user->document.commit_approval.value)
    command.push_back(word.value);
  if (command.empty()) return approve;
  command[0] = around.ExpandHome(command[0]);
  if (!command[0].starts_with('/')) {
    return Fail(ErrorCode::kInvalid, "commit_approval: expected an absolute path first",
                user->Place(user->document.commit_approval.mark));
  }
  approve = [command](const std::string& report) { return Ask(command, report); };
  return approve;
}

}  // namespace cordon::cli

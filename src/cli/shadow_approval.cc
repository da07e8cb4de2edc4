#include "cli/shadow_approval.h"

#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <optional>
#include <vector>

#include "base/memory_file.h"
#include "base/owned_fd.h"
#include "base/spawn.h"
#include "policy/layer.h"

namespace cordon::cli {
namespace {

Result<pid_t> Start(const std::vector<std::string>& command, const OwnedFd& input) {
  Spawn spawn;
  CORDON_TRY(spawn.Give(input.get(), STDIN_FILENO));
  CORDON_TRY(spawn.Give(STDERR_FILENO, STDOUT_FILENO));
  // Relative names must not lead into the workspace that it judges.
  spawn.StartIn("/");
  return spawn.Start(command[0], command, Spawn::Environment::kOurs);
}

Status Ask(const std::vector<std::string>& command, const std::string& report) {
  // A file and not a pipe: a program that does not read it all says no by its status, not by a
  // signal.
  const Result<OwnedFd> input = MemoryFileWith("report", report);
  if (!input) return std::unexpected(input.error());
  const Result<pid_t> pid = Start(command, *input);
  if (!pid) {
    return Fail(ErrorCode::kInvalid, "could not be started; nothing was committed", command[0]);
  }
  int status = 0;
  while (waitpid(*pid, &status, 0) < 0) {
    if (errno != EINTR) return SystemError("waitpid");
  }
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return {};
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

#include "backend/supervisor/host_commands.h"

#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <vector>

namespace cordon::backend {
namespace {

constexpr int kNotFound = 127;

struct Ended {
  int code = 0;   // as a shell sees it
  int error = 0;  // of the start
};

Ended Run(const std::string& directory, const std::vector<std::string>& argv) {
  std::vector<char*> words;
  words.reserve(argv.size() + 1);
  for (const std::string& word : argv) words.push_back(const_cast<char*>(word.c_str()));
  words.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addchdir_np(&actions, directory.c_str());
  pid_t pid = -1;
  const int error = posix_spawnp(&pid, words[0], &actions, nullptr, words.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) return {kNotFound, error};
  int status = 0;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  return {WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status), 0};
}

}  // namespace

std::optional<PlanReport> RunHostCommands(const policy::Plan& plan) {
  for (const policy::PreRun& before : plan.pre_run) {
    if (!before.on_host) continue;
    const Ended ended = Run(plan.workspace.root, before.argv);
    if (ended.code == 0) continue;
    PlanReport report;
    report.end = PlanReport::End::kBefore;
    report.exit_code = ended.code;
    report.limits_by = "nobody";
    report.reason = "pre-run command '" + before.argv.front() + "' on the host failed with " +
                    std::to_string(ended.code);
    if (ended.error != 0) report.reason += std::string(": ") + strerror(ended.error);
    return report;
  }
  return std::nullopt;
}

}  // namespace cordon::backend

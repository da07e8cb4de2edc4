#include "backend/bwrap/bwrap.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <iterator>

#include "backend/bwrap/arguments.h"
#include "backend/native/fit.h"
#include "backend/supervisor/sources.h"
#include "backend/supervisor/supervisor.h"
#include "base/memory_file.h"

namespace cordon::backend {
namespace {

constexpr int kFirst = 3;

std::unexpected<Error> Cannot(const std::string& what) {
  return Fail(ErrorCode::kUnsupported, "the wall bwrap cannot enforce: " + what);
}

// The descriptors of bubblewrap: the plan's secrets, which the command keeps; what it tells of its
// state; the options; and what those refer to.
Result<Outer> MakeOuter(const policy::Plan& plan, const std::vector<std::string>& command,
                        OwnedFd state) {
  Outer outer;
  outer.program = FindWallProgram(plan, "bwrap");
  if (outer.program.empty()) return Fail(ErrorCode::kUnsupported, "bwrap: not found");
  for (const policy::SecretDescriptor& secret : plan.secrets) {
    outer.descriptors.emplace_back(open(secret.source.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
    if (!outer.descriptors.back().valid()) return SystemError("open(" + secret.source + ")");
  }
  const int own = kFirst + static_cast<int>(plan.secrets.size());
  Result<BwrapArguments> made = MakeBwrapArguments(plan, own + 2);
  if (!made) return std::unexpected(made.error());
  std::string options;
  for (size_t i = 0; i < plan.secrets.size(); ++i) {
    made->options.insert(made->options.end(), {"--setenv", plan.secrets[i].variable,
                                               std::to_string(kFirst + static_cast<int>(i))});
  }
  for (const std::string& option : made->options) options += option + '\0';
  Result<OwnedFd> file = MemoryFileWith("cordon", options);
  if (!file) return std::unexpected(file.error());
  outer.descriptors.push_back(std::move(state));
  outer.descriptors.push_back(std::move(*file));
  std::ranges::move(made->descriptors, std::back_inserter(outer.descriptors));
  outer.arguments = {"bwrap",  "--json-status-fd",      std::to_string(own),
                     "--args", std::to_string(own + 1), "--"};
  outer.arguments.insert(outer.arguments.end(), command.begin(), command.end());
  // Of the plan's variables none is bubblewrap's own: they could change what it loads.
  outer.variables = {"PATH=/usr/bin:/bin"};
  outer.user = Outer::User::kOrdinary;
  return outer;
}

Result<PlanReport> RunOne(const PlanRun& run, const std::vector<std::string>& command) {
  const policy::Plan& plan = run.plan;
  Result<OwnedFd> state = MemoryFileWith("cordon", "");
  if (!state) return std::unexpected(state.error());
  const OwnedFd kept(fcntl(state->get(), F_DUPFD_CLOEXEC, 0));
  Result<Outer> outer = MakeOuter(plan, command, std::move(*state));
  if (!outer) return std::unexpected(outer.error());
  if (native::HasGateway(plan)) {
    outer->gateway = run.gateway;
    outer->network_log = run.network_log;
  }
  outer->own_failure = [fd = kept.get()]() -> std::string {
    char text[1024] = {};
    (void)!pread(fd, text, sizeof text - 1, 0);
    if (std::string_view(text).find("exit-code") != std::string_view::npos) return {};
    return "bwrap could not put up the wall (its own message is above)";
  };
  return Supervise(plan, std::move(*outer));
}

std::vector<std::string> CommandOf(const policy::Plan& plan) {
  std::vector<std::string> command = plan.argv;
  command.front() = plan.program;
  return command;
}

}  // namespace

Status BwrapBackend::Check(const policy::Plan& plan) const {
  CORDON_TRY(CheckCommon(plan, policy::Wall::kBwrap, "bwrap"));
  if (!plan.program.starts_with('/')) return Fail(ErrorCode::kInvalid, "no program");
  if (plan.network.mode != policy::NetworkMode::kOff && !native::HasGateway(plan)) {
    return Cannot("a network of an engine or of the host");
  }
  if (!plan.network.ports.empty()) return Cannot("published ports");
  if (plan.rights.uid || plan.rights.gid) return Cannot("another user");
  if (!plan.rights.capabilities_added.empty()) return Cannot("capabilities");
  if (plan.image) return Cannot("images");
  if (plan.limits.disk_bytes) return Cannot("a limit of disk");
  return {};
}

Result<std::string> BwrapBackend::Describe(const policy::Plan& shown) const {
  const policy::Plan plan = WithoutSecrets(shown);
  const Result<BwrapArguments> made =
      MakeBwrapArguments(plan, kFirst + static_cast<int>(plan.secrets.size()) + 2);
  if (!made) return std::unexpected(made.error());
  std::vector<std::string> words = {"bwrap"};
  words.insert(words.end(), made->options.begin(), made->options.end());
  words.emplace_back("--");
  const std::vector<std::string> command = CommandOf(plan);
  words.insert(words.end(), command.begin(), command.end());
  return ShellText(words) + "\n";
}

Result<PlanReport> BwrapBackend::Run(const PlanRun& run) const {
  CORDON_TRY(Check(run.plan));
  return RunInOrder(run.plan, CommandOf(run.plan),
                    [&](const std::vector<std::string>& command) { return RunOne(run, command); });
}

}  // namespace cordon::backend

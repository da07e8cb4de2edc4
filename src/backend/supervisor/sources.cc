#include "backend/supervisor/sources.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "backend/native/fit.h"
#include "backend/native/mount_calls.h"
#include "policy/surroundings.h"

namespace cordon::backend {
namespace {

using policy::IfMissing;
using policy::Mount;
using policy::MountKind;

std::string Inner(const std::string& path, const std::string& above) {
  const std::string inner = path.substr(above == "/" ? 0 : above.size());
  return inner.substr(std::min(inner.find_first_not_of('/'), inner.size()));
}

Result<OwnedFd> OpenThere(const Mount& mount) {
  const bool is_made = mount.if_missing == IfMissing::kMakeDirectory;
  const std::string above = mount.beneath.empty() ? "/" : mount.beneath;
  if (!mount.beneath.empty() || is_made) {
    const OwnedFd top(open(above.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!top.valid()) return SystemError("open(" + above + ", O_PATH)");
    const std::string inner = Inner(mount.source, above);
    if (is_made) {
      return native::MakeDirectories(top.get(), inner, mount.beneath.empty() ? 0700 : 0755);
    }
    OwnedFd source = native::OpenBeneath(top.get(), inner, O_PATH);
    if (!source.valid()) {
      return SystemError("openat2(" + mount.source + ", RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS)");
    }
    return source;
  }
  OwnedFd source(open(mount.source.c_str(), O_PATH | O_CLOEXEC));
  if (!source.valid()) return SystemError("open(" + mount.source + ", O_PATH)");
  return source;
}

}  // namespace

Result<std::optional<OwnedFd>> OpenSource(const Mount& mount) {
  Result<OwnedFd> source = OpenThere(mount);
  if (!source && source.error().system_errno == ENOENT && mount.if_missing == IfMissing::kSkip) {
    return std::nullopt;
  }
  if (!source) return std::unexpected(source.error());
  if (!native::HasType(*source, mount.type)) {
    return Fail(ErrorCode::kInvalid, mount.source + " is not what the plan says it is");
  }
  return std::optional(std::move(*source));
}

Result<OwnedFd> OpenInside(const OwnedFd& source, const std::string& inner) {
  OwnedFd opened = native::OpenBeneath(source.get(), inner, O_PATH | O_DIRECTORY);
  if (!opened.valid()) return SystemError("openat2(" + inner + ", RESOLVE_BENEATH)");
  return opened;
}

std::vector<Pin> PinsOf(const policy::Plan& plan, size_t index) {
  std::vector<Pin> pins;
  const Mount& mount = plan.mounts[index];
  if (!mount.pinned) return pins;
  const Mount* bind = native::FindCovering(plan, index, mount.target);
  if (bind == nullptr || bind->read_only || bind->kind != MountKind::kBind) return pins;
  const size_t base = bind->target.size() + 1;
  for (size_t end = mount.target.find('/', base); end != std::string::npos;
       end = mount.target.find('/', end + 1)) {
    pins.push_back({bind, mount.target.substr(base, end - base)});
  }
  return pins;
}

Status CheckCommon(const policy::Plan& plan, policy::Wall wall, const char* name) {
  const auto cannot = [name](const std::string& what) {
    return Fail(ErrorCode::kUnsupported,
                std::string("the wall ") + name + " cannot enforce: " + what);
  };
  if (!plan.refusals.empty()) return std::unexpected(plan.refusals.front());
  if (plan.wall != wall) return Fail(ErrorCode::kInternal, "the plan is for another wall");
  if (plan.argv.empty()) return Fail(ErrorCode::kInvalid, "no program");
  if (plan.workspace.shadow) return cannot("a shadow workspace");
  if (!plan.rights.no_new_privileges) return cannot("programs that give more rights");
  for (const policy::PreRun& command : plan.pre_run) {
    if (command.argv.empty()) return Fail(ErrorCode::kInvalid, "an empty pre_run command");
  }
  for (const Mount& mount : plan.mounts) {
    if (mount.kind == MountKind::kBind && mount.if_missing == IfMissing::kStageFile) {
      return cannot("a file that may be made in a read-only directory (" + mount.target +
                    "); make it first, or use the native wall");
    }
    if (mount.kind == MountKind::kPlaceholder) {
      return cannot("a path that must not come into being (" + mount.target + ")");
    }
  }
  return {};
}

policy::Plan WithoutSecrets(policy::Plan plan) {
  for (policy::Variable& variable : plan.environment) {
    if (variable.is_secret) variable.value = "(secret)";
  }
  return plan;
}

Result<PlanReport> RunInOrder(
    const policy::Plan& plan, const std::vector<std::string>& command,
    const std::function<Result<PlanReport>(const std::vector<std::string>&)>& run) {
  for (const policy::PreRun& before : plan.pre_run) {
    if (before.on_host) continue;
    Result<PlanReport> report = run(before.argv);
    if (!report) return report;
    if (report->exit_code == 0) continue;
    if (report->reason.empty()) {
      report->end = PlanReport::End::kBefore;
      report->reason = "pre-run command '" + before.argv.front() + "' failed with " +
                       std::to_string(report->exit_code);
    }
    return report;
  }
  return run(command);
}

}  // namespace cordon::backend

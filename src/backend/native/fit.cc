#include "backend/native/fit.h"

#include "policy/surroundings.h"

namespace cordon::backend::native {
namespace {

using policy::Mount;
using policy::MountKind;
using policy::NetworkMode;
using policy::Plan;

std::unexpected<Error> Unsupported(std::string message) {
  return Fail(ErrorCode::kUnsupported, "the native wall: " + std::move(message));
}

Status CheckNetwork(const policy::NetworkPlan& network) {
  switch (network.mode) {
    case NetworkMode::kOff:
    case NetworkMode::kList:
    case NetworkMode::kAll:
      break;
    default:
      return Unsupported("a network of an engine or of the host is none of a sandbox");
  }
  return {};
}

Status CheckRights(const policy::RightsPlan& rights) {
  if (!rights.no_new_privileges) return Unsupported("no_new_privileges cannot be turned off");
  if (rights.uid || rights.gid) return Unsupported("the command cannot be another user");
  if (!rights.capabilities_added.empty()) return Unsupported("no capability can be added");
  return {};
}

Status CheckMount(const Plan& plan, size_t index) {
  const Mount& mount = plan.mounts[index];
  if (!mount.target.starts_with('/') || mount.target == "/") {
    return Unsupported("a mount at '" + mount.target + "'");
  }
  return {};
}

}  // namespace

bool HasGateway(const Plan& plan) {
  return plan.network.mode == NetworkMode::kList || plan.network.mode == NetworkMode::kAll;
}

const Mount* FindCovering(const Plan& plan, size_t count, const std::string& path) {
  const Mount* covering = nullptr;
  for (size_t i = 0; i < count; ++i) {
    const Mount& mount = plan.mounts[i];
    if (mount.kind == MountKind::kLink || mount.kind == MountKind::kGenerated ||
        mount.kind == MountKind::kCopy || mount.kind == MountKind::kPlaceholder ||
        mount.if_missing == policy::IfMissing::kStageFile || !policy::IsWithin(path, mount.target))
      continue;
    // Of two at one place the later is on top.
    if (covering == nullptr || mount.target.size() >= covering->target.size()) covering = &mount;
  }
  return covering;
}

Status CheckFits(const Plan& plan) {
  if (!plan.refusals.empty()) return std::unexpected(plan.refusals.front());
  if (plan.wall != policy::Wall::kNative) return Unsupported("the plan is for another wall");
  if (plan.argv.empty() || !plan.program.starts_with('/')) return Unsupported("no program");
  if (plan.image) return Unsupported("it uses no image");
  for (const policy::PreRun& command : plan.pre_run) {
    if (command.argv.empty()) return Unsupported("an empty pre_run command");
  }
  CORDON_TRY(CheckNetwork(plan.network));
  CORDON_TRY(CheckRights(plan.rights));
  for (size_t i = 0; i < plan.mounts.size(); ++i) CORDON_TRY(CheckMount(plan, i));
  return {};
}

}  // namespace cordon::backend::native

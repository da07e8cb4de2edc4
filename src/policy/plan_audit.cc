#include "policy/plan_audit.h"

#include <algorithm>
#include <string_view>

#include "policy/dispatch.h"
#include "policy/surroundings.h"

namespace cordon::policy {
namespace {

using Lines = std::vector<std::string>;

bool HasNetwork(const Plan& plan) {
  return plan.network.mode != NetworkMode::kOff &&
         !(plan.network.mode == NetworkMode::kList && plan.network.allow.empty());
}

void AuditWall(const Plan& plan, Lines* lines) {
  if (plan.wall == Wall::kNone) {
    lines->emplace_back("no wall: the command may do whatever you may");
  }
  for (const PreRun& command : plan.pre_run) {
    if (command.on_host) {
      lines->push_back("on the host, outside of the wall: " + JoinCommand(command.argv));
    }
  }
  for (const std::string& name : plan.rights.capabilities_added) {
    lines->push_back("the capability " + name);
  }
  if (!plan.rights.no_new_privileges) lines->emplace_back("programs may gain privileges");
  if (plan.image && plan.image->build_file.empty() && !plan.image->is_pinned) {
    lines->push_back("the image " + plan.image->reference +
                     " may be another one tomorrow: it has no digest");
  }
}

void AuditNetwork(const Plan& plan, Lines* lines) {
  const NetworkPlan& network = plan.network;
  const bool is_engines = network.mode == NetworkMode::kNamed;
  if (network.mode == NetworkMode::kAll) lines->emplace_back("every public host can be reached");
  if (is_engines) lines->push_back("whatever the network " + network.name + " reaches");
  for (const HostGrant& grant : network.allow) {
    const std::string rule = grant.rule.ToString();
    if (grant.rule.kind == HostRule::Kind::kBelow) {
      lines->push_back("every host of " + rule + " can be reached, whoever has it");
    }
    if (grant.may_be_private && grant.origin == Origin::kProject) {
      lines->push_back(rule + " may be in your own network, on the project's word: " + grant.why);
    }
  }
  for (const PortGrant& port : network.ports) {
    lines->push_back("programs of this machine reach port " + std::to_string(port.port) +
                     " of the command at 127.0.0.1:" + std::to_string(port.host_port));
  }
}

void AuditSecrets(const Plan& plan, Lines* lines) {
  const std::string end = HasNetwork(plan) ? ", and has a network" : "";
  for (const Variable& variable : plan.environment) {
    if (variable.is_secret) {
      lines->push_back("it knows the secret variable " + variable.name + end);
    }
  }
  for (const SecretDescriptor& secret : plan.secrets) {
    lines->push_back("it reads the secret " + secret.name + end);
  }
  for (const Mount& mount : plan.mounts) {
    if (mount.name.starts_with("secret")) {
      lines->push_back("it reads " + mount.source + end);
    }
  }
}

void AuditFiles(const Plan& plan, Lines* lines) {
  const WorkspacePlan& workspace = plan.workspace;
  if (workspace.writable && !workspace.shadow) {
    lines->emplace_back("the whole workspace may be written (--shadow lets you look first)");
  }
  for (const Mount& mount : plan.mounts) {
    const bool is_hosts = mount.kind == MountKind::kBind && !mount.read_only;
    if (!is_hosts || mount.origin == Origin::kCordon || mount.source.empty() ||
        IsWithin(mount.source, workspace.root)) {
      continue;
    }
    lines->push_back(mount.source + " of the host may be written: " + mount.why);
  }
}

void AuditInstall(const Plan& plan, Lines* lines) {
  if (plan.decision.role != "install") return;
  const bool has_lockfile = std::ranges::any_of(
      plan.lockfiles, [](const Lockfile& file) { return !file.sha256.empty(); });
  if (!has_lockfile) {
    lines->emplace_back("no lockfile: versions are decided by what the hosts answer");
  }
  if (HasNetwork(plan)) {
    lines->emplace_back(
        "what packages run while they are installed has the network above (cordon install runs it "
        "without)");
  }
}

}  // namespace

std::vector<std::string> AuditPlan(const Plan& plan) {
  Lines lines;
  AuditWall(plan, &lines);
  AuditSecrets(plan, &lines);
  AuditNetwork(plan, &lines);
  AuditFiles(plan, &lines);
  AuditInstall(plan, &lines);
  for (const Withheld& withheld : plan.withheld) {
    lines.push_back("asked for and not granted: " + withheld.what + " (" + withheld.place + ")");
  }
  if (!plan.limits.wall_time) lines.emplace_back("no limit of time");
  return lines;
}

}  // namespace cordon::policy

#include "policy/plan_text.h"

#include <algorithm>
#include <cstdio>

#include "base/plain_text.h"
#include "base/units.h"
#include "policy/dispatch.h"

namespace cordon::policy {

namespace {

class Writer {
 public:
  void Section(const char* name) { text_ += std::string(name) + "\n"; }
  void Line(const std::string& name, const std::string& value, const std::string& why = {}) {
    constexpr size_t kNameWidth = 12;
    constexpr size_t kValueWidth = 46;
    std::string line = "  " + PlainText(name);
    line.resize(std::max(line.size() + 1, kNameWidth + 2), ' ');
    line += PlainText(value);
    if (!why.empty()) {
      line.resize(std::max(line.size() + 2, kNameWidth + kValueWidth), ' ');
      line += PlainText(why);
    }
    text_ += line + "\n";
  }
  void Item(const std::string& value) { text_ += "  " + PlainText(value) + "\n"; }
  std::string Take() { return std::move(text_); }

 private:
  std::string text_;
};

std::string MountText(const Mount& mount) {
  const char* access = mount.read_only ? "ro " : "rw ";
  switch (mount.kind) {
    case MountKind::kLink:
      return mount.target + " -> " + mount.source;
    case MountKind::kGenerated:
      return std::string(access) + mount.target + " (made for it)";
    case MountKind::kCopy:
      return std::string(access) + mount.target + " (a copy)";
    case MountKind::kTmpfs:
      return std::string(access) + mount.target + " (in memory" +
             (mount.size_bytes ? ", " + FormatSize(*mount.size_bytes) + ")" : ")");
    case MountKind::kProc:
    case MountKind::kDev:
      return std::string(access) + mount.target + " (its own)";
    case MountKind::kMask:
      return "hidden " + mount.target + (mount.type == NodeType::kDirectory ? "/" : "");
    case MountKind::kPlaceholder:
      return "barred " + mount.target;
    case MountKind::kBind:
      break;
  }
  std::string text = access + mount.target;
  if (mount.source != mount.target) text += " <- " + mount.source;
  if (mount.if_missing == IfMissing::kMakeDirectory) text += " (made if missing)";
  if (mount.if_missing == IfMissing::kStageFile) text += " (may be made)";
  return text;
}

void WriteDecision(Writer& out, const Plan& plan) {
  const Decision& decision = plan.decision;
  out.Section("command");
  out.Line("run", JoinCommand(plan.argv));
  if (!plan.program.empty()) out.Line("program", plan.program);
  out.Line("in", plan.directory);
  for (const PreRun& command : plan.pre_run) {
    out.Line("before", JoinCommand(command.argv),
             command.on_host ? "on the host" : "in the same sandbox");
  }
  out.Section("decision");
  out.Line("profile", decision.profile, decision.profile_from);
  if (!decision.rule.empty())
    out.Line("rule", decision.rule, "'" + decision.pattern + "' matches " + decision.matched);
  if (!decision.role.empty()) out.Line("role", decision.role);
  out.Line("wall", WallName(plan.wall), decision.wall_from);
  for (const WallProgram& program : plan.wall_programs) {
    out.Line(program.name, program.path, "named in your policy");
  }
  for (const PolicyFile& file : plan.files) {
    const bool is_own = file.kind == "user's policy";
    out.Line("policy", file.path,
             file.kind +
                 (is_own          ? ""
                  : file.approved ? ", approved"
                                  : ", not approved") +
                 ", sha256 " + file.sha256.substr(0, 12));
  }
  if (plan.image) {
    const char* trust = !plan.image->build_file.empty() ? "built here"
                        : plan.image->is_pinned         ? "pinned by digest"
                                                        : "mutable";
    out.Line("image", plan.image->reference, trust);
    if (plan.image->reuse) {
      out.Line(
          "session", plan.image->container_name + "-(hash)",
          "kept for commands of the same plan, with what they leave in it, until cordon clean");
    }
  }
}

void WriteFiles(Writer& out, const Plan& plan) {
  out.Section("workspace");
  out.Line("root", plan.workspace.root,
           "seen as " + plan.workspace.mount +
               (plan.workspace.writable ? ", writable" : ", read-only") +
               (plan.workspace.shadow ? ", in a shadow" : ""));
  for (const Lockfile& file : plan.lockfiles) {
    out.Line("lockfile", file.path,
             file.sha256.empty() ? "not there" : "sha256 " + file.sha256.substr(0, 12));
  }
  if (plan.mounts.empty()) return;
  out.Section("mounts");
  for (const Mount& mount : plan.mounts) out.Line(mount.name, MountText(mount), mount.why);
  for (const SecretDescriptor& secret : plan.secrets) {
    out.Line("secret " + secret.name, secret.source,
             "as a descriptor, its number in " + secret.variable);
  }
}

void WriteEnvironment(Writer& out, const Plan& plan) {
  out.Section("environment");
  for (const Variable& variable : plan.environment) {
    out.Line("set", variable.name + "=" + (variable.is_secret ? "(secret)" : variable.value),
             variable.why);
  }
  for (const DeniedVariable& variable : plan.denied)
    out.Line("denied", variable.name, variable.why);
}

void WriteNetwork(Writer& out, const NetworkPlan& network) {
  out.Section("network");
  switch (network.mode) {
    case NetworkMode::kOff:
      out.Item("off");
      break;
    case NetworkMode::kList:
      out.Item(network.allow.empty() ? "no host" : "only");
      break;
    case NetworkMode::kAll:
      out.Item("everything but private and special-purpose addresses");
      break;
    case NetworkMode::kNamed:
      out.Line("engine's", network.name);
      break;
    case NetworkMode::kHost:
      out.Item("the host's");
  }
  for (const HostGrant& grant : network.allow) {
    out.Line("allow", grant.rule.ToString(),
             grant.why + (grant.may_be_private ? "; may be private" : ""));
  }
  for (const PortGrant& port : network.ports) {
    out.Line("port",
             "127.0.0.1:" + std::to_string(port.host_port) + " -> " + std::to_string(port.port));
  }
}

std::string DecimalText(double value) {
  char text[32];
  (void)snprintf(text, sizeof text, "%g", value);
  return text;
}

void WriteLimits(Writer& out, const Plan& plan) {
  const LimitPlan& limits = plan.limits;
  out.Section("limits");
  if (limits.memory_bytes) out.Line("memory", FormatSize(*limits.memory_bytes));
  if (limits.processes) out.Line("processes", std::to_string(*limits.processes));
  if (limits.cpus) out.Line("processors", DecimalText(*limits.cpus));
  if (limits.cpu_time) out.Line("CPU time", FormatDuration(*limits.cpu_time));
  out.Line("time", limits.wall_time ? FormatDuration(*limits.wall_time) : "none");
  if (limits.output_bytes) out.Line("output", FormatSize(*limits.output_bytes));
  if (limits.disk_bytes) out.Line("disk", FormatSize(*limits.disk_bytes));
  if (limits.open_files) out.Line("open files", std::to_string(*limits.open_files));
  const RightsPlan& rights = plan.rights;
  if (!rights.no_new_privileges) out.Line("rights", "programs may gain privileges");
  if (rights.uid) out.Line("user", std::to_string(*rights.uid) + ":" + std::to_string(*rights.gid));
  for (const std::string& name : rights.capabilities_added) out.Line("capability", "with " + name);
  for (const std::string& name : rights.capabilities_dropped)
    out.Line("capability", "without " + name);
}

}  // namespace

std::string PlanText(const Plan& plan, const std::vector<std::string>& lacks) {
  Writer out;
  WriteDecision(out, plan);
  WriteFiles(out, plan);
  WriteEnvironment(out, plan);
  WriteNetwork(out, plan.network);
  WriteLimits(out, plan);
  out.Section("guarantees");
  for (const Guarantee& guarantee : plan.guarantees) out.Line(guarantee.name, guarantee.text);
  if (!lacks.empty()) out.Section("this machine cannot");
  for (const std::string& lack : lacks) out.Item(lack);
  if (!plan.notes.empty()) out.Section("notes");
  for (const std::string& note : plan.notes) out.Item(note);
  if (!plan.hints.empty()) out.Section("if it fails");
  for (const std::string& hint : plan.hints) out.Item(hint);
  if (!plan.withheld.empty()) out.Section("needs your approval");
  for (const Withheld& withheld : plan.withheld) out.Line("", withheld.what, withheld.place);
  if (!plan.refusals.empty()) out.Section("refused");
  for (const Error& error : plan.refusals) out.Item(error.ToString());
  out.Section("plan");
  out.Item(PlanHash(plan));
  return out.Take();
}

std::string AuditText(const std::vector<std::string>& lines) {
  Writer out;
  out.Section("audit");
  for (const std::string& line : lines) out.Item(line);
  if (lines.empty()) out.Item("nothing beyond reading its workspace");
  return out.Take();
}

}  // namespace cordon::policy

// A plan as JSON: for programs, and as the text whose hash names the plan.

#include <nlohmann/json.hpp>

#include "policy/plan.h"
#include "policy/trust.h"
#include "policy/walls.h"

namespace cordon::policy {
namespace {

using Json = nlohmann::json;  // keys sorted

const char* KindName(MountKind kind) {
  switch (kind) {
    case MountKind::kBind:
      return "bind";
    case MountKind::kLink:
      return "link";
    case MountKind::kGenerated:
      return "generated";
    case MountKind::kCopy:
      return "copy";
    case MountKind::kTmpfs:
      return "tmpfs";
    case MountKind::kProc:
      return "proc";
    case MountKind::kDev:
      return "dev";
    case MountKind::kMask:
      return "mask";
    case MountKind::kPlaceholder:
      break;
  }
  return "placeholder";
}

const char* TypeName(NodeType type) {
  if (type == NodeType::kAny) return "any";
  return type == NodeType::kFile ? "file" : "directory";
}

const char* MissingName(IfMissing missing) {
  switch (missing) {
    case IfMissing::kRefuse:
      return "refuse";
    case IfMissing::kSkip:
      return "skip";
    case IfMissing::kMakeDirectory:
      return "make directory";
    case IfMissing::kStageFile:
      break;
  }
  return "stage file";
}

const char* NetworkName(NetworkMode mode) {
  switch (mode) {
    case NetworkMode::kOff:
      return "off";
    case NetworkMode::kList:
      return "list";
    case NetworkMode::kAll:
      return "all";
    case NetworkMode::kNamed:
      return "named";
    case NetworkMode::kHost:
      break;
  }
  return "host";
}

Json OfMount(const Mount& mount) {
  Json json = {{"kind", KindName(mount.kind)},
               {"name", mount.name},
               {"target", mount.target},
               {"type", TypeName(mount.type)},
               {"read_only", mount.read_only},
               {"pinned", mount.pinned},
               {"why", mount.why},
               {"origin", OriginName(mount.origin)}};
  if (!mount.source.empty()) json["source"] = mount.source;
  if (!mount.beneath.empty()) json["beneath"] = mount.beneath;
  if (mount.size_bytes) json["size_bytes"] = *mount.size_bytes;
  if (mount.kind == MountKind::kBind) json["if_missing"] = MissingName(mount.if_missing);
  return json;
}

Json OfDecision(const Decision& decision) {
  return {{"profile", decision.profile},    {"profile_from", decision.profile_from},
          {"rule", decision.rule},          {"pattern", decision.pattern},
          {"matched", decision.matched},    {"role", decision.role},
          {"wall_from", decision.wall_from}};
}

Json OfEnvironment(const Plan& plan) {
  Json selected = Json::array();
  for (const Variable& variable : plan.environment) {
    Json json = {
        {"name", variable.name}, {"why", variable.why}, {"origin", OriginName(variable.origin)}};
    if (variable.is_secret) {
      json["secret"] = true;
    } else {
      json["value"] = variable.value;
    }
    selected.push_back(std::move(json));
  }
  Json denied = Json::array();
  for (const DeniedVariable& variable : plan.denied)
    denied.push_back({{"name", variable.name}, {"why", variable.why}});
  return {{"selected", selected}, {"denied", denied}};
}

Json OfNetwork(const NetworkPlan& network) {
  Json allow = Json::array();
  for (const HostGrant& grant : network.allow) {
    allow.push_back({{"host", grant.rule.ToString()},
                     {"may_be_private", grant.may_be_private},
                     {"origin", OriginName(grant.origin)},
                     {"why", grant.why}});
  }
  Json ports = Json::array();
  for (const PortGrant& port : network.ports)
    ports.push_back({{"host", port.host_port}, {"port", port.port}});
  return {{"mode", NetworkName(network.mode)},
          {"name", network.name},
          {"allow", allow},
          {"ports", ports}};
}

Json OfLimits(const LimitPlan& limits) {
  Json json = Json::object();
  if (limits.memory_bytes) json["memory_bytes"] = *limits.memory_bytes;
  if (limits.processes) json["processes"] = *limits.processes;
  if (limits.cpus) json["cpus"] = *limits.cpus;
  if (limits.cpu_time) json["cpu_time_ms"] = limits.cpu_time->count();
  if (limits.wall_time) json["wall_time_ms"] = limits.wall_time->count();
  if (limits.output_bytes) json["output_bytes"] = *limits.output_bytes;
  if (limits.disk_bytes) json["disk_bytes"] = *limits.disk_bytes;
  if (limits.open_files) json["open_files"] = *limits.open_files;
  return json;
}

Json OfRights(const RightsPlan& rights) {
  Json json = {{"no_new_privileges", rights.no_new_privileges},
               {"read_only_root", rights.read_only_root},
               {"map_user", rights.map_user},
               {"capabilities_added", rights.capabilities_added},
               {"capabilities_dropped", rights.capabilities_dropped}};
  if (rights.uid) json["uid"] = *rights.uid;
  if (rights.gid) json["gid"] = *rights.gid;
  return json;
}

Json OfImage(const std::optional<ImagePlan>& image) {
  if (!image) return nullptr;
  return {{"engine", image->engine},
          {"reference", image->reference},
          {"build_file", image->build_file},
          {"tag", image->tag},
          {"pull", image->pull},
          {"verify_signature", image->verify_signature},
          {"pinned", image->is_pinned},
          {"reuse", image->reuse},
          {"container_name", image->container_name}};
}

template <typename Items, typename Function>
Json ListOf(const Items& items, Function of) {
  Json list = Json::array();
  for (const auto& item : items) list.push_back(of(item));
  return list;
}

Json OfPlan(const Plan& plan) {
  Json json;
  json["version"] = 1;
  json["wall"] = WallName(plan.wall);
  json["argv"] = plan.argv;
  json["program"] = plan.program;
  json["directory"] = plan.directory;
  json["decision"] = OfDecision(plan.decision);
  json["files"] = ListOf(plan.files, [](const PolicyFile& file) {
    return Json{{"path", file.path},
                {"sha256", file.sha256},
                {"kind", file.kind},
                {"approved", file.approved}};
  });
  json["workspace"] = {{"root", plan.workspace.root},
                       {"mount", plan.workspace.mount},
                       {"writable", plan.workspace.writable},
                       {"shadow", plan.workspace.shadow},
                       {"shadow_copy", plan.workspace.shadow_copy}};
  json["mounts"] = ListOf(plan.mounts, OfMount);
  json["secrets"] = ListOf(plan.secrets, [](const SecretDescriptor& secret) {
    return Json{{"name", secret.name}, {"source", secret.source}, {"variable", secret.variable}};
  });
  json["environment"] = OfEnvironment(plan);
  json["network"] = OfNetwork(plan.network);
  json["limits"] = OfLimits(plan.limits);
  json["rights"] = OfRights(plan.rights);
  json["image"] = OfImage(plan.image);
  json["lockfiles"] = ListOf(plan.lockfiles, [](const Lockfile& file) {
    return Json{{"path", file.path}, {"sha256", file.sha256}};
  });
  json["pre_run"] = ListOf(plan.pre_run, [](const PreRun& command) {
    return Json{{"argv", command.argv},
                {"on_host", command.on_host},
                {"origin", OriginName(command.origin)}};
  });
  json["guarantees"] = ListOf(plan.guarantees, [](const Guarantee& guarantee) {
    return Json{{"name", guarantee.name}, {"text", guarantee.text}};
  });
  json["withheld"] = ListOf(plan.withheld, [](const Withheld& withheld) {
    return Json{{"what", withheld.what}, {"place", withheld.place}, {"why", withheld.why}};
  });
  if (!plan.wall_programs.empty()) {
    json["wall_programs"] = ListOf(plan.wall_programs, [](const WallProgram& program) {
      return Json{{"name", program.name}, {"path", program.path}};
    });
  }
  json["refusals"] =
      ListOf(plan.refusals, [](const Error& error) { return Json(error.ToString()); });
  json["notes"] = plan.notes;
  json["hints"] = plan.hints;
  return json;
}

}  // namespace

const char* WallName(Wall wall) {
  return FactsOf(wall).name.data();
}

const char* OriginName(Origin origin) {
  switch (origin) {
    case Origin::kCordon:
      return "cordon";
    case Origin::kMachine:
      return "machine";
    case Origin::kUser:
      return "user";
    case Origin::kProject:
      break;
  }
  return "project";
}

std::string CanonicalJson(const Plan& plan) {
  return OfPlan(plan).dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string PlanHash(const Plan& plan) {
  const Json json = OfPlan(plan);
  try {
    return HashText(json.dump());
  } catch (const Json::exception&) {
    // A text that is not UTF-8, a file's name for one: the bytes themselves, or two plans that
    // differ there would have one name.
    const std::vector<uint8_t> bytes = Json::to_cbor(json);
    return HashText(std::string(bytes.begin(), bytes.end()));
  }
}

}  // namespace cordon::policy

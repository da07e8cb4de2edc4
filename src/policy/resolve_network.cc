// Which hosts, and on whose word.

#include <algorithm>

#include "policy/forms.h"
#include "policy/hosts.h"
#include "policy/resolution.h"

namespace cordon::policy {
namespace {

Origin OriginOf(SourceLevel level) {
  switch (level) {
    case SourceLevel::kProject:
    case SourceLevel::kLockfile:
      return Origin::kProject;
    case SourceLevel::kVariable:
    case SourceLevel::kUser:
      return Origin::kUser;
    case SourceLevel::kMachine:
    case SourceLevel::kBuiltin:
      break;
  }
  return Origin::kMachine;
}

void Grant(Resolution& r, HostGrant grant) {
  for (HostGrant& old : r.plan.network.allow) {
    if (old.rule.ToString() != grant.rule.ToString()) continue;
    old.may_be_private = old.may_be_private || grant.may_be_private;
    if (old.why.find(grant.why) == std::string::npos) old.why += "; " + grant.why;
    return;
  }
  r.plan.network.allow.push_back(std::move(grant));
}

bool IsGrantedByUser(const Resolution& r, const HostRule& host) {
  if (!r.user) return false;
  const Grants& grants = r.user->document.grants.fields;
  return grants.any_network.value ||
         std::ranges::any_of(grants.network_allow.value, [&](const Word& word) {
           const auto rule = ParseHostRule(word.value);
           return rule && rule->Covers(host);
         });
}

bool IsGrantedWherePrivate(const Resolution& r, const HostRule& host) {
  return r.user && std::ranges::any_of(r.user->document.grants.fields.network_allow.value,
                                       [&](const Word& word) {
                                         const auto rule = ParseHostRule(word.value);
                                         return rule && rule->CoversPrivate(host);
                                       });
}

void GrantList(Resolution& r, const TextList& list, const Layer& layer) {
  for (const Word& word : list.value) {
    if (r.IsWithheld(layer, word.mark)) continue;
    const auto rule = ParseHostRule(word.value);
    if (!rule) continue;
    // Who names one host, or an address, means that one, wherever it is; of a project's file that
    // counts once it is approved, and before only as far as the user's grant does.
    const bool may_say_so = layer.origin != Origin::kProject || layer.approved;
    const bool may_be_private =
        may_say_so ? rule->kind != HostRule::Kind::kBelow : IsGrantedWherePrivate(r, *rule);
    Grant(r, {*rule, may_be_private, layer.origin, layer.Place(word.mark)});
  }
}

bool IsNamedBy(const std::vector<const FoundHost*>& trusted, const HostRule& rule) {
  return std::ranges::any_of(trusted,
                             [&](const FoundHost* host) { return host->rule.Covers(rule); });
}

// Hosts that nobody but the project's files name: each file is asked for as a whole.
void TakeProjectHosts(Resolution& r, const std::vector<const FoundHost*>& hosts) {
  std::vector<std::string> files;
  for (const FoundHost* host : hosts) {
    if (std::ranges::find(files, host->file) == files.end()) files.push_back(host->file);
  }
  for (const std::string& file : files) {
    std::vector<std::string> names;
    for (const FoundHost* host : hosts) {
      if (host->file == file) names.push_back(host->rule.ToString());
    }
    std::ranges::sort(names);
    std::string text;
    for (const std::string& name : names) text += name + "\n";
    const std::string path = AbsolutePath(r.root, file);
    const std::string hash = HashText(text);
    const bool is_approved = r.trust.IsApproved(path, "hosts", hash);
    if (!is_approved) r.needed.push_back({path, "hosts", hash, names});
    for (const FoundHost* host : hosts) {
      if (host->file != file) continue;
      if (is_approved) {
        Grant(r, {host->rule, host->level == SourceLevel::kProject, Origin::kProject,
                  host->place + ", approved"});
      } else {
        r.plan.withheld.push_back(
            {"the host " + host->rule.ToString(), path, "no configuration of yours names it"});
      }
    }
  }
}

void ShowConfiguration(Resolution& r, const ManagerHosts& found) {
  for (const std::string& file : found.secret_files) {
    r.Note(file + " configures " + std::string(r.manager->name) +
           " and holds something secret: the command does not see it");
  }
  if (!r.wall->host_programs) return;
  for (const std::string& file : found.files) {
    const bool is_seen = std::ranges::any_of(r.plan.mounts, [&](const Mount& mount) {
      return mount.kind == MountKind::kBind && mount.source == mount.target &&
             IsWithin(file, mount.target);
    });
    if (is_seen) continue;
    Mount mount;
    mount.name = "configuration";
    mount.source = RealPath(file);
    mount.target = file;
    mount.type = NodeType::kFile;
    mount.why = "configures " + std::string(r.manager->name);
    mount.origin = Origin::kUser;
    r.plan.mounts.push_back(std::move(mount));
  }
}

void AddConfiguration(Resolution& r, const ManagerHosts& found) {
  for (const std::string& name : found.variables) {
    r.plan.environment.push_back({name, r.around.Variable(name), false, Origin::kUser,
                                  "names hosts of " + std::string(r.manager->name)});
  }
}

void GrantManagerHosts(Resolution& r) {
  const ManagerHosts found =
      FindHosts(*r.manager, *r.workspace, r.root, r.manager_program, r.around);
  std::vector<const FoundHost*> trusted;
  std::vector<const FoundHost*> asked;
  for (const FoundHost& host : found.hosts) {
    if (OriginOf(host.level) != Origin::kProject) trusted.push_back(&host);
  }
  for (const FoundHost* host : trusted) {
    Grant(r, {host->rule, true, OriginOf(host->level), host->place});
  }
  for (const FoundHost& host : found.hosts) {
    if (OriginOf(host.level) != Origin::kProject) continue;
    if (IsNamedBy(trusted, host.rule) || IsGrantedByUser(r, host.rule)) {
      const bool may_be_private = IsGrantedWherePrivate(r, host.rule);
      Grant(r, {host.rule, may_be_private, Origin::kProject, host.place});
    } else {
      asked.push_back(&host);
    }
  }
  TakeProjectHosts(r, asked);
  ShowConfiguration(r, found);
  AddConfiguration(r, found);
  if (found.hosts.empty()) {
    r.Note("neither configuration nor lockfile of " + std::string(r.manager->name) +
           " names a host: nothing can be reached (package_manager.network_allow names some)");
  }
}

bool GrantPresetHosts(Resolution& r) {
  if (r.task != ManagerTask::kInstall) return false;
  for (const Layer* layer : r.Layers()) {
    const TextList& list = layer->document.package_manager.fields.network_allow;
    if (!list.given) continue;
    GrantList(r, list, *layer);
    return true;
  }
  GrantManagerHosts(r);
  return true;
}

void AddPorts(Resolution& r) {
  for (const Word& word : r.profile->ports.value) {
    if (r.IsWithheld(*r.profile_layer, word.mark)) continue;
    const size_t colon = word.value.find(':');
    const auto number = [](const std::string& text) {
      return static_cast<uint16_t>(std::stoul(text));
    };
    const uint16_t host = number(word.value.substr(0, colon));
    r.plan.network.ports.push_back(
        {host, colon == std::string::npos ? host : number(word.value.substr(colon + 1))});
  }
}

}  // namespace

void ResolveNetwork(Resolution& r) {
  NetworkPlan& network = r.plan.network;
  const Text& mode = r.profile->network;
  if (IsOpen(r.plan.wall)) {
    network.mode = NetworkMode::kHost;
    return;
  }
  AddPorts(r);
  if (mode.value == "off" || r.request.without_network) return;
  if (GrantPresetHosts(r)) {
    network.mode = NetworkMode::kList;
    return;
  }
  const bool is_whole = r.profile->network_allow.value.empty();
  if ((is_whole || mode.value != "on") && r.IsWithheld(*r.profile_layer, mode.mark)) return;
  if (mode.value != "on") {
    network.mode = NetworkMode::kNamed;
    network.name = mode.value;
    return;
  }
  network.mode = is_whole ? NetworkMode::kAll : NetworkMode::kList;
  GrantList(r, r.profile->network_allow, *r.profile_layer);
}

}  // namespace cordon::policy

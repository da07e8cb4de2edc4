#include "policy/resolve.h"

#include <algorithm>
#include <set>
#include <string>

#include "policy/forms.h"
#include "policy/resolution.h"

namespace cordon::policy {
namespace {

YamlNode Scalar(const char* text) {
  YamlNode node;
  node.text = text;
  return node;
}

YamlNode Mapping(std::vector<YamlEntry> entries) {
  YamlNode node;
  node.kind = YamlNode::Kind::kMapping;
  node.entries = std::move(entries);
  return node;
}

// {version: 1, profiles: {default: {network: off}}}
YamlNode NoPreset() {
  YamlNode profile = Mapping({{"network", {}, Scalar("off")}});
  YamlNode profiles = Mapping({{"default", {}, std::move(profile)}});
  return Mapping({{"version", {}, Scalar("1")}, {"profiles", {}, std::move(profiles)}});
}

std::string QuotedList(std::string_view list) {
  std::string text;
  for (const std::string& word : SplitList(list)) text += (text.empty() ? "'" : ", '") + word + "'";
  return "[" + text + "]";
}

// The profiles of a package manager, in the language of policies, so that they are read and
// documented like everybody's.
std::string PresetText(const Manager& manager) {
  const std::string prefix = "  pm-" + std::string(manager.name);
  std::string before;
  if (!manager.before.empty()) before.append(", pre_run: [\"").append(manager.before).append("\"]");
  return "version: 1\nprofiles:\n" + prefix +
         "-install: {network: 'on', role: install, writable_paths: " +
         QuotedList(manager.install_writable) +
         ", lockfile_files: " + QuotedList(manager.lockfiles) + before + "}\n" + prefix +
         "-build: {network: 'off', role: build, writable_paths: " +
         QuotedList(manager.build_writable) +
         "}\n  default: {network: 'off', writable_paths: []}\n";
}

void AddFile(Resolution& r, const Layer& layer, const char* kind) {
  r.plan.files.push_back({layer.path, layer.sha256, kind, layer.approved});
}

const PackageManager* ManagerSection(const std::optional<Layer>& layer) {
  if (!layer || !layer->document.package_manager.given) return nullptr;
  return &layer->document.package_manager.fields;
}

const Manager* ManagerOfCommand(const Resolution& r) {
  return r.request.manager.empty() ? ManagerOfProgram(r.readings.back().front())
                                   : FindManager(r.request.manager);
}

// By name in the policies; by the command where they say `any`, or no project says anything about
// profiles.
const Manager* ChooseManager(const Resolution& r) {
  for (const std::optional<Layer>* layer : {&r.project, &r.user}) {
    if (const PackageManager* section = ManagerSection(*layer); section != nullptr) {
      return section->name.value == "any" ? ManagerOfCommand(r) : FindManager(section->name.value);
    }
  }
  if (r.project && !r.project->document.profiles.items.empty()) return nullptr;
  return ManagerOfCommand(r);
}

void Choose(Resolution& r, const Layer& layer, const Named<Profile>::Item& item, std::string from) {
  r.profile_layer = &layer;
  r.profile_name = item.name;
  r.profile = &item.fields;
  r.plan.decision.profile = item.name.value;
  r.plan.decision.profile_from = std::move(from);
}

// A rule's profile is its own layer's, or the preset's.
bool ChooseByName(Resolution& r, const std::vector<const Layer*>& layers, const std::string& name,
                  const std::string& from) {
  for (const Layer* layer : layers) {
    if (const auto* item = layer->document.profiles.Find(name); item != nullptr) {
      Choose(r, *layer, *item, from);
      return true;
    }
  }
  return false;
}

bool ChooseByRule(Resolution& r, const Layer& layer) {
  for (const auto& [name, rule] : layer.document.dispatch.items) {
    for (const Word& pattern : rule.match.value) {
      const auto* reading = MatchReadings(pattern.value, r.readings);
      if (reading == nullptr) continue;
      Decision& decision = r.plan.decision;
      decision.rule = name.value;
      decision.pattern = pattern.value;
      decision.matched = JoinCommand(*reading);
      return ChooseByName(r, {&layer, &r.preset}, rule.profile.value,
                          "rule " + name.value + " in " + layer.Place(pattern.mark));
    }
  }
  return false;
}

bool ChooseByPreset(Resolution& r) {
  if (r.manager == nullptr) return false;
  std::string pattern;
  const ManagerTask task = TaskOf(*r.manager, r.readings, &pattern);
  if (task == ManagerTask::kNone) return false;
  const std::string name(r.manager->name);
  const std::string kind = task == ManagerTask::kInstall ? "install" : "build";
  r.plan.decision.rule = "pm:" + name + ":" + kind;
  r.plan.decision.pattern = pattern;
  r.plan.decision.matched = JoinCommand(r.readings.back());
  return ChooseByName(r, {&r.preset}, "pm-" + name + "-" + kind, "preset " + name);
}

bool ChooseDefault(Resolution& r) {
  std::vector<const Layer*> layers;
  if (r.project) layers.push_back(&*r.project);
  // A package manager's own `default` is the project's.
  if (r.project && r.manager == nullptr && !r.project->document.profiles.items.empty() &&
      r.project->document.profiles.Find("default") == nullptr) {
    const auto& first = r.project->document.profiles.items.front();
    Choose(r, *r.project, first, "no rule matches; the first profile of " + r.project->path);
    return true;
  }
  if (r.user) layers.push_back(&*r.user);
  layers.push_back(&r.preset);
  return ChooseByName(r, layers, "default", "no rule matches");
}

using Step = void (*)(Resolution&);
// The description of planning: each step sees what those before it decided.
constexpr Step kSteps[] = {
    ReadPolicies,  ChooseProfile,  ChooseWall,         ResolveWorkspace, ResolveProgram,
    ResolveLimits, ResolveSystem,  ResolveWritable,    ResolveMounts,    ResolveSecrets,
    ResolveMasks,  ResolveNetwork, ResolveEnvironment, ResolveLockfiles, ResolveRights,
    ResolveImage,  ResolvePreRun,  CheckSafety,        CheckWallFits,
};

}  // namespace

std::vector<const Layer*> Resolution::Layers() const {
  std::vector<const Layer*> layers;
  if (user) layers.push_back(&*user);
  if (project) layers.push_back(&*project);
  return layers;
}

bool Resolution::IsWithheld(const Layer& layer, Mark mark) {
  return Withhold(layer, mark, layer.Withheld(mark));
}

bool Resolution::IsWithheldOnHost(const Layer& layer, Mark mark) {
  return Withhold(layer, mark, layer.WithheldOnHost(mark));
}

bool Resolution::Withhold(const Layer& layer, Mark mark, const Ask* ask) {
  if (ask == nullptr) return false;
  const std::string place = layer.Place(mark);
  const bool is_known = std::ranges::any_of(plan.withheld, [&](const Withheld& old) {
    return old.place == place && old.what == ask->what;
  });
  if (!is_known) plan.withheld.push_back({ask->what, place, "your policy does not grant it"});
  if (std::ranges::find(needed, layer.path, &Approval::path) == needed.end()) {
    needed.push_back({layer.path, "policy", layer.sha256, {}});
  }
  return true;
}

void Resolution::Refuse(std::string message, std::string place) {
  plan.refusals.push_back({ErrorCode::kInvalid, std::move(message), std::move(place), 0});
}

bool Resolution::IsStrict() const {
  const auto is_strict = [](const std::optional<Layer>& layer) {
    return layer && layer->document.runtime.fields.strict_security.value;
  };
  return request.strict || is_strict(user) || is_strict(project);
}

void ReadPolicies(Resolution& r) {
  Result<TrustStore> trust = TrustStore::Load(r.around);
  if (!trust) {
    r.errors.push_back(trust.error());
    return;
  }
  r.trust = std::move(*trust);
  r.user = ReadUserLayer(r.around, &r.errors);
  std::string file = AbsolutePath(r.around.directory, r.request.config);
  if (r.request.config.empty()) {
    const std::string start = RealPath(AbsolutePath(r.around.directory, r.request.workspace));
    file = FindProjectFile(start.empty() ? r.around.directory : start);
    if (const Status own = file.empty() ? Status() : CheckProjectFile(file, r.around.uid); !own) {
      r.errors.push_back(own.error());
      return;
    }
  }
  if (!file.empty()) r.project = ReadLayer(file, KindOfFile(file), Origin::kProject, &r.errors);
  if (!r.errors.empty()) return;
  if (r.user) AddFile(r, *r.user, "user's policy");
  if (r.project) {
    const Layer empty = MakeLayer("version: 1\n");
    const Document& grants = r.user ? r.user->document : empty.document;
    for (Ask& ask : FindAsks(*r.project, grants, r.around)) {
      const std::string what = ask.what;
      const auto [old, is_new] =
          r.project->asks.emplace(std::pair(ask.mark.line, ask.mark.column), std::move(ask));
      // An alias: one place that says several things.
      if (!is_new && old->second.what.find(what) == std::string::npos) {
        old->second.what += ", " + what;
      }
    }
    for (Ask& ask : FindHostAsks(*r.project, grants)) {
      const std::pair place(ask.mark.line, ask.mark.column);
      r.project->host_asks.emplace(place, std::move(ask));
    }
    r.project->approved = r.trust.IsApproved(r.project->path, "policy", r.project->sha256);
    AddFile(r, *r.project, r.project->kind == FileKind::kSbox ? "sbox.yaml" : "cordon.yaml");
  }
  r.readings = ReadCommand(r.request.argv);
  r.manager = ChooseManager(r);
  r.preset = r.manager != nullptr ? MakeLayer(PresetText(*r.manager)) : MakeLayer(NoPreset());
  r.main = r.project ? &*r.project : r.user ? &*r.user : &r.preset;
  r.plan.argv = r.request.argv;
}

// For whoever named another one.
std::string Known(const std::vector<const Layer*>& layers) {
  std::set<std::string> names;
  for (const Layer* layer : layers) {
    for (const auto& profile : layer->document.profiles.items) names.insert(profile.name.value);
  }
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
  return " (known: " + text + ")";
}

void ChooseProfile(Resolution& r) {
  if (!r.request.profile.empty()) {
    std::vector<const Layer*> layers;
    if (r.project) layers.push_back(&*r.project);
    if (r.user) layers.push_back(&*r.user);
    layers.push_back(&r.preset);
    if (!ChooseByName(r, layers, r.request.profile, "--profile")) {
      r.errors.push_back(
          Fail(ErrorCode::kInvalid, "unknown profile '" + r.request.profile + "'" + Known(layers))
              .error());
      return;
    }
  } else {
    bool is_chosen = r.user && ChooseByRule(r, *r.user);
    is_chosen = is_chosen || (r.project && ChooseByRule(r, *r.project));
    is_chosen = is_chosen || ChooseByPreset(r);
    if (!is_chosen) (void)ChooseDefault(r);
  }
  Decision& decision = r.plan.decision;
  decision.role = r.profile->role.value;
  if (decision.role.empty() && IsInstall(r.profile_name, *r.profile)) decision.role = "install";
  if (r.profile_layer == &r.preset && r.manager != nullptr) {
    if (decision.role == "install") r.task = ManagerTask::kInstall;
    if (decision.role == "build") r.task = ManagerTask::kBuild;
  }
}

Planned MakePlan(const PlanRequest& request, const Surroundings& around) {
  if (!request.policy.empty() && around.policy_file.empty()) {
    Surroundings named = around;
    named.policy_file = AbsolutePath(around.directory, request.policy);
    return MakePlan(request, named);
  }
  Resolution r(request, around);
  Planned planned;
  if (request.argv.empty() || request.argv.front().empty()) {
    planned.errors.push_back(
        Fail(ErrorCode::kInvalid, "nothing to plan: give a command after --").error());
    return planned;
  }
  for (const Step step : kSteps) {
    step(r);
    if (!r.errors.empty()) break;
  }
  planned.project = std::move(r.project);
  planned.needed = std::move(r.needed);
  planned.errors = std::move(r.errors);
  if (planned.errors.empty()) planned.plan = std::move(r.plan);
  return planned;
}

}  // namespace cordon::policy

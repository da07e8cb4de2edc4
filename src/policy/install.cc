#include "policy/install.h"

#include <unistd.h>

#include <algorithm>

#include "policy/host_files.h"

namespace cordon::policy {
namespace {

struct Row {
  std::string_view manager;
  std::string_view only_with;
  std::string_view frozen;
  std::string_view otherwise;
  std::string_view scripts;
  std::string_view variables;
  std::string_view audit;
};
constexpr Row kRows[] = {
#define INSTALL(manager, only_with, frozen, otherwise, scripts, variables, audit) \
  {manager, only_with, frozen, otherwise, scripts, variables, audit},
#define BEFORE(manager, command, if_it_fails)
#include "policy/install.def"
#undef BEFORE
#undef INSTALL
};

struct BeforeRow {
  std::string_view manager;
  std::string_view command;
  std::string_view if_it_fails;
};
constexpr BeforeRow kBefore[] = {
#define INSTALL(manager, only_with, frozen, otherwise, scripts, variables, audit)
#define BEFORE(manager, command, if_it_fails) {manager, command, if_it_fails},
#include "policy/install.def"
#undef BEFORE
#undef INSTALL
};

bool IsThere(const std::string& folder, std::string_view name) {
  return access((folder + "/" + std::string(name)).c_str(), F_OK) == 0;
}

std::vector<std::string> ThoseThere(const std::string& folder, std::string_view names) {
  std::vector<std::string> found;
  for (std::string& name : SplitList(names)) {
    if (IsThere(folder, name)) found.push_back(std::move(name));
  }
  return found;
}

std::vector<std::vector<std::string>> Commands(std::string_view text,
                                               const std::vector<std::string>& words) {
  std::vector<std::vector<std::string>> commands;
  for (const std::string& command : SplitList(text, '|')) {
    std::vector<std::string> argv = SplitList(command);
    if (const auto place = std::ranges::find(argv, "..."); place != argv.end()) {
      argv.insert(argv.erase(place), words.begin(), words.end());
    }
    commands.push_back(std::move(argv));
  }
  return commands;
}

// Of two whose projects have the same file, the one that is named in it.
const Manager* FindNamed(const std::string& folder, const std::vector<const Manager*>& managers) {
  struct Sign {
    std::string_view manager;
    std::string_view text;
  };
  constexpr Sign kSigns[] = {
      {"poetry", "tool.poetry"}, {"poetry", "poetry.core"}, {"uv", "tool.uv"}, {"uv", "uv_build"}};
  constexpr size_t kMaxBytes = 1 << 20;
  const Result<Beneath> project = Beneath::Open(folder);
  if (!project) return nullptr;
  const Result<std::string> text = project->Read({"pyproject.toml"}, kMaxBytes);
  if (!text) return nullptr;
  const Manager* named = nullptr;
  for (const Sign& sign : kSigns) {
    const auto manager = std::ranges::find(managers, sign.manager, &Manager::name);
    if (manager == managers.end() || text->find(sign.text) == std::string::npos) continue;
    if (named != nullptr && named != *manager) return nullptr;
    named = *manager;
  }
  return named;
}

// A lockfile says more than a manifest, which several have.
Result<const Manager*> Choose(const std::string& folder, const std::string& name) {
  if (!name.empty()) {
    const Manager* manager = FindManager(name);
    if (manager != nullptr) return manager;
    return Fail(ErrorCode::kInvalid, "unknown package manager '" + name + "'");
  }
  std::vector<const Manager*> by_lockfile;
  std::vector<const Manager*> by_manifest;
  for (const Manager& manager : Managers()) {
    if (!ThoseThere(folder, manager.lockfiles).empty()) by_lockfile.push_back(&manager);
    if (!ThoseThere(folder, manager.manifests).empty()) by_manifest.push_back(&manager);
  }
  const std::vector<const Manager*>& found = by_lockfile.empty() ? by_manifest : by_lockfile;
  if (found.size() == 1) return found.front();
  if (found.empty()) {
    return Fail(ErrorCode::kInvalid, "neither lockfile nor manifest of a package manager is here");
  }
  if (by_lockfile.empty()) {
    // package.json alone is npm's.
    if (found.front()->name == "npm") return found.front();
    if (const Manager* named = FindNamed(folder, found); named != nullptr) return named;
  }
  std::string names;
  for (const Manager* manager : found) {
    names += (names.empty() ? "" : ", ") + std::string(manager->name);
  }
  return Fail(ErrorCode::kInvalid,
              "files of several package managers are here; name one: " + names);
}

}  // namespace

Result<InstallSteps> FindInstallSteps(const std::string& folder, const std::string& name,
                                      const std::vector<std::string>& words) {
  const Result<const Manager*> manager = Choose(folder, name);
  if (!manager) return std::unexpected(manager.error());
  const auto* const row = std::ranges::find_if(kRows, [&](const Row& candidate) {
    return candidate.manager == (*manager)->name &&
           (candidate.only_with.empty() || IsThere(folder, candidate.only_with));
  });
  if (row == std::end(kRows)) {
    return Fail(ErrorCode::kUnsupported,
                std::string((*manager)->name) +
                    " cannot bring packages here without running what is in them");
  }
  InstallSteps steps;
  steps.manager = *manager;
  steps.lockfiles = ThoseThere(folder, (*manager)->lockfiles);
  steps.is_frozen = !steps.lockfiles.empty();
  for (const BeforeRow& before : kBefore) {
    if (before.manager != (*manager)->name) continue;
    steps.before.push_back({SplitList(before.command), std::string(before.if_it_fails)});
  }
  steps.download = Commands(steps.is_frozen ? row->frozen : row->otherwise, words);
  if (steps.download.empty()) {
    const std::string program((*manager)->name);
    return Fail(ErrorCode::kUnsupported, "no lockfile, and " + program +
                                             " runs what is in packages to make one: cordon run "
                                             "--wall native -- " +
                                             program +
                                             " lock does so with the hosts of an install");
  }
  steps.scripts = Commands(row->scripts, words);
  for (const std::string& variable : SplitList(row->variables)) {
    const size_t equals = variable.find('=');
    steps.variables.emplace_back(variable.substr(0, equals), variable.substr(equals + 1));
  }
  if (!row->audit.empty()) steps.audit = SplitList(row->audit);
  return steps;
}

}  // namespace cordon::policy

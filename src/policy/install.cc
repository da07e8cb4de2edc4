#include "policy/install.h"

#include <unistd.h>

#include <algorithm>

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
#include "policy/install.def"
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

std::vector<std::vector<std::string>> Commands(std::string_view text) {
  std::vector<std::vector<std::string>> commands;
  for (const std::string& command : SplitList(text, '|')) commands.push_back(SplitList(command));
  return commands;
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
  // package.json alone is npm's.
  if (by_lockfile.empty() && found.front()->name == "npm") return found.front();
  std::string names;
  for (const Manager* manager : found) {
    names += (names.empty() ? "" : ", ") + std::string(manager->name);
  }
  return Fail(ErrorCode::kInvalid,
              "files of several package managers are here; name one: " + names);
}

}  // namespace

Result<InstallSteps> FindInstallSteps(const std::string& folder, const std::string& name) {
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
  steps.download = Commands(steps.is_frozen ? row->frozen : row->otherwise);
  steps.scripts = Commands(row->scripts);
  for (const std::string& variable : SplitList(row->variables)) {
    const size_t equals = variable.find('=');
    steps.variables.emplace_back(variable.substr(0, equals), variable.substr(equals + 1));
  }
  if (!row->audit.empty()) steps.audit = SplitList(row->audit);
  return steps;
}

}  // namespace cordon::policy

#include "policy/managers.h"

#include <algorithm>

namespace cordon::policy {
namespace {

constexpr Manager kManagers[] = {
#define MANAGER(...) {__VA_ARGS__},
#include "policy/managers.def"
#undef MANAGER
};

constexpr HostSource kHostSources[] = {
#define SOURCE(manager, level, where, format, keys) \
  {manager, SourceLevel::level, where, SourceFormat::format, keys},
#include "policy/host_sources.def"
#undef SOURCE
};

}  // namespace

std::span<const Manager> Managers() {
  return kManagers;
}

std::span<const HostSource> HostSources() {
  return kHostSources;
}

const Manager* FindManager(std::string_view name) {
  const Manager* found = std::ranges::find(kManagers, name, &Manager::name);
  return found == std::end(kManagers) ? nullptr : found;
}

const Manager* ManagerOfProgram(std::string_view program) {
  for (const Manager& manager : kManagers) {
    if (std::ranges::count(SplitList(manager.programs), program) != 0) return &manager;
  }
  // pip3.11
  return program.starts_with("pip3.") ? FindManager("pip") : nullptr;
}

std::vector<std::string> SplitList(std::string_view list, char separator) {
  std::vector<std::string> words;
  while (!list.empty()) {
    const size_t end = std::min(list.find(separator), list.size());
    if (end > 0) words.emplace_back(list.substr(0, end));
    list.remove_prefix(std::min(end + 1, list.size()));
  }
  return words;
}

}  // namespace cordon::policy

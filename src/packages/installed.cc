#include "packages/installed.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/json_bounds.h"
#include "packages/policy.h"

namespace cordon::packages {

using Json = nlohmann::json;

namespace {

std::string TextOf(const Json& object, const char* member) {
  const auto found = object.find(member);
  return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

uint64_t NumberOf(const Json& object, const char* member) {
  const auto found = object.find(member);
  return found != object.end() && found->is_number_unsigned() ? found->get<uint64_t>() : 0;
}

}  // namespace

std::string ModulePath(const std::string& name) {
  return std::string(kFolder) + "/bin/" + name + ".wasm";
}

std::string WriteList(const InstalledPackages& packages) {
  Json list = Json::object();
  for (const auto& [name, package] : packages) {
    list[name] = {{"sha256", package.hash},
                  {"size", package.size},
                  {"url", package.url},
                  {"installedMs", package.installed_ms}};
  }
  return Json{{"version", 1}, {"packages", std::move(list)}}.dump(2) + "\n";
}

InstalledPackages ReadList(std::string_view text) {
  constexpr size_t kMost = 1000;
  constexpr JsonBounds kBounds = {.levels = 16, .values = kMost * 16};
  InstalledPackages packages;
  if (!IsWithin(text, kBounds)) return packages;
  const Json root = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!root.is_object()) return packages;
  const auto list = root.find("packages");
  if (list == root.end() || !list->is_object()) return packages;
  for (const auto& [name, value] : list->items()) {
    if (packages.size() >= kMost || !CheckName(name) || !value.is_object()) continue;
    const auto hash = CleanHash(TextOf(value, "sha256"));
    const auto url = ParseUrl(TextOf(value, "url"));
    if (!hash || !url) continue;
    constexpr uint64_t kLatest = uint64_t{1} << 50;
    packages[name] = {*hash, NumberOf(value, "size"), url->ToString(),
                      static_cast<int64_t>(std::min(NumberOf(value, "installedMs"), kLatest))};
  }
  return packages;
}

}  // namespace cordon::packages

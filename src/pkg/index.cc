#include "pkg/index.h"

namespace cordon::pkg {
namespace {

using Json = nlohmann::json;

constexpr size_t kMostPackages = 10'000;

std::unexpected<PackageError> Damaged(const std::string& what) {
  return Refuse("E_PKG_FETCH", "the package index is damaged: " + what);
}

std::string TextOf(const Json& object, const char* name) {
  const auto found = object.find(name);
  return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

}  // namespace

PackageResult<Index> ParseIndex(const Url& base, std::string_view text) {
  const Json root = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!root.is_object() || !root.contains("version") || root["version"] != 1) {
    return Damaged("no version 1");
  }
  const auto packages = root.find("packages");
  if (packages == root.end() || !packages->is_object() || packages->size() > kMostPackages) {
    return Damaged("no packages");
  }
  Index index;
  for (const auto& [name, value] : packages->items()) {
    if (!CheckName(name)) return Damaged("a name that is none");
    if (!value.is_object()) return Damaged(name);
    const auto url = ParseLocation(base, TextOf(value, "url"));
    const auto hash = CleanHash(TextOf(value, "sha256"));
    const auto size = value.find("size");
    if (!url || TextOf(value, "url").empty()) return Damaged(name + ": no URL");
    if (!hash) return Damaged(name + ": no hash");
    if (size == value.end() || !size->is_number_unsigned()) return Damaged(name + ": no size");
    index[name] = {*url, *hash, size->get<uint64_t>(), TextOf(value, "description").substr(0, 200)};
  }
  return index;
}

}  // namespace cordon::pkg

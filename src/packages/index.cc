#include "packages/index.h"

#include <nlohmann/json.hpp>

#include "base/json_bounds.h"
#include "base/plain_text.h"
#include "packages/policy.h"

namespace cordon::packages {
namespace {

using Json = nlohmann::json;

constexpr size_t kMostPackages = 10'000;
constexpr size_t kLongestDescription = 200;  // bytes

std::unexpected<PackageError> Damaged(const std::string& what) {
  return Refuse(PackageCode::kIndex, "the package index is damaged: " + what);
}

std::string Member(const Json& object, const char* name) {
  const auto found = object.find(name);
  return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

PackageResult<IndexEntry> ParseEntry(const Url& base, const std::string& name, const Json& value) {
  if (!value.is_object()) return Damaged(name);
  const std::string location = Member(value, "url");
  const auto url = ParseLocation(base, location);
  const auto hash = CleanHash(Member(value, "sha256"));
  const auto size = value.find("size");
  if (location.empty() || !url) return Damaged(name + " has no URL");
  if (!hash) return Damaged(name + " has no hash");
  if (size == value.end() || !size->is_number_unsigned()) return Damaged(name + " has no size");
  return IndexEntry{*url, *hash, size->get<uint64_t>(),
                    PlainText(Member(value, "description").substr(0, kLongestDescription))};
}

}  // namespace

PackageResult<Index> ParseIndex(const Url& base, std::string_view text) {
  constexpr JsonBounds kBounds = {.levels = 16, .values = kMostPackages * 16};
  if (text.size() > kMostIndexBytes || !IsWithin(text, kBounds)) return Damaged("too large");
  const Json root = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!root.is_object()) return Damaged("no JSON object");
  const auto version = root.find("version");
  if (version == root.end() || *version != 1) return Damaged("no version 1");
  const auto packages = root.find("packages");
  if (packages == root.end() || !packages->is_object() || packages->size() > kMostPackages) {
    return Damaged("no packages");
  }
  Index index;
  for (const auto& [name, value] : packages->items()) {
    if (!CheckName(name)) return Damaged("'" + Shown(name) + "' is no name");
    PackageResult<IndexEntry> entry = ParseEntry(base, name, value);
    if (!entry) return std::unexpected(entry.error());
    index.emplace(name, std::move(*entry));
  }
  return index;
}

}  // namespace cordon::packages

#include "mcp/settings.h"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "rpc/message.h"

namespace cordon::mcp {
namespace {

using rpc::Json;

struct Row {
  int64_t Settings::* member;
  std::optional<int64_t> GivenSettings::* given;
  const char* flag;
  const char* variable;
  const char* name;
  int64_t least;
  int64_t most;
};
constexpr Row kRows[] = {
#define SETTING(member, flag, variable, name, least, most, otherwise, text) \
  {&Settings::member, &GivenSettings::member, flag, variable, name, least, most},
#include "mcp/settings.def"
#undef SETTING
};
constexpr const char* kFolderName = "stateDir";
constexpr const char* kMountsName = "mounts";
constexpr const char* kMountVariable = "CORDON_MCP_MOUNT_";  // and 0, 1, …

// HOST:GUEST, HOST:GUEST:ro or HOST:GUEST:rw.
Result<HostMount> ParseMount(std::string text, const std::string& place) {
  const auto refuse = [&](const char* reason) {
    return Fail(ErrorCode::kInvalid, std::string(reason) + ": '" + text + "'", place);
  };
  HostMount mount;
  std::string paths = text;
  mount.is_writable = paths.ends_with(":rw");
  if (mount.is_writable || paths.ends_with(":ro")) paths.resize(paths.size() - 3);
  const size_t colon = paths.rfind(':');
  if (colon == std::string::npos)
    return refuse("expected HOST:GUEST, HOST:GUEST:ro or HOST:GUEST:rw");
  mount.guest = paths.substr(colon + 1);
  if (!mount.guest.starts_with('/')) return refuse("the path in the sandbox must be absolute");
  std::error_code error;
  mount.host = std::filesystem::canonical(paths.substr(0, colon), error);
  if (error) return SystemError(place + ": " + paths.substr(0, colon), error.value());
  if (!std::filesystem::is_directory(mount.host, error)) return refuse("no directory of the host");
  return mount;
}

Status SetMounts(Settings* settings, const std::vector<std::string>& texts,
                 const std::string& place) {
  settings->mounts.clear();
  for (const std::string& text : texts) {
    Result<HostMount> mount = ParseMount(text, place);
    if (!mount) return std::unexpected(mount.error());
    settings->mounts.push_back(std::move(*mount));
  }
  return {};
}

bool IsListOfTexts(const Json& json) {
  return json.is_array() &&
         std::ranges::all_of(json, [](const Json& one) { return one.is_string(); });
}

// All that are given in one place replace those of the places before it.
Status TakeMounts(Settings* settings, const Json& file, const std::string& path,
                  const GivenSettings& flags, const char* (*variable)(const char*)) {
  if (file.contains(kMountsName)) {
    CORDON_TRY(SetMounts(settings, file[kMountsName].get<std::vector<std::string>>(),
                         path + ":" + kMountsName));
  }
  std::vector<std::string> texts;
  while (const char* text = variable((kMountVariable + std::to_string(texts.size())).c_str())) {
    texts.emplace_back(text);
  }
  if (!texts.empty()) CORDON_TRY(SetMounts(settings, texts, kMountVariable));
  if (!flags.mounts.empty()) CORDON_TRY(SetMounts(settings, flags.mounts, "--mount"));
  return {};
}

Result<Json> ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return SystemError("open(" + path + ")");
  const std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false, /*ignore_comments=*/true);
  if (!json.is_object()) return Fail(ErrorCode::kInvalid, "no JSON object", path);
  for (const auto& [name, value] : json.items()) {
    bool is_known =
        (name == kFolderName && value.is_string()) || (name == kMountsName && IsListOfTexts(value));
    for (const Row& row : kRows) is_known |= name == row.name && value.is_number_integer();
    if (!is_known) return Fail(ErrorCode::kInvalid, "unknown setting, or no number: " + name, path);
  }
  return json;
}

Status Set(Settings* settings, const Row& row, int64_t value, const std::string& place) {
  if (value < row.least || value > row.most) {
    return Fail(
        ErrorCode::kInvalid,
        "must be a number from " + std::to_string(row.least) + " to " + std::to_string(row.most),
        place);
  }
  settings->*row.member = value;
  return {};
}

Status TakeVariable(Settings* settings, const Row& row, const std::string& text) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) value = row.least - 1;
  return Set(settings, row, value, row.variable);
}

}  // namespace

Result<Settings> ReadSettings(const GivenSettings& flags, const char* (*variable)(const char*)) {
  Settings settings;
  std::string path = flags.file;
  const char* config = variable("CORDON_MCP_CONFIG");
  if (path.empty() && config != nullptr) path = config;
  Json from_file = Json::object();
  if (!path.empty()) {
    const Result<Json> file = ReadFile(path);
    if (!file) return std::unexpected(file.error());
    from_file = *file;
    for (const Row& row : kRows) {
      if (!file->contains(row.name)) continue;
      CORDON_TRY(Set(&settings, row, (*file)[row.name].get<int64_t>(), path + ":" + row.name));
    }
    settings.state_folder = file->value(kFolderName, "");
  }
  for (const Row& row : kRows) {
    if (const char* text = variable(row.variable)) CORDON_TRY(TakeVariable(&settings, row, text));
    if (const auto given = flags.*row.given) CORDON_TRY(Set(&settings, row, *given, row.flag));
  }
  if (const char* folder = variable("CORDON_MCP_STATE_DIR")) settings.state_folder = folder;
  if (flags.state_folder) settings.state_folder = *flags.state_folder;
  CORDON_TRY(TakeMounts(&settings, from_file, path, flags, variable));
  return settings;
}

}  // namespace cordon::mcp

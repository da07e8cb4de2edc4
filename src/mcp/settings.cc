#include "mcp/settings.h"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>

#include "rpc/namespace.h"

namespace cordon::mcp {
namespace {

using rpc::Json;

enum class Kind { kNumber, kText, kList };

struct Row {
  Kind kind;
  const char* flag;
  const char* variable;
  const char* name;
};
constexpr Row kRows[] = {
#define NUMBER(member, flag, variable, name, least, most, otherwise, text) \
  {Kind::kNumber, flag, variable, name},
#define TEXT(member, flag, variable, name, text) {Kind::kText, flag, variable, name},
#define LIST(member, flag, variable, name, text) {Kind::kList, flag, variable, name},
#include "mcp/settings.def"
#undef NUMBER
#undef TEXT
#undef LIST
};
constexpr const char* kPackagePolicy = "packagePolicy";

struct Value {
  Json json;
  std::string place;  // of whoever reads an error
};
using Values = std::map<std::string, Value>;  // by the name in the file
using Variable = const char* (*)(const char*);

std::unexpected<Error> Refuse(const std::string& reason, const std::string& place) {
  return Fail(ErrorCode::kInvalid, reason, place);
}

Values FromFlags(const GivenSettings& flags) {
  Values values;
#define NUMBER(member, flag, variable, name, least, most, otherwise, text) \
  if (flags.member) values[name] = {*flags.member, flag};
#define TEXT(member, flag, variable, name, text) \
  if (flags.member) values[name] = {*flags.member, flag};
#define LIST(member, flag, variable, name, text) \
  if (!flags.member.empty()) values[name] = {flags.member, flag};
#include "mcp/settings.def"
#undef NUMBER
#undef TEXT
#undef LIST
  return values;
}

Json SplitAtCommas(std::string_view text) {
  Json list = Json::array();
  while (!text.empty()) {
    const size_t end = std::min(text.find(','), text.size());
    list.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return list;
}

Json NumberOf(const std::string& text) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size() ? Json(value) : Json();
}

Values FromVariables(Variable variable) {
  Values values;
  for (const Row& row : kRows) {
    const std::string name = row.variable;
    if (name.ends_with('_')) {
      Json list = Json::array();
      while (const char* text = variable((name + std::to_string(list.size())).c_str())) {
        list.push_back(text);
      }
      if (!list.empty()) values[row.name] = {std::move(list), name};
    } else if (const char* text = variable(row.variable)) {
      Json value = row.kind == Kind::kNumber ? NumberOf(text)
                   : row.kind == Kind::kText ? Json(text)
                                             : SplitAtCommas(text);
      values[row.name] = {std::move(value), name};
    }
  }
  return values;
}

bool IsOf(const Row& row, const Json& json) {
  if (row.kind == Kind::kNumber) return json.is_number_integer();
  if (row.kind == Kind::kText) {
    return json.is_string() || (row.name == std::string(kPackagePolicy) && json.is_object());
  }
  return json.is_array() &&
         std::ranges::all_of(json, [](const Json& one) { return one.is_string(); });
}

Result<Values> FromFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return SystemError("open(" + path + ")");
  const std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  const Json json =
      Json::parse(text, nullptr, /*allow_exceptions=*/false, /*ignore_comments=*/true);
  if (!json.is_object()) return Refuse("no JSON object", path);
  Values values;
  for (const auto& [name, value] : json.items()) {
    const std::string place = std::string(path).append(":").append(name);
    const auto row = std::ranges::find_if(kRows, [&](const Row& one) { return name == one.name; });
    if (row == std::end(kRows)) return Refuse("unknown setting: " + name, path);
    if (!IsOf(*row, value)) {
      const char* const kinds[] = {"a number", "a text", "a list of texts"};
      return Refuse(std::string("must be ") + kinds[static_cast<int>(row->kind)], place);
    }
    values[name] = {value, place};
  }
  return values;
}

Status SetNumber(const Values& values, const char* name, int64_t least, int64_t most,
                 int64_t* number) {
  const auto found = values.find(name);
  if (found == values.end()) return {};
  const Json& json = found->second.json;
  if (!json.is_number_integer() || json < least || json > most) {
    return Refuse("must be a number from " + std::to_string(least) + " to " + std::to_string(most),
                  found->second.place);
  }
  *number = json.get<int64_t>();
  return {};
}

// HOST:GUEST, HOST:GUEST:ro or HOST:GUEST:rw.
Result<HostMount> ParseMount(const std::string& text, const std::string& place) {
  const auto refuse = [&](const char* reason) {
    return Refuse(std::string(reason) + ": '" + text + "'", place);
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

Status TakeMounts(const Value& value, std::vector<HostMount>* mounts) {
  for (const Json& text : value.json) {
    Result<HostMount> mount = ParseMount(text.get<std::string>(), value.place);
    if (!mount) return std::unexpected(mount.error());
    mounts->push_back(std::move(*mount));
  }
  return {};
}

Status TakeEnvironment(const Value& value, Json* environment) {
  for (const Json& one : value.json) {
    const auto text = one.get<std::string>();
    const size_t equals = text.find('=');
    if (equals == 0 || equals == std::string::npos) {
      return Refuse("expected NAME=VALUE: '" + text + "'", value.place);
    }
    (*environment)[text.substr(0, equals)] = text.substr(equals + 1);
  }
  return {};
}

Status TakePolicy(const Value& value, std::optional<PackageSettings>* packages) {
  const Json json = value.json.is_string()
                        ? Json::parse(value.json.get<std::string>(), nullptr, false)
                        : value.json;
  auto policy = packages::ParsePolicy(json);
  if (!policy) return Refuse(policy.error(), value.place);
  if (policy->enabled) *packages = {json, std::move(*policy)};
  return {};
}

Status TakePackages(const Values& values, Settings* settings) {
  const auto policy = values.find(kPackagePolicy);
  const auto hosts = values.find("packageHosts");
  if (policy != values.end() && hosts != values.end()) {
    return Refuse("the hosts are part of a packagePolicy, where there is one: give one of the two",
                  hosts->second.place);
  }
  if (policy != values.end()) return TakePolicy(policy->second, &settings->packages);
  if (hosts == values.end()) return {};
  const Json json = {{"enabled", true}, {"allowedHosts", hosts->second.json}};
  return TakePolicy({json, hosts->second.place}, &settings->packages);
}

Status TakePersistence(const Values& values, Settings* settings) {
  const auto mode = values.find("persistence");
  const auto name = values.find("namespace");
  for (const auto& given : {mode, name}) {
    if (given != values.end() && settings->persistence_folder.empty()) {
      return Refuse("nothing is saved without --persistence-dir", given->second.place);
    }
  }
  if (mode != values.end()) {
    const Json& text = mode->second.json;
    if (text != "persistent" && text != "session") {
      return Refuse("must be persistent or session", mode->second.place);
    }
    settings->may_persist_by_itself = text == "persistent";
  }
  if (name != values.end() && !rpc::IsNamespace(settings->default_namespace)) {
    return Refuse(rpc::kNoNamespace, name->second.place);
  }
  return {};
}

Status TakeLists(const Values& values, Settings* settings) {
  if (const auto found = values.find("mounts"); found != values.end()) {
    CORDON_TRY(TakeMounts(found->second, &settings->mounts));
  }
  if (const auto found = values.find("env"); found != values.end()) {
    CORDON_TRY(TakeEnvironment(found->second, &settings->environment));
  }
  if (const auto found = values.find("tools"); found != values.end()) {
    settings->tools = found->second.json.get<std::vector<std::string>>();
  }
  return {};
}

std::string TextOf(const Values& values, const char* name) {
  const auto found = values.find(name);
  return found == values.end() ? std::string() : found->second.json.get<std::string>();
}

std::string AbsoluteOf(const std::string& path) {
  std::error_code error;
  return path.empty() ? path : std::filesystem::absolute(path, error).lexically_normal().string();
}

// The default is no bound of what was chosen.
Status TakeTimeouts(const Values& values, Settings* settings) {
  if (settings->timeout_ms <= settings->max_timeout_ms) return {};
  const auto most = values.find("maxTimeoutMs");
  if (most != values.end()) return Refuse("is less than timeoutMs", most->second.place);
  settings->max_timeout_ms = settings->timeout_ms;
  return {};
}

Result<Settings> Take(const Values& values) {
  Settings settings;
#define NUMBER(member, flag, variable, name, least, most, otherwise, text) \
  CORDON_TRY(SetNumber(values, name, least, most, &settings.member));
#define TEXT(member, flag, variable, name, text)
#define LIST(member, flag, variable, name, text)
#include "mcp/settings.def"
#undef NUMBER
#undef TEXT
#undef LIST
  settings.directory = TextOf(values, "cwd");
  settings.state_folder = TextOf(values, "stateDir");
  settings.persistence_folder = AbsoluteOf(TextOf(values, "persistenceDir"));
  settings.default_namespace = TextOf(values, "namespace");
  settings.ca_file = TextOf(values, "caFile");
  settings.audit_file = TextOf(values, "auditFile");
  CORDON_TRY(TakeTimeouts(values, &settings));
  CORDON_TRY(TakeLists(values, &settings));
  CORDON_TRY(TakePersistence(values, &settings));
  CORDON_TRY(TakePackages(values, &settings));
  return settings;
}

}  // namespace

Result<Settings> ReadSettings(const GivenSettings& flags, const char* (*variable)(const char*)) {
  std::string path = flags.file;
  const char* config = variable("CORDON_MCP_CONFIG");
  if (path.empty() && config != nullptr) path = config;
  // The strongest first: what is there already stays.
  Values values = FromFlags(flags);
  values.merge(FromVariables(variable));
  if (!path.empty()) {
    Result<Values> file = FromFile(path);
    if (!file) return std::unexpected(file.error());
    values.merge(std::move(*file));
  }
  return Take(values);
}

std::string Renamed(std::string text, const std::string& path, const std::string& name) {
  if (path.empty()) return text;
  for (size_t at = 0; (at = text.find(path, at)) != std::string::npos; at += name.size()) {
    text.replace(at, path.size(), name);
  }
  return text;
}

}  // namespace cordon::mcp

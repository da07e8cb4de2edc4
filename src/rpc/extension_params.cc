#include "rpc/extension_params.h"

#include <algorithm>
#include <array>
#include <set>
#include <string_view>

#include "live/host_frame.h"
#include "rpc/base64.h"

namespace cordon::rpc {
namespace {

constexpr size_t kMostExtensions = 64;  // in one request
constexpr size_t kMostExamples = 32;
constexpr size_t kMostFiles = 1000;
constexpr size_t kLongestText = 8192;
constexpr size_t kLongestComponent = 255;
constexpr const char* kPackages = "/usr/local/lib/python3.11/dist-packages/";

// What a shell takes for itself (bash(1), SHELL GRAMMAR and SHELL BUILTIN COMMANDS) would never be
// called.
constexpr std::array kShellsOwn = std::to_array<std::string_view>(
    {"alias",   "bg",       "bind",     "break",     "builtin",  "caller",  "case",    "cd",
     "command", "compgen",  "complete", "compopt",   "continue", "coproc",  "declare", "dirs",
     "disown",  "do",       "done",     "echo",      "elif",     "else",    "enable",  "esac",
     "eval",    "exec",     "exit",     "export",    "false",    "fc",      "fg",      "fi",
     "for",     "function", "getopts",  "hash",      "help",     "history", "if",      "in",
     "jobs",    "kill",     "let",      "local",     "logout",   "mapfile", "popd",    "printf",
     "pushd",   "pwd",      "read",     "readarray", "readonly", "return",  "select",  "set",
     "shift",   "shopt",    "source",   "suspend",   "test",     "then",    "time",    "times",
     "trap",    "true",     "type",     "typeset",   "ulimit",   "umask",   "unalias", "unset",
     "until",   "wait",     "while"});

std::unexpected<Error> Refuse(const std::string& reason) {
  return Fail(ErrorCode::kInvalid, reason);
}

Status TakeText(const Json& object, const char* name, std::string* text) {
  const auto found = object.find(name);
  if (found == object.end() || found->is_null()) return {};
  if (!found->is_string()) return Refuse(std::string("Param must be a string: ") + name);
  *text = found->get<std::string>();
  if (text->size() > kLongestText || text->find('\0') != std::string::npos)
    return Refuse(std::string("Param is too long, or has a zero byte: ") + name);
  return {};
}

Status TakeExamples(const Json& object, std::vector<std::string>* examples) {
  const auto found = object.find("examples");
  if (found == object.end() || found->is_null()) return {};
  const bool fits = found->is_array() && found->size() <= kMostExamples &&
                    std::ranges::all_of(*found, [](const Json& one) {
                      return one.is_string() && one.get<std::string>().size() <= kLongestText;
                    });
  if (!fits) return Refuse("Param must be an array of at most 32 strings: examples");
  *examples = found->get<std::vector<std::string>>();
  return {};
}

// Below the package, and nowhere else.
bool IsRelativePath(std::string_view path) {
  if (path.empty() || path.find('\0') != std::string_view::npos) return false;
  for (;;) {
    const size_t end = std::min(path.find('/'), path.size());
    const std::string_view component = path.substr(0, end);
    if (component.empty() || component == "." || component == ".." ||
        component.size() > kLongestComponent) {
      return false;
    }
    if (end == path.size()) return true;
    path.remove_prefix(end + 1);
  }
}

Status TakeFiles(const Json& package, const std::string& folder, ExtensionParams* params) {
  auto files = ReadFiles(package, "files");
  if (!files) return std::unexpected(files.error());
  for (auto& [path, bytes] : *files) {
    std::string place = folder;
    place.append("/").append(path);
    params->files.emplace_back(std::move(place), std::move(bytes));
  }
  return {};
}

// So that Python's importlib.metadata, and pip, know it.
std::string MetadataOf(const ExtensionFacts& facts) {
  return "Metadata-Version: 2.1\nName: " + PackageNameOf(facts.name) +
         "\nVersion: " + facts.package_version + "\nSummary: " + facts.package_summary + "\n";
}

bool IsVersion(std::string_view text) {
  constexpr size_t kLongest = 64;
  return !text.empty() && text.size() <= kLongest && std::ranges::all_of(text, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '+' || c == '!';
  });
}

Status TakePackage(const Json& object, ExtensionParams* params) {
  const auto package = object.find("pythonPackage");
  if (package == object.end() || package->is_null()) return {};
  if (!package->is_object()) return Refuse("Param must be an object: pythonPackage");
  ExtensionFacts& facts = params->facts;
  CORDON_TRY(TakeText(*package, "version", &facts.package_version));
  CORDON_TRY(TakeText(*package, "summary", &facts.package_summary));
  if (!IsVersion(facts.package_version)) return Refuse("pythonPackage.version is no version");
  if (facts.package_summary.find('\n') != std::string::npos)
    return Refuse("pythonPackage.summary must be one line");
  const std::string name = PackageNameOf(facts.name);
  CORDON_TRY(TakeFiles(*package, kPackages + name, params));
  const std::string information =
      kPackages + name + "-" + facts.package_version + ".dist-info/METADATA";
  params->files.emplace_back(information, MetadataOf(facts));
  return {};
}

Result<ExtensionParams> ReadExtension(const Json& object) {
  if (!object.is_object()) return Refuse("Param must be an array of objects: extensions");
  ExtensionParams params;
  ExtensionFacts& facts = params.facts;
  CORDON_TRY(TakeText(object, "name", &facts.name));
  if (!live::IsCommandName(facts.name)) {
    return Refuse("Invalid extension name: '" + facts.name +
                  "': 1 to 64 letters, digits, '_', '-', '.' and '+', a letter or digit first");
  }
  if (facts.name == "extensions" || std::ranges::find(kShellsOwn, facts.name) != kShellsOwn.end())
    return Refuse("Invalid extension name: '" + facts.name + "' is the shell's own");
  CORDON_TRY(TakeText(object, "description", &facts.description));
  CORDON_TRY(TakeText(object, "usage", &facts.usage));
  CORDON_TRY(TakeText(object, "category", &facts.category));
  CORDON_TRY(TakeExamples(object, &facts.examples));
  CORDON_TRY(TakePackage(object, &params));
  return params;
}

}  // namespace

Result<std::vector<std::pair<std::string, std::string>>> ReadFiles(const Json& object,
                                                                   const std::string& name) {
  std::vector<std::pair<std::string, std::string>> list;
  for (const char* coding : {"", "Base64"}) {
    const Json files = object.value(name + coding, Json::object());
    if (!files.is_object() || files.size() > kMostFiles)
      return Refuse("Param must be an object of files: " + name + coding);
    for (const auto& [path, value] : files.items()) {
      if (!IsRelativePath(path)) return Refuse("No path below it: '" + path + "'");
      Result<std::string> bytes = TakeBytes({{std::string("data") + coding, value}}, "data");
      if (!bytes || value.is_null()) return Refuse("No contents of a file: '" + path + "'");
      list.emplace_back(path, std::move(*bytes));
    }
  }
  return list;
}

Result<std::vector<ExtensionParams>> ReadExtensions(const Json& params) {
  const auto given = params.find("extensions");
  if (given == params.end()) return Refuse("Missing required param: extensions");
  if (!given->is_array() || given->size() > kMostExtensions)
    return Refuse("Param must be an array of at most 64 objects: extensions");
  std::vector<ExtensionParams> list;
  std::set<std::string> names;
  for (const Json& object : *given) {
    Result<ExtensionParams> one = ReadExtension(object);
    if (!one) return std::unexpected(one.error());
    if (!names.insert(one->facts.name).second)
      return Refuse("Two extensions of one name: " + one->facts.name);
    list.push_back(std::move(*one));
  }
  return list;
}

}  // namespace cordon::rpc

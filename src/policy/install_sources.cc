#include "policy/install_sources.h"

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "base/plain_text.h"
#include "policy/forms.h"
#include "policy/hosts.h"
#include "policy/requirements.h"

namespace cordon::policy {
namespace {

constexpr size_t kMaxBytes = 64 << 20;
constexpr int kMaxDepth = 8;  // of files that name files

Error Built(const std::string& what, const std::string& place) {
  return Fail(ErrorCode::kUnsupported,
              PlainText(what) + " would be built, and so run, while there is a network", place)
      .error();
}

// An archive that is installed as it is.
bool IsWheel(std::string_view address) {
  return address.ends_with(".whl") && address.find_first_of("#?") == std::string_view::npos;
}

// `package.7.source.type` is {"package.7", "source.type"}.
std::pair<std::string, std::string> SplitKey(const std::string& key) {
  constexpr std::string_view kStart = "package.";
  const size_t dot = key.starts_with(kStart) ? key.find('.', kStart.size()) : std::string::npos;
  if (dot == std::string::npos) return {};
  return {key.substr(0, dot), key.substr(dot + 1)};
}

// Directories of the project wait for the second phase; an index has wheels.
void CheckPoetryLock(const std::string& text, const std::string& file, std::vector<Error>* found) {
  const auto pairs = Flatten(SourceFormat::kToml, text);
  if (pairs.empty()) {
    found->push_back(Fail(ErrorCode::kInvalid, "cannot be read", file).error());
    return;
  }
  std::map<std::string, std::map<std::string, std::string>> packages;
  for (const auto& [key, value] : pairs) {
    const auto [package, member] = SplitKey(key);
    if (!package.empty()) packages[package][member] = value;
  }
  for (auto& [_, package] : packages) {
    const std::string& type = package["source.type"];
    if (type.empty() || type == "legacy" || type == "directory") continue;
    const bool is_archive = type == "file" || type == "url";
    if (is_archive && IsWheel(package["source.url"]) && package["source.subdirectory"].empty()) {
      continue;
    }
    found->push_back(Built("package " + package["name"] + " (" + type + ")", file));
  }
}

void CheckPoetryProject(const std::string& text, const std::string& file,
                        std::vector<Error>* found) {
  for (const auto& [key, value] : Flatten(SourceFormat::kToml, text)) {
    constexpr std::string_view kPlugins = "tool.poetry.requires-plugins.";
    if (!key.starts_with(kPlugins)) continue;
    std::string what = "poetry's plugin ";
    what += PlainText(key.substr(kPlugins.size()));
    what += ", which the project wants, does not run in an install of two phases";
    found->push_back(Fail(ErrorCode::kUnsupported, what, file).error());
  }
}

void CheckPoetry(const Beneath& project, std::vector<Error>* found) {
  const auto check = [&](const char* file, auto* with) {
    const Result<std::string> text = project.Read({file}, kMaxBytes);
    if (!text) return found->push_back(text.error());
    with(*text, file, found);
  };
  check("poetry.lock", CheckPoetryLock);
  check("pyproject.toml", CheckPoetryProject);
}

class RequirementFiles {
 public:
  RequirementFiles(const Beneath& project, std::vector<Error>* found)
      : project_(project), found_(found) {}

  void Check(const std::vector<std::string>& path, int depth) {
    std::string name;
    for (const std::string& component : path) name += (name.empty() ? "" : "/") + component;
    if (!seen_.insert(name).second) return;
    if (depth > kMaxDepth) {
      found_->push_back(Fail(ErrorCode::kLimit, "is named too deep", name).error());
      return;
    }
    const Result<std::string> text = project_.Read(path, kMaxBytes);
    if (!text) return found_->push_back(text.error());
    const Result<std::vector<RequirementLine>> lines = ReadRequirements(*text);
    if (!lines) {
      found_->push_back(Fail(lines.error().code, lines.error().message, name).error());
      return;
    }
    for (const RequirementLine& line : *lines) {
      const std::string place = name + ":" + std::to_string(line.number);
      switch (line.kind) {
        case RequirementLine::Kind::kPlain:
          break;
        case RequirementLine::Kind::kOther:
          found_->push_back(Built("'" + line.text + "'", place));
          break;
        case RequirementLine::Kind::kFile:
          CheckNamed(path, line.text, place, depth);
          break;
      }
    }
  }

 private:
  // Relative to the file that names it.
  void CheckNamed(const std::vector<std::string>& from, const std::string& named,
                  const std::string& place, int depth) {
    std::vector<std::string> path(from.begin(), from.end() - 1);
    const std::vector<std::string> rest = PathComponents(named);
    const bool is_inner = !named.starts_with('/') && !rest.empty() &&
                          named.find(':') == std::string::npos &&
                          std::ranges::find(rest, "..") == rest.end();
    if (!is_inner) {
      found_->push_back(
          Fail(ErrorCode::kUnsupported, "'" + PlainText(named) + "' is not in the project", place)
              .error());
      return;
    }
    path.insert(path.end(), rest.begin(), rest.end());
    Check(path, depth + 1);
  }

  const Beneath& project_;
  std::vector<Error>* found_;
  std::set<std::string> seen_;
};

}  // namespace

std::vector<Error> FindBuiltSources(const InstallSteps& steps, const Beneath& project) {
  std::vector<Error> found;
  if (steps.manager->name == "poetry") CheckPoetry(project, &found);
  if (steps.manager->name == "pip") {
    RequirementFiles(project, &found).Check({"requirements.txt"}, 0);
  }
  return found;
}

}  // namespace cordon::policy

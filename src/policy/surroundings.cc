#include "policy/surroundings.h"

#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "policy/forms.h"
#include "policy/host_files.h"
#include "policy/managers.h"

namespace cordon::policy {

Surroundings Surroundings::OfThisProcess() {
  Surroundings around;
  char directory[4096];
  if (getcwd(directory, sizeof directory) != nullptr) around.directory = directory;
  for (char** variable = environ; *variable != nullptr; ++variable) {
    const char* equals = strchr(*variable, '=');
    if (equals == nullptr) continue;
    around.environment.emplace(std::string(static_cast<const char*>(*variable), equals),
                               equals + 1);
  }
  around.uid = getuid();
  around.gid = getgid();
  // An absolute path or none: whatever else would be read relative to a hostile directory.
  const auto folder = [&](const char* name, const char* fallback) {
    const std::string path = around.Variable(name);
    if (path.starts_with('/')) return AbsolutePath("/", path);
    return around.home.empty() ? std::string() : AbsolutePath("/", around.home + fallback);
  };
  around.home = folder("HOME", "");
  around.real_home = RealPrefix(around.home);
  around.config_home = folder("XDG_CONFIG_HOME", "/.config");
  around.cache_home = folder("XDG_CACHE_HOME", "/.cache");
  if (!around.config_home.empty()) around.config_home += "/cordon";
  if (!around.cache_home.empty()) around.cache_home += "/cordon";
  return around;
}

std::string Surroundings::Variable(const std::string& name) const {
  const auto found = environment.find(name);
  return found == environment.end() ? std::string() : found->second;
}

std::string Surroundings::FindProgram(const std::string& name) const {
  for (const std::string& folder : SplitList(Variable("PATH"), ':')) {
    if (folder.front() != '/') continue;
    std::string path = folder;
    path += "/" + name;
    if (access(path.c_str(), X_OK) == 0) return AbsolutePath("/", path);
  }
  return {};
}

std::string Surroundings::ExpandHome(const std::string& path) const {
  return path == "~" || path.starts_with("~/") ? home + path.substr(1) : path;
}

std::string AbsolutePath(const std::string& base, const std::string& path) {
  const std::string full = path.starts_with('/') ? path : base + "/" + path;
  std::string_view rest = full;
  std::string text;
  text.reserve(full.size());
  while (!rest.empty()) {
    const size_t end = std::min(rest.find('/'), rest.size());
    const std::string_view part = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    if (part.empty() || part == ".") continue;
    if (part == "..") {
      text.resize(text.empty() ? 0 : text.rfind('/'));
    } else {
      text.append("/").append(part);
    }
  }
  return text.empty() ? "/" : text;
}

bool IsWithin(std::string_view path, std::string_view directory) {
  return directory == "/" || (path.starts_with(directory) &&
                              (path.size() == directory.size() || path[directory.size()] == '/'));
}

}  // namespace cordon::policy

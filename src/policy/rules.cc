// Rules between fields: what no single row of the schema can say.

#include <algorithm>
#include <map>
#include <set>

#include "policy/document.h"
#include "policy/forms.h"
#include "policy/managers.h"

namespace cordon::policy {
namespace {

class Checker {
 public:
  Checker(const Document& document, const std::string& file, FileKind kind,
          std::vector<Error>* errors)
      : document_(document), file_(file), kind_(kind), errors_(errors) {}

  void CheckVersion();
  void CheckWall();
  void CheckImages();
  void CheckImage(const Nested<Image>& image);
  void CheckWorkspace();
  void CheckEnvironment();
  void CheckIdentity();
  void CheckTargets();
  void CheckSecrets();
  void CheckProfiles();
  void CheckProfile(const Word& name, const Profile& profile);
  void CheckWritable(const TextList& writable);
  void CheckDispatch();
  void CheckPackageManager();

 private:
  void Report(Mark mark, std::string message) {
    errors_->push_back({ErrorCode::kInvalid, std::move(message), PlaceText(file_, mark), 0});
  }
  void Require(bool given, Mark mark, const char* section, const char* field) {
    if (!given) Report(mark, std::string(section) + ": '" + field + "' is missing");
  }
  [[nodiscard]] bool HasProfile(const std::string& name) const;
  void AddTarget(const Text& target);

  const Document& document_;
  const std::string& file_;
  FileKind kind_;
  std::vector<Error>* errors_;
  std::map<std::string, Mark> targets_;
};

void Checker::CheckVersion() {
  const Number& version = document_.version;
  if (!version.given) {
    Report({1, 1}, "'version' is missing (version: 1)");
  } else if (version.value != 1) {
    Report(version.mark, "unsupported config version " + std::to_string(version.value) +
                             "; this is what version 1 describes");
  }
}

void Checker::CheckWall() {
  const Text& backend = document_.runtime.fields.backend;
  const std::string& wall = document_.wall.value;
  if (backend.given && backend.value != "auto" && wall != "auto" && wall != "container") {
    Report(backend.mark, "runtime.backend is " + backend.value +
                             ", an engine of containers, but wall is " + wall);
  }
}

void Checker::CheckImage(const Nested<Image>& image) {
  if (!image.given) return;
  const Image& fields = image.fields;
  if (fields.ref.given + fields.build.given + fields.preset.given != 1) {
    Report(image.mark, "image: exactly one of 'ref', 'build' and 'preset'");
  }
  if (fields.digest.given && fields.build.given) {
    Report(fields.digest.mark, "an image that is built has no digest");
  }
  if (fields.tag.given && !fields.build.given) {
    Report(fields.tag.mark, "'tag' names what 'build' makes, and there is no 'build'");
  }
}

void Checker::CheckImages() {
  CheckImage(document_.image);
  for (const auto& profile : document_.profiles.items) CheckImage(profile.fields.image);
}

void Checker::CheckWorkspace() {
  const Nested<Workspace>& workspace = document_.workspace;
  if (kind_ == FileKind::kSbox) {
    Require(workspace.fields.mount.given, workspace.given ? workspace.mark : Mark{1, 1},
            "workspace", "mount");
  }
  CheckWritable(workspace.fields.writable_paths);
}

// A pattern without a star that is the path itself, or above it.
void Checker::CheckWritable(const TextList& writable) {
  for (const Word& path : writable.value) {
    const auto components = PathComponents(path.value);
    for (const Word& glob : document_.workspace.fields.exclude_paths.value) {
      const auto excluded = PathComponents(glob.value);
      if (excluded.size() > components.size() || glob.value.find('*') != std::string::npos)
        continue;
      if (!std::equal(excluded.begin(), excluded.end(), components.begin())) continue;
      Report(path.mark, "'" + path.value + "' is writable and excluded (line " +
                            std::to_string(glob.mark.line) + ")");
    }
  }
}

void Checker::CheckEnvironment() {
  const Environment& environment = document_.environment.fields;
  const auto denied = [&](const Word& name, const char* list) {
    for (const Word& deny : environment.deny.value) {
      if (deny.value != name.value) continue;
      Report(name.mark, "'" + name.value + "' is in " + list + " and in deny (line " +
                            std::to_string(deny.mark.line) + ")");
    }
  };
  for (const Word& name : environment.pass_through.value) denied(name, "pass_through");
  for (const auto& [name, value] : environment.set.value) {
    denied(name, "set");
    for (const Word& passed : environment.pass_through.value) {
      if (passed.value != name.value) continue;
      Report(name.mark, "'" + name.value + "' is in set and in pass_through (line " +
                            std::to_string(passed.mark.line) + ")");
    }
  }
}

void Checker::CheckIdentity() {
  const Identity& identity = document_.identity.fields;
  if (identity.uid.given != identity.gid.given) {
    Report(document_.identity.mark, "identity: 'uid' and 'gid' belong together");
  }
  if (identity.uid.given && identity.map_user.value) {
    Report(identity.map_user.mark, "identity: either 'map_user' or 'uid' and 'gid'");
  }
}

void Checker::AddTarget(const Text& target) {
  if (!target.given) return;
  std::string path;
  for (const std::string& part : PathComponents(target.value)) path += "/" + part;
  const auto [first, is_new] = targets_.emplace(path, target.mark);
  if (!is_new) {
    Report(target.mark,
           "target " + target.value + " is taken in line " + std::to_string(first->second.line));
  }
}

void Checker::CheckTargets() {
  for (const auto& [mount, mark] : document_.mounts.items) {
    Require(mount.target.given, mark, "mounts", "target");
    AddTarget(mount.target);
    const bool is_bind = mount.type.value == "bind";
    if (is_bind) Require(mount.source.given, mark, "mounts", "source");
    if (!is_bind && mount.source.given) Report(mount.source.mark, "a tmpfs has no source");
    if (is_bind && mount.size.given) Report(mount.size.mark, "a bind has no size");
    if (!is_bind && mount.read_only.value)
      Report(mount.read_only.mark, "a read-only tmpfs is empty");
  }
  std::set<std::string> names;
  for (const auto& [cache, mark] : document_.caches.items) {
    Require(cache.name.given, mark, "caches", "name");
    Require(cache.target.given, mark, "caches", "target");
    AddTarget(cache.target);
    if (!names.insert(cache.name.value).second) {
      Report(cache.name.mark, "two caches are called '" + cache.name.value + "'");
    }
  }
}

void Checker::CheckSecrets() {
  for (const auto& [secret, mark] : document_.secrets.items) {
    Require(secret.source.given, mark, "secrets", "source");
    if (secret.target.given == secret.descriptor.given) {
      Report(mark, kind_ == FileKind::kSbox ? "secrets: 'target' is missing"
                                            : "secrets: either 'target' or 'descriptor'");
    }
    AddTarget(secret.target);
    for (const Word& name : secret.when_profiles.value) {
      if (!HasProfile(name.value)) Report(name.mark, "unknown profile '" + name.value + "'");
    }
  }
}

bool Checker::HasProfile(const std::string& name) const {
  if (document_.profiles.Find(name) != nullptr) return true;
  const Text& manager = document_.package_manager.fields.name;
  if (!manager.given) return false;
  if (name == "default") return true;
  return std::ranges::any_of(Managers(), [&](const Manager& one) {
    const std::string prefix = "pm-" + std::string(one.name);
    return (manager.value == "any" || manager.value == one.name) &&
           (name == prefix + "-install" || name == prefix + "-build");
  });
}

void Checker::CheckProfile(const Word& name, const Profile& profile) {
  if (kind_ == FileKind::kSbox) Require(profile.mode.given, name.mark, name.value.c_str(), "mode");
  if (profile.network.value == "off" && !profile.network_allow.value.empty()) {
    Report(profile.network_allow.mark, "network_allow lists hosts, but network is off");
  }
  const bool is_host = profile.mode.value == "host";
  if (is_host && profile.ports.given) {
    Report(profile.ports.mark, "a command on the host publishes no ports");
  }
  if (is_host && profile.wall.given && profile.wall.value != "none") {
    Report(profile.wall.mark, "mode is host, but there is a wall");
  }
  if (is_host && kind_ != FileKind::kSbox && profile.network.given &&
      profile.network.value == "off") {
    Report(profile.network.mark, "a command on the host keeps the host's network");
  }
  for (const Word& added : profile.capabilities.add) {
    if (std::ranges::count(profile.cap_drop.value, added.value, &Word::value) != 0) {
      Report(added.mark, "capability " + added.value + " is added and dropped");
    }
    for (const Word& dropped : profile.capabilities.drop) {
      if (added.value == dropped.value) {
        Report(added.mark, "capability " + added.value + " is added and dropped");
      }
    }
  }
  if (profile.require_lockfile.value && profile.lockfile_files.value.empty()) {
    Report(profile.require_lockfile.mark, "require_lockfile, but lockfile_files names none");
  }
  CheckWritable(profile.writable_paths);
}

void Checker::CheckProfiles() {
  if (kind_ == FileKind::kSbox && document_.profiles.items.empty() &&
      !document_.package_manager.given) {
    Report({1, 1}, "at least one profile, or a package_manager");
  }
  for (const auto& [name, profile] : document_.profiles.items) CheckProfile(name, profile);
}

void Checker::CheckDispatch() {
  for (const auto& [name, rule] : document_.dispatch.items) {
    Require(!rule.match.value.empty(), name.mark, name.value.c_str(), "match");
    Require(rule.profile.given, name.mark, name.value.c_str(), "profile");
    if (rule.profile.given && !HasProfile(rule.profile.value)) {
      Report(rule.profile.mark, "unknown profile '" + rule.profile.value + "'");
    }
  }
}

void Checker::CheckPackageManager() {
  const Nested<PackageManager>& manager = document_.package_manager;
  if (!manager.given) return;
  Require(manager.fields.name.given, manager.mark, "package_manager", "name");
  CheckWritable(manager.fields.install_writable);
  CheckWritable(manager.fields.build_writable);
}

}  // namespace

void CheckRules(const Document& document, const std::string& file, FileKind kind,
                std::vector<Error>* errors) {
  Checker checker(document, file, kind, errors);
  checker.CheckVersion();
  checker.CheckWall();
  checker.CheckImages();
  checker.CheckWorkspace();
  checker.CheckEnvironment();
  checker.CheckIdentity();
  checker.CheckTargets();
  checker.CheckSecrets();
  checker.CheckProfiles();
  checker.CheckDispatch();
  checker.CheckPackageManager();
}

bool IsInstall(const Word& name, const Profile& profile) {
  if (profile.role.given) return profile.role.value == "install";
  return name.value.find("install") != std::string::npos || name.value == "deps" ||
         name.value == "bootstrap";
}

}  // namespace cordon::policy

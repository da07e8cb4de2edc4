// What in a project's file is more than the user's policy grants. One function for each section of
// the schema; a field that cannot widen anything is not here.

#include <algorithm>
#include <charconv>
#include <string_view>

#include "policy/forms.h"
#include "policy/host_files.h"
#include "policy/layer.h"
#include "policy/protected_paths.h"
#include "policy/secrets.h"
#include "policy/words.h"

namespace cordon::policy {
namespace {

// Variables that say how a program shall print and where in the world it is.
constexpr std::string_view kHarmlessVariables[] = {
    "TERM", "COLORTERM", "NO_COLOR", "FORCE_COLOR", "CLICOLOR", "LANG",    "LC_*", "LANGUAGE",
    "TZ",   "CI",        "NODE_ENV", "PAGER",       "EDITOR",   "COLUMNS", "LINES"};

class Finder {
 public:
  Finder(const Layer& project, const Document& user, const Surroundings& around)
      : project_(project), user_(user), grants_(user.grants.fields), around_(around) {}

  std::vector<Ask> Find() {
    VisitWall();
    VisitWorkspace();
    VisitEnvironment();
    VisitMounts();
    VisitSecrets();
    VisitImage(project_.document.image.fields);
    VisitLimits(project_.document.limits.fields);
    for (const auto& profile : project_.document.profiles.items) VisitProfile(profile.fields);
    VisitManager();
    return std::move(asks_);
  }

 private:
  void Add(Mark mark, std::string what) { asks_.push_back({mark, std::move(what)}); }

  static bool Names(const TextList& list, std::string_view word) {
    return std::ranges::any_of(list.value, [&](const Word& item) { return item.value == word; });
  }

  // Less than the wall that a plan gets by itself is more than a project may say alone.
  void AskForWall(const Text& wall) {
    if (wall.value == "none" || wall.value == "jobobject") {
      if (!grants_.host_mode.value)
        Add(wall.mark, "the wall " + wall.value + ", which isolates nothing");
    } else if (wall.value == "bwrap" || wall.value == "nsjail" || wall.value == "sandbox-exec") {
      Add(wall.mark, "the wall " + wall.value + ", which enforces less than the native one");
    }
  }

  void VisitWall() {
    const Document& document = project_.document;
    AskForWall(document.wall);
    const Flag& rootless = document.runtime.fields.rootless;
    if (!rootless.value) Add(rootless.mark, "a container that runs as root");
    const Identity& identity = document.identity.fields;
    if (identity.uid.given && identity.uid.value != around_.uid) {
      Add(identity.uid.mark, "the user number " + std::to_string(identity.uid.value));
    }
    for (const Word& path : document.toolchains.value) {
      if (!IsMountGranted(project_.Folder(), path.value, false))
        Add(path.mark, "programs of " + path.value);
    }
  }

  void VisitWorkspace() {
    const Workspace& workspace = project_.document.workspace.fields;
    const std::string folder = project_.Folder();
    const std::string root = AbsolutePath(folder, around_.ExpandHome(workspace.root.value));
    const std::string real = RealPath(root);
    if (!IsWithin(real.empty() ? root : real, folder) && !IsMountGranted(folder, root, false)) {
      Add(workspace.root.mark, "a workspace outside the project: " + root);
    }
    if (workspace.writable.value && grants_.workspace.value != "all") {
      Add(workspace.writable.mark, "a writable workspace");
    }
    VisitWritable(workspace.writable_paths);
  }

  void VisitWritable(const TextList& paths) {
    for (const Word& path : paths.value) {
      if (grants_.workspace.value == "none") Add(path.mark, "writing " + path.value);
      if (const std::string why = ProtectedReason(path.value); !why.empty()) {
        Add(path.mark, "writing " + path.value + (": " + why));
      }
    }
  }

  void VisitEnvironment() {
    for (const Word& name : project_.document.environment.fields.pass_through.value) {
      const std::string secret = SecretReason(name.value, around_.Variable(name.value));
      const bool is_named = Names(grants_.environment, name.value) ||
                            Names(user_.environment.fields.pass_through, name.value);
      const auto matches = [&](std::string_view pattern) {
        return MatchesStar(pattern, name.value);
      };
      const bool is_granted =
          is_named || (secret.empty() &&
                       (std::ranges::any_of(kHarmlessVariables, matches) ||
                        std::ranges::any_of(grants_.environment.value, [&](const Word& pattern) {
                          return matches(pattern.value);
                        })));
      if (!is_granted) {
        Add(name.mark, "the variable " + name.value +
                           (secret.empty() ? "" : ", which looks secret: " + secret));
      }
    }
  }

  // Below the project, or where the user's policy says so.
  [[nodiscard]] bool IsMountGranted(const std::string& folder, const std::string& source,
                                    bool writable) const {
    const std::string path = AbsolutePath(folder, around_.ExpandHome(source));
    const std::string real = RealPath(path);
    const std::string& meant = real.empty() ? path : real;
    if (!writable && IsWithin(meant, folder)) return true;
    return std::ranges::any_of(grants_.mounts.items, [&](const auto& grant) {
      const std::string granted = RealPath(around_.ExpandHome(grant.fields.path.value));
      return !granted.empty() && IsWithin(meant, granted) &&
             (!writable || grant.fields.writable.value);
    });
  }

  void VisitMounts() {
    for (const auto& [mount, mark] : project_.document.mounts.items) {
      if (mount.type.value != "bind" || !mount.source.given) continue;
      const bool writable = !mount.read_only.value;
      if (IsMountGranted(project_.Folder(), mount.source.value, writable)) continue;
      Add(mark, mount.source.value + " of the host at " + mount.target.value +
                    (writable ? ", writable" : ""));
    }
    for (const auto& [cache, mark] : project_.document.caches.items) {
      if (!cache.source.given) continue;
      const bool is_path =
          cache.source.value.find('/') != std::string::npos || cache.source.value.starts_with('~');
      const bool is_granted =
          is_path ? IsMountGranted(project_.Folder(), cache.source.value, !cache.read_only.value)
                  : Names(grants_.caches, cache.source.value);
      if (!is_granted) {
        Add(mark, is_path ? "the cache " + cache.source.value + " of the host"
                          : "the cache '" + cache.source.value + "', which workspaces share");
      }
    }
  }

  void VisitSecrets() {
    for (const auto& [secret, mark] : project_.document.secrets.items) {
      const std::string path =
          AbsolutePath(project_.Folder(), around_.ExpandHome(secret.source.value));
      const bool is_granted = std::ranges::any_of(grants_.secrets.value, [&](const Word& granted) {
        return AbsolutePath("/", around_.ExpandHome(granted.value)) == path;
      });
      if (!is_granted) Add(mark, "the secret " + secret.source.value);
    }
  }

  void VisitImage(const Image& image) {
    if (image.build.given && !grants_.image_builds.value) {
      Add(image.build.mark, "building an image from " + image.build.value);
    }
  }

  template <typename Limit>
  void VisitLimit(const Limit& limit, const Limit& most, const char* name) {
    const bool has_most = most.mark.line != 0 || most.value != decltype(most.value){};
    if (limit.given && has_most && limit.value > most.value) {
      Add(limit.mark, std::string("more ") + name + " than your policy's limit");
    }
  }
  static double Decimal(const Text& text) {
    double value = 0;
    (void)std::from_chars(text.value.data(), text.value.data() + text.value.size(), value);
    return value;
  }
  void VisitLimits(const LimitRules& limits) {
    const LimitRules& most = user_.limits.fields;
    VisitLimit(limits.memory, most.memory, "memory");
    VisitLimit(limits.processes, most.processes, "processes");
    VisitLimit(limits.cpu_time, most.cpu_time, "processor time");
    VisitLimit(limits.wall_time, most.wall_time, "time");
    VisitLimit(limits.output, most.output, "output");
    VisitLimit(limits.disk, most.disk, "disk");
    VisitLimit(limits.open_files, most.open_files, "descriptors");
    if (limits.cpus.given && most.cpus.given && Decimal(limits.cpus) > Decimal(most.cpus)) {
      Add(limits.cpus.mark, "more processors than your policy's limit");
    }
  }

  void VisitHosts(const TextList& hosts) {
    for (const Word& word : hosts.value) {
      const auto host = ParseHostRule(word.value);
      const bool is_special = host && host->is_special();
      const bool is_granted =
          host && std::ranges::any_of(grants_.network_allow.value, [&](const Word& granted) {
            const auto rule = ParseHostRule(granted.value);
            return rule && (is_special ? rule->CoversPrivate(*host) : rule->Covers(*host));
          });
      const bool is_public = grants_.any_network.value && !is_special;
      if (!is_granted && !is_public) Add(word.mark, "the host " + word.value);
    }
  }

  void VisitProfile(const Profile& profile) {
    if (profile.mode.value == "host" && !grants_.host_mode.value) {
      Add(profile.mode.mark, "running on the host, without a wall");
    }
    AskForWall(profile.wall);
    const bool is_list = profile.network.value == "on" && !profile.network_allow.value.empty();
    if (profile.network.value != "off" && !is_list && !grants_.any_network.value) {
      Add(profile.network.mark, profile.network.value == "on"
                                    ? "the whole network"
                                    : "the network " + profile.network.value);
    }
    VisitHosts(profile.network_allow);
    VisitWritable(profile.writable_paths);
    if (!profile.no_new_privileges.value) Add(profile.no_new_privileges.mark, "gaining privileges");
    for (const Word& name : profile.capabilities.add) {
      if (!Names(grants_.capabilities, name.value)) Add(name.mark, "the capability " + name.value);
    }
    for (const Word& port : profile.ports.value) {
      if (!Names(grants_.ports, port.value)) Add(port.mark, "the port " + port.value);
    }
    if (profile.pre_run_on.value == "host" && !grants_.host_commands.value) {
      Add(profile.pre_run_on.mark, "commands that run on the host before it");
    }
    VisitImage(profile.image.fields);
    VisitLimits(profile.limits.fields);
  }

  void VisitManager() {
    const PackageManager& manager = project_.document.package_manager.fields;
    VisitHosts(manager.network_allow);
    VisitWritable(manager.install_writable);
    VisitWritable(manager.build_writable);
  }

  const Layer& project_;
  const Document& user_;
  const Grants& grants_;
  const Surroundings& around_;
  std::vector<Ask> asks_;
};

}  // namespace

std::vector<Ask> FindHostAsks(const Layer& project, const Document& user) {
  const Grants& grants = user.grants.fields;
  std::vector<Ask> asks;
  const auto add_commands = [&](const TextList& commands) {
    if (grants.host_commands.value) return;
    for (const Word& command : commands.value) {
      asks.push_back(
          {command.mark, "without a wall, the command '" + command.value + "' before it"});
    }
  };
  for (const auto& profile : project.document.profiles.items) {
    add_commands(profile.fields.pre_run);
  }
  add_commands(project.document.package_manager.fields.pre_run);
  if (grants.host_mode.value) return asks;
  // A variable can say what a program loads.
  for (const auto& [name, value] : project.document.environment.fields.set.value) {
    asks.push_back({name.mark, "without a wall, the variable " + name.value + "=" + value.value});
  }
  for (const auto& profile : project.document.profiles.items) {
    const Text& shell = profile.fields.shell;
    if (shell.given) asks.push_back({shell.mark, "without a wall, the shell " + shell.value});
  }
  return asks;
}

std::vector<Ask> FindAsks(const Layer& project, const Document& user, const Surroundings& around) {
  return Finder(project, user, around).Find();
}

}  // namespace cordon::policy

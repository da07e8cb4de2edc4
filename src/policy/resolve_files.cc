// What the command sees of files: the wall's root, the workspace, and what else is named.

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <map>

#include "policy/forms.h"
#include "policy/interpreters.h"
#include "policy/resolution.h"
#include "policy/secrets.h"

namespace cordon::policy {
namespace {

constexpr std::string_view kSystemFolders[] = {"/usr",   "/bin",   "/sbin",  "/lib",
                                               "/lib32", "/lib64", "/libx32"};
constexpr std::string_view kOtherFolders[] = {"/usr/bin", "/usr/sbin", "/etc",
                                              "/proc",    "/dev",      "/sys"};
// What programs need of /etc, and nothing that names the host's users or secrets.
constexpr std::string_view kSystemFiles[] = {
    "/etc/ld.so.cache",     "/etc/ld.so.conf",     "/etc/ld.so.conf.d",
    "/etc/alternatives",    "/etc/ssl/certs",      "/etc/ssl/openssl.cnf",
    "/etc/ca-certificates", "/etc/pki/tls/certs",  "/etc/pki/ca-trust",
    "/etc/nsswitch.conf",   "/etc/localtime",      "/etc/timezone",
    "/etc/mime.types",      "/etc/protocols",      "/etc/services",
    "/etc/terminfo",        "/etc/inputrc",        "/etc/magic",
    "/etc/gai.conf",        "/etc/bash.bashrc",    "/etc/profile",
    "/etc/os-release",      "/etc/debian_version", "/etc/java-17-openjdk",
    "/etc/python3",         "/etc/fonts"};
struct GeneratedFile {
  const char* name;
  const char* target;
};
constexpr GeneratedFile kGenerated[] = {{"users", "/etc/passwd"},
                                        {"groups", "/etc/group"},
                                        {"hosts", "/etc/hosts"},
                                        {"resolver", "/etc/resolv.conf"}};

Mount Bind(std::string name, std::string source, std::string why, Origin origin) {
  Mount mount;
  mount.name = std::move(name);
  mount.target = source;
  mount.source = std::move(source);
  mount.why = std::move(why);
  mount.origin = origin;
  return mount;
}

NodeType TypeOf(Found found) {
  if (found == Found::kDirectory) return NodeType::kDirectory;
  return found == Found::kFile ? NodeType::kFile : NodeType::kAny;
}

std::string ReadLink(const std::string& path) {
  std::array<char, 4096> text;
  const ssize_t size = readlink(path.c_str(), text.data(), text.size());
  return size > 0 ? std::string(text.data(), static_cast<size_t>(size)) : std::string();
}

// A copy of a short file costs no more than a mount of it does, and nothing where the wall keeps
// it; one that is found through a link in a folder that is shown is that link. Of a small limit of
// disk nothing is taken for it.
constexpr uint64_t kShort = 128 << 10;
constexpr uint64_t kMuchDisk = 16 << 20;

void ChooseKind(const Resolution& r, uint64_t size_bytes, Mount& mount) {
  if (r.plan.wall != Wall::kNative || mount.type != NodeType::kFile) return;
  const auto is_shown = [&](std::string_view folder) {
    return IsWithin(mount.source, std::string(folder));
  };
  if (mount.source != mount.target && std::ranges::any_of(kSystemFolders, is_shown)) {
    mount.kind = MountKind::kLink;
  } else if (r.plan.limits.disk_bytes.value_or(kMuchDisk) >= kMuchDisk && size_bytes <= kShort) {
    mount.kind = MountKind::kCopy;
  }
}

// What `path` is: a directory only if no link is on the way. Each is looked at once.
Found FindFolder(const std::string& path, std::map<std::string, Found>& known) {
  for (size_t end = path.find('/', 1);; end = path.find('/', end + 1)) {
    const std::string part = path.substr(0, end);
    const auto [found, is_new] = known.emplace(part, Found::kMissing);
    if (is_new) found->second = Inspect(part);
    if (found->second != Found::kDirectory || end == std::string::npos) return found->second;
  }
}

void AddSystemFolders(Resolution& r) {
  for (const std::string_view name : kSystemFolders) {
    const std::string path(name);
    const Found found = Inspect(path);
    Mount mount = Bind("system", path, "programs of the machine", Origin::kMachine);
    if (found == Found::kLink) {
      mount.kind = MountKind::kLink;
      mount.source = ReadLink(path);
    } else if (found != Found::kDirectory) {
      continue;
    }
    mount.type = TypeOf(found);
    r.plan.mounts.push_back(std::move(mount));
  }
  std::map<std::string, Found> folders;
  for (const std::string_view name : kSystemFiles) {
    // Most of them are no links: one look instead of one for each component.
    const Found folder = FindFolder(std::string(name.substr(0, name.rfind('/'))), folders);
    if (folder == Found::kMissing) continue;
    Looked looked =
        folder == Found::kDirectory ? Look(std::string(name)) : Looked{.found = Found::kLink};
    if (looked.found == Found::kMissing) continue;
    const bool is_link = looked.found == Found::kLink;
    const std::string real = is_link ? RealPath(std::string(name)) : std::string(name);
    if (real.empty()) continue;
    if (is_link) looked = Look(real);
    Mount mount = Bind("system", real, "configuration of the machine", Origin::kMachine);
    mount.target = name;
    mount.type = TypeOf(looked.found);
    ChooseKind(r, looked.size_bytes, mount);
    r.plan.mounts.push_back(std::move(mount));
  }
}

void AddOwnDirectories(Resolution& r) {
  std::vector<std::string> folders = {"/tmp", "/var/tmp", "/run"};
  folders.push_back(r.Home());
  for (const std::string& folder : folders) {
    // Inside another one, or the workspace itself.
    Mount mount;
    mount.kind = MountKind::kTmpfs;
    mount.name = "memory";
    mount.target = folder;
    mount.type = NodeType::kDirectory;
    mount.read_only = false;
    mount.size_bytes = r.plan.limits.disk_bytes;
    mount.why = "empty, and gone afterwards";
    r.plan.mounts.push_back(std::move(mount));
  }
}

// The directory that the program's own files are in: of `…/bin/npm`, what is beside `bin`, unless
// that is where everything of the user is. Stand-ins that choose a version lie in `…/shims`.
std::string ToolchainOf(const Resolution& r, const std::string& program) {
  const std::string folder = program.substr(0, program.rfind('/'));
  const std::string above = folder.substr(0, folder.rfind('/'));
  const bool is_shared = above.empty() || above == r.around.home + "/.local" ||
                         !CredentialsIn(above, r.around).empty();
  const bool is_part = folder.ends_with("/bin") || folder.ends_with("/shims");
  return is_part && !is_shared ? above : folder;
}

// Some directory on the way to it is the project's.
bool IsOnTheWay(const Resolution& r, const std::string& path) {
  for (size_t slash = path.rfind('/'); slash != 0 && slash != std::string::npos;
       slash = path.rfind('/', slash - 1)) {
    if (IsWithin(RealPath(path.substr(0, slash)), r.root)) return true;
  }
  return false;
}

// Programs lie there, and nothing else: of the machine, of version managers below the home
// directory.
constexpr std::string_view kProgramFolders[] = {"/opt",
                                                "/nix/store",
                                                "~/.asdf/installs",
                                                "~/.local/share/mise/installs",
                                                "~/.local/share/pypoetry/python",
                                                "~/.local/share/uv/python",
                                                "~/.nvm/versions",
                                                "~/.pyenv/versions",
                                                "~/.rbenv/versions",
                                                "~/.rustup/toolchains"};

// Who has the search path, or says so in his own policy, has programs there.
bool IsWhereProgramsAre(const Resolution& r, const std::string& path) {
  for (const std::string_view folder : kProgramFolders) {
    if (IsWithin(path, r.around.ExpandHome(std::string(folder)))) return true;
  }
  for (const std::string& folder : SplitList(r.around.Variable("PATH"), ':')) {
    const std::string real = RealPath(folder);
    if (real.empty() || IsOnTheWay(r, folder + "/x")) continue;
    if (IsWithin(path, ToolchainOf(r, real + "/x"))) return true;
  }
  return r.user && std::ranges::any_of(r.user->document.toolchains.value, [&](const Word& word) {
           const std::string real = RealPath(AbsolutePath("/", r.around.ExpandHome(word.value)));
           return !real.empty() && IsWithin(path, real);
         });
}

void AddToolchains(Resolution& r) {
  std::vector<std::string> added;
  const auto is_seen = [&](const std::string& path) {
    return IsWithin(path, r.root) ||
           std::ranges::any_of(
               kSystemFolders,
               [&](std::string_view folder) { return IsWithin(path, std::string(folder)); }) ||
           std::ranges::any_of(added,
                               [&](const std::string& folder) { return IsWithin(path, folder); });
  };
  // Both where each is called and where its links end.
  std::vector<std::string> programs;
  for (const std::string& path : r.programs) {
    const std::string real = RealPath(path);
    // That it is not there has been said.
    if (real.empty()) continue;
    if (!is_seen(real) && IsOnTheWay(r, path) && !IsWhereProgramsAre(r, real)) {
      r.Refuse("a link of the project, to " + real +
                   ", where no program of your search path is; toolchains of your own policy can "
                   "name its folder",
               path);
      continue;
    }
    programs.push_back(path);
    if (real != path) programs.push_back(real);
  }
  for (size_t i = 0; i < programs.size(); ++i) {
    const std::string path = programs[i];
    if (path.empty() || is_seen(path)) continue;
    // A project's script does not say what is shown.
    for (std::string& other : InterpretersOf(path, r.around)) programs.push_back(std::move(other));
    std::string folder = ToolchainOf(r, path);
    if (folder.empty()) folder = "/";
    if (const std::string secret = CredentialsIn(folder, r.around); !secret.empty()) {
      r.Refuse("programs in " + folder + (" cannot be shown: it holds " + secret), path);
      continue;
    }
    added.push_back(folder);
    Mount mount = Bind("program", folder, "the program's own files", Origin::kMachine);
    mount.type = NodeType::kDirectory;
    r.plan.mounts.push_back(std::move(mount));
  }
}

void AddNamedToolchains(Resolution& r) {
  for (const Layer* layer : r.Layers()) {
    for (const Word& word : layer->document.toolchains.value) {
      if (r.IsWithheld(*layer, word.mark)) continue;
      const std::string path = AbsolutePath(layer->Folder(), r.around.ExpandHome(word.value));
      const std::string real = RealPath(path);
      if (const std::string secret = CredentialsIn(real.empty() ? path : real, r.around);
          !secret.empty()) {
        r.Refuse("toolchain " + word.value + (" holds " + secret), layer->Place(word.mark));
        continue;
      }
      Mount mount = Bind("toolchain", path, "named in " + layer->Place(word.mark), layer->origin);
      mount.type = NodeType::kDirectory;
      r.plan.mounts.push_back(std::move(mount));
    }
  }
}

void AddMount(Resolution& r, const Layer& layer, const MountRule& rule, Mark mark) {
  const std::string place = layer.Place(mark);
  Mount mount;
  mount.name = "mount";
  mount.target = AbsolutePath("/", rule.target.value);
  mount.why = "named in " + place;
  mount.origin = layer.origin;
  mount.read_only = rule.read_only.value;
  if (rule.type.value == "tmpfs") {
    mount.kind = MountKind::kTmpfs;
    mount.size_bytes = rule.size.given ? std::optional(rule.size.value) : r.plan.limits.disk_bytes;
    r.plan.mounts.push_back(std::move(mount));
    return;
  }
  const std::string path = AbsolutePath(layer.Folder(), r.around.ExpandHome(rule.source.value));
  const std::string real = RealPath(path);
  if (real.empty()) return r.Refuse("host path for mount does not exist: " + path, place);
  if (const std::string secret = CredentialsIn(real, r.around); !secret.empty()) {
    return r.Refuse("mount " + rule.source.value + " would show " + secret, place);
  }
  mount.source = real;
  mount.type = TypeOf(Inspect(real));
  if (layer.origin == Origin::kProject && IsWithin(real, r.root)) mount.beneath = r.root;
  r.plan.mounts.push_back(std::move(mount));
}

void AddCache(Resolution& r, const Layer& layer, const CacheRule& rule, Mark mark) {
  Mount mount;
  mount.name = "cache " + rule.name.value;
  mount.target = AbsolutePath("/", rule.target.value);
  mount.type = NodeType::kDirectory;
  mount.read_only = rule.read_only.value;
  mount.if_missing = IfMissing::kMakeDirectory;
  mount.why = "named in " + layer.Place(mark);
  mount.origin = layer.origin;
  const std::string& source = rule.source.value;
  const std::string folder = r.around.cache_home + "/caches/";
  if (source.find('/') == std::string::npos && !source.starts_with('~')) {
    mount.source = folder + (source.empty() ? HashText(r.root).substr(0, 16) + "-" + rule.name.value
                                            : "shared-" + source);
  } else {
    mount.source = AbsolutePath(layer.Folder(), r.around.ExpandHome(source));
    const std::string real = RealPath(mount.source);
    if (!real.empty()) mount.source = real;
    if (const std::string secret = CredentialsIn(mount.source, r.around); !secret.empty()) {
      return r.Refuse("cache " + source + " would show " + secret, layer.Place(mark));
    }
  }
  r.plan.mounts.push_back(std::move(mount));
}

void AddManagerCache(Resolution& r) {
  if (r.task == ManagerTask::kNone || r.around.cache_home.empty()) return;
  const std::string name(r.manager->name);
  Mount mount;
  mount.name = "cache " + name;
  mount.source = r.around.cache_home + "/caches/" + HashText(r.root).substr(0, 16) + "-" + name;
  mount.target = r.Home() + "/" + std::string(r.manager->cache);
  mount.type = NodeType::kDirectory;
  mount.read_only = false;
  mount.if_missing = IfMissing::kMakeDirectory;
  mount.why = "what " + name + " downloaded for this workspace";
  r.plan.mounts.push_back(std::move(mount));
}

// A /proc of the sandbox's own shows its processes, and of the machine whatever its kernel tells
// the user outside, who is the same.
constexpr const char* kTellsUsers[] = {"keys"};
constexpr const char* kTellsRoot[] = {"allocinfo",    "kpagecgroup", "kpagecount", "kpageflags",
                                      "pagetypeinfo", "slabinfo",    "timer_list", "vmallocinfo"};

void HideFromProc(Resolution& r) {
  const auto hide = [&r](const char* name) {
    Mount mount;
    mount.kind = MountKind::kMask;
    mount.name = "kernel";
    mount.target = std::string("/proc/") + name;
    mount.type = NodeType::kFile;
    mount.why = "the machine's, not the sandbox's";
    if (access(mount.target.c_str(), F_OK) == 0) r.plan.mounts.push_back(std::move(mount));
  };
  for (const char* name : kTellsUsers) hide(name);
  if (r.around.uid != 0) return;
  for (const char* name : kTellsRoot) hide(name);
}

}  // namespace

// Users of services have `/`, `/bin` or `/dev` for a home, where the machine's programs are.
std::string Resolution::Home() const {
  const std::string& home = around.home;
  const auto is_covered = [&](std::string_view folder) {
    return IsWithin(std::string(folder), home);
  };
  const bool is_system = std::ranges::any_of(kSystemFolders, is_covered) ||
                         std::ranges::any_of(kOtherFolders, is_covered);
  return !wall->host_programs || home.empty() || is_system ? "/home/user" : home;
}

void ResolveSystem(Resolution& r) {
  if (IsOpen(r.plan.wall) || r.plan.wall == Wall::kWasm) return;
  if (r.wall->host_programs) {
    AddSystemFolders(r);
    for (const GeneratedFile& file : kGenerated) {
      Mount mount;
      mount.kind = MountKind::kGenerated;
      mount.name = file.name;
      mount.target = file.target;
      mount.type = NodeType::kFile;
      mount.why = "only what the sandbox has";
      r.plan.mounts.push_back(std::move(mount));
    }
    for (const auto& [kind, target] :
         {std::pair(MountKind::kProc, "/proc"), std::pair(MountKind::kDev, "/dev")}) {
      Mount mount;
      mount.kind = kind;
      mount.name = "system";
      mount.target = target;
      mount.type = NodeType::kDirectory;
      // What of /proc can be written is, for root outside, the machine's.
      mount.read_only = kind == MountKind::kProc;
      mount.why = "the sandbox's own";
      r.plan.mounts.push_back(std::move(mount));
    }
    HideFromProc(r);
  }
  AddOwnDirectories(r);
  if (r.wall->host_programs) {
    AddToolchains(r);
    AddNamedToolchains(r);
  }
}

void ResolveMounts(Resolution& r) {
  if (IsOpen(r.plan.wall)) return;
  AddManagerCache(r);
  for (const Layer* layer : r.Layers()) {
    for (const auto& [cache, mark] : layer->document.caches.items) {
      if (!r.IsWithheld(*layer, mark)) AddCache(r, *layer, cache, mark);
    }
    for (const auto& [mount, mark] : layer->document.mounts.items) {
      if (!r.IsWithheld(*layer, mark)) AddMount(r, *layer, mount, mark);
    }
  }
}

namespace {

bool IsFor(const Resolution& r, const SecretRule& secret) {
  const auto names = [](const TextList& list, const std::string& word) {
    return std::ranges::any_of(list.value, [&](const Word& item) { return item.value == word; });
  };
  if (secret.when_profiles.given && !names(secret.when_profiles, r.profile_name.value))
    return false;
  return !names(secret.deny_roles, r.plan.decision.role);
}

void AddSecret(Resolution& r, const Layer& layer, const SecretRule& secret, Mark mark) {
  const std::string name = secret.name.given ? secret.name.value : secret.source.value;
  const std::string place = layer.Place(mark);
  const std::string path = AbsolutePath(layer.Folder(), r.around.ExpandHome(secret.source.value));
  const std::string real = RealPath(path);
  if (real.empty())
    return r.Refuse("host path for secret " + name + " does not exist: " + path, place);
  if (Inspect(real) != Found::kFile) {
    return r.Refuse("secret " + name + " uses unsupported source: not a file: " + path, place);
  }
  if (secret.descriptor.given) {
    r.plan.secrets.push_back({name, real, secret.descriptor.value});
    return;
  }
  Mount mount = Bind("secret " + name, real, "named in " + place, layer.origin);
  mount.target = AbsolutePath("/", secret.target.value);
  mount.type = NodeType::kFile;
  r.plan.mounts.push_back(std::move(mount));
}

}  // namespace

void ResolveSecrets(Resolution& r) {
  if (IsOpen(r.plan.wall)) return;
  for (const Layer* layer : r.Layers()) {
    for (const auto& [secret, mark] : layer->document.secrets.items) {
      if (IsFor(r, secret) && !r.IsWithheld(*layer, mark)) AddSecret(r, *layer, secret, mark);
    }
  }
}

}  // namespace cordon::policy

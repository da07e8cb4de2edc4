// What must not be, whatever was granted, and whether the wall can hold all of it.

#include <algorithm>
#include <array>

#include "policy/forms.h"
#include "policy/globs.h"
#include "policy/protected_paths.h"
#include "policy/resolution.h"

namespace cordon::policy {
namespace {

void CheckEnvironmentSecrets(Resolution& r, bool is_strict) {
  const bool has_network = r.plan.network.mode != NetworkMode::kOff;
  const bool is_install = r.plan.decision.role == "install";
  for (const Variable& variable : r.plan.environment) {
    if (!variable.is_secret || variable.origin == Origin::kCordon) continue;
    if (is_install && has_network) {
      r.Refuse("an install with network would get the secret " + variable.name + " (" +
               variable.why + ")");
    } else if (is_strict) {
      r.Refuse("strict: the secret " + variable.name + " in the environment (" + variable.why +
               ")");
    } else {
      r.Note("the command gets the secret " + variable.name);
    }
  }
}

// What this user's commands find as their root's own files: none of them may write the others'.
void CheckPreparedRoots(Resolution& r) {
  if (r.around.cache_home.empty()) return;
  const std::string named = r.around.cache_home + kPreparedRoots;
  std::string real;
  for (const Mount& mount : r.plan.mounts) {
    const bool is_taken_over = r.plan.workspace.shadow && mount.source == r.plan.workspace.root;
    if (mount.kind != MountKind::kBind || (mount.read_only && !is_taken_over)) continue;
    if (real.empty()) real = RealPrefix(named);
    const bool meets = std::ranges::any_of(std::array{named, real}, [&](const std::string& roots) {
      return IsWithin(roots, mount.source) || IsWithin(mount.source, roots);
    });
    if (!meets) continue;
    r.Refuse(mount.source + " may be written and holds what Cordon keeps for other commands, " +
             named);
  }
}

// The user's own policy and approvals, where they are not where everybody's are.
void CheckOwnPolicy(Resolution& r) {
  if (r.around.config_home.empty()) return;
  const std::string real = RealPrefix(r.around.config_home);
  for (const Mount& mount : r.plan.mounts) {
    if (mount.kind != MountKind::kBind || mount.read_only) continue;
    if (!IsWithin(real, mount.source) && !IsWithin(mount.source, real)) continue;
    r.Refuse(mount.source + " may be written and holds your own policy and approvals");
  }
}

// Another name for the workspace, or for what it is a part of.
bool IsAlias(const Resolution& r, const Mount& mount) {
  constexpr std::string_view kOwn[] = {"workspace", "writable", "protected"};
  // A secret is named to be seen.
  return mount.kind == MountKind::kBind && std::ranges::find(kOwn, mount.name) == std::end(kOwn) &&
         !mount.name.starts_with("secret ") &&
         (IsWithin(mount.source, r.root) || IsWithin(r.root, mount.source));
}

// What is hidden is so by every name, and what the host obeys later too. What a file says of
// itself, it may say more exactly: a mount of something in what it excludes.
void CheckAlias(Resolution& r, const Mount& alias) {
  const WorkspacePlan& workspace = r.plan.workspace;
  for (const Mount& mount : r.plan.mounts) {
    const bool is_hidden = mount.kind == MountKind::kMask ||
                           (mount.kind == MountKind::kPlaceholder && !alias.read_only);
    if (!is_hidden || !IsWithin(mount.target, workspace.mount)) continue;
    const std::string real =
        AbsolutePath("/", r.root + mount.target.substr(workspace.mount.size()));
    const bool is_named = IsWithin(alias.source, real) && alias.origin <= mount.origin;
    if (is_named || (!IsWithin(real, alias.source) && !IsWithin(alias.source, real))) continue;
    return r.Refuse(alias.source + " at " + alias.target + " would show " + real +
                    ", which is hidden or protected: " + mount.why);
  }
  if (alias.read_only || workspace.shadow) return;
  for (const ProtectedPath& row : ProtectedPaths()) {
    const std::string real = AbsolutePath(r.root, std::string(row.path));
    if (real == alias.source || !IsWithin(real, alias.source)) continue;
    return r.Refuse(alias.source + " at " + alias.target +
                    " may be written and holds what writable_paths keep from being written, " +
                    std::string(row.path) + ": " + std::string(row.why));
  }
  if (alias.type != NodeType::kDirectory || alias.source == r.root ||
      !IsWithin(alias.source, r.root)) {
    return;
  }
  TreeWalk walk;
  const std::vector<std::string> inner = PathComponents(alias.source.substr(r.root.size()));
  if (r.workspace->Inspect(inner) != Found::kDirectory) return;
  WalkTree(*r.workspace, inner, {}, &walk);
  if (!walk.is_complete || !walk.git_folders.empty()) {
    r.Refuse(alias.source + " at " + alias.target +
             " may be written and holds a repository, whose hooks and settings git would obey; "
             "writable_paths keep them from being written");
  }
}

void CheckAliases(Resolution& r) {
  for (const Mount& mount : r.plan.mounts) {
    if (IsAlias(r, mount)) CheckAlias(r, mount);
  }
}

void AddGuarantees(Resolution& r) {
  std::vector<Guarantee>& list = r.plan.guarantees;
  const Plan& plan = r.plan;
  if (IsOpen(plan.wall)) {
    list.push_back({"environment", "only the variables of this plan"});
    list.push_back({"nothing else", "files, network and other processes are the host's"});
    return;
  }
  list.push_back({"files", "nothing of the host but the mounts of this plan"});
  list.push_back({"environment", "only the variables of this plan"});
  list.push_back({"processes", "no other process is visible, and none outlives the command"});
  switch (plan.network.mode) {
    case NetworkMode::kOff:
      list.push_back({"network", "none but its own loopback"});
      break;
    case NetworkMode::kList:
      list.push_back(
          {"network", "only the hosts of this plan, by name, address and port together"});
      break;
    case NetworkMode::kAll:
      list.push_back({"network", "public addresses; private and special-purpose ones are refused"});
      break;
    default:
      list.push_back({"network", "as the engine's network " + plan.network.name + " is"});
  }
  if (plan.rights.no_new_privileges)
    list.push_back({"privileges", "no program gives more rights than its caller has"});
  const bool has_masks = std::ranges::any_of(plan.mounts, [](const Mount& mount) {
    return mount.kind == MountKind::kMask && mount.name == "excluded";
  });
  if (has_masks) list.push_back({"hidden", "excluded files cannot be read or replaced"});
  const bool has_protected = (r.wall->features & kPlaceholders) != 0 &&
                             std::ranges::any_of(plan.mounts, [](const Mount& mount) {
                               return mount.name == "protected";
                             });
  if (plan.workspace.shadow)
    list.push_back({"hand-over", "nothing reaches the workspace before cordon commit"});
  if (has_protected)
    list.push_back({"hand-over", "what the host would execute later cannot be written"});
}

// Where a wall cannot bar a path: what the command cannot write it cannot make either, and what
// sbox.yaml excludes is what is there. What cordon.yaml asks for beyond that stays and is refused.
void DropPlaceholders(Resolution& r) {
  const auto is_writable = [&](const std::string& target) {
    return std::ranges::any_of(r.plan.mounts, [&](const Mount& mount) {
      return mount.kind == MountKind::kBind && !mount.read_only && IsWithin(target, mount.target);
    });
  };
  const bool is_sbox = r.main->kind == FileKind::kSbox;
  std::string made;
  std::erase_if(r.plan.mounts, [&](const Mount& mount) {
    if (mount.kind != MountKind::kPlaceholder) return false;
    const bool is_ours = mount.name == "protected";
    const bool can_be_made = is_writable(mount.target);
    if (can_be_made && !is_ours && !is_sbox) return false;
    if (can_be_made) made += (made.empty() ? "" : ", ") + mount.target;
    return true;
  });
  if (made.empty()) return;
  r.Note("behind the wall " + std::string(r.wall->name) +
         " the command can make these, which are not there yet: " + made);
}

// The project's own files are read-only for an install, so that no package changes them.
void HintAtManifest(Resolution& r) {
  if (r.manager == nullptr || r.task != ManagerTask::kInstall || IsOpen(r.plan.wall)) return;
  if (r.plan.workspace.shadow || !AddsPackage(*r.manager, r.readings)) return;
  for (const std::string& name : SplitList(r.manager->manifests)) {
    const std::string path = r.plan.workspace.mount + "/" + name;
    const bool is_writable = std::ranges::any_of(r.plan.mounts, [&](const Mount& mount) {
      return mount.kind == MountKind::kBind && !mount.read_only && IsWithin(path, mount.target);
    });
    if (is_writable) continue;
    std::string hint = name;
    hint += " is read-only, and adding a package writes it: use --shadow and cordon commit, or ";
    hint += "package_manager: {name: ";
    hint += r.manager->name;
    hint += ", install_writable: [";
    for (const std::string& below : SplitList(r.manager->install_writable)) hint += below + ", ";
    r.Hint(hint + name + "]}");
  }
}

}  // namespace

void CheckSafety(Resolution& r) {
  const bool is_strict = r.IsStrict();
  CheckEnvironmentSecrets(r, is_strict);
  CheckPreparedRoots(r);
  CheckOwnPolicy(r);
  CheckAliases(r);
  if (is_strict && r.plan.image && !r.plan.image->is_pinned) {
    r.Refuse("strict: the image " + r.plan.image->reference + " has no digest");
  }
  if (!r.plan.withheld.empty()) {
    std::string files;
    for (const Approval& approval : r.needed) {
      if (files.find(approval.path) == std::string::npos)
        files += (files.empty() ? "" : ", ") + approval.path;
    }
    r.Refuse(std::to_string(r.plan.withheld.size()) +
             (r.plan.withheld.size() == 1 ? " thing needs" : " things need") +
             " your approval (cordon trust): " + files);
  }
  const bool has_host_command =
      std::ranges::any_of(r.plan.pre_run, [](const PreRun& command) { return command.on_host; });
  if (has_host_command) r.Note("commands run on the host before it");
}

void CheckWallFits(Resolution& r) {
  if ((r.wall->features & kPlaceholders) == 0) DropPlaceholders(r);
  for (const Feature feature : FeaturesOf(r.plan)) {
    if ((r.wall->features & feature) != 0 || r.plan.wall == Wall::kNone) continue;
    r.Refuse("the wall " + std::string(r.wall->name) +
             " cannot enforce: " + std::string(FeatureText(feature)));
  }
  AddGuarantees(r);
  HintAtManifest(r);
}

}  // namespace cordon::policy

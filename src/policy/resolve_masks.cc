// What of the workspace may be written, what is hidden, and what the host would obey later.

#include <algorithm>

#include "policy/forms.h"
#include "policy/git_settings.h"
#include "policy/globs.h"
#include "policy/managers.h"
#include "policy/protected_paths.h"
#include "policy/resolution.h"
#include "policy/secrets.h"

namespace cordon::policy {
namespace {

constexpr size_t kMaxGitConfig = 1 << 20;
// Of a worktree or a submodule: says where the rest of it is.
constexpr ProtectedPath kGitFile = {".git", NodeType::kFile, "git obeys it", ""};
// Of a worktree that is elsewhere, in its folder here: where the rest is, and its own settings.
constexpr ProtectedPath kOfWorktree[] = {
    {"commondir", NodeType::kFile, "git obeys it the next time it runs there", ""},
    {"config.worktree", NodeType::kFile, "git obeys it the next time it runs there", ""}};

std::string Join(const std::vector<std::string>& components) {
  std::string text;
  for (const std::string& name : components) text += (text.empty() ? "" : "/") + name;
  return text;
}

// A list of writable paths and whose it is.
struct Writable {
  const TextList* paths;
  const Layer* layer;
};

Writable WritablePaths(const Resolution& r) {
  for (const Layer* layer : r.Layers()) {
    const PackageManager& manager = layer->document.package_manager.fields;
    if (r.task == ManagerTask::kInstall && manager.install_writable.given)
      return {&manager.install_writable, layer};
    if (r.task == ManagerTask::kBuild && manager.build_writable.given)
      return {&manager.build_writable, layer};
  }
  if (r.profile->writable_paths.given) return {&r.profile->writable_paths, r.profile_layer};
  return {&r.document().workspace.fields.writable_paths, r.main};
}

Mount InWorkspace(const Resolution& r, const std::string& inner) {
  Mount mount;
  mount.source = AbsolutePath(r.root, inner);
  mount.target = AbsolutePath(r.plan.workspace.mount, inner);
  mount.beneath = r.root;
  return mount;
}

// What a path that is not there is going to be: by its slash, by its name, by what is known of
// lockfiles.
bool IsFileName(const Resolution& r, const std::string& path) {
  if (path.ends_with('/')) return false;
  const std::string name = path.substr(path.rfind('/') + 1);
  if (r.manager != nullptr && std::ranges::count(SplitList(r.manager->lockfiles), name) != 0)
    return true;
  return name.find('.', 1) != std::string::npos;
}

void AddWritable(Resolution& r, const Layer& layer, const Word& path) {
  Mount mount = InWorkspace(r, path.value);
  mount.name = "writable";
  mount.read_only = false;
  mount.origin = layer.origin;
  mount.why = layer.path.empty() ? "what " + std::string(r.manager->name) + " writes"
                                 : "named in " + layer.Place(path.mark);
  switch (r.workspace->Inspect(PathComponents(path.value))) {
    case Found::kFile:
      mount.type = NodeType::kFile;
      break;
    case Found::kDirectory:
      mount.type = NodeType::kDirectory;
      break;
    case Found::kMissing:
      mount.type = IsFileName(r, path.value) ? NodeType::kFile : NodeType::kDirectory;
      mount.if_missing =
          mount.type == NodeType::kFile ? IfMissing::kStageFile : IfMissing::kMakeDirectory;
      break;
    case Found::kLink:
      return r.Refuse("writable path " + path.value + " leads through a symbolic link",
                      layer.path.empty() ? r.root : layer.Place(path.mark));
    case Found::kOther:
      return r.Refuse("writable path " + path.value + " is neither file nor directory",
                      layer.path.empty() ? r.root : layer.Place(path.mark));
  }
  r.plan.mounts.push_back(std::move(mount));
}

// The first part of a path that is not there: nothing below it can be.
std::vector<std::string> FirstMissing(const Resolution& r,
                                      const std::vector<std::string>& components) {
  std::vector<std::string> part;
  for (const std::string& name : components) {
    part.push_back(name);
    if (r.workspace->Inspect(part) == Found::kMissing) break;
  }
  return part;
}

bool HasTarget(const Plan& plan, const std::string& target) {
  return std::ranges::any_of(plan.mounts,
                             [&](const Mount& mount) { return mount.target == target; });
}

void Protect(Resolution& r, const std::string& path, const ProtectedPath& row) {
  const std::vector<std::string> components = PathComponents(path);
  const std::vector<std::string> part = FirstMissing(r, components);
  const Found found = r.workspace->Inspect(part);
  Mount mount = InWorkspace(r, Join(part));
  if (HasTarget(r.plan, mount.target)) return;
  mount.name = "protected";
  mount.why = row.why;
  mount.pinned = true;
  mount.type = found == Found::kDirectory ? NodeType::kDirectory : NodeType::kFile;
  if (found == Found::kMissing) {
    const bool is_whole = part.size() == components.size();
    mount.kind = MountKind::kPlaceholder;
    mount.type = is_whole ? row.type : NodeType::kDirectory;
    mount.source = is_whole ? row.text : "";
    mount.beneath.clear();
  } else if (found == Found::kLink || found == Found::kOther) {
    return r.Refuse(path + " may be written and leads through a link; " + std::string(row.why),
                    r.root);
  }
  r.plan.mounts.push_back(std::move(mount));
}

constexpr size_t kMostRepositories = 1000;

// What the packages of a project are put into has no repositories that somebody works in, and is
// large. A directory of that name in another project is as any other.
bool IsFilledByManager(const Resolution& r, const std::string& name) {
  return std::ranges::any_of(Managers(), [&](const Manager& manager) {
    const std::vector<std::string> filled = SplitList(manager.install_writable);
    const std::vector<std::string> manifests = SplitList(manager.manifests);
    return std::ranges::find(filled, name + "/") != filled.end() &&
           std::ranges::any_of(manifests, [&](const std::string& manifest) {
             return r.workspace->Inspect({manifest}) == Found::kFile;
           });
  });
}

TreeWalk WalkWorkspace(const Resolution& r, const std::vector<Glob>& globs) {
  TreeWalk walk;
  if (!globs.empty() || r.plan.workspace.writable) {
    WalkTree(*r.workspace, {}, globs, &walk);
    return walk;
  }
  if (r.workspace->Inspect({".git"}) != Found::kMissing) walk.git_folders.push_back({".git"});
  for (const Mount& mount : r.plan.mounts) {
    const bool is_walked = mount.name == "writable" && mount.type == NodeType::kDirectory &&
                           mount.if_missing != IfMissing::kMakeDirectory;
    if (!is_walked) continue;
    const std::vector<std::string> path = PathComponents(mount.source.substr(r.root.size()));
    if (path == std::vector<std::string>{".git"} || IsFilledByManager(r, Join(path))) continue;
    WalkTree(*r.workspace, path, globs, &walk);
  }
  return walk;
}

std::vector<NamedByGit> NamedIn(const Resolution& r, const std::vector<std::string>& folder) {
  return FindNamedByGit(r.root, r.around.home, Join(folder), [&r](const std::string& path) {
    Result<std::string> text = r.workspace->Read(PathComponents(path), kMaxGitConfig);
    return text ? std::optional(std::move(*text)) : std::nullopt;
  });
}

// What may be written by the project's own word although git runs it, and what is in a directory
// that is made for the command: there is nothing yet to be mounted on.
void RefuseNamedByGit(Resolution& r, const NamedByGit& named) {
  const std::string path = AbsolutePath(r.root, named.path);
  const bool is_writable = std::ranges::any_of(r.plan.mounts, [&](const Mount& mount) {
    if (mount.name != "writable") return false;
    const bool is_made = mount.if_missing == IfMissing::kMakeDirectory;
    return (is_made && path != mount.source && IsWithin(path, mount.source)) ||
           (mount.origin == Origin::kProject && IsWithin(mount.source, path));
  });
  if (!named.path.empty() && !is_writable) return;
  std::string text =
      (named.path.empty() ? r.root : named.path) + " may be written and " + named.why;
  if (std::ranges::find(r.plan.refusals, text, &Error::message) == r.plan.refusals.end())
    r.Refuse(std::move(text), r.root);
}

// In everything that may be written, unless it was named itself or is in what is protected.
void ProtectWithin(Resolution& r, const std::string& area, const TreeWalk& walk) {
  const std::string area_source = AbsolutePath("/", r.root + area);
  const auto consider = [&](const std::string& path, const ProtectedPath& row) {
    const std::string full = "/" + path;
    const Mount asked = InWorkspace(r, path);
    const bool is_decided = std::ranges::any_of(r.plan.mounts, [&](const Mount& mount) {
      return (mount.name == "protected" && IsWithin(asked.target, mount.target)) ||
             (mount.name == "writable" && IsWithin(asked.source, mount.source) &&
              mount.source != area_source);
    });
    if (IsWithin(full, area) && full != area && !is_decided) Protect(r, path, row);
  };
  // Of a worktree or submodule it is a file, with nothing below it.
  const bool has_git_file = r.workspace->Inspect({".git"}) == Found::kFile;
  for (const ProtectedPath& row : ProtectedPaths()) {
    if (!has_git_file || !row.path.starts_with(".git/")) consider(std::string(row.path), row);
  }
  if (walk.git_folders.size() + walk.git_worktrees.size() > kMostRepositories) {
    return r.Refuse("more than 1000 repositories are in what may be written", r.root);
  }
  for (const auto& folder : walk.git_worktrees) {
    for (const ProtectedPath& row : kOfWorktree) {
      consider(Join(folder) + "/" + std::string(row.path), row);
    }
  }
  for (const auto& folder : walk.git_folders) {
    const Found found = r.workspace->Inspect(folder);
    // A link could be exchanged, and nothing can be mounted on one: refused.
    if (found == Found::kFile || found == Found::kLink) consider(Join(folder), kGitFile);
    if (found != Found::kDirectory) continue;
    for (const NamedByGit& named : NamedIn(r, folder)) {
      RefuseNamedByGit(r, named);
      const NodeType type = named.why == kGitRuns ? NodeType::kDirectory : NodeType::kFile;
      if (!named.path.empty()) consider(named.path, {"", type, named.why, ""});
    }
    if (folder == std::vector<std::string>{".git"}) continue;
    for (const ProtectedPath& row : ProtectedPaths()) {
      if (!row.path.starts_with(".git/")) continue;
      const std::string name(row.path.substr(5));
      consider(folder.empty() ? name : Join(folder) + "/" + name, row);
    }
  }
}

constexpr size_t kMostMasks = 4096;
constexpr const char* kClosed = "you may not list it, so what is to be hidden in it is not known";
constexpr const char* kTooMany =
    "more than 4096 files are to be hidden; a pattern that names their directories hides them all";

void AddMask(Resolution& r, const std::vector<std::string>& path, Found type,
             const std::string& why, Origin origin) {
  Mount mount = InWorkspace(r, Join(path));
  size_t masks = 0;
  for (const Mount& old : r.plan.mounts) {
    if (old.kind != MountKind::kMask) continue;
    if (IsWithin(mount.target, old.target)) return;
    ++masks;
  }
  // Each is a mount, of which the kernel gives a namespace so many.
  if (masks >= kMostMasks) {
    if (std::ranges::find(r.plan.refusals, kTooMany, &Error::message) == r.plan.refusals.end())
      r.Refuse(kTooMany, r.root);
    return;
  }
  mount.kind = MountKind::kMask;
  mount.name = "excluded";
  mount.source.clear();
  mount.type = type == Found::kDirectory ? NodeType::kDirectory : NodeType::kFile;
  mount.pinned = true;
  mount.why = why;
  mount.origin = origin;
  r.plan.mounts.push_back(std::move(mount));
}

// A link shows what it leads to by another name; what is outside does not exist for the command.
void MaskLink(Resolution& r, const std::vector<std::string>& path, const std::string& why,
              Origin origin) {
  const std::string target = RealPath(AbsolutePath(r.root, Join(path)));
  if (target.empty() || !IsWithin(target, r.root) || target == r.root) return;
  const std::vector<std::string> inner = PathComponents(target.substr(r.root.size()));
  AddMask(r, inner, r.workspace->Inspect(inner), why + ", by the link " + Join(path), origin);
}

struct ExcludeRule {
  const Layer* layer;
  const Word* word;
};

std::vector<ExcludeRule> ExcludeRules(const Resolution& r) {
  std::vector<ExcludeRule> rules;
  for (const Layer* layer : r.Layers()) {
    for (const Word& word : layer->document.workspace.fields.exclude_paths.value)
      rules.push_back({layer, &word});
  }
  return rules;
}

constexpr size_t kMostPatterns = 1000;

// A link in the middle of what a pattern names: where it leads the pattern holds too. Says whether
// there are more patterns now.
bool FollowLinks(Resolution& r, const TreeWalk& walk, std::vector<ExcludeRule>* rules,
                 std::vector<Glob>* globs) {
  const size_t before = globs->size();
  for (const std::vector<std::string>& link : walk.links) {
    std::string target;
    for (size_t i = 0; i < before; ++i) {
      // Cheaper than looking where each leads.
      if ((*globs)[i].Behind(link, {}).empty()) continue;
      if (target.empty()) target = RealPath(AbsolutePath(r.root, Join(link)));
      if (target.empty() || !IsWithin(target, r.root)) break;
      for (Glob& glob : (*globs)[i].Behind(link, PathComponents(target.substr(r.root.size())))) {
        const bool is_known = std::ranges::any_of(
            *globs, [&](const Glob& other) { return other.components() == glob.components(); });
        if (is_known) continue;
        globs->push_back(std::move(glob));
        rules->push_back((*rules)[i]);
      }
    }
    if (globs->size() == before || globs->size() <= kMostPatterns) continue;
    r.Refuse("links lead to more than 1000 places where something is to be hidden", r.root);
    return false;
  }
  return globs->size() != before;
}

// What a path that is not there would be: by its slash, or because more of it comes.
bool IsFolderName(const Resolution& r, const Glob& glob, const std::string& pattern,
                  const std::string& first_missing) {
  return pattern.ends_with('/') ||
         first_missing != AbsolutePath(r.plan.workspace.mount, Join(glob.components()));
}

void AddPlaceholders(Resolution& r, const std::vector<ExcludeRule>& rules,
                     const std::vector<Glob>& globs) {
  for (size_t i = 0; i < globs.size(); ++i) {
    if (!globs[i].is_literal() || r.workspace->Inspect(globs[i].components()) != Found::kMissing)
      continue;
    Mount mount = InWorkspace(r, Join(FirstMissing(r, globs[i].components())));
    // What is there otherwise: a prefix that is no directory.
    if (HasTarget(r.plan, mount.target)) continue;
    mount.kind = MountKind::kPlaceholder;
    mount.type = IsFolderName(r, globs[i], rules[i].word->value, mount.target)
                     ? NodeType::kDirectory
                     : NodeType::kFile;
    mount.name = "excluded";
    mount.source.clear();
    mount.beneath.clear();
    mount.pinned = true;
    mount.why = "named in " + rules[i].layer->Place(rules[i].word->mark);
    mount.origin = rules[i].layer->origin;
    r.plan.mounts.push_back(std::move(mount));
  }
}

// Files that are made later are not among those that were found.
void CheckLaterFiles(Resolution& r, const std::vector<ExcludeRule>& rules,
                     const std::vector<Glob>& globs) {
  for (size_t i = 0; i < globs.size(); ++i) {
    if (r.plan.workspace.shadow) {
      const bool is_there =
          globs[i].is_literal() && r.workspace->Inspect(globs[i].components()) != Found::kMissing;
      r.plan.workspace.shadow_copy = r.plan.workspace.shadow_copy || !is_there;
      continue;
    }
    if (globs[i].is_literal()) continue;
    const std::string& pattern = rules[i].word->value;
    const std::string place = rules[i].layer->Place(rules[i].word->mark);
    if (r.plan.workspace.writable && rules[i].layer->kind != FileKind::kSbox) {
      r.Refuse("'" + pattern +
                   "' can match files that are made later; with a writable workspace that needs "
                   "workspace.shadow",
               place);
    } else {
      r.Note("'" + pattern + "' hides what is there when the command starts (" + (place + ")"));
    }
  }
}

void MaskGitConfigs(Resolution& r, const TreeWalk& walk) {
  for (std::vector<std::string> path : walk.git_folders) {
    path.emplace_back("config");
    const Result<std::string> text = r.workspace->Read(path, kMaxGitConfig);
    if (text && GitConfigHoldsSecret(*text)) {
      AddMask(r, path, Found::kFile, "it holds a password", Origin::kCordon);
    }
  }
}

}  // namespace

void ResolveWritable(Resolution& r) {
  if (IsOpen(r.plan.wall)) return;
  if (r.plan.wall == Wall::kWasm && !r.project) {
    return r.Note("behind the wall wasm nothing of the workspace is seen; no policy names one");
  }
  Mount mount = InWorkspace(r, "");
  mount.name = "workspace";
  mount.beneath.clear();
  mount.type = NodeType::kDirectory;
  mount.read_only = !r.plan.workspace.writable;
  mount.why = "the workspace";
  mount.origin = Origin::kUser;
  r.plan.mounts.push_back(std::move(mount));
  if (r.plan.workspace.shadow) return;
  const Writable writable = WritablePaths(r);
  for (const Word& path : writable.paths->value) {
    if (!r.IsWithheld(*writable.layer, path.mark)) AddWritable(r, *writable.layer, path);
  }
}

void ResolveMasks(Resolution& r) {
  if (IsOpen(r.plan.wall)) return;
  std::vector<ExcludeRule> rules = ExcludeRules(r);
  std::vector<Glob> globs;
  globs.reserve(rules.size());
  for (const ExcludeRule& rule : rules) globs.emplace_back(rule.word->value);
  TreeWalk walk = WalkWorkspace(r, globs);
  while (FollowLinks(r, walk, &rules, &globs)) walk = WalkWorkspace(r, globs);
  std::ranges::sort(walk.git_folders);  // a repository before those in it
  if (!walk.is_complete)
    r.Refuse("what is to be hidden or protected cannot be found: " + walk.problem, r.root);
  std::vector<std::string> areas;
  if (r.plan.workspace.writable) areas.emplace_back("/");
  for (const Mount& mount : r.plan.mounts) {
    if (mount.name == "writable") areas.push_back(mount.source.substr(r.root.size()));
  }
  // What is made in a view is judged when it is committed.
  const bool is_shadow = r.plan.workspace.shadow;
  if (!is_shadow) {
    for (const std::string& area : areas) ProtectWithin(r, area, walk);
  }
  // Its owner could open it, or knows the names in it: whether something of it was to be hidden
  // cannot be seen.
  for (const std::vector<std::string>& path : walk.closed) {
    if (!globs.empty()) AddMask(r, path, Found::kDirectory, kClosed, Origin::kCordon);
  }
  for (const TreeMatch& match : walk.matches) {
    const ExcludeRule& rule = rules[match.glob];
    const std::string why = "'" + rule.word->value + "' in " + rule.layer->Place(rule.word->mark);
    if (match.type == Found::kLink) {
      MaskLink(r, match.path, why, rule.layer->origin);
    } else {
      AddMask(r, match.path, match.type, why, rule.layer->origin);
    }
  }
  if (!is_shadow) AddPlaceholders(r, rules, globs);
  CheckLaterFiles(r, rules, globs);
  MaskGitConfigs(r, walk);
}

}  // namespace cordon::policy

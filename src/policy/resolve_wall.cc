// Which wall, where the workspace is, and which program runs.

#include <unistd.h>

#include <algorithm>

#include "policy/forms.h"
#include "policy/resolution.h"
#include "policy/secrets.h"

namespace cordon::policy {
namespace {

struct WallChoice {
  std::string name;
  std::string from;
};

bool HasImage(const Resolution& r) {
  return !r.request.image.empty() || r.document().image.given || r.profile->image.given;
}

// The first who says something.
WallChoice ChooseWallName(Resolution& r) {
  const Document& document = r.document();
  if (!r.request.wall.empty()) return {r.request.wall, "--wall"};
  if (r.request.mode == "host") return {"none", "--mode host"};
  const Text& wall = r.profile->wall;
  if (wall.given && wall.value != "auto" && !r.IsWithheld(*r.profile_layer, wall.mark)) {
    return {wall.value, "profile " + r.profile_name.value};
  }
  const Text& mode = r.profile->mode;
  if (mode.value == "host" && r.request.mode.empty() &&
      !r.IsWithheld(*r.profile_layer, mode.mark)) {
    return {"none", "mode: host of profile " + r.profile_name.value};
  }
  for (const Layer* layer : {r.main, r.user ? &*r.user : r.main}) {
    const Text& general = layer->document.wall;
    if (general.given && general.value != "auto" && !r.IsWithheld(*layer, general.mark)) {
      return {general.value, layer->Place(general.mark)};
    }
  }
  const std::string& backend = document.runtime.fields.backend.value;
  if (backend == "podman" || backend == "docker")
    return {"container", "runtime.backend: " + backend};
  if (HasImage(r)) return {"container", "an image is named"};
  return {"native", "it runs the host's programs"};
}

std::string FindProgram(const Resolution& r, const std::string& name) {
  if (name.find('/') != std::string::npos) return AbsolutePath(r.around.directory, name);
  return r.around.FindProgram(name);
}

// A project has no say in which program of the host runs.
void AddPrograms(Resolution& r) {
  if (!r.user) return;
  const WallPrograms& programs = r.user->document.wall_programs.fields;
  const auto add = [&r](Wall wall, const char* name, const Text& path) {
    if (r.plan.wall == wall && path.given) r.plan.wall_programs.push_back({name, path.value});
  };
  add(Wall::kBwrap, "bwrap", programs.bwrap);
  add(Wall::kContainer, "podman", programs.podman);
  add(Wall::kContainer, "docker", programs.docker);
}

}  // namespace

void ChooseWall(Resolution& r) {
  const WallChoice choice = ChooseWallName(r);
  if (r.request.mode == "host" && choice.name != "none") {
    r.errors.push_back(
        Fail(ErrorCode::kInvalid, "there is no wall then, but --wall names one", "--mode").error());
    return;
  }
  r.wall = FindWall(choice.name == "auto" ? "native" : choice.name);
  if (choice.name == "podman" || choice.name == "docker") {
    r.wall = FindWall("container");
    r.engine = choice.name;
  }
  if (r.wall == nullptr) {
    r.errors.push_back(
        Fail(ErrorCode::kInvalid, "unknown wall '" + choice.name + "'", "--wall").error());
    return;
  }
  r.plan.wall = r.wall->wall;
  r.plan.decision.wall_from = choice.from;
  AddPrograms(r);
}

void ResolveWorkspace(Resolution& r) {
  const Workspace& workspace = r.document().workspace.fields;
  std::string root = r.around.directory;
  if (root.empty()) {
    r.errors.push_back(
        Fail(ErrorCode::kInvalid, "the working directory is not there any more").error());
    return;
  }
  if (!r.request.workspace.empty()) {
    root = AbsolutePath(r.around.directory, r.request.workspace);
  } else if (r.project) {
    root = r.project->Folder();
    if (!r.IsWithheld(*r.project, workspace.root.mark)) {
      root = AbsolutePath(root, r.around.ExpandHome(workspace.root.value));
    }
  }
  r.root = RealPath(root);
  Result<Beneath> opened = Beneath::Open(r.root.empty() ? root : r.root);
  if (!opened) {
    r.errors.push_back(opened.error());
    return;
  }
  r.workspace = std::move(*opened);
  if (!r.around.config_home.empty() && IsWithin(RealPrefix(r.around.config_home), r.root)) {
    r.Refuse(
        "your own policy and approvals are inside the workspace, where the command may change them",
        r.around.config_home);
  }
  if (!r.around.policy_file.empty() && IsWithin(RealPath(r.around.policy_file), r.root)) {
    r.Refuse("your own policy is inside the workspace, where the command may change it",
             r.around.policy_file);
  }
  if (const std::string secret = CredentialsIn(r.root, r.around);
      !secret.empty() && !IsOpen(r.plan.wall)) {
    r.Refuse("the workspace " + r.root + " shows " + secret + "; start in a project's directory");
  }
  WorkspacePlan& plan = r.plan.workspace;
  plan.root = r.root;
  plan.mount = AbsolutePath("/", workspace.mount.value);
  if (!workspace.mount.given) plan.mount = r.wall->host_programs ? r.root : "/workspace";
  if (IsOpen(r.plan.wall)) plan.mount = r.root;
  plan.writable = workspace.writable.value && r.profile->writable.value &&
                  !r.IsWithheld(*r.main, workspace.writable.mark);
  // Nothing of a view reaches the workspace by itself: there is nothing to keep the command from.
  plan.shadow = r.request.shadow || workspace.shadow.value;
  plan.writable = plan.writable || plan.shadow;
  if (workspace.writable.value && !r.profile->writable.value && !plan.shadow) {
    r.Hint("the workspace may be written where the profile says so too, and '" +
           r.profile_name.value + "' does not: writable: true");
  }
  const std::string here = root == r.around.directory ? r.root : RealPath(r.around.directory);
  const bool is_inside = IsWithin(here, r.root);
  r.plan.directory =
      is_inside ? AbsolutePath("/", plan.mount + here.substr(r.root == "/" ? 0 : r.root.size()))
                : plan.mount;
  if (!is_inside) r.Note("you are outside the workspace; the command starts in " + plan.mount);
}

void ResolveProgram(Resolution& r) {
  const std::string path = FindProgram(r, r.request.argv.front());
  r.program = path.empty() ? "" : RealPath(path);
  for (const std::vector<std::string>& reading : r.readings) {
    const std::string found =
        reading.front() == r.request.argv.front() ? path : FindProgram(r, reading.front());
    if (found.empty() || std::ranges::count(r.programs, found) != 0) continue;
    r.programs.push_back(found);
    const Manager* manager = ManagerOfProgram(reading.front());
    if (r.manager == manager) r.manager_program = RealPath(found);
    if (manager == nullptr) continue;
    for (const std::string& name : SplitList(manager->runs)) {
      std::string other = r.around.FindProgram(name);
      if (!other.empty()) r.programs.push_back(std::move(other));
    }
  }
  if (r.manager_program.empty()) r.manager_program = r.program;
  if (!r.wall->host_programs) return;
  if (r.program.empty()) {
    r.plan.refusals.push_back(
        {ErrorCode::kNotFound, r.request.argv.front() + ": not found on this machine", {}, 0});
    return;
  }
  // As it is found, not where its links end: what it is called decides what it does.
  r.plan.program = path;
}

}  // namespace cordon::policy

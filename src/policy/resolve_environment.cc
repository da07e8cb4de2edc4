// Variables: none of the host's but those that are named, and no denied one.

#include <algorithm>

#include "policy/forms.h"
#include "policy/resolution.h"
#include "policy/secrets.h"
#include "policy/words.h"

namespace cordon::policy {
namespace {

constexpr std::string_view kSystemPath[] = {"/usr/local/sbin", "/usr/local/bin", "/usr/sbin",
                                            "/usr/bin",        "/sbin",          "/bin"};

void Deny(Resolution& r, const std::string& name, std::string why) {
  if (std::ranges::find(r.plan.denied, name, &DeniedVariable::name) != r.plan.denied.end()) return;
  r.plan.denied.push_back({name, std::move(why)});
}

// The place of the pattern that denies it, or nothing.
std::string DeniedBy(const Resolution& r, const std::string& name) {
  for (const Layer* layer : r.Layers()) {
    for (const Word& pattern : layer->document.environment.fields.deny.value) {
      if (MatchesStar(pattern.value, name))
        return "'" + pattern.value + "' in " + layer->Place(pattern.mark);
    }
  }
  return {};
}

void Set(Resolution& r, Variable variable) {
  if (const std::string denied = DeniedBy(r, variable.name);
      !denied.empty() && variable.origin != Origin::kCordon) {
    return Deny(r, variable.name, denied);
  }
  std::erase_if(r.plan.environment, [&](const Variable& old) { return old.name == variable.name; });
  variable.is_secret = !SecretReason(variable.name, variable.value).empty();
  r.plan.environment.push_back(std::move(variable));
}

// Of the host's PATH what the command sees, in the host's order.
std::string VisiblePath(const Resolution& r) {
  if (!r.wall->host_programs) return "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
  std::string path;
  for (const std::string& folder : SplitList(r.around.Variable("PATH"), ':')) {
    const bool is_system = std::ranges::find(kSystemPath, folder) != std::end(kSystemPath);
    const bool is_seen = is_system || IsOpen(r.plan.wall) ||
                         std::ranges::any_of(r.plan.mounts, [&](const Mount& mount) {
                           return mount.kind == MountKind::kBind && mount.name != "workspace" &&
                                  IsWithin(folder, mount.target);
                         });
    if (folder.front() == '/' && is_seen) path += (path.empty() ? "" : ":") + folder;
  }
  return path.empty() ? "/usr/local/bin:/usr/bin:/bin" : path;
}

void SetBase(Resolution& r) {
  const auto set = [&](const char* name, std::string value) {
    Set(r, {name, std::move(value), false, Origin::kCordon, "every command has it"});
  };
  const std::string user = r.around.Variable("USER");
  set("PATH", VisiblePath(r));
  set("HOME", r.Home());
  set("USER", user.empty() ? "user" : user);
  set("LOGNAME", user.empty() ? "user" : user);
  const Text& shell = r.profile->shell;
  const bool is_shell_given =
      shell.given && !(IsOpen(r.plan.wall) && r.IsWithheldOnHost(*r.profile_layer, shell.mark));
  set("SHELL", is_shell_given ? shell.value : "/bin/sh");
  set("LANG", "C.UTF-8");
  set("TMPDIR", "/tmp");
  set("PWD", r.plan.directory);
  if (const std::string terminal = r.around.Variable("TERM"); !terminal.empty())
    set("TERM", terminal);
}

// pnpm tries where its store could be by making files in the workspace, unless it is told; and its
// lockfile is a new file under the old name.
void SetForManager(Resolution& r) {
  if (r.manager == nullptr || r.manager->name != "pnpm" || r.task != ManagerTask::kInstall) return;
  Set(r, {"npm_config_store_dir", r.Home() + "/" + std::string(r.manager->cache), false,
          Origin::kCordon, "where pnpm's cache is"});
  if (!r.plan.workspace.writable && !IsOpen(r.plan.wall)) {
    r.Hint(
        "pnpm renames a lockfile that it makes or changes into its place, which a read-only "
        "directory does not allow: --shadow does, or --frozen-lockfile needs none");
  }
}

void PassThrough(Resolution& r, const Layer& layer) {
  for (const Word& name : layer.document.environment.fields.pass_through.value) {
    if (!r.around.environment.contains(name.value)) continue;
    if (r.IsWithheld(layer, name.mark)) {
      Deny(r, name.value, "not approved: " + layer.Place(name.mark));
      continue;
    }
    Set(r, {name.value, r.around.Variable(name.value), false, layer.origin,
            "passed by " + layer.Place(name.mark)});
  }
}

}  // namespace

void ResolveEnvironment(Resolution& r) {
  const std::vector<Variable> configuration = std::move(r.plan.environment);
  r.plan.environment.clear();
  SetBase(r);
  SetForManager(r);
  for (const Variable& variable : configuration) Set(r, variable);
  for (const Layer* layer : r.Layers()) PassThrough(r, *layer);
  for (const Layer* layer : r.Layers()) {
    for (const auto& [name, value] : layer->document.environment.fields.set.value) {
      if (IsOpen(r.plan.wall) && r.IsWithheldOnHost(*layer, name.mark)) continue;
      Set(r, {name.value, value.value, false, layer->origin, "set by " + layer->Place(name.mark)});
    }
  }
  for (const auto& [name, value] : r.request.environment)
    Set(r, {name, value, false, Origin::kUser, "--env"});
  for (const auto& [name, value] : r.around.environment) {
    const bool is_set =
        std::ranges::find(r.plan.environment, name, &Variable::name) != r.plan.environment.end();
    if (is_set) continue;
    if (const std::string denied = DeniedBy(r, name); !denied.empty()) {
      Deny(r, name, denied);
    } else if (const std::string secret = SecretReason(name, value); !secret.empty()) {
      Deny(r, name, "nobody named it; " + secret);
    }
  }
  std::ranges::sort(r.plan.environment, {}, &Variable::name);
  std::ranges::sort(r.plan.denied, {}, &DeniedVariable::name);
}

}  // namespace cordon::policy

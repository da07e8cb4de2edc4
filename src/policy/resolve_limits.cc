// How much, with which rights, from which image, after what.

#include <algorithm>
#include <charconv>

#include "policy/forms.h"
#include "policy/resolution.h"
#include "policy/words.h"

namespace cordon::policy {
namespace {

constexpr size_t kMaxHostFile = 16 << 20;

constexpr size_t kMaxLockfile = 64 << 20;

// The first that says something and is granted; otherwise the schema's default.
template <typename Field>
Field Pick(Resolution& r, Field LimitRules::* member, bool* is_given) {
  const auto is_taken = [&](const Layer& layer, const Field& field) {
    return field.given && !r.IsWithheld(layer, field.mark);
  };
  *is_given = true;
  if (is_taken(*r.profile_layer, r.profile->limits.fields.*member))
    return r.profile->limits.fields.*member;
  for (const std::optional<Layer>* layer : {&r.project, &r.user}) {
    if (*layer && is_taken(**layer, (*layer)->document.limits.fields.*member)) {
      return (*layer)->document.limits.fields.*member;
    }
  }
  *is_given = false;
  return r.preset.document.limits.fields.*member;
}

template <typename Field, typename Target>
void Resolve(Resolution& r, Field LimitRules::* member, Feature feature,
             std::optional<Target>* target) {
  bool is_given = false;
  const Field field = Pick(r, member, &is_given);
  if (field.value == decltype(field.value){}) return;
  // A default is left out where the wall cannot hold it; what was asked for is refused later.
  if (!is_given && (r.wall->features & feature) == 0) return;
  *target = Target{field.value};
}

}  // namespace

void ResolveLimits(Resolution& r) {
  LimitPlan& limits = r.plan.limits;
  Resolve(r, &LimitRules::memory, kMemoryLimit, &limits.memory_bytes);
  Resolve(r, &LimitRules::processes, kProcessLimit, &limits.processes);
  Resolve(r, &LimitRules::cpu_time, kTimeLimits, &limits.cpu_time);
  Resolve(r, &LimitRules::wall_time, kTimeLimits, &limits.wall_time);
  Resolve(r, &LimitRules::output, kOutputLimit, &limits.output_bytes);
  Resolve(r, &LimitRules::disk, kDiskLimit, &limits.disk_bytes);
  Resolve(r, &LimitRules::open_files, kFileLimit, &limits.open_files);
  bool is_given = false;
  const Text cpus = Pick(r, &LimitRules::cpus, &is_given);
  if (cpus.value.empty()) return;
  double count = 0;
  (void)std::from_chars(cpus.value.data(), cpus.value.data() + cpus.value.size(), count);
  limits.cpus = count;
}

void ResolveRights(Resolution& r) {
  RightsPlan& rights = r.plan.rights;
  const Layer& layer = *r.profile_layer;
  const Flag& no_new = r.profile->no_new_privileges;
  rights.no_new_privileges = no_new.value || r.IsWithheld(layer, no_new.mark);
  rights.read_only_root = r.profile->read_only_rootfs.value;
  const Identity& identity = r.document().identity.fields;
  const Flag& rootless = r.document().runtime.fields.rootless;
  rights.map_user = identity.map_user.given
                        ? identity.map_user.value
                        : rootless.value || r.IsWithheld(*r.main, rootless.mark);
  if (identity.uid.given && !r.IsWithheld(*r.main, identity.uid.mark)) {
    rights.uid = static_cast<uint32_t>(identity.uid.value);
    rights.gid = static_cast<uint32_t>(identity.gid.value);
    rights.map_user = false;
  }
  for (const Word& name : r.profile->capabilities.add) {
    if (!r.IsWithheld(layer, name.mark)) rights.capabilities_added.push_back(name.value);
  }
  for (const Word& name : r.profile->capabilities.drop)
    rights.capabilities_dropped.push_back(name.value);
  for (const Word& name : r.profile->cap_drop.value) {
    rights.capabilities_dropped.push_back(name.value.starts_with("CAP_") ? name.value.substr(4)
                                                                         : name.value);
  }
}

void ResolveLockfiles(Resolution& r) {
  bool has_one = false;
  for (const Word& path : r.profile->lockfile_files.value) {
    const std::vector<std::string> components = PathComponents(path.value);
    const Found found = r.workspace->Inspect(components);
    Lockfile lockfile = {path.value, {}};
    if (found == Found::kFile) {
      const Result<std::string> text = r.workspace->Read(components, kMaxLockfile);
      if (!text) {
        r.Refuse("lockfile " + text.error().ToString(), r.root);
        continue;
      }
      lockfile.sha256 = HashText(*text);
      has_one = true;
    } else if (found != Found::kMissing) {
      r.Refuse("lockfile " + path.value + " is not a plain file", r.root);
    }
    r.plan.lockfiles.push_back(std::move(lockfile));
  }
  if (has_one || r.profile->lockfile_files.value.empty()) return;
  const bool is_strict = r.IsStrict();
  const Flag& required = r.profile->require_lockfile;
  std::string names;
  for (const Word& path : r.profile->lockfile_files.value)
    names += (names.empty() ? "" : " or ") + path.value;
  const std::string message = "no lockfile: " + names + " is not there";
  if (required.given ? required.value : is_strict) {
    r.Refuse(message, r.root);
  } else {
    r.Note(message + "; versions are decided by what the hosts answer");
  }
}

namespace {

struct ImageOfPreset {
  std::string_view preset;
  const char* reference;
};
constexpr ImageOfPreset kPresetImages[] = {{"python", "python:3-slim"},
                                           {"node", "node:22-slim"},
                                           {"rust", "rust:1-slim"},
                                           {"go", "golang:1"},
                                           {"java", "eclipse-temurin:21"},
                                           {"php", "php:8-cli"},
                                           {"polyglot", "buildpack-deps:bookworm"}};

void Replace(std::string& text, std::string_view name, const std::string& value) {
  for (size_t at = text.find(name); at != std::string::npos;
       at = text.find(name, at + value.size())) {
    text.replace(at, name.size(), value);
  }
}

std::string ContainerName(const Resolution& r) {
  const Text& wanted = r.document().runtime.fields.container_name;
  std::string name = wanted.given ? wanted.value : "cordon-{workspace_hash}-{profile}";
  Replace(name, "{profile}", r.profile_name.value);
  Replace(name, "{workspace_hash}", HashText(r.root).substr(0, 16));
  return name;
}

// Makes a file part of the plan, with its hash. One that must be approved is so by its own bytes,
// which are not in the policy that names it, and which a sandbox may have written.
std::string TakeFile(Resolution& r, const std::string& path, const std::string& place,
                     const char* use, bool needs_approval) {
  const Result<std::string> text = ReadHostFile(path, kMaxHostFile);
  if (!text) {
    r.errors.push_back(text.error());
    return {};
  }
  const std::string hash = HashText(*text);
  const bool is_approved = needs_approval && r.trust.IsApproved(path, "contents", hash);
  r.plan.files.push_back({path, hash, use, is_approved});
  if (needs_approval && !is_approved) {
    const std::string what = "the file " + path + ", " + use;
    r.plan.withheld.push_back({what, place, "its contents are not approved"});
    r.needed.push_back({path, "contents", hash, {"being " + std::string(use)}});
  }
  return hash;
}

// What a command of the project, as it is run on the host, names of the project itself.
void AskForHostFiles(Resolution& r, const Layer& layer, const std::string& place,
                     const std::vector<std::string>& words) {
  const bool is_granted = r.user && r.user->document.grants.fields.host_commands.value;
  if (layer.origin != Origin::kProject || is_granted) return;
  for (size_t i = 0; i < words.size(); ++i) {
    if (i == 0 && words[i].find('/') == std::string::npos) continue;  // looked for in PATH
    const std::string path = RealPath(AbsolutePath(r.root, words[i]));
    if (!IsWithin(path, r.root) && !IsWithin(path, layer.Folder())) continue;
    if (Inspect(path) == Found::kFile) (void)TakeFile(r, path, place, "used on the host", true);
  }
}

void FillReference(Resolution& r, const Layer& layer, const Image& image, ImagePlan* plan) {
  if (!r.request.image.empty()) {
    plan->reference = r.request.image;
    if (const std::string wanted = ExpectedForm("image", plan->reference); !wanted.empty()) {
      r.errors.push_back(Fail(ErrorCode::kInvalid, "expected " + wanted, "--image").error());
    }
  } else if (image.build.given) {
    const std::string file = AbsolutePath(layer.Folder(), image.build.value);
    const bool is_granted = r.user && r.user->document.grants.fields.image_builds.value;
    std::string contents;  // one that is not there fails when the image is built
    if (const std::string real = RealPath(file); Inspect(real) == Found::kFile) {
      contents = TakeFile(r, real, layer.Place(image.build.mark), "what an image is built from",
                          layer.origin == Origin::kProject && !is_granted);
    }
    if (r.IsWithheld(layer, image.build.mark)) return;
    plan->build_file = file;
    plan->tag = image.tag.given ? image.tag.value
                                : "cordon-build-" + HashText(file + contents).substr(0, 16);
    plan->reference = plan->tag;
  } else if (image.preset.given) {
    plan->reference =
        std::ranges::find(kPresetImages, image.preset.value, &ImageOfPreset::preset)->reference;
  } else {
    plan->reference = image.ref.value;
  }
  if (image.digest.given && r.request.image.empty()) plan->reference += "@" + image.digest.value;
  plan->is_pinned = plan->reference.find("@sha256:") != std::string::npos;
}

bool IsReused(const Resolution& r) {
  const Flag& own = r.profile->reuse_container;
  return own.given ? own.value : r.document().runtime.fields.reuse_container.value;
}

}  // namespace

void ResolveImage(Resolution& r) {
  const bool has_own = r.profile->image.given;
  const Layer& layer = has_own ? *r.profile_layer : *r.main;
  const Image& image = has_own ? r.profile->image.fields : r.document().image.fields;
  const bool is_named = has_own || r.document().image.given || !r.request.image.empty();
  if (r.plan.wall != Wall::kContainer) {
    if (is_named) r.Note("the wall " + std::string(r.wall->name) + " uses no image");
    if (IsReused(r)) {
      r.Note("reuse_container: the wall " + std::string(r.wall->name) +
             " keeps nothing running: every command starts clean, in milliseconds; what it writes "
             "to caches and writable paths stays, /tmp does not (cordon shell keeps both for as "
             "long as it runs)");
    }
    return;
  }
  if (!is_named) return r.Refuse("the container wall needs an image (image: {ref: NAME})");
  const Runtime& runtime = r.document().runtime.fields;
  ImagePlan plan;
  plan.engine = runtime.backend.value == "auto" ? "" : runtime.backend.value;
  if (!r.engine.empty()) plan.engine = r.engine;
  FillReference(r, layer, image, &plan);
  plan.pull = image.pull_policy.given ? image.pull_policy.value : runtime.pull_policy.value;
  if (plan.pull == "if-missing") plan.pull = "missing";
  plan.verify_signature = image.verify_signature.value;
  plan.reuse = IsReused(r);
  if (plan.reuse) plan.container_name = ContainerName(r);
  const Flag& pinned = r.profile->require_pinned_image;
  const bool user_pins = r.user && r.user->document.runtime.fields.require_pinned_image.value;
  if ((user_pins || (pinned.given ? pinned.value : runtime.require_pinned_image.value)) &&
      !plan.is_pinned) {
    r.Refuse("the image " + plan.reference +
             " is not pinned by a digest, and require_pinned_image says so");
  }
  r.plan.image = std::move(plan);
}

void ResolvePreRun(Resolution& r) {
  const TextList* commands = &r.profile->pre_run;
  const Layer* layer = r.profile_layer;
  for (const Layer* other : r.Layers()) {
    const TextList& list = other->document.package_manager.fields.pre_run;
    if (r.task != ManagerTask::kInstall || !list.given) continue;
    commands = &list;
    layer = other;
  }
  const Text& where = r.profile->pre_run_on;
  const bool on_host = where.value == "host";
  const bool is_withheld =
      on_host && !commands->value.empty() && r.IsWithheld(*r.profile_layer, where.mark);
  for (const Word& command : commands->value) {
    const bool reaches_host = on_host || IsOpen(r.plan.wall);
    const auto words = SplitCommand(command.value);
    if (reaches_host && words) AskForHostFiles(r, *layer, layer->Place(command.mark), *words);
    if (is_withheld || (reaches_host && r.IsWithheldOnHost(*layer, command.mark))) continue;
    if (!words) {
      r.Refuse("pre_run: '" + command.value + "' is more than a simple command",
               layer->Place(command.mark));
      continue;
    }
    r.plan.pre_run.push_back({*words, on_host, layer->origin});
  }
}

}  // namespace cordon::policy

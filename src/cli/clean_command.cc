#include "cli/clean_command.h"

#include <dirent.h>
#include <fcntl.h>

#include <chrono>
#include <memory>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "backend/host/program.h"
#include "backend/native/prepared_root.h"
#include "backend/wasm/run.h"
#include "base/owned_fd.h"
#include "cli/answer.h"
#include "cli/command_line.h"
#include "policy/host_files.h"
#include "policy/layer.h"
#include "policy/surroundings.h"
#include "policy/trust.h"
#include "shadow/remove.h"

namespace cordon::cli {
namespace {

constexpr std::chrono::seconds kPatience{30};

struct Options {
  bool sessions = false;
  bool caches = false;
  bool images = false;
  bool all = false;
  bool dry_run = false;
  AnswerOptions answer;
};

struct Done {
  Answer& answer;
  size_t count = 0;
  bool has_failed = false;
};

void Say(const Options& options, const std::string& kind, const std::string& name, Done* done) {
  ++done->count;
  done->answer.Add("removed", {{"kind", kind}, {"name", name}});
  done->answer.Say((options.dry_run ? "would remove " : "removed ") +
                   (kind == "folder" ? name : kind + " " + name));
}

// Containers that keep a session; of this workspace, or of all.
void CleanSessions(const Options& options, const std::string& mark, Done* done) {
  for (const char* engine : {"podman", "docker"}) {
    const std::string path = backend::FindInPath(engine);
    if (path.empty()) continue;
    const Result<std::string> list = backend::RunProgram(
        {path, "ps", "--all", "--filter", "name=^cordon-", "--format", "{{.Names}}"}, kPatience);
    if (!list) continue;
    std::istringstream names(*list);
    for (std::string name; std::getline(names, name);) {
      if (!name.starts_with("cordon-") || name.find(mark) == std::string::npos) continue;
      if (!options.dry_run) {
        const Result<std::string> removed =
            backend::RunProgram({path, "rm", "--force", name}, kPatience);
        if (!removed) {
          done->answer.Complain(removed.error());
          done->has_failed = true;
          continue;
        }
      }
      Say(options, "session", name, done);
    }
  }
}

// What `image: {build: …}` made without a tag of its own; they belong to no workspace by name.
void CleanImages(const Options& options, Done* done) {
  for (const char* engine : {"podman", "docker"}) {
    const std::string path = backend::FindInPath(engine);
    if (path.empty()) continue;
    const Result<std::string> list =
        backend::RunProgram({path, "images", "--filter", "reference=*cordon-build-*", "--format",
                             "{{.Repository}}:{{.Tag}}"},
                            kPatience);
    if (!list) continue;
    std::istringstream names(*list);
    for (std::string name; std::getline(names, name);) {
      if (name.find("cordon-build-") == std::string::npos) continue;
      if (!options.dry_run) {
        const Result<std::string> removed = backend::RunProgram({path, "rmi", name}, kPatience);
        if (!removed) {
          done->answer.Complain(removed.error());
          done->has_failed = true;
          continue;
        }
      }
      Say(options, "image", name, done);
    }
  }
}

// Folders of `parent` whose names begin so.
void CleanFolders(const Options& options, const std::string& parent, const std::string& begin,
                  Done* done) {
  const OwnedFd folder(open(parent.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!folder.valid()) return;
  std::vector<std::string> names;
  const std::unique_ptr<DIR, int (*)(DIR*)> list(opendir(parent.c_str()), closedir);
  while (list) {
    const dirent* entry = readdir(list.get());
    if (entry == nullptr) break;
    const std::string name = entry->d_name;
    if (name != "." && name != ".." && name.starts_with(begin)) names.push_back(name);
  }
  for (const std::string& name : names) {
    if (!options.dry_run) {
      const Status removed = shadow::RemoveTree(folder.get(), name);
      if (!removed) {
        done->answer.Complain(removed.error());
        done->has_failed = true;
        continue;
      }
    }
    std::string path = parent;
    Say(options, "folder", path.append("/").append(name), done);
  }
}

// What the native wall keeps of its roots, for all workspaces together.
void CleanRoots(const Options& options, const std::string& cache_home, Done* done) {
  using backend::native::Removal;
  const size_t count = backend::native::RemovePreparedRoots(
      cache_home, options.dry_run ? Removal::kCount : Removal::kRemove);
  if (count == 0) return;
  done->count += count;
  done->answer.Add("removed",
                   {{"kind", "roots"}, {"name", "of the native wall"}, {"count", count}});
  done->answer.Say((options.dry_run ? "would remove " : "removed ") + std::to_string(count) +
                   (count == 1 ? " root" : " roots") + " of the native wall");
}

int Clean(Options& options, Answer& answer) {
  answer.Set("dry_run", options.dry_run);
  answer.Set("removed", nlohmann::ordered_json::array());
  const policy::Surroundings around = policy::Surroundings::OfThisProcess();
  const std::string file = policy::FindProjectFile(around.directory);
  std::string root = policy::RealPath(around.directory);
  if (!file.empty()) root = policy::RealPath(file.substr(0, std::max<size_t>(1, file.rfind('/'))));
  const std::string mark = options.all ? "" : policy::HashText(root).substr(0, 16);
  const bool is_default = !options.sessions && !options.caches && !options.images;
  Done done = {.answer = answer};
  answer.Explain(options.all ? "of all workspaces" : "of the workspace " + root);
  if (options.sessions || is_default || options.all) CleanSessions(options, mark, &done);
  if (options.caches || options.all) {
    CleanFolders(options, around.cache_home + "/caches", mark, &done);
  }
  if (options.all) CleanRoots(options, around.cache_home, &done);
  if (options.images || options.all) CleanImages(options, &done);
  // What a killed run left behind.
  CleanFolders(options, around.cache_home, "container-", &done);
  if (done.count == 0 && !done.has_failed) answer.Say("nothing to remove");
  return done.has_failed ? backend::kOwnFailure : 0;
}

}  // namespace

void AddCleanCommand(Command& app, std::function<int()>* chosen) {
  auto options = std::make_shared<Options>();
  Command clean = app.AddCommand("clean", "remove what Cordon keeps for this workspace");
  clean.AddFlag("--sessions", options->sessions, "containers that are reused (the default)");
  clean.AddFlag("--caches", options->caches, "what package managers downloaded behind the wall");
  clean.AddFlag("--images", options->images, "images that were built from files of projects");
  clean.AddFlag("--all,--global", options->all, "all of this, of all workspaces");
  clean.AddFlag("--dry-run", options->dry_run, "only say what");
  AddAnswerOptions(clean, &options->answer);
  clean.Footer("cordon clean\ncordon clean --all --dry-run --json\n\nShadows: cordon discard");
  clean.OnCall([options, chosen] {
    *chosen = [options] {
      return GiveAnswer("clean", options->answer,
                        [&](Answer& answer) { return Clean(*options, answer); });
    };
  });
}

}  // namespace cordon::cli

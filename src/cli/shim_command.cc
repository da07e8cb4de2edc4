#include "cli/shim_command.h"

#include <sys/stat.h>
#include <unistd.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "backend/host/program.h"
#include "backend/supervisor/supervisor.h"
#include "backend/wasm/run.h"
#include "base/new_file.h"
#include "cli/answer.h"
#include "cli/command_line.h"
#include "policy/host_files.h"
#include "policy/managers.h"
#include "policy/surroundings.h"
#include "policy/trust.h"

namespace cordon::cli {
namespace {

constexpr size_t kLongShim = 1 << 16;
constexpr const char* kMark = "# A shim of cordon: ";
// Beside the package managers' own programs: what runs a project's code.
constexpr const char* kMore[] = {"npx", "node", "python3", "python", "ruby"};

struct Options {
  std::string folder;
  std::vector<std::string> names;
  bool force = false;
  bool dry_run = false;
  bool verify = false;
  bool remove = false;
  AnswerOptions answer;
};

std::string OwnPath() {
  return policy::RealPath("/proc/self/exe");
}

// Found without the shims' own folder.
std::string RealProgram(const policy::Surroundings& around, const std::string& folder,
                        const std::string& name) {
  for (const std::string& part : policy::SplitList(around.Variable("PATH"), ':')) {
    if (!part.starts_with('/') || policy::RealPath(part) == policy::RealPath(folder)) continue;
    std::string path = part;
    path.append("/").append(name);
    if (access(path.c_str(), X_OK) == 0) return path;
  }
  return {};
}

// In a project with a policy behind its wall, elsewhere as it was.
std::string ShimText(const std::string& program, const std::string& name) {
  const std::string real = backend::ShellText({program});
  return "#!/bin/sh\n" + std::string(kMark) + name +
         " runs behind the wall of the project's policy.\n"
         "folder=$PWD\n"
         "while :; do\n"
         "  if [ -e \"$folder/cordon.yaml\" ] || [ -e \"$folder/sbox.yaml\" ]; then\n"
         "    exec " +
         backend::ShellText({OwnPath()}) + " run -- " + real +
         " \"$@\"\n"
         "  fi\n"
         "  [ -n \"$folder\" ] || break\n"
         "  folder=${folder%/*}\n"
         "done\n"
         "exec " +
         real + " \"$@\"\n";
}

std::vector<std::string> NamesOf(const Options& options) {
  if (!options.names.empty()) return options.names;
  std::vector<std::string> names;
  for (const policy::Manager& manager : policy::Managers()) {
    for (std::string& name : policy::SplitList(manager.programs)) names.push_back(std::move(name));
  }
  names.insert(names.end(), std::begin(kMore), std::end(kMore));
  return names;
}

enum class State { kMissing, kOurs, kForeign };
State StateOf(const std::string& path) {
  if (policy::Inspect(path) == policy::Found::kMissing) return State::kMissing;
  const Result<std::string> text = policy::ReadHostFile(path, kLongShim);
  return text && text->find(kMark) != std::string::npos ? State::kOurs : State::kForeign;
}

// Of a shim that is there: it does what it should, and is what a shell finds.
std::vector<std::string> ProblemsOf(const policy::Surroundings& around, const std::string& folder,
                                    const std::string& name) {
  std::vector<std::string> problems;
  const std::string path = folder + "/" + name;
  const std::string real = RealProgram(around, folder, name);
  const Result<std::string> text = policy::ReadHostFile(path, kLongShim);
  if (real.empty()) {
    problems.push_back(name + ": the program itself is not there any more");
  } else if (!text || *text != ShimText(real, name)) {
    problems.push_back(path + ": calls something else than " + real +
                       "; cordon shim --force makes it anew");
  }
  if (const std::string found = backend::FindInPath(name);
      policy::RealPath(found) != policy::RealPath(path)) {
    problems.push_back(name + ": a shell finds " + found + " and not the shim; " + folder +
                       " must come first in PATH");
  }
  return problems;
}

nlohmann::ordered_json Described(const std::string& file, const std::string& program,
                                 const char* state) {
  return {{"file", file},
          {"program", program.empty() ? nlohmann::ordered_json() : nlohmann::ordered_json(program)},
          {"state", state}};
}

int Verify(const Options& options, const policy::Surroundings& around, Answer& answer) {
  size_t there = 0;
  size_t problems = 0;
  const auto problem = [&](const std::string& text) {
    answer.Complain(Error{ErrorCode::kInvalid, text, {}});
    ++problems;
  };
  for (const std::string& name : NamesOf(options)) {
    const std::string path = options.folder + "/" + name;
    if (StateOf(path) != State::kOurs) {
      if (!options.names.empty()) problem(name + ": no shim in " + options.folder);
      continue;
    }
    ++there;
    answer.Add("shims", Described(path, RealProgram(around, options.folder, name), "found"));
    for (const std::string& text : ProblemsOf(around, options.folder, name)) problem(text);
  }
  if (there == 0) problem("no shim in " + options.folder);
  answer.Say(std::to_string(there) + " shims, " + std::to_string(problems) + " problems");
  return problems == 0 ? 0 : 1;
}

int Shim(Options& options, Answer& answer) {
  answer.Set("shims", nlohmann::ordered_json::array());
  const policy::Surroundings around = policy::Surroundings::OfThisProcess();
  if (options.folder.empty()) options.folder = around.home + "/.local/bin";
  options.folder = policy::AbsolutePath(around.directory, around.ExpandHome(options.folder));
  if (options.verify) return Verify(options, around, answer);
  if (!options.dry_run && !options.remove) {
    if (const Status made = policy::MakeFolders(options.folder); !made)
      return answer.Refuse(made.error());
  }
  for (const std::string& name : NamesOf(options)) {
    const std::string path = options.folder + "/" + name;
    const State state = StateOf(path);
    if (options.remove) {
      if (state != State::kOurs) continue;
      if (!options.dry_run && unlink(path.c_str()) != 0) {
        return answer.Refuse(SystemError("unlink(" + path + ")").error());
      }
      answer.Add("shims", Described(path, "", "removed"));
      answer.Say("removed " + path);
      continue;
    }
    const std::string real = RealProgram(around, options.folder, name);
    if (real.empty()) {
      if (options.names.empty()) {
        answer.Explain(name + ": not found, no shim");
        continue;
      }
      return answer.Refuse(Fail(ErrorCode::kInvalid, name + ": not found").error());
    }
    if (state == State::kForeign && !options.force) {
      answer.Complain(
          Error{ErrorCode::kInvalid, path + " is somebody else's; --force replaces it", {}});
      answer.Add("shims", Described(path, real, "foreign"));
      continue;
    }
    if (!options.dry_run) {
      if (const Status made = ReplaceFile(path, ShimText(real, name), 0755); !made)
        return answer.Refuse(made.error());
    }
    answer.Add("shims", Described(path, real, "made"));
    std::string line = path;
    answer.Say(line.append(": ").append(real));
  }
  return 0;
}

}  // namespace

void AddShimCommand(Command& app, std::function<int()>* chosen) {
  auto options = std::make_shared<Options>();
  Command shim = app.AddCommand(
      "shim", "programs that run behind the wall when they are called in a project with a policy");
  shim.AddOption("--dir", options->folder, "where (~/.local/bin); must come first in PATH");
  shim.AddFlag("--force", options->force, "replace files that are somebody else's");
  shim.AddFlag("--dry-run", options->dry_run, "only say what");
  shim.AddFlag("--verify", options->verify, "look whether the shims are what a shell finds");
  shim.AddFlag("--remove", options->remove, "remove them");
  shim.AddOption("name", options->names, "of programs (package managers and interpreters)");
  shim.Footer("cordon shim\ncordon shim --dir ~/shims npm node\ncordon shim --verify");
  AddAnswerOptions(shim, &options->answer);
  shim.OnCall([options, chosen] {
    *chosen = [options] {
      return GiveAnswer("shim", options->answer,
                        [&](Answer& answer) { return Shim(*options, answer); });
    };
  });
}

}  // namespace cordon::cli

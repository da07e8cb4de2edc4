#include "cli/init_command.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/owned_fd.h"
#include "base/write_all.h"
#include "cli/answer.h"
#include "cli/command_line.h"
#include "cli/init_wizard.h"
#include "policy/host_files.h"
#include "policy/starter.h"
#include "policy/surroundings.h"
#include "policy/trust.h"

namespace cordon::cli {
namespace {

struct Options {
  std::string preset;
  std::string output;
  bool from_lockfile = false;
  bool for_user = false;
  bool force = false;
  bool asks = false;
  AnswerOptions answer;
};

Result<std::string> ChoosePreset(const Options& options, const policy::Surroundings& around) {
  const std::vector<std::string> names = policy::PresetNames();
  if (!options.preset.empty()) {
    if (std::ranges::find(names, options.preset) != names.end()) return options.preset;
    return Fail(ErrorCode::kInvalid,
                "unknown preset '" + options.preset + "'; there are " + policy::ListText(names),
                "--preset");
  }
  const Result<policy::Beneath> here = policy::Beneath::Open(around.directory);
  if (!here) return std::unexpected(here.error());
  std::vector<std::string> ambiguous;
  std::string found = policy::DetectManager(*here, &ambiguous);
  if (!found.empty()) return found;
  if (!ambiguous.empty()) {
    return Fail(ErrorCode::kInvalid, "lockfiles of " + policy::ListText(ambiguous) +
                                         " are here; --preset names the one that counts");
  }
  if (options.from_lockfile) return Fail(ErrorCode::kInvalid, "no lockfile here", around.directory);
  return std::string("generic");
}

// Standard output is the file's, if that is asked for.
Result<policy::ProjectChoices> Choose(const Options& options, const policy::Surroundings& around) {
  Result<std::string> preset = ChoosePreset(options, around);
  if (!preset) return std::unexpected(preset.error());
  policy::ProjectChoices choices = {.preset = std::move(*preset)};
  if (!options.asks) return choices;
  return AskForChoices(std::move(choices), stdin, stderr);
}

// A file that is there is left alone unless `force`; a link is never followed.
Status Write(const std::string& path, const std::string& text, bool force) {
  if (force) (void)unlink(path.c_str());
  const OwnedFd file(
      open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644));
  if (!file.valid() && errno == EEXIST) {
    return Fail(ErrorCode::kInvalid, "refusing to overwrite existing config (--force does)", path);
  }
  if (!file.valid()) return SystemError("open(" + path + ")");
  return WriteAll(file.get(), text, path);
}

int Init(const Options& options, Answer& answer) {
  const policy::Surroundings around = policy::Surroundings::OfThisProcess();
  std::string path = options.output.empty() ? "cordon.yaml" : options.output;
  // That format wants a container's image and more; what is written here would not be read.
  if (path == "sbox.yaml" || path.ends_with("/sbox.yaml")) {
    return answer.Refuse(
        Fail(ErrorCode::kUnsupported,
             "an sbox.yaml that is there is read; cordon.yaml is what is written, and "
             "needs no image",
             "--output")
            .error());
  }
  std::string text;
  if (options.for_user) {
    if (around.config_home.empty())
      return answer.Refuse(Fail(ErrorCode::kInvalid, "there is no home directory").error());
    if (options.output.empty()) {
      path = around.config_home + "/policy.yaml";
      if (const Status made = policy::MakeFolders(around.config_home); !made)
        return answer.Refuse(made.error());
    }
    text = policy::UserStarterText();
  } else {
    const Result<policy::ProjectChoices> choices = Choose(options, around);
    if (!choices) return answer.Refuse(choices.error());
    text = policy::ProjectStarterText(*choices);
    answer.Set("preset", choices->preset);
    answer.Explain("the preset is " + choices->preset);
  }
  answer.Set("text", text);
  if (path == "-") {
    answer.Print(text);
    return 0;
  }
  if (const Status written = Write(path, text, options.force); !written)
    return answer.Refuse(written.error());
  answer.Set("file", path);
  answer.Say("wrote " + path);
  return 0;
}

}  // namespace

void AddInitCommand(Command& app, std::function<int()>* chosen) {
  auto options = std::make_shared<Options>();
  Command init = app.AddCommand("init", "write a policy for this project, or your own");
  init.AddOption("--preset", options->preset,
                 "a package manager or language; without it, what is found here");
  init.AddFlag("--from-lockfile", options->from_lockfile, "only by the lockfile that is here");
  Option for_user =
      init.AddFlag("--user", options->for_user, "your own policy, which projects cannot widen");
  init.AddFlag("-i,--interactive", options->asks, "asks what the policy is to say")
      .Excludes(for_user);
  init.AddOption("--output", options->output, "the file (cordon.yaml); - is standard output");
  init.AddFlag("--force", options->force, "replace what is there");
  init.Footer("cordon init\ncordon init -i\ncordon init --preset pnpm\ncordon init --user");
  AddAnswerOptions(init, &options->answer);
  init.OnCall([options, chosen] {
    *chosen = [options] {
      return GiveAnswer("init", options->answer,
                        [&](Answer& answer) { return Init(*options, answer); });
    };
  });
}

}  // namespace cordon::cli

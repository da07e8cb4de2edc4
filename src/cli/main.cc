// The command line of Cordon.

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <exception>
#include <functional>
#include <initializer_list>
#include <string_view>

#include "backend/wasm/run.h"
#include "cli/doctor_command.h"
#include "cli/freeze_command.h"
#include "cli/init_command.h"
#include "cli/plan_command.h"
#include "cli/run_command.h"
#include "cli/serve_command.h"
#include "cli/shadow_command.h"
#include "cli/shell_command.h"
#include "cli/trust_command.h"

namespace {

namespace cli = cordon::cli;

using Add = void (*)(CLI::App&, std::function<int()>*);
struct Command {
  std::initializer_list<std::string_view> names;
  Add add;
};
const Command kCommands[] = {
    {{"run"}, cli::AddRunCommand},
    {{"sh"}, cli::AddShellCommand},
    {{"plan"}, cli::AddPlanCommand},
    {{"trust"}, cli::AddTrustCommand},
    {{"init"}, cli::AddInitCommand},
    {{"doctor"}, cli::AddDoctorCommand},
    {{"shell"}, cli::AddProjectShellCommand},
    {{"shadow", "diff", "commit", "discard"}, cli::AddShadowCommands},
    {{"serve"}, cli::AddServeCommand},
    {{"freeze"}, cli::AddFreezeCommand},
};

}  // namespace

int main(int argc, char** argv) try {
  CLI::App app("Runs commands that nobody vouches for.", "cordon");
  app.require_subcommand(1);
  std::function<int()> chosen;
  // The options of all commands take longer to describe than a sandbox takes to build.
  const std::string_view first = argc > 1 ? argv[1] : "";
  const auto is_meant = [first](const Command& command) {
    return std::ranges::find(command.names, first) != command.names.end();
  };
  const bool is_known = std::ranges::any_of(kCommands, is_meant);
  for (const Command& command : kCommands) {
    if (!is_known || is_meant(command)) command.add(app, &chosen);
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : cordon::backend::kOwnFailure;
  }
  const int status = chosen();
  // A thread that waits for standard input is left to itself: it may wait for ever.
  (void)fflush(nullptr);
  _exit(status);
} catch (const std::exception& error) {
  (void)fprintf(stderr, "cordon: %s\n", error.what());
  return cordon::backend::kOwnFailure;
}

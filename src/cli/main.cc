// The command line of Cordon.

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>
#include <functional>

#include "backend/wasm/run.h"
#include "cli/doctor_command.h"
#include "cli/freeze_command.h"
#include "cli/init_command.h"
#include "cli/plan_command.h"
#include "cli/run_command.h"
#include "cli/shadow_command.h"
#include "cli/trust_command.h"

int main(int argc, char** argv) try {
  CLI::App app("Runs commands that nobody vouches for.", "cordon");
  app.require_subcommand(1);
  std::function<int()> chosen;
  cordon::cli::AddRunCommand(app, &chosen);
  cordon::cli::AddShellCommand(app, &chosen);
  cordon::cli::AddPlanCommand(app, &chosen);
  cordon::cli::AddTrustCommand(app, &chosen);
  cordon::cli::AddInitCommand(app, &chosen);
  cordon::cli::AddShadowCommands(app, &chosen);
  cordon::cli::AddDoctorCommand(app, &chosen);
  cordon::cli::AddFreezeCommand(app, &chosen);
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

// The command line of Cordon.

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>
#include <exception>
#include <functional>
#include <string_view>

#include "backend/wasm/run.h"
#include "cli/commands.h"

int main(int argc, char** argv) try {
  // A caller may have left it ignored, and then nobody's end can be waited for.
  (void)signal(SIGCHLD, SIG_DFL);
  CLI::App app("Runs commands that nobody vouches for.", "cordon");
  app.require_subcommand(1);
  std::function<int()> chosen;
  const std::string_view first = argc > 1 ? argv[1] : "";
  cordon::cli::AddCommands(app, first, &chosen);
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

// The command line of Cordon.

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <csignal>
#include <cstdio>
#include <exception>
#include <functional>
#include <string>
#include <vector>

#include "backend/wasm/run.h"
#include "cli/commands.h"
#include "cli/leading_options.h"

int main(int argc, char** argv) try {
  // A caller may have left it ignored, and then nobody's end can be waited for.
  (void)signal(SIGCHLD, SIG_DFL);
  CLI::App app("Runs commands that nobody vouches for.", "cordon");
  app.require_subcommand(1);
  app.set_version_flag("--version", std::string("cordon ") + CORDON_VERSION);
  std::function<int()> chosen;
  std::vector<std::string> words =
      cordon::cli::WithCommandFirst(std::vector<std::string>(argv + 1, argv + argc));
  cordon::cli::AddCommands(app, words, &chosen);
  try {
    // The parser takes them from the back.
    std::ranges::reverse(words);
    app.parse(std::move(words));
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

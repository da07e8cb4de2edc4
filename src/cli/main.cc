// The command line of Cordon.

#include <fcntl.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <exception>
#include <functional>
#include <string>
#include <vector>

#include "backend/wasm/run.h"
#include "cli/command_line.h"
#include "cli/commands.h"
#include "cli/leading_options.h"

namespace {

// Those of the three that a caller closed become ones that cannot be used either: no file and no
// socket that is opened later is taken for them.
void HoldStandardDescriptors() {
  for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; ++fd) {
    if (fcntl(fd, F_GETFD) >= 0) continue;
    (void)!open("/dev/null", O_PATH);
  }
}

}  // namespace

int main(int argc, char** argv) try {
  HoldStandardDescriptors();
  // A caller may have left it ignored, and then nobody's end can be waited for.
  (void)signal(SIGCHLD, SIG_DFL);
  std::function<int()> chosen;
  const std::vector<std::string> words =
      cordon::cli::WithCommandFirst(std::vector<std::string>(argv + 1, argv + argc));
  cordon::cli::CommandLine line(CORDON_VERSION);
  cordon::cli::Command root = line.root();
  cordon::cli::AddCommands(root, words, &chosen);
  if (const auto told = line.Parse(words)) {
    return *told == cordon::cli::CommandLine::Told::kHelp ? 0 : cordon::backend::kOwnFailure;
  }
  const int status = chosen();
  // A thread that waits for standard input is left to itself: it may wait for ever.
  (void)fflush(nullptr);
  _exit(status);
} catch (const std::exception& error) {
  (void)fprintf(stderr, "cordon: %s\n", error.what());
  return cordon::backend::kOwnFailure;
}

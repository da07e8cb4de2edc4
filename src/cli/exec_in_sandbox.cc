#include "cli/exec_in_sandbox.h"

#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <optional>
#include <thread>

#include "base/owned_fd.h"
#include "base/units.h"
#include "base/write_all.h"
#include "cli/complain.h"
#include "cli/raw_terminal.h"
#include "cli/result.h"
#include "cli/variable.h"

namespace cordon::cli {
namespace {

std::optional<TerminalSize> SizeOfTerminal() {
  winsize size = {};
  if (ioctl(STDIN_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_row == 0) return std::nullopt;
  return TerminalSize{size.ws_row, size.ws_col};
}

// Standard input and changes of the terminal's size, until `stop` is readable or the process takes
// no more.
void PassInput(Process process, int stop, int resized) {
  std::array<char, 64 * 1024> buffer = {};
  bool reads = true;
  for (;;) {
    std::array<pollfd, 3> ready = {
        {{stop, POLLIN, 0}, {resized, POLLIN, 0}, {reads ? STDIN_FILENO : -1, POLLIN, 0}}};
    if (poll(ready.data(), ready.size(), -1) < 0 && errno != EINTR) return;
    if (ready[0].revents != 0) return;
    if (ready[1].revents != 0) {
      signalfd_siginfo ignored;
      (void)!read(resized, &ignored, sizeof ignored);
      if (const auto size = SizeOfTerminal()) (void)process.Resize(*size);
    }
    if (ready[2].revents == 0) continue;
    const ssize_t got = read(STDIN_FILENO, buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    reads = got > 0 && process.Write({buffer.data(), static_cast<size_t>(got)}).has_value();
    if (got <= 0) (void)process.CloseInput();
  }
}

Result<CommandResult> Exec(Client& client, const SandboxExec& exec) {
  SpawnOptions options;
  for (const std::string& variable : exec.environment) {
    Result<std::pair<std::string, std::string>> parsed = ParseVariable(variable);
    if (!parsed) return std::unexpected(parsed.error());
    options.env[parsed->first] = std::move(parsed->second);
  }
  options.cwd = exec.directory;
  if (!exec.timeout.empty()) {
    const auto timeout = ParseDuration(exec.timeout, "--timeout");
    if (!timeout) return std::unexpected(timeout.error());
    options.timeout_ms = timeout->count();
  }
  const bool has_terminal = RawTerminal::IsThere();
  if (has_terminal) options.terminal = SizeOfTerminal().value_or(TerminalSize{});
  options.on_output = [](Stream stream, std::string_view bytes) {
    // Whoever does not read any more loses what comes; the command finds out by its own streams.
    (void)WriteAll(stream == Stream::kError ? STDERR_FILENO : STDOUT_FILENO, bytes, "output");
  };
  const OwnedFd stop(eventfd(0, EFD_CLOEXEC));
  sigset_t resizes;
  sigemptyset(&resizes);
  sigaddset(&resizes, SIGWINCH);
  (void)pthread_sigmask(SIG_BLOCK, &resizes, nullptr);
  const OwnedFd resized(signalfd(-1, &resizes, SFD_CLOEXEC));
  if (!stop.valid() || !resized.valid()) return SystemError("eventfd() or signalfd()");

  Sandbox sandbox = client.Open(exec.sandbox.value_or(""));
  Result<Process> process = sandbox.Spawn(exec.argv, options);
  if (!process) return std::unexpected(process.error());
  std::optional<RawTerminal> raw;
  if (has_terminal) raw.emplace();
  std::thread input(PassInput, *process, stop.get(), resized.get());
  const Result<CommandResult> ended = process->Wait();
  (void)eventfd_write(stop.get(), 1);
  input.join();
  return ended;
}

Result<int> ExecAndTell(const SandboxExec& exec, RunOutcome* outcome) {
  OwnedFd report;
  if (!exec.report.empty()) {
    Result<OwnedFd> opened = OpenReport(exec.report);
    if (!opened) return std::unexpected(opened.error());
    report = std::move(*opened);
  }
  Result<Client> client = Client::Connect(exec.socket);
  if (!client) return std::unexpected(client.error());
  const Result<CommandResult> ended = Exec(*client, exec);
  if (!ended) return std::unexpected(ended.error());
  outcome->result = ResultText(*ended, exec.argv);
  if (report.valid()) CORDON_TRY(WriteReport(report, outcome->result));
  return ended->exit_code;
}

int ExecOrRefuse(const SandboxExec& exec, RunOutcome* outcome) {
  const Result<int> done = ExecAndTell(exec, outcome);
  if (done) return *done;
  outcome->refusals.push_back(done.error());
  return Refuse(done.error());
}

}  // namespace

int ExecInSandbox(const SandboxExec& exec) {
  if (exec.json) return RunAsJson([&](RunOutcome* outcome) { return ExecOrRefuse(exec, outcome); });
  RunOutcome outcome;
  return ExecOrRefuse(exec, &outcome);
}

}  // namespace cordon::cli

#include "backend/native/program.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>

#include "backend/end.h"

namespace cordon::backend::native {
namespace {

constexpr int kFirstOfRealTime = 32;
// For a few calls of the kernel.
constexpr size_t kStackBytes = 16 << 10;

std::vector<char*> Pointers(const std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  pointers.reserve(texts.size() + 1);
  for (const std::string& text : texts) pointers.push_back(const_cast<char*>(text.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

// Of the new process, in the memory of the one that starts it, which sleeps until it has executed.
struct Birth {
  const Program& program;
  char* const* arguments;
  char* const* variables;
  int error = 0;
};

// The first terminal that the leader of a session opens is the session's.
bool TakeTerminal(const Program& program) {
  const int terminal = open(program.terminal.c_str(), O_RDWR);
  if (terminal < 0) return false;
  if (terminal != STDIN_FILENO && dup2(terminal, STDIN_FILENO) < 0) return false;
  if (dup2(STDIN_FILENO, STDOUT_FILENO) < 0) return false;
  if (!program.has_error_stream && dup2(STDIN_FILENO, STDERR_FILENO) < 0) return false;
  return terminal <= STDERR_FILENO || close(terminal) == 0;
}

// What a caller left ignored is not the command's; there are no handlers.
bool TakeAllSignals() {
  struct sigaction usual = {};
  usual.sa_handler = SIG_DFL;
  for (int number = 1; number < kFirstOfRealTime; ++number) {
    if (number != SIGKILL && number != SIGSTOP && sigaction(number, &usual, nullptr) != 0) {
      return false;
    }
  }
  sigset_t none;
  sigemptyset(&none);
  return sigprocmask(SIG_SETMASK, &none, nullptr) == 0;
}

int Become(void* argument) {
  auto& birth = *static_cast<Birth*>(argument);
  const Program& program = birth.program;
  const bool is_leader = program.session == Session::kOwn || !program.terminal.empty();
  if ((is_leader ? setsid() >= 0 : setpgid(0, 0) == 0) &&
      (program.terminal.empty() || TakeTerminal(program)) && TakeAllSignals()) {
    (void)execve(program.path.c_str(), birth.arguments, birth.variables);
  }
  birth.error = errno;
  _exit(kNoProgram);
}

}  // namespace

// posix_spawn(3) maps a stack and asks about every signal there is: a hundred and thirty calls,
// each of which the wall's filter looks at.
Started Start(const Program& program) {
  const std::vector<char*> arguments = Pointers(program.arguments);
  const std::vector<char*> variables = Pointers(program.variables);
  Birth birth = {program, arguments.data(), variables.data()};
  alignas(16) std::array<char, kStackBytes> stack;
  // No signal is taken in memory that is the caller's.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  if (sigprocmask(SIG_SETMASK, &all, &before) != 0) return {0, errno};
  const pid_t pid =
      clone(Become, stack.data() + stack.size(), CLONE_VM | CLONE_VFORK | SIGCHLD, &birth);
  const int error = pid < 0 ? errno : birth.error;
  (void)sigprocmask(SIG_SETMASK, &before, nullptr);
  if (pid > 0 && error != 0) (void)waitpid(pid, nullptr, 0);
  return error != 0 ? Started{0, error} : Started{pid, 0};
}

std::string FindIn(const std::string& search_path, const std::string& name) {
  if (name.find('/') != std::string::npos) return name;
  for (size_t begin = 0; begin <= search_path.size();) {
    const size_t end = std::min(search_path.find(':', begin), search_path.size());
    const std::string path = search_path.substr(begin, end - begin) + "/" + name;
    if (path.front() == '/' && path.size() > name.size() + 1 && access(path.c_str(), X_OK) == 0) {
      return path;
    }
    begin = end + 1;
  }
  return {};
}

}  // namespace cordon::backend::native

#include "backend/host/program.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <string_view>

#include "base/owned_fd.h"
#include "base/spawn.h"

namespace cordon::backend {
namespace {

using std::chrono::duration_cast;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr size_t kMaxOutput = 4096;

// With a process group of its own, so that its children can be ended with it.
Result<pid_t> Start(const std::vector<std::string>& arguments, int output) {
  Spawn spawn;
  spawn.GiveNull(STDIN_FILENO);
  CORDON_TRY(spawn.Give(output, STDOUT_FILENO));
  CORDON_TRY(spawn.Give(output, STDERR_FILENO));
  spawn.LeadGroup();
  return spawn.Start(arguments[0], arguments, Spawn::Environment::kOurs);
}

// False when the time was over before the end of the output.
bool ReadOutput(int fd, steady_clock::time_point deadline, std::string* text) {
  char part[1024];
  for (;;) {
    const auto left = duration_cast<milliseconds>(deadline - steady_clock::now()).count();
    pollfd wait = {fd, POLLIN, 0};
    const int ready = poll(&wait, 1, static_cast<int>(std::max<int64_t>(left, 0)));
    if (ready < 0 && errno == EINTR) continue;
    if (ready <= 0) return false;
    const ssize_t count = read(fd, part, sizeof part);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return true;
    text->append(part, std::min(static_cast<size_t>(count), kMaxOutput - text->size()));
  }
}

// Its output may end long before it does.
int AwaitEnd(pid_t pid, steady_clock::time_point deadline) {
  int status = 0;
  while (waitpid(pid, &status, WNOHANG) == 0) {
    if (steady_clock::now() >= deadline) (void)kill(-pid, SIGKILL);
    (void)usleep(1000);
  }
  return status;
}

// Empty if there is nothing.
std::string RealPath(const std::string& path) {
  char* resolved = realpath(path.c_str(), nullptr);
  std::string text = resolved != nullptr ? resolved : "";
  free(resolved);
  return text;
}

bool IsIn(const std::string& path, const std::string& folder) {
  return !folder.empty() && (path == folder || folder == "/" || path.starts_with(folder + "/"));
}

}  // namespace

std::string HostPath(const std::string& project) {
  const char* variable = getenv("PATH");
  std::string_view path = variable != nullptr ? variable : "/usr/local/bin:/usr/bin:/bin";
  std::string kept;
  while (!path.empty()) {
    const size_t colon = std::min(path.find(':'), path.size());
    const std::string folder(path.substr(0, colon));
    // One that is not there yet may come.
    const bool is_projects = IsIn(folder, project) || IsIn(RealPath(folder), project);
    if (folder.starts_with('/') && !is_projects) {
      kept += (kept.empty() ? "" : ":") + folder;
    }
    path.remove_prefix(std::min(colon + 1, path.size()));
  }
  return kept;
}

std::string FindInPath(const std::string& name) {
  const char* home = getenv("HOME");
  const std::string here = RealPath(".");
  const std::string path = HostPath(home != nullptr && IsIn(RealPath(home), here) ? "" : here);
  for (size_t begin = 0; begin < path.size();) {
    const size_t end = std::min(path.find(':', begin), path.size());
    std::string file = path.substr(begin, end - begin) + "/" + name;
    if (access(file.c_str(), X_OK) == 0) return file;
    begin = end + 1;
  }
  return {};
}

Result<std::string> RunProgram(const std::vector<std::string>& arguments, milliseconds patience) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return SystemError("pipe2");
  const OwnedFd reader(ends[0]);
  OwnedFd writer(ends[1]);
  const Result<pid_t> pid = Start(arguments, writer.get());
  if (!pid) return std::unexpected(pid.error());
  writer.reset();
  std::string text;
  const auto deadline = steady_clock::now() + patience;
  const bool ended = ReadOutput(reader.get(), deadline, &text);
  const int status = AwaitEnd(*pid, deadline);
  if (!ended) return Fail(ErrorCode::kLimit, "no answer", arguments[0]);
  if (status == 0) return text;
  const std::string reason = FirstLine(text);
  return Fail(ErrorCode::kSystem, reason.empty() ? "it fails" : reason, arguments[0]);
}

std::string FirstLine(const std::string& text) {
  const size_t start = std::min(text.find_first_not_of("\r\n\t "), text.size());
  std::string line = text.substr(start, text.find('\n', start) - start);
  std::erase_if(line, [](char c) { return c < ' ' || c > '~'; });
  return line;
}

}  // namespace cordon::backend

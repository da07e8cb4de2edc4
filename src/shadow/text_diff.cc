#include "shadow/text_diff.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>

#include "base/memory_file.h"
#include "base/owned_fd.h"
#include "base/spawn.h"

namespace cordon::shadow {
namespace {

constexpr std::chrono::seconds kPatience{10};
constexpr size_t kBinaryProbe = 8000;
// Where GNU/Linux systems have it; a PATH could lead into a workspace.
constexpr std::array<const char*, 3> kPrograms = {"/usr/bin/diff", "/bin/diff",
                                                  "/usr/local/bin/diff"};
constexpr int kBeforeFd = 3;
constexpr int kAfterFd = 4;

Result<pid_t> Start(const char* program, const std::array<OwnedFd, 2>& sides, int output) {
  Spawn spawn;
  spawn.GiveNull(STDIN_FILENO);
  spawn.GiveNull(STDERR_FILENO);
  CORDON_TRY(spawn.Give(output, STDOUT_FILENO));
  CORDON_TRY(spawn.Give(sides[0].get(), kBeforeFd));
  CORDON_TRY(spawn.Give(sides[1].get(), kAfterFd));
  // Without an environment it speaks English.
  return spawn.Start(
      program, {"diff", "-a", "-U", "3", "--label", "a", "--label", "b", "/dev/fd/3", "/dev/fd/4"});
}

// Until its end, the limit or the deadline; false for the last two.
bool ReadAll(const OwnedFd& pipe, std::string* text) {
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  std::array<char, 65536> piece;
  while (text->size() <= kMaxDiffOutput) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        deadline - std::chrono::steady_clock::now());
    pollfd wanted = {pipe.get(), POLLIN, 0};
    if (left.count() <= 0 || poll(&wanted, 1, static_cast<int>(left.count())) == 0) return false;
    const ssize_t got = read(pipe.get(), piece.data(), piece.size());
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return got == 0;
    text->append(piece.data(), static_cast<size_t>(got));
  }
  return false;
}

// Without the lines that name the sides; cut at a line's end.
std::string Trim(std::string text, bool is_whole) {
  for (int line = 0; line < 2; ++line)
    text.erase(0, std::min(text.find('\n'), text.size() - 1) + 1);
  if (is_whole) return text;
  if (text.size() > kMaxDiffOutput) text.resize(kMaxDiffOutput);
  text.erase(text.rfind('\n') == std::string::npos ? 0 : text.rfind('\n') + 1);
  return text + "(the rest is left out)\n";
}

}  // namespace

bool IsBinary(std::string_view contents) {
  return contents.substr(0, kBinaryProbe).find('\0') != std::string_view::npos;
}

Result<std::string> DiffTexts(std::string_view before, std::string_view after) {
  std::array<OwnedFd, 2> sides;
  for (size_t i = 0; i < sides.size(); ++i) {
    Result<OwnedFd> memory = MemoryFileWith("diff", i == 0 ? before : after);
    if (!memory) return std::unexpected(memory.error());
    sides[i] = std::move(*memory);
  }
  std::array<int, 2> ends = {};
  if (pipe2(ends.data(), O_CLOEXEC) != 0) return SystemError("pipe2");
  const OwnedFd reading(ends[0]);
  OwnedFd writing(ends[1]);
  Result<pid_t> pid = SystemError("no program diff", ENOENT);
  for (const char* program : kPrograms) {
    pid = Start(program, sides, writing.get());
    if (pid || pid.error().system_errno != ENOENT) break;
  }
  if (!pid) return std::unexpected(pid.error());
  writing.reset();
  std::string text;
  const bool is_whole = ReadAll(reading, &text);
  if (!is_whole) (void)kill(*pid, SIGKILL);
  int status = 0;
  while (waitpid(*pid, &status, 0) < 0 && errno == EINTR) {
  }
  constexpr int kTrouble = 2;
  if (is_whole && (!WIFEXITED(status) || WEXITSTATUS(status) >= kTrouble))
    return Fail(ErrorCode::kInternal, "the program diff failed");
  return text.empty() ? text : Trim(std::move(text), is_whole);
}

}  // namespace cordon::shadow

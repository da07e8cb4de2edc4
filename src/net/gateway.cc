#include "net/gateway.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <string_view>

#include "base/memory_file.h"
#include "base/spawn.h"
#include "net/find_asker.h"
#include "net/gateway_channels.h"
#include "net/socket_question.h"

namespace cordon::net {
namespace {

// What cordon writes of them is short.
constexpr int kSummaryTimeMs = 2000;
constexpr size_t kMaxSummary = 1 << 20;
// For finding out who asked: once, and for all of a run.
constexpr std::chrono::milliseconds kOneSearch{200};
constexpr std::chrono::seconds kAllSearches{2};

std::string TextOf(const char* path) {
  const OwnedFd file(open(path, O_RDONLY | O_CLOEXEC));
  std::string text;
  std::array<char, 4096> part;
  constexpr size_t kMost = 1 << 20;
  while (file.valid() && text.size() < kMost) {
    const ssize_t size = read(file.get(), part.data(), part.size());
    if (size <= 0) break;
    text.append(part.data(), static_cast<size_t>(size));
  }
  return text;
}

Result<OwnedFd> OpenLog(const std::string& path) {
  const char* name = path.empty() ? "/dev/null" : path.c_str();
  OwnedFd file(open(name, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!file.valid()) return SystemError(std::string("open(") + name + ")");
  return file;
}

struct Pair {
  OwnedFd ours;
  OwnedFd theirs;
};

Result<Pair> MakePair() {
  std::array<int, 2> fds{};
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds.data()) != 0) {
    return SystemError("socketpair(SOCK_SEQPACKET)");
  }
  return Pair{OwnedFd(fds[0]), OwnedFd(fds[1])};
}

Result<pid_t> Start(const std::string& program, const std::array<OwnedFd, 4>& fds) {
  Spawn spawn;
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) spawn.GiveNull(fd);
  int next = kControlFd;
  for (const OwnedFd& fd : fds) CORDON_TRY(spawn.Give(fd.get(), next++));
  spawn.CloseFrom(next);
  // What is typed at a terminal is not for it.
  spawn.LeadSession();
  spawn.ResetSignals(Spawn::Defaults::kAll);
  return spawn.Start(program, {"cordon-gateway"});
}

std::string HowItEnded(pid_t pid) {
  int status = 0;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  if (WIFSIGNALED(status)) return "ended by signal " + std::to_string(WTERMSIG(status));
  return "ended with status " + std::to_string(WEXITSTATUS(status));
}

// The message that is there, empty at the end; nothing if there is none yet.
std::optional<std::string> Take(int control) {
  const ssize_t size = recv(control, nullptr, 0, MSG_PEEK | MSG_TRUNC | MSG_DONTWAIT);
  if (size < 0 && (errno == EAGAIN || errno == EINTR)) return std::nullopt;
  std::string text(std::min(static_cast<size_t>(std::max<ssize_t>(size, 0)), kMaxSummary), '\0');
  const ssize_t got = recv(control, text.data(), text.size(), MSG_DONTWAIT);
  text.resize(static_cast<size_t>(std::max<ssize_t>(got, 0)));
  return text;
}

// Its next message; empty when there is none.
std::string Hear(int control) {
  pollfd wait = {control, POLLIN, 0};
  int ready = 0;
  while ((ready = poll(&wait, 1, kSummaryTimeMs)) < 0 && errno == EINTR) {
  }
  return ready > 0 ? Take(control).value_or("") : "";
}

}  // namespace

GatewayConfig ConfigFor(const policy::NetworkPlan& network) {
  GatewayConfig config;
  config.network = network;
  config.resolvers = ReadResolvers(TextOf("/etc/resolv.conf"));
  config.hosts = ReadHosts(TextOf("/etc/hosts"));
  return config;
}

Gateway::Gateway(Gateway&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)),
      control_(std::move(other.control_)),
      channel_(std::move(other.channel_)),
      said_(std::move(other.said_)),
      is_silent_(other.is_silent_),
      spent_(other.spent_) {}

Gateway::~Gateway() {
  if (pid_ < 0) return;
  (void)kill(pid_, SIGKILL);
  (void)HowItEnded(pid_);
}

Result<Gateway> Gateway::Start(const GatewayRequest& request) {
  auto control = MakePair();
  if (!control) return std::unexpected(control.error());
  auto channel = MakePair();
  if (!channel) return std::unexpected(channel.error());
  auto config = MemoryFileWith("cordon-gateway", WriteConfig(request.config));
  if (!config) return std::unexpected(config.error());
  auto log = OpenLog(request.log_path);
  if (!log) return std::unexpected(log.error());
  const std::array<OwnedFd, 4> fds = {std::move(control->theirs), std::move(channel->theirs),
                                      std::move(*config), std::move(*log)};
  const auto pid = cordon::net::Start(request.program, fds);
  if (!pid) return std::unexpected(pid.error());
  Gateway gateway;
  gateway.pid_ = *pid;
  gateway.control_ = std::move(control->ours);
  gateway.channel_ = std::move(channel->ours);
  return gateway;
}

void Gateway::Answer(pid_t first) {
  std::optional<std::string> text = Take(control_.get());
  if (!text) return;
  const auto question = SocketQuestion::Read(*text);
  if (!question) {
    said_ = std::move(*text);
    is_silent_ = true;
    return;
  }
  const auto begin = std::chrono::steady_clock::now();
  SocketAnswer answer = {question->number, {}};
  if (spent_ < kAllSearches) answer.who = FindAsker(first, *question, begin + kOneSearch);
  const std::string reply = answer.Write();
  (void)send(control_.get(), reply.data(), reply.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  spent_ += std::chrono::steady_clock::now() - begin;
}

Result<Summary> Gateway::Finish() {
  channel_.reset();
  (void)shutdown(control_.get(), SHUT_WR);
  // Questions that nobody answered come first.
  std::string said = std::move(said_);
  while (said.empty() || SocketQuestion::Read(said)) {
    said = is_silent_ ? std::string() : Hear(control_.get());
    if (said.empty()) break;
  }
  const pid_t pid = std::exchange(pid_, -1);
  // It has said all it had to, or does not.
  if (said.empty()) (void)kill(pid, SIGKILL);
  const std::string end = HowItEnded(pid);
  const std::string_view text = said;
  if (text.starts_with(kFailed)) {
    return Fail(ErrorCode::kSystem,
                "gateway: " + std::string(text.substr(std::string_view(kFailed).size())));
  }
  if (text.starts_with(kSummary)) {
    if (const auto summary = Summary::Read(text.substr(std::string_view(kSummary).size()))) {
      return *summary;
    }
  }
  return Fail(ErrorCode::kSystem, "the gateway did not live to the end: it " + end);
}

}  // namespace cordon::net

#include "net/port_relay.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <string_view>
#include <utility>

#include "net/gateway_channels.h"

namespace cordon::net {
namespace {

constexpr int kBacklog = 128;
constexpr int kAboveAll = 512;
constexpr int kReadyTimeMs = 10'000;
constexpr int kFailure = 125;

Result<OwnedFd> ListenOn(uint16_t port) {
  OwnedFd fd(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd.valid()) return SystemError("socket(AF_INET)");
  const int yes = 1;
  // Connections of an earlier run that are still ending hold nobody up.
  if (setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) != 0) {
    return SystemError("setsockopt(SO_REUSEADDR)");
  }
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      listen(fd.get(), kBacklog) != 0) {
    return SystemError("published port: bind(127.0.0.1:" + std::to_string(port) + ")");
  }
  return fd;
}

void Say(int control, const Error& error) {
  const std::string text = kFailed + error.ToString();
  (void)send(control, text.data(), text.size(), MSG_NOSIGNAL);
}

// In the order in which each gives the right to the next.
Status Enter(const PortRelayRequest& request) {
  if (setns(request.user_namespace, CLONE_NEWUSER) != 0) return SystemError("setns(CLONE_NEWUSER)");
  if (setns(request.net_namespace, CLONE_NEWNET) != 0) return SystemError("setns(CLONE_NEWNET)");
  return {};
}

// To the numbers that the program knows, and nothing else.
Status PlaceDescriptors(int control, const std::vector<OwnedFd>& listeners) {
  OwnedFd nothing(open("/dev/null", O_RDWR | O_CLOEXEC));
  if (!nothing.valid()) return SystemError("open(/dev/null)");
  std::vector<std::pair<int, int>> places = {{nothing.get(), STDIN_FILENO},
                                             {nothing.get(), STDOUT_FILENO},
                                             {nothing.get(), STDERR_FILENO},
                                             {control, kControlFd}};
  for (size_t i = 0; i < listeners.size(); ++i) {
    places.emplace_back(listeners[i].get(), kFirstListenerFd + static_cast<int>(i));
  }
  // Out of the way first: a number may be another's.
  for (auto& [from, to] : places) {
    from = fcntl(from, F_DUPFD_CLOEXEC, kAboveAll);
    if (from < 0) return SystemError("fcntl(F_DUPFD_CLOEXEC)");
  }
  // Its number may be one of those that are given now.
  (void)nothing.release();
  for (const auto& [from, to] : places) {
    if (dup2(from, to) < 0) return SystemError("dup2");
  }
  const int end = kFirstListenerFd + static_cast<int>(listeners.size());
  if (syscall(SYS_close_range, kControlFd + 1, kFirstListenerFd - 1, 0) != 0 ||
      syscall(SYS_close_range, end, ~0U, 0) != 0) {
    return SystemError("close_range");
  }
  return {};
}

Status WaitUntilReady(int control) {
  pollfd wait = {control, POLLIN, 0};
  int ready = 0;
  while ((ready = poll(&wait, 1, kReadyTimeMs)) < 0 && errno == EINTR) {
  }
  std::array<char, 1024> text;
  const ssize_t size = ready > 0 ? recv(control, text.data(), text.size(), MSG_DONTWAIT) : 0;
  const std::string_view said(text.data(), static_cast<size_t>(size > 0 ? size : 0));
  if (said == kReady) return {};
  constexpr std::string_view kPrefix = kFailed;
  const std::string why = said.starts_with(kPrefix)
                              ? std::string(said.substr(kPrefix.size()))
                              : "the process that takes connections did not begin";
  return Fail(ErrorCode::kSystem, "published ports: " + why);
}

}  // namespace

Result<PortRelay> PortRelay::Listen(const std::vector<policy::PortGrant>& ports) {
  PortRelay relay;
  for (const policy::PortGrant& port : ports) {
    Result<OwnedFd> listener = ListenOn(port.host_port);
    if (!listener) return std::unexpected(listener.error());
    relay.listeners_.push_back(std::move(*listener));
    relay.ports_.push_back(port.port);
  }
  return relay;
}

PortRelay::PortRelay(PortRelay&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)),
      control_(std::move(other.control_)),
      ports_(std::move(other.ports_)),
      listeners_(std::move(other.listeners_)) {}

PortRelay::~PortRelay() {
  if (pid_ < 0) return;
  (void)kill(pid_, SIGKILL);
  while (waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
  }
}

void PortRelay::Become(const PortRelayRequest& request, int control) const {
  sigset_t none;
  sigemptyset(&none);
  (void)sigprocmask(SIG_SETMASK, &none, nullptr);
  // What is typed at a terminal is not for it.
  (void)setsid();
  if (const Status entered = Enter(request); !entered) {
    Say(control, entered.error());
    _exit(kFailure);
  }
  std::vector<std::string> words = {"cordon-gateway", kPortsMode};
  for (const uint16_t port : ports_) words.push_back(std::to_string(port));
  std::vector<char*> arguments;
  arguments.reserve(words.size() + 1);
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  char* const variables[] = {nullptr};
  if (const Status placed = PlaceDescriptors(control, listeners_); !placed) {
    Say(control, placed.error());
    _exit(kFailure);
  }
  execve(request.program.c_str(), arguments.data(), variables);
  Say(kControlFd, SystemError("execve(" + request.program + ")").error());
  _exit(kFailure);
}

Status PortRelay::Start(const PortRelayRequest& request) {
  std::array<int, 2> ends{};
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) != 0) {
    return SystemError("socketpair(SOCK_SEQPACKET)");
  }
  control_.reset(ends[0]);
  OwnedFd theirs(ends[1]);
  pid_ = fork();
  if (pid_ < 0) return SystemError("fork");
  if (pid_ == 0) Become(request, theirs.get());
  theirs.reset();
  listeners_.clear();
  return WaitUntilReady(control_.get());
}

}  // namespace cordon::net

// The gateway: what is outside for a sandbox with a network. Started by net::Gateway; by
// net::PortRelay as the relay of published ports.

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <exception>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "net/gateway_channels.h"
#include "net/inbound.h"
#include "net/lockdown.h"
#include "net/sandbox.h"

namespace cordon::net {
namespace {

constexpr int kFailure = 125;

void Say(const std::string& text) {
  (void)send(kControlFd, text.data(), text.size(), MSG_NOSIGNAL);
}

Result<GatewayConfig> ReadOwnConfig() {
  const OwnedFd file(kConfigFd);
  std::string text;
  char part[4096];
  for (;;) {
    const ssize_t size = pread(file.get(), part, sizeof part, static_cast<off_t>(text.size()));
    if (size < 0) return SystemError("read(configuration)");
    if (size == 0) return ReadConfig(text);
    text.append(part, static_cast<size_t>(size));
  }
}

// Ends the loop when whoever started the gateway has heard enough, or has gone.
awaitable<void> WaitForEnd(asio::io_context& loop, Askers* askers) {
  AsyncFd control(loop, OwnedFd(fcntl(kControlFd, F_DUPFD_CLOEXEC, 0)));
  char said[256];
  while (co_await control.Readable()) {
    const ssize_t size = recv(control.get(), said, sizeof said, MSG_DONTWAIT);
    if (size == 0 || (size < 0 && errno != EAGAIN && errno != EINTR)) break;
    if (size > 0 && askers != nullptr) askers->Take({said, static_cast<size_t>(size)});
  }
  loop.stop();
}

void Serve(Sandbox& sandbox, NamespaceSockets sockets) {
  using S = NamespaceSockets;
  sandbox.reply_ipv4 = std::move(sockets.fds[S::kReply4]);
  sandbox.reply_ipv6 = std::move(sockets.fds[S::kReply6]);
  for (const auto index : {S::kTcp4, S::kTcp6}) {
    if (!sockets.fds[index].valid()) continue;
    asio::co_spawn(sandbox.loop, ServeConnections(sandbox, std::move(sockets.fds[index])),
                   asio::detached);
  }
  for (const auto index : {S::kUdp4, S::kUdp6}) {
    if (!sockets.fds[index].valid()) continue;
    asio::co_spawn(sandbox.loop, ServeDatagrams(sandbox, std::move(sockets.fds[index])),
                   asio::detached);
  }
}

Status Run() {
  const auto config = ReadOwnConfig();
  if (!config) return std::unexpected(config.error());
  CORDON_TRY(LockDown());
  auto loop = std::make_unique<asio::io_context>(1);
  Sandbox sandbox(*loop, *config, OwnedFd(kLogFd));
  auto sockets = ReceiveSockets(kNamespaceFd);
  if (!sockets) return std::unexpected(sockets.error());
  (void)close(kNamespaceFd);
  Serve(sandbox, std::move(*sockets));
  asio::co_spawn(*loop, WaitForEnd(*loop, &sandbox.askers), asio::detached);
  RunAwake(*loop);
  // With it go all flows; what they come to is in the log then.
  loop.reset();
  sandbox.log.Close();
  Say(kSummary + sandbox.log.summary().Write());
  return {};
}

// Inside the command's network namespace; nothing else of it is used.
Status RelayPorts(std::span<char* const> ports) {
  std::vector<uint16_t> numbers;
  for (const char* text : ports) {
    const unsigned long number = strtoul(text, nullptr, 10);
    if (number == 0 || number > UINT16_MAX) return Fail(ErrorCode::kInternal, text);
    numbers.push_back(static_cast<uint16_t>(number));
  }
  CORDON_TRY(LockDown());
  InboundCount count;
  asio::io_context loop(1);
  for (size_t i = 0; i < numbers.size(); ++i) {
    OwnedFd listener(kFirstListenerFd + static_cast<int>(i));
    asio::co_spawn(loop, ServePort(loop, std::move(listener), numbers[i], count), asio::detached);
  }
  asio::co_spawn(loop, WaitForEnd(loop, nullptr), asio::detached);
  Say(kReady);
  RunAwake(loop);
  return {};
}

}  // namespace
}  // namespace cordon::net

int main(int argc, char** argv) try {
  const std::span<char* const> words(argv, static_cast<size_t>(argc));
  const bool is_relay = words.size() > 1 && std::string_view(words[1]) == cordon::net::kPortsMode;
  const cordon::Status status =
      is_relay ? cordon::net::RelayPorts(words.subspan(2)) : cordon::net::Run();
  if (status) return 0;
  cordon::net::Say(cordon::net::kFailed + status.error().ToString());
  return cordon::net::kFailure;
} catch (const std::exception&) {  // memory, or the event loop's own descriptors
  return cordon::net::kFailure;
}

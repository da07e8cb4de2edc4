// The gateway: what is outside for a sandbox with a network. Started by net::Gateway.

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <exception>
#include <string>

#include "net/gateway_channels.h"
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
awaitable<void> WaitForEnd(asio::io_context& loop) {
  AsyncFd control(loop, OwnedFd(fcntl(kControlFd, F_DUPFD_CLOEXEC, 0)));
  char ignored[16];
  while (co_await control.Readable()) {
    const ssize_t size = recv(control.get(), ignored, sizeof ignored, MSG_DONTWAIT);
    if (size == 0 || (size < 0 && errno != EAGAIN && errno != EINTR)) break;
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
  asio::co_spawn(*loop, WaitForEnd(*loop), asio::detached);
  loop->run();
  // With it go all flows; what they come to is in the log then.
  loop.reset();
  sandbox.log.Close();
  Say(kSummary + sandbox.log.summary().Write());
  return {};
}

}  // namespace
}  // namespace cordon::net

int main() try {
  const cordon::Status status = cordon::net::Run();
  if (status) return 0;
  cordon::net::Say(cordon::net::kFailed + status.error().ToString());
  return cordon::net::kFailure;
} catch (const std::exception&) {  // memory, or the event loop's own descriptors
  return cordon::net::kFailure;
}

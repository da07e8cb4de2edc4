#include "net/inbound.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <cerrno>
#include <memory>
#include <span>
#include <vector>

#include "net/dial.h"

namespace cordon::net {
namespace {

constexpr size_t kMostConnections = 1024;
constexpr size_t kBufferSize = 32 << 10;
constexpr auto kPause = std::chrono::milliseconds(50);

// A client of the host and the command's server. Lives as long as one of the two directions.
class Inbound {
 public:
  Inbound(asio::io_context& loop, OwnedFd client, InboundCount& count)
      : loop_(loop), client_(loop, std::move(client)), count_(count) {
    ++count_.open;
  }
  Inbound(const Inbound&) = delete;
  Inbound& operator=(const Inbound&) = delete;
  ~Inbound() { --count_.open; }

  static awaitable<void> Serve(std::shared_ptr<Inbound> self, uint16_t port) {
    if (self->count_.open > kMostConnections || !co_await self->Dial(port)) {
      self->client_.Reset();
      co_return;
    }
    asio::co_spawn(self->loop_, SendDown(self), asio::detached);
    co_await self->Pump(self->client_, *self->server_);
  }

 private:
  static awaitable<void> SendDown(std::shared_ptr<Inbound> self) {
    co_await self->Pump(*self->server_, self->client_);
  }
  awaitable<bool> Dial(uint16_t port);
  awaitable<bool> DialAt(const Endpoint& to);
  // From one end to the other until the first has no more.
  awaitable<void> Pump(AsyncFd& from, AsyncFd& to);
  void Abort() {
    client_.Reset();
    server_->Reset();
  }

  asio::io_context& loop_;
  AsyncFd client_;
  std::unique_ptr<AsyncFd> server_;
  InboundCount& count_;
};

awaitable<bool> Inbound::Dial(uint16_t port) {
  for (const char* address : {"127.0.0.1", "::1"}) {
    if (co_await DialAt({*ParseAddress(address), port})) co_return true;
  }
  co_return false;
}

awaitable<bool> Inbound::DialAt(const Endpoint& to) {
  OwnedFd fd(socket(to.address.is_ipv4() ? AF_INET : AF_INET6,
                    SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd.valid()) co_return false;
  const int error = BeginConnect(fd.get(), to);
  server_ = std::make_unique<AsyncFd>(loop_, std::move(fd));
  if (error != EINPROGRESS) co_return error == 0;
  co_return co_await server_->Writable() && ConnectResult(server_->get()) == 0;
}

awaitable<void> Inbound::Pump(AsyncFd& from, AsyncFd& to) {
  const int yes = 1;
  (void)setsockopt(to.get(), IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
  std::vector<uint8_t> buffer(kBufferSize);
  for (;;) {
    const ssize_t size = recv(from.get(), buffer.data(), buffer.size(), 0);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0 && errno == EAGAIN && co_await from.Readable()) continue;
    if (size == 0) {
      (void)shutdown(to.get(), SHUT_WR);
      co_return;
    }
    if (size < 0) break;
    std::span<const uint8_t> left(buffer.data(), static_cast<size_t>(size));
    while (!left.empty()) {
      const ssize_t sent = send(to.get(), left.data(), left.size(), MSG_NOSIGNAL);
      if (sent >= 0) {
        left = left.subspan(static_cast<size_t>(sent));
      } else if (errno != EINTR && (errno != EAGAIN || !co_await to.Writable())) {
        co_return Abort();
      }
    }
  }
  Abort();
}

// False if there is none now.
bool Accept(asio::io_context& loop, int listener, uint16_t port, InboundCount& count) {
  OwnedFd client(accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
  if (!client.valid()) return errno == ECONNABORTED || errno == EINTR;
  asio::co_spawn(loop,
                 Inbound::Serve(std::make_shared<Inbound>(loop, std::move(client), count), port),
                 asio::detached);
  return true;
}

}  // namespace

awaitable<void> ServePort(asio::io_context& loop, OwnedFd listener, uint16_t port,
                          InboundCount& count) {
  AsyncFd fd(loop, std::move(listener));
  while (co_await fd.Readable()) {
    while (Accept(loop, fd.get(), port, count)) {
    }
    // Without a descriptor to spare: not until somebody has ended.
    if (errno != EAGAIN) co_await Sleep(kPause);
  }
}

}  // namespace cordon::net

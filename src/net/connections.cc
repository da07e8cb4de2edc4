#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "net/client_check.h"
#include "net/dial.h"
#include "net/sandbox.h"

namespace cordon::net {
namespace {

constexpr uint16_t kDnsPort = 53;
constexpr auto kDialTime = std::chrono::seconds(20);
constexpr auto kPause = std::chrono::milliseconds(50);
constexpr int kAcceptAtOnce = 64;
// What one direction may read in one go, and then must let others.
constexpr size_t kMaxRead = 256 << 10;
constexpr size_t kLeastRead = 16 << 10;
constexpr int kReadsAtOnce = 16;
// The way to a client has no length; what the kernel would keep for one that does not read is not
// counted as the sandbox's memory.
constexpr int kClientBuffer = 256 << 10;
// Of all flows together, beyond the least of each.
constexpr size_t kMaxWaiting = 64 << 20;
// The same for the beginnings of requests.
constexpr size_t kMaxHeld = 32 << 20;

void SetOption(int fd, int level, int option, int value) {
  (void)setsockopt(fd, level, option, &value, sizeof value);
}

// Bytes go on as they come, and an end that vanished is noticed.
void PrepareRelay(int fd) {
  constexpr int kProbeAfterSeconds = 60;
  SetOption(fd, IPPROTO_TCP, TCP_NODELAY, 1);
  SetOption(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
  SetOption(fd, IPPROTO_TCP, TCP_KEEPIDLE, kProbeAfterSeconds);
  SetOption(fd, IPPROTO_TCP, TCP_KEEPINTVL, kProbeAfterSeconds);
}

// A client and what it is connected to. Lives as long as one of the two directions.
class Connection {
 public:
  Connection(Sandbox& sandbox, OwnedFd client, Flow flow)
      : sandbox_(sandbox), client_(sandbox.loop, std::move(client)) {
    ++sandbox_.flows;
    record_.flow = std::move(flow);
    record_.begin = Clock::now();
  }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  ~Connection() {
    --sandbox_.flows;
    sandbox_.held_bytes -= held_bytes_;
    if (is_logged_) sandbox_.log.Write(record_);
  }

  static awaitable<void> Serve(std::shared_ptr<Connection> self);

 private:
  [[nodiscard]] bool Judge();
  awaitable<bool> Dial();
  static awaitable<void> SendUp(std::shared_ptr<Connection> self);
  static awaitable<void> SendDown(std::shared_ptr<Connection> self);
  // From one end to the other until the first has no more.
  awaitable<void> Pump(AsyncFd& from, AsyncFd& to, ClientCheck* check, uint64_t* count);
  awaitable<bool> Forward(AsyncFd& to, std::span<const uint8_t> bytes, uint64_t* count);
  [[nodiscard]] bool Look(ClientCheck* check, std::span<const uint8_t>* bytes);
  [[nodiscard]] size_t ReadSize() const;
  void Abort(const char* why);

  Sandbox& sandbox_;
  AsyncFd client_;
  std::unique_ptr<AsyncFd> upstream_;
  std::unique_ptr<ClientCheck> check_;
  size_t held_bytes_ = 0;  // by it
  FlowRecord record_;
  bool is_logged_ = true;
};

bool Connection::Judge() {
  Flow& flow = record_.flow;
  flow.names = sandbox_.pins.NamesOf(flow.destination.address, Clock::now());
  const auto whose = sandbox_.routes.Find(flow.destination.address);
  record_.verdict = sandbox_.rules.JudgeFlow(flow, whose.value_or(Whose::kOther));
  if (sandbox_.flows > sandbox_.config.max_flows) {
    record_.verdict = {Verdict::Action::kRefuse, {}, "too many flows", {}};
  }
  if (record_.verdict.action == Verdict::Action::kCheck) {
    check_ = std::make_unique<ClientCheck>(record_.verdict.names, flow.destination.port);
    // The first says which host it is until the client has; there may be thousands of flows.
    record_.verdict.names.resize(1);
  }
  return record_.verdict.action != Verdict::Action::kRefuse;
}

// To the very address that was judged.
awaitable<bool> Connection::Dial() {
  const Endpoint& to = record_.flow.destination;
  OwnedFd fd(socket(to.address.is_ipv4() ? AF_INET : AF_INET6,
                    SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd.valid()) {
    record_.failure = SystemError("socket").error().ToString();
    co_return false;
  }
  int error = BeginConnect(fd.get(), to);
  upstream_ = std::make_unique<AsyncFd>(sandbox_.loop, std::move(fd));
  if (error == EINPROGRESS) {
    const Deadline deadline(sandbox_.loop, *upstream_, kDialTime);
    error = co_await upstream_->Writable() ? ConnectResult(upstream_->get()) : ETIMEDOUT;
  }
  if (error != 0) record_.failure = SystemError("connect", error).error().ToString();
  co_return error == 0;
}

void Connection::Abort(const char* why) {
  if (record_.failure.empty() && record_.verdict.action != Verdict::Action::kRefuse) {
    record_.failure = why;
  }
  client_.Reset();
  if (upstream_) upstream_->Reset();
}

size_t Connection::ReadSize() const {
  const size_t left = kMaxWaiting - std::min(kMaxWaiting, sandbox_.waiting_bytes);
  return std::clamp(left, kLeastRead, kMaxRead);
}

// What of the client's bytes goes on; false if it may not speak any longer.
bool Connection::Look(ClientCheck* check, std::span<const uint8_t>* bytes) {
  if (check == nullptr || check->is_over()) return true;
  const ClientCheck::State state = check->Look(*bytes);
  sandbox_.held_bytes -= std::exchange(held_bytes_, check->held_bytes());
  sandbox_.held_bytes += held_bytes_;
  const bool is_too_much = held_bytes_ > 0 && sandbox_.held_bytes > kMaxHeld;
  if (!check->asked().empty()) record_.verdict.names = {check->asked()};
  if (state == ClientCheck::State::kRefuse || is_too_much) {
    record_.verdict.action = Verdict::Action::kRefuse;
    record_.verdict.reason = is_too_much ? "too many requests that do not end" : check->reason();
    return false;
  }
  *bytes = check->ready();
  return true;
}

awaitable<bool> Connection::Forward(AsyncFd& to, std::span<const uint8_t> bytes, uint64_t* count) {
  std::vector<uint8_t> kept;
  bool is_open = true;
  while (!bytes.empty() && is_open) {
    const ssize_t size = send(to.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (size >= 0) {
      bytes = bytes.subspan(static_cast<size_t>(size));
      *count += static_cast<uint64_t>(size);
    } else if (errno != EAGAIN && errno != EINTR) {
      is_open = false;
    } else {
      // The buffer is everybody's while this one waits.
      if (kept.empty()) {
        kept.assign(bytes.begin(), bytes.end());
        sandbox_.waiting_bytes += kept.size();
        bytes = kept;
      }
      is_open = co_await to.Writable();
    }
  }
  sandbox_.waiting_bytes -= kept.size();
  co_return is_open;
}

awaitable<void> Connection::Pump(AsyncFd& from, AsyncFd& to, ClientCheck* check, uint64_t* count) {
  int reads = 0;
  for (;;) {
    const ssize_t size = recv(from.get(), sandbox_.buffer.data(), ReadSize(), 0);
    if (size == 0) {
      (void)shutdown(to.get(), SHUT_WR);
      co_return;
    }
    if (size < 0) {
      if (errno == EINTR) continue;
      if (errno == EAGAIN && co_await from.Readable()) continue;
      Abort("reset");
      co_return;
    }
    std::span<const uint8_t> bytes(sandbox_.buffer.data(), static_cast<size_t>(size));
    const bool may_speak = Look(check, &bytes);
    if (!may_speak) record_.by = co_await sandbox_.askers.Find(record_.flow);
    if (!may_speak || !co_await Forward(to, bytes, count)) {
      Abort("reset");
      co_return;
    }
    if (++reads % kReadsAtOnce == 0) co_await Yield();
  }
}

awaitable<void> Connection::SendUp(std::shared_ptr<Connection> self) {
  co_await self->Pump(self->client_, *self->upstream_, self->check_.get(),
                      &self->record_.sent_bytes);
  co_await Yield();
}

awaitable<void> Connection::SendDown(std::shared_ptr<Connection> self) {
  co_await self->Pump(*self->upstream_, self->client_, nullptr, &self->record_.received_bytes);
  // Whoever connects next need not wait until this one is put away.
  co_await Yield();
}

awaitable<void> Connection::Serve(std::shared_ptr<Connection> self) {
  if (self->record_.flow.destination.port == kDnsPort) {
    self->is_logged_ = false;
    if (self->sandbox_.flows > self->sandbox_.config.max_flows) {
      self->client_.Reset();
    } else {
      co_await ServeNames(self->sandbox_, self->record_.flow, self->client_);
    }
    co_return;
  }
  if (!self->Judge()) {
    self->record_.by = co_await self->sandbox_.askers.Find(self->record_.flow);
    self->Abort("refused");
    co_return;
  }
  if (!co_await self->Dial()) {
    self->Abort("refused");
    co_return;
  }
  // What the client has said already goes first.
  asio::co_spawn(self->sandbox_.loop, SendUp(self), asio::detached);
  PrepareRelay(self->upstream_->get());
  co_await SendDown(std::move(self));
}

// False if there is none now.
bool Accept(Sandbox& sandbox, int listener) {
  sockaddr_storage source = {};
  socklen_t source_size = sizeof source;
  OwnedFd client(accept4(listener, reinterpret_cast<sockaddr*>(&source), &source_size,
                         SOCK_NONBLOCK | SOCK_CLOEXEC));
  if (!client.valid()) return errno == ECONNABORTED || errno == EINTR;
  sockaddr_storage destination = {};
  socklen_t size = sizeof destination;
  if (getsockname(client.get(), reinterpret_cast<sockaddr*>(&destination), &size) != 0) return true;
  Flow flow = {Transport::kTcp, EndpointOf(source), EndpointOf(destination), {}};
  asio::co_spawn(
      sandbox.loop,
      Connection::Serve(std::make_shared<Connection>(sandbox, std::move(client), std::move(flow))),
      asio::detached);
  return true;
}

}  // namespace

awaitable<void> ServeConnections(Sandbox& sandbox, OwnedFd listener) {
  AsyncFd fd(sandbox.loop, std::move(listener));
  // Whatever it accepts has them too.
  PrepareRelay(fd.get());
  SetOption(fd.get(), SOL_SOCKET, SO_SNDBUF, kClientBuffer);
  while (co_await fd.Readable()) {
    for (int i = 0; i < kAcceptAtOnce; ++i) {
      if (Accept(sandbox, fd.get())) continue;
      // Without a descriptor to spare: not until somebody has ended.
      if (errno != EAGAIN) co_await Sleep(kPause);
      break;
    }
  }
}

}  // namespace cordon::net

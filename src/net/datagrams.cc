#include <netinet/in.h>
#include <sys/socket.h>

#include <map>
#include <utility>

#include "net/reply_packet.h"
#include "net/sandbox.h"

namespace cordon::net {
namespace {

constexpr uint16_t kDnsPort = 53;
constexpr auto kIdleTime = std::chrono::seconds(60);
constexpr size_t kMaxDatagram = 65536;
constexpr size_t kMaxQueries = 512;
constexpr size_t kMaxRefusing = 16;
constexpr int kAtOnce = 64;

void Reply(Sandbox& sandbox, const Endpoint& to, const std::vector<uint8_t>& packet) {
  // The destination is in the packet and here; for IPv6 the port must be left out.
  sockaddr_storage storage = {};
  const socklen_t size = FillSockaddr({to.address, 0}, &storage);
  const int fd = to.address.is_ipv4() ? sandbox.reply_ipv4.get() : sandbox.reply_ipv6.get();
  (void)sendto(fd, packet.data(), packet.size(), MSG_NOSIGNAL,
               reinterpret_cast<sockaddr*>(&storage), size);
}

struct Datagram {
  Endpoint source;
  Endpoint destination;
  std::span<const uint8_t> payload;
};

// False if nothing is there.
bool Receive(int fd, std::span<uint8_t> buffer, Datagram* datagram) {
  sockaddr_storage source = {};
  sockaddr_storage destination = {};
  alignas(cmsghdr) std::array<char, 128> control{};
  iovec part = {buffer.data(), buffer.size()};
  msghdr message = {};
  message.msg_name = &source;
  message.msg_namelen = sizeof source;
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  const ssize_t size = recvmsg(fd, &message, MSG_DONTWAIT);
  if (size < 0) return false;
  for (cmsghdr* row = CMSG_FIRSTHDR(&message); row != nullptr; row = CMSG_NXTHDR(&message, row)) {
    const bool is_ours = (row->cmsg_level == IPPROTO_IP && row->cmsg_type == IP_ORIGDSTADDR) ||
                         (row->cmsg_level == IPPROTO_IPV6 && row->cmsg_type == IPV6_ORIGDSTADDR);
    if (!is_ours) continue;
    memcpy(&destination, CMSG_DATA(row),
           std::min<size_t>(row->cmsg_len - CMSG_LEN(0), sizeof destination));
  }
  *datagram = {EndpointOf(source), EndpointOf(destination),
               buffer.first(static_cast<size_t>(size))};
  return true;
}

// One sender and one destination.
class DatagramFlow {
 public:
  DatagramFlow(Sandbox& sandbox, Flow flow, Verdict verdict)
      : sandbox_(sandbox),
        record_{std::move(flow), std::move(verdict), {}, {}, 0, 0, Clock::now()} {}
  DatagramFlow(const DatagramFlow&) = delete;
  DatagramFlow& operator=(const DatagramFlow&) = delete;
  ~DatagramFlow() { sandbox_.log.Write(record_); }

  bool Open();
  void Send(std::span<const uint8_t> payload);
  awaitable<void> FindAsker() { record_.by = co_await sandbox_.askers.Find(record_.flow); }
  // Until nothing has moved for a while.
  awaitable<void> Serve();

 private:
  void Return();

  Sandbox& sandbox_;
  FlowRecord record_;
  std::unique_ptr<AsyncFd> upstream_;
  Clock::time_point last_ = Clock::now();
};

bool DatagramFlow::Open() {
  const Endpoint& to = record_.flow.destination;
  OwnedFd fd(socket(to.address.is_ipv4() ? AF_INET : AF_INET6,
                    SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  sockaddr_storage storage = {};
  const socklen_t size = FillSockaddr(to, &storage);
  if (!fd.valid() || connect(fd.get(), reinterpret_cast<sockaddr*>(&storage), size) != 0) {
    record_.failure = SystemError("connect").error().ToString();
    return false;
  }
  upstream_ = std::make_unique<AsyncFd>(sandbox_.loop, std::move(fd));
  return true;
}

void DatagramFlow::Send(std::span<const uint8_t> payload) {
  last_ = Clock::now();
  const ssize_t size = send(upstream_->get(), payload.data(), payload.size(), MSG_NOSIGNAL);
  if (size > 0) record_.sent_bytes += static_cast<uint64_t>(size);
}

void DatagramFlow::Return() {
  const Flow& flow = record_.flow;
  for (int i = 0; i < kAtOnce; ++i) {
    const ssize_t size = recv(upstream_->get(), sandbox_.buffer.data(), kMaxDatagram, MSG_DONTWAIT);
    if (size < 0 && errno == ECONNREFUSED) {
      Reply(sandbox_, flow.source, WriteUnreachable(flow.source, flow.destination, {}));
      continue;
    }
    if (size < 0) return;
    last_ = Clock::now();
    record_.received_bytes += static_cast<uint64_t>(size);
    const std::span<const uint8_t> payload(sandbox_.buffer.data(), static_cast<size_t>(size));
    Reply(sandbox_, flow.source, WriteDatagram(flow.destination, flow.source, payload));
  }
}

awaitable<void> DatagramFlow::Serve() {
  for (;;) {
    const Clock::time_point until = last_ + kIdleTime;
    if (until <= Clock::now()) co_return;
    const Deadline deadline(sandbox_.loop, *upstream_, until - Clock::now());
    if (co_await upstream_->Readable()) Return();
  }
}

class DatagramServer {
 public:
  explicit DatagramServer(Sandbox& sandbox) : sandbox_(sandbox) {}
  void Take(const Datagram& datagram);

 private:
  using Key = std::pair<Endpoint, Endpoint>;
  void Answer(const Datagram& query);
  void Open(const Datagram& first);
  void RefuseNaming(const std::shared_ptr<DatagramFlow>& flow, const Datagram& datagram);
  void Refuse(const Datagram& datagram) {
    Reply(sandbox_, datagram.source,
          WriteUnreachable(datagram.source, datagram.destination, datagram.payload));
  }

  Sandbox& sandbox_;
  std::map<Key, std::shared_ptr<DatagramFlow>> flows_;
  size_t queries_ = 0;
  size_t refusing_ = 0;
};

void DatagramServer::Take(const Datagram& datagram) {
  if (datagram.destination.port == kDnsPort) {
    Answer(datagram);
  } else if (const auto found = flows_.find({datagram.source, datagram.destination});
             found != flows_.end()) {
    found->second->Send(datagram.payload);
  } else {
    Open(datagram);
  }
}

void DatagramServer::Answer(const Datagram& query) {
  if (queries_ >= kMaxQueries) return Refuse(query);
  ++queries_;
  asio::co_spawn(
      sandbox_.loop,
      [](DatagramServer& server, Flow client,
         std::vector<uint8_t> bytes) -> awaitable<void> {
        const std::vector<uint8_t> answer =
            co_await AnswerBytes(server.sandbox_, client, std::move(bytes));
        --server.queries_;
        if (answer.empty()) co_return;
        Reply(server.sandbox_, client.source,
              WriteDatagram(client.destination, client.source, answer));
      }(*this, {Transport::kUdp, query.source, query.destination, {}},
                                     {query.payload.begin(), query.payload.end()}),
      asio::detached);
}

// Whoever sent it waits for what he hears: until then he can be found.
void DatagramServer::RefuseNaming(const std::shared_ptr<DatagramFlow>& flow,
                                  const Datagram& datagram) {
  if (refusing_ >= kMaxRefusing) return Refuse(datagram);
  ++refusing_;
  asio::co_spawn(
      sandbox_.loop,
      [](DatagramServer& server, std::shared_ptr<DatagramFlow> refused, Endpoint from, Endpoint to,
         std::vector<uint8_t> bytes) -> awaitable<void> {
        co_await refused->FindAsker();
        --server.refusing_;
        server.Refuse({from, to, bytes});
      }(*this, flow, datagram.source, datagram.destination,
                                     {datagram.payload.begin(), datagram.payload.end()}),
      asio::detached);
}

void DatagramServer::Open(const Datagram& first) {
  Flow flow = {Transport::kUdp, first.source, first.destination,
               sandbox_.pins.NamesOf(first.destination.address, Clock::now())};
  const auto whose = sandbox_.routes.Find(first.destination.address);
  Verdict verdict = sandbox_.rules.JudgeFlow(flow, whose.value_or(Whose::kOther));
  if (flows_.size() >= sandbox_.config.max_datagram_flows) {
    verdict = {Verdict::Action::kRefuse, {}, "too many flows", {}};
  }
  const bool is_refused = verdict.action == Verdict::Action::kRefuse;
  const auto opened = std::make_shared<DatagramFlow>(sandbox_, std::move(flow), std::move(verdict));
  if (is_refused) return RefuseNaming(opened, first);
  if (!opened->Open()) return Refuse(first);
  const Key key = {first.source, first.destination};
  flows_.emplace(key, opened);
  opened->Send(first.payload);
  asio::co_spawn(
      sandbox_.loop,
      [](DatagramServer& server, Key which,
         std::shared_ptr<DatagramFlow> served) -> awaitable<void> {
        co_await served->Serve();
        server.flows_.erase(which);
      }(*this, key, opened),
      asio::detached);
}

}  // namespace

awaitable<void> ServeDatagrams(Sandbox& sandbox, OwnedFd listener) {
  AsyncFd fd(sandbox.loop, std::move(listener));
  // Kept by the coroutines that it starts, too: they end with the loop.
  DatagramServer server(sandbox);
  std::vector<uint8_t> buffer(kMaxDatagram);
  while (co_await fd.Readable()) {
    Datagram datagram;
    for (int i = 0; i < kAtOnce && Receive(fd.get(), buffer, &datagram); ++i) {
      server.Take(datagram);
    }
  }
}

}  // namespace cordon::net

// Connections: who listens, who connects, who is told of an end.
//
// A connection is complete before it is accepted: connecting makes the socket at the other end,
// which waits in the listening one.

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "kernel/socket.h"

namespace cordon::kernel {
namespace {

// Internet sockets have no call that would tell of a full list but a time-out; programs do not
// expect their own backlog of 1 to matter.
constexpr uint32_t kLeastInternetBacklog = 128;

// Under the listening socket's lock.
bool Listens(const Socket& socket) {
  return socket.state.load() == SocketState::kListening && !socket.receive_ended;
}

bool HasPlaceOrEnd(void* argument) {
  auto& listening = *static_cast<Socket*>(argument);
  const MutexLock lock(listening.lock, LockRank::kInode);
  return !Listens(listening) || listening.pending_count < listening.backlog;
}

bool HasConnectionOrEnd(void* argument) {
  auto& listening = *static_cast<Socket*>(argument);
  const MutexLock lock(listening.lock, LockRank::kInode);
  return !Listens(listening) || listening.first_pending != nullptr;
}

// The list takes over the reference to `socket` on success.
int32_t Enqueue(Socket& listening, Socket& socket) {
  const MutexLock names(TheSockets().lock, LockRank::kDirectory);
  const MutexLock lock(listening.lock, LockRank::kInode);
  if (!Listens(listening)) return -ECONNREFUSED;
  if (listening.pending_count >= listening.backlog) return -EAGAIN;
  (listening.last_pending == nullptr ? listening.first_pending
                                     : listening.last_pending->next_pending) = &socket;
  listening.last_pending = &socket;
  ++listening.pending_count;
  socket.pending = true;
  return 0;
}

Socket* TakePending(Socket& listening) {
  const MutexLock names(TheSockets().lock, LockRank::kDirectory);
  const MutexLock lock(listening.lock, LockRank::kInode);
  Socket* socket = listening.first_pending;
  if (socket == nullptr) return nullptr;
  listening.first_pending = std::exchange(socket->next_pending, nullptr);
  if (listening.first_pending == nullptr) listening.last_pending = nullptr;
  --listening.pending_count;
  socket->pending = false;
  return socket;
}

// The other end of `socket`'s connection, as the listening socket would have it. Null without
// memory.
Socket* NewOtherEnd(Socket& socket, Socket& listening, const SocketAddress& address) {
  Socket* other = NewSocket(listening.family, listening.type, listening.protocol);
  if (other == nullptr) return nullptr;
  other->state.store(SocketState::kConnected);
  other->peer = Ref(&socket);
  other->peer_name = NameFor(socket, listening);
  other->peer_owner = CurrentOwner();
  const MutexLock lock(listening.lock, LockRank::kInode);
  other->options = listening.options;
  other->send_buffer.store(listening.send_buffer.load());
  other->receive_buffer.store(listening.receive_buffer.load());
  other->owner = listening.owner;
  other->name = listening.name;
  if (socket.is_unix()) return other;
  Endpoint to;
  if (ParseEndpoint(address, socket.family, &to) == 0) {
    if (to.is_any()) to = LoopbackEndpoint(to.is_v4() ? IpVersion::kV4 : IpVersion::kV6, to.port);
    other->name = EndpointAddress(to, listening.family);
  }
  return other;
}

// 0, or why `socket` cannot connect; it is being connected afterwards.
int32_t BeginConnecting(Socket& socket) {
  const MutexLock lock(socket.lock, LockRank::kInode);
  switch (socket.state.load()) {
    case SocketState::kIdle:
      socket.state.store(SocketState::kConnecting);
      return 0;
    case SocketState::kConnecting:
      return -EALREADY;
    case SocketState::kConnected:
      return socket.connects_unseen ? -EINPROGRESS : -EISCONN;
    case SocketState::kListening:
      return socket.is_unix() ? -EINVAL : -EISCONN;
  }
  return -EINVAL;
}

void EndConnecting(Socket& socket, SocketState state) {
  const MutexLock lock(socket.lock, LockRank::kInode);
  socket.state.store(state);
}

void SetPeer(Socket& socket, Socket& peer, const SocketAddress& name, const SocketOwner& owner) {
  const MutexLock lock(socket.lock, LockRank::kInode);
  socket.peer = Ref(&peer);
  socket.peer_name = name;
  socket.peer_owner = owner;
}

// What a failed connection left.
void ForgetPeer(Socket& socket) {
  Socket* peer = nullptr;
  {
    const MutexLock lock(socket.lock, LockRank::kInode);
    peer = std::exchange(socket.peer, nullptr);
    socket.peer_name = {};
    socket.receive_ended = socket.send_ended = false;
    socket.error = 0;
  }
  Unref(peer);
}

// One attempt; -EAGAIN when the list is full.
int32_t TryConnect(Socket& socket, Socket& listening, const SocketAddress& address) {
  {
    const MutexLock lock(listening.lock, LockRank::kInode);
    if (!Listens(listening)) return -ECONNREFUSED;
    if (listening.pending_count >= listening.backlog) return -EAGAIN;
  }
  Socket* other = NewOtherEnd(socket, listening, address);
  if (other == nullptr) return -ENOBUFS;
  // From the moment in which it is in the list, the other end may be accepted and written to.
  const SocketAddress name = socket.is_unix() ? other->name : NameFor(*other, socket);
  SetPeer(socket, *other, name, other->owner);
  const int32_t error = Enqueue(listening, *other);
  if (error == 0) {
    listening.readable.WakeAll();
    Endpoint to;
    if (!socket.is_unix() && ParseEndpoint(address, socket.family, &to) == 0) NameLike(socket, to);
    return 0;
  }
  CloseSocket(other);
  ForgetPeer(socket);
  return error;
}

int32_t ConnectStream(Socket& socket, const SocketAddress& address, bool blocks) {
  const uint64_t deadline = DeadlineAfter(socket.send_timeout_ns.load());
  for (;;) {
    HeldSocket listening;
    int32_t error = FindSocket(socket, address, listening.out());
    if (error == 0) error = TryConnect(socket, *listening, address);
    if (error != -EAGAIN) return error;
    if (!blocks) return socket.is_unix() ? -EAGAIN : -ECONNREFUSED;
    error = WaitOnSocket(listening->writable, HasPlaceOrEnd, listening.get(), deadline);
    if (error != 0) return error;
  }
}

int32_t Disconnect(Socket& socket) {
  Socket* peer = nullptr;
  {
    const MutexLock names(TheSockets().lock, LockRank::kDirectory);
    const MutexLock lock(socket.lock, LockRank::kInode);
    peer = std::exchange(socket.peer, nullptr);
    socket.peer_name = {};
    socket.state.store(SocketState::kIdle);
  }
  Unref(peer);
  return 0;
}

// A datagram socket that is connected has a destination, and receives from nobody else.
int32_t ConnectUnixDatagram(Socket& socket, const SocketAddress& address) {
  HeldSocket receiver;
  const int32_t error = FindSocket(socket, address, receiver.out());
  if (error != 0) return error;
  {
    const MutexLock lock(receiver->lock, LockRank::kInode);
    if (receiver->closed) return -ECONNREFUSED;
    if (receiver->peer != nullptr && receiver->peer != &socket) return -EPERM;
  }
  Socket* old = nullptr;
  {
    const MutexLock lock(socket.lock, LockRank::kInode);
    old = std::exchange(socket.peer, Ref(receiver.get()));
    socket.peer_name = address;
    socket.state.store(SocketState::kConnected);
  }
  Unref(old);
  return 0;
}

int32_t ConnectUdp(Socket& socket, const SocketAddress& address) {
  Endpoint to;
  int32_t error = ParseEndpoint(address, socket.family, &to);
  if (error == 0 && to.is_any())
    to = LoopbackEndpoint(to.is_v4() ? IpVersion::kV4 : IpVersion::kV6, to.port);
  if (error == 0 && !to.is_loopback()) error = -ENETUNREACH;
  bool was_bound = false;
  if (error == 0) error = BindAnyName(socket, &was_bound);
  if (error != 0) return error;
  NameLike(socket, to);
  const MutexLock names(TheSockets().lock, LockRank::kDirectory);
  const MutexLock lock(socket.lock, LockRank::kInode);
  socket.peer_name = EndpointAddress(to, socket.family);
  socket.state.store(SocketState::kConnected);
  return 0;
}

int32_t ConnectDatagram(Socket& socket, const SocketAddress& address) {
  if (address.family() == AF_UNSPEC) return Disconnect(socket);
  return socket.is_unix() ? ConnectUnixDatagram(socket, address) : ConnectUdp(socket, address);
}

}  // namespace

int32_t ListenSocket(Socket& socket, uint32_t backlog) {
  if (!socket.is_paired()) return -EOPNOTSUPP;
  if (!socket.is_unix()) {
    bool was_bound = false;
    const int32_t error = BindAnyName(socket, &was_bound);
    if (error != 0) return error;
  }
  const uint32_t least = socket.is_unix() ? 1 : kLeastInternetBacklog;
  {
    const MutexLock names(TheSockets().lock, LockRank::kDirectory);
    const MutexLock lock(socket.lock, LockRank::kInode);
    const SocketState state = socket.state.load();
    if (socket.name.size == 0) return -EINVAL;
    if (state != SocketState::kIdle && state != SocketState::kListening) return -EINVAL;
    if (IsNameTaken(socket)) return -EADDRINUSE;
    socket.state.store(SocketState::kListening);
    // As a signed number, negative is as much as there may be.
    socket.backlog = std::clamp(backlog, least, kMaxBacklog);
    socket.owner = CurrentOwner();
  }
  socket.writable.WakeAll();
  return 0;
}

int32_t ConnectSocket(Socket& socket, const SocketAddress& address, bool blocks) {
  if (!socket.is_paired()) return ConnectDatagram(socket, address);
  int32_t error = BeginConnecting(socket);
  if (error == -EINPROGRESS) {
    // The second call is told, as Linux does it.
    const MutexLock lock(socket.lock, LockRank::kInode);
    socket.connects_unseen = false;
    return 0;
  }
  if (error != 0) return error;
  bool was_bound = true;
  if (!socket.is_unix()) error = BindAnyName(socket, &was_bound);
  if (error == 0) error = ConnectStream(socket, address, blocks);
  if (error != 0 && !was_bound) ForgetName(socket);
  EndConnecting(socket, error == 0 ? SocketState::kConnected : SocketState::kIdle);
  if (error != 0) return error;
  // Whoever polls the socket in another process sees it connected.
  socket.writable.WakeAll();
  if (blocks || socket.is_unix()) return 0;
  // Over the internet nobody is connected at once, not even on loopback: programs take this way.
  const MutexLock lock(socket.lock, LockRank::kInode);
  socket.connects_unseen = true;
  return -EINPROGRESS;
}

int32_t AcceptSocket(Socket& socket, bool blocks, Socket** out) {
  const uint64_t deadline = DeadlineAfter(socket.receive_timeout_ns.load());
  for (;;) {
    *out = TakePending(socket);
    if (*out != nullptr) {
      socket.writable.WakeAll();
      return 0;
    }
    {
      const MutexLock lock(socket.lock, LockRank::kInode);
      if (!Listens(socket)) return -EINVAL;
    }
    if (!blocks) return -EAGAIN;
    const int32_t error = WaitOnSocket(socket.readable, HasConnectionOrEnd, &socket, deadline);
    if (error != 0) return error;
  }
}

void ConnectPair(Socket& a, Socket& b) {
  const SocketOwner owner = CurrentOwner();
  const SocketAddress nobody = UnixAddress({});
  SetPeer(a, b, nobody, owner);
  SetPeer(b, a, nobody, owner);
  a.state.store(SocketState::kConnected);
  b.state.store(SocketState::kConnected);
}

int32_t ShutdownSocket(Socket& socket, Shutdown how) {
  const bool receives = how != kShutSend;
  const bool sends = how != kShutReceive;
  HeldSocket peer;
  {
    const MutexLock lock(socket.lock, LockRank::kInode);
    const SocketState state = socket.state.load();
    const bool is_listening = state == SocketState::kListening;
    if (!socket.is_unix() && state != SocketState::kConnected && !is_listening) return -ENOTCONN;
    socket.receive_ended = socket.receive_ended || receives;
    socket.send_ended = socket.send_ended || (sends && !is_listening);
    if (socket.is_paired() && socket.peer != nullptr) *peer.out() = Ref(socket.peer);
  }
  socket.readable.WakeAll();
  socket.writable.WakeAll();
  if (peer.get() == nullptr) return 0;
  {
    const MutexLock lock(peer->lock, LockRank::kInode);
    peer->receive_ended = peer->receive_ended || sends;
    // Over a network the other side would not learn of it.
    peer->send_ended = peer->send_ended || (receives && socket.is_unix());
  }
  peer->readable.WakeAll();
  peer->writable.WakeAll();
  return 0;
}

}  // namespace cordon::kernel

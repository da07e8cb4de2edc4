// Names of sockets: paths, whose nodes point at the socket; abstract names and ports, in a table of
// their own.

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "kernel/socket.h"
#include "vfs/path_walk.h"

namespace cordon::kernel {
namespace {

// net.ipv4.ip_local_port_range and ip_unprivileged_port_start of Linux.
constexpr uint32_t kFirstPort = 32768;
constexpr uint32_t kPortCount = 60999 - kFirstPort + 1;
constexpr uint32_t kFirstUnprivilegedPort = 1024;
constexpr uint32_t kUnixNames = 1 << 20;  // five hexadecimal digits

// --- the table; under Sockets::lock ---

// Whatever could be meant by one name is in one bucket: ports of one kind, whatever the address.
Socket** BucketOf(const Socket& socket, const SocketAddress& name) {
  uint32_t hash = 2166136261;
  const auto mix = [&hash](uint8_t byte) { hash = (hash ^ byte) * 16777619; };
  mix(static_cast<uint8_t>(socket.type));
  mix(socket.is_unix() ? 1 : 2);
  if (socket.is_unix()) {
    for (const char c : name.name()) mix(static_cast<uint8_t>(c));
  } else {
    mix(name.bytes[2]);
    mix(name.bytes[3]);
  }
  return &TheSockets().names[hash % kNameBuckets];
}

void Register(Socket& socket) {
  Socket** bucket = BucketOf(socket, socket.name);
  socket.next_named = *bucket;
  socket.named = true;
  *bucket = &socket;
}

Endpoint EndpointOf(const Socket& socket, const SocketAddress& name) {
  Endpoint endpoint;
  (void)ParseEndpoint(name, socket.family, &endpoint);
  return endpoint;
}

bool SameAbstractName(const Socket& socket, uint16_t type, const SocketAddress& name) {
  return socket.is_unix() && socket.type == type && socket.name.name() == name.name();
}

Socket* FindAbstract(const Socket& from, const SocketAddress& name) {
  for (Socket* socket = *BucketOf(from, name); socket != nullptr; socket = socket->next_named) {
    if (SameAbstractName(*socket, from.type, name)) return socket;
  }
  return nullptr;
}

// Whether what is sent to `to` reaches a socket that is bound to `bound`.
bool Reaches(const Socket& socket, const Endpoint& bound, const Endpoint& to) {
  if (bound.port != to.port) return false;
  if (bound == to) return true;
  if (!bound.is_any()) return false;
  if (socket.family == AF_INET || bound.is_v4()) return to.is_v4();
  return !to.is_v4() || socket.options[Option::kV6Only] == 0;
}

// Two sockets may have one address if both want that, and nobody listens there.
bool MayShare(const Socket& a, const Socket& b) {
  if (a.options[Option::kReusePort] != 0 && b.options[Option::kReusePort] != 0) return true;
  return a.options[Option::kReuseAddress] != 0 && b.options[Option::kReuseAddress] != 0 &&
         b.state.load() != SocketState::kListening;
}

bool IsPortTaken(const Socket& socket, const Endpoint& wanted) {
  const SocketAddress name = EndpointAddress(wanted, socket.family);
  for (Socket* other = *BucketOf(socket, name); other != nullptr; other = other->next_named) {
    if (other == &socket || other->is_unix() || other->protocol != socket.protocol) continue;
    const Endpoint bound = EndpointOf(*other, other->name);
    const bool meets = Reaches(*other, bound, wanted) || Reaches(socket, wanted, bound);
    if (meets && !MayShare(socket, *other)) return true;
  }
  return false;
}

int32_t TakePort(const Socket& socket, Endpoint* wanted) {
  for (uint32_t tries = 0; tries < kPortCount; ++tries) {
    const uint32_t next = TheSockets().next_port.fetch_add(1);
    wanted->port = static_cast<uint16_t>(kFirstPort + next % kPortCount);
    if (!IsPortTaken(socket, *wanted)) return 0;
  }
  return -EADDRINUSE;
}

// The socket that a connection or a datagram from `source` to `to` reaches: the one that is bound
// or connected most closely.
Socket* FindEndpoint(const Socket& from, const Endpoint& source, const Endpoint& to) {
  Socket* best = nullptr;
  int best_score = 0;
  const SocketAddress name = EndpointAddress(to, AF_INET6);
  for (Socket* socket = *BucketOf(from, name); socket != nullptr; socket = socket->next_named) {
    if (socket->is_unix() || socket->protocol != from.protocol) continue;
    const Endpoint bound = EndpointOf(*socket, socket->name);
    if (!Reaches(*socket, bound, to)) continue;
    if (socket->is_stream() && socket->state.load() != SocketState::kListening) continue;
    int score = bound == to ? 2 : 1;
    if (!socket->is_stream() && socket->state.load() == SocketState::kConnected) {
      if (EndpointOf(*socket, socket->peer_name) != source) continue;
      score += 2;
    }
    if (score <= best_score) continue;
    best = socket;
    best_score = score;
  }
  return best;
}

// --- binding ---

// Marks that the name of a socket is being set, so that nobody else sets it meanwhile.
class Naming {
 public:
  explicit Naming(Socket& socket) : socket_(socket) {
    const MutexLock lock(socket.lock, LockRank::kInode);
    is_first_ = !socket.naming && socket.name.size == 0;
    if (is_first_) socket.naming = true;
  }
  ~Naming() {
    if (!is_first_) return;
    const MutexLock lock(socket_.lock, LockRank::kInode);
    socket_.naming = false;
  }
  Naming(const Naming&) = delete;
  Naming& operator=(const Naming&) = delete;
  [[nodiscard]] bool is_first() const { return is_first_; }

 private:
  Socket& socket_;
  bool is_first_ = false;
};

void SetName(Socket& socket, const SocketAddress& name) {
  const MutexLock lock(socket.lock, LockRank::kInode);
  socket.name = name;
}

int32_t BindAbstract(Socket& socket, const SocketAddress& name) {
  const MutexLock lock(TheSockets().lock, LockRank::kDirectory);
  if (FindAbstract(socket, name) != nullptr) return -EADDRINUSE;
  SetName(socket, name);
  Register(socket);
  return 0;
}

int32_t BindAnyAbstract(Socket& socket) {
  for (uint32_t tries = 0; tries < kUnixNames; ++tries) {
    char text[8] = {};
    (void)snprintf(text + 1, sizeof text - 1, "%05x",
                   TheSockets().next_name.fetch_add(1) % kUnixNames);
    const int32_t error = BindAbstract(socket, UnixAddress({text, 6}));
    if (error != -EADDRINUSE) return error;
  }
  return -ENOSPC;
}

std::string_view PathOf(const SocketAddress& address) {
  const std::string_view name = address.name();
  return name.substr(0, name.find('\0'));
}

int32_t BindPath(Socket& socket, const SocketAddress& address) {
  const Process& process = Current();
  const std::string_view path = PathOf(address);
  vfs::Node directory;
  vfs::LastName last;
  int32_t error = vfs::WalkToParent(TheKernel().mounts, process.who, process.root,
                                    WorkingDirectory(), path, &directory, &last);
  if (error != 0) return error;
  vfs::Node made;
  error = last.is_dots() || last.trailing_slash
              ? -EADDRINUSE
              : directory.fs->Create(process.who, directory.id, last.view(),
                                     S_IFSOCK | (0777 & ~process.umask), 0, &made);
  directory.fs->Release(directory.id);
  if (error != 0) return error == -EEXIST ? -EADDRINUSE : error;
  vfs::Attachment* attachment = made.fs->AttachmentOf(made.id);
  if (attachment == nullptr) {
    made.fs->Release(made.id);
    return -EOPNOTSUPP;
  }
  // With its final zero, as Linux shows it.
  char text[SocketAddress::kMaxBytes] = {};
  memcpy(text, path.data(), path.size());
  SetName(socket, UnixAddress({text, path.size() + 1}));
  socket.node = made;
  const MutexLock lock(TheKernel().table_lock, LockRank::kProcessTable);
  attachment->object = &socket;
  return 0;
}

int32_t BindEndpoint(Socket& socket, const SocketAddress& address) {
  Endpoint wanted;
  int32_t error = ParseEndpoint(address, socket.family, &wanted);
  if (error != 0) return error;
  if (!wanted.is_any() && !wanted.is_loopback()) return -EADDRNOTAVAIL;
  if (wanted.is_v4() && socket.options[Option::kV6Only] != 0) return -EADDRNOTAVAIL;
  if (wanted.port != 0 && wanted.port < kFirstUnprivilegedPort && Current().who.uid != 0)
    return -EACCES;
  const MutexLock lock(TheSockets().lock, LockRank::kDirectory);
  if (wanted.port == 0) {
    error = TakePort(socket, &wanted);
  } else if (IsPortTaken(socket, wanted)) {
    error = -EADDRINUSE;
  }
  if (error != 0) return error;
  SetName(socket, EndpointAddress(wanted, socket.family));
  Register(socket);
  return 0;
}

// --- finding ---

int32_t FindPath(const SocketAddress& address, Socket** out) {
  const Process& process = Current();
  vfs::Node node;
  int32_t error = vfs::Walk(TheKernel().mounts, process.who, process.root, WorkingDirectory(),
                            PathOf(address), vfs::kFollow, &node);
  if (error != 0) return error;
  error = node.fs->Access(process.who, node.id, 2);
  if (error == 0 && !S_ISSOCK(node.fs->ModeOf(node.id))) error = -ECONNREFUSED;
  vfs::Attachment* attachment = error == 0 ? node.fs->AttachmentOf(node.id) : nullptr;
  if (attachment != nullptr) {
    // A socket leaves its node under this lock, before its last reference goes.
    const MutexLock lock(TheKernel().table_lock, LockRank::kProcessTable);
    if (attachment->object != nullptr) *out = Ref(static_cast<Socket*>(attachment->object));
  }
  node.fs->Release(node.id);
  return error != 0 ? error : *out == nullptr ? -ECONNREFUSED : 0;
}

int32_t FindUnix(const Socket& from, const SocketAddress& address, Socket** out) {
  if (address.family() != AF_UNIX || address.name().empty()) return -EINVAL;
  if (address.is_abstract()) {
    const MutexLock lock(TheSockets().lock, LockRank::kDirectory);
    Socket* found = FindAbstract(from, address);
    if (found == nullptr) return -ECONNREFUSED;
    *out = Ref(found);
    return 0;
  }
  const int32_t error = FindPath(address, out);
  return error == 0 && (*out)->type != from.type ? -EPROTOTYPE : error;
}

int32_t FindInternet(const Socket& from, const SocketAddress& address, Socket** out) {
  Endpoint to;
  const int32_t error = ParseEndpoint(address, from.family, &to);
  if (error != 0) return error;
  if (to.is_any()) to = LoopbackEndpoint(to.is_v4() ? IpVersion::kV4 : IpVersion::kV6, to.port);
  if (!to.is_loopback()) return -ENETUNREACH;
  if (to.is_v4() && from.options[Option::kV6Only] != 0) return -ENETUNREACH;
  const MutexLock lock(TheSockets().lock, LockRank::kDirectory);
  Endpoint source = EndpointOf(from, from.name);
  if (source.is_any())
    source = LoopbackEndpoint(to.is_v4() ? IpVersion::kV4 : IpVersion::kV6, source.port);
  Socket* found = FindEndpoint(from, source, to);
  if (found == nullptr) return -ECONNREFUSED;
  *out = Ref(found);
  return 0;
}

}  // namespace

int32_t BindSocket(Socket& socket, const SocketAddress& address) {
  const Naming naming(socket);
  if (!naming.is_first()) return -EINVAL;
  if (!socket.is_unix()) return BindEndpoint(socket, address);
  if (address.family() != AF_UNIX) return -EINVAL;
  if (address.name().empty()) return BindAnyAbstract(socket);
  return address.is_abstract() ? BindAbstract(socket, address) : BindPath(socket, address);
}

int32_t BindAnyName(Socket& socket, bool* was_bound) {
  const Naming naming(socket);
  *was_bound = !naming.is_first();
  if (*was_bound) return 0;
  const IpVersion version = socket.family == AF_INET ? IpVersion::kV4 : IpVersion::kV6;
  return BindEndpoint(socket, EndpointAddress(AnyEndpoint(version, 0), socket.family));
}

int32_t FindSocket(const Socket& from, const SocketAddress& address, Socket** out) {
  return from.is_unix() ? FindUnix(from, address, out) : FindInternet(from, address, out);
}

void Unname(Socket& socket) {
  if (!socket.named) return;
  Socket** at = BucketOf(socket, socket.name);
  while (*at != &socket) at = &(*at)->next_named;
  *at = socket.next_named;
  socket.named = false;
}

bool IsNameTaken(const Socket& socket) {
  return !socket.is_unix() && IsPortTaken(socket, EndpointOf(socket, socket.name));
}

void ForgetName(Socket& socket) {
  const MutexLock names(TheSockets().lock, LockRank::kDirectory);
  Unname(socket);
  const MutexLock lock(socket.lock, LockRank::kInode);
  socket.name = {};
}

void LeaveNode(Socket& socket) {
  {
    const MutexLock lock(TheKernel().table_lock, LockRank::kProcessTable);
    socket.node.fs->AttachmentOf(socket.node.id)->object = nullptr;
  }
  socket.node.fs->Release(socket.node.id);
  socket.node = {};
}

void NameLike(Socket& socket, const Endpoint& to) {
  const MutexLock names(TheSockets().lock, LockRank::kDirectory);
  const MutexLock lock(socket.lock, LockRank::kInode);
  const Endpoint own = EndpointOf(socket, socket.name);
  if (!own.is_any()) return;
  const IpVersion version = to.is_v4() ? IpVersion::kV4 : IpVersion::kV6;
  socket.name = EndpointAddress(LoopbackEndpoint(version, own.port), socket.family);
}

SocketAddress NameFor(Socket& socket, const Socket& receiver) {
  SocketAddress name;
  {
    const MutexLock lock(socket.lock, LockRank::kInode);
    name = socket.name;
  }
  if (socket.is_unix()) return name;
  Endpoint own = EndpointOf(socket, name);
  const bool by_v4 = socket.family == AF_INET || receiver.family == AF_INET;
  if (own.is_any() || (by_v4 && !own.is_v4()))
    own = LoopbackEndpoint(by_v4 ? IpVersion::kV4 : IpVersion::kV6, own.port);
  return EndpointAddress(own, receiver.family);
}

}  // namespace cordon::kernel

// Calls on sockets.

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <iterator>

#include "kernel/guest_memory.h"
#include "kernel/socket_message.h"
#include "kernel/syscall.h"

namespace cordon::kernel {
namespace {

static_assert(SOCK_CLOEXEC == O_CLOEXEC && SOCK_NONBLOCK == O_NONBLOCK);
constexpr uint32_t kTypeFlags = SOCK_CLOEXEC | SOCK_NONBLOCK;

// The socket behind a descriptor.
struct Descriptor {
  OpenFile* file = nullptr;
  Socket* socket = nullptr;
  int32_t error = 0;

  explicit Descriptor(uint32_t number) : file(FileOf(number)) {
    if (file == nullptr) {
      error = -EBADF;
    } else if (file->operations != &kSocketOperations) {
      error = (file->flags.load() & O_PATH) != 0 ? -EBADF : -ENOTSOCK;
    } else {
      socket = &SocketOf(*file);
    }
  }
  [[nodiscard]] bool blocks(uint32_t flags) const {
    return file->blocks() && (flags & MSG_DONTWAIT) == 0;
  }
};

// --- making ---

struct SocketKind {
  uint16_t family, type, protocol;
};

int32_t FindKind(uint32_t family, uint32_t type, uint32_t protocol, SocketKind* out) {
  *out = {static_cast<uint16_t>(family), static_cast<uint16_t>(type), 0};
  if (type > SOCK_PACKET) return -EINVAL;
  if (family == AF_UNIX) {
    if (protocol != 0 && protocol != PF_UNIX) return -EPROTONOSUPPORT;
    const bool exists = type == SOCK_STREAM || type == SOCK_DGRAM || type == SOCK_SEQPACKET;
    return exists ? 0 : -ESOCKTNOSUPPORT;
  }
  if (family != AF_INET && family != AF_INET6) return -EAFNOSUPPORT;
  if (type == SOCK_RAW) return -EPERM;
  if (type != SOCK_STREAM && type != SOCK_DGRAM) return -ESOCKTNOSUPPORT;
  out->protocol = type == SOCK_STREAM ? IPPROTO_TCP : IPPROTO_UDP;
  // UDP with ports of its own; nothing here damages what its checksums could leave out.
  if (type == SOCK_DGRAM && protocol == IPPROTO_UDPLITE) out->protocol = IPPROTO_UDPLITE;
  return protocol == 0 || protocol == out->protocol ? 0 : -EPROTONOSUPPORT;
}

// Its description becomes the socket's only owner; null, and the socket is gone.
OpenFile* NewDescription(Socket* socket, uint32_t flags) {
  if (socket == nullptr) return nullptr;
  OpenFile* file = OpenSocket(socket, flags);
  if (file == nullptr) CloseSocket(socket);
  return file;
}

int64_t SysSocket(const uint64_t* slots) {
  SocketKind kind;
  const uint32_t flags = Arg(slots, 1) & kTypeFlags;
  const int32_t error = FindKind(Arg(slots, 0), Arg(slots, 1) & ~kTypeFlags, Arg(slots, 2), &kind);
  if (error != 0) return error;
  OpenFile* file = NewDescription(NewSocket(kind.family, kind.type, kind.protocol), flags);
  return file == nullptr ? -ENFILE : Install(file, 0, (flags & SOCK_CLOEXEC) != 0);
}

int64_t SysSocketpair(const uint64_t* slots) {
  SocketKind kind;
  const uint32_t flags = Arg(slots, 1) & kTypeFlags;
  const int32_t error = FindKind(Arg(slots, 0), Arg(slots, 1) & ~kTypeFlags, Arg(slots, 2), &kind);
  if (error != 0) return error;
  if (kind.family != AF_UNIX) return -EOPNOTSUPP;
  if (!HasFreeDescriptors(2)) return -EMFILE;
  OpenFile* files[2];
  for (OpenFile*& file : files)
    file = NewDescription(NewSocket(kind.family, kind.type, kind.protocol), flags);
  if (files[0] == nullptr || files[1] == nullptr) {
    for (OpenFile* file : files) {
      if (file != nullptr) Release(file);
    }
    return -ENFILE;
  }
  ConnectPair(SocketOf(*files[0]), SocketOf(*files[1]));
  int32_t descriptors[2];
  for (int i = 0; i < 2; ++i) descriptors[i] = Install(files[i], 0, (flags & SOCK_CLOEXEC) != 0);
  if (Store(Arg(slots, 3), descriptors) == 0) return 0;
  for (const int32_t descriptor : descriptors)
    (void)CloseDescriptor(static_cast<uint32_t>(descriptor));
  return -EFAULT;
}

// --- names and connections ---

int64_t SysBind(const uint64_t* slots) {
  const Descriptor on(Arg(slots, 0));
  if (on.error != 0) return on.error;
  SocketAddress address;
  const int32_t error = LoadAddress(Arg(slots, 1), Arg(slots, 2), &address);
  return error != 0 ? error : BindSocket(*on.socket, address);
}

int64_t SysListen(const uint64_t* slots) {
  const Descriptor on(Arg(slots, 0));
  return on.error != 0 ? on.error : ListenSocket(*on.socket, Arg(slots, 1));
}

int64_t SysConnect(const uint64_t* slots) {
  const Descriptor on(Arg(slots, 0));
  if (on.error != 0) return on.error;
  SocketAddress address;
  const int32_t error = LoadAddress(Arg(slots, 1), Arg(slots, 2), &address);
  return error != 0 ? error : ConnectSocket(*on.socket, address, on.file->blocks());
}

SocketAddress PeerName(Socket& socket) {
  const MutexLock lock(socket.lock, LockRank::kInode);
  SocketAddress name = socket.peer_name;
  if (name.size == 0) name = UnixAddress({});
  return name;
}

int64_t SysAccept4(const uint64_t* slots) {
  const Descriptor on(Arg(slots, 0));
  const uint32_t flags = Arg(slots, 3);
  if (on.error != 0) return on.error;
  if ((flags & ~kTypeFlags) != 0) return -EINVAL;
  if (!on.socket->is_paired()) return -EOPNOTSUPP;
  if (!HasFreeDescriptors(1)) return -EMFILE;
  Socket* socket = nullptr;
  const int32_t error = AcceptSocket(*on.socket, on.file->blocks(), &socket);
  if (error != 0) return error;
  OpenFile* file = NewDescription(socket, flags);
  if (file == nullptr) return -ENFILE;
  if (StoreAddress(Arg(slots, 1), Arg(slots, 2), PeerName(*socket)) != 0) {
    Release(file);
    return -EFAULT;
  }
  return Install(file, 0, (flags & SOCK_CLOEXEC) != 0);
}

// What getsockname says of a socket that has no name.
SocketAddress OwnName(Socket& socket) {
  {
    const MutexLock lock(socket.lock, LockRank::kInode);
    if (socket.name.size > 0) return socket.name;
  }
  if (socket.is_unix()) return UnixAddress({});
  const IpVersion version = socket.family == AF_INET ? IpVersion::kV4 : IpVersion::kV6;
  return EndpointAddress(AnyEndpoint(version, 0), socket.family);
}

int64_t SysGetsockname(const uint64_t* slots) {
  const Descriptor on(Arg(slots, 0));
  return on.error != 0 ? on.error : StoreAddress(Arg(slots, 1), Arg(slots, 2), OwnName(*on.socket));
}

int64_t SysGetpeername(const uint64_t* slots) {
  const Descriptor on(Arg(slots, 0));
  if (on.error != 0) return on.error;
  if (on.socket->state.load() != SocketState::kConnected || on.socket->was_reset.load())
    return -ENOTCONN;
  return StoreAddress(Arg(slots, 1), Arg(slots, 2), PeerName(*on.socket));
}

int64_t SysShutdown(const uint64_t* slots) {
  const Descriptor on(Arg(slots, 0));
  if (on.error != 0) return on.error;
  if (Arg(slots, 1) > kShutBoth) return -EINVAL;
  return ShutdownSocket(*on.socket, static_cast<Shutdown>(Arg(slots, 1)));
}

int64_t SysSetsockopt(const uint64_t* slots) {
  const Descriptor on(Arg(slots, 0));
  return on.error != 0 ? on.error
                       : SetSocketOption(*on.socket, Arg(slots, 1), Arg(slots, 2), Arg(slots, 3),
                                         Arg(slots, 4));
}

int64_t SysGetsockopt(const uint64_t* slots) {
  const Descriptor on(Arg(slots, 0));
  return on.error != 0 ? on.error
                       : GetSocketOption(*on.socket, Arg(slots, 1), Arg(slots, 2), Arg(slots, 3),
                                         Arg(slots, 4));
}

// --- sending ---

int64_t Send(const Descriptor& on, Outgoing& out, uint32_t flags) {
  out.is_urgent = (flags & MSG_OOB) != 0;
  if (out.is_urgent && (!on.socket->is_stream() || on.socket->is_unix())) return -EOPNOTSUPP;
  out.blocks = on.blocks(flags);
  out.raises_signal = (flags & MSG_NOSIGNAL) == 0;
  return SendMessage(*on.socket, out);
}

int64_t SysSendto(const uint64_t* slots) {
  const Descriptor on(Arg(slots, 0));
  if (on.error != 0) return on.error;
  if (uint64_t{Arg(slots, 1)} + Arg(slots, 2) > UINT32_MAX) return -EFAULT;
  Outgoing out(CallerBytes(GuestPointer(Arg(slots, 1)), Arg(slots, 2)));
  if (Arg(slots, 4) != 0 && Arg(slots, 5) != 0) {
    const int32_t error = LoadAddress(Arg(slots, 4), Arg(slots, 5), &out.to);
    if (error != 0) return error;
  }
  return Send(on, out, Arg(slots, 3));
}

// struct msghdr and struct cmsghdr of a 32-bit guest.
struct GuestMessage {
  uint32_t name, name_size;
  uint32_t vectors, vector_count;
  uint32_t control, control_size;
  uint32_t flags;
};
struct ControlHeader {
  uint32_t size;  // with the header
  uint32_t level, type;
};
constexpr uint32_t kControlBytes = 4096;
constexpr uint32_t ControlSpace(uint32_t size) {
  return (static_cast<uint32_t>(sizeof(ControlHeader)) + size + 3) / 4 * 4;
}

int32_t AddRights(const char* data, uint32_t size, HeldRights& files) {
  const uint32_t count = size / 4;
  if (files.rights == nullptr) files.rights = NewRights();
  if (files.rights == nullptr) return -ENOBUFS;
  if (files.rights->count + count > kMaxRights) return -EINVAL;
  for (uint32_t i = 0; i < count; ++i) {
    uint32_t descriptor = 0;
    memcpy(&descriptor, data + uint64_t{i} * 4, 4);
    OpenFile* file = FileOf(descriptor);
    if (file == nullptr) return -EBADF;
    Retain(file);
    files.rights->files[files.rights->count++] = file;
  }
  return 0;
}

// Only what is true of the sender, unless it is root.
int32_t UseSender(const char* data, uint32_t size, SocketOwner* sender) {
  SocketOwner claimed;
  if (size != sizeof claimed) return -EINVAL;
  memcpy(&claimed, data, sizeof claimed);
  const SocketOwner own = CurrentOwner();
  if (own.uid != 0 && !(claimed == own)) return -EPERM;
  *sender = claimed;
  return 0;
}

// Linux takes -1 for what the socket has.
int32_t UseNumber(const char* data, uint32_t size, int32_t* out) {
  int32_t value = 0;
  if (size != sizeof value) return -EINVAL;
  memcpy(&value, data, sizeof value);
  if (value < -1 || value > 255) return -EINVAL;
  *out = value;
  return 0;
}

int32_t UseEntry(const ControlHeader& header, const char* data, uint32_t size, bool is_unix,
                 Outgoing& out) {
  if (is_unix) {
    if (header.level != SOL_SOCKET) return 0;
    if (header.type == SCM_RIGHTS) return AddRights(data, size, out.files);
    return header.type == SCM_CREDENTIALS ? UseSender(data, size, &out.sender) : -EINVAL;
  }
  const bool is_v4 = header.level == IPPROTO_IP;
  if (!is_v4 && header.level != IPPROTO_IPV6) return 0;
  if (header.type == static_cast<uint32_t>(is_v4 ? IP_TTL : IPV6_HOPLIMIT))
    return UseNumber(data, size, &out.hop_limit);
  if (header.type == static_cast<uint32_t>(is_v4 ? IP_TOS : IPV6_TCLASS))
    return UseNumber(data, size, &out.traffic_class);
  return 0;
}

int32_t LoadControl(const GuestMessage& message, bool is_unix, Outgoing& out) {
  char text[kControlBytes];
  if (message.control_size > sizeof text) return -ENOBUFS;
  if (CopyIn(text, message.control, message.control_size) != 0) return -EFAULT;
  for (uint32_t at = 0; at + sizeof(ControlHeader) <= message.control_size;) {
    ControlHeader header;
    memcpy(&header, text + at, sizeof header);
    if (header.size < sizeof header || header.size > message.control_size - at) return -EINVAL;
    const char* data = text + at + sizeof header;
    const auto size = static_cast<uint32_t>(header.size - sizeof header);
    const int32_t error = UseEntry(header, data, size, is_unix, out);
    if (error != 0) return error;
    at += ControlSpace(size);
  }
  // An empty list is none.
  if (out.files.rights != nullptr && out.files.rights->count == 0) ReleaseRights(out.files.Take());
  return 0;
}

int64_t SysSendmsg(const uint64_t* slots) {
  const Descriptor on(Arg(slots, 0));
  if (on.error != 0) return on.error;
  GuestMessage message;
  if (Load(&message, Arg(slots, 1)) != 0) return -EFAULT;
  GuestVectors vectors;
  int32_t error = LoadVectors(message.vectors, message.vector_count, &vectors);
  if (error != 0) return error == -EINVAL && message.vector_count > IOV_MAX ? -EMSGSIZE : error;
  Outgoing out{CallerBytes(vectors)};
  if (message.name != 0 && message.name_size != 0)
    error = LoadAddress(message.name, message.name_size, &out.to);
  if (error == 0 && message.control != 0) error = LoadControl(message, on.socket->is_unix(), out);
  return error != 0 ? error : Send(on, out, Arg(slots, 2));
}

// --- receiving ---

int64_t Receive(const Descriptor& on, Incoming& in, uint32_t flags) {
  if ((flags & MSG_ERRQUEUE) != 0) return -EAGAIN;
  in.blocks = on.blocks(flags);
  in.peeks = (flags & MSG_PEEK) != 0;
  if ((flags & MSG_OOB) != 0) return ReceiveUrgent(*on.socket, in);
  in.waits_for_all = (flags & MSG_WAITALL) != 0;
  in.returns_full_size = (flags & MSG_TRUNC) != 0;
  return ReceiveMessage(*on.socket, in);
}

// Where a message came from; what is connected knows that.
SocketAddress SenderName(const Socket& socket, const Incoming& in) {
  return socket.is_paired() || !in.has_message ? SocketAddress{} : in.from;
}

int64_t SysRecvfrom(const uint64_t* slots) {
  const Descriptor on(Arg(slots, 0));
  if (on.error != 0) return on.error;
  if (uint64_t{Arg(slots, 1)} + Arg(slots, 2) > UINT32_MAX) return -EFAULT;
  Incoming in(CallerBytes(GuestPointer(Arg(slots, 1)), Arg(slots, 2)));
  const int64_t result = Receive(on, in, Arg(slots, 3));
  if (result < 0) return result;
  const int32_t error = StoreAddress(Arg(slots, 4), Arg(slots, 5), SenderName(*on.socket, in));
  return error != 0 ? error : result;
}

// Control data on its way to the guest.
class ControlWriter {
 public:
  ControlWriter(uint32_t at, uint32_t room) : at_(at), room_(at == 0 ? 0 : room) {}

  // How many bytes of data fit into one more entry.
  [[nodiscard]] uint32_t room() const {
    return room_ < sizeof(ControlHeader) ? 0 : room_ - static_cast<uint32_t>(sizeof(ControlHeader));
  }
  // As much of it as there is room for; less is said in `flags`.
  int32_t Add(uint32_t level, uint32_t type, const void* data, uint32_t size, uint32_t* flags) {
    if (room_ < sizeof(ControlHeader)) {
      *flags |= MSG_CTRUNC;
      return 0;
    }
    const uint32_t put = std::min(size, room());
    if (put < size) *flags |= MSG_CTRUNC;
    const ControlHeader header = {static_cast<uint32_t>(sizeof header) + put, level, type};
    if (Store(at_, header) != 0 || CopyOut(at_ + sizeof header, data, put) != 0) return -EFAULT;
    const uint32_t space = std::min(ControlSpace(put), room_);
    at_ += space;
    room_ -= space;
    used_ += space;
    return 0;
  }
  [[nodiscard]] uint32_t used() const { return used_; }

 private:
  uint32_t at_;
  uint32_t room_;
  uint32_t used_ = 0;
};

// As many of the files as there is room for become descriptors; the others are closed.
int32_t StoreRights(HeldRights& files, ControlWriter& control, bool close_on_exec,
                    uint32_t* flags) {
  Rights& rights = *files.rights;
  int32_t descriptors[kMaxRights];
  uint32_t count = 0;
  while (count < std::min(rights.count, control.room() / 4)) {
    if (!HasFreeDescriptors(1)) break;
    Retain(rights.files[count]);
    descriptors[count] = Install(rights.files[count], 0, close_on_exec);
    ++count;
  }
  if (count < rights.count) *flags |= MSG_CTRUNC;
  if (count == 0) return 0;
  const int32_t error = control.Add(SOL_SOCKET, SCM_RIGHTS, descriptors, count * 4, flags);
  for (uint32_t i = 0; i < count && error != 0; ++i)
    (void)CloseDescriptor(static_cast<uint32_t>(descriptors[i]));
  return error;
}

// What a datagram's header said, to who wants it, in Linux's order.
int32_t StoreHeader(const Socket& socket, const Incoming& in, ControlWriter& control,
                    uint32_t* flags) {
  const bool is_v6 = socket.family == AF_INET6;
  const int32_t hop_limit = in.hop_limit;
  const int32_t traffic_class = in.traffic_class;
  int32_t error = 0;
  if (socket.options[is_v6 ? Option::kReceiveHopLimit : Option::kReceiveTimeToLive] != 0) {
    error = control.Add(is_v6 ? IPPROTO_IPV6 : IPPROTO_IP, is_v6 ? IPV6_HOPLIMIT : IP_TTL,
                        &hop_limit, sizeof hop_limit, flags);
  }
  if (error != 0) return error;
  if (is_v6 && socket.options[Option::kReceiveTrafficClass] != 0) {
    return control.Add(IPPROTO_IPV6, IPV6_TCLASS, &traffic_class, sizeof traffic_class, flags);
  }
  if (!is_v6 && socket.options[Option::kReceiveTypeOfService] != 0)
    return control.Add(IPPROTO_IP, IP_TOS, &in.traffic_class, sizeof in.traffic_class, flags);
  return 0;
}

int32_t StoreControl(const Descriptor& on, const GuestMessage& message, Incoming& in,
                     bool close_on_exec, uint32_t* flags, uint32_t* used) {
  ControlWriter control(message.control, message.control_size);
  int32_t error = 0;
  if (in.has_message && on.socket->is_unix() && on.socket->options[Option::kPassCredentials] != 0)
    error = control.Add(SOL_SOCKET, SCM_CREDENTIALS, &in.sender, sizeof in.sender, flags);
  if (in.has_message && !on.socket->is_unix() && !on.socket->is_stream())
    error = StoreHeader(*on.socket, in, control, flags);
  if (error == 0 && in.files.rights != nullptr)
    error = StoreRights(in.files, control, close_on_exec, flags);
  *used = control.used();
  return error;
}

int32_t StoreResults(uint32_t at, const GuestMessage& message, const SocketAddress& from,
                     uint32_t control_size, uint32_t flags) {
  const int32_t error = StoreAddress(message.name, at + offsetof(GuestMessage, name_size), from);
  if (error != 0) return error;
  if (Store(at + offsetof(GuestMessage, control_size), control_size) != 0) return -EFAULT;
  return Store(at + offsetof(GuestMessage, flags), flags);
}

int64_t SysRecvmsg(const uint64_t* slots) {
  const Descriptor on(Arg(slots, 0));
  if (on.error != 0) return on.error;
  GuestMessage message;
  if (Load(&message, Arg(slots, 1)) != 0) return -EFAULT;
  GuestVectors vectors;
  int32_t error = LoadVectors(message.vectors, message.vector_count, &vectors);
  if (error != 0) return error == -EINVAL && message.vector_count > IOV_MAX ? -EMSGSIZE : error;
  Incoming in{CallerBytes(vectors)};
  const int64_t result = Receive(on, in, Arg(slots, 2));
  if (result < 0) return result;
  uint32_t flags = (in.is_truncated ? MSG_TRUNC : 0) | (in.is_urgent ? MSG_OOB : 0);
  uint32_t used = 0;
  const bool close_on_exec = (Arg(slots, 2) & MSG_CMSG_CLOEXEC) != 0;
  error = StoreControl(on, message, in, close_on_exec, &flags, &used);
  if (error == 0)
    error = StoreResults(Arg(slots, 1), message, SenderName(*on.socket, in), used, flags);
  return error != 0 ? error : result;
}

constexpr CallRow kRows[] = {
    {"socket", SysSocket},           {"socketpair", SysSocketpair},   {"bind", SysBind},
    {"listen", SysListen},           {"accept4", SysAccept4},         {"connect", SysConnect},
    {"getsockname", SysGetsockname}, {"getpeername", SysGetpeername}, {"sendto", SysSendto},
    {"recvfrom", SysRecvfrom},       {"sendmsg", SysSendmsg},         {"recvmsg", SysRecvmsg},
    {"setsockopt", SysSetsockopt},   {"getsockopt", SysGetsockopt},   {"shutdown", SysShutdown},
};

}  // namespace

CallTable SocketCalls() {
  return {kRows, std::size(kRows)};
}

}  // namespace cordon::kernel

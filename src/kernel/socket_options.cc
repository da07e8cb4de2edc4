#include "kernel/socket_options.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <iterator>
#include <utility>

#include "kernel/guest_memory.h"
#include "kernel/socket.h"

namespace cordon::kernel {
namespace {

constexpr uint64_t kSecond = 1'000'000'000;
constexpr uint32_t kSmallestSendBuffer = 4608;
constexpr uint32_t kSmallestReceiveBuffer = 2304;

struct OptionRow {
  uint32_t level, name;
  int32_t initial, most;
};
constexpr OptionRow kOptions[] = {
#define OPTION(id, level, name, initial, most) {level, name, initial, most},
#include "kernel/socket_options.def"
#undef OPTION
};

// The time-outs have two forms: as 32-bit Linux had them before 2038, and with 64-bit times.
constexpr uint32_t kReceiveTimeoutOld = 20, kSendTimeoutOld = 21;
constexpr uint32_t kReceiveTimeoutNew = 66, kSendTimeoutNew = 67;

std::atomic<uint64_t>* TimeoutOf(Socket& socket, uint32_t name) {
  const bool receives = name == kReceiveTimeoutOld || name == kReceiveTimeoutNew;
  const bool sends = name == kSendTimeoutOld || name == kSendTimeoutNew;
  if (!receives && !sends) return nullptr;
  return receives ? &socket.receive_timeout_ns : &socket.send_timeout_ns;
}

struct TimeValue {
  int64_t seconds, microseconds;
};

bool IsOldTimeout(uint32_t name) {
  return name == kReceiveTimeoutOld || name == kSendTimeoutOld;
}

int32_t LoadTimeout(uint32_t name, uint32_t at, uint32_t size, uint64_t* ns) {
  TimeValue value = {};
  int32_t old[2] = {};
  if (size < (IsOldTimeout(name) ? sizeof old : sizeof value)) return -EINVAL;
  if (IsOldTimeout(name)) {
    if (Load(&old, at) != 0) return -EFAULT;
    value = {old[0], old[1]};
  } else if (Load(&value, at) != 0) {
    return -EFAULT;
  }
  if (value.microseconds < 0 || value.microseconds >= 1'000'000) return -EDOM;
  // A negative time is over at once, one beyond all time never.
  const bool is_over = value.seconds < 0;
  const bool is_never = value.seconds > INT32_MAX;
  *ns = static_cast<uint64_t>(value.seconds) * kSecond +
        static_cast<uint64_t>(value.microseconds) * 1000;
  if (is_over) *ns = 1;
  if (is_never) *ns = 0;
  return 0;
}

const OptionRow* FindOption(const Socket& socket, uint32_t level, uint32_t name) {
  if (level == IPPROTO_TCP && socket.protocol != IPPROTO_TCP) return nullptr;
  if (level == IPPROTO_IPV6 && socket.family != AF_INET6) return nullptr;
  const auto* row = std::ranges::find_if(kOptions, [level, name](const OptionRow& one) {
    return one.level == level && one.name == name;
  });
  return row == std::end(kOptions) ? nullptr : row;
}

// As Linux: doubled, within bounds.
uint32_t BufferSize(int32_t wanted, uint32_t least) {
  const auto value = static_cast<uint32_t>(std::clamp<int64_t>(wanted, 0, kDefaultBuffer));
  return std::max(value * 2, least);
}

int32_t SetNumber(Socket& socket, uint32_t level, uint32_t name, int32_t value) {
  if (level == SOL_SOCKET && (name == SO_SNDBUF || name == SO_SNDBUFFORCE)) {
    socket.send_buffer.store(BufferSize(value, kSmallestSendBuffer));
    socket.writable.WakeAll();
    return 0;
  }
  if (level == SOL_SOCKET && (name == SO_RCVBUF || name == SO_RCVBUFFORCE)) {
    socket.receive_buffer.store(BufferSize(value, kSmallestReceiveBuffer));
    return 0;
  }
  const OptionRow* row = FindOption(socket, level, name);
  if (row == nullptr) return -ENOPROTOOPT;
  if (row->most == 1) value = value != 0 ? 1 : 0;
  if (value < 0 || value > row->most) return -EINVAL;
  const MutexLock lock(socket.lock, LockRank::kInode);
  socket.options.values[row - kOptions] = value;
  return 0;
}

// What can only be read.
int32_t FindState(Socket& socket, uint32_t name, int32_t* value) {
  const MutexLock lock(socket.lock, LockRank::kInode);
  switch (name) {
    case SO_TYPE:
      *value = socket.type;
      return 0;
    case SO_DOMAIN:
      *value = socket.family;
      return 0;
    case SO_PROTOCOL:
      *value = socket.protocol;
      return 0;
    case SO_ERROR:
      *value = std::exchange(socket.error, 0);
      return 0;
    case SO_ACCEPTCONN:
      *value = socket.state.load() == SocketState::kListening ? 1 : 0;
      return 0;
    case SO_SNDBUF:
      *value = static_cast<int32_t>(socket.send_buffer.load());
      return 0;
    case SO_RCVBUF:
      *value = static_cast<int32_t>(socket.receive_buffer.load());
      return 0;
    case SO_RCVLOWAT:
    case SO_SNDLOWAT:
      *value = 1;
      return 0;
    default:
      return -ENOPROTOOPT;
  }
}

int32_t FindNumber(Socket& socket, uint32_t level, uint32_t name, int32_t* value) {
  if (level == SOL_SOCKET && FindState(socket, name, value) == 0) return 0;
  const OptionRow* row = FindOption(socket, level, name);
  if (row == nullptr) return -ENOPROTOOPT;
  const MutexLock lock(socket.lock, LockRank::kInode);
  *value = socket.options.values[row - kOptions];
  return 0;
}

// Of whoever connected or listened; nobody's where there is no connection of that kind.
SocketOwner PeerOwner(Socket& socket) {
  const MutexLock lock(socket.lock, LockRank::kInode);
  const bool is_known = socket.is_unix() && socket.state.load() == SocketState::kConnected;
  return is_known ? socket.peer_owner : SocketOwner{0, UINT32_MAX, UINT32_MAX};
}

// Cut to the room at `size_at`, where the size is stored.
int32_t StoreOption(uint32_t at, uint32_t size_at, const void* value, uint32_t size) {
  int32_t room = 0;
  if (Load(&room, size_at) != 0) return -EFAULT;
  if (room < 0) return -EINVAL;
  size = std::min(size, static_cast<uint32_t>(room));
  if (CopyOut(at, value, size) != 0) return -EFAULT;
  return Store(size_at, size);
}

int32_t StoreTimeout(uint32_t name, uint64_t ns, uint32_t at, uint32_t size_at) {
  const TimeValue value = {static_cast<int64_t>(ns / kSecond),
                           static_cast<int64_t>(ns % kSecond / 1000)};
  const int32_t old[2] = {static_cast<int32_t>(value.seconds),
                          static_cast<int32_t>(value.microseconds)};
  return IsOldTimeout(name) ? StoreOption(at, size_at, old, sizeof old)
                            : StoreOption(at, size_at, &value, sizeof value);
}

bool IsLevelOfOthers(const Socket& socket, uint32_t level) {
  return socket.is_unix() && level != SOL_SOCKET;
}

}  // namespace

SocketOptions::SocketOptions() {
  for (size_t i = 0; i < std::size(kOptions); ++i) values[i] = kOptions[i].initial;
}

int32_t SetSocketOption(Socket& socket, uint32_t level, uint32_t name, uint32_t value_at,
                        uint32_t size) {
  if (IsLevelOfOthers(socket, level)) return -EOPNOTSUPP;
  std::atomic<uint64_t>* timeout = level == SOL_SOCKET ? TimeoutOf(socket, name) : nullptr;
  if (timeout != nullptr) {
    uint64_t ns = 0;
    const int32_t error = LoadTimeout(name, value_at, size, &ns);
    if (error == 0) timeout->store(ns);
    return error;
  }
  int32_t value[2] = {};
  const bool is_linger = level == SOL_SOCKET && name == SO_LINGER;
  const uint32_t expected = is_linger ? sizeof value : sizeof value[0];
  if (size < expected) return -EINVAL;
  if (CopyIn(value, value_at, expected) != 0) return -EFAULT;
  if (!is_linger) return SetNumber(socket, level, name, value[0]);
  const MutexLock lock(socket.lock, LockRank::kInode);
  std::copy(std::begin(value), std::end(value), socket.options.linger);
  return 0;
}

int32_t GetSocketOption(Socket& socket, uint32_t level, uint32_t name, uint32_t value_at,
                        uint32_t size_at) {
  if (IsLevelOfOthers(socket, level)) return -EOPNOTSUPP;
  if (level == SOL_SOCKET) {
    if (const std::atomic<uint64_t>* timeout = TimeoutOf(socket, name))
      return StoreTimeout(name, timeout->load(), value_at, size_at);
    if (name == SO_LINGER)
      return StoreOption(value_at, size_at, socket.options.linger, sizeof socket.options.linger);
    if (name == SO_PEERCRED) {
      const SocketOwner owner = PeerOwner(socket);
      return StoreOption(value_at, size_at, &owner, sizeof owner);
    }
  }
  int32_t value = 0;
  const int32_t error = FindNumber(socket, level, name, &value);
  return error != 0 ? error : StoreOption(value_at, size_at, &value, sizeof value);
}

}  // namespace cordon::kernel

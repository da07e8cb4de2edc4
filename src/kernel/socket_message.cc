// Messages: what goes through sockets. The sender writes a message where nobody else sees it and
// puts it into the receiver's inbox; so neither side waits for the other's copies.

#include "kernel/socket_message.h"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <utility>

namespace cordon::kernel {
namespace {

// A message of a stream takes one allocation of this size at most.
constexpr uint32_t kPieceBytes = 32768 - sizeof(Message);
constexpr uint32_t kSmallestPiece = 2048;
constexpr uint32_t kMaxUdpBytes = 65507;
// Of a socket's buffer, what no message can use, as on Linux.
constexpr uint32_t kBufferOverhead = 32;

// Internal: to be tried again under the lock of all sockets, because files are to be received.
constexpr int64_t kNeedsTable = -4096;

Arena& TheArena() {
  return *TheKernel().arena;
}

// Under the receiver's lock.
void Append(Socket& receiver, Message* message) {
  (receiver.last == nullptr ? receiver.first : receiver.last->next) = message;
  receiver.last = message;
  receiver.inbox_bytes += message->charge();
}

Message* TakeFirst(Socket& socket) {
  Message* message = socket.first;
  socket.first = message->next;
  if (socket.first == nullptr) socket.last = nullptr;
  socket.inbox_bytes -= message->charge();
  if (socket.urgent == message) socket.urgent = nullptr;
  message->next = nullptr;
  return message;
}

// The receiver's lock, and before it that of all sockets where files may go in or out.
class InboxLock {
 public:
  InboxLock(Socket& receiver, bool with_table)
      : table_(with_table ? &TheSockets().lock : nullptr), receiver_(receiver) {
    if (table_ != nullptr) table_->Lock(LockRank::kDirectory);
    receiver_.lock.Lock(LockRank::kInode);
  }
  ~InboxLock() {
    receiver_.lock.Unlock();
    if (table_ != nullptr) table_->Unlock();
  }
  InboxLock(const InboxLock&) = delete;
  InboxLock& operator=(const InboxLock&) = delete;
  [[nodiscard]] bool has_table() const { return table_ != nullptr; }

 private:
  Mutex* table_;
  Socket& receiver_;
};

// Under its lock: why `receiver` takes nothing from `sender`, or 0.
int32_t WhyNot(const Socket& receiver, const Socket& sender) {
  if (receiver.closed) return receiver.is_paired() ? -EPIPE : -ECONNREFUSED;
  if (!receiver.is_unix()) return 0;
  if (receiver.receive_ended) return -EPIPE;
  if (!receiver.is_paired() && receiver.peer != nullptr && receiver.peer != &sender) return -EPERM;
  return 0;
}

// Takes over the message on success.
int32_t Deliver(const Socket& sender, Socket& receiver, Message* message) {
  {
    const InboxLock lock(receiver, message->rights != nullptr);
    const int32_t error = WhyNot(receiver, sender);
    if (error != 0) return error;
    if (message->rights != nullptr) {
      if (TheSockets().in_flight.load() + message->rights->count > kMaxFilesInFlight)
        return -ETOOMANYREFS;
      CountSent(*message->rights);
    }
    Append(receiver, message);
    NoteUrgent(receiver, *message);
  }
  receiver.readable.WakeAll();
  return 0;
}

// What a datagram's header would say, for receivers that ask for it.
void NoteHeader(const Socket& sender, const Outgoing& out, Message& message) {
  const bool is_v6 = sender.family == AF_INET6;
  const int32_t hops = sender.options[is_v6 ? Option::kUnicastHops : Option::kTimeToLive];
  const int32_t service = sender.options[is_v6 ? Option::kTrafficClass : Option::kTypeOfService];
  message.hop_limit = static_cast<uint8_t>(out.hop_limit < 0 ? hops : out.hop_limit);
  message.traffic_class = static_cast<uint8_t>(out.traffic_class < 0 ? service : out.traffic_class);
}

// Sends `size` bytes of `out` from `offset` as one message.
int32_t SendOne(Socket& sender, Socket& receiver, Outgoing& out, uint64_t offset, uint32_t size) {
  {
    const MutexLock lock(receiver.lock, LockRank::kInode);
    const int32_t error = WhyNot(receiver, sender);
    if (error != 0) return error;
    if (!HasRoom(receiver, sender)) return -EAGAIN;
  }
  Message* message = NewMessage(size);
  if (message == nullptr) return -ENOBUFS;
  int32_t error = out.bytes.CopyIn(offset, message->data(), size);
  if (error == 0) {
    message->sender = out.sender;
    if (!receiver.is_paired()) message->from = NameFor(sender, receiver);
    NoteHeader(sender, out, *message);
    message->urgent = out.is_urgent && offset + size == out.bytes.size();
    message->rights = out.files.Take();
    error = Deliver(sender, receiver, message);
  }
  if (error == 0) return 0;
  // They are still in `out` if the bytes could not be copied.
  if (message->rights != nullptr) out.files.rights = std::exchange(message->rights, nullptr);
  FreeMessage(message);
  return error;
}

// The peer of a connected socket, referenced.
int32_t PeerToSendTo(Socket& socket, Socket** out) {
  const MutexLock lock(socket.lock, LockRank::kInode);
  // Of a local socket the end is told before what the end was, on Linux, too.
  if (socket.is_unix() && socket.send_ended) return -EPIPE;
  if (socket.error != 0) return -std::exchange(socket.error, 0);
  if (socket.send_ended) return -EPIPE;
  if (socket.peer == nullptr) return socket.is_unix() ? -ENOTCONN : -EPIPE;
  *out = Ref(socket.peer);
  return 0;
}

struct RoomWanted {
  Socket* sender;
  Socket* receiver;
};
bool HasRoomOrEnd(void* argument) {
  const auto& wanted = *static_cast<RoomWanted*>(argument);
  {
    const MutexLock lock(wanted.sender->lock, LockRank::kInode);
    if (wanted.sender->send_ended || wanted.sender->error != 0) return true;
  }
  const MutexLock lock(wanted.receiver->lock, LockRank::kInode);
  return WhyNot(*wanted.receiver, *wanted.sender) != 0 || HasRoom(*wanted.receiver, *wanted.sender);
}

int32_t WaitForRoom(Socket& sender, Socket& receiver, uint64_t deadline_ns) {
  RoomWanted wanted = {&sender, &receiver};
  WaitQueue& queue = sender.is_paired() ? sender.writable : TheSockets().datagram_room;
  return WaitOnSocket(queue, HasRoomOrEnd, &wanted, deadline_ns);
}

int64_t SendStream(Socket& socket, Outgoing& out) {
  if (out.to.size > 0 && socket.is_unix())
    return socket.state.load() == SocketState::kConnected ? -EISCONN : -EOPNOTSUPP;
  const uint64_t deadline = DeadlineAfter(socket.send_timeout_ns.load());
  uint64_t done = 0;
  while (done < out.bytes.size()) {
    const uint32_t piece =
        std::min(kPieceBytes, std::max(socket.send_buffer.load() / 4, kSmallestPiece));
    const uint64_t left = out.bytes.size() - done;
    // An urgent byte is a message of its own.
    const uint64_t whole = out.is_urgent && left > 1 ? left - 1 : left;
    const auto size = static_cast<uint32_t>(std::min<uint64_t>(whole, piece));
    HeldSocket peer;
    int32_t error = PeerToSendTo(socket, peer.out());
    if (error == 0) error = SendOne(socket, *peer, out, done, size);
    if (error == 0) {
      done += size;
    } else if (error == -EAGAIN && out.blocks) {
      error = WaitForRoom(socket, *peer, deadline);
    }
    if (error != 0) return done > 0 ? static_cast<int64_t>(done) : error;
  }
  return static_cast<int64_t>(done);
}

// Whom a datagram of a local socket goes to.
int32_t UnixReceiver(Socket& socket, const Outgoing& out, Socket** receiver) {
  if (socket.is_paired() || out.to.size == 0) return PeerToSendTo(socket, receiver);
  {
    const MutexLock lock(socket.lock, LockRank::kInode);
    if (socket.send_ended) return -EPIPE;
  }
  return FindSocket(socket, out.to, receiver);
}

// The receiver is gone: on Linux, too, a connected datagram socket is connected no more.
void ForgetPeer(Socket& socket, const Socket& gone) {
  Socket* peer = nullptr;
  {
    const MutexLock lock(socket.lock, LockRank::kInode);
    if (socket.peer != &gone) return;
    peer = std::exchange(socket.peer, nullptr);
    socket.peer_name = {};
    socket.state.store(SocketState::kIdle);
  }
  Unref(peer);
}

int64_t SendUnixMessage(Socket& socket, Outgoing& out) {
  const uint64_t size = out.bytes.size();
  if (size > socket.send_buffer.load() - kBufferOverhead) return -EMSGSIZE;
  const uint64_t deadline = DeadlineAfter(socket.send_timeout_ns.load());
  for (;;) {
    HeldSocket receiver;
    int32_t error = UnixReceiver(socket, out, receiver.out());
    if (error != 0) return error;
    error = SendOne(socket, *receiver, out, 0, static_cast<uint32_t>(size));
    if (error == 0) return static_cast<int64_t>(size);
    if (error == -ECONNREFUSED) ForgetPeer(socket, *receiver);
    if (error != -EAGAIN || !out.blocks) return error;
    error = WaitForRoom(socket, *receiver, deadline);
    if (error != 0) return error;
  }
}

// As UDP has it: what has no room is lost, and that nobody listens is told with the next call, and
// only to a socket that is connected.
int64_t SendUdp(Socket& socket, Outgoing& out) {
  const uint64_t size = out.bytes.size();
  if (size > kMaxUdpBytes) return -EMSGSIZE;
  bool connected = false;
  {
    const MutexLock lock(socket.lock, LockRank::kInode);
    if (socket.error != 0) return -std::exchange(socket.error, 0);
    if (socket.send_ended) return -EPIPE;
    connected = out.to.size == 0;
    if (connected) out.to = socket.peer_name;
  }
  if (out.to.size == 0) return -EDESTADDRREQ;
  bool was_bound = false;
  int32_t error = BindAnyName(socket, &was_bound);
  HeldSocket receiver;
  if (error == 0) error = FindSocket(socket, out.to, receiver.out());
  if (error == 0) error = SendOne(socket, *receiver, out, 0, static_cast<uint32_t>(size));
  if (error == -ECONNREFUSED) {
    if (connected) {
      const MutexLock lock(socket.lock, LockRank::kInode);
      socket.error = ECONNREFUSED;
    }
    socket.readable.WakeAll();
  }
  const bool is_lost = error == -ECONNREFUSED || error == -EAGAIN;
  return error == 0 || is_lost ? static_cast<int64_t>(size) : error;
}

// Under the socket's lock: what a receiver sees of an empty inbox.
int64_t EmptyInbox(Socket& socket) {
  if (socket.error != 0) return -std::exchange(socket.error, 0);
  if (socket.receive_ended) return 0;
  if (!socket.is_paired() || socket.peer != nullptr) return -EAGAIN;
  return socket.is_stream() && socket.is_unix() ? -EINVAL : -ENOTCONN;
}

bool HasMessageOrEnd(void* argument) {
  auto& socket = *static_cast<Socket*>(argument);
  const MutexLock lock(socket.lock, LockRank::kInode);
  return HasOrdinaryData(socket) || socket.receive_ended || socket.error != 0;
}

// Under both locks: the files of a message go to the receiver, or copies of them.
int32_t ReceiveRights(Message& message, Incoming& in) {
  if (message.rights == nullptr) return 0;
  if (!in.peeks) {
    CountTaken(*message.rights);
    in.files.rights = std::exchange(message.rights, nullptr);
    return 0;
  }
  Rights* copy = NewRights();
  if (copy == nullptr) return -ENOBUFS;
  copy->count = message.rights->count;
  for (uint32_t i = 0; i < copy->count; ++i) {
    copy->files[i] = message.rights->files[i];
    Retain(copy->files[i]);
  }
  in.files.rights = copy;
  return 0;
}

// What a look into the inbox gives.
struct Taken {
  int64_t result = 0;          // bytes or -errno
  Message* emptied = nullptr;  // to be freed
  bool makes_room = false;     // who waited for room may go on:
  Socket* has_room = nullptr;  // referenced; null where it is not known who that is
};

bool IsFull(const Socket& socket) {
  return !HasRoom(socket, socket.peer != nullptr ? *socket.peer : socket);
}

// Under the socket's lock.
void NoteRoom(Socket& socket, bool was_full, Taken& taken) {
  taken.makes_room = was_full && !IsFull(socket);
  if (taken.makes_room && socket.is_paired() && socket.peer != nullptr)
    taken.has_room = Ref(socket.peer);
}

void Finish(const Taken& taken) {
  for (Message* message = taken.emptied; message != nullptr;) {
    Message* next = message->next;
    FreeMessage(message);
    message = next;
  }
  if (!taken.makes_room) return;
  (taken.has_room != nullptr ? taken.has_room->writable : TheSockets().datagram_room).WakeAll();
  Unref(taken.has_room);
}

void NoteSender(const Message& message, Incoming& in) {
  in.has_message = true;
  in.sender = message.sender;
  in.from = message.from;
  in.hop_limit = message.hop_limit;
  in.traffic_class = message.traffic_class;
}

// One message, or its beginning: the rest is lost.
Taken TakeMessage(Socket& socket, Incoming& in, bool with_table) {
  Taken taken;
  const InboxLock lock(socket, with_table);
  if (!socket.is_paired() && socket.error != 0) return {.result = -std::exchange(socket.error, 0)};
  Message* message = socket.first;
  if (message == nullptr) return {.result = EmptyInbox(socket)};
  if (message->rights != nullptr && !lock.has_table()) return {.result = kNeedsTable};
  const auto count = std::min<uint64_t>(in.bytes.size(), message->size);
  if (in.bytes.CopyOut(0, message->data(), count) != 0) return {.result = -EFAULT};
  const int32_t error = ReceiveRights(*message, in);
  if (error != 0) return {.result = error};
  NoteSender(*message, in);
  in.is_truncated = count < message->size;
  taken.result = static_cast<int64_t>(in.returns_full_size ? message->size : count);
  if (in.peeks) return taken;
  const bool was_full = IsFull(socket);
  taken.emptied = TakeFirst(socket);
  NoteRoom(socket, was_full, taken);
  return taken;
}

// One message's part of what a stream's reader gets at once. False: nothing of a later one belongs
// to it.
bool TakePart(Socket& socket, Message& message, Incoming& in, uint64_t offset, Taken& taken) {
  const bool tells_sender = socket.options[Option::kPassCredentials] != 0;
  if (tells_sender && in.has_message && !(in.sender == message.sender)) return false;
  const auto count = static_cast<uint32_t>(
      std::min<uint64_t>(message.size - message.taken, in.bytes.size() - offset));
  int32_t error = in.bytes.CopyOut(offset, message.data() + message.taken, count);
  const bool has_files = message.rights != nullptr;
  if (error == 0) error = ReceiveRights(message, in);
  if (error != 0) {
    if (taken.result == 0) taken.result = error;
    return false;
  }
  NoteSender(message, in);
  taken.result += count;
  if (!in.peeks) message.taken += count;
  return !has_files && count > 0;
}

// Bytes of a stream from `done` on, as many as there are.
Taken TakeBytes(Socket& socket, Incoming& in, uint64_t done, bool with_table) {
  Taken taken;
  const InboxLock lock(socket, with_table);
  if (done > 0 && IsAtMark(socket)) return taken;
  const bool was_full = IsFull(socket);
  // Whoever reads on from the mark passes it, whether there is anything behind it or not.
  if (!in.peeks && socket.first != nullptr && IsPassedOver(socket, *socket.first))
    taken.emptied = TakeFirst(socket);
  if (!HasOrdinaryData(socket)) {
    taken.result = EmptyInbox(socket);
    NoteRoom(socket, was_full, taken);
    return taken;
  }
  bool goes_on = true;
  for (Message* message = socket.first; message != nullptr && goes_on;) {
    const uint64_t offset = done + static_cast<uint64_t>(taken.result);
    if (offset == in.bytes.size() || (offset > 0 && IsMark(socket, *message))) break;
    if (IsPassedOver(socket, *message)) {
      message = message->next;
      continue;
    }
    if (message->rights != nullptr && !lock.has_table()) {
      if (taken.result == 0) taken.result = kNeedsTable;
      break;
    }
    goes_on = TakePart(socket, *message, in, offset, taken);
    Message* next = message->next;
    if (message->taken == message->size) {
      TakeFirst(socket)->next = taken.emptied;
      taken.emptied = message;
    }
    message = next;
  }
  NoteRoom(socket, was_full, taken);
  return taken;
}

}  // namespace

Message* NewMessage(uint32_t size) {
  void* memory = TheArena().AllocateBuffer(sizeof(Message) + size);
  if (memory == nullptr) return nullptr;
  TheSockets().messages.fetch_add(1, std::memory_order_relaxed);
  auto* message = new (memory) Message;
  message->size = size;
  return message;
}

void FreeMessage(Message* message) {
  TheSockets().messages.fetch_sub(1, std::memory_order_relaxed);
  TheArena().Free(message, message->charge());
}

void DropMessages(Message* list) {
  while (list != nullptr) {
    Message* next = list->next;
    Rights* rights = std::exchange(list->rights, nullptr);
    FreeMessage(list);
    ReleaseRights(rights);
    list = next;
  }
}

bool HasRoom(const Socket& receiver, const Socket& sender) {
  const uint64_t buffer =
      receiver.is_paired() ? sender.send_buffer.load() : receiver.receive_buffer.load();
  return uint64_t{receiver.inbox_bytes} * 4 <= buffer * 3;
}

int64_t SendMessage(Socket& socket, Outgoing& out) {
  int64_t sent = 0;
  if (socket.is_stream()) {
    sent = SendStream(socket, out);
  } else if (socket.is_unix()) {
    sent = SendUnixMessage(socket, out);
  } else {
    sent = SendUdp(socket, out);
  }
  if (sent == -EPIPE && socket.is_stream() && out.raises_signal) Post(Current(), SIGPIPE);
  return sent;
}

int64_t ReceiveMessage(Socket& socket, Incoming& in) {
  const uint64_t deadline = DeadlineAfter(socket.receive_timeout_ns.load());
  uint64_t done = 0;
  for (bool with_table = false;;) {
    const Taken taken = socket.is_stream() ? TakeBytes(socket, in, done, with_table)
                                           : TakeMessage(socket, in, with_table);
    Finish(taken);
    int64_t result = taken.result;
    with_table = result == kNeedsTable;
    if (with_table) continue;
    if (result > 0 && socket.is_stream()) {
      done += static_cast<uint64_t>(result);
      const bool goes_on = in.waits_for_all && !in.peeks && in.files.rights == nullptr;
      if (done == in.bytes.size() || !goes_on) return static_cast<int64_t>(done);
      continue;
    }
    const bool waits = result == -EAGAIN && in.blocks;
    if (waits) result = WaitOnSocket(socket.readable, HasMessageOrEnd, &socket, deadline);
    if (!waits || result != 0) return done > 0 ? static_cast<int64_t>(done) : result;
  }
}

}  // namespace cordon::kernel

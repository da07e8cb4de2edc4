// Sockets: their life, and what they do as descriptors.

#include "kernel/socket.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>

#include "arena/platform.h"
#include "kernel/guest_memory.h"
#include "kernel/socket_message.h"

namespace cordon::kernel {
namespace {

Sockets* the_sockets = nullptr;  // in the arena; the pointer is inherited by clones

Arena& TheArena() {
  return *TheKernel().arena;
}

int64_t ReadSocket(OpenFile& file, void* to, uint64_t size) {
  if (size == 0) return 0;
  Incoming in(CallerBytes(to, size));
  in.blocks = file.blocks();
  return ReceiveMessage(SocketOf(file), in);
}

int64_t WriteSocket(OpenFile& file, const void* from, uint64_t size) {
  Outgoing out(CallerBytes(const_cast<void*>(from), size));
  out.blocks = file.blocks();
  return SendMessage(SocketOf(file), out);
}

// Whether a message could be sent at once, or the attempt would fail at once.
bool IsWritable(Socket& socket) {
  HeldSocket peer;
  {
    const MutexLock lock(socket.lock, LockRank::kInode);
    if (socket.send_ended || socket.peer == nullptr) return true;
    *peer.out() = Ref(socket.peer);
  }
  const MutexLock lock(peer->lock, LockRank::kInode);
  return peer->closed || HasRoom(*peer, socket);
}

uint32_t PollSocket(OpenFile& file) {
  Socket& socket = SocketOf(file);
  const bool writable = IsWritable(socket);
  const MutexLock lock(socket.lock, LockRank::kInode);
  const SocketState state = socket.state.load();
  if (state == SocketState::kListening)
    return socket.first_pending != nullptr || socket.receive_ended ? POLLIN | POLLRDNORM : 0;
  uint32_t events = 0;
  if (socket.error != 0) events |= POLLERR;
  if (socket.receive_ended) events |= POLLIN | POLLRDNORM | POLLRDHUP;
  if (socket.receive_ended && socket.send_ended) events |= POLLHUP;
  if (HasOrdinaryData(socket)) events |= POLLIN | POLLRDNORM;
  if (socket.urgent != nullptr && !socket.urgent_seen) events |= POLLPRI;
  if (socket.is_paired() && state == SocketState::kIdle) events |= POLLHUP;
  if (writable) events |= POLLOUT | POLLWRNORM;
  return events;
}

void SocketQueues(OpenFile& file, WaitQueue* out[2]) {
  Socket& socket = SocketOf(file);
  out[0] = &socket.readable;
  // Whoever empties an inbox of datagrams does not know who wants to send there.
  out[1] = socket.is_paired() ? &socket.writable : &TheSockets().datagram_room;
}

void CloseDescription(OpenFile& file) {
  CloseSocket(&SocketOf(file));
}

// What a read would give: of a stream all bytes before a mark, else the next message.
uint32_t ReadableBytes(Socket& socket) {
  const MutexLock lock(socket.lock, LockRank::kInode);
  uint32_t bytes = 0;
  for (const Message* message = socket.first; message != nullptr; message = message->next) {
    if (IsPassedOver(socket, *message)) break;
    bytes += message->size - message->taken;
    if (!socket.is_stream()) break;
  }
  return bytes;
}

uint32_t UnreadByPeer(Socket& socket) {
  HeldSocket peer;
  {
    const MutexLock lock(socket.lock, LockRank::kInode);
    if (socket.peer == nullptr || !socket.is_paired()) return 0;
    *peer.out() = Ref(socket.peer);
  }
  return ReadableBytes(*peer);
}

bool LooksAtMark(Socket& socket) {
  const MutexLock lock(socket.lock, LockRank::kInode);
  return IsAtMark(socket);
}

int32_t SocketControl(OpenFile& file, uint32_t request, uint32_t argument) {
  Socket& socket = SocketOf(file);
  if (request == FIONREAD) return Store(argument, ReadableBytes(socket));
  if (request == SIOCATMARK && socket.is_stream() && !socket.is_unix())
    return Store(argument, uint32_t{LooksAtMark(socket)});
  if (request == TIOCOUTQ) return Store(argument, UnreadByPeer(socket));
  return -ENOTTY;
}

// Everything in a socket that is about to go.
struct Remains {
  Message* messages = nullptr;
  Socket* pending = nullptr;
  Socket* peer = nullptr;
  bool resets = false;  // the peer has written what nobody will read
};

Remains TakeRemains(Socket& socket) {
  const MutexLock names(TheSockets().lock, LockRank::kDirectory);
  Unname(socket);
  const MutexLock lock(socket.lock, LockRank::kInode);
  Remains remains = {socket.first, socket.first_pending, socket.peer,
                     socket.first != nullptr || socket.file == nullptr ||
                         (!socket.is_unix() && socket.options.resets_on_close())};
  socket.closed = socket.receive_ended = socket.send_ended = true;
  socket.file = nullptr;
  socket.peer = nullptr;
  socket.first = socket.last = socket.urgent = nullptr;
  socket.inbox_bytes = 0;
  socket.first_pending = socket.last_pending = nullptr;
  socket.pending_count = 0;
  for (const Message* message = remains.messages; message != nullptr; message = message->next) {
    if (message->rights != nullptr) CountTaken(*message->rights);
  }
  for (Socket* one = remains.pending; one != nullptr; one = one->next_pending) one->pending = false;
  return remains;
}

void TellPeerOfEnd(Socket& peer, bool reset) {
  {
    const MutexLock lock(peer.lock, LockRank::kInode);
    peer.receive_ended = peer.send_ended = true;
    if (reset && peer.error == 0) peer.error = ECONNRESET;
    if (reset && !peer.is_unix()) peer.was_reset.store(true);
  }
  peer.readable.WakeAll();
  peer.writable.WakeAll();
}

}  // namespace

const Operations kSocketOperations = {ReadSocket,   WriteSocket,      PollSocket,
                                      SocketQueues, CloseDescription, SocketControl,
                                      "socket",     nullptr,          S_IFSOCK | 0777};

bool Socket::is_stream() const {
  return type == SOCK_STREAM;
}
bool Socket::is_paired() const {
  return type != SOCK_DGRAM;
}
bool Socket::is_unix() const {
  return family == AF_UNIX;
}

Sockets& TheSockets() {
  return *the_sockets;
}

bool CreateSockets() {
  the_sockets = TheArena().New<Sockets>();
  return the_sockets != nullptr;
}

SocketOwner CurrentOwner() {
  const Process& process = Current();
  return {process.pid, process.who.uid, process.who.gid};
}

Socket* NewSocket(uint16_t family, uint16_t type, uint16_t protocol) {
  auto* socket = TheArena().New<Socket>();
  if (socket == nullptr) return nullptr;
  socket->family = family;
  socket->type = type;
  socket->protocol = protocol;
  socket->owner = CurrentOwner();
  Sockets& sockets = TheSockets();
  const MutexLock lock(sockets.lock, LockRank::kDirectory);
  socket->next = sockets.all;
  if (sockets.all != nullptr) sockets.all->previous = socket;
  sockets.all = socket;
  return socket;
}

void Unref(Socket* socket) {
  if (socket == nullptr || socket->references.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
  {
    Sockets& sockets = TheSockets();
    const MutexLock lock(sockets.lock, LockRank::kDirectory);
    (socket->previous == nullptr ? sockets.all : socket->previous->next) = socket->next;
    if (socket->next != nullptr) socket->next->previous = socket->previous;
  }
  TheArena().Delete(socket);
}

OpenFile* OpenSocket(Socket* socket, uint32_t flags) {
  OpenFile* file = NewOpenFile(&kSocketOperations, O_RDWR | (flags & O_NONBLOCK), socket);
  if (file == nullptr) return nullptr;
  const MutexLock lock(TheSockets().lock, LockRank::kDirectory);
  socket->file = file;
  return file;
}

void CloseSocket(Socket* socket) {
  const Remains remains = TakeRemains(*socket);
  if (socket->node.fs != nullptr) LeaveNode(*socket);
  if (remains.peer != nullptr && socket->is_paired()) TellPeerOfEnd(*remains.peer, remains.resets);
  socket->readable.WakeAll();
  socket->writable.WakeAll();
  if (!socket->is_paired()) TheSockets().datagram_room.WakeAll();
  for (Socket* one = remains.pending; one != nullptr;) {
    Socket* next = one->next_pending;
    CloseSocket(one);
    one = next;
  }
  DropMessages(remains.messages);
  Unref(remains.peer);
  Unref(socket);
}

uint64_t DeadlineAfter(uint64_t timeout_ns) {
  return SleepDeadline(timeout_ns == 0 ? platform::kNever : platform::ClockNs(1) + timeout_ns);
}

int32_t WaitOnSocket(WaitQueue& queue, bool (*ready)(void*), void* argument, uint64_t deadline_ns) {
  const int32_t waited = WaitUntil(queue, ready, argument, deadline_ns);
  if (waited == -ETIMEDOUT) return -EAGAIN;
  return waited == kRestart && deadline_ns != platform::kNever ? kRestartSleep : waited;
}

namespace {

void CheckSocket(const Socket& socket, Report& report) {
  const auto id = static_cast<uint32_t>(reinterpret_cast<uint64_t>(&socket) >> 4);
  if (socket.lock.held()) report.Add("socket %u: its lock is held\n", id);
  if (socket.references.load() == 0) report.Add("socket %u: has no reference\n", id);
  if (socket.naming) report.Add("socket %u: a bind never ended\n", id);
  if (socket.file != nullptr && (socket.closed || socket.file->object != &socket))
    report.Add("socket %u: is not that of its description\n", id);
  if (socket.closed && (socket.first != nullptr || socket.peer != nullptr || socket.named))
    report.Add("socket %u: is closed and holds something\n", id);
  uint32_t bytes = 0;
  bool has_urgent = socket.urgent == nullptr;
  for (const Message* message = socket.first; message != nullptr; message = message->next) {
    bytes += message->charge();
    has_urgent = has_urgent || message == socket.urgent;
    if (message->next == nullptr && message != socket.last)
      report.Add("socket %u: the inbox has another end\n", id);
  }
  if (!has_urgent) report.Add("socket %u: its urgent byte is not in the inbox\n", id);
  if (bytes != socket.inbox_bytes)
    report.Add("socket %u: %u bytes are counted, %u are there\n", id, socket.inbox_bytes, bytes);
  uint32_t count = 0;
  for (const Socket* one = socket.first_pending; one != nullptr; one = one->next_pending) {
    ++count;
    if (!one->pending || one->file != nullptr)
      report.Add("socket %u: one that waits in it is in use\n", id);
  }
  if (count != socket.pending_count)
    report.Add("socket %u: %u wait, %u are counted\n", id, count, socket.pending_count);
  const bool has_left = socket.peer != nullptr && socket.peer->closed;
  if (socket.is_paired() && socket.peer != nullptr && !has_left && socket.peer->peer != &socket)
    report.Add("socket %u: its peer has another peer\n", id);
}

// Messages and files in them, by looking at all inboxes.
void CheckTotals(const Sockets& sockets, Report& report) {
  uint64_t messages = 0;
  uint64_t rights = 0;
  uint32_t files = 0;
  for (const Socket* socket = sockets.all; socket != nullptr; socket = socket->next) {
    for (const Message* message = socket->first; message != nullptr; message = message->next) {
      ++messages;
      if (message->rights == nullptr) continue;
      ++rights;
      files += message->rights->count;
    }
  }
  if (messages != sockets.messages.load()) report.Add("messages of sockets are lost\n");
  if (rights != sockets.rights.load()) report.Add("lists of sent files are lost\n");
  if (files != sockets.in_flight.load())
    report.Add("%u files are in messages, %u are counted\n", files, sockets.in_flight.load());
}

}  // namespace

void CheckSockets(Report& report, bool is_empty) {
  const Sockets& sockets = TheSockets();
  if (sockets.lock.held()) report.Add("the lock of all sockets is held\n");
  for (const Socket* socket = sockets.all; socket != nullptr; socket = socket->next)
    CheckSocket(*socket, report);
  CheckTotals(sockets, report);
  if (is_empty && sockets.all != nullptr) report.Add("sockets are lost\n");
}

}  // namespace cordon::kernel

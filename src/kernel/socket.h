#ifndef CORDON_KERNEL_SOCKET_H_
#define CORDON_KERNEL_SOCKET_H_

// Sockets. None of them leaves the sandbox: AF_UNIX, and AF_INET and AF_INET6 among the loopback
// addresses.
//
// One object for all kinds. What is sent is a list of messages in the inbox of whoever receives it;
// in a stream their boundaries do not show. Two connected sockets point at each other.
//
// Life: an open description, the socket at the other end, and a call that uses a socket beyond its
// lock hold a reference each. A socket that is closed gives up its own reference to its peer, so
// pairs are no cycle.
//
// Locks: Sockets::lock (kDirectory), then one Socket::lock (kInode), never two of these.

#include <atomic>
#include <cstdint>

#include "arena/lock.h"
#include "arena/wait.h"
#include "kernel/check.h"
#include "kernel/open_file.h"
#include "kernel/socket_address.h"
#include "kernel/socket_options.h"

namespace cordon::kernel {

inline constexpr uint32_t kDefaultBuffer = 212992;   // net.core.wmem_default of Linux
inline constexpr uint32_t kMaxRights = 253;          // files in one message: SCM_MAX_FD
inline constexpr uint32_t kMaxFilesInFlight = 1024;  // in all messages of the sandbox
inline constexpr uint32_t kMaxBacklog = 1024;

struct SocketOwner {
  uint32_t pid, uid, gid;
  bool operator==(const SocketOwner&) const = default;
};
[[nodiscard]] SocketOwner CurrentOwner();

// Files on their way in a message; each holds a reference to its description.
struct Rights {
  Rights* next;  // of those that are given up
  uint32_t count;
  OpenFile* files[kMaxRights];
};

struct Message {
  Message* next = nullptr;
  Rights* rights = nullptr;
  SocketOwner sender = {};
  uint32_t size = 0;   // of the data, which follows
  uint32_t taken = 0;  // of a stream: received already
  // Of a datagram of the internet: what its header would say.
  uint8_t hop_limit = 0, traffic_class = 0;
  bool urgent = false;  // of TCP: one byte, sent with MSG_OOB
  SocketAddress from;

  [[nodiscard]] std::byte* data() { return reinterpret_cast<std::byte*>(this + 1); }
  // What it takes of a buffer.
  [[nodiscard]] uint32_t charge() const { return static_cast<uint32_t>(sizeof *this) + size; }
};

enum class SocketState : uint32_t { kIdle, kConnecting, kListening, kConnected };

struct Socket {
  // Set once.
  uint16_t family = 0;
  uint16_t type = 0;
  uint16_t protocol = 0;

  std::atomic<uint32_t> references{1};
  Mutex lock;
  // Under `lock`; the atomic ones are also read without it, as hints.
  std::atomic<SocketState> state{SocketState::kIdle};
  bool naming = false;  // a bind is under way
  // Connected, and the caller, who does not wait, was told that it goes on.
  bool connects_unseen = false;
  bool closed = false;
  bool receive_ended = false;  // when the inbox is empty, that is the end
  bool send_ended = false;
  std::atomic<bool> was_reset{false};  // of the internet: it is connected no more
  int32_t error = 0;                   // SO_ERROR
  Socket* peer = nullptr;              // referenced
  SocketAddress name, peer_name;
  SocketOwner owner = {}, peer_owner = {};
  Message* first = nullptr;
  Message* last = nullptr;
  uint32_t inbox_bytes = 0;   // charges
  Message* urgent = nullptr;  // in the inbox: the last urgent byte, until reading passes it
  bool urgent_seen = false;   // it was received by MSG_OOB
  std::atomic<uint32_t> send_buffer{kDefaultBuffer};
  std::atomic<uint32_t> receive_buffer{kDefaultBuffer};
  std::atomic<uint64_t> send_timeout_ns{0};
  std::atomic<uint64_t> receive_timeout_ns{0};
  SocketOptions options;
  // Listening: sockets that wait to be accepted, referenced; each is the peer of one that
  // connected.
  Socket* first_pending = nullptr;
  Socket* last_pending = nullptr;
  uint32_t pending_count = 0;
  uint32_t backlog = 0;
  Socket* next_pending = nullptr;
  vfs::Node node;  // bound to a path: referenced, and its attachment is this socket

  WaitQueue readable;
  WaitQueue writable;

  // Under Sockets::lock.
  Socket* next = nullptr;
  Socket* previous = nullptr;
  Socket* next_named = nullptr;
  bool named = false;          // found by its name through Sockets::names
  OpenFile* file = nullptr;    // its description, not referenced
  bool pending = false;        // in the list of a listening socket
  uint32_t times_sent = 0;     // how often its description is in messages
  Socket* next_met = nullptr;  // CollectLostSockets
  bool met = false;

  [[nodiscard]] bool is_stream() const;
  // Connected to another socket object before anything is sent: streams, sequenced packets.
  [[nodiscard]] bool is_paired() const;
  [[nodiscard]] bool is_unix() const;
};

inline constexpr uint32_t kNameBuckets = 256;

// In the arena.
struct Sockets {
  Mutex lock;
  Socket* all = nullptr;
  Socket* names[kNameBuckets] = {};    // abstract names, ports
  std::atomic<uint32_t> in_flight{0};  // files in messages; changes under `lock`
  uint32_t sockets_in_flight = 0;      // of these
  std::atomic<uint64_t> messages{0};   // allocated
  std::atomic<uint64_t> rights{0};     // allocated
  WaitQueue datagram_room;             // an inbox of datagrams has room again, or is gone
  std::atomic<uint32_t> next_name{0};  // autobind
  std::atomic<uint32_t> next_port{0};
};
Sockets& TheSockets();
// At boot.
[[nodiscard]] bool CreateSockets();

extern const Operations kSocketOperations;
inline Socket& SocketOf(const OpenFile& file) {
  return *static_cast<Socket*>(file.object);
}

// --- life ---
[[nodiscard]] Socket* NewSocket(uint16_t family, uint16_t type, uint16_t protocol);
inline Socket* Ref(Socket* socket) {
  socket->references.fetch_add(1, std::memory_order_relaxed);
  return socket;
}
// May be null.
void Unref(Socket* socket);
// The description of a new socket, which it takes over on success; null if there is no memory.
[[nodiscard]] OpenFile* OpenSocket(Socket* socket, uint32_t flags);
// Nobody can reach the socket any more: everything that it holds goes, its peer is told, and the
// caller's reference is given up.
void CloseSocket(Socket* socket);

// A reference that goes with its scope.
class HeldSocket {
 public:
  explicit HeldSocket(Socket* socket = nullptr) : socket_(socket) {}
  HeldSocket(const HeldSocket&) = delete;
  HeldSocket& operator=(const HeldSocket&) = delete;
  ~HeldSocket() { Unref(socket_); }
  [[nodiscard]] Socket* get() const { return socket_; }
  Socket** out() { return &socket_; }
  Socket* operator->() const { return socket_; }
  Socket& operator*() const { return *socket_; }

 private:
  Socket* socket_;
};

// Monotonic; a time-out of 0 is none. Once in a call.
[[nodiscard]] uint64_t DeadlineAfter(uint64_t timeout_ns);
// As WaitUntil. -EAGAIN at the deadline; kRestartSleep where there is one.
int32_t WaitOnSocket(WaitQueue& queue, bool (*ready)(void*), void* argument, uint64_t deadline_ns);

// --- names (socket_names.cc) ---
// All return 0 or -errno.
int32_t BindSocket(Socket& socket, const SocketAddress& address);
// A port of the kernel's choice for an internet socket that has no name.
int32_t BindAnyName(Socket& socket, bool* was_bound);
// It has none again: the connection that it was for failed.
void ForgetName(Socket& socket);
// The socket that has the address, referenced; -ECONNREFUSED, -ENETUNREACH, … . `from` asks.
int32_t FindSocket(const Socket& from, const SocketAddress& address, Socket** out);
// A socket that is bound to any address and now connected to `to` has one of its own.
void NameLike(Socket& socket, const Endpoint& to);
// Under Sockets::lock: somebody listens there already, who may not be joined.
[[nodiscard]] bool IsNameTaken(const Socket& socket);
// Under Sockets::lock.
void Unname(Socket& socket);
// The path becomes one that nobody listens at.
void LeaveNode(Socket& socket);
// The address of `socket` as `receiver` sees it, in the form of the receiver's family.
SocketAddress NameFor(Socket& socket, const Socket& receiver);

// --- connections (socket_connection.cc) ---
int32_t ListenSocket(Socket& socket, uint32_t backlog);
int32_t ConnectSocket(Socket& socket, const SocketAddress& address, bool blocks);
// The next connection, whose reference goes to the caller, which closes it if it has no use.
int32_t AcceptSocket(Socket& socket, bool blocks, Socket** out);
void ConnectPair(Socket& a, Socket& b);
enum Shutdown : uint32_t { kShutReceive, kShutSend, kShutBoth };
int32_t ShutdownSocket(Socket& socket, Shutdown how);

// --- messages (socket_message.cc) ---
// Null without memory. The data is not written yet.
[[nodiscard]] Message* NewMessage(uint32_t size);
void FreeMessage(Message* message);
// Frees a list, with its rights, which count no longer as in flight. Under no lock.
void DropMessages(Message* list);
// Under the socket's lock: whether `sender` may put one more message into the inbox.
[[nodiscard]] bool HasRoom(const Socket& receiver, const Socket& sender);

// --- urgent data (socket_urgent.cc), all under the socket's lock ---
// A message is in the inbox now; an urgent one takes the place of an earlier one.
void NoteUrgent(Socket& socket, Message& message);
// Its message is the mark: no call reads across it, and the byte itself is passed over unless
// SO_OOBINLINE is set.
[[nodiscard]] bool IsMark(const Socket& socket, const Message& message);
[[nodiscard]] bool IsPassedOver(const Socket& socket, const Message& message);
[[nodiscard]] bool IsAtMark(const Socket& socket);
// There is something that a read without MSG_OOB would give.
[[nodiscard]] bool HasOrdinaryData(const Socket& socket);

// --- files in messages (socket_rights.cc) ---
[[nodiscard]] Rights* NewRights();
// Gives up the files, under no lock.
void ReleaseRights(Rights* rights);
struct HeldRights {
  Rights* rights = nullptr;
  HeldRights() = default;
  HeldRights(const HeldRights&) = delete;
  HeldRights& operator=(const HeldRights&) = delete;
  ~HeldRights() { ReleaseRights(rights); }
  Rights* Take() {
    Rights* taken = rights;
    rights = nullptr;
    return taken;
  }
};
// Under Sockets::lock: they are in a message now, or no longer.
void CountSent(const Rights& rights);
void CountTaken(const Rights& rights);
// Sockets that only messages in unreachable inboxes hold can never be received: those messages are
// dropped. To be called when a reference to a socket's description may have been the last outside
// of messages. Under no lock.
void CollectLostSockets();

// What must hold while nothing runs; `is_empty`: no process is left.
void CheckSockets(Report& report, bool is_empty);

}  // namespace cordon::kernel

#endif  // CORDON_KERNEL_SOCKET_H_

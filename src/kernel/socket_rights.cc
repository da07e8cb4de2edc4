// Files in messages. A socket that was sent to a socket may become part of a cycle that nobody can
// receive from; those are found as a garbage collector finds them.

#include <utility>

#include "kernel/socket.h"

namespace cordon::kernel {
namespace {

Socket* SocketIn(const OpenFile* file) {
  return file->operations == &kSocketOperations ? static_cast<Socket*>(file->object) : nullptr;
}

void Count(const Rights& rights, int32_t change) {
  Sockets& sockets = TheSockets();
  for (uint32_t i = 0; i < rights.count; ++i) {
    sockets.in_flight.fetch_add(static_cast<uint32_t>(change));
    Socket* socket = SocketIn(rights.files[i]);
    if (socket == nullptr) continue;
    socket->times_sent += static_cast<uint32_t>(change);
    sockets.sockets_in_flight += static_cast<uint32_t>(change);
  }
}

// Under Sockets::lock. Held by more than messages: by a descriptor, by a call, or it is new.
bool IsHeld(const Socket& socket) {
  if (socket.file == nullptr) return !socket.pending;
  return socket.file->references.load() > socket.times_sent;
}

// The sockets that are still to be looked at.
class Met {
 public:
  void Add(Socket* socket) {
    if (socket == nullptr || socket->met) return;
    socket->met = true;
    socket->next_met = first_;
    first_ = socket;
  }
  Socket* Take() {
    Socket* socket = first_;
    if (socket != nullptr) first_ = socket->next_met;
    return socket;
  }

 private:
  Socket* first_ = nullptr;
};

// Everything that can be received from a socket, or accepted.
void AddHeldBy(Socket& socket, Met& met) {
  const MutexLock lock(socket.lock, LockRank::kInode);
  for (const Message* message = socket.first; message != nullptr; message = message->next) {
    if (message->rights == nullptr) continue;
    for (uint32_t i = 0; i < message->rights->count; ++i)
      met.Add(SocketIn(message->rights->files[i]));
  }
  for (Socket* one = socket.first_pending; one != nullptr; one = one->next_pending) met.Add(one);
}

// Takes the files out of all messages in an inbox.
void TakeRights(Socket& socket, Rights** list) {
  const MutexLock lock(socket.lock, LockRank::kInode);
  for (Message* message = socket.first; message != nullptr; message = message->next) {
    Rights* rights = std::exchange(message->rights, nullptr);
    if (rights == nullptr) continue;
    CountTaken(*rights);
    rights->next = *list;
    *list = rights;
  }
}

// What is in messages that can never be received. Files enter and leave messages only under the
// lock, so what is lost here stays lost.
Rights* TakeLostRights() {
  Sockets& sockets = TheSockets();
  const MutexLock lock(sockets.lock, LockRank::kDirectory);
  if (sockets.sockets_in_flight == 0) return nullptr;
  Met met;
  for (Socket* socket = sockets.all; socket != nullptr; socket = socket->next) socket->met = false;
  for (Socket* socket = sockets.all; socket != nullptr; socket = socket->next) {
    if (IsHeld(*socket)) met.Add(socket);
  }
  while (Socket* socket = met.Take()) AddHeldBy(*socket, met);
  Rights* lost = nullptr;
  for (Socket* socket = sockets.all; socket != nullptr; socket = socket->next) {
    if (!socket->met) TakeRights(*socket, &lost);
  }
  return lost;
}

// Closing what is given up may give up more, and what a guest nests is deeper than the kernel's
// stack: a list in ThreadData.
void GiveUpAll() {
  while (Rights* rights = OwnData().given_up) {
    OwnData().given_up = rights->next;
    for (uint32_t i = 0; i < rights->count; ++i) Release(rights->files[i]);
    TheSockets().rights.fetch_sub(1, std::memory_order_relaxed);
    TheKernel().arena->Delete(rights);
  }
}

}  // namespace

Rights* NewRights() {
  auto* rights = static_cast<Rights*>(TheKernel().arena->AllocateBuffer(sizeof(Rights)));
  if (rights == nullptr) return nullptr;
  rights->next = nullptr;
  rights->count = 0;
  TheSockets().rights.fetch_add(1, std::memory_order_relaxed);
  return rights;
}

void ReleaseRights(Rights* rights) {
  if (rights == nullptr) return;
  rights->next = OwnData().given_up;
  OwnData().given_up = rights;
  if (OwnData().is_giving_up) return;
  OwnData().is_giving_up = true;
  do {
    GiveUpAll();
    OwnData().given_up = TakeLostRights();
  } while (OwnData().given_up != nullptr);
  OwnData().is_giving_up = false;
}

void CountSent(const Rights& rights) {
  Count(rights, 1);
}
void CountTaken(const Rights& rights) {
  Count(rights, -1);
}

void CollectLostSockets() {
  if (TheSockets().in_flight.load() == 0 || OwnData().is_giving_up) return;
  OwnData().is_giving_up = true;
  while ((OwnData().given_up = TakeLostRights()) != nullptr) GiveUpAll();
  OwnData().is_giving_up = false;
}

}  // namespace cordon::kernel

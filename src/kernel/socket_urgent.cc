// Urgent data of TCP as Linux has it: one byte, the last of what was sent with MSG_OOB, with its
// place in the stream as a mark.

#include <cerrno>

#include "kernel/socket.h"
#include "kernel/socket_message.h"

namespace cordon::kernel {

void NoteUrgent(Socket& socket, Message& message) {
  if (!message.urgent) return;
  // One that was not read before the next one came is a byte of the stream as any other.
  socket.urgent = &message;
  socket.urgent_seen = false;
}

bool IsMark(const Socket& socket, const Message& message) {
  return socket.urgent == &message;
}

bool IsPassedOver(const Socket& socket, const Message& message) {
  return IsMark(socket, message) && socket.options[Option::kOutOfBandInline] == 0;
}

bool IsAtMark(const Socket& socket) {
  return socket.urgent != nullptr && socket.first == socket.urgent;
}

bool HasOrdinaryData(const Socket& socket) {
  const Message* first = socket.first;
  if (first == nullptr) return false;
  return !IsPassedOver(socket, *first) || first->next != nullptr;
}

int64_t ReceiveUrgent(Socket& socket, Incoming& in) {
  if (!socket.is_stream() || socket.is_unix()) return socket.is_unix() ? -EOPNOTSUPP : -EINVAL;
  const MutexLock lock(socket.lock, LockRank::kInode);
  Message* urgent = socket.urgent;
  if (urgent == nullptr || socket.urgent_seen || !IsPassedOver(socket, *urgent)) return -EINVAL;
  in.is_truncated = in.bytes.size() == 0;
  in.is_urgent = true;
  if (!in.is_truncated && in.bytes.CopyOut(0, urgent->data(), 1) != 0) return -EFAULT;
  if (!in.peeks) socket.urgent_seen = true;
  return in.is_truncated ? 0 : 1;
}

}  // namespace cordon::kernel

#include "backend/native/output.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace cordon::backend::native {
namespace {

// What a pipe that poll says has room takes without waiting.
constexpr size_t kSmallPart = 4096;
constexpr size_t kLargePart = 1 << 20;

}  // namespace

Result<OutputPipe> OutputPipe::Make(int to, uint64_t limit) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return SystemError("pipe2");
  OutputPipe made;
  made.reader_.reset(ends[0]);
  made.writer_.reset(ends[1]);
  made.to_ = to;
  made.left_ = limit;
  return made;
}

OutputPipe OutputPipe::FromTerminal(OwnedFd main, int to, uint64_t limit) {
  OutputPipe made;
  made.reader_ = std::move(main);
  made.to_ = to;
  made.left_ = limit;
  return made;
}

pollfd OutputPipe::Wanted() const {
  if (!reader_.valid()) return {-1, 0, 0};
  if (has_input_) return {to_, POLLOUT, 0};
  return {reader_.get(), POLLIN, 0};
}

void OutputPipe::Move() {
  if (!has_input_) {
    has_input_ = true;
    // What has no writer any more and nothing in it reads as its end.
    pollfd room = {to_, POLLOUT, 0};
    if (poll(&room, 1, 0) == 0) return;
  }
  has_input_ = false;
  if (left_ == 0) {
    // A byte more than there may be: whoever writes gets SIGPIPE.
    char part;
    is_over_ = read(reader_.get(), &part, 1) == 1;
    reader_.reset();
    return;
  }
  ssize_t moved = splice(reader_.get(), nullptr, to_, nullptr,
                         std::min<uint64_t>(left_, kLargePart), SPLICE_F_NONBLOCK | SPLICE_F_MOVE);
  if (moved < 0 && errno == EINVAL) {
    // Files that are appended to, and some devices.
    char part[kSmallPart];
    const ssize_t got = read(reader_.get(), part, std::min<uint64_t>(left_, sizeof part));
    moved = got > 0 ? write(to_, part, static_cast<size_t>(got)) : got;
  }
  if (moved < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (moved <= 0) {
    // The end, or a client that has gone away: the command learns of it as it would have.
    reader_.reset();
    return;
  }
  moved_ += static_cast<uint64_t>(moved);
  left_ -= std::min<uint64_t>(left_, static_cast<uint64_t>(moved));
}

}  // namespace cordon::backend::native

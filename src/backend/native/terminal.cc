#include "backend/native/terminal.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include <cerrno>

namespace cordon::backend::native {
namespace {

// What a terminal reads as its end when the client's has none any more.
constexpr char kEndOfFile = 4;

}  // namespace

Result<NewTerminal> MakeTerminal() {
  NewTerminal made;
  made.main.reset(open("/dev/pts/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC));
  if (!made.main.valid()) return SystemError("open(/dev/pts/ptmx)");
  const int unlocked = 0;
  unsigned number = 0;
  if (ioctl(made.main.get(), TIOCSPTLCK, &unlocked) != 0 ||
      ioctl(made.main.get(), TIOCGPTN, &number) != 0) {
    return SystemError("ioctl(TIOCGPTN)");
  }
  made.path = "/dev/pts/" + std::to_string(number);
  return made;
}

void CopyWindowSize(int from, int to) {
  winsize window = {};
  if (ioctl(from, TIOCGWINSZ, &window) == 0) (void)ioctl(to, TIOCSWINSZ, &window);
}

void InputRelay::Begin(int from, int to) {
  from_ = from;
  to_ = to;
}

pollfd InputRelay::Wanted() const {
  if (begin_ < end_) return {to_, POLLOUT, 0};
  return {from_, POLLIN, 0};
}

void InputRelay::Move() {
  if (begin_ == end_) {
    const ssize_t size = read(from_, buffer_.data(), buffer_.size());
    if (size < 0 && (errno == EINTR || errno == EAGAIN)) return;
    begin_ = 0;
    end_ = size > 0 ? static_cast<size_t>(size) : 1;
    if (size <= 0) {
      buffer_[0] = kEndOfFile;
      from_ = -1;
    }
  }
  const ssize_t written = write(to_, buffer_.data() + begin_, end_ - begin_);
  if (written > 0) begin_ += static_cast<size_t>(written);
  // The command's end has gone, or is full: then poll says when there is room.
  if (written < 0 && errno != EAGAIN && errno != EINTR) {
    begin_ = end_;
    from_ = -1;
  }
}

}  // namespace cordon::backend::native

#ifndef CORDON_BACKEND_NATIVE_TERMINAL_H_
#define CORDON_BACKEND_NATIVE_TERMINAL_H_

// A pseudo-terminal of the sandbox's own: what the command changes of it, types into it or locks is
// not the caller's terminal.

#include <poll.h>
#include <sys/types.h>

#include <array>
#include <cstddef>
#include <string>

#include "base/error.h"
#include "base/owned_fd.h"

namespace cordon::backend::native {

// Inside, by its first process: of the sandbox's /dev/pts.
struct NewTerminal {
  OwnedFd main;      // the keeper's end
  std::string path;  // of the command's
};
[[nodiscard]] Result<NewTerminal> MakeTerminal();

// As large as the terminal that is `from`.
void CopyWindowSize(int from, int to);

// What is typed goes to the keeper's end of a terminal.
class InputRelay {
 public:
  // `from` is read when it has something; `to` belongs to the caller and never waits.
  void Begin(int from, int to);
  void End() { from_ = -1; }
  [[nodiscard]] pollfd Wanted() const;
  void Move();

 private:
  int from_ = -1;
  int to_ = -1;
  std::array<char, 4096> buffer_ = {};
  size_t begin_ = 0;
  size_t end_ = 0;
};

}  // namespace cordon::backend::native

#endif  // CORDON_BACKEND_NATIVE_TERMINAL_H_

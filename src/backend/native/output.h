#ifndef CORDON_BACKEND_NATIVE_OUTPUT_H_
#define CORDON_BACKEND_NATIVE_OUTPUT_H_

#include <poll.h>

#include <cstdint>
#include <optional>

#include "base/error.h"
#include "base/owned_fd.h"

namespace cordon::backend::native {

// One output stream of the command, counted on its way to this process's own.
class OutputPipe {
 public:
  // At most `limit` bytes go to descriptor `to`.
  [[nodiscard]] static Result<OutputPipe> Make(int to, uint64_t limit);

  // What comes from the keeper's end of a terminal instead.
  [[nodiscard]] static OutputPipe FromTerminal(OwnedFd main, int to, uint64_t limit);

  [[nodiscard]] int writer() const { return writer_.get(); }
  void CloseWriter() { writer_.reset(); }
  [[nodiscard]] bool is_open() const { return reader_.valid(); }
  // What to wait for: something to read, or room for what is there.
  [[nodiscard]] pollfd Wanted() const;
  // After poll said so; does not wait.
  void Move();
  [[nodiscard]] bool is_over() const { return is_over_; }
  // The descriptor that it goes to, and how much went there.
  [[nodiscard]] int to() const { return to_; }
  [[nodiscard]] uint64_t moved() const { return moved_; }

 private:
  OwnedFd reader_;
  OwnedFd writer_;
  int to_ = -1;
  uint64_t left_ = 0;
  uint64_t moved_ = 0;
  bool is_over_ = false;
  bool has_input_ = false;
};

}  // namespace cordon::backend::native

#endif  // CORDON_BACKEND_NATIVE_OUTPUT_H_

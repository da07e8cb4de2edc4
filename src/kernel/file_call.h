#ifndef CORDON_KERNEL_FILE_CALL_H_
#define CORDON_KERNEL_FILE_CALL_H_

// One request to the file server outside, in a place of the control page. The place is the caller's
// until it goes.

#include <cstdint>

#include "kernel/control.h"

namespace cordon::kernel {

class FileCall {
 public:
  // Who answers has places of its own.
  enum class Server { kDirectory, kClient };
  // Waits for a place. -EIO: none became free for a while. kRestart: a signal.
  explicit FileCall(Server server);
  FileCall(const FileCall&) = delete;
  FileCall& operator=(const FileCall&) = delete;
  ~FileCall();

  [[nodiscard]] int32_t error() const { return error_; }
  [[nodiscard]] control::FileCall& place() const { return *place_; }

  // Whether a signal may end the waiting: nothing is lost if the request is made again.
  enum class Repeat { kMay, kMustNot };
  // The path is in the place. The answer's result, -EIO after a while, or kRestart; after those two
  // the place is lost.
  [[nodiscard]] int64_t Ask(control::FileOp op, uint32_t mount, Repeat repeat);

  // From now on the calls of the service process wait together for no longer than this, because
  // the keeper waits for it.
  static void LimitWaiting(uint64_t ns);

 private:
  control::FileCall* place_ = nullptr;
  int32_t error_ = 0;
};

}  // namespace cordon::kernel

#endif  // CORDON_KERNEL_FILE_CALL_H_

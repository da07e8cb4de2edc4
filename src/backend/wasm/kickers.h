#ifndef CORDON_BACKEND_WASM_KICKERS_H_
#define CORDON_BACKEND_WASM_KICKERS_H_

// One process of a family that sends the kicks of all its copies, as the init does for the sandbox
// that the family began with: a thread for each control page, which it is given over a socket. It
// is inside the PID namespace, where nobody else's processes have numbers, and has no other
// descriptors and no rights.

#include <sys/types.h>

#include <cstdint>
#include <optional>

#include "backend/wasm/family.h"
#include "base/error.h"
#include "base/owned_fd.h"

namespace cordon::backend {

class Kickers {
 public:
  // From now on the kicks of this control page are sent. The first page starts the process, as a
  // child of the caller. `id` is the page's from then on.
  [[nodiscard]] Status Add(const Family& family, const OwnedFd& page, uint64_t id);
  // Nobody has this page mapped any more.
  void Remove(uint64_t id);
  // A page whose kicks are not sent, although it was added.
  [[nodiscard]] std::optional<uint64_t> NextFailed() const;

  // 0: none was started.
  [[nodiscard]] pid_t pid() const { return pid_; }
  // Readable: NextFailed has something to say.
  [[nodiscard]] int socket() const { return socket_.get(); }

 private:
  pid_t pid_ = 0;
  OwnedFd socket_;
};

}  // namespace cordon::backend

#endif  // CORDON_BACKEND_WASM_KICKERS_H_

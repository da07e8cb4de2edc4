#ifndef CORDON_BACKEND_NATIVE_NET_NAMESPACE_H_
#define CORDON_BACKEND_NATIVE_NET_NAMESPACE_H_

// A network namespace with its loopback up, made beside the caller, on another processor where it
// may use one: the kernel takes as long for it as for everything else of the wall together, and
// nothing of the rest waits for it.

#include <sys/types.h>

#include <cstddef>

#include "base/error.h"
#include "base/owned_fd.h"

namespace cordon::backend::native {

class NetNamespace {
 public:
  NetNamespace() = default;
  NetNamespace(const NetNamespace&) = delete;
  NetNamespace& operator=(const NetNamespace&) = delete;
  ~NetNamespace() = default;

  // By the first process of a user namespace, while the host's /proc is still there. Until Join
  // nobody closes descriptors that he does not know.
  [[nodiscard]] Status Start();
  // The caller is in it afterwards, or the error says which call failed.
  [[nodiscard]] Status Join();

 private:
  static int Make(void* self);

  static constexpr size_t kStackBytes = 16 << 10;
  alignas(16) std::byte stack_[kStackBytes];
  OwnedFd proc_;
  pid_t maker_ = -1;
  int namespace_fd_ = -1;
  // What the maker found, before it ends.
  const char* failed_call_ = nullptr;
  int failed_errno_ = 0;
};

}  // namespace cordon::backend::native

#endif  // CORDON_BACKEND_NATIVE_NET_NAMESPACE_H_

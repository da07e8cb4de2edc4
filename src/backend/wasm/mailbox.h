#ifndef CORDON_BACKEND_WASM_MAILBOX_H_
#define CORDON_BACKEND_WASM_MAILBOX_H_

// Requests to the service process behind the wall. One at a time; answers are read as hostile.

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/error.h"
#include "kernel/control.h"

namespace cordon::backend {

class MailboxClient {
 public:
  explicit MailboxClient(control::Control& control) : control_(control) {}

  [[nodiscard]] Status Spawn(uint32_t job, const std::string& directory,
                             const std::vector<std::string>& arguments,
                             const std::vector<std::string>& environment);
  [[nodiscard]] Status Signal(uint32_t job, int number);
  [[nodiscard]] Status KillAll();
  [[nodiscard]] Status MakeDirectory(const std::string& path, uint32_t mode);
  [[nodiscard]] Status WriteFile(const std::string& path, uint32_t mode, uint64_t offset,
                                 std::span<const char> bytes);
  // At most `bytes.size()`; 0 at the end. `mode` gets the file's permissions.
  [[nodiscard]] Result<size_t> ReadFile(const std::string& path, uint64_t offset,
                                        std::span<char> bytes, uint32_t* mode);
  [[nodiscard]] Result<control::Usage> ReadUsage();

  static constexpr size_t kMaxTransfer = 128 * 1024;

 private:
  struct Arguments {
    uint32_t values[6] = {};
  };
  // The result (>= 0), or the guest's errno as an error with `what`.
  Result<int32_t> Call(control::Request request, const Arguments& arguments,
                       std::string_view payload, const std::string& what);

  control::Control& control_;
};

}  // namespace cordon::backend

#endif  // CORDON_BACKEND_WASM_MAILBOX_H_

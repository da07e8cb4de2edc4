#ifndef CORDON_KERNEL_SERVICE_PAYLOAD_H_
#define CORDON_KERNEL_SERVICE_PAYLOAD_H_

// An answer's payload of the service process, written into the mailbox.

#include <cstdint>
#include <cstring>
#include <string_view>

#include "kernel/control.h"

namespace cordon::kernel {

// Appends values and strings to the answer's payload.
class PayloadWriter {
 public:
  explicit PayloadWriter(control::Mailbox& mailbox)
      : mailbox_(mailbox), at_(reinterpret_cast<char*>(mailbox.payload)), left_(kBytes) {}
  ~PayloadWriter() { mailbox_.payload_bytes.store(kBytes - left_); }
  PayloadWriter(const PayloadWriter&) = delete;
  PayloadWriter& operator=(const PayloadWriter&) = delete;

  [[nodiscard]] uint32_t left() const { return left_; }
  template <typename T>
  void Add(const T& value) {
    AddBytes(&value, sizeof value);
  }
  void AddString(std::string_view text) {
    AddBytes(text.data(), text.size());
    AddBytes("", 1);
  }

 private:
  static constexpr uint32_t kBytes = control::kMailboxBytes;

  void AddBytes(const void* bytes, size_t size) {
    if (size > left_) return;
    memcpy(at_, bytes, size);
    at_ += size;
    left_ -= static_cast<uint32_t>(size);
  }

  control::Mailbox& mailbox_;
  char* at_;
  uint32_t left_;
};

}  // namespace cordon::kernel

#endif  // CORDON_KERNEL_SERVICE_PAYLOAD_H_

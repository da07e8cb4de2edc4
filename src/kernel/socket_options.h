#ifndef CORDON_KERNEL_SOCKET_OPTIONS_H_
#define CORDON_KERNEL_SOCKET_OPTIONS_H_

#include <cstdint>

namespace cordon::kernel {

struct Socket;

// Options that are numbers and that reading gives back; those that change nothing in a network
// without wires are here for programs that set them.
enum class Option : uint32_t {
#define OPTION(id, level, name, initial, most) k##id,
#include "kernel/socket_options.def"
#undef OPTION
  kCount,
};

struct SocketOptions {
  SocketOptions();
  int32_t values[static_cast<uint32_t>(Option::kCount)];
  int32_t linger[2] = {};  // on, seconds

  [[nodiscard]] int32_t operator[](Option option) const {
    return values[static_cast<uint32_t>(option)];
  }
  [[nodiscard]] bool resets_on_close() const { return linger[0] != 0 && linger[1] == 0; }
};

// setsockopt(2) and getsockopt(2) with the guest's addresses.
int32_t SetSocketOption(Socket& socket, uint32_t level, uint32_t name, uint32_t value_at,
                        uint32_t size);
int32_t GetSocketOption(Socket& socket, uint32_t level, uint32_t name, uint32_t value_at,
                        uint32_t size_at);

}  // namespace cordon::kernel

#endif  // CORDON_KERNEL_SOCKET_OPTIONS_H_

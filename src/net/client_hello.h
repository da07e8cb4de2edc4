#ifndef CORDON_NET_CLIENT_HELLO_H_
#define CORDON_NET_CLIENT_HELLO_H_

// The first message of TLS, read from a copy of what the client sent: whom it asks for.

#include <cstdint>
#include <span>
#include <string>

namespace cordon::net {

struct ClientHello {
  enum class State {
    kIncomplete,  // so far it may be one
    kNotTls,
    kBroken,  // TLS that we do not understand: what the server would make of it is not known
    kComplete,
  };
  State state = State::kIncomplete;
  std::string server_name;           // in lower case; empty if it does not say
  bool has_encrypted_hello = false;  // another name may be inside
};

// More than this is not waited for.
inline constexpr size_t kMaxClientHello = 32768;

[[nodiscard]] ClientHello ParseClientHello(std::span<const uint8_t> bytes);

}  // namespace cordon::net

#endif  // CORDON_NET_CLIENT_HELLO_H_

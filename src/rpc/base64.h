#ifndef CORDON_RPC_BASE64_H_
#define CORDON_RPC_BASE64_H_

// RFC 4648, section 4, and what JSON strings must be.

#include <optional>
#include <string>
#include <string_view>

namespace cordon::rpc {

[[nodiscard]] std::string EncodeBase64(std::string_view bytes);
// Nothing when it is no canonical base64.
[[nodiscard]] std::optional<std::string> DecodeBase64(std::string_view text);
[[nodiscard]] bool IsUtf8(std::string_view bytes);

}  // namespace cordon::rpc

#endif  // CORDON_RPC_BASE64_H_

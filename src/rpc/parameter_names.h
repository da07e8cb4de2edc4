#ifndef CORDON_RPC_PARAMETER_NAMES_H_
#define CORDON_RPC_PARAMETER_NAMES_H_

// What methods.def says of a method's parameters, read.

#include <string_view>

namespace cordon::rpc {

// Whether `list` ("path, data | dataBase64, [limits {timeoutMs}]") has it, and not as a member of
// another one.
[[nodiscard]] constexpr bool NamesParameter(std::string_view list, std::string_view name) {
  int depth = 0;
  for (size_t at = 0; at < list.size();) {
    const char c = list[at];
    depth += c == '{' ? 1 : 0;
    depth -= c == '}' ? 1 : 0;
    const size_t end = list.find_first_of(" ,|[]{}", at);
    const size_t length = (end == std::string_view::npos ? list.size() : end) - at;
    if (depth == 0 && length > 0 && list.substr(at, length) == name) return true;
    at += length == 0 ? 1 : length;
  }
  return false;
}

}  // namespace cordon::rpc

#endif  // CORDON_RPC_PARAMETER_NAMES_H_

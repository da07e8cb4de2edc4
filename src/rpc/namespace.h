#ifndef CORDON_RPC_NAMESPACE_H_
#define CORDON_RPC_NAMESPACE_H_

// Names under which sandboxes are saved.

#include <algorithm>
#include <string>

namespace cordon::rpc {

// A part of a path: what could lead elsewhere, or be another's in disguise, is refused.
inline bool IsNamespace(const std::string& name) {
  constexpr size_t kLongest = 100;
  return !name.empty() && name.size() <= kLongest && name[0] != '.' &&
         std::ranges::all_of(name, [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  c == '.' || c == '_' || c == '-';
         });
}
inline constexpr const char* kNoNamespace =
    "persistence.namespace must be 1 to 100 letters, digits, dots, dashes and underscores, no dot "
    "first";

}  // namespace cordon::rpc

#endif  // CORDON_RPC_NAMESPACE_H_

#ifndef CORDON_BACKEND_NATIVE_GENERATED_FILES_H_
#define CORDON_BACKEND_NATIVE_GENERATED_FILES_H_

#include <sys/types.h>

#include <string>

#include "base/error.h"
#include "policy/plan.h"

namespace cordon::backend::native {

// Who the command is, as it sees itself.
struct Identity {
  uid_t uid = 0;
  gid_t gid = 0;
};

// The text of a generated file: "users", "groups", "hosts" or "resolver".
[[nodiscard]] Result<std::string> GeneratedText(const std::string& name, const policy::Plan& plan,
                                                const Identity& identity);

}  // namespace cordon::backend::native

#endif  // CORDON_BACKEND_NATIVE_GENERATED_FILES_H_

#ifndef CORDON_BACKEND_WASM_COPY_H_
#define CORDON_BACKEND_WASM_COPY_H_

#include <vector>

#include "backend/wasm/keeper.h"
#include "backend/wasm/mailbox.h"
#include "base/error.h"

namespace cordon::backend {

// Files and trees into the sandbox, with their permissions. Links and special files are refused by
// name.
[[nodiscard]] Status CopyIn(MailboxClient& mailbox, const std::vector<CopyRequest>& requests);
// Single files out of it. The target's last component is made anew and never followed as a link.
[[nodiscard]] Status CopyOut(MailboxClient& mailbox, const std::vector<CopyRequest>& requests);

}  // namespace cordon::backend

#endif  // CORDON_BACKEND_WASM_COPY_H_

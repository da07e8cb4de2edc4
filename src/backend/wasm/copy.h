#ifndef CORDON_BACKEND_WASM_COPY_H_
#define CORDON_BACKEND_WASM_COPY_H_

// Files and trees between the host and the sandbox: regular files, directories and symbolic links,
// with their permissions.

#include <vector>

#include "backend/wasm/mailbox.h"
#include "backend/wasm/run.h"
#include "base/error.h"

namespace cordon::backend {

// Links inside a tree stay links; only the path that the user named is followed.
[[nodiscard]] Status CopyIn(Mailbox& mailbox, const std::vector<CopyRequest>& requests);

// The tree is the guest's and hostile: it is written beneath the directory that the user named, and
// nothing in it can make the keeper write elsewhere.
// The names of what was left out: FIFOs, sockets and devices.
[[nodiscard]] Result<std::vector<std::string>> CopyOut(Mailbox& mailbox,
                                                       const std::vector<CopyRequest>& requests);

}  // namespace cordon::backend

#endif  // CORDON_BACKEND_WASM_COPY_H_

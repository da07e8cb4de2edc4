#ifndef CORDON_BACKEND_WASM_FILTER_H_
#define CORDON_BACKEND_WASM_FILTER_H_

#include "base/error.h"

namespace cordon::backend {

// Loads the system call filter of guest processes into the calling thread, with no_new_privs. It
// cannot be taken off.
[[nodiscard]] Status LoadGuestFilter();

}  // namespace cordon::backend

#endif  // CORDON_BACKEND_WASM_FILTER_H_

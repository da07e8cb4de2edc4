#ifndef CORDON_WASM_RUNTIME_H_
#define CORDON_WASM_RUNTIME_H_

// The functions behind Context::runtime. They run on the guest's native stack, in the middle of
// compiled code.

#include "wasm/abi.h"

namespace cordon::wasm {

[[nodiscard]] const RuntimeFunctions& RuntimeTable();

}  // namespace cordon::wasm

#endif  // CORDON_WASM_RUNTIME_H_

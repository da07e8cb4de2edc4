#ifndef CORDON_WASM_COMPILER_ANALYSIS_H_
#define CORDON_WASM_COMPILER_ANALYSIS_H_

#include "base/error.h"
#include "wasm/compiler/module.h"

namespace cordon::wasm {

// Fills the derived facts of a module: which functions may leave an exception pending, which need
// FuncRefs and adapters, whether tables may hold functions of other instances, and the layout.
[[nodiscard]] Status Analyse(Module* module);

}  // namespace cordon::wasm

#endif  // CORDON_WASM_COMPILER_ANALYSIS_H_

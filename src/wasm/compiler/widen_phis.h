#ifndef CORDON_WASM_COMPILER_WIDEN_PHIS_H_
#define CORDON_WASM_COMPILER_WIDEN_PHIS_H_

namespace llvm {
class Function;
}

namespace cordon::wasm {

// Keeps addresses that go around loops at 64 bits. A 32-bit phi that is used as an address costs an
// instruction in each round, in the middle of a chain of loads: on x86 the extension is free where
// the value is made and not free where it arrives. Must run after the last InstCombine, which would
// narrow the phis again.
void WidenAddressPhis(llvm::Function& function);

}  // namespace cordon::wasm

#endif  // CORDON_WASM_COMPILER_WIDEN_PHIS_H_

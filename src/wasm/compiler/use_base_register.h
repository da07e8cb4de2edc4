#ifndef CORDON_WASM_COMPILER_USE_BASE_REGISTER_H_
#define CORDON_WASM_COMPILER_USE_BASE_REGISTER_H_

namespace llvm {
class Function;
class LoopInfo;
}  // namespace llvm

namespace cordon::wasm {

// Addresses linear memory through a register instead of the segment in loops where one load waits
// for another: a segment with a base costs each load a cycle, which a register does not, and such a
// loop is as slow as its chain. Elsewhere the register is worth more than the cycle.
void UseBaseRegister(llvm::Function& function, const llvm::LoopInfo& loops);

}  // namespace cordon::wasm

#endif  // CORDON_WASM_COMPILER_USE_BASE_REGISTER_H_

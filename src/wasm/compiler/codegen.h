#ifndef CORDON_WASM_COMPILER_CODEGEN_H_
#define CORDON_WASM_COMPILER_CODEGEN_H_

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "wasm/compiler/lowering.h"

namespace llvm {
class TargetMachine;
}

namespace cordon::wasm {

// Turns the IR of partitions into relocatable ELF in memory. One for each thread. Everything LLVM
// needs is set up by the constructor: afterwards no file is opened.
class CodeGenerator {
 public:
  CodeGenerator(Tier tier, CpuLevel cpu_level);
  ~CodeGenerator();
  CodeGenerator(const CodeGenerator&) = delete;
  CodeGenerator& operator=(const CodeGenerator&) = delete;

  [[nodiscard]] std::vector<char> Emit(Partition& partition);

 private:
  void Optimise(llvm::Module& module);

  Tier tier_;
  std::unique_ptr<llvm::TargetMachine> machine_;
};

}  // namespace cordon::wasm

#endif  // CORDON_WASM_COMPILER_CODEGEN_H_

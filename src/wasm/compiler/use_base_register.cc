#include "wasm/compiler/use_base_register.h"

#include <llvm/ADT/SmallPtrSet.h>
#include <llvm/Analysis/LoopInfo.h>
#include <llvm/IR/Function.h>
#include <llvm/IR/IRBuilder.h>
#include <llvm/IR/Instructions.h>

#include <cstddef>

#include "wasm/abi.h"

namespace cordon::wasm {
namespace {

constexpr unsigned kGsAddressSpace = 256;

// The conversion that makes an address of linear memory; null if `instruction` is no access to it.
llvm::IntToPtrInst* AddressOf(llvm::Instruction& instruction) {
  llvm::Value* pointer = llvm::getLoadStorePointerOperand(&instruction);
  auto* address = llvm::dyn_cast_or_null<llvm::IntToPtrInst>(pointer);
  return address != nullptr && address->getAddressSpace() == kGsAddressSpace ? address : nullptr;
}

// Whether a load of the loop flows into `value`, by arithmetic and the loop's own phis.
bool ComesFromLoad(llvm::Value* value, const llvm::Loop& loop,
                   llvm::SmallPtrSetImpl<llvm::Value*>* seen) {
  auto* instruction = llvm::dyn_cast<llvm::Instruction>(value);
  if (instruction == nullptr || !loop.contains(instruction) || !seen->insert(value).second)
    return false;
  if (llvm::isa<llvm::LoadInst>(instruction)) return AddressOf(*instruction) != nullptr;
  if (!llvm::isa<llvm::BinaryOperator, llvm::CastInst, llvm::PHINode, llvm::SelectInst>(
          instruction))
    return false;
  for (llvm::Value* operand : instruction->operands()) {
    if (ComesFromLoad(operand, loop, seen)) return true;
  }
  return false;
}

// Accesses of a loop, without those of the loops in it; empty if no load waits for another.
llvm::SmallVector<llvm::Instruction*, 32> AccessesInChain(const llvm::Loop& loop,
                                                          const llvm::LoopInfo& loops) {
  llvm::SmallVector<llvm::Instruction*, 32> accesses;
  bool has_chain = false;
  for (llvm::BasicBlock* block : loop.blocks()) {
    if (loops.getLoopFor(block) != &loop) continue;
    for (llvm::Instruction& instruction : *block) {
      llvm::IntToPtrInst* address = AddressOf(instruction);
      if (address == nullptr) continue;
      accesses.push_back(&instruction);
      llvm::SmallPtrSet<llvm::Value*, 16> seen;
      has_chain = has_chain || (llvm::isa<llvm::LoadInst>(instruction) &&
                                ComesFromLoad(address->getOperand(0), loop, &seen));
    }
  }
  if (!has_chain) accesses.clear();
  return accesses;
}

llvm::Value* LoadBase(llvm::Function& function) {
  llvm::BasicBlock& entry = function.getEntryBlock();
  llvm::IRBuilder<> b(&entry, entry.getFirstInsertionPt());
  llvm::Value* field =
      b.CreateConstGEP1_64(b.getInt8Ty(), function.getArg(0), offsetof(Context, memory_base));
  auto* load = b.CreateAlignedLoad(b.getPtrTy(), field, llvm::Align(8));
  load->setMetadata(llvm::LLVMContext::MD_invariant_load,
                    llvm::MDNode::get(function.getContext(), {}));
  return load;
}

}  // namespace

void UseBaseRegister(llvm::Function& function, const llvm::LoopInfo& loops) {
  llvm::SmallVector<llvm::Instruction*, 32> accesses;
  for (const llvm::Loop* loop : loops.getLoopsInPreorder())
    accesses.append(AccessesInChain(*loop, loops));
  if (accesses.empty()) return;
  llvm::Value* base = LoadBase(function);
  for (llvm::Instruction* access : accesses) {
    llvm::IRBuilder<> b(access);
    llvm::IntToPtrInst* address = AddressOf(*access);
    llvm::Value* pointer = b.CreateGEP(b.getInt8Ty(), base, address->getOperand(0));
    access->setOperand(llvm::isa<llvm::LoadInst>(access) ? 0 : 1, pointer);
    if (address->use_empty()) address->eraseFromParent();
  }
}

}  // namespace cordon::wasm

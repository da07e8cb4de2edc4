#include "wasm/compiler/widen_phis.h"

#include <llvm/ADT/MapVector.h>
#include <llvm/IR/Constants.h>
#include <llvm/IR/Function.h>
#include <llvm/IR/IRBuilder.h>
#include <llvm/IR/Instructions.h>

namespace cordon::wasm {
namespace {

class PhiWidening {
 public:
  explicit PhiWidening(llvm::Function& function)
      : function_(function), wide_type_(llvm::Type::getInt64Ty(function.getContext())) {}

  void Run() {
    Collect();
    for (auto& [narrow, wide] : wide_) {
      for (unsigned i = 0; i < narrow->getNumIncomingValues(); ++i) {
        wide->addIncoming(Widened(narrow->getIncomingValue(i)), narrow->getIncomingBlock(i));
      }
    }
    for (auto& [narrow, wide] : wide_) Replace(narrow, wide);
  }

 private:
  static bool IsExtended(const llvm::PHINode& phi) {
    for (const llvm::User* user : phi.users()) {
      if (llvm::isa<llvm::ZExtInst>(user) && user->getType()->isIntegerTy(64)) return true;
    }
    return false;
  }

  // The phis that are extended somewhere, and those that flow into them.
  void Collect() {
    llvm::SmallVector<llvm::PHINode*, 32> work;
    for (llvm::BasicBlock& block : function_) {
      for (llvm::PHINode& phi : block.phis()) {
        if (phi.getType()->isIntegerTy(32) && IsExtended(phi)) work.push_back(&phi);
      }
    }
    while (!work.empty()) {
      llvm::PHINode* phi = work.pop_back_val();
      if (wide_.count(phi) != 0) continue;
      wide_[phi] =
          llvm::PHINode::Create(wide_type_, phi->getNumIncomingValues(), "", phi->getIterator());
      for (llvm::Value* value : phi->incoming_values()) {
        if (auto* incoming = llvm::dyn_cast<llvm::PHINode>(value)) work.push_back(incoming);
      }
    }
  }

  llvm::Value* Widened(llvm::Value* value) {
    if (auto* constant = llvm::dyn_cast<llvm::ConstantInt>(value)) {
      return llvm::ConstantInt::get(wide_type_, constant->getZExtValue());
    }
    if (llvm::isa<llvm::Constant>(value))
      return llvm::ConstantInt::get(wide_type_, 0);  // undefined
    if (auto* phi = llvm::dyn_cast<llvm::PHINode>(value)) return wide_[phi];
    llvm::Value*& extended = extended_[value];
    if (extended == nullptr) {
      llvm::BasicBlock::iterator at = function_.getEntryBlock().getFirstInsertionPt();
      if (auto* instruction = llvm::dyn_cast<llvm::Instruction>(value)) {
        at = instruction->getInsertionPointAfterDef().value_or(at);
      }
      extended = llvm::CastInst::CreateZExtOrBitCast(value, wide_type_, "", at);
    }
    return extended;
  }

  static void Replace(llvm::PHINode* narrow, llvm::PHINode* wide) {
    llvm::SmallVector<llvm::ZExtInst*, 8> extensions;
    for (llvm::User* user : narrow->users()) {
      auto* extension = llvm::dyn_cast<llvm::ZExtInst>(user);
      if (extension != nullptr && extension->getType() == wide->getType()) {
        extensions.push_back(extension);
      }
    }
    for (llvm::ZExtInst* extension : extensions) {
      extension->replaceAllUsesWith(wide);
      extension->eraseFromParent();
    }
    if (!narrow->use_empty()) {
      llvm::Value* low = llvm::CastInst::CreateTruncOrBitCast(
          wide, narrow->getType(), "", narrow->getParent()->getFirstInsertionPt());
      narrow->replaceAllUsesWith(low);
    }
    narrow->eraseFromParent();
  }

  llvm::Function& function_;
  llvm::Type* wide_type_;
  llvm::MapVector<llvm::PHINode*, llvm::PHINode*> wide_;
  llvm::DenseMap<llvm::Value*, llvm::Value*> extended_;
};

}  // namespace

void WidenAddressPhis(llvm::Function& function) {
  PhiWidening(function).Run();
}

}  // namespace cordon::wasm

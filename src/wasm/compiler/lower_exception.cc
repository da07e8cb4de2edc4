#include <llvm/IR/Constants.h>

#include <cstddef>

#include "wasm/compiler/lowering.h"

// Exceptions are a tag and its values in the Context. Whoever throws stores them and goes to the
// innermost handler, or returns; whoever calls a function that may throw tests the tag.

namespace cordon::wasm {

using wabt::Opcode;

namespace {

constexpr size_t kTagOffset = offsetof(Context, exception) + offsetof(Exception, tag);
constexpr size_t kSlotsOffset = offsetof(Context, exception) + offsetof(Exception, slots);

}  // namespace

// Marks each try whose exception is thrown again from one of its catches.
void FunctionLowering::FindRethrows() {
  rethrown_.assign(function_.code.size(), false);
  std::vector<size_t> open = {0};
  for (size_t i = 0; i < function_.code.size(); ++i) {
    const Instr& instr = function_.code[i];
    switch (instr.opcode) {
      case Opcode::Block:
      case Opcode::Loop:
      case Opcode::If:
      case Opcode::Try:
        open.push_back(i);
        break;
      case Opcode::End:
      case Opcode::Delegate:
        open.pop_back();
        break;
      case Opcode::Rethrow:
        rethrown_[open[open.size() - 1 - instr.a]] = true;
        break;
      default:
        break;
    }
  }
}

// Where a pending exception goes from inside the outermost `frame_count` frames.
FunctionLowering::Block* FunctionLowering::HandlerFrom(size_t frame_count) {
  for (size_t i = frame_count; i > 0; --i) {
    Frame& frame = frames_[i - 1];
    if (frame.kind != FrameKind::kTry) continue;
    if (frame.dispatch == nullptr) frame.dispatch = NewBlock("dispatch");
    return frame.dispatch;
  }
  if (propagate_ == nullptr) {
    propagate_ = NewBlock("propagate");
    llvm::IRBuilder<> builder(propagate_);
    llvm::Type* result = llvm_function_->getReturnType();
    if (result->isVoidTy()) {
      builder.CreateRetVoid();
    } else {
      builder.CreateRet(llvm::Constant::getNullValue(result));
    }
  }
  return propagate_;
}

void FunctionLowering::TestPending() {
  Block* go_on = NewBlock("returned");
  Value* tag = LoadField(p_.ptr, kTagOffset);
  b_.CreateCondBr(b_.CreateIsNotNull(tag), HandlerFrom(frames_.size()), go_on, p_.unlikely);
  b_.SetInsertPoint(go_on);
}

FunctionLowering::Value* FunctionLowering::TagAt(uint32_t tag) {
  return LoadField(p_.ptr, module_.layout.tags + tag * sizeof(void*), true);
}

void FunctionLowering::OnCatch(const Instr& instr) {
  Frame& frame = frames_.back();
  if (reachable_) BranchTo(frame);
  if (frame.kind == FrameKind::kTry) {
    frame.kind = FrameKind::kCatch;
    frame.next_catch = frame.dispatch;
    if (frame.dispatch != nullptr && rethrown_[frame.begin]) {
      frame.saved = EntryAlloca(p_.i64, sizeof(Exception) / 8);
      b_.SetInsertPoint(frame.dispatch);
      b_.CreateMemCpyInline(frame.saved, llvm::Align(8), ContextField(offsetof(Context, exception)),
                            llvm::Align(8), b_.getInt64(sizeof(Exception)));
    }
  }
  values_.resize(frame.height);
  if (frame.next_catch == nullptr || frame.catches_all) {  // nothing throws in this try
    reachable_ = false;
    return;
  }
  b_.SetInsertPoint(frame.next_catch);
  if (instr.opcode == Opcode::Catch) {
    Block* body = NewBlock("catch");
    frame.next_catch = NewBlock("next_catch");
    Value* pending = LoadField(p_.ptr, kTagOffset);
    b_.CreateCondBr(b_.CreateICmpEQ(pending, TagAt(instr.a)), body, frame.next_catch);
    b_.SetInsertPoint(body);
    uint32_t slot = 0;
    for (const ValType type : module_.signatures[module_.tags[instr.a]].params) {
      Push(LoadSlot(p_, b_, ContextField(kSlotsOffset), slot, type));
      slot += SlotCount(type);
    }
  } else {
    frame.catches_all = true;
  }
  StorePlain(llvm::Constant::getNullValue(p_.ptr), ContextField(kTagOffset));
  reachable_ = true;
}

// What no catch of this try took goes on outside of it.
void FunctionLowering::FinishTry(Frame& frame) {
  Block* rest = frame.kind == FrameKind::kTry ? frame.dispatch : frame.next_catch;
  if (rest == nullptr || frame.catches_all) return;
  b_.SetInsertPoint(rest);
  b_.CreateBr(HandlerFrom(frames_.size()));
}

void FunctionLowering::OnDelegate(uint32_t depth) {
  if (reachable_) BranchTo(frames_.back());
  Frame frame = std::move(frames_.back());
  frames_.pop_back();
  if (frame.dispatch != nullptr) {
    b_.SetInsertPoint(frame.dispatch);
    b_.CreateBr(HandlerFrom(frames_.size() - depth));
  }
  values_.resize(frame.height);
  reachable_ = !llvm::pred_empty(frame.end);
  if (!reachable_) {
    frame.end->eraseFromParent();
    return;
  }
  b_.SetInsertPoint(frame.end);
  for (llvm::PHINode* phi : frame.end_phis) Push(phi);
}

void FunctionLowering::OnThrow(uint32_t tag) {
  const std::vector<Value*> payload = PopArguments(module_.signatures[module_.tags[tag]]);
  StoreSlots(p_, b_, ContextField(kSlotsOffset), payload);
  StorePlain(TagAt(tag), ContextField(kTagOffset));
  b_.CreateBr(HandlerFrom(frames_.size()));
  reachable_ = false;
}

void FunctionLowering::OnRethrow(uint32_t depth) {
  const Frame& frame = frames_[frames_.size() - 1 - depth];
  b_.CreateMemCpyInline(ContextField(offsetof(Context, exception)), llvm::Align(8), frame.saved,
                        llvm::Align(8), b_.getInt64(sizeof(Exception)));
  b_.CreateBr(HandlerFrom(frames_.size()));
  reachable_ = false;
}

}  // namespace cordon::wasm

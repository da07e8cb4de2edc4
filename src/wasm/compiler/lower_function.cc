#include <llvm/IR/Constants.h>

#include <algorithm>
#include <cstddef>

#include "wasm/compiler/lowering.h"

namespace cordon::wasm {

using wabt::Opcode;

FunctionLowering::FunctionLowering(Partition& partition, uint32_t index)
    : p_(partition),
      module_(partition.module),
      function_(partition.module.functions[index]),
      signature_(partition.module.SignatureOf(index)),
      llvm_function_(partition.FunctionAt(index)),
      b_(partition.context) {}

void FunctionLowering::Run() {
  Prepare();
  for (at_ = 0; at_ < function_.code.size(); ++at_) {
    if (!reachable_) {
      SkipUnreachable();
      if (at_ >= function_.code.size()) break;
    }
    Step(function_.code[at_]);
  }
}

void FunctionLowering::Prepare() {
  b_.SetInsertPoint(Block::Create(p_.context, "entry", llvm_function_));
  context_ = llvm_function_->getArg(0);
  for (size_t i = 0; i < signature_.params.size(); ++i) {
    llvm::Type* type = p_.TypeOf(signature_.params[i]);
    Value* local = b_.CreateAlloca(type);
    b_.CreateStore(llvm_function_->getArg(static_cast<unsigned>(i + 1)), local);
    locals_.push_back(local);
    local_types_.push_back(type);
  }
  for (const auto& [count, val_type] : function_.locals) {
    llvm::Type* type = p_.TypeOf(val_type);
    for (uint32_t i = 0; i < count; ++i) {
      Value* local = b_.CreateAlloca(type);
      b_.CreateStore(llvm::Constant::getNullValue(type), local);
      locals_.push_back(local);
      local_types_.push_back(type);
    }
  }
  if (module_.has_try) FindRethrows();
  Block* body = NewBlock("body");
  b_.CreateBr(body);
  b_.SetInsertPoint(body);
  PushFrame(FrameKind::kBlock, function_.signature);
  // The function's own frame has its results, and its parameters are locals.
  frames_.back().height = 0;
}

void FunctionLowering::Step(const Instr& instr) {
  // Ordered by how often code has them.
  if (StepMemory(instr) || StepInteger(instr) || StepControl(instr) || StepCall(instr) ||
      StepFloat(instr) || StepConversion(instr) || StepTable(instr) || StepAtomic(instr) ||
      StepVector(instr)) {
    return;
  }
  llvm::report_fatal_error("an instruction that is valid has no lowering");
}

FunctionLowering::Block* FunctionLowering::NewBlock(const char* name) {
  return Block::Create(p_.context, name, llvm_function_);
}

FunctionLowering::Value* FunctionLowering::ContextField(size_t offset) {
  return b_.CreateConstInBoundsGEP1_64(p_.i8, context_, offset);
}

llvm::LoadInst* FunctionLowering::LoadPlain(llvm::Type* type, Value* pointer) {
  const uint64_t bytes = type->isPointerTy() ? 8 : type->getPrimitiveSizeInBits() / 8;
  auto* load = b_.CreateAlignedLoad(type, pointer, llvm::Align(std::min<uint64_t>(bytes, 8)));
  load->setMetadata(llvm::LLVMContext::MD_tbaa, p_.context_tag);
  return load;
}

void FunctionLowering::StorePlain(Value* value, Value* pointer) {
  llvm::Type* type = value->getType();
  const uint64_t bytes = type->isPointerTy() ? 8 : type->getPrimitiveSizeInBits() / 8;
  b_.CreateAlignedStore(value, pointer, llvm::Align(std::min<uint64_t>(bytes, 8)))
      ->setMetadata(llvm::LLVMContext::MD_tbaa, p_.context_tag);
}

FunctionLowering::Value* FunctionLowering::LoadField(llvm::Type* type, size_t offset,
                                                     bool is_constant) {
  llvm::LoadInst* load = LoadPlain(type, ContextField(offset));
  if (is_constant) {
    load->setMetadata(llvm::LLVMContext::MD_invariant_load, llvm::MDNode::get(p_.context, {}));
  }
  return load;
}

FunctionLowering::Value* FunctionLowering::EntryAlloca(llvm::Type* type, uint64_t count) {
  llvm::BasicBlock& entry = llvm_function_->getEntryBlock();
  llvm::IRBuilder<> builder(&entry, entry.begin());
  return builder.CreateAlloca(type, builder.getInt32(static_cast<uint32_t>(count)));
}

FunctionLowering::Frame& FunctionLowering::PushFrame(FrameKind kind, uint32_t signature) {
  const Signature& types = module_.signatures[signature];
  Frame frame;
  frame.kind = kind;
  frame.signature = signature;
  frame.height = values_.size();
  if (!frames_.empty()) {
    frame.height -= types.params.size();
    frame.params.assign(values_.begin() + static_cast<ptrdiff_t>(frame.height), values_.end());
  }
  frame.begin = at_;
  frame.end = NewBlock("end");
  llvm::IRBuilder<> builder(frame.end);
  for (const ValType type : types.results) {
    frame.end_phis.push_back(builder.CreatePHI(p_.TypeOf(type), 2));
  }
  frames_.push_back(std::move(frame));
  return frames_.back();
}

// After a branch nothing is lowered up to the end, else or catch of the same block.
void FunctionLowering::SkipUnreachable() {
  size_t depth = 0;
  for (; at_ < function_.code.size(); ++at_) {
    switch (function_.code[at_].opcode) {
      case Opcode::Block:
      case Opcode::Loop:
      case Opcode::If:
      case Opcode::Try:
        ++depth;
        break;
      case Opcode::Else:
      case Opcode::Catch:
      case Opcode::CatchAll:
        if (depth == 0) return;
        break;
      case Opcode::End:
      case Opcode::Delegate:
        if (depth == 0) return;
        --depth;
        break;
      default:
        break;
    }
  }
}

bool FunctionLowering::StepControl(const Instr& instr) {
  switch (instr.opcode) {
    case Opcode::Block:
      PushFrame(FrameKind::kBlock, instr.a);
      return true;
    case Opcode::Loop:
      BeginLoop(PushFrame(FrameKind::kLoop, instr.a));
      return true;
    case Opcode::If:
      BeginIf(instr.a);
      return true;
    case Opcode::Try:
      PushFrame(FrameKind::kTry, instr.a);
      return true;
    case Opcode::Else:
      OnElse();
      return true;
    case Opcode::Catch:
    case Opcode::CatchAll:
      OnCatch(instr);
      return true;
    case Opcode::Delegate:
      OnDelegate(instr.a);
      return true;
    case Opcode::Throw:
      OnThrow(instr.a);
      return true;
    case Opcode::Rethrow:
      OnRethrow(instr.a);
      return true;
    case Opcode::End:
      OnEnd();
      return true;
    case Opcode::Br:
      Branch(instr.a);
      return true;
    case Opcode::BrIf:
      OnBrIf(instr.a);
      return true;
    case Opcode::BrTable:
      OnBrTable(instr);
      return true;
    case Opcode::Return:
      Return();
      return true;
    case Opcode::Unreachable:
      Trap(TrapCode::kUnreachable);
      return true;
    case Opcode::Drop:
      Pop();
      return true;
    case Opcode::Select: {
      Value* condition = b_.CreateIsNotNull(Pop());
      Value* otherwise = Pop();
      Value* value = Pop();
      Push(b_.CreateSelect(condition, value, otherwise));
      return true;
    }
    default:
      return false;
  }
}

void FunctionLowering::BeginLoop(Frame& frame) {
  frame.loop = NewBlock("loop");
  Block* from = b_.GetInsertBlock();
  b_.CreateBr(frame.loop);
  b_.SetInsertPoint(frame.loop);
  values_.resize(frame.height);
  for (Value* param : frame.params) {
    llvm::PHINode* phi = b_.CreatePHI(param->getType(), 2);
    phi->addIncoming(param, from);
    frame.loop_phis.push_back(phi);
    Push(phi);
  }
  if (module_.polls) Poll();
}

// The one place where a guest's signal handler can interrupt a computation.
void FunctionLowering::Poll() {
  Block* cold = NewBlock("poll");
  Block* go_on = NewBlock("polled");
  auto* word = b_.CreateAlignedLoad(p_.i32, LoadField(p_.ptr, offsetof(Context, poll_word), true),
                                    llvm::Align(4), true);
  b_.CreateCondBr(b_.CreateIsNotNull(word), cold, go_on, p_.unlikely);
  b_.SetInsertPoint(cold);
  Value* poll = LoadField(p_.ptr, offsetof(Context, poll));
  auto* type = llvm::FunctionType::get(p_.void_type, {p_.ptr}, false);
  p_.MarkCall(b_.CreateCall(type, poll, {context_}), false);
  if (module_.exceptions) TestPending();
  b_.CreateBr(go_on);
  b_.SetInsertPoint(go_on);
}

void FunctionLowering::BeginIf(uint32_t signature) {
  Value* condition = b_.CreateIsNotNull(Pop());
  Frame& frame = PushFrame(FrameKind::kIf, signature);
  Block* then = NewBlock("then");
  frame.otherwise = NewBlock("else");
  b_.CreateCondBr(condition, then, frame.otherwise);
  b_.SetInsertPoint(then);
}

void FunctionLowering::OnElse() {
  Frame& frame = frames_.back();
  if (reachable_) BranchTo(frame);
  frame.kind = FrameKind::kElse;
  values_.resize(frame.height);
  for (Value* param : frame.params) Push(param);
  b_.SetInsertPoint(frame.otherwise);
  frame.otherwise = nullptr;
  reachable_ = true;
}

void FunctionLowering::OnEnd() {
  if (reachable_) BranchTo(frames_.back());
  Frame frame = std::move(frames_.back());
  frames_.pop_back();
  if (frame.otherwise != nullptr) {  // an if without else passes its parameters on
    b_.SetInsertPoint(frame.otherwise);
    values_.resize(frame.height);
    for (Value* param : frame.params) Push(param);
    BranchTo(frame);
  }
  FinishTry(frame);
  values_.resize(frame.height);
  reachable_ = !llvm::pred_empty(frame.end);
  if (!reachable_) {
    frame.end->eraseFromParent();
    return;
  }
  b_.SetInsertPoint(frame.end);
  for (llvm::PHINode* phi : frame.end_phis) Push(phi);
  if (frames_.empty()) EmitReturn();
}

// Goes to the end of a frame with the values on top of the stack, which stay there.
void FunctionLowering::BranchTo(Frame& frame) {
  const auto& phis = frame.end_phis;
  Block* from = b_.GetInsertBlock();
  for (size_t i = 0; i < phis.size(); ++i) {
    phis[i]->addIncoming(values_[values_.size() - phis.size() + i], from);
  }
  b_.CreateBr(frame.end);
  reachable_ = false;
}

void FunctionLowering::Branch(uint32_t depth) {
  Frame& frame = frames_[frames_.size() - 1 - depth];
  if (frame.kind != FrameKind::kLoop) {
    BranchTo(frame);
    return;
  }
  const auto& phis = frame.loop_phis;
  Block* from = b_.GetInsertBlock();
  for (size_t i = 0; i < phis.size(); ++i) {
    phis[i]->addIncoming(values_[values_.size() - phis.size() + i], from);
  }
  b_.CreateBr(frame.loop);
  reachable_ = false;
}

void FunctionLowering::OnBrIf(uint32_t depth) {
  Value* condition = b_.CreateIsNotNull(Pop());
  Block* taken = NewBlock("taken");
  Block* go_on = NewBlock("go_on");
  b_.CreateCondBr(condition, taken, go_on);
  b_.SetInsertPoint(taken);
  Branch(depth);
  b_.SetInsertPoint(go_on);
  reachable_ = true;
}

void FunctionLowering::OnBrTable(const Instr& instr) {
  Value* index = Pop();
  const uint64_t count = instr.b - 1;
  const uint64_t* depths = function_.pool.data() + instr.a;
  // One block for each distinct target, which carries the values.
  std::unordered_map<uint64_t, Block*> blocks;
  const auto block_of = [&](uint64_t depth) {
    Block*& block = blocks[depth];
    if (block == nullptr) block = NewBlock("case");
    return block;
  };
  llvm::SwitchInst* table =
      b_.CreateSwitch(index, block_of(depths[count]), static_cast<unsigned>(count));
  for (uint64_t i = 0; i < count; ++i) {
    table->addCase(b_.getInt32(static_cast<uint32_t>(i)), block_of(depths[i]));
  }
  // In the order of the table, so that the code does not depend on the hash.
  for (uint64_t i = 0; i <= count; ++i) {
    const auto at = blocks.find(depths[i]);
    if (at == blocks.end()) continue;
    b_.SetInsertPoint(at->second);
    Branch(static_cast<uint32_t>(depths[i]));
    blocks.erase(at);
  }
  reachable_ = false;
}

void FunctionLowering::Return() {
  BranchTo(frames_.front());
}

void FunctionLowering::EmitReturn() {
  const size_t count = signature_.results.size();
  if (count == 1) {
    b_.CreateRet(Pop());
    return;
  }
  if (count > 1) StoreSlots(p_, b_, ContextField(module_.layout.results), values_);
  values_.clear();
  b_.CreateRetVoid();
}

FunctionLowering::Block* FunctionLowering::TrapBlock(TrapCode code) {
  Block*& block = trap_blocks_[static_cast<uint32_t>(code)];
  if (block == nullptr) {
    block = NewBlock("trap");
    llvm::IRBuilder<> builder(block);
    auto* call = builder.CreateIntrinsic(llvm::Intrinsic::ubsantrap, {},
                                         {builder.getInt8(static_cast<uint8_t>(code))});
    call->setDoesNotReturn();
    builder.CreateUnreachable();
  }
  return block;
}

void FunctionLowering::TrapIf(Value* condition, TrapCode code) {
  Block* go_on = NewBlock("ok");
  b_.CreateCondBr(condition, TrapBlock(code), go_on, p_.unlikely);
  b_.SetInsertPoint(go_on);
}

void FunctionLowering::Trap(TrapCode code) {
  b_.CreateBr(TrapBlock(code));
  reachable_ = false;
}

}  // namespace cordon::wasm

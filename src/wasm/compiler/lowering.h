#ifndef CORDON_WASM_COMPILER_LOWERING_H_
#define CORDON_WASM_COMPILER_LOWERING_H_

// From validated functions to LLVM IR. A partition is a group of functions that one thread lowers
// and compiles in an LLVM context of its own; functions of other partitions are only declared.

#include <llvm/IR/IRBuilder.h>
#include <llvm/IR/LLVMContext.h>
#include <llvm/IR/Module.h>

#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "wasm/compiler/module.h"

namespace cordon::wasm {

class Partition {
 public:
  Partition(const Module& module, Tier tier, CpuLevel cpu_level, const std::string& name);

  void LowerFunction(uint32_t index);
  void LowerAdapter(uint32_t signature);
  [[nodiscard]] llvm::Module& llvm_module() { return *llvm_module_; }

  // The rest is for FunctionLowering.
  const Module& module;
  const Tier tier;
  llvm::LLVMContext context;
  llvm::Type* const i8;
  llvm::Type* const i16;
  llvm::Type* const i32;
  llvm::Type* const i64;
  llvm::Type* const f32;
  llvm::Type* const f64;
  llvm::Type* const v128;  // <2 x i64>
  llvm::PointerType* const ptr;
  llvm::Type* const void_type;
  llvm::MDNode* memory_tag = nullptr;   // TBAA of linear memory
  llvm::MDNode* context_tag = nullptr;  // TBAA of everything else
  llvm::MDNode* unlikely = nullptr;

  [[nodiscard]] llvm::Type* TypeOf(ValType type) const;
  [[nodiscard]] llvm::FunctionType* FunctionTypeOf(const Signature& signature) const;
  // The convention of calls between wasm functions of this object.
  [[nodiscard]] llvm::CallingConv::ID Convention() const;
  llvm::Function* FunctionAt(uint32_t index);
  void MarkCall(llvm::CallInst* call, bool has_context) const;

 private:
  void AddAttributes(llvm::Function* function) const;
  void LowerImport(uint32_t index);

  CpuLevel cpu_level_;
  std::unique_ptr<llvm::Module> llvm_module_;
  std::unordered_map<uint32_t, llvm::Function*> functions_;
};

[[nodiscard]] std::string FunctionSymbol(uint32_t index);
[[nodiscard]] std::string AdapterSymbol(uint32_t signature);

// Lowers one function: a stack of values, a stack of control frames, one pass over the code.
class FunctionLowering {
 public:
  FunctionLowering(Partition& partition, uint32_t index);
  void Run();

 private:
  using Value = llvm::Value;
  using Block = llvm::BasicBlock;
  enum class FrameKind { kBlock, kLoop, kIf, kElse, kTry, kCatch };
  struct Frame {
    FrameKind kind = FrameKind::kBlock;
    uint32_t signature = 0;
    size_t height = 0;     // of the stack below the parameters
    Block* end = nullptr;  // also what a branch to it means, except for loops
    Block* loop = nullptr;
    Block* otherwise = nullptr;  // of an if
    std::vector<llvm::PHINode*> end_phis;
    std::vector<llvm::PHINode*> loop_phis;
    std::vector<Value*> params;
    Block* dispatch = nullptr;    // of a try: where a pending exception goes
    Block* next_catch = nullptr;  // where the test of the next catch begins
    bool catches_all = false;
    size_t begin = 0;        // instruction
    Value* saved = nullptr;  // the exception that a catch took, if it is thrown again
  };

  // lower_function.cc: control
  void Prepare();
  void Step(const Instr& instr);
  bool StepControl(const Instr& instr);
  void SkipUnreachable();
  Frame& PushFrame(FrameKind kind, uint32_t signature);
  void BeginLoop(Frame& frame);
  void BeginIf(uint32_t signature);
  void OnElse();
  void OnEnd();
  void Branch(uint32_t depth);
  void BranchTo(Frame& frame);
  void OnBrIf(uint32_t depth);
  void OnBrTable(const Instr& instr);
  void Return();
  void EmitReturn();
  Block* NewBlock(const char* name);
  void TrapIf(Value* condition, TrapCode code);
  void Trap(TrapCode code);
  Block* TrapBlock(TrapCode code);
  void Poll();

  // lower_exception.cc
  void FindRethrows();
  Block* HandlerFrom(size_t frame_count);
  void TestPending();
  void OnCatch(const Instr& instr);
  void OnDelegate(uint32_t depth);
  void FinishTry(Frame& frame);
  void OnThrow(uint32_t tag);
  void OnRethrow(uint32_t depth);
  Value* TagAt(uint32_t tag);

  // lower_call.cc
  bool StepCall(const Instr& instr);
  void OnCall(uint32_t function, bool tail);
  void OnCallIndirect(const Instr& instr, bool tail);
  Value* TableElement(uint32_t table, Value* index, TrapCode trap);
  Value* TableSize(uint32_t table);
  void FinishCall(llvm::CallInst* call, const Signature& signature, bool may_throw);
  void PushResults(llvm::CallInst* call, const Signature& signature);
  void SlowCall(Value* funcref, const std::vector<Value*>& arguments, uint32_t signature);
  std::vector<Value*> PopArguments(const Signature& signature);
  Value* Runtime(size_t offset, llvm::Type* result, llvm::ArrayRef<Value*> arguments);

  // lower_memory.cc
  bool StepMemory(const Instr& instr);
  bool StepTable(const Instr& instr);
  bool StepAtomic(const Instr& instr);
  bool StepVectorMemory(const Instr& instr);
  Value* Address(Value* index, uint64_t offset);
  Value* Load(llvm::Type* type, Value* address);
  void Store(Value* value, Value* address);
  void LoadOp(const Instr& instr, llvm::Type* memory_type, llvm::Type* result, bool is_signed);
  void StoreOp(const Instr& instr, llvm::Type* memory_type);
  Value* AtomicAddress(uint64_t offset, uint64_t size);
  void OnAtomicRmw(const Instr& instr);
  // The same value, of which LLVM does not know where it comes from.
  Value* Opaque(Value* value);
  void OnAtomicWait(const Instr& instr);
  void OnMemoryCopy();
  Value* GlobalPointer(uint32_t index, llvm::Type** type);

  // lower_numeric.cc
  bool StepNumeric(const Instr& instr);
  bool StepInteger(const Instr& instr);
  bool StepFloat(const Instr& instr);
  bool StepConversion(const Instr& instr);
  void Divide(bool is_signed, bool remainder);
  void Shift(llvm::Instruction::BinaryOps op);
  void Rotate(llvm::Intrinsic::ID id);
  void Compare(llvm::CmpInst::Predicate predicate);
  Value* FloatBinary(unsigned op, Value* left, Value* right);
  Value* FloatMinMax(bool is_max, Value* left, Value* right);
  void Truncate(llvm::Type* to, bool is_signed);
  void TruncateSaturating(llvm::Type* to, bool is_signed);
  Value* Unary(llvm::Intrinsic::ID id, Value* value);
  Value* Binary(llvm::Intrinsic::ID id, Value* left, Value* right);

  // lower_simd.cc, lower_simd_arithmetic.cc
  bool StepVector(const Instr& instr);
  bool StepVectorLanes(const Instr& instr);
  bool StepVectorInteger(const Instr& instr);
  bool StepVectorWiden(const Instr& instr);
  bool StepVectorFloat(const Instr& instr);
  llvm::FixedVectorType* Lanes(unsigned bits) const;
  llvm::FixedVectorType* FloatLanes(unsigned bits) const;
  Value* PopAs(llvm::Type* type);
  void PushVector(Value* value);
  Value* Half(Value* vector, bool high);
  Value* Extend(Value* vector, bool is_signed);
  void VectorShift(unsigned bits, llvm::Instruction::BinaryOps op);
  void VectorCompare(llvm::Type* type, llvm::CmpInst::Predicate predicate);

  // The stack.
  void Push(Value* value) { values_.push_back(value); }
  Value* Pop() {
    Value* value = values_.back();
    values_.pop_back();
    return value;
  }
  // Context fields.
  Value* ContextField(size_t offset);
  Value* LoadField(llvm::Type* type, size_t offset, bool is_constant = false);
  llvm::LoadInst* LoadPlain(llvm::Type* type, Value* pointer);
  void StorePlain(Value* value, Value* pointer);
  Value* EntryAlloca(llvm::Type* type, uint64_t count);
  Value* ToSlot(Value* value);

  Partition& p_;
  const Module& module_;
  const Function& function_;
  const Signature& signature_;
  llvm::Function* llvm_function_;
  llvm::IRBuilder<> b_;
  Value* context_ = nullptr;
  std::vector<Value*> locals_;
  std::vector<llvm::Type*> local_types_;
  std::vector<Value*> values_;
  std::vector<Frame> frames_;
  std::unordered_map<uint32_t, Block*> trap_blocks_;
  Block* propagate_ = nullptr;
  std::vector<bool> rethrown_;  // by index of the try instruction
  size_t at_ = 0;               // instruction
  bool reachable_ = true;
};

// A slot array's access: how a value lies in 64-bit slots.
void StoreSlots(Partition& partition, llvm::IRBuilder<>& builder, llvm::Value* slots,
                const std::vector<llvm::Value*>& values);
llvm::Value* LoadSlot(Partition& partition, llvm::IRBuilder<>& builder, llvm::Value* slots,
                      uint32_t slot, ValType type);

}  // namespace cordon::wasm

#endif  // CORDON_WASM_COMPILER_LOWERING_H_

#include <llvm/IR/Constants.h>

#include <algorithm>
#include <cstddef>

#include "wasm/compiler/lowering.h"

namespace cordon::wasm {

using wabt::Opcode;

bool FunctionLowering::StepCall(const Instr& instr) {
  switch (instr.opcode) {
    case Opcode::Call:
      OnCall(instr.a, false);
      return true;
    case Opcode::ReturnCall:
      OnCall(instr.a, true);
      return true;
    case Opcode::CallIndirect:
      OnCallIndirect(instr, false);
      return true;
    case Opcode::ReturnCallIndirect:
      OnCallIndirect(instr, true);
      return true;
    default:
      return false;
  }
}

std::vector<FunctionLowering::Value*> FunctionLowering::PopArguments(const Signature& signature) {
  std::vector<Value*> arguments(values_.end() - static_cast<ptrdiff_t>(signature.params.size()),
                                values_.end());
  values_.resize(values_.size() - signature.params.size());
  return arguments;
}

void FunctionLowering::PushResults(llvm::CallInst* call, const Signature& signature) {
  if (signature.results.size() == 1) {
    Push(call);
    return;
  }
  uint32_t slot = 0;
  for (const ValType type : signature.results) {
    Push(LoadSlot(p_, b_, ContextField(module_.layout.results), slot, type));
    slot += SlotCount(type);
  }
}

void FunctionLowering::FinishCall(llvm::CallInst* call, const Signature& signature,
                                  bool may_throw) {
  p_.MarkCall(call, true);
  if (may_throw) TestPending();
  PushResults(call, signature);
}

void FunctionLowering::OnCall(uint32_t function, bool tail) {
  const Signature& signature = module_.SignatureOf(function);
  std::vector<Value*> arguments = PopArguments(signature);
  arguments.insert(arguments.begin(), context_);
  llvm::CallInst* call = b_.CreateCall(p_.FunctionAt(function), arguments);
  if (!tail) {
    FinishCall(call, signature, module_.may_throw[function]);
    return;
  }
  p_.MarkCall(call, true);
  call->setTailCallKind(llvm::CallInst::TCK_MustTail);
  if (call->getType()->isVoidTy()) {
    b_.CreateRetVoid();
  } else {
    b_.CreateRet(call);
  }
  reachable_ = false;
}

FunctionLowering::Value* FunctionLowering::TableSize(uint32_t table) {
  const TableDef& definition = module_.tables[table];
  if (table >= module_.imported_tables && !definition.grows && !definition.exported) {
    return b_.getInt32(definition.min);
  }
  Value* pointer = LoadField(p_.ptr, module_.layout.tables + table * sizeof(void*), true);
  return LoadPlain(p_.i32, b_.CreateConstInBoundsGEP1_64(p_.i8, pointer, offsetof(Table, size)));
}

// The address of an element, after the check of the index.
FunctionLowering::Value* FunctionLowering::TableElement(uint32_t table, Value* index,
                                                        TrapCode trap) {
  TrapIf(b_.CreateICmpUGE(index, TableSize(table)), trap);
  Value* wide = b_.CreateZExt(index, p_.i64);
  if (table >= module_.imported_tables) {
    // The elements of own tables never move: they are part of the instance.
    uint64_t offset = module_.layout.elements;
    for (uint32_t i = module_.imported_tables; i < table; ++i) {
      offset += module_.tables[i].capacity * sizeof(uint64_t);
    }
    return b_.CreateGEP(p_.i64, ContextField(offset), wide);
  }
  Value* pointer = LoadField(p_.ptr, module_.layout.tables + table * sizeof(void*), true);
  Value* elements =
      LoadPlain(p_.ptr, b_.CreateConstInBoundsGEP1_64(p_.i8, pointer, offsetof(Table, elements)));
  return b_.CreateGEP(p_.i64, elements, wide);
}

// The call by slots: another type (lenient modules) or another instance. Its results are stored in
// the result area, as the phi-free meeting point of both kinds of calls.
void FunctionLowering::SlowCall(Value* funcref, const std::vector<Value*>& arguments,
                                uint32_t signature_index) {
  const Signature& signature = module_.signatures[signature_index];
  uint32_t params = 0;
  uint32_t results = 0;
  for (const ValType type : signature.params) params += SlotCount(type);
  for (const ValType type : signature.results) results += SlotCount(type);
  Value* slots = EntryAlloca(p_.i64, std::max({params, results, 1u}));
  StoreSlots(p_, b_, slots, arguments);
  constexpr size_t kOffset = offsetof(Context, runtime) + offsetof(RuntimeFunctions, call_slow);
  Value* status =
      Runtime(kOffset, p_.i32, {context_, funcref, slots, b_.getInt32(signature_index)});
  TrapIf(b_.CreateIsNotNull(status), TrapCode::kIndirectCallTypeMismatch);
  Value* area = ContextField(module_.layout.results);
  for (uint32_t i = 0; i < results; ++i) {
    StorePlain(LoadPlain(p_.i64, b_.CreateConstInBoundsGEP1_32(p_.i64, slots, i)),
               b_.CreateConstInBoundsGEP1_32(p_.i64, area, i));
  }
}

void FunctionLowering::OnCallIndirect(const Instr& instr, bool tail) {
  const Signature& signature = module_.signatures[instr.a];
  Value* element = TableElement(static_cast<uint32_t>(instr.b), Pop(), TrapCode::kUndefinedElement);
  std::vector<Value*> arguments = PopArguments(signature);
  Value* funcref = LoadPlain(p_.ptr, element);
  const auto field = [&](llvm::Type* type, size_t offset) {
    return LoadPlain(type, b_.CreateConstGEP1_64(p_.i8, funcref, offset));
  };
  // A null element faults here, in the first page: the trap is the handler's.
  llvm::LoadInst* type_id = field(p_.i32, offsetof(FuncRef, type_id));
  type_id->setVolatile(true);
  Value* expected = LoadField(p_.i32, module_.layout.type_ids + instr.a * sizeof(uint32_t), true);
  const bool slow_possible = module_.lenient || module_.foreign_calls;
  Block* slow = nullptr;
  if (!slow_possible) {
    TrapIf(b_.CreateICmpNE(type_id, expected), TrapCode::kIndirectCallTypeMismatch);
  } else {
    slow = NewBlock("slow_call");
    Block* fast = NewBlock("fast_call");
    Value* differs = b_.CreateICmpNE(type_id, expected);
    if (module_.foreign_calls) {
      Value* owner = field(p_.ptr, offsetof(FuncRef, context));
      differs = b_.CreateOr(differs, b_.CreateICmpNE(owner, context_));
    }
    b_.CreateCondBr(differs, slow, fast, p_.unlikely);
    b_.SetInsertPoint(fast);
  }
  Value* code = field(p_.ptr, offsetof(FuncRef, code));
  std::vector<Value*> native = arguments;
  native.insert(native.begin(), context_);
  llvm::CallInst* call = b_.CreateCall(p_.FunctionTypeOf(signature), code, native);
  p_.MarkCall(call, true);
  Value* single = call->getType()->isVoidTy() ? nullptr : call;
  if (tail) {
    call->setTailCallKind(llvm::CallInst::TCK_MustTail);
    if (single == nullptr) {
      b_.CreateRetVoid();
    } else {
      b_.CreateRet(single);
    }
  }
  if (slow != nullptr) {
    Block* fast_end = b_.GetInsertBlock();
    Block* join = NewBlock("called");
    if (!tail) b_.CreateBr(join);
    b_.SetInsertPoint(slow);
    SlowCall(funcref, arguments, instr.a);
    Value* slow_single = single == nullptr ? nullptr
                                           : LoadSlot(p_, b_, ContextField(module_.layout.results),
                                                      0, signature.results[0]);
    Block* slow_end = b_.GetInsertBlock();
    b_.CreateBr(join);
    b_.SetInsertPoint(join);
    if (single != nullptr) {
      llvm::PHINode* phi = b_.CreatePHI(single->getType(), 2);
      if (!tail) phi->addIncoming(single, fast_end);
      phi->addIncoming(slow_single, slow_end);
      single = phi;
    }
    if (tail) {
      if (single == nullptr) {
        b_.CreateRetVoid();
      } else {
        b_.CreateRet(single);
      }
    }
  }
  if (tail) {
    reachable_ = false;
    return;
  }
  if (module_.exceptions) TestPending();
  if (single != nullptr) {
    Push(single);
  } else {
    PushResults(nullptr, signature);
  }
}

FunctionLowering::Value* FunctionLowering::Runtime(size_t offset, llvm::Type* result,
                                                   llvm::ArrayRef<Value*> arguments) {
  std::vector<llvm::Type*> types;
  for (const Value* argument : arguments) types.push_back(argument->getType());
  auto* type = llvm::FunctionType::get(result, types, false);
  llvm::CallInst* call = b_.CreateCall(type, LoadField(p_.ptr, offset), arguments);
  p_.MarkCall(call, false);
  return call;
}

}  // namespace cordon::wasm

#include <llvm/IR/Constants.h>
#include <llvm/IR/InlineAsm.h>
#include <llvm/IR/PatternMatch.h>

#include <cstddef>

#include "wasm/compiler/lowering.h"

namespace cordon::wasm {

using wabt::Opcode;

namespace {

constexpr unsigned kGsAddressSpace = 256;

// A sum that wraps by no more than this is an address in the last 64 KiB below 4 GiB, which no
// memory has.
constexpr int64_t kLeastDisplacement = -65536;

constexpr size_t RuntimeOffset(size_t field) {
  return offsetof(Context, runtime) + field;
}

}  // namespace

// The one place that knows how linear memory is addressed. The sum cannot leave the reservation:
// both parts are below 4 GiB. The fast tier has no segments (FastISel), it loads the base.
FunctionLowering::Value* FunctionLowering::Address(Value* index, uint64_t offset) {
  // p[-1]: as a displacement. Where the sum would wrap, it lies below the base and traps there, as
  // it would in the last 64 KiB. A static offset behind the sum could lead back into memory.
  Value* base = nullptr;
  const llvm::APInt* displacement = nullptr;
  if (offset == 0 &&
      llvm::PatternMatch::match(
          index, llvm::PatternMatch::m_Add(llvm::PatternMatch::m_Value(base),
                                           llvm::PatternMatch::m_APInt(displacement))) &&
      displacement->isNegative() && displacement->getSExtValue() >= kLeastDisplacement) {
    index = base;
  } else {
    displacement = nullptr;
  }
  Value* address = b_.CreateZExt(index, p_.i64);
  if (displacement != nullptr) {
    address = b_.CreateAdd(
        address, b_.getInt64(static_cast<uint64_t>(displacement->getSExtValue())), "", false, true);
  }
  if (offset != 0) address = b_.CreateAdd(address, b_.getInt64(offset), "", true, true);
  if (p_.tier == Tier::kFast) {
    return b_.CreateGEP(p_.i8, LoadField(p_.ptr, offsetof(Context, memory_base)), address);
  }
  return b_.CreateIntToPtr(address, llvm::PointerType::get(p_.context, kGsAddressSpace));
}

// Volatile: an access that traps is observable, so none may be dropped, merged or moved over
// another. Alignment 1: what the module claims is a hint.
FunctionLowering::Value* FunctionLowering::Load(llvm::Type* type, Value* address) {
  auto* load = b_.CreateAlignedLoad(type, address, llvm::Align(1), true);
  load->setMetadata(llvm::LLVMContext::MD_tbaa, p_.memory_tag);
  return load;
}

void FunctionLowering::Store(Value* value, Value* address) {
  b_.CreateAlignedStore(value, address, llvm::Align(1), true)
      ->setMetadata(llvm::LLVMContext::MD_tbaa, p_.memory_tag);
}

void FunctionLowering::LoadOp(const Instr& instr, llvm::Type* memory_type, llvm::Type* result,
                              bool is_signed) {
  Value* value = Load(memory_type, Address(Pop(), instr.b));
  if (memory_type != result) {
    value = is_signed ? b_.CreateSExt(value, result) : b_.CreateZExt(value, result);
  }
  Push(value);
}

void FunctionLowering::StoreOp(const Instr& instr, llvm::Type* memory_type) {
  Value* value = Pop();
  if (value->getType() != memory_type) value = b_.CreateTrunc(value, memory_type);
  Store(value, Address(Pop(), instr.b));
}

FunctionLowering::Value* FunctionLowering::GlobalPointer(uint32_t index, llvm::Type** type) {
  *type = p_.TypeOf(module_.globals[index].type);
  if (index < module_.imported_globals) {
    return LoadField(p_.ptr, module_.layout.imported_globals + index * sizeof(void*), true);
  }
  return ContextField(module_.layout.globals +
                      (index - module_.imported_globals) * sizeof(GlobalCell));
}

bool FunctionLowering::StepMemory(const Instr& instr) {
  switch (instr.opcode) {
    case Opcode::LocalGet:
      Push(b_.CreateLoad(local_types_[instr.a], locals_[instr.a]));
      return true;
    case Opcode::LocalSet:
      b_.CreateStore(Pop(), locals_[instr.a]);
      return true;
    case Opcode::LocalTee:
      b_.CreateStore(values_.back(), locals_[instr.a]);
      return true;
    case Opcode::GlobalGet: {
      llvm::Type* type;
      Value* pointer = GlobalPointer(instr.a, &type);
      Push(LoadPlain(type, pointer));
      return true;
    }
    case Opcode::GlobalSet: {
      llvm::Type* type;
      Value* pointer = GlobalPointer(instr.a, &type);
      StorePlain(Pop(), pointer);
      return true;
    }
    case Opcode::I32Load:
      LoadOp(instr, p_.i32, p_.i32, false);
      return true;
    case Opcode::I64Load:
      LoadOp(instr, p_.i64, p_.i64, false);
      return true;
    case Opcode::F32Load:
      LoadOp(instr, p_.f32, p_.f32, false);
      return true;
    case Opcode::F64Load:
      LoadOp(instr, p_.f64, p_.f64, false);
      return true;
    case Opcode::I32Load8S:
      LoadOp(instr, p_.i8, p_.i32, true);
      return true;
    case Opcode::I32Load8U:
      LoadOp(instr, p_.i8, p_.i32, false);
      return true;
    case Opcode::I32Load16S:
      LoadOp(instr, p_.i16, p_.i32, true);
      return true;
    case Opcode::I32Load16U:
      LoadOp(instr, p_.i16, p_.i32, false);
      return true;
    case Opcode::I64Load8S:
      LoadOp(instr, p_.i8, p_.i64, true);
      return true;
    case Opcode::I64Load8U:
      LoadOp(instr, p_.i8, p_.i64, false);
      return true;
    case Opcode::I64Load16S:
      LoadOp(instr, p_.i16, p_.i64, true);
      return true;
    case Opcode::I64Load16U:
      LoadOp(instr, p_.i16, p_.i64, false);
      return true;
    case Opcode::I64Load32S:
      LoadOp(instr, p_.i32, p_.i64, true);
      return true;
    case Opcode::I64Load32U:
      LoadOp(instr, p_.i32, p_.i64, false);
      return true;
    case Opcode::I32Store:
      StoreOp(instr, p_.i32);
      return true;
    case Opcode::I64Store:
      StoreOp(instr, p_.i64);
      return true;
    case Opcode::F32Store:
      StoreOp(instr, p_.f32);
      return true;
    case Opcode::F64Store:
      StoreOp(instr, p_.f64);
      return true;
    case Opcode::I32Store8:
    case Opcode::I64Store8:
      StoreOp(instr, p_.i8);
      return true;
    case Opcode::I32Store16:
    case Opcode::I64Store16:
      StoreOp(instr, p_.i16);
      return true;
    case Opcode::I64Store32:
      StoreOp(instr, p_.i32);
      return true;
    case Opcode::MemorySize: {
      Value* memory = LoadField(p_.ptr, offsetof(Context, memory), true);
      Value* size = LoadPlain(
          p_.i64, b_.CreateConstInBoundsGEP1_64(p_.i8, memory, offsetof(Memory, size_bytes)));
      Push(b_.CreateTrunc(b_.CreateLShr(size, 16), p_.i32));
      return true;
    }
    case Opcode::MemoryGrow:
      Push(Runtime(offsetof(Context, memory_grow), p_.i32, {context_, Pop()}));
      return true;
    case Opcode::MemoryCopy:
      OnMemoryCopy();
      return true;
    case Opcode::MemoryFill: {
      Value* size = Pop();
      Value* value = Pop();
      Value* to = Pop();
      Value* status = Runtime(RuntimeOffset(offsetof(RuntimeFunctions, memory_fill)), p_.i32,
                              {context_, to, value, size});
      TrapIf(b_.CreateIsNotNull(status), TrapCode::kOutOfBoundsMemory);
      return true;
    }
    case Opcode::MemoryInit: {
      Value* size = Pop();
      Value* from = Pop();
      Value* to = Pop();
      Value* status = Runtime(RuntimeOffset(offsetof(RuntimeFunctions, memory_init)), p_.i32,
                              {context_, b_.getInt32(instr.a), to, from, size});
      TrapIf(b_.CreateIsNotNull(status), TrapCode::kOutOfBoundsMemory);
      return true;
    }
    case Opcode::DataDrop:
      StorePlain(b_.getInt8(1), ContextField(module_.layout.dropped_data + instr.a));
      return true;
    default:
      return false;
  }
}

void FunctionLowering::OnMemoryCopy() {
  Value* size = Pop();
  Value* from = Pop();
  Value* to = Pop();
  Value* status = Runtime(RuntimeOffset(offsetof(RuntimeFunctions, memory_copy)), p_.i32,
                          {context_, to, from, size});
  TrapIf(b_.CreateIsNotNull(status), TrapCode::kOutOfBoundsMemory);
}

bool FunctionLowering::StepTable(const Instr& instr) {
  switch (instr.opcode) {
    case Opcode::TableGet:
      Push(LoadPlain(p_.i64, TableElement(instr.a, Pop(), TrapCode::kOutOfBoundsTable)));
      return true;
    case Opcode::TableSet: {
      Value* value = Pop();
      Value* element = TableElement(instr.a, Pop(), TrapCode::kOutOfBoundsTable);
      StorePlain(value, element);
      return true;
    }
    case Opcode::TableSize:
      Push(TableSize(instr.a));
      return true;
    case Opcode::TableGrow: {
      Value* count = Pop();
      Value* value = Pop();
      Push(Runtime(RuntimeOffset(offsetof(RuntimeFunctions, table_grow)), p_.i32,
                   {context_, b_.getInt32(instr.a), value, count}));
      return true;
    }
    case Opcode::TableFill: {
      Value* count = Pop();
      Value* value = Pop();
      Value* to = Pop();
      Value* status = Runtime(RuntimeOffset(offsetof(RuntimeFunctions, table_fill)), p_.i32,
                              {context_, b_.getInt32(instr.a), to, value, count});
      TrapIf(b_.CreateIsNotNull(status), TrapCode::kOutOfBoundsTable);
      return true;
    }
    case Opcode::TableCopy:
    case Opcode::TableInit: {
      Value* count = Pop();
      Value* from = Pop();
      Value* to = Pop();
      const bool copy = instr.opcode == Opcode::TableCopy;
      Value* first = b_.getInt32(copy ? instr.a : static_cast<uint32_t>(instr.b));
      Value* second = b_.getInt32(copy ? static_cast<uint32_t>(instr.b) : instr.a);
      const size_t offset =
          copy ? offsetof(RuntimeFunctions, table_copy) : offsetof(RuntimeFunctions, table_init);
      Value* status =
          Runtime(RuntimeOffset(offset), p_.i32, {context_, first, second, to, from, count});
      TrapIf(b_.CreateIsNotNull(status), TrapCode::kOutOfBoundsTable);
      return true;
    }
    case Opcode::ElemDrop:
      StorePlain(b_.getInt8(1), ContextField(module_.layout.dropped_elements + instr.a));
      return true;
    case Opcode::RefNull:
      Push(b_.getInt64(0));
      return true;
    case Opcode::RefIsNull:
      Push(b_.CreateZExt(b_.CreateIsNull(Pop()), p_.i32));
      return true;
    case Opcode::RefFunc: {
      const uint64_t offset =
          module_.layout.funcrefs + uint64_t{module_.funcref_of[instr.a]} * sizeof(FuncRef);
      Push(b_.CreatePtrToInt(ContextField(offset), p_.i64));
      return true;
    }
    default:
      return false;
  }
}

// Atomics: the same addresses, with a check of alignment.
FunctionLowering::Value* FunctionLowering::AtomicAddress(uint64_t offset, uint64_t size) {
  Value* index = Pop();
  if (size > 1) {
    Value* low =
        b_.CreateTrunc(b_.CreateAdd(b_.CreateZExt(index, p_.i64), b_.getInt64(offset)), p_.i32);
    Value* rest = b_.CreateAnd(low, static_cast<uint32_t>(size - 1));
    TrapIf(b_.CreateIsNotNull(rest), TrapCode::kUnalignedAtomic);
  }
  return Address(index, offset);
}

void FunctionLowering::OnAtomicWait(const Instr& instr) {
  const bool notify = instr.opcode == Opcode::MemoryAtomicNotify;
  const bool wide = instr.opcode == Opcode::MemoryAtomicWait64;
  Value* timeout = notify ? nullptr : Pop();
  Value* operand = Pop();
  Value* index = values_.back();
  Value* pointer = AtomicAddress(instr.b, wide ? 8 : 4);
  // The function called gets an address that was touched, so it need not check bounds.
  Load(wide ? p_.i64 : p_.i32, pointer);
  Value* address = b_.CreateAdd(b_.CreateZExt(index, p_.i64), b_.getInt64(instr.b));
  if (notify) {
    Push(Runtime(offsetof(Context, atomic_notify), p_.i32, {context_, address, operand}));
    return;
  }
  if (module_.memories[0].shared == 0) {
    TrapIf(b_.getTrue(), TrapCode::kExpectedSharedMemory);
  }
  const size_t offset = wide ? offsetof(Context, atomic_wait64) : offsetof(Context, atomic_wait32);
  Push(Runtime(offset, p_.i32, {context_, address, operand, timeout}));
}

namespace {

// How an atomic instruction is made up; rows in the order of the opcodes' groups.
struct AtomicShape {
  uint32_t bits;       // in memory
  uint32_t type_bits;  // of the value
};

AtomicShape ShapeOf(Opcode::Enum opcode) {
  const Opcode info(opcode);
  const uint32_t bits = static_cast<uint32_t>(info.GetMemorySize()) * 8;
  const bool is_store = info.GetResultType() == wabt::Type::Void;
  const wabt::Type type = is_store ? info.GetParamType2() : info.GetResultType();
  return {bits, type == wabt::Type::I64 ? 64u : 32u};
}

}  // namespace

bool FunctionLowering::StepAtomic(const Instr& instr) {
  if (instr.opcode < Opcode::MemoryAtomicNotify || instr.opcode > Opcode::I64AtomicRmw32CmpxchgU) {
    return false;
  }
  switch (instr.opcode) {
    case Opcode::MemoryAtomicNotify:
    case Opcode::MemoryAtomicWait32:
    case Opcode::MemoryAtomicWait64:
      OnAtomicWait(instr);
      return true;
    case Opcode::AtomicFence:
      b_.CreateFence(llvm::AtomicOrdering::SequentiallyConsistent);
      return true;
    default:
      break;
  }
  const AtomicShape shape = ShapeOf(static_cast<Opcode::Enum>(instr.opcode));
  llvm::Type* memory_type = b_.getIntNTy(shape.bits);
  if (instr.opcode <= Opcode::I64AtomicLoad32U) {
    auto* load = b_.CreateAlignedLoad(memory_type, AtomicAddress(instr.b, shape.bits / 8),
                                      llvm::Align(shape.bits / 8), true);
    load->setAtomic(llvm::AtomicOrdering::SequentiallyConsistent);
    Push(b_.CreateZExt(load, b_.getIntNTy(shape.type_bits)));
  } else if (instr.opcode <= Opcode::I64AtomicStore32) {
    Value* value = b_.CreateTrunc(Pop(), memory_type);
    auto* store = b_.CreateAlignedStore(value, AtomicAddress(instr.b, shape.bits / 8),
                                        llvm::Align(shape.bits / 8), true);
    store->setAtomic(llvm::AtomicOrdering::SequentiallyConsistent);
  } else {
    OnAtomicRmw(instr);
  }
  return true;
}

void FunctionLowering::OnAtomicRmw(const Instr& instr) {
  using Rmw = llvm::AtomicRMWInst;
  const AtomicShape shape = ShapeOf(static_cast<Opcode::Enum>(instr.opcode));
  llvm::Type* memory_type = b_.getIntNTy(shape.bits);
  llvm::Type* result = b_.getIntNTy(shape.type_bits);
  const llvm::MaybeAlign align(shape.bits / 8);
  constexpr auto kOrder = llvm::AtomicOrdering::SequentiallyConsistent;
  Value* operand = b_.CreateTrunc(Pop(), memory_type);
  if (instr.opcode >= Opcode::I32AtomicRmwCmpxchg) {
    Value* wide_expected = Pop();
    Value* expected = b_.CreateTrunc(wide_expected, memory_type);
    auto* exchange = b_.CreateAtomicCmpXchg(AtomicAddress(instr.b, shape.bits / 8), expected,
                                            operand, align, kOrder, kOrder);
    exchange->setVolatile(true);
    Push(b_.CreateZExt(b_.CreateExtractValue(exchange, 0), result));
    return;
  }
  // Seven instructions for each operation.
  static constexpr Rmw::BinOp kOperations[] = {Rmw::Add, Rmw::Sub, Rmw::And,
                                               Rmw::Or,  Rmw::Xor, Rmw::Xchg};
  const auto op = kOperations[(instr.opcode - Opcode::I32AtomicRmwAdd) / 7];
  auto* rmw =
      b_.CreateAtomicRMW(op, AtomicAddress(instr.b, shape.bits / 8), operand, align, kOrder);
  rmw->setVolatile(true);
  Push(Opaque(b_.CreateZExt(rmw, result)));
}

// LLVM 19 makes one instruction of an atomic operation and a test of its result, and forgets the
// address space meanwhile, with it the memory's base (X86ISelLowering.cpp,
// emitCmpArithAtomicRMWIntrinsic and emitBitTestAtomicRMWIntrinsic). It does not see through this.
FunctionLowering::Value* FunctionLowering::Opaque(Value* value) {
  auto* type = llvm::FunctionType::get(value->getType(), {value->getType()}, false);
  return b_.CreateCall(llvm::InlineAsm::get(type, "", "=r,0", false), {value});
}

}  // namespace cordon::wasm

#ifndef CORDON_WASM_COMPILER_BODY_READER_H_
#define CORDON_WASM_COMPILER_BODY_READER_H_

// The bodies of functions and constant expressions: part of the reader (reader.cc).

#include "wasm/compiler/section_reader.h"

namespace cordon::wasm {

class BodyReader : public SectionReader {
 public:
  using SectionReader::SectionReader;

  // Function bodies.

  WabtResult BeginFunctionBody(Index index, Offset size) override {
    CHECK_RESULT(Limit(size, limits_.body_bytes, "bytes of a function body"));
    CHECK_RESULT(validator_.BeginFunctionBody(Here(), index));
    function_ = &module_.functions[index];
    function_->body_size = size;
    function_->code.reserve(size / 2);
    local_count_ = 0;
    depth_ = 0;
    ended_ = false;
    return WabtResult::Ok;
  }
  WabtResult OnLocalDecl(Index /*index*/, Index count, Type type) override {
    CHECK_RESULT(validator_.OnLocalDecl(Here(), count, type));
    local_count_ += count;
    CHECK_RESULT(Limit(local_count_, limits_.locals, "locals"));
    if (count != 0) function_->locals.emplace_back(count, ToValType(type));
    return WabtResult::Ok;
  }
  WabtResult EndFunctionBody(Index /*index*/) override {
    CHECK_RESULT(validator_.EndFunctionBody(Here()));
    if (!ended_) {  // which libwabt lets pass if the last block has its own
      errors_.emplace_back(wabt::ErrorLevel::Error, Here(), "function body without its end");
      return WabtResult::Error;
    }
    function_ = nullptr;
    return WabtResult::Ok;
  }

  WabtResult OnOpcode(Opcode opcode) override {
    if (opcode.IsInvalid()) return WabtResult::Ok;
    if (opcode.GetPrefix() == 0xfe) module_.uses_threads = true;
    return WabtResult::Ok;
  }

  WabtResult OnUnaryExpr(Opcode opcode) override {
    return Emit(validator_.OnUnary(Here(), opcode), opcode);
  }
  WabtResult OnBinaryExpr(Opcode opcode) override {
    return Emit(validator_.OnBinary(Here(), opcode), opcode);
  }
  WabtResult OnTernaryExpr(Opcode opcode) override {
    return Emit(validator_.OnTernary(Here(), opcode), opcode);
  }
  WabtResult OnCompareExpr(Opcode opcode) override {
    return Emit(validator_.OnCompare(Here(), opcode), opcode);
  }
  WabtResult OnConvertExpr(Opcode opcode) override {
    return Emit(validator_.OnConvert(Here(), opcode), opcode);
  }
  WabtResult OnSimdLaneOpExpr(Opcode opcode, uint64_t lane) override {
    return Emit(validator_.OnSimdLaneOp(Here(), opcode, lane), opcode, static_cast<uint32_t>(lane));
  }
  WabtResult OnSimdShuffleOpExpr(Opcode opcode, v128 lanes) override {
    CHECK_RESULT(validator_.OnSimdShuffleOp(Here(), opcode, lanes));
    return EmitV128(opcode, lanes);
  }

  WabtResult OnLoadExpr(Opcode opcode, Index memory, Address align, Address offset) override {
    return Emit(validator_.OnLoad(Here(), opcode, VarOf(memory), Align(align)), opcode, 0, offset);
  }
  WabtResult OnStoreExpr(Opcode opcode, Index memory, Address align, Address offset) override {
    return Emit(validator_.OnStore(Here(), opcode, VarOf(memory), Align(align)), opcode, 0, offset);
  }
  WabtResult OnLoadSplatExpr(Opcode opcode, Index memory, Address align, Address offset) override {
    return Emit(validator_.OnLoadSplat(Here(), opcode, VarOf(memory), Align(align)), opcode, 0,
                offset);
  }
  WabtResult OnLoadZeroExpr(Opcode opcode, Index memory, Address align, Address offset) override {
    return Emit(validator_.OnLoadZero(Here(), opcode, VarOf(memory), Align(align)), opcode, 0,
                offset);
  }
  WabtResult OnSimdLoadLaneExpr(Opcode opcode, Index memory, Address align, Address offset,
                                uint64_t lane) override {
    return Emit(validator_.OnSimdLoadLane(Here(), opcode, VarOf(memory), Align(align), lane),
                opcode, static_cast<uint32_t>(lane), offset);
  }
  WabtResult OnSimdStoreLaneExpr(Opcode opcode, Index memory, Address align, Address offset,
                                 uint64_t lane) override {
    return Emit(validator_.OnSimdStoreLane(Here(), opcode, VarOf(memory), Align(align), lane),
                opcode, static_cast<uint32_t>(lane), offset);
  }
  WabtResult OnAtomicLoadExpr(Opcode opcode, Index memory, Address align, Address offset) override {
    return Emit(validator_.OnAtomicLoad(Here(), opcode, VarOf(memory), Align(align)), opcode, 0,
                offset);
  }
  WabtResult OnAtomicStoreExpr(Opcode opcode, Index memory, Address align,
                               Address offset) override {
    return Emit(validator_.OnAtomicStore(Here(), opcode, VarOf(memory), Align(align)), opcode, 0,
                offset);
  }
  WabtResult OnAtomicRmwExpr(Opcode opcode, Index memory, Address align, Address offset) override {
    return Emit(validator_.OnAtomicRmw(Here(), opcode, VarOf(memory), Align(align)), opcode, 0,
                offset);
  }
  WabtResult OnAtomicRmwCmpxchgExpr(Opcode opcode, Index memory, Address align,
                                    Address offset) override {
    return Emit(validator_.OnAtomicRmwCmpxchg(Here(), opcode, VarOf(memory), Align(align)), opcode,
                0, offset);
  }
  WabtResult OnAtomicWaitExpr(Opcode opcode, Index memory, Address align, Address offset) override {
    return Emit(validator_.OnAtomicWait(Here(), opcode, VarOf(memory), Align(align)), opcode, 0,
                offset);
  }
  WabtResult OnAtomicNotifyExpr(Opcode opcode, Index memory, Address align,
                                Address offset) override {
    return Emit(validator_.OnAtomicNotify(Here(), opcode, VarOf(memory), Align(align)), opcode, 0,
                offset);
  }
  WabtResult OnAtomicFenceExpr(uint32_t model) override {
    return Emit(validator_.OnAtomicFence(Here(), model), Opcode::AtomicFence);
  }

  WabtResult OnI32ConstExpr(uint32_t value) override {
    return EmitConst(validator_.OnConst(Here(), Type::I32), Opcode::I32Const, value);
  }
  WabtResult OnI64ConstExpr(uint64_t value) override {
    return EmitConst(validator_.OnConst(Here(), Type::I64), Opcode::I64Const, value);
  }
  WabtResult OnF32ConstExpr(uint32_t bits) override {
    return EmitConst(validator_.OnConst(Here(), Type::F32), Opcode::F32Const, bits);
  }
  WabtResult OnF64ConstExpr(uint64_t bits) override {
    return EmitConst(validator_.OnConst(Here(), Type::F64), Opcode::F64Const, bits);
  }
  WabtResult OnV128ConstExpr(v128 value) override {
    CHECK_RESULT(validator_.OnConst(Here(), Type::V128));
    if (const_expr_ != nullptr) {
      return EmitConstOp({ConstOpcode::kConst, 0, {value.u64(0), value.u64(1)}});
    }
    return EmitV128(Opcode::V128Const, value);
  }
  WabtResult OnGlobalGetExpr(Index global) override {
    CHECK_RESULT(validator_.OnGlobalGet(Here(), VarOf(global)));
    if (const_expr_ != nullptr) return EmitConstOp({ConstOpcode::kGlobalGet, global, {}});
    return Emit(WabtResult::Ok, Opcode::GlobalGet, global);
  }
  WabtResult OnRefFuncExpr(Index function) override {
    CHECK_RESULT(validator_.OnRefFunc(Here(), VarOf(function)));
    Reference(function);
    if (const_expr_ != nullptr) return EmitConstOp({ConstOpcode::kRefFunc, function, {}});
    return Emit(WabtResult::Ok, Opcode::RefFunc, function);
  }
  WabtResult OnRefNullExpr(Type type) override {
    return EmitConst(validator_.OnRefNull(Here(), type), Opcode::RefNull, 0);
  }

  WabtResult OnBlockExpr(Type type) override {
    return EmitBlock(validator_.OnBlock(Here(), type), Opcode::Block, type);
  }
  WabtResult OnLoopExpr(Type type) override {
    return EmitBlock(validator_.OnLoop(Here(), type), Opcode::Loop, type);
  }
  WabtResult OnIfExpr(Type type) override {
    return EmitBlock(validator_.OnIf(Here(), type), Opcode::If, type);
  }
  WabtResult OnTryExpr(Type type) override {
    module_.has_try = true;
    return EmitBlock(validator_.OnTry(Here(), type), Opcode::Try, type);
  }
  WabtResult OnElseExpr() override { return Emit(validator_.OnElse(Here()), Opcode::Else); }
  WabtResult OnEndExpr() override {
    if (function_ == nullptr) return WabtResult::Ok;  // of a constant expression
    // The end of the function itself is EndFunctionBody's for the validator.
    if (depth_ == 0) {
      CHECK_RESULT(Emit(WabtResult::Ok, Opcode::End));
      ended_ = true;
      return WabtResult::Ok;
    }
    --depth_;
    return Emit(validator_.OnEnd(Here()), Opcode::End);
  }
  WabtResult OnBrExpr(Index depth) override {
    return Emit(validator_.OnBr(Here(), VarOf(depth)), Opcode::Br, depth);
  }
  WabtResult OnBrIfExpr(Index depth) override {
    return Emit(validator_.OnBrIf(Here(), VarOf(depth)), Opcode::BrIf, depth);
  }
  WabtResult OnBrTableExpr(Index count, Index* depths, Index default_depth) override {
    CHECK_RESULT(validator_.BeginBrTable(Here()));
    const auto first = static_cast<uint32_t>(function_->pool.size());
    for (Index i = 0; i < count; ++i) {
      CHECK_RESULT(validator_.OnBrTableTarget(Here(), VarOf(depths[i])));
      function_->pool.push_back(depths[i]);
    }
    CHECK_RESULT(validator_.OnBrTableTarget(Here(), VarOf(default_depth)));
    function_->pool.push_back(default_depth);
    return Emit(validator_.EndBrTable(Here()), Opcode::BrTable, first, uint64_t{count} + 1);
  }
  WabtResult OnReturnExpr() override { return Emit(validator_.OnReturn(Here()), Opcode::Return); }
  WabtResult OnUnreachableExpr() override {
    return Emit(validator_.OnUnreachable(Here()), Opcode::Unreachable);
  }
  WabtResult OnNopExpr() override { return validator_.OnNop(Here()); }
  WabtResult OnDropExpr() override { return Emit(validator_.OnDrop(Here()), Opcode::Drop); }
  WabtResult OnSelectExpr(Index count, Type* types) override {
    return Emit(validator_.OnSelect(Here(), count, types), Opcode::Select);
  }
  WabtResult OnCallExpr(Index function) override {
    return Emit(validator_.OnCall(Here(), VarOf(function)), Opcode::Call, function);
  }
  WabtResult OnCallIndirectExpr(Index type, Index table) override {
    CHECK_RESULT(validator_.OnCallIndirect(Here(), VarOf(type), VarOf(table)));
    return Emit(WabtResult::Ok, Opcode::CallIndirect, type_to_signature_[type], table);
  }
  WabtResult OnReturnCallExpr(Index function) override {
    module_.has_tail_calls = true;
    return Emit(validator_.OnReturnCall(Here(), VarOf(function)), Opcode::ReturnCall, function);
  }
  WabtResult OnReturnCallIndirectExpr(Index type, Index table) override {
    module_.has_tail_calls = true;
    CHECK_RESULT(validator_.OnReturnCallIndirect(Here(), VarOf(type), VarOf(table)));
    return Emit(WabtResult::Ok, Opcode::ReturnCallIndirect, type_to_signature_[type], table);
  }
  WabtResult OnCatchExpr(Index tag) override {
    return Emit(validator_.OnCatch(Here(), VarOf(tag), false), Opcode::Catch, tag);
  }
  WabtResult OnCatchAllExpr() override {
    return Emit(validator_.OnCatch(Here(), Var(), true), Opcode::CatchAll);
  }
  WabtResult OnDelegateExpr(Index depth) override {
    --depth_;
    return Emit(validator_.OnDelegate(Here(), VarOf(depth)), Opcode::Delegate, depth);
  }
  WabtResult OnThrowExpr(Index tag) override {
    return Emit(validator_.OnThrow(Here(), VarOf(tag)), Opcode::Throw, tag);
  }
  WabtResult OnRethrowExpr(Index depth) override {
    return Emit(validator_.OnRethrow(Here(), VarOf(depth)), Opcode::Rethrow, depth);
  }

  WabtResult OnLocalGetExpr(Index local) override {
    return Emit(validator_.OnLocalGet(Here(), VarOf(local)), Opcode::LocalGet, local);
  }
  WabtResult OnLocalSetExpr(Index local) override {
    return Emit(validator_.OnLocalSet(Here(), VarOf(local)), Opcode::LocalSet, local);
  }
  WabtResult OnLocalTeeExpr(Index local) override {
    return Emit(validator_.OnLocalTee(Here(), VarOf(local)), Opcode::LocalTee, local);
  }
  WabtResult OnGlobalSetExpr(Index global) override {
    return Emit(validator_.OnGlobalSet(Here(), VarOf(global)), Opcode::GlobalSet, global);
  }
  WabtResult OnMemorySizeExpr(Index memory) override {
    return Emit(validator_.OnMemorySize(Here(), VarOf(memory)), Opcode::MemorySize);
  }
  WabtResult OnMemoryGrowExpr(Index memory) override {
    return Emit(validator_.OnMemoryGrow(Here(), VarOf(memory)), Opcode::MemoryGrow);
  }
  WabtResult OnMemoryCopyExpr(Index from, Index to) override {
    return Emit(validator_.OnMemoryCopy(Here(), VarOf(from), VarOf(to)), Opcode::MemoryCopy);
  }
  WabtResult OnMemoryFillExpr(Index memory) override {
    return Emit(validator_.OnMemoryFill(Here(), VarOf(memory)), Opcode::MemoryFill);
  }
  WabtResult OnMemoryInitExpr(Index segment, Index memory) override {
    return Emit(validator_.OnMemoryInit(Here(), VarOf(segment), VarOf(memory)), Opcode::MemoryInit,
                segment);
  }
  WabtResult OnDataDropExpr(Index segment) override {
    return Emit(validator_.OnDataDrop(Here(), VarOf(segment)), Opcode::DataDrop, segment);
  }
  WabtResult OnElemDropExpr(Index segment) override {
    return Emit(validator_.OnElemDrop(Here(), VarOf(segment)), Opcode::ElemDrop, segment);
  }
  WabtResult OnTableCopyExpr(Index to, Index from) override {
    return Emit(validator_.OnTableCopy(Here(), VarOf(to), VarOf(from)), Opcode::TableCopy, to,
                from);
  }
  WabtResult OnTableInitExpr(Index segment, Index table) override {
    return Emit(validator_.OnTableInit(Here(), VarOf(segment), VarOf(table)), Opcode::TableInit,
                segment, table);
  }
  WabtResult OnTableGetExpr(Index table) override {
    return Emit(validator_.OnTableGet(Here(), VarOf(table)), Opcode::TableGet, table);
  }
  WabtResult OnTableSetExpr(Index table) override {
    return Emit(validator_.OnTableSet(Here(), VarOf(table)), Opcode::TableSet, table);
  }
  WabtResult OnTableGrowExpr(Index table) override {
    CHECK_RESULT(validator_.OnTableGrow(Here(), VarOf(table)));
    module_.tables[table].grows = true;
    return Emit(WabtResult::Ok, Opcode::TableGrow, table);
  }
  WabtResult OnTableSizeExpr(Index table) override {
    return Emit(validator_.OnTableSize(Here(), VarOf(table)), Opcode::TableSize, table);
  }
  WabtResult OnTableFillExpr(Index table) override {
    return Emit(validator_.OnTableFill(Here(), VarOf(table)), Opcode::TableFill, table);
  }
  WabtResult OnRefIsNullExpr() override {
    return Emit(validator_.OnRefIsNull(Here()), Opcode::RefIsNull);
  }

 private:
  static Address Align(Address log2) { return log2 >= 32 ? Address{1} << 31 : Address{1} << log2; }
  uint32_t BlockSignature(Type type) {
    if (type.IsIndex()) return type_to_signature_[type.GetIndex()];
    Signature signature;
    if (type != Type::Void) signature.results.push_back(ToValType(type));
    return InternSignature(std::move(signature));
  }

  // A constant in a function or in a constant expression.
  WabtResult EmitConst(WabtResult valid, Opcode opcode, uint64_t bits) {
    CHECK_RESULT(valid);
    if (const_expr_ != nullptr) return EmitConstOp({ConstOpcode::kConst, 0, {bits, 0}});
    return Emit(WabtResult::Ok, opcode, 0, bits);
  }
  WabtResult EmitV128(Opcode opcode, const v128& value) {
    const auto first = static_cast<uint32_t>(function_->pool.size());
    function_->pool.push_back(value.u64(0));
    function_->pool.push_back(value.u64(1));
    return Emit(WabtResult::Ok, opcode, first);
  }
  WabtResult EmitBlock(WabtResult valid, Opcode opcode, Type type) {
    CHECK_RESULT(valid);
    ++depth_;
    return Emit(WabtResult::Ok, opcode, BlockSignature(type));
  }
  WabtResult Emit(WabtResult valid, Opcode opcode, uint32_t a = 0, uint64_t b = 0) {
    CHECK_RESULT(valid);
    if (const_expr_ != nullptr) return EmitConstOperator(opcode);
    if (ended_) {  // which libwabt lets pass
      errors_.emplace_back(wabt::ErrorLevel::Error, Here(),
                           "instruction after the end of the function");
      return WabtResult::Error;
    }
    function_->code.push_back({static_cast<uint16_t>(static_cast<Opcode::Enum>(opcode)), a, b});
    return WabtResult::Ok;
  }
  WabtResult EmitConstOperator(Opcode opcode) {
    switch (opcode) {
      case Opcode::I32Add:
        return EmitConstOp({ConstOpcode::kI32Add, 0, {}});
      case Opcode::I32Sub:
        return EmitConstOp({ConstOpcode::kI32Sub, 0, {}});
      case Opcode::I32Mul:
        return EmitConstOp({ConstOpcode::kI32Mul, 0, {}});
      case Opcode::I64Add:
        return EmitConstOp({ConstOpcode::kI64Add, 0, {}});
      case Opcode::I64Sub:
        return EmitConstOp({ConstOpcode::kI64Sub, 0, {}});
      case Opcode::I64Mul:
        return EmitConstOp({ConstOpcode::kI64Mul, 0, {}});
      default:
        errors_.emplace_back(wabt::ErrorLevel::Error, Here(), "constant expression required");
        return WabtResult::Error;
    }
  }

  Function* function_ = nullptr;
  uint64_t local_count_ = 0;
  uint64_t depth_ = 0;  // of blocks in the function
  bool ended_ = false;  // the function's own end was read
};

}  // namespace cordon::wasm

#endif  // CORDON_WASM_COMPILER_BODY_READER_H_

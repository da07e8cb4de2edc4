#include "wasm/compiler/reader.h"

#include <wabt/binary-reader-nop.h>
#include <wabt/binary-reader.h>
#include <wabt/shared-validator.h>

#include <algorithm>
#include <cstdio>
#include <map>
#include <string_view>

namespace cordon::wasm {
namespace {

using wabt::Address;
using wabt::Index;
using wabt::Location;
using wabt::Offset;
using wabt::Opcode;
using wabt::Type;
using wabt::Var;
using WabtResult = wabt::Result;

ValType ToValType(Type type) {
  return static_cast<ValType>(static_cast<int32_t>(type) & 0x7f);
}

wabt::Features SupportedFeatures() {
  wabt::Features features;  // the finished proposals are on by default
  features.enable_exceptions();
  features.enable_threads();
  features.enable_tail_call();
  features.enable_extended_const();
  return features;
}

// Feeds each event to the validator and, if it is valid, records it.
class Reader : public wabt::BinaryReaderNop {
 public:
  Reader(const ModuleLimits& limits, Module* module)
      : limits_(limits),
        module_(*module),
        validator_(&errors_, wabt::ValidateOptions(SupportedFeatures())) {}

  [[nodiscard]] const wabt::Errors& errors() const { return errors_; }

  bool OnError(const wabt::Error& error) override {
    errors_.push_back(error);
    return true;
  }

  WabtResult EndModule() override { return validator_.EndModule(); }

  WabtResult BeginCustomSection(Index /*index*/, Offset /*size*/, std::string_view name) override {
    if (name == "cordon.lenient") module_.lenient = true;
    in_custom_section_ = true;
    return WabtResult::Ok;
  }
  WabtResult EndCustomSection() override {
    in_custom_section_ = false;
    return WabtResult::Ok;
  }
  // Whether reading ended in the contents of a custom section, which may be anything.
  [[nodiscard]] bool in_custom_section() const { return in_custom_section_; }

  // Types, imports and declarations.

  WabtResult OnFuncType(Index index, Index param_count, Type* params, Index result_count,
                        Type* results) override {
    CHECK_RESULT(validator_.OnFuncType(Here(), param_count, params, result_count, results, index));
    CHECK_RESULT(
        Limit(param_count + uint64_t{result_count}, limits_.params, "parameters and results"));
    Signature signature;
    for (Index i = 0; i < param_count; ++i) signature.params.push_back(ToValType(params[i]));
    for (Index i = 0; i < result_count; ++i) signature.results.push_back(ToValType(results[i]));
    type_to_signature_.push_back(InternSignature(std::move(signature)));
    return Limit(module_.signatures.size(), limits_.types, "types");
  }

  WabtResult OnImport(Index /*index*/, wabt::ExternalKind kind, std::string_view module,
                      std::string_view name) override {
    module_.imports.push_back(
        {std::string(module), std::string(name), static_cast<ExternKind>(kind), 0});
    return Limit(module_.imports.size(), limits_.imports_exports, "imports");
  }
  WabtResult OnImportFunc(Index /*import*/, std::string_view module, std::string_view name,
                          Index func, Index type) override {
    CHECK_RESULT(validator_.OnFunction(Here(), VarOf(type)));
    Function function;
    function.signature = type_to_signature_[type];
    function.imported = true;
    function.name = std::string(module) + "." + std::string(name);
    module_.functions.push_back(std::move(function));
    module_.imported_functions = func + 1;
    module_.imports.back().index = func;
    if (module == "cordon" && name == "rt_sigaction") module_.polls = true;
    return WabtResult::Ok;
  }
  WabtResult OnImportTable(Index /*import*/, std::string_view /*module*/, std::string_view /*name*/,
                           Index table, Type type, const wabt::Limits* limits) override {
    module_.imports.back().index = table;
    module_.imported_tables = table + 1;
    return OnTable(table, type, limits);
  }
  WabtResult OnImportMemory(Index /*import*/, std::string_view /*module*/,
                            std::string_view /*name*/, Index memory,
                            const wabt::Limits* limits) override {
    module_.imports.back().index = memory;
    module_.imported_memories = memory + 1;
    return OnMemory(memory, limits);
  }
  WabtResult OnImportGlobal(Index /*import*/, std::string_view /*module*/,
                            std::string_view /*name*/, Index global, Type type,
                            bool is_mutable) override {
    CHECK_RESULT(validator_.OnGlobalImport(Here(), type, is_mutable));
    module_.imports.back().index = global;
    module_.imported_globals = global + 1;
    module_.globals.push_back({ToValType(type), is_mutable, {}});
    return WabtResult::Ok;
  }
  WabtResult OnImportTag(Index /*import*/, std::string_view /*module*/, std::string_view /*name*/,
                         Index tag, Index type) override {
    module_.imports.back().index = tag;
    module_.imported_tags = tag + 1;
    return OnTagType(tag, type);
  }

  WabtResult OnFunction(Index /*index*/, Index type) override {
    CHECK_RESULT(validator_.OnFunction(Here(), VarOf(type)));
    Function function;
    function.signature = type_to_signature_[type];
    module_.functions.push_back(std::move(function));
    return Limit(module_.functions.size(), limits_.functions, "functions");
  }
  WabtResult OnTable(Index /*index*/, Type type, const wabt::Limits* limits) override {
    CHECK_RESULT(validator_.OnTable(Here(), type, *limits));
    CHECK_RESULT(Limit(limits->initial, limits_.table_elements, "table elements"));
    const auto max = static_cast<uint32_t>(
        limits->has_max ? std::min<uint64_t>(limits->max, UINT32_MAX) : UINT32_MAX);
    module_.tables.push_back(
        {ToValType(type), static_cast<uint32_t>(limits->initial), max, limits->has_max});
    return Limit(module_.tables.size(), limits_.tables, "tables");
  }
  WabtResult OnMemory(Index /*index*/, const wabt::Limits* limits) override {
    CHECK_RESULT(validator_.OnMemory(Here(), *limits));
    const uint64_t max = limits->has_max ? limits->max : 65536;
    module_.memories.push_back({static_cast<uint32_t>(limits->initial), static_cast<uint32_t>(max),
                                limits->has_max ? 1u : 0u, limits->is_shared ? 1u : 0u});
    if (limits->is_shared) module_.uses_threads = true;
    return WabtResult::Ok;
  }
  WabtResult BeginGlobal(Index /*index*/, Type type, bool is_mutable) override {
    CHECK_RESULT(validator_.OnGlobal(Here(), type, is_mutable));
    module_.globals.push_back({ToValType(type), is_mutable, {}});
    return Limit(module_.globals.size(), limits_.globals, "globals");
  }
  WabtResult OnTagType(Index /*index*/, Index type) override {
    CHECK_RESULT(validator_.OnTag(Here(), VarOf(type)));
    const uint32_t signature = type_to_signature_[type];
    uint64_t slots = 0;
    for (const ValType t : module_.signatures[signature].params) slots += SlotCount(t);
    module_.tags.push_back(signature);
    return Limit(slots, kMaxExceptionSlots, "values of a tag");
  }
  WabtResult OnExport(Index /*index*/, wabt::ExternalKind kind, Index item,
                      std::string_view name) override {
    CHECK_RESULT(validator_.OnExport(Here(), kind, VarOf(item), name));
    const auto our_kind = static_cast<ExternKind>(kind);
    if (our_kind == ExternKind::kFunction) Reference(item);
    if (our_kind == ExternKind::kTable) module_.tables[item].exported = true;
    module_.exports.push_back({std::string(name), our_kind, item});
    return Limit(module_.exports.size(), limits_.imports_exports, "exports");
  }
  WabtResult OnStartFunction(Index function) override {
    CHECK_RESULT(validator_.OnStart(Here(), VarOf(function)));
    module_.start_function = function;
    Reference(function);
    return WabtResult::Ok;
  }
  WabtResult OnFunctionName(Index index, std::string_view name) override {
    if (index < module_.functions.size() && !module_.functions[index].imported) {
      module_.functions[index].name = std::string(name.substr(0, 200));
    }
    return WabtResult::Ok;
  }

  // Constant expressions.

  WabtResult BeginGlobalInitExpr(Index /*index*/) override {
    GlobalDef& global = module_.globals.back();
    return BeginConst(&global.init, Type(static_cast<int32_t>(global.type) - 0x80));
  }
  WabtResult EndGlobalInitExpr(Index /*index*/) override { return EndConst(); }
  WabtResult BeginElemSegmentInitExpr(Index /*index*/) override {
    return BeginConst(&module_.elements.back().offset, Type::I32);
  }
  WabtResult EndElemSegmentInitExpr(Index /*index*/) override { return EndConst(); }
  WabtResult BeginDataSegmentInitExpr(Index /*index*/) override {
    return BeginConst(&module_.data.back().offset, Type::I32);
  }
  WabtResult EndDataSegmentInitExpr(Index /*index*/) override { return EndConst(); }

  // Segments.

  WabtResult BeginElemSegment(Index /*index*/, Index table, uint8_t flags) override {
    const auto kind = KindOf(flags);
    CHECK_RESULT(validator_.OnElemSegment(Here(), VarOf(table), kind));
    module_.elements.push_back({static_cast<SegmentMode>(kind), table, {}, {}});
    return Limit(module_.elements.size(), limits_.segments, "segments");
  }
  WabtResult OnElemSegmentElemType(Index /*index*/, Type type) override {
    return validator_.OnElemSegmentElemType(Here(), type);
  }
  WabtResult OnElemSegmentElemExpr_RefNull(Index /*index*/, Type type) override {  // NOLINT
    CHECK_RESULT(validator_.OnElemSegmentElemExpr_RefNull(Here(), type));
    module_.elements.back().items.push_back(kNoIndex);
    return WabtResult::Ok;
  }
  WabtResult OnElemSegmentElemExpr_RefFunc(Index /*index*/, Index function) override {  // NOLINT
    CHECK_RESULT(validator_.OnElemSegmentElemExpr_RefFunc(Here(), VarOf(function)));
    Reference(function);
    module_.elements.back().items.push_back(function);
    return Limit(module_.elements.back().items.size(), limits_.table_elements, "segment elements");
  }
  WabtResult OnDataCount(Index count) override {
    validator_.OnDataCount(count);
    return WabtResult::Ok;
  }
  WabtResult BeginDataSegment(Index /*index*/, Index memory, uint8_t flags) override {
    const auto kind = KindOf(flags);
    CHECK_RESULT(validator_.OnDataSegment(Here(), VarOf(memory), kind));
    module_.data.push_back({static_cast<SegmentMode>(kind), {}, {}});
    return Limit(module_.data.size(), limits_.segments, "segments");
  }
  WabtResult OnDataSegmentData(Index /*index*/, const void* data, Address size) override {
    module_.data.back().bytes = {static_cast<const std::byte*>(data), static_cast<size_t>(size)};
    return WabtResult::Ok;
  }

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
    function_ = nullptr;
    return WabtResult::Ok;
  }

  WabtResult OnOpcode(Opcode opcode) override {
    if (opcode.IsInvalid()) return WabtResult::Ok;
    opcode_ = opcode;
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
  [[nodiscard]] Location Here() const { return Location(state->offset); }
  [[nodiscard]] Var VarOf(Index index) const { return Var(index, Here()); }
  static Address Align(Address log2) { return log2 >= 32 ? Address{1} << 31 : Address{1} << log2; }
  static wabt::SegmentKind KindOf(uint8_t flags) {
    if ((flags & wabt::SegDeclared) == wabt::SegDeclared) return wabt::SegmentKind::Declared;
    if ((flags & wabt::SegPassive) != 0) return wabt::SegmentKind::Passive;
    return wabt::SegmentKind::Active;
  }

  WabtResult Limit(uint64_t value, uint64_t limit, const char* what) {
    if (value <= limit) return WabtResult::Ok;
    errors_.emplace_back(wabt::ErrorLevel::Error, Here(),
                         "limit: more than " + std::to_string(limit) + " " + what);
    return WabtResult::Error;
  }

  uint32_t InternSignature(Signature signature) {
    std::vector<uint8_t> key;
    key.reserve(signature.params.size() + signature.results.size() + 1);
    for (const ValType t : signature.params) key.push_back(static_cast<uint8_t>(t));
    key.push_back(0);
    for (const ValType t : signature.results) key.push_back(static_cast<uint8_t>(t));
    const auto [at, inserted] =
        signature_index_.emplace(std::move(key), static_cast<uint32_t>(module_.signatures.size()));
    if (inserted) module_.signatures.push_back(std::move(signature));
    return at->second;
  }

  uint32_t BlockSignature(Type type) {
    if (type.IsIndex()) return type_to_signature_[type.GetIndex()];
    Signature signature;
    if (type != Type::Void) signature.results.push_back(ToValType(type));
    return InternSignature(std::move(signature));
  }

  void Reference(Index function) {
    if (module_.referenced.size() <= function) module_.referenced.resize(function + 1);
    module_.referenced[function] = true;
  }

  WabtResult BeginConst(ConstExpr* expr, Type type) {
    const_expr_ = expr;
    return validator_.BeginInitExpr(Here(), type);
  }
  WabtResult EndConst() {
    const_expr_ = nullptr;
    return validator_.EndInitExpr();
  }
  WabtResult EmitConstOp(const ConstOp& op) {
    const_expr_->ops.push_back(op);
    // Each operator takes two values, so this bounds the depth of the stack as well.
    return Limit(const_expr_->ops.size(), kConstStackDepth,
                 "instructions in a constant expression");
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

  const ModuleLimits& limits_;
  Module& module_;
  wabt::Errors errors_;
  wabt::SharedValidator validator_;
  std::vector<uint32_t> type_to_signature_;
  std::map<std::vector<uint8_t>, uint32_t> signature_index_;
  Function* function_ = nullptr;
  ConstExpr* const_expr_ = nullptr;
  Opcode opcode_ = Opcode::Nop;
  uint64_t local_count_ = 0;
  uint64_t depth_ = 0;  // of blocks in the function
  bool ended_ = false;  // the function's own end was read
  bool in_custom_section_ = false;
};

std::string HexOffset(size_t offset) {
  char text[32];
  std::snprintf(text, sizeof text, "0x%zx", offset);
  return text;
}

// Proposals that are not implemented are refused by their names instead of "unexpected opcode".
struct UnsupportedOpcode {
  uint8_t code;
  const char* name;
};
constexpr UnsupportedOpcode kUnsupported[] = {
    {0x0a, "throw_ref (exception handling with exnref)"},
    {0x14, "call_ref (typed function references)"},
    {0x15, "return_call_ref (typed function references)"},
    {0x1f, "try_table (exception handling with exnref)"},
    {0xd3, "ref.eq (garbage collection)"},
    {0xd4, "ref.as_non_null (typed function references)"},
    {0xd5, "br_on_null (typed function references)"},
    {0xd6, "br_on_non_null (typed function references)"},
    {0xe0, "cont.new (stack switching)"},
    {0xe1, "cont.bind (stack switching)"},
    {0xe2, "suspend (stack switching)"},
    {0xe3, "resume (stack switching)"},
    {0xfb, "garbage collection"},
};

std::string NameReason(const std::string& message) {
  unsigned code = 0;
  if (std::sscanf(message.c_str(), "unexpected opcode: 0x%x", &code) == 1 ||
      std::sscanf(message.c_str(), "unexpected opcode: %x", &code) == 1) {
    for (const UnsupportedOpcode& row : kUnsupported) {
      if (row.code == code) return std::string("unsupported: ") + row.name;
    }
  }
  return message;
}

Status CheckPreamble(std::span<const std::byte> bytes, const ModuleLimits& limits) {
  if (bytes.size() > limits.module_bytes) {
    return Fail(ErrorCode::kLimit,
                "limit: module larger than " + std::to_string(limits.module_bytes) + " bytes");
  }
  static constexpr uint8_t kComponent[] = {0, 'a', 's', 'm', 0x0d, 0, 1, 0};
  if (bytes.size() >= 8 && std::equal(std::begin(kComponent), std::end(kComponent),
                                      reinterpret_cast<const uint8_t*>(bytes.data()))) {
    return Fail(ErrorCode::kUnsupported,
                "unsupported: a WebAssembly component; only core modules run", "0x4");
  }
  return {};
}

std::unexpected<Error> ErrorOf(const Reader& reader) {
  if (reader.errors().empty()) return Fail(ErrorCode::kInvalid, "malformed module");
  const wabt::Error& error = reader.errors().front();
  const std::string reason = NameReason(error.message);
  ErrorCode code = ErrorCode::kInvalid;
  if (reason.starts_with("limit:")) code = ErrorCode::kLimit;
  if (reason.starts_with("unsupported:")) code = ErrorCode::kUnsupported;
  return Fail(code, reason, HexOffset(error.loc.offset));
}

}  // namespace

Result<Module> ReadModule(std::span<const std::byte> bytes, const ModuleLimits& limits) {
  CORDON_TRY(CheckPreamble(bytes, limits));
  // First with everything checked. If only the contents of a custom section are wrong (a name
  // section that other tools cut), the module is valid: once more without looking into them.
  for (const bool check_custom_sections : {true, false}) {
    Module module;
    Reader reader(limits, &module);
    const wabt::ReadBinaryOptions options(SupportedFeatures(), nullptr, /*read_debug_names=*/true,
                                          /*stop_on_first_error=*/true, check_custom_sections);
    if (wabt::Succeeded(wabt::ReadBinary(bytes.data(), bytes.size(), &reader, options))) {
      module.referenced.resize(module.functions.size());
      return module;
    }
    if (!check_custom_sections || !reader.in_custom_section()) return ErrorOf(reader);
  }
  return Fail(ErrorCode::kInternal, "unreachable");
}

}  // namespace cordon::wasm

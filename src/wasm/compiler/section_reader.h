#ifndef CORDON_WASM_COMPILER_SECTION_READER_H_
#define CORDON_WASM_COMPILER_SECTION_READER_H_

// Everything of a module but the bodies of its functions: part of the reader (reader.cc).

#include <wabt/binary-reader-nop.h>
#include <wabt/binary-reader.h>
#include <wabt/shared-validator.h>

#include <algorithm>
#include <map>
#include <string_view>

#include "wasm/compiler/reader.h"

namespace cordon::wasm {

using wabt::Address;
using wabt::Index;
using wabt::Location;
using wabt::Offset;
using wabt::Opcode;
using wabt::Type;
using wabt::Var;
using WabtResult = wabt::Result;

inline ValType ToValType(Type type) {
  return static_cast<ValType>(static_cast<int32_t>(type) & 0x7f);
}

inline wabt::Features SupportedFeatures() {
  wabt::Features features;  // the finished proposals are on by default
  features.enable_exceptions();
  features.enable_threads();
  features.enable_tail_call();
  features.enable_extended_const();
  return features;
}

// Feeds each event to the validator and, if it is valid, records it.
class SectionReader : public wabt::BinaryReaderNop {
 public:
  SectionReader(const ModuleLimits& limits, Module* module)
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

 protected:
  [[nodiscard]] Location Here() const { return Location(state->offset); }
  [[nodiscard]] Var VarOf(Index index) const { return Var(index, Here()); }
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
  const ModuleLimits& limits_;
  Module& module_;
  wabt::Errors errors_;
  wabt::SharedValidator validator_;
  std::vector<uint32_t> type_to_signature_;
  std::map<std::vector<uint8_t>, uint32_t> signature_index_;
  ConstExpr* const_expr_ = nullptr;
  bool in_custom_section_ = false;
};

}  // namespace cordon::wasm

#endif  // CORDON_WASM_COMPILER_SECTION_READER_H_

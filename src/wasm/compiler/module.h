#ifndef CORDON_WASM_COMPILER_MODULE_H_
#define CORDON_WASM_COMPILER_MODULE_H_

// A validated module in memory, between the reader and the lowering. Function bodies are flat lists
// of fixed-size instructions, so that any thread can lower any function.

#include <wabt/opcode.h>

#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "wasm/abi.h"
#include "wasm/object.h"

namespace cordon::wasm {

struct Signature {
  std::vector<ValType> params;
  std::vector<ValType> results;
  bool operator==(const Signature&) const = default;
};

// What `a` and `b` mean depends on the opcode:
//   block, loop, if, try        a = signature
//   br, br_if, rethrow, delegate, throw, catch, call, local.*, global.*, ref.func, table.*
//                               a = index or depth
//   br_table                    a = first in Function::pool, b = count, the default is last
//   call_indirect, return_call_indirect, table.copy, table.init   a, b = the two indexes
//   loads, stores, atomics      b = offset, a = lane
//   constants                   b = bits; v128.const and i8x16.shuffle: two entries of pool at a
struct Instr {
  uint16_t opcode = 0;  // wabt::Opcode::Enum
  uint32_t a = 0;
  uint64_t b = 0;
};

struct Function {
  uint32_t signature = 0;
  bool imported = false;
  std::vector<std::pair<uint32_t, ValType>> locals;  // declared ones: count, type
  std::vector<Instr> code;
  std::vector<uint64_t> pool;
  uint64_t body_size = 0;
  std::string name;
};

struct ConstExpr {
  std::vector<ConstOp> ops;  // kRefFunc: index of the function until the object is written
};
struct GlobalDef {
  ValType type;
  bool is_mutable;
  ConstExpr init;
};
struct TableDef {
  ValType type;
  uint32_t min;
  uint32_t max;
  bool has_max;
  bool exported = false;
  bool grows = false;  // there is a table.grow for it
  uint32_t capacity = 0;
};
struct ImportDef {
  std::string module;
  std::string name;
  ExternKind kind;
  uint32_t index;
};
struct ExportDef {
  std::string name;
  ExternKind kind;
  uint32_t index;
};
struct ElementSegment {
  SegmentMode mode;
  uint32_t table;
  ConstExpr offset;
  std::vector<uint32_t> items;  // function or kNoIndex
};
struct DataSegment {
  SegmentMode mode;
  ConstExpr offset;
  std::span<const std::byte> bytes;  // in the module
};

struct Module {
  std::vector<Signature> signatures;  // structurally distinct
  std::vector<Function> functions;    // imported ones first
  std::vector<TableDef> tables;
  std::vector<MemoryRecord> memories;
  std::vector<GlobalDef> globals;
  std::vector<uint32_t> tags;  // signature
  std::vector<ImportDef> imports;
  std::vector<ExportDef> exports;
  std::vector<ElementSegment> elements;
  std::vector<DataSegment> data;
  uint32_t start_function = kNoIndex;
  uint32_t imported_functions = 0;
  uint32_t imported_tables = 0;
  uint32_t imported_globals = 0;
  uint32_t imported_tags = 0;
  uint32_t imported_memories = 0;
  bool lenient = false;
  bool polls = false;
  bool uses_threads = false;
  bool has_try = false;
  bool has_tail_calls = false;
  std::vector<bool> referenced;  // functions that need a FuncRef

  // Derived by Analyse (analysis.h).
  std::vector<uint32_t> funcref_of;  // index of the FuncRef or kNoIndex
  std::vector<uint32_t> funcrefs;    // functions
  std::vector<bool> may_throw;       // functions
  std::vector<bool> needs_adapter;   // signatures
  bool foreign_calls = false;
  bool exceptions = false;  // calls can leave an exception pending
  uint32_t result_slots = 0;
  StorageLayout layout;

  [[nodiscard]] const Signature& SignatureOf(uint32_t function) const {
    return signatures[functions[function].signature];
  }
};

}  // namespace cordon::wasm

#endif  // CORDON_WASM_COMPILER_MODULE_H_

#ifndef CORDON_WASM_OBJECT_H_
#define CORDON_WASM_OBJECT_H_

// The object file: what the compiler makes of a module and what an instance is made of. One flat
// file, little-endian, without relocations:
//
//   ObjectHeader | metadata tables | page boundary | constants | page boundary | code
//
// Constants and code are the *image*: code refers to constants by distance, so the two are mapped
// together, at any address; constants need read access, code read and execute. The metadata may be
// mapped anywhere else.

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "base/error.h"
#include "wasm/abi.h"

namespace cordon::wasm {

inline constexpr std::array<char, 8> kObjectMagic = {'C', 'O', 'R', 'D', 'O', 'N', 'W', 'O'};
// Also the version of the compiler in cache keys: raise it with every change of generated code.
inline constexpr uint32_t kObjectVersion = 3;
inline constexpr uint64_t kImageAlignment = 4096;

enum class Architecture : uint32_t { kX8664 = 1 };
enum class Tier : uint32_t { kFast = 0, kOptimised = 1 };
enum class CpuLevel : uint32_t { kX8664V2 = 2, kX8664V3 = 3 };

// Bits of ObjectHeader::facts.
enum ObjectFact : uint32_t {
  kIsCommand = 1u << 0,        // exports a function _start without parameters and results
  kIsReactor = 1u << 1,        // exports _initialize and no _start
  kHasPolls = 1u << 2,         // needs Context::poll_word and Context::poll
  kIsLenient = 1u << 3,        // has the custom section cordon.lenient
  kHasTags = 1u << 4,          // host calls may leave an exception pending
  kHasForeignCalls = 1u << 5,  // may meet functions of other instances in tables
  kUsesThreads = 1u << 6,      // atomics or a shared memory
};

// The metadata tables, each an array of one record type.
enum class Section : uint32_t {
  kTypes,         // TypeRecord; structurally distinct
  kValTypes,      // uint8_t, parameters and results of types
  kImports,       // ImportRecord
  kExports,       // ExportRecord
  kFunctions,     // FunctionRecord; imported ones first
  kCodeRanges,    // CodeRange, ascending
  kFuncRefs,      // uint32_t function index of each FuncRef of an instance
  kAdapters,      // uint32_t code offset of the adapter of each type
  kTables,        // TableRecord; imported ones first
  kMemories,      // MemoryRecord, none or one
  kGlobals,       // GlobalRecord; imported ones first
  kTags,          // TagRecord; imported ones first
  kConstOps,      // ConstOp
  kElements,      // ElementRecord
  kElementItems,  // uint32_t, index of a FuncRef or kNullItem
  kData,          // DataRecord
  kStrings,       // char
  kBytes,         // std::byte, contents of data segments
  kCount,
};
inline constexpr size_t kSectionCount = static_cast<size_t>(Section::kCount);

struct SectionRecord {
  uint64_t offset;  // in the file
  uint64_t count;   // of records
};

// Where the parts of an instance lie, in bytes from its Context. Compiled code uses these numbers.
// Both the compiler and the loader compute them with ComputeStorageLayout (layout.h).
struct StorageLayout {
  uint32_t type_ids;          // uint32_t[types]
  uint32_t globals;           // GlobalCell[own globals]
  uint32_t imported_globals;  // GlobalCell*[imported globals]
  uint32_t tables;            // Table*[tables]
  uint32_t tags;              // const Tag*[tags]
  uint32_t results;           // uint64_t[result slots]
  uint32_t imports;           // HostImport[imported functions]
  uint32_t own_tables;        // Table[own tables]
  uint32_t own_tags;          // Tag[own tags]
  uint32_t dropped_data;      // uint8_t[data segments]
  uint32_t dropped_elements;  // uint8_t[element segments]
  uint32_t funcrefs;          // FuncRef[funcrefs]
  uint64_t elements;          // uint64_t[sum of the capacities of own tables]
  uint64_t size_bytes;        // of the whole
};

struct ObjectHeader {
  std::array<char, 8> magic;
  uint32_t version;
  Architecture architecture;
  CpuLevel cpu_level;
  Tier tier;
  uint32_t facts;           // ObjectFact
  uint32_t start_function;  // kNoIndex if there is none
  uint32_t imported_functions;
  uint32_t imported_tables;
  uint32_t imported_globals;
  uint32_t imported_tags;
  uint32_t imported_memories;
  uint32_t result_slots;  // size of the result area
  uint64_t file_size;
  uint64_t metadata_size;  // header and tables; the image begins at the next page boundary
  uint64_t image_offset;
  uint64_t image_size;
  uint64_t code_offset;  // in the image, a multiple of kImageAlignment
  StorageLayout layout;
  std::array<SectionRecord, kSectionCount> sections;
  std::array<uint8_t, 32> module_hash;   // SHA-256 of the module's bytes
  std::array<uint8_t, 32> content_hash;  // SHA-256 of the file with this field zero
};

inline constexpr uint32_t kNoIndex = 0xffffffff;

struct StringRef {
  uint32_t offset;  // in Section::kStrings
  uint32_t size;
};
struct TypeRecord {
  uint32_t first;  // in Section::kValTypes: parameters, then results
  uint32_t param_count;
  uint32_t result_count;
  uint32_t param_slots;
  uint32_t result_slots;
};
enum class ExternKind : uint32_t { kFunction = 0, kTable = 1, kMemory = 2, kGlobal = 3, kTag = 4 };
struct ImportRecord {
  StringRef module;
  StringRef name;
  ExternKind kind;
  uint32_t index;  // in the index space of its kind
};
struct ExportRecord {
  StringRef name;
  ExternKind kind;
  uint32_t index;
};
struct FunctionRecord {
  uint32_t type;
  uint32_t code_offset;  // in the code; of imported functions, the wrapper
  uint32_t funcref;      // index of its FuncRef or kNoIndex
  StringRef name;        // of the name section, or empty
};
struct CodeRange {
  uint32_t code_offset;     // where it begins; it ends where the next one begins
  uint32_t function_index;  // kNoIndex: an adapter or padding
};
struct TableRecord {
  ValType type;
  uint8_t has_max;
  uint16_t reserved;
  uint32_t min;
  uint32_t max;
  uint32_t capacity;  // of own tables
};
struct MemoryRecord {
  uint32_t min_pages;
  uint32_t max_pages;  // 65536 if none was declared
  uint32_t has_max;
  uint32_t shared;
};
struct GlobalRecord {
  ValType type;
  uint8_t is_mutable;
  uint16_t reserved;
  uint32_t first_op;  // initial value, own globals: a range of Section::kConstOps
  uint32_t op_count;
};
struct TagRecord {
  uint32_t type;
};
// A constant expression, as a program for a stack.
enum class ConstOpcode : uint32_t {
  kConst,      // bits
  kGlobalGet,  // index
  kRefFunc,    // index of a FuncRef
  kI32Add,
  kI32Sub,
  kI32Mul,
  kI64Add,
  kI64Sub,
  kI64Mul,
};
inline constexpr size_t kConstStackDepth = 64;
struct ConstOp {
  ConstOpcode opcode;
  uint32_t index;
  uint64_t bits[2];
};
// Elements of segments: an index into FuncRefs, or this.
inline constexpr uint32_t kNullItem = 0xffffffff;
enum class SegmentMode : uint32_t { kActive, kPassive, kDeclared };
struct ElementRecord {
  SegmentMode mode;
  uint32_t table;
  uint32_t first_op, op_count;  // offset
  uint32_t first_item, item_count;
};
struct DataRecord {
  SegmentMode mode;
  uint32_t first_op, op_count;  // offset
  uint32_t size;
  uint64_t first_byte;  // in Section::kBytes
};

// A checked object. Points into the bytes that were parsed and is valid as long as they are.
struct ObjectView {
  const ObjectHeader* header = nullptr;
  std::span<const TypeRecord> types;
  std::span<const uint8_t> val_types;
  std::span<const ImportRecord> imports;
  std::span<const ExportRecord> exports;
  std::span<const FunctionRecord> functions;
  std::span<const CodeRange> code_ranges;
  std::span<const uint32_t> funcrefs;
  std::span<const uint32_t> adapters;
  std::span<const TableRecord> tables;
  std::span<const MemoryRecord> memories;
  std::span<const GlobalRecord> globals;
  std::span<const TagRecord> tags;
  std::span<const ConstOp> const_ops;
  std::span<const ElementRecord> elements;
  std::span<const uint32_t> element_items;
  std::span<const DataRecord> data;
  std::span<const char> strings;
  std::span<const std::byte> bytes;
  // Constants and code as they lie in the file; empty if only the metadata was given.
  std::span<const std::byte> image;

  [[nodiscard]] std::string_view String(StringRef ref) const {
    return {strings.data() + ref.offset, ref.size};
  }
  [[nodiscard]] std::span<const ValType> Params(uint32_t type) const {
    return {reinterpret_cast<const ValType*>(&val_types[types[type].first]),
            types[type].param_count};
  }
  [[nodiscard]] std::span<const ValType> Results(uint32_t type) const {
    return {Params(type).data() + types[type].param_count, types[type].result_count};
  }
  [[nodiscard]] bool Is(ObjectFact fact) const { return (header->facts & fact) != 0; }
  // Null if there is no such export.
  [[nodiscard]] const ExportRecord* FindExport(std::string_view name) const;
  // The function whose code contains `code_offset`, or kNoIndex.
  [[nodiscard]] uint32_t FunctionAt(uint64_t code_offset) const;
  [[nodiscard]] uint64_t CodeSize() const { return header->image_size - header->code_offset; }
};

// The reason of a refusal, without allocation.
struct ErrorText {
  char text[256] = {};
};

// Checks every offset, count and index of a file that is taken to be hostile (what is behind
// `metadata_size` may be missing). The code itself cannot be checked: it is only as trustworthy as
// whoever wrote the file. Does not allocate.
[[nodiscard]] bool ParseObject(std::span<const std::byte> bytes, ObjectView* view,
                               ErrorText* error);
[[nodiscard]] Result<ObjectView> ParseObject(std::span<const std::byte> bytes);
// Compares the content hash of a whole file: truncation, bit flips, a half-written file.
[[nodiscard]] Status VerifyObjectHash(std::span<const std::byte> bytes);

}  // namespace cordon::wasm

#endif  // CORDON_WASM_OBJECT_H_

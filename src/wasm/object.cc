#include "wasm/object.h"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <type_traits>

#include "base/sha256.h"
#include "wasm/layout.h"

namespace cordon::wasm {
namespace {

bool Refuse(ErrorText* error, const char* reason) {
  std::snprintf(error->text, sizeof error->text, "damaged object: %s", reason);
  return false;
}

// A section as a span, if it lies in the metadata behind the header and is aligned.
template <typename T>
bool Take(std::span<const std::byte> metadata, const ObjectHeader& header, Section section,
          std::span<const T>* out) {
  static_assert(std::is_trivially_copyable_v<T>);
  const SectionRecord& record = header.sections[static_cast<size_t>(section)];
  if (record.offset < sizeof(ObjectHeader) || record.offset > metadata.size() ||
      record.offset % alignof(T) != 0 ||
      record.count > (metadata.size() - record.offset) / sizeof(T)) {
    return false;
  }
  *out = {reinterpret_cast<const T*>(metadata.data() + record.offset),
          static_cast<size_t>(record.count)};
  return true;
}

bool IsValType(uint8_t byte) {
  switch (static_cast<ValType>(byte)) {
    case ValType::kI32:
    case ValType::kI64:
    case ValType::kF32:
    case ValType::kF64:
    case ValType::kV128:
    case ValType::kFuncref:
    case ValType::kExternref:
      return true;
  }
  return false;
}

bool IsRefType(ValType type) {
  return type == ValType::kFuncref || type == ValType::kExternref;
}

bool InRange(uint64_t first, uint64_t count, uint64_t size) {
  return first <= size && count <= size - first;
}

class Checker {
 public:
  explicit Checker(const ObjectView& view) : view_(view), header_(*view.header) {}

  // The first thing that is wrong, or null.
  const char* Check() {
    if (!CheckTypes()) return "types";
    if (!CheckImports()) return "imports";
    if (!CheckExports()) return "exports";
    if (!CheckFunctions()) return "functions";
    if (!CheckCodeRanges()) return "code ranges";
    if (!CheckTablesAndMemories()) return "tables or memories";
    if (!CheckGlobals()) return "globals";
    if (!CheckSegments()) return "segments";
    if (!CheckLayout()) return "layout";
    return nullptr;
  }

 private:
  [[nodiscard]] bool StringOk(StringRef ref) const {
    return InRange(ref.offset, ref.size, view_.strings.size());
  }

  bool CheckTypes() const {
    for (const uint8_t byte : view_.val_types) {
      if (!IsValType(byte)) return false;
    }
    for (uint32_t i = 0; i < view_.types.size(); ++i) {
      const TypeRecord& type = view_.types[i];
      if (!InRange(type.first, uint64_t{type.param_count} + type.result_count,
                   view_.val_types.size())) {
        return false;
      }
      uint64_t params = 0;
      uint64_t results = 0;
      for (const ValType t : view_.Params(i)) params += SlotCount(t);
      for (const ValType t : view_.Results(i)) results += SlotCount(t);
      if (type.param_slots != params || type.result_slots != results) return false;
      if (results > header_.result_slots) return false;
    }
    for (const TagRecord& tag : view_.tags) {
      if (tag.type >= view_.types.size() ||
          view_.types[tag.type].param_slots > kMaxExceptionSlots) {
        return false;
      }
    }
    return header_.imported_tags <= view_.tags.size();
  }

  [[nodiscard]] uint64_t CountOf(ExternKind kind) const {
    switch (kind) {
      case ExternKind::kFunction:
        return view_.functions.size();
      case ExternKind::kTable:
        return view_.tables.size();
      case ExternKind::kMemory:
        return view_.memories.size();
      case ExternKind::kGlobal:
        return view_.globals.size();
      case ExternKind::kTag:
        return view_.tags.size();
    }
    return 0;
  }

  bool CheckImports() const {
    // Each kind's imports take the first indexes of its index space, in order.
    uint32_t counts[5] = {};
    for (const ImportRecord& import : view_.imports) {
      if (!StringOk(import.module) || !StringOk(import.name)) return false;
      if (static_cast<uint32_t>(import.kind) > 4 || import.index >= CountOf(import.kind) ||
          import.index != counts[static_cast<uint32_t>(import.kind)]++) {
        return false;
      }
    }
    return counts[0] == header_.imported_functions && counts[1] == header_.imported_tables &&
           counts[2] == header_.imported_memories && counts[3] == header_.imported_globals &&
           counts[4] == header_.imported_tags;
  }

  bool CheckExports() const {
    for (const ExportRecord& record : view_.exports) {
      if (!StringOk(record.name) || static_cast<uint32_t>(record.kind) > 4 ||
          record.index >= CountOf(record.kind)) {
        return false;
      }
      if (record.kind == ExternKind::kFunction &&
          view_.functions[record.index].funcref == kNoIndex) {
        return false;
      }
    }
    return true;
  }

  bool CheckFunctions() const {
    const uint64_t code_size = view_.CodeSize();
    for (const FunctionRecord& function : view_.functions) {
      if (function.type >= view_.types.size() || function.code_offset >= code_size ||
          !StringOk(function.name) ||
          (function.funcref != kNoIndex && function.funcref >= view_.funcrefs.size())) {
        return false;
      }
    }
    for (uint32_t i = 0; i < view_.funcrefs.size(); ++i) {
      const uint32_t index = view_.funcrefs[i];
      if (index >= view_.functions.size() || view_.functions[index].funcref != i) return false;
      // A FuncRef can be called from outside: its type needs an adapter.
      if (view_.adapters[view_.functions[index].type] == kNoIndex) return false;
    }
    for (const uint32_t offset : view_.adapters) {
      if (offset != kNoIndex && offset >= code_size) return false;
    }
    if (header_.start_function == kNoIndex) return true;
    return header_.start_function < view_.functions.size() &&
           view_.functions[header_.start_function].funcref != kNoIndex;
  }

  bool CheckCodeRanges() const {
    uint64_t previous = 0;
    for (const CodeRange& range : view_.code_ranges) {
      if (range.code_offset < previous || range.code_offset > view_.CodeSize()) return false;
      if (range.function_index != kNoIndex && range.function_index >= view_.functions.size()) {
        return false;
      }
      previous = range.code_offset;
    }
    return true;
  }

  bool CheckTablesAndMemories() const {
    for (const TableRecord& table : view_.tables) {
      if (!IsRefType(table.type) || (table.has_max != 0 && table.max < table.min)) return false;
    }
    for (size_t i = header_.imported_tables; i < view_.tables.size(); ++i) {
      if (view_.tables[i].capacity < view_.tables[i].min) return false;
    }
    if (view_.memories.size() > 1) return false;
    for (const MemoryRecord& memory : view_.memories) {
      if (memory.min_pages > memory.max_pages || memory.max_pages > 65536 || memory.shared > 1) {
        return false;
      }
    }
    return true;
  }

  // Runs a constant expression's stack without values: `globals` are those that may be read.
  [[nodiscard]] bool ExpressionOk(uint32_t first, uint32_t count, uint64_t globals) const {
    if (!InRange(first, count, view_.const_ops.size())) return false;
    size_t depth = 0;
    for (const ConstOp& op : view_.const_ops.subspan(first, count)) {
      if (op.opcode <= ConstOpcode::kRefFunc) {
        if (op.opcode == ConstOpcode::kGlobalGet && op.index >= globals) return false;
        if (op.opcode == ConstOpcode::kRefFunc && op.index >= view_.funcrefs.size()) return false;
        if (++depth > kConstStackDepth) return false;
      } else {
        if (op.opcode > ConstOpcode::kI64Mul || depth < 2) return false;
        --depth;
      }
    }
    return depth == 1;
  }

  bool CheckGlobals() const {
    for (size_t i = 0; i < view_.globals.size(); ++i) {
      const GlobalRecord& global = view_.globals[i];
      if (!IsValType(static_cast<uint8_t>(global.type))) return false;
      if (i >= header_.imported_globals && !ExpressionOk(global.first_op, global.op_count, i)) {
        return false;
      }
    }
    return true;
  }

  bool CheckSegments() const {
    for (const ElementRecord& segment : view_.elements) {
      if (segment.mode > SegmentMode::kDeclared ||
          !InRange(segment.first_item, segment.item_count, view_.element_items.size())) {
        return false;
      }
      if (segment.mode == SegmentMode::kActive &&
          (segment.table >= view_.tables.size() ||
           !ExpressionOk(segment.first_op, segment.op_count, view_.globals.size()))) {
        return false;
      }
    }
    for (const uint32_t item : view_.element_items) {
      if (item != kNullItem && item >= view_.funcrefs.size()) return false;
    }
    for (const DataRecord& segment : view_.data) {
      if (segment.mode > SegmentMode::kPassive ||
          !InRange(segment.first_byte, segment.size, view_.bytes.size())) {
        return false;
      }
      if (segment.mode == SegmentMode::kActive &&
          (view_.memories.empty() ||
           !ExpressionOk(segment.first_op, segment.op_count, view_.globals.size()))) {
        return false;
      }
    }
    return true;
  }

  [[nodiscard]] bool CheckLayout() const {
    StorageLayout layout;
    return ComputeStorageLayout(ShapeOf(view_), &layout) && layout == header_.layout;
  }

  const ObjectView& view_;
  const ObjectHeader& header_;
};

bool TakeSections(std::span<const std::byte> metadata, ObjectView* view) {
  const ObjectHeader& header = *view->header;
  return Take(metadata, header, Section::kTypes, &view->types) &&
         Take(metadata, header, Section::kValTypes, &view->val_types) &&
         Take(metadata, header, Section::kImports, &view->imports) &&
         Take(metadata, header, Section::kExports, &view->exports) &&
         Take(metadata, header, Section::kFunctions, &view->functions) &&
         Take(metadata, header, Section::kCodeRanges, &view->code_ranges) &&
         Take(metadata, header, Section::kFuncRefs, &view->funcrefs) &&
         Take(metadata, header, Section::kAdapters, &view->adapters) &&
         Take(metadata, header, Section::kTables, &view->tables) &&
         Take(metadata, header, Section::kMemories, &view->memories) &&
         Take(metadata, header, Section::kGlobals, &view->globals) &&
         Take(metadata, header, Section::kTags, &view->tags) &&
         Take(metadata, header, Section::kConstOps, &view->const_ops) &&
         Take(metadata, header, Section::kElements, &view->elements) &&
         Take(metadata, header, Section::kElementItems, &view->element_items) &&
         Take(metadata, header, Section::kData, &view->data) &&
         Take(metadata, header, Section::kStrings, &view->strings) &&
         Take(metadata, header, Section::kBytes, &view->bytes);
}

// Header fields that do not need the tables.
const char* CheckHeader(const ObjectHeader& header, size_t given_size) {
  if (header.magic != kObjectMagic) return "not an object of Cordon";
  if (header.version != kObjectVersion) return "made by another version of the compiler";
  if (header.architecture != Architecture::kX8664) return "made for another architecture";
  if (header.metadata_size < sizeof(ObjectHeader) || header.metadata_size > given_size) {
    return "truncated metadata";
  }
  if (header.image_offset % kImageAlignment != 0 || header.image_offset < header.metadata_size ||
      header.image_offset > header.file_size ||
      header.image_size != header.file_size - header.image_offset) {
    return "bad image range";
  }
  if (header.code_offset % kImageAlignment != 0 || header.code_offset > header.image_size ||
      header.image_size - header.code_offset > UINT32_MAX) {
    return "bad code range";
  }
  return nullptr;
}

}  // namespace

InstanceShape ShapeOf(const ObjectView& view) {
  const ObjectHeader& header = *view.header;
  InstanceShape shape;
  shape.types = view.types.size();
  shape.imported_globals = header.imported_globals;
  shape.own_globals = view.globals.size() - header.imported_globals;
  shape.tables = view.tables.size();
  shape.own_tables = view.tables.size() - header.imported_tables;
  shape.tags = view.tags.size();
  shape.own_tags = view.tags.size() - header.imported_tags;
  shape.result_slots = header.result_slots;
  shape.imported_functions = header.imported_functions;
  shape.data_segments = view.data.size();
  shape.element_segments = view.elements.size();
  shape.funcrefs = view.funcrefs.size();
  for (size_t i = header.imported_tables; i < view.tables.size(); ++i) {
    shape.table_elements += view.tables[i].capacity;
  }
  return shape;
}

const ExportRecord* ObjectView::FindExport(std::string_view name) const {
  for (const ExportRecord& record : exports) {
    if (String(record.name) == name) return &record;
  }
  return nullptr;
}

uint32_t ObjectView::FunctionAt(uint64_t code_offset) const {
  const auto after = std::upper_bound(
      code_ranges.begin(), code_ranges.end(), code_offset,
      [](uint64_t offset, const CodeRange& range) { return offset < range.code_offset; });
  return after == code_ranges.begin() ? kNoIndex : (after - 1)->function_index;
}

bool ParseObject(std::span<const std::byte> bytes, ObjectView* view, ErrorText* error) {
  *view = {};
  if (bytes.size() < sizeof(ObjectHeader)) return Refuse(error, "shorter than its header");
  if (reinterpret_cast<uintptr_t>(bytes.data()) % alignof(ObjectHeader) != 0) {
    return Refuse(error, "not aligned in memory");
  }
  view->header = reinterpret_cast<const ObjectHeader*>(bytes.data());
  const ObjectHeader& header = *view->header;
  if (const char* reason = CheckHeader(header, bytes.size())) return Refuse(error, reason);
  if (!TakeSections(bytes.first(header.metadata_size), view)) {
    return Refuse(error, "a table lies outside the metadata");
  }
  if (view->adapters.size() != view->types.size() ||
      header.imported_functions > view->functions.size() ||
      header.imported_tables > view->tables.size() ||
      header.imported_globals > view->globals.size() || header.imported_tags > view->tags.size() ||
      header.imported_memories > view->memories.size()) {
    return Refuse(error, "counts contradict each other");
  }
  if (const char* reason = Checker(*view).Check()) return Refuse(error, reason);
  if (bytes.size() >= header.file_size) {
    view->image = bytes.subspan(header.image_offset, header.image_size);
  }
  return true;
}

Result<ObjectView> ParseObject(std::span<const std::byte> bytes) {
  ObjectView view;
  ErrorText error;
  if (!ParseObject(bytes, &view, &error)) return Fail(ErrorCode::kCorrupt, error.text);
  return view;
}

Status VerifyObjectHash(std::span<const std::byte> bytes) {
  constexpr size_t kHashOffset = offsetof(ObjectHeader, content_hash);
  if (bytes.size() < sizeof(ObjectHeader)) {
    return Fail(ErrorCode::kCorrupt, "damaged object: shorter than its header");
  }
  ObjectHeader header;
  std::memcpy(&header, bytes.data(), sizeof header);
  if (header.file_size != bytes.size()) {
    return Fail(ErrorCode::kCorrupt, "damaged object: its size is not what it says");
  }
  const std::array<std::byte, 32> zero{};
  Sha256 hash;
  hash.Update(bytes.first(kHashOffset));
  hash.Update(zero);
  hash.Update(bytes.subspan(kHashOffset + sizeof header.content_hash));
  if (hash.Finish() != header.content_hash) {
    return Fail(ErrorCode::kCorrupt, "damaged object: its contents do not match their hash");
  }
  return {};
}

}  // namespace cordon::wasm

#include "wasm/compiler/object_writer.h"

#include <algorithm>
#include <cstring>
#include <string>

#include "base/sha256.h"
#include "wasm/compiler/lowering.h"

namespace cordon::wasm {
namespace {

class ObjectWriter {
 public:
  ObjectWriter(const Module& module, const LinkedImage& image) : module_(module), image_(image) {
    file_.resize(sizeof(ObjectHeader));
  }

  std::vector<std::byte> Write(const ObjectIdentity& identity) {
    WriteTypes();
    WriteImportsAndExports();
    WriteFunctions();
    WriteTables();
    WriteGlobals();
    WriteSegments();
    Add(Section::kConstOps, const_ops_);
    Add(Section::kStrings, strings_);
    FillHeader(identity);
    header_.metadata_size = file_.size();
    file_.resize((file_.size() + kImageAlignment - 1) & ~(kImageAlignment - 1));
    header_.image_offset = file_.size();
    header_.image_size = image_.bytes.size();
    header_.code_offset = image_.code_offset;
    file_.insert(file_.end(), image_.bytes.begin(), image_.bytes.end());
    header_.file_size = file_.size();
    std::memcpy(file_.data(), &header_, sizeof header_);
    Sha256 hash;
    hash.Update(file_);
    header_.content_hash = hash.Finish();
    std::memcpy(file_.data(), &header_, sizeof header_);
    return std::move(file_);
  }

 private:
  template <typename T>
  void Add(Section section, const std::vector<T>& records) {
    file_.resize((file_.size() + 15) & ~size_t{15});
    header_.sections[static_cast<size_t>(section)] = {file_.size(), records.size()};
    const size_t at = file_.size();
    file_.resize(at + records.size() * sizeof(T));
    if (!records.empty()) {
      std::memcpy(file_.data() + at, records.data(), records.size() * sizeof(T));
    }
  }

  StringRef AddString(const std::string& text) {
    const StringRef ref = {static_cast<uint32_t>(strings_.size()),
                           static_cast<uint32_t>(text.size())};
    strings_.insert(strings_.end(), text.begin(), text.end());
    return ref;
  }

  void AddExpression(const ConstExpr& expression, uint32_t* first, uint32_t* count) {
    *first = static_cast<uint32_t>(const_ops_.size());
    *count = static_cast<uint32_t>(expression.ops.size());
    for (ConstOp op : expression.ops) {
      if (op.opcode == ConstOpcode::kRefFunc) op.index = module_.funcref_of[op.index];
      const_ops_.push_back(op);
    }
  }

  [[nodiscard]] uint32_t CodeOffset(const std::string& symbol) const {
    return image_.symbols.at(symbol);
  }

  void WriteTypes() {
    std::vector<TypeRecord> types;
    std::vector<uint8_t> val_types;
    std::vector<uint32_t> adapters;
    for (uint32_t i = 0; i < module_.signatures.size(); ++i) {
      const Signature& signature = module_.signatures[i];
      TypeRecord record = {static_cast<uint32_t>(val_types.size()),
                           static_cast<uint32_t>(signature.params.size()),
                           static_cast<uint32_t>(signature.results.size()), 0, 0};
      for (const ValType type : signature.params) {
        val_types.push_back(static_cast<uint8_t>(type));
        record.param_slots += SlotCount(type);
      }
      for (const ValType type : signature.results) {
        val_types.push_back(static_cast<uint8_t>(type));
        record.result_slots += SlotCount(type);
      }
      types.push_back(record);
      adapters.push_back(module_.needs_adapter[i] ? CodeOffset(AdapterSymbol(i)) : kNoIndex);
    }
    Add(Section::kTypes, types);
    Add(Section::kValTypes, val_types);
    Add(Section::kAdapters, adapters);
  }

  void WriteImportsAndExports() {
    std::vector<ImportRecord> imports;
    imports.reserve(module_.imports.size());
    for (const ImportDef& import : module_.imports) {
      imports.push_back(
          {AddString(import.module), AddString(import.name), import.kind, import.index});
    }
    std::vector<ExportRecord> exports;
    exports.reserve(module_.exports.size());
    for (const ExportDef& item : module_.exports) {
      exports.push_back({AddString(item.name), item.kind, item.index});
    }
    Add(Section::kImports, imports);
    Add(Section::kExports, exports);
  }

  void WriteFunctions() {
    std::vector<FunctionRecord> functions;
    std::vector<CodeRange> ranges;
    for (uint32_t i = 0; i < module_.functions.size(); ++i) {
      const Function& function = module_.functions[i];
      const uint32_t offset = CodeOffset(FunctionSymbol(i));
      functions.push_back(
          {function.signature, offset, module_.funcref_of[i], AddString(function.name)});
      ranges.push_back({offset, i});
    }
    for (uint32_t i = 0; i < module_.signatures.size(); ++i) {
      if (module_.needs_adapter[i]) ranges.push_back({CodeOffset(AdapterSymbol(i)), kNoIndex});
    }
    std::ranges::sort(ranges, {}, &CodeRange::code_offset);
    Add(Section::kFunctions, functions);
    Add(Section::kCodeRanges, ranges);
    Add(Section::kFuncRefs, module_.funcrefs);
  }

  void WriteTables() {
    std::vector<TableRecord> tables;
    tables.reserve(module_.tables.size());
    for (const TableDef& table : module_.tables) {
      tables.push_back({table.type, table.has_max ? uint8_t{1} : uint8_t{0}, 0, table.min,
                        table.max, table.capacity});
    }
    std::vector<TagRecord> tags;
    tags.reserve(module_.tags.size());
    for (const uint32_t tag : module_.tags) tags.push_back({tag});
    Add(Section::kTables, tables);
    Add(Section::kMemories, module_.memories);
    Add(Section::kTags, tags);
  }

  void WriteGlobals() {
    std::vector<GlobalRecord> globals;
    for (const GlobalDef& global : module_.globals) {
      GlobalRecord record = {global.type, global.is_mutable ? uint8_t{1} : uint8_t{0}, 0, 0, 0};
      AddExpression(global.init, &record.first_op, &record.op_count);
      globals.push_back(record);
    }
    Add(Section::kGlobals, globals);
  }

  void WriteSegments() {
    std::vector<ElementRecord> elements;
    std::vector<uint32_t> items;
    for (const ElementSegment& segment : module_.elements) {
      ElementRecord record = {segment.mode,
                              segment.table,
                              0,
                              0,
                              static_cast<uint32_t>(items.size()),
                              static_cast<uint32_t>(segment.items.size())};
      AddExpression(segment.offset, &record.first_op, &record.op_count);
      for (const uint32_t item : segment.items) {
        items.push_back(item == kNoIndex ? kNullItem : module_.funcref_of[item]);
      }
      elements.push_back(record);
    }
    std::vector<DataRecord> data;
    std::vector<std::byte> bytes;
    for (const DataSegment& segment : module_.data) {
      DataRecord record = {segment.mode, 0, 0, static_cast<uint32_t>(segment.bytes.size()),
                           bytes.size()};
      AddExpression(segment.offset, &record.first_op, &record.op_count);
      bytes.insert(bytes.end(), segment.bytes.begin(), segment.bytes.end());
      data.push_back(record);
    }
    Add(Section::kElements, elements);
    Add(Section::kElementItems, items);
    Add(Section::kData, data);
    Add(Section::kBytes, bytes);
  }

  [[nodiscard]] uint32_t Facts() const {
    uint32_t facts = 0;
    const auto exported = [this](const char* name) -> const ExportDef* {
      for (const ExportDef& item : module_.exports) {
        if (item.name == name && item.kind == ExternKind::kFunction) return &item;
      }
      return nullptr;
    };
    const ExportDef* start = exported("_start");
    if (start != nullptr && module_.SignatureOf(start->index) == Signature{}) facts |= kIsCommand;
    if (start == nullptr && exported("_initialize") != nullptr) facts |= kIsReactor;
    if (module_.polls) facts |= kHasPolls;
    if (module_.lenient) facts |= kIsLenient;
    if (!module_.tags.empty()) facts |= kHasTags;
    if (module_.foreign_calls) facts |= kHasForeignCalls;
    if (module_.uses_threads) facts |= kUsesThreads;
    return facts;
  }

  void FillHeader(const ObjectIdentity& identity) {
    header_.magic = kObjectMagic;
    header_.version = kObjectVersion;
    header_.architecture = Architecture::kX8664;
    header_.cpu_level = identity.cpu_level;
    header_.tier = identity.tier;
    header_.facts = Facts();
    header_.start_function = module_.start_function;
    header_.imported_functions = module_.imported_functions;
    header_.imported_tables = module_.imported_tables;
    header_.imported_globals = module_.imported_globals;
    header_.imported_tags = module_.imported_tags;
    header_.imported_memories = module_.imported_memories;
    header_.result_slots = module_.result_slots;
    header_.layout = module_.layout;
    header_.module_hash = identity.module_hash;
  }

  const Module& module_;
  const LinkedImage& image_;
  ObjectHeader header_{};
  std::vector<std::byte> file_;
  std::vector<char> strings_;
  std::vector<ConstOp> const_ops_;
};

}  // namespace

std::vector<std::byte> WriteObject(const Module& module, const LinkedImage& image,
                                   const ObjectIdentity& identity) {
  return ObjectWriter(module, image).Write(identity);
}

}  // namespace cordon::wasm

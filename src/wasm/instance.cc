#include "wasm/instance.h"

#include <cstdio>
#include <cstring>

#include "wasm/runtime.h"

namespace cordon::wasm {
namespace {

template <typename T>
T* At(std::byte* storage, uint64_t offset) {
  return reinterpret_cast<T*>(storage + offset);
}

bool IsReference(ValType type) {
  return type == ValType::kFuncref || type == ValType::kExternref;
}

// The steps of Instantiate, in the order of the specification: everything that can be refused
// first, then what changes tables and memory.
class Instantiation {
 public:
  Instantiation(const InstanceRequest& request, InstantiateError* error)
      : request_(request),
        view_(*request.view),
        layout_(view_.header->layout),
        storage_(request.storage.data()),
        context_(*reinterpret_cast<Context*>(request.storage.data())),
        error_(error) {}

  InstantiateOutcome Run() {
    if (request_.storage.size() < layout_.size_bytes) return Refuse("storage too small");
    FillContext();
    if (!InternTypes()) return Refuse("too many function types in one process");
    FillFuncRefs();
    FillOwnTables();
    FillOwnTags();
    if (!ResolveImports()) return InstantiateOutcome::kRefused;
    if (!TakeOwnMemory()) return Refuse("the module has a memory and was given none");
    FillGlobals();
    std::memset(context_.dropped_data, 0, view_.data.size());
    std::memset(context_.dropped_elements, 0, view_.elements.size());
    if (!CopyElements()) return InstantiateOutcome::kTrapped;
    if (request_.frozen_globals.empty())
      return CopyData() ? InstantiateOutcome::kDone : InstantiateOutcome::kTrapped;
    return Thaw() ? InstantiateOutcome::kDone : Refuse("frozen from another module");
  }

 private:
  InstantiateOutcome Refuse(const char* reason) {
    std::snprintf(error_->message.text, sizeof error_->message.text, "%s", reason);
    return InstantiateOutcome::kRefused;
  }

  void FillContext() {
    std::memset(storage_, 0, sizeof(Context));
    context_.runtime = RuntimeTable();
    const HostFunctions& host = request_.host;
    context_.host_call = host.host_call;
    context_.poll = host.poll;
    context_.memory_grow = host.memory_grow;
    context_.atomic_wait32 = host.atomic_wait32;
    context_.atomic_wait64 = host.atomic_wait64;
    context_.atomic_notify = host.atomic_notify;
    context_.poll_word = host.poll_word;
    context_.user = host.user;
    context_.view = &view_;
    context_.code_base = request_.image + view_.header->code_offset;
    context_.registry = request_.registry;
    context_.type_ids = At<uint32_t>(storage_, layout_.type_ids);
    context_.globals = At<GlobalCell>(storage_, layout_.globals);
    context_.imported_globals = At<GlobalCell*>(storage_, layout_.imported_globals);
    context_.tables = At<Table*>(storage_, layout_.tables);
    context_.tags = At<const Tag*>(storage_, layout_.tags);
    context_.results = At<uint64_t>(storage_, layout_.results);
    context_.imports = At<HostImport>(storage_, layout_.imports);
    context_.dropped_data = At<uint8_t>(storage_, layout_.dropped_data);
    context_.dropped_elements = At<uint8_t>(storage_, layout_.dropped_elements);
    context_.funcrefs = At<FuncRef>(storage_, layout_.funcrefs);
  }

  bool InternTypes() {
    auto* ids = At<uint32_t>(storage_, layout_.type_ids);
    for (uint32_t i = 0; i < view_.types.size(); ++i) {
      ids[i] = request_.registry->Intern(view_.Params(i), view_.Results(i));
      if (ids[i] == TypeRegistry::kFull) return false;
    }
    return true;
  }

  void FillFuncRefs() {
    FuncRef* out = context_.funcrefs;
    for (const uint32_t index : view_.funcrefs) {
      const FunctionRecord& function = view_.functions[index];
      const auto adapter =
          reinterpret_cast<Adapter>(const_cast<std::byte*>(context_.code_base) +  // NOLINT
                                    view_.adapters[function.type]);
      *out++ = {context_.code_base + function.code_offset, &context_, adapter,
                context_.type_ids[function.type], index};
    }
  }

  void FillOwnTables() {
    auto* table = At<Table>(storage_, layout_.own_tables);
    auto* elements = At<uint64_t>(storage_, layout_.elements);
    for (size_t i = view_.header->imported_tables; i < view_.tables.size(); ++i) {
      const TableRecord& record = view_.tables[i];
      *table = {elements, record.min, record.capacity, record.type,
                record.has_max != 0 ? record.max : 0xffffffff};
      std::memset(elements, 0, uint64_t{record.min} * sizeof(uint64_t));
      elements += record.capacity;
      context_.tables[i] = table++;
    }
  }

  void FillOwnTags() {
    auto* tag = At<Tag>(storage_, layout_.own_tags);
    for (size_t i = view_.header->imported_tags; i < view_.tags.size(); ++i) {
      const uint32_t type = view_.tags[i].type;
      *tag = {context_.type_ids[type], view_.types[type].param_slots};
      context_.tags[i] = tag++;
    }
  }

  bool ResolveImports() {
    for (const ImportRecord& record : view_.imports) {
      if (const char* reason = ResolveImport(record)) {
        // The sizes are the precision of %.*s.
        const StringRef module = record.module;
        const StringRef name = record.name;
        std::snprintf(
            error_->message.text, sizeof error_->message.text, "%s: %.*s.%.*s", reason,
            static_cast<int>(std::min(module.size, 80U)), view_.strings.data() + module.offset,
            static_cast<int>(std::min(name.size, 80U)), view_.strings.data() + name.offset);
        return false;
      }
    }
    return true;
  }

  // Null, or why it is refused.
  const char* ResolveImport(const ImportRecord& record) {
    ImportRequest import = {
        &view_, &record, view_.String(record.module), view_.String(record.name), kNoIndex, 0};
    if (record.kind == ExternKind::kFunction) {
      import.function_index = record.index;
      import.type_id = context_.type_ids[view_.functions[record.index].type];
    } else if (record.kind == ExternKind::kTag) {
      import.type_id = context_.type_ids[view_.tags[record.index].type];
    }
    ImportValue value;
    const ImportOutcome outcome =
        request_.resolver.resolve == nullptr
            ? ImportOutcome::kUnknown
            : request_.resolver.resolve(request_.resolver.cookie, import, &value);
    if (outcome == ImportOutcome::kIncompatible) return "incompatible import type";
    if (outcome == ImportOutcome::kUnknown) {
      if (record.kind != ExternKind::kFunction) return "unknown import";
      value.function = {};
    }
    return Bind(record, value);
  }

  const char* Bind(const ImportRecord& record, const ImportValue& value) {
    switch (record.kind) {
      case ExternKind::kFunction:
        context_.imports[record.index] = value.function;
        return nullptr;
      case ExternKind::kTable:
        return BindTable(view_.tables[record.index], record.index, value);
      case ExternKind::kMemory:
        return BindMemory(view_.memories[record.index], value);
      case ExternKind::kGlobal:
        if (value.global == nullptr) return "unknown import";
        context_.imported_globals[record.index] = value.global;
        return nullptr;
      case ExternKind::kTag:
        if (value.tag == nullptr) return "unknown import";
        context_.tags[record.index] = value.tag;
        return nullptr;
    }
    return "unknown import";
  }

  const char* BindTable(const TableRecord& want, uint32_t index, const ImportValue& value) {
    if (value.table == nullptr) return "unknown import";
    const Table& have = *value.table;
    if (have.type != want.type || have.size < want.min ||
        (want.has_max != 0 && have.declared_max > want.max)) {
      return "incompatible import type";
    }
    context_.tables[index] = value.table;
    return nullptr;
  }

  const char* BindMemory(const MemoryRecord& want, const ImportValue& value) {
    if (value.memory == nullptr) return "unknown import";
    const Memory& have = *value.memory;
    if (have.size_bytes < want.min_pages * kPageSize || have.shared != want.shared ||
        (want.has_max != 0 && have.declared_max_pages > want.max_pages)) {
      return "incompatible import type";
    }
    context_.memory = value.memory;
    context_.memory_base = value.memory->base;
    return nullptr;
  }

  bool TakeOwnMemory() {
    if (view_.memories.empty() || context_.memory != nullptr) return true;
    if (request_.memory == nullptr || request_.memory->base == nullptr) return false;
    context_.memory = request_.memory;
    context_.memory_base = request_.memory->base;
    return true;
  }

  // Runs a constant expression that ParseObject checked.
  GlobalCell Evaluate(uint32_t first, uint32_t count) {
    GlobalCell stack[kConstStackDepth] = {};
    size_t depth = 0;
    for (const ConstOp& op : view_.const_ops.subspan(first, count)) {
      switch (op.opcode) {
        case ConstOpcode::kConst:
          stack[depth++] = {{op.bits[0], op.bits[1]}};
          continue;
        case ConstOpcode::kGlobalGet:
          stack[depth++] = *GlobalAt(&context_, op.index);
          continue;
        case ConstOpcode::kRefFunc:
          stack[depth++] = {{reinterpret_cast<uint64_t>(&context_.funcrefs[op.index]), 0}};
          continue;
        default:
          break;
      }
      const uint64_t right = stack[--depth].bits[0];
      uint64_t& left = stack[depth - 1].bits[0];
      switch (op.opcode) {
        case ConstOpcode::kI32Add:
          left = static_cast<uint32_t>(left + right);
          break;
        case ConstOpcode::kI32Sub:
          left = static_cast<uint32_t>(left - right);
          break;
        case ConstOpcode::kI32Mul:
          left = static_cast<uint32_t>(left * right);
          break;
        case ConstOpcode::kI64Add:
          left += right;
          break;
        case ConstOpcode::kI64Sub:
          left -= right;
          break;
        default:
          left *= right;
          break;
      }
    }
    return stack[0];
  }

  void FillGlobals() {
    const uint32_t imported = view_.header->imported_globals;
    for (uint32_t i = imported; i < view_.globals.size(); ++i) {
      const GlobalRecord& record = view_.globals[i];
      context_.globals[i - imported] = Evaluate(record.first_op, record.op_count);
    }
  }

  bool CopyElements() {
    for (uint32_t i = 0; i < view_.elements.size(); ++i) {
      const ElementRecord& record = view_.elements[i];
      if (record.mode == SegmentMode::kPassive) continue;
      if (record.mode == SegmentMode::kActive) {
        const auto offset =
            static_cast<uint32_t>(Evaluate(record.first_op, record.op_count).bits[0]);
        if (context_.runtime.table_init(&context_, record.table, i, offset, 0, record.item_count) !=
            0) {
          return Trap(TrapCode::kOutOfBoundsTable);
        }
      }
      context_.dropped_elements[i] = 1;
    }
    return true;
  }

  bool CopyData() {
    for (uint32_t i = 0; i < view_.data.size(); ++i) {
      const DataRecord& record = view_.data[i];
      if (record.mode != SegmentMode::kActive) continue;
      const auto offset = static_cast<uint32_t>(Evaluate(record.first_op, record.op_count).bits[0]);
      if (request_.data == DataSegments::kAreWritten &&
          context_.runtime.memory_init(&context_, i, offset, 0, record.size) != 0) {
        return Trap(TrapCode::kOutOfBoundsMemory);
      }
      context_.dropped_data[i] = 1;
    }
    return true;
  }

  // The memory is there already.
  bool Thaw() {
    const uint32_t imported = view_.header->imported_globals;
    if (request_.frozen_globals.size() != view_.globals.size() - imported) return false;
    for (uint32_t i = imported; i < view_.globals.size(); ++i) {
      if (view_.globals[i].is_mutable != 0 && !IsReference(view_.globals[i].type))
        context_.globals[i - imported] = request_.frozen_globals[i - imported];
    }
    std::memset(context_.dropped_data, 1, view_.data.size());
    return true;
  }

  bool Trap(TrapCode code) {
    error_->trap = code;
    std::snprintf(error_->message.text, sizeof error_->message.text, "%s", TrapName(code));
    return false;
  }

  const InstanceRequest& request_;
  const ObjectView& view_;
  const StorageLayout& layout_;
  std::byte* storage_;
  Context& context_;
  InstantiateError* error_;
};

}  // namespace

InstantiateOutcome Instantiate(const InstanceRequest& request, InstantiateError* error) {
  return Instantiation(request, error).Run();
}

bool CanBeFrozen(const Context* context, ErrorText* reason) {
  const ObjectView& view = *context->view;
  const auto refuse = [reason](const char* text) {
    std::snprintf(reason->text, sizeof reason->text, "%s", text);
    return false;
  };
  if (view.header->imported_globals + view.header->imported_tables +
          view.header->imported_memories + view.header->imported_tags !=
      0)
    return refuse("it imports more than functions");
  for (const GlobalRecord& global : view.globals) {
    if (global.is_mutable != 0 && IsReference(global.type))
      return refuse("it has a global variable that is a reference");
  }
  for (size_t i = 0; i < view.data.size(); ++i) {
    if (context->dropped_data[i] == 0) return refuse("it has data segments that it may still copy");
  }
  // Every element as its segment says, and the others null.
  uint64_t expected = 0;
  for (const ElementRecord& segment : view.elements) {
    if (segment.mode == SegmentMode::kDeclared) continue;
    if (segment.mode != SegmentMode::kActive || segment.op_count != 1 ||
        view.const_ops[segment.first_op].opcode != ConstOpcode::kConst)
      return refuse("it has element segments without a fixed place");
    const Table& table = *context->tables[segment.table];
    const uint64_t offset = view.const_ops[segment.first_op].bits[0] & 0xffffffff;
    for (uint32_t i = 0; i < segment.item_count; ++i) {
      const uint32_t item = view.element_items[segment.first_item + i];
      const uint64_t element =
          item == kNullItem ? 0 : reinterpret_cast<uint64_t>(&context->funcrefs[item]);
      if (offset + i >= table.size || table.elements[offset + i] != element)
        return refuse("it changed a table");
      expected += element != 0 ? 1 : 0;
    }
  }
  for (size_t i = 0; i < view.tables.size(); ++i) {
    const Table& table = *context->tables[i];
    if (table.size != view.tables[i].min) return refuse("a table grew");
    for (uint32_t j = 0; j < table.size; ++j) expected -= table.elements[j] != 0 ? 1 : 0;
  }
  return expected == 0 || refuse("it changed a table");
}

const FuncRef* FuncRefOf(const Context* context, uint32_t function_index) {
  const ObjectView& view = *context->view;
  if (function_index >= view.functions.size()) return nullptr;
  const uint32_t index = view.functions[function_index].funcref;
  return index == kNoIndex ? nullptr : &context->funcrefs[index];
}

const FuncRef* FindExportedFunction(const Context* context, std::string_view name) {
  const ExportRecord* record = context->view->FindExport(name);
  if (record == nullptr || record->kind != ExternKind::kFunction) return nullptr;
  return FuncRefOf(context, record->index);
}

GlobalCell* GlobalAt(const Context* context, uint32_t global_index) {
  const uint32_t imported = context->view->header->imported_globals;
  if (global_index < imported) return context->imported_globals[global_index];
  return &context->globals[global_index - imported];
}

const char* TrapName(TrapCode code) {
  static constexpr const char* kNames[] = {
#define CORDON_WASM_TRAP_NAME(name, text) text,
      CORDON_WASM_TRAPS(CORDON_WASM_TRAP_NAME)
#undef CORDON_WASM_TRAP_NAME
  };
  const auto index = static_cast<size_t>(code);
  return index < std::size(kNames) ? kNames[index] : "unknown trap";
}

}  // namespace cordon::wasm

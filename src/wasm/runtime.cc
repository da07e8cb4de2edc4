#include "wasm/runtime.h"

#include <cstring>
#include <span>

#include "wasm/instance.h"
#include "wasm/object.h"

namespace cordon::wasm {
namespace {

constexpr uint32_t kOk = static_cast<uint32_t>(TrapCode::kNone);
constexpr uint32_t kBadMemory = static_cast<uint32_t>(TrapCode::kOutOfBoundsMemory);
constexpr uint32_t kBadTable = static_cast<uint32_t>(TrapCode::kOutOfBoundsTable);

// While it lives, a fault on linear memory counts as one of compiled code: the embedder may have
// taken rights from pages below size_bytes.
class BusyScope {
 public:
  explicit BusyScope(Context* context) : context_(context) { context_->runtime_busy = 1; }
  BusyScope(const BusyScope&) = delete;
  BusyScope& operator=(const BusyScope&) = delete;
  ~BusyScope() { context_->runtime_busy = 0; }

 private:
  Context* context_;
};

bool Fits(const Memory& memory, uint32_t offset, uint32_t size) {
  return uint64_t{offset} + size <= memory.size_bytes;
}

uint32_t MemoryCopy(Context* context, uint32_t to, uint32_t from, uint32_t size) {
  const Memory& memory = *context->memory;
  if (!Fits(memory, to, size) || !Fits(memory, from, size)) return kBadMemory;
  const BusyScope busy(context);
  std::memmove(memory.base + to, memory.base + from, size);
  return kOk;
}

uint32_t MemoryFill(Context* context, uint32_t to, uint32_t value, uint32_t size) {
  const Memory& memory = *context->memory;
  if (!Fits(memory, to, size)) return kBadMemory;
  const BusyScope busy(context);
  std::memset(memory.base + to, static_cast<int>(value & 0xff), size);
  return kOk;
}

uint32_t MemoryInit(Context* context, uint32_t segment, uint32_t to, uint32_t from, uint32_t size) {
  const ObjectView& view = *context->view;
  const DataRecord& record = view.data[segment];
  const uint32_t available = context->dropped_data[segment] != 0 ? 0 : record.size;
  const Memory& memory = *context->memory;
  if (uint64_t{from} + size > available || !Fits(memory, to, size)) return kBadMemory;
  const BusyScope busy(context);
  std::memcpy(memory.base + to, view.bytes.data() + record.first_byte + from, size);
  return kOk;
}

bool Fits(const Table& table, uint32_t offset, uint32_t count) {
  return uint64_t{offset} + count <= table.size;
}

uint32_t TableCopy(Context* context, uint32_t to_table, uint32_t from_table, uint32_t to,
                   uint32_t from, uint32_t count) {
  Table& target = *context->tables[to_table];
  const Table& source = *context->tables[from_table];
  if (!Fits(target, to, count) || !Fits(source, from, count)) return kBadTable;
  std::memmove(target.elements + to, source.elements + from, uint64_t{count} * sizeof(uint64_t));
  return kOk;
}

uint32_t TableFill(Context* context, uint32_t table_index, uint32_t to, uint64_t value,
                   uint32_t count) {
  Table& table = *context->tables[table_index];
  if (!Fits(table, to, count)) return kBadTable;
  for (uint32_t i = 0; i < count; ++i) table.elements[to + i] = value;
  return kOk;
}

uint32_t TableInit(Context* context, uint32_t table_index, uint32_t segment, uint32_t to,
                   uint32_t from, uint32_t count) {
  const ElementRecord& record = context->view->elements[segment];
  const uint32_t available = context->dropped_elements[segment] != 0 ? 0 : record.item_count;
  Table& table = *context->tables[table_index];
  if (uint64_t{from} + count > available || !Fits(table, to, count)) return kBadTable;
  const uint32_t* items = context->view->element_items.data() + record.first_item + from;
  uint64_t* out = table.elements + to;
  for (uint32_t i = 0; i < count; ++i) {
    out[i] = items[i] == kNullItem ? 0 : reinterpret_cast<uint64_t>(&context->funcrefs[items[i]]);
  }
  return kOk;
}

uint32_t TableGrow(Context* context, uint32_t table_index, uint64_t value, uint32_t count) {
  Table& table = *context->tables[table_index];
  const uint32_t old_size = table.size;
  if (count > table.capacity - old_size) return UINT32_MAX;
  for (uint32_t i = 0; i < count; ++i) table.elements[old_size + i] = value;
  table.size = old_size + count;
  return old_size;
}

// Moves values from slots of one list of types to another as a register machine would: each class
// (integers and references; floats; vectors) in order, missing ones zero, extra ones dropped.
class SlotReader {
 public:
  SlotReader(std::span<const ValType> types, const uint64_t* slots)
      : types_(types), slots_(slots) {}

  // The next value of the class of `type`, in *low and *high.
  void Next(ValType type, uint64_t* low, uint64_t* high) {
    *low = 0;
    *high = 0;
    Cursor& cursor = cursors_[ClassOf(type)];
    while (cursor.type < types_.size()) {
      const ValType have = types_[cursor.type];
      const uint32_t slot = cursor.slot;
      ++cursor.type;
      cursor.slot += SlotCount(have);
      if (ClassOf(have) != ClassOf(type)) continue;
      *low = Convert(slots_[slot], have, type);
      if (have == ValType::kV128) *high = slots_[slot + 1];
      return;
    }
  }

 private:
  struct Cursor {
    size_t type = 0;
    uint32_t slot = 0;
  };
  static size_t ClassOf(ValType type) {
    switch (type) {
      case ValType::kF32:
      case ValType::kF64:
        return 1;
      case ValType::kV128:
        return 2;
      // References are classes of their own: an integer must never become a function.
      case ValType::kFuncref:
        return 3;
      case ValType::kExternref:
        return 4;
      default:
        return 0;
    }
  }
  static uint64_t Convert(uint64_t bits, ValType have, ValType want) {
    if (have == ValType::kI32 && want == ValType::kI64) return bits & 0xffffffff;
    if (have == ValType::kF32 && want == ValType::kF64) {
      float single;
      std::memcpy(&single, &bits, sizeof single);
      const double wide = single;
      std::memcpy(&bits, &wide, sizeof bits);
    } else if (have == ValType::kF64 && want == ValType::kF32) {
      double wide;
      std::memcpy(&wide, &bits, sizeof wide);
      const auto single = static_cast<float>(wide);
      bits = 0;
      std::memcpy(&bits, &single, sizeof single);
    }
    return bits;
  }

  std::span<const ValType> types_;
  const uint64_t* slots_;
  Cursor cursors_[5];
};

void ConvertSlots(std::span<const ValType> have, const uint64_t* from,
                  std::span<const ValType> want, uint64_t* to) {
  SlotReader reader(have, from);
  for (const ValType type : want) {
    uint64_t low;
    uint64_t high;
    reader.Next(type, &low, &high);
    *to++ = low;
    if (type == ValType::kV128) *to++ = high;
  }
}

uint32_t SlotsOf(std::span<const ValType> types) {
  uint32_t count = 0;
  for (const ValType type : types) count += SlotCount(type);
  return count;
}

constexpr size_t kMaxConvertedSlots = 64;

// A call whose type differs, in a module that asks for the conversion.
uint32_t CallConverted(Context* context, const FuncRef* function, uint64_t* slots,
                       uint32_t type_index) {
  const TypeRegistry& registry = *context->registry;
  const uint32_t expected = context->type_ids[type_index];
  uint64_t converted[kMaxConvertedSlots];
  if (SlotsOf(registry.Params(function->type_id)) > kMaxConvertedSlots ||
      SlotsOf(registry.Results(function->type_id)) > kMaxConvertedSlots) {
    return static_cast<uint32_t>(TrapCode::kIndirectCallTypeMismatch);
  }
  ConvertSlots(registry.Params(expected), slots, registry.Params(function->type_id), converted);
  CallAcross(context, *function, converted);
  ConvertSlots(registry.Results(function->type_id), converted, registry.Results(expected), slots);
  return kOk;
}

uint32_t CallSlow(Context* context, const FuncRef* function, uint64_t* slots, uint32_t type_index) {
  if (function->type_id != context->type_ids[type_index]) {
    if (!context->view->Is(kIsLenient)) {
      return static_cast<uint32_t>(TrapCode::kIndirectCallTypeMismatch);
    }
    return CallConverted(context, function, slots, type_index);
  }
  CallAcross(context, *function, slots);
  return kOk;
}

constexpr RuntimeFunctions kRuntime = {MemoryCopy, MemoryFill, MemoryInit, TableCopy,
                                       TableFill,  TableInit,  TableGrow,  CallSlow};

}  // namespace

// GS belongs to the instance that runs.
void CallAcross(Context* caller, const FuncRef& function, uint64_t* slots) {
  Context* callee = function.context;
  if (callee == caller) {
    function.adapter(function.code, callee, slots);
    return;
  }
  const bool can_use_wrgsbase = CanUseWrGsBase();
  callee->trap_exit = caller->trap_exit;
  if (callee->memory_base != caller->memory_base && callee->memory_base != nullptr) {
    SetMemoryBase(callee->memory_base, can_use_wrgsbase);
  }
  function.adapter(function.code, callee, slots);
  if (caller->memory_base != nullptr) SetMemoryBase(caller->memory_base, can_use_wrgsbase);
  if (callee->exception.tag != nullptr) {
    caller->exception = callee->exception;
    callee->exception.tag = nullptr;
  }
}

const RuntimeFunctions& RuntimeTable() {
  return kRuntime;
}

}  // namespace cordon::wasm

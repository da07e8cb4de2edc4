#include "wasm/compiler/analysis.h"

#include <algorithm>

#include "wasm/layout.h"

namespace cordon::wasm {
namespace {

using wabt::Opcode;

// A table that others can see or that grows gets room for this many more elements than its minimum,
// which costs address space only.
constexpr uint32_t kTableGrowth = 1u << 20;

void AssignFuncRefs(Module* module) {
  module->funcref_of.assign(module->functions.size(), kNoIndex);
  module->needs_adapter.assign(module->signatures.size(), false);
  for (uint32_t i = 0; i < module->functions.size(); ++i) {
    if (!module->referenced[i]) continue;
    module->funcref_of[i] = static_cast<uint32_t>(module->funcrefs.size());
    module->funcrefs.push_back(i);
    module->needs_adapter[module->functions[i].signature] = true;
  }
}

void AssignTables(Module* module) {
  for (uint32_t i = 0; i < module->tables.size(); ++i) {
    TableDef& table = module->tables[i];
    table.capacity = table.min;
    if (table.exported || table.grows) {
      table.capacity =
          static_cast<uint32_t>(std::min<uint64_t>(table.max, uint64_t{table.min} + kTableGrowth));
    }
    if (table.type == ValType::kFuncref && (i < module->imported_tables || table.exported)) {
      module->foreign_calls = true;
    }
  }
  const auto passes_functions = [](const std::vector<ValType>& types) {
    return std::ranges::find(types, ValType::kFuncref) != types.end();
  };
  for (uint32_t i = 0; i < module->imported_functions; ++i) {
    if (passes_functions(module->SignatureOf(i).results)) module->foreign_calls = true;
  }
  for (const ExportDef& item : module->exports) {
    if (item.kind == ExternKind::kFunction &&
        passes_functions(module->SignatureOf(item.index).params)) {
      module->foreign_calls = true;
    }
    if (item.kind == ExternKind::kGlobal && module->globals[item.index].is_mutable &&
        module->globals[item.index].type == ValType::kFuncref) {
      module->foreign_calls = true;
    }
  }
  for (uint32_t i = 0; i < module->imported_globals; ++i) {
    if (module->globals[i].type == ValType::kFuncref) module->foreign_calls = true;
  }
}

// Whether the function by itself can leave an exception pending, and its direct callees.
bool ThrowsItself(const Module& module, const Function& function, std::vector<uint32_t>* callees) {
  if (function.imported) return true;
  bool throws = false;
  for (const Instr& instr : function.code) {
    switch (instr.opcode) {
      case Opcode::Throw:
      case Opcode::Rethrow:
      case Opcode::CallIndirect:
      case Opcode::ReturnCallIndirect:
        throws = true;
        break;
      case Opcode::Loop:
        throws = throws || module.polls;
        break;
      case Opcode::Call:
      case Opcode::ReturnCall:
        callees->push_back(instr.a);
        break;
      default:
        break;
    }
  }
  return throws;
}

// Marks everything from which a throwing function can be reached. A try that catches everything
// does not unmark its function: the test it saves is not worth the analysis.
void FindThrowers(Module* module) {
  module->exceptions = !module->tags.empty() || module->has_try;
  module->may_throw.assign(module->functions.size(), false);
  if (!module->exceptions) return;
  std::vector<std::vector<uint32_t>> callers(module->functions.size());
  std::vector<uint32_t> work;
  std::vector<uint32_t> callees;
  for (uint32_t i = 0; i < module->functions.size(); ++i) {
    callees.clear();
    if (ThrowsItself(*module, module->functions[i], &callees)) {
      module->may_throw[i] = true;
      work.push_back(i);
    }
    for (const uint32_t callee : callees) callers[callee].push_back(i);
  }
  while (!work.empty()) {
    const uint32_t function = work.back();
    work.pop_back();
    for (const uint32_t caller : callers[function]) {
      if (module->may_throw[caller]) continue;
      module->may_throw[caller] = true;
      work.push_back(caller);
    }
  }
}

}  // namespace

Status Analyse(Module* module) {
  AssignFuncRefs(module);
  AssignTables(module);
  FindThrowers(module);
  for (const Signature& signature : module->signatures) {
    uint32_t slots = 0;
    for (const ValType type : signature.results) slots += SlotCount(type);
    module->result_slots = std::max(module->result_slots, slots);
  }
  InstanceShape shape;
  shape.types = module->signatures.size();
  shape.imported_globals = module->imported_globals;
  shape.own_globals = module->globals.size() - module->imported_globals;
  shape.tables = module->tables.size();
  shape.own_tables = module->tables.size() - module->imported_tables;
  shape.tags = module->tags.size();
  shape.own_tags = module->tags.size() - module->imported_tags;
  shape.result_slots = module->result_slots;
  shape.imported_functions = module->imported_functions;
  shape.data_segments = module->data.size();
  shape.element_segments = module->elements.size();
  shape.funcrefs = module->funcrefs.size();
  for (size_t i = module->imported_tables; i < module->tables.size(); ++i) {
    shape.table_elements += module->tables[i].capacity;
  }
  if (!ComputeStorageLayout(shape, &module->layout)) {
    return Fail(ErrorCode::kLimit, "limit: the instance would be larger than 2 GiB");
  }
  return {};
}

}  // namespace cordon::wasm

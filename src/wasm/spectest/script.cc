#include "wasm/spectest/script.h"

#include <wabt/binary-writer.h>
#include <wabt/cast.h>
#include <wabt/ir.h>
#include <wabt/stream.h>
#include <wabt/wast-lexer.h>
#include <wabt/wast-parser.h>

#include <cstring>
#include <fstream>
#include <iterator>
#include <map>

#include "wasm/spectest/store.h"

namespace cordon::wasm {
namespace {

wabt::Features ScriptFeatures() {
  wabt::Features features;
  features.enable_exceptions();
  features.enable_threads();
  features.enable_tail_call();
  features.enable_extended_const();
  return features;
}

std::vector<std::byte> ToBytes(const std::vector<uint8_t>& data) {
  const auto* begin = reinterpret_cast<const std::byte*>(data.data());
  return {begin, begin + data.size()};
}

std::vector<std::byte> Assemble(const wabt::Module& module) {
  wabt::MemoryStream stream;
  const wabt::WriteBinaryOptions options(ScriptFeatures(), true, false, true);
  if (wabt::Failed(wabt::WriteBinaryModule(&stream, &module, options))) return {};
  return ToBytes(stream.output_buffer().data);
}

// The two kinds of NaN that an expectation may ask for.
bool NanMatches(wabt::ExpectedNan wanted, uint64_t bits, bool is_double) {
  const uint64_t quiet = is_double ? 0x7ff8000000000000 : 0x7fc00000;
  const uint64_t mask = is_double ? 0x7fffffffffffffff : 0x7fffffff;
  if (wanted == wabt::ExpectedNan::Canonical) return (bits & mask) == quiet;
  return (bits & quiet) == quiet;
}

bool FloatMatches(const wabt::Const& wanted, int lane, uint64_t wanted_bits, uint64_t bits,
                  bool is_double) {
  if (wanted.is_expected_nan(lane)) return NanMatches(wanted.expected_nan(lane), bits, is_double);
  return bits == wanted_bits;
}

bool VectorMatches(const wabt::Const& wanted, const uint64_t* slots) {
  const wabt::Type lane_type = wanted.lane_type();
  if (lane_type != wabt::Type::F32 && lane_type != wabt::Type::F64) {
    return wanted.vec128().u64(0) == slots[0] && wanted.vec128().u64(1) == slots[1];
  }
  const bool is_double = lane_type == wabt::Type::F64;
  for (int i = 0; i < wanted.lane_count(); ++i) {
    uint64_t bits = is_double ? slots[i] : static_cast<uint32_t>(slots[i / 2] >> (i % 2 * 32));
    const uint64_t wanted_bits =
        is_double ? wanted.v128_lane<uint64_t>(i) : wanted.v128_lane<uint32_t>(i);
    if (!FloatMatches(wanted, i, wanted_bits, bits, is_double)) return false;
  }
  return true;
}

bool Matches(const wabt::Const& wanted, const uint64_t* slots) {
  switch (wanted.type()) {
    case wabt::Type::I32:
      return wanted.u32() == static_cast<uint32_t>(slots[0]);
    case wabt::Type::I64:
      return wanted.u64() == slots[0];
    case wabt::Type::F32:
      return FloatMatches(wanted, 0, wanted.f32_bits(), static_cast<uint32_t>(slots[0]), false);
    case wabt::Type::F64:
      return FloatMatches(wanted, 0, wanted.f64_bits(), slots[0], true);
    case wabt::Type::V128:
      return VectorMatches(wanted, slots);
    case wabt::Type::FuncRef:
      return wanted.ref_bits() == wabt::Const::kRefNullBits ? slots[0] == 0 : slots[0] != 0;
    case wabt::Type::ExternRef:
      return wanted.ref_bits() == wabt::Const::kRefNullBits ? slots[0] == 0
                                                            : slots[0] == wanted.ref_bits() + 1;
    default:
      return false;
  }
}

void StoreArgument(const wabt::Const& value, std::vector<uint64_t>* slots) {
  switch (value.type()) {
    case wabt::Type::I32:
      slots->push_back(value.u32());
      break;
    case wabt::Type::F32:
      slots->push_back(value.f32_bits());
      break;
    case wabt::Type::F64:
      slots->push_back(value.f64_bits());
      break;
    case wabt::Type::V128:
      slots->push_back(value.vec128().u64(0));
      slots->push_back(value.vec128().u64(1));
      break;
    case wabt::Type::FuncRef:
    case wabt::Type::ExternRef:
      // Null is 0, the host's reference n is n + 1.
      slots->push_back(value.ref_bits() == wabt::Const::kRefNullBits ? 0 : value.ref_bits() + 1);
      break;
    default:
      slots->push_back(value.u64());
      break;
  }
}

struct Outcome {
  bool found = false;
  TrapCode trap = TrapCode::kNone;
  std::vector<uint64_t> slots;
};

class ScriptRunner {
 public:
  ScriptRunner(const std::string& path, const wabt::Script& script, Tier tier)
      : path_(path), script_(script), store_(tier) {}

  ScriptResult Run() {
    for (size_t i = 0; i < script_.commands.size(); ++i) {
      index_ = i;
      RunCommand(*script_.commands[i]);
    }
    return std::move(result_);
  }

 private:
  void Pass() { ++result_.passed; }
  [[nodiscard]] std::string Place(int line) const {
    return path_ + ":" + std::to_string(line) + ": ";
  }
  void Failure(int line, const std::string& what) {
    ++result_.failed;
    result_.failures.push_back(Place(line) + what);
  }
  void Check(bool good, int line, const std::string& what) {
    if (good) {
      Pass();
    } else {
      Failure(line, what);
    }
  }

  LoadedInstance* InstanceOf(const wabt::Var& var) {
    const wabt::Index command = script_.module_bindings.FindIndex(var);
    const auto at = instances_.find(command);
    return at == instances_.end() ? nullptr : at->second;
  }

  void AddModule(const std::vector<std::byte>& bytes, int line) {
    LoadedInstance* instance = nullptr;
    std::string message;
    const LoadOutcome outcome = store_.Add(bytes, &instance, &message);
    if (outcome == LoadOutcome::kDone) instances_[index_] = instance;
    Check(outcome == LoadOutcome::kDone, line, "module: " + message);
  }

  Outcome Perform(const wabt::Action& action) {
    Outcome outcome;
    LoadedInstance* instance = InstanceOf(action.module_var);
    if (instance == nullptr) return outcome;
    const ExportRecord* item = instance->view.FindExport(action.name);
    if (item == nullptr) return outcome;
    if (action.type() == wabt::ActionType::Get) {
      if (item->kind != ExternKind::kGlobal) return outcome;
      const GlobalCell* cell = GlobalAt(instance->context(), item->index);
      outcome.slots = {cell->bits[0], cell->bits[1]};
      outcome.found = true;
      return outcome;
    }
    if (item->kind != ExternKind::kFunction) return outcome;
    const FunctionRecord& function = instance->view.functions[item->index];
    for (const wabt::Const& argument : wabt::cast<wabt::InvokeAction>(&action)->args) {
      StoreArgument(argument, &outcome.slots);
    }
    outcome.slots.resize(std::max<size_t>(
        {outcome.slots.size(), instance->view.types[function.type].result_slots, 1}));
    outcome.trap =
        store_.Call(instance, *FuncRefOf(instance->context(), item->index), outcome.slots.data());
    outcome.found = true;
    return outcome;
  }

  void OnAssertReturn(const wabt::AssertReturnCommand& command) {
    const int line = command.action->loc.line;
    const Outcome outcome = Perform(*command.action);
    if (!outcome.found || outcome.trap != TrapCode::kNone) {
      Failure(line,
              outcome.found ? std::string("trap: ") + TrapName(outcome.trap) : "no such export");
      return;
    }
    bool good = true;
    size_t slot = 0;
    for (const wabt::Const& wanted : command.expected->expected) {
      good = good && Matches(wanted, outcome.slots.data() + slot);
      slot += wanted.type() == wabt::Type::V128 ? 2 : 1;
    }
    char text[64];
    std::snprintf(text, sizeof text, "%s: wrong result 0x%llx", command.action->name.c_str(),
                  static_cast<unsigned long long>(outcome.slots[0]));
    Check(good, line, text);
  }

  // The suite's texts are prefixes or longer forms of the names.
  static bool SameTrap(const std::string& wanted, const std::string& have) {
    return wanted.starts_with(have) || have.starts_with(wanted);
  }

  void OnAssertTrap(const wabt::Action& action, const std::string& text) {
    const Outcome outcome = Perform(action);
    const std::string have = outcome.found ? TrapName(outcome.trap) : "no such export";
    Check(outcome.trap != TrapCode::kNone && SameTrap(text, have), action.loc.line,
          action.name + ": wanted trap \"" + text + "\", got \"" + have + "\"");
  }

  // The bytes of a module that a command holds; false if its text does not even parse.
  static bool BytesOf(const wabt::ScriptModule& module, std::vector<std::byte>* bytes) {
    if (const auto* binary = wabt::dyn_cast<wabt::BinaryScriptModule>(&module)) {
      *bytes = ToBytes(binary->data);
      return true;
    }
    if (const auto* quoted = wabt::dyn_cast<wabt::QuotedScriptModule>(&module)) {
      wabt::Errors errors;
      std::unique_ptr<wabt::Module> parsed;
      auto lexer = wabt::WastLexer::CreateBufferLexer("quoted", quoted->data.data(),
                                                      quoted->data.size(), &errors);
      wabt::WastParseOptions options(ScriptFeatures());
      if (wabt::Failed(wabt::ParseWatModule(lexer.get(), &parsed, &errors, &options))) return false;
      *bytes = Assemble(*parsed);
      return true;
    }
    *bytes = Assemble(wabt::cast<wabt::TextScriptModule>(&module)->module);
    return true;
  }

  void OnAssertRejected(const wabt::ScriptModule& module, const std::string& text) {
    std::vector<std::byte> bytes;
    const bool refused = !BytesOf(module, &bytes) || !ReadModule(bytes, ModuleLimits());
    if (!refused && text == "multiple tables") {
      // Written before reference types, which made several tables valid.
      result_.skipped.push_back(Place(module.location().line) +
                                "wants several tables refused; reference types allow them");
      return;
    }
    Check(refused, module.location().line, "accepted, but should be refused: " + text);
  }

  void OnAssertNotInstantiated(const wabt::ScriptModule& module, LoadOutcome wanted,
                               const std::string& text) {
    std::vector<std::byte> bytes;
    LoadedInstance* instance = nullptr;
    std::string message = "does not parse";
    const bool good = BytesOf(module, &bytes) && store_.Add(bytes, &instance, &message) == wanted;
    Check(good, module.location().line, "wanted \"" + text + "\", got \"" + message + "\"");
  }

  void RunCommand(const wabt::Command& command) {
    using wabt::cast;
    switch (command.type) {
      case wabt::CommandType::Module: {
        const auto& module = cast<wabt::ModuleCommand>(&command)->module;
        AddModule(Assemble(module), module.loc.line);
        break;
      }
      case wabt::CommandType::ScriptModule: {
        const auto* module = cast<wabt::ScriptModuleCommand>(&command);
        std::vector<std::byte> bytes;
        static_cast<void>(BytesOf(*module->script_module, &bytes));
        AddModule(bytes, module->module.loc.line);
        break;
      }
      case wabt::CommandType::Action: {
        const auto& action = *cast<wabt::ActionCommand>(&command)->action;
        const Outcome outcome = Perform(action);
        Check(outcome.found && outcome.trap == TrapCode::kNone, action.loc.line,
              action.name + ": " + TrapName(outcome.trap));
        break;
      }
      case wabt::CommandType::Register: {
        const auto* registration = cast<wabt::RegisterCommand>(&command);
        LoadedInstance* instance = InstanceOf(registration->var);
        if (instance != nullptr) store_.Register(registration->module_name, instance);
        Check(instance != nullptr, registration->var.loc.line, "register: no such module");
        break;
      }
      case wabt::CommandType::AssertReturn:
        OnAssertReturn(*cast<wabt::AssertReturnCommand>(&command));
        break;
      case wabt::CommandType::AssertTrap: {
        const auto* assertion = cast<wabt::AssertTrapCommand>(&command);
        OnAssertTrap(*assertion->action, assertion->text);
        break;
      }
      case wabt::CommandType::AssertExhaustion: {
        const auto* assertion = cast<wabt::AssertExhaustionCommand>(&command);
        OnAssertTrap(*assertion->action, assertion->text);
        break;
      }
      case wabt::CommandType::AssertException:
        OnAssertTrap(*cast<wabt::AssertExceptionCommand>(&command)->action,
                     TrapName(TrapCode::kUncaughtException));
        break;
      case wabt::CommandType::AssertMalformed: {
        const auto* assertion = cast<wabt::AssertMalformedCommand>(&command);
        OnAssertRejected(*assertion->module, assertion->text);
        break;
      }
      case wabt::CommandType::AssertInvalid: {
        const auto* assertion = cast<wabt::AssertInvalidCommand>(&command);
        OnAssertRejected(*assertion->module, assertion->text);
        break;
      }
      case wabt::CommandType::AssertUnlinkable: {
        const auto* assertion = cast<wabt::AssertUnlinkableCommand>(&command);
        OnAssertNotInstantiated(*assertion->module, LoadOutcome::kUnlinkable, assertion->text);
        break;
      }
      case wabt::CommandType::AssertUninstantiable: {
        const auto* assertion = cast<wabt::AssertUninstantiableCommand>(&command);
        OnAssertNotInstantiated(*assertion->module, LoadOutcome::kTrapped, assertion->text);
        break;
      }
    }
  }

  std::string path_;
  const wabt::Script& script_;
  Store store_;
  ScriptResult result_;
  size_t index_ = 0;
  std::map<size_t, LoadedInstance*> instances_;  // by command
};

}  // namespace

ScriptResult RunScript(const std::string& path, Tier tier) {
  ScriptResult result;
  std::ifstream stream(path, std::ios::binary);
  const std::string text((std::istreambuf_iterator<char>(stream)), {});
  wabt::Errors errors;
  std::unique_ptr<wabt::Script> script;
  auto lexer = wabt::WastLexer::CreateBufferLexer(path, text.data(), text.size(), &errors);
  wabt::WastParseOptions options(ScriptFeatures());
  if (!stream || wabt::Failed(wabt::ParseWastScript(lexer.get(), &script, &errors, &options))) {
    result.failed = 1;
    const int line = errors.empty() ? 0 : errors.front().loc.line;
    const std::string reason = errors.empty() ? "cannot be read" : errors.front().message;
    result.failures.push_back(path + ":" + std::to_string(line) + ": " + reason);
    return result;
  }
  return ScriptRunner(path, *script, tier).Run();
}

}  // namespace cordon::wasm

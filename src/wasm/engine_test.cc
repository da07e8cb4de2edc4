// What the official suite does not reach: traps with backtraces, host functions, lenient calls,
// polls, exceptions of the host, refusals.

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <cstring>

#include "wasm/compiler/compile.h"
#include "wasm/spectest/store.h"
#include "wasm/spectest/wat.h"

namespace cordon::wasm {
namespace {

// Appends an empty custom section.
void AddCustomSection(std::vector<std::byte>* module, const std::string& name) {
  module->push_back(std::byte{0});
  module->push_back(static_cast<std::byte>(name.size() + 1));
  module->push_back(static_cast<std::byte>(name.size()));
  for (const char c : name) module->push_back(static_cast<std::byte>(c));
}

class EngineTest : public ::testing::TestWithParam<Tier> {
 protected:
  void SetUp() override { InstallFaultHandler(); }

  LoadedInstance* Add(const std::string& text, const std::string& custom_section = {}) {
    std::vector<std::byte> bytes = AssembleText(text);
    EXPECT_FALSE(bytes.empty());
    if (!custom_section.empty()) AddCustomSection(&bytes, custom_section);
    LoadedInstance* instance = nullptr;
    std::string message;
    EXPECT_EQ(store_.Add(bytes, &instance, &message), LoadOutcome::kDone) << message;
    return instance;
  }
  // Calls an export; the slots hold the parameters and then the results.
  TrapCode Call(LoadedInstance* instance, const char* name, std::vector<uint64_t>* slots) {
    const FuncRef* function = FindExportedFunction(instance->context(), name);
    if (function == nullptr) return TrapCode::kUnknownImport;
    slots->resize(std::max<size_t>(slots->size(), 4));
    return store_.Call(instance, *function, slots->data());
  }
  static std::vector<std::string> FrameNames(const LoadedInstance& instance) {
    std::vector<std::string> names;
    const TrapReport& report = Store::LastTrap();
    names.reserve(report.frame_count);
    for (uint32_t i = 0; i < report.frame_count; ++i) {
      names.emplace_back(
          instance.view.String(instance.view.functions[report.frames[i].function_index].name));
    }
    return names;
  }
  // Lets unknown functions be bound or left unknown by `resolve`.
  void UseHost(const HostFunctions& host, ImportResolver resolver) {
    store_.set_customise([host, resolver](InstanceRequest* request) {
      if (host.host_call != nullptr) request->host.host_call = host.host_call;
      request->host.poll = host.poll;
      request->host.poll_word = host.poll_word;
      request->host.user = host.user;
      if (resolver.resolve != nullptr) request->resolver = resolver;
    });
  }

  Store store_{GetParam()};
};

ImportOutcome BindAll(void* /*cookie*/, const ImportRequest& /*request*/, ImportValue* value) {
  static char bound;
  value->function = {&bound, nullptr};
  return ImportOutcome::kFound;
}
ImportOutcome BindNone(void* /*cookie*/, const ImportRequest& /*request*/, ImportValue* /*value*/) {
  return ImportOutcome::kUnknown;
}

TEST_P(EngineTest, TrapHasBacktraceWithNames) {
  LoadedInstance* instance = Add(R"((module (memory 1)
    (func $inner (param i32) (result i32) local.get 0 i32.load offset=16 i32.const 1 i32.add)
    (func $outer (export "run") (param i32) (result i32)
      local.get 0 call $inner i32.const 3 i32.mul)))");
  std::vector<uint64_t> slots = {65536};
  EXPECT_EQ(Call(instance, "run", &slots), TrapCode::kOutOfBoundsMemory);
  EXPECT_EQ(FrameNames(*instance), (std::vector<std::string>{"inner", "outer"}));
  slots = {100};
  EXPECT_EQ(Call(instance, "run", &slots), TrapCode::kNone);
  EXPECT_EQ(slots[0], 3U);
}

TEST_P(EngineTest, HighestIndexWithHighestOffsetTraps) {
  LoadedInstance* instance = Add(R"((module (memory 1)
    (func (export "load") (param i32) (result i64) local.get 0 i64.load offset=0xffffffff)
    (func (export "store") (param i32) local.get 0 i64.const 1 i64.store offset=0xffffffff)))");
  std::vector<uint64_t> slots = {0xffffffff};
  EXPECT_EQ(Call(instance, "load", &slots), TrapCode::kOutOfBoundsMemory);
  slots = {0xffffffff};
  EXPECT_EQ(Call(instance, "store", &slots), TrapCode::kOutOfBoundsMemory);
}

// What is done with the result of an atomic operation, for which processors have instructions:
// `aN` by the operation, `pN` by a load and a store. TYPE, OP, RESULT, VALUE and the rest are
// filled in.
std::vector<std::string> TestsOfResults() {
  std::vector<std::string> tests = {"(TYPE.and RESULT (TYPE.const 16))", "(TYPE.and RESULT VALUE)",
                                    "(TYPE.and RESULT (TYPE.const -17))"};
  for (const char* compare : {"eq", "ne", "lt_s", "gt_s", "le_s", "ge_s"}) {
    for (const char* operands : {"(TYPE.OP RESULT VALUE) (TYPE.const 0)", "RESULT VALUE",
                                 "(TYPE.and RESULT VALUE) (TYPE.const 0)"}) {
      tests.push_back(std::string("EXTENDED(TYPE.") + compare + " " + operands + ")END");
    }
  }
  return tests;
}

std::string Replaced(std::string text, const std::string& name, const std::string& value) {
  for (size_t at = text.find(name); at != std::string::npos; at = text.find(name, at)) {
    text.replace(at, name.size(), value);
    at += value.size();
  }
  return text;
}

std::string AtomicAndPlain(const std::string& type, int* count) {
  const std::string pair = R"(
    (func (export "aN") (param TYPE TYPE) (result TYPE) (local TYPE)
      (TYPE.store (i32.const 64) (local.get 0)) ATOMIC)
    (func (export "pN") (param TYPE TYPE) (result TYPE) (local TYPE)
      (TYPE.store (i32.const 64) (local.get 0))
      (local.set 2 (TYPE.load (i32.const 64)))
      (TYPE.store (i32.const 64) (TYPE.OP (local.get 2) VALUE)) PLAIN))";
  const bool is_wide = type == "i64";
  std::string module;
  for (const char* op : {"add", "sub", "and", "or", "xor"}) {
    for (const char* value : {"(local.get 1)", "(TYPE.const -1)", "(TYPE.const 16)",
                              "(TYPE.const -17)", "(TYPE.shl (TYPE.const 1) (local.get 1))"}) {
      for (const std::string& test : TestsOfResults()) {
        const std::string atomic =
            Replaced(test, "RESULT", "(TYPE.atomic.rmw.OP (i32.const 64) VALUE)");
        const std::string plain = Replaced(test, "RESULT", "(local.get 2)");
        std::string both = Replaced(Replaced(pair, "ATOMIC", atomic), "PLAIN", plain);
        both = Replaced(Replaced(both, "VALUE", value), "OP", op);
        both = Replaced(both, "EXTENDED", is_wide ? "(i64.extend_i32_u " : "");
        both = Replaced(Replaced(both, "END", is_wide ? ")" : ""), "TYPE", type);
        module += Replaced(both, "N\"", std::to_string((*count)++) + "\"");
      }
    }
  }
  return module;
}

TEST_P(EngineTest, ATestOfWhatAnAtomicOperationGivesIsOfTheMemory) {
  for (const std::string type : {"i32", "i64"}) {
    int count = 0;
    LoadedInstance* instance =
        Add(Replaced("(module (memory 1) (func (export \"memory\") (result TYPE) "
                     "(TYPE.load (i32.const 64)))",
                     "TYPE", type) +
            AtomicAndPlain(type, &count) + ")");
    for (int i = 0; i < count; ++i) {
      for (const uint64_t before : {0U, 1U, 16U, 0xffffffffU}) {
        std::vector<uint64_t> atomic = {before, 1};
        std::vector<uint64_t> plain = {before, 1};
        ASSERT_EQ(Call(instance, ("a" + std::to_string(i)).c_str(), &atomic), TrapCode::kNone);
        std::vector<uint64_t> after_atomic;
        ASSERT_EQ(Call(instance, "memory", &after_atomic), TrapCode::kNone);
        ASSERT_EQ(Call(instance, ("p" + std::to_string(i)).c_str(), &plain), TrapCode::kNone);
        std::vector<uint64_t> after_plain;
        ASSERT_EQ(Call(instance, "memory", &after_plain), TrapCode::kNone);
        ASSERT_EQ(atomic[0], plain[0]) << type << " function " << i << " of " << before;
        ASSERT_EQ(after_atomic[0], after_plain[0]) << type << " function " << i;
      }
    }
  }
}

TEST_P(EngineTest, BulkCopyOverProtectedPageTraps) {
  LoadedInstance* instance = Add(R"((module (memory 4)
    (func (export "fill") (param i32) local.get 0 i32.const 7 i32.const 131072 memory.fill)))");
  // What a kernel does for a guest's mprotect.
  ASSERT_EQ(mprotect(instance->memory.base + kPageSize, kPageSize, PROT_READ), 0);
  std::vector<uint64_t> slots = {0};
  EXPECT_EQ(Call(instance, "fill", &slots), TrapCode::kOutOfBoundsMemory);
}

std::string WhyNotFrozen(const LoadedInstance* instance, ErrorText* text) {
  return CanBeFrozen(instance->context(), text) ? "" : text->text;
}

TEST_P(EngineTest, WhatMemoryAndNumbersDoNotHoldCannotBeFrozen) {
  ErrorText text;
  constexpr const char* kTables = R"((module (table $t 8 20 funcref) (func $f)
    (elem (i32.const 2) $f $f)
    (func (export "set") i32.const 2 ref.null func table.set $t)
    (func (export "add") i32.const 5 ref.func $f table.set $t)
    (func (export "same") i32.const 3 ref.func $f table.set $t)
    (func (export "grow") ref.null func i32.const 1 table.grow $t drop)))";
  const std::pair<const char*, const char*> calls[] = {{"set", "it changed a table"},
                                                       {"add", "it changed a table"},
                                                       {"same", ""},
                                                       {"grow", "a table grew"}};
  for (const auto& [name, reason] : calls) {
    LoadedInstance* instance = Add(kTables);
    EXPECT_EQ(WhyNotFrozen(instance, &text), "");
    std::vector<uint64_t> slots;
    ASSERT_EQ(Call(instance, name, &slots), TrapCode::kNone);
    EXPECT_EQ(WhyNotFrozen(instance, &text), reason) << name;
  }
  EXPECT_EQ(WhyNotFrozen(Add("(module (global (mut funcref) (ref.null func)))"), &text),
            "it has a global variable that is a reference");
  EXPECT_EQ(WhyNotFrozen(Add("(module (memory 1) (data \"abc\"))"), &text),
            "it has data segments that it may still copy");
}

TEST_P(EngineTest, SegmentsThatWereDroppedDoNotKeepFromBeingFrozen) {
  LoadedInstance* instance = Add(R"((module (memory 1) (data $d "abc")
    (func (export "run") data.drop $d)))");
  std::vector<uint64_t> slots;
  ASSERT_EQ(Call(instance, "run", &slots), TrapCode::kNone);
  ErrorText text;
  EXPECT_EQ(WhyNotFrozen(instance, &text), "");
}

TEST_P(EngineTest, AFrozenInstanceHasItsGlobalsAndItsMemory) {
  constexpr const char* kText = R"((module (memory 1) (data (i32.const 0) "abcd")
    (global $g (mut i32) (i32.const 1)) (global $constant i64 (i64.const 5))
    (global $h (mut f64) (f64.const 2))
    (func (export "run") (result i32 i64 f64 i32)
      global.get $g global.get $constant global.get $h i32.const 0 i32.load)))";
  const GlobalCell globals[] = {{{77, 0}}, {{99, 0}}, {{0x4008000000000000, 0}}};
  store_.set_customise([&](InstanceRequest* request) { request->frozen_globals = globals; });
  std::vector<uint64_t> slots;
  ASSERT_EQ(Call(Add(kText), "run", &slots), TrapCode::kNone);
  EXPECT_EQ(slots[0], 77U);
  EXPECT_EQ(slots[1], 5U) << "constants are the module's";
  EXPECT_EQ(slots[2], 0x4008000000000000U);
  EXPECT_EQ(slots[3], 0U) << "segments are not copied over what was there";
}

TEST_P(EngineTest, UnknownImportTrapsWithItsName) {
  UseHost({}, {nullptr, BindNone});
  LoadedInstance* instance = Add(R"((module (import "env" "missing" (func $f (param i32)))
    (func $main (export "run") i32.const 1 call $f)))");
  std::vector<uint64_t> slots;
  EXPECT_EQ(Call(instance, "run", &slots), TrapCode::kUnknownImport);
  EXPECT_EQ(FrameNames(*instance).front(), "env.missing");
}

TEST_P(EngineTest, HostCallGetsSlotsOfEveryType) {
  HostFunctions host;
  host.host_call = [](Context* context, uint32_t index, uint64_t* slots) {
    EXPECT_EQ(index, 0U);
    EXPECT_EQ(context->user, &BindAll);
    EXPECT_EQ(slots[0], 0xffffffffU);
    EXPECT_EQ(slots[1], 2U);
    EXPECT_EQ(static_cast<uint32_t>(slots[2]), 0x3f800000U);
    EXPECT_EQ(slots[3], 5U);
    EXPECT_EQ(slots[4], 6U);
    slots[0] = 77;
    slots[1] = 88;
  };
  host.user = reinterpret_cast<void*>(&BindAll);
  UseHost(host, {nullptr, BindAll});
  LoadedInstance* instance = Add(R"((module
    (import "env" "f" (func $f (param i32 i64 f32 v128) (result i64 i32)))
    (func (export "run") (result i64 i32)
      i32.const -1 i64.const 2 f32.const 1 v128.const i64x2 5 6 call $f)))");
  std::vector<uint64_t> slots;
  EXPECT_EQ(Call(instance, "run", &slots), TrapCode::kNone);
  EXPECT_EQ(slots[0], 77U);
  EXPECT_EQ(slots[1], 88U);
}

constexpr const char* kMismatch = R"((module
    (type $unary (func (param i32) (result i32)))
    (type $none (func))
    (type $wide (func (param i64 i32 f64) (result i64)))
    (table 4 funcref) (elem (i32.const 0) $double $three)
    (global $called (mut i32) (i32.const 0))
    (func $double (param i32) (result i32)
      (global.set $called (i32.const 1)) (i32.mul (local.get 0) (i32.const 2)))
    (func $three (param i32 i32 f64) (result i64)
      (i64.extend_i32_u (i32.add (local.get 0) (local.get 1))))
    (func (export "extra") (result i64)
      (call_indirect (type $wide) (i64.const 21) (i32.const 9) (f64.const 1) (i32.const 0)))
    (func (export "missing") (result i32)
      (call_indirect (type $unary) (i32.const 5) (i32.const 1)))
    (func (export "no_result") (result i32)
      (call_indirect (type $none) (i32.const 0)) (global.get $called))
    (func (export "null") (call_indirect (type $none) (i32.const 3)))
    (func (export "outside") (call_indirect (type $none) (i32.const 4)))))";

TEST_P(EngineTest, MismatchedIndirectCallTraps) {
  LoadedInstance* instance = Add(kMismatch);
  std::vector<uint64_t> slots;
  for (const char* name : {"extra", "missing", "no_result"}) {
    EXPECT_EQ(Call(instance, name, &slots), TrapCode::kIndirectCallTypeMismatch) << name;
  }
  EXPECT_EQ(Call(instance, "null", &slots), TrapCode::kUninitializedElement);
  EXPECT_EQ(Call(instance, "outside", &slots), TrapCode::kUndefinedElement);
}

TEST_P(EngineTest, LenientModuleConvertsLikeARegisterMachine) {
  LoadedInstance* instance = Add(kMismatch, "cordon.lenient");
  std::vector<uint64_t> slots;
  EXPECT_EQ(Call(instance, "extra", &slots), TrapCode::kNone);
  EXPECT_EQ(slots[0], 42U);
  EXPECT_EQ(Call(instance, "missing", &slots), TrapCode::kNone);
  EXPECT_EQ(slots[0], 5U);  // the missing argument is zero
  EXPECT_EQ(Call(instance, "no_result", &slots), TrapCode::kNone);
  EXPECT_EQ(slots[0], 1U);
  EXPECT_EQ(Call(instance, "null", &slots), TrapCode::kUninitializedElement);
}

TEST_P(EngineTest, PollEndsAnEndlessLoop) {
  static uint32_t word;
  static int polls;
  word = 1;
  polls = 0;
  HostFunctions host;
  host.poll_word = &word;
  host.poll = [](Context* context) {
    if (++polls == 3) RaiseTrap(context, TrapCode::kHostTrap);
  };
  UseHost(host, {nullptr, BindAll});
  LoadedInstance* instance = Add(R"((module
    (import "cordon" "rt_sigaction" (func (param i32 i32 i32 i32) (result i32)))
    (func (export "run") (loop $again br $again))))");
  EXPECT_TRUE(instance->view.Is(kHasPolls));
  std::vector<uint64_t> slots;
  EXPECT_EQ(Call(instance, "run", &slots), TrapCode::kHostTrap);
  EXPECT_EQ(polls, 3);
}

constexpr const char* kThrowing = R"((module
    (import "cordon" "rt_sigaction" (func $host (param i32 i32 i32 i32) (result i32)))
    (tag $jump (param i32))
    (func $inner (result i32)
      (call $host (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)))
    (func (export "call") (result i32)
      (try (result i32) (do (i32.add (call $inner) (i32.const 1000))) (catch $jump)))
    (func (export "loop") (result i32)
      (try (result i32) (do (loop $again br $again) (i32.const 0)) (catch $jump)))
    (func (export "uncaught") (drop (call $inner)))))";

// What a kernel does when a guest's signal handler that it runs inside a call ends by longjmp.
void LeavePending(Context* context) {
  context->exception.tag = context->tags[0];
  context->exception.slots[0] = 42;
}

TEST_P(EngineTest, ExceptionOfTheHostIsCaught) {
  static uint32_t word;
  word = 1;
  HostFunctions host;
  host.host_call = [](Context* context, uint32_t, uint64_t*) { LeavePending(context); };
  host.poll_word = &word;
  host.poll = LeavePending;
  UseHost(host, {nullptr, BindAll});
  LoadedInstance* instance = Add(kThrowing);
  std::vector<uint64_t> slots;
  EXPECT_EQ(Call(instance, "call", &slots), TrapCode::kNone);
  EXPECT_EQ(slots[0], 42U);
  EXPECT_EQ(Call(instance, "loop", &slots), TrapCode::kNone);
  EXPECT_EQ(slots[0], 42U);
  EXPECT_EQ(Call(instance, "uncaught", &slots), TrapCode::kUncaughtException);
}

TEST_P(EngineTest, ObjectDoesNotDependOnThreads) {
  std::string text = "(module (memory 1)";
  for (int i = 0; i < 3000; ++i) {
    const std::string n = std::to_string(i);
    text += "(func (export \"f";
    text += n;
    text += "\") (param i32) (result i32) local.get 0 i32.const ";
    text += n;
    text += " i32.mul i32.load local.get 0 i32.add)";
  }
  const std::vector<std::byte> bytes = AssembleText(text + ")");
  CompileOptions options;
  options.tier = GetParam();
  const auto alone = Compile(bytes, options);
  options.threads = 2;
  const auto together = Compile(bytes, options);
  ASSERT_TRUE(alone && together);
  EXPECT_EQ(*alone, *together);
}

INSTANTIATE_TEST_SUITE_P(Tiers, EngineTest, ::testing::Values(Tier::kFast, Tier::kOptimised),
                         [](const auto& info) {
                           return info.param == Tier::kFast ? "Fast" : "Optimised";
                         });

std::string Refusal(const std::vector<std::byte>& bytes, const CompileOptions& options = {}) {
  const auto object = Compile(bytes, options);
  return object ? "accepted" : object.error().ToString();
}

std::vector<std::byte> Bytes(std::initializer_list<int> values) {
  std::vector<std::byte> bytes;
  for (const int value : values) bytes.push_back(static_cast<std::byte>(value));
  return bytes;
}

TEST(RefusalTest, ProposalsAreNamed) {
  EXPECT_NE(Refusal(Bytes({0, 'a', 's', 'm', 0x0d, 0, 1, 0})).find("component"), std::string::npos);
  // (func try_table ...): type section, function section, code with opcode 0x1f.
  const auto body = [](int opcode) {
    return Bytes({0, 'a', 's', 'm', 1,  0, 0, 0, 1, 4,      1,    0x60, 0,   0,
                  3, 2,   1,   0,   10, 6, 1, 4, 0, opcode, 0x40, 0x0b, 0x0b});
  };
  EXPECT_NE(Refusal(body(0x1f)).find("try_table"), std::string::npos) << Refusal(body(0x1f));
  EXPECT_NE(Refusal(body(0xfb)).find("garbage collection"), std::string::npos)
      << Refusal(body(0xfb));
  EXPECT_NE(Refusal(body(0xe3)).find("stack switching"), std::string::npos) << Refusal(body(0xe3));
}

TEST(RefusalTest, TruncatedModulesAreRefusedWithTheirOffset) {
  const std::vector<std::byte> bytes = AssembleText(
      "(module (memory 1) (func (export \"f\") (param i32) (result i32) local.get 0 i32.load))");
  for (size_t size = 0; size < bytes.size(); ++size) {
    const std::string reason = Refusal({bytes.begin(), bytes.begin() + static_cast<long>(size)});
    // A module may end between sections; then something it promised is missing or it is smaller.
    if (reason != "accepted") EXPECT_NE(reason.find("0x"), std::string::npos) << reason;
  }
  EXPECT_EQ(Refusal(bytes), "accepted");
}

TEST(RefusalTest, NothingMayFollowTheEndOfAFunction) {
  const auto bytes = Bytes(
      {0, 'a', 's', 'm', 1, 0, 0, 0, 1, 4, 1, 0x60, 0, 0, 3, 2, 1, 0, 10, 5, 1, 3, 0, 0x0b, 0x0b});
  EXPECT_NE(Refusal(bytes).find("after the end"), std::string::npos) << Refusal(bytes);
}

// (func (if (then))) without the function's own end.
TEST(RefusalTest, TheEndOfABlockIsNotTheEndOfItsFunction) {
  const auto bytes = Bytes({0, 'a', 's', 'm', 1,  0, 0, 0, 1, 4,    1, 0x60, 0,    0,
                            3, 2,   1,   0,   10, 8, 1, 6, 0, 0x41, 1, 0x04, 0x40, 0x0b});
  EXPECT_NE(Refusal(bytes).find("without its end"), std::string::npos) << Refusal(bytes);
}

TEST(RefusalTest, LimitsHaveNames) {
  CompileOptions options;
  options.limits.functions = 1;
  options.limits.locals = 10;
  EXPECT_NE(Refusal(AssembleText("(module (func) (func))"), options).find("limit: more than 1 fun"),
            std::string::npos);
  EXPECT_NE(Refusal(AssembleText("(module (func (local i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 "
                                 "i32)))"),
                    options)
                .find("locals"),
            std::string::npos);
  options.limits.module_bytes = 4;
  EXPECT_NE(Refusal(AssembleText("(module)"), options).find("limit: module larger"),
            std::string::npos);
}

TEST(FactsTest, CommandsAndReactorsAreTold) {
  const auto facts = [](const char* text) {
    const auto object = Compile(AssembleText(text), {});
    return object ? reinterpret_cast<const ObjectHeader*>(object->data())->facts : ~0U;
  };
  EXPECT_EQ(facts("(module (func (export \"_start\")))"), uint32_t{kIsCommand});
  EXPECT_EQ(facts("(module (func (export \"_initialize\")))"), uint32_t{kIsReactor});
  EXPECT_EQ(facts("(module (func (export \"_start\") (param i32)))"), 0U);
}

}  // namespace
}  // namespace cordon::wasm

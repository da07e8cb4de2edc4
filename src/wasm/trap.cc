#include <ucontext.h>

#include <cstring>

#include "wasm/instance.h"

extern "C" {
uint32_t cordon_wasm_enter(const void* code, cordon::wasm::Context* context, uint64_t* slots,
                           cordon::wasm::Adapter adapter, cordon::wasm::TrapExit* exit,
                           std::byte* stack_top);
[[noreturn]] void cordon_wasm_leave(cordon::wasm::TrapExit* exit, uint32_t code);
}

namespace cordon::wasm {
namespace {

bool Contains(const std::byte* begin, const std::byte* end, uint64_t address) {
  return address >= reinterpret_cast<uint64_t>(begin) && address < reinterpret_cast<uint64_t>(end);
}

bool InCode(const Context* context, uint64_t pc) {
  return Contains(context->code_base, context->code_base + context->view->CodeSize(), pc);
}

bool InReservation(const Context* context, uint64_t address) {
  const std::byte* base = context->memory_base;
  return base != nullptr && Contains(base - kMemoryGuardBefore, base + kMemoryReservation, address);
}

// Compiled code traps with `ud1 imm8(%eax),%eax`: 67 0f b9 40 imm8.
TrapCode CodeOfIllegalInstruction(uint64_t pc) {
  static constexpr uint8_t kUd1[] = {0x67, 0x0f, 0xb9, 0x40};
  const auto* bytes = reinterpret_cast<const uint8_t*>(pc);
  if (std::memcmp(bytes, kUd1, sizeof kUd1) != 0) return TrapCode::kNone;
  return static_cast<TrapCode>(bytes[4]);
}

TrapCode CodeOfFault(const Context* context, const StackRange& stack, int signal_number,
                     uint64_t address, uint64_t pc) {
  if (signal_number == SIGSEGV || signal_number == SIGBUS) {
    if (Contains(stack.guard, stack.usable, address)) return TrapCode::kCallStackExhausted;
    if (!InCode(context, pc) && context->runtime_busy == 0) return TrapCode::kNone;
    if (InReservation(context, address)) return TrapCode::kOutOfBoundsMemory;
    // The type of a null table element is read from the first page.
    if (address < 4096 && InCode(context, pc)) return TrapCode::kUninitializedElement;
    return TrapCode::kNone;
  }
  if (!InCode(context, pc)) return TrapCode::kNone;
  if (signal_number == SIGILL) return CodeOfIllegalInstruction(pc);
  return TrapCode::kNone;
}

}  // namespace

TrapCode Enter(Context* context, const FuncRef& function, uint64_t* slots, NativeStack stack) {
  TrapExit exit;
  TrapExit* const outer = context->trap_exit;
  context->trap_exit = &exit;
  const uint32_t code =
      cordon_wasm_enter(function.code, context, slots, function.adapter, &exit, stack.top);
  context->trap_exit = outer;
  context->runtime_busy = 0;
  if (code != 0) return static_cast<TrapCode>(code);
  return context->exception.tag != nullptr ? TrapCode::kUncaughtException : TrapCode::kNone;
}

void RaiseTrap(Context* context, TrapCode code) {
  cordon_wasm_leave(context->trap_exit, static_cast<uint32_t>(code));
}

bool ClassifyFault(const Context* context, const StackRange& stack, int signal_number,
                   const siginfo_t& info, const void* ucontext, TrapReport* report) {
  const auto& registers = static_cast<const ucontext_t*>(ucontext)->uc_mcontext.gregs;
  const auto pc = static_cast<uint64_t>(registers[REG_RIP]);
  const auto address = reinterpret_cast<uint64_t>(info.si_addr);
  report->code = CodeOfFault(context, stack, signal_number, address, pc);
  if (report->code == TrapCode::kNone) return false;
  report->fault_address = address;
  Backtrace(context, stack, pc, static_cast<uint64_t>(registers[REG_RBP]), report);
  return true;
}

void LeaveFault(Context* context, TrapCode code, void* ucontext) {
  auto& registers = static_cast<ucontext_t*>(ucontext)->uc_mcontext.gregs;
  registers[REG_RDI] = reinterpret_cast<greg_t>(context->trap_exit);
  registers[REG_RSI] = static_cast<greg_t>(code);
  registers[REG_RIP] = reinterpret_cast<greg_t>(&cordon_wasm_leave);
}

void Backtrace(const Context* context, const StackRange& stack, uint64_t pc, uint64_t frame_pointer,
               TrapReport* report) {
  report->frame_count = 0;
  const auto add = [&](uint64_t address) {
    if (!InCode(context, address)) return;
    const auto offset =
        static_cast<uint32_t>(address - reinterpret_cast<uint64_t>(context->code_base));
    const uint32_t index = context->view->FunctionAt(offset);
    if (index != kNoIndex) report->frames[report->frame_count++] = {index, offset};
  };
  add(pc);
  while (report->frame_count < kMaxFrames && frame_pointer % 8 == 0 &&
         Contains(stack.usable, stack.top - 15, frame_pointer)) {
    uint64_t frame[2];  // saved frame pointer, return address
    std::memcpy(frame, reinterpret_cast<const void*>(frame_pointer), sizeof frame);
    add(frame[1] - 1);
    if (frame[0] <= frame_pointer) break;
    frame_pointer = frame[0];
  }
}

}  // namespace cordon::wasm

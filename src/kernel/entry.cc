#include "kernel/entry.h"

#include <sys/mman.h>
#include <ucontext.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>

#include "arena/layout.h"
#include "arena/platform.h"
#include "kernel/boot.h"
#include "kernel/open_file.h"
#include "kernel/process.h"
#include "kernel/processors.h"
#include "kernel/syscall.h"

extern "C" {
// The kernel stack that cordon_host_call switches to.
uint64_t cordon_kernel_stack_top = 0;
extern const char cordon_copy_instruction[];
extern const char cordon_copy_recovery[];
int cordon_dispatch(cordon::wasm::Context* context, uint32_t import, uint64_t* slots);
int cordon_safe_point(uint64_t* slots);
}

namespace cordon::kernel {
namespace {

using layout::kStackGuardBytes;
constexpr uint64_t kGuestStackTop =
    layout::kGuestStacks + kStackGuardBytes + layout::kGuestStackBytes;

constexpr uint32_t kShownFrames = 20;
wasm::TrapReport last_trap;

// What the last call ended with; when it slept, until when; whether the next one is the same call
// made again. Private memory of the process.
int64_t last_result = 0;
uint64_t sleep_deadline = 0;
bool continues_sleep = false;

bool IsInterrupted(int64_t result) {
  return result == kRestart || result == kRestartSleep;
}

wasm::StackRange GuestStackRange() {
  return {reinterpret_cast<const std::byte*>(layout::kGuestStacks),
          reinterpret_cast<const std::byte*>(layout::kGuestStacks + kStackGuardBytes),
          reinterpret_cast<const std::byte*>(kGuestStackTop)};
}

// A fault of the kernel itself, or of a guest in a way that nobody foresaw under a lock: the keeper
// ends the sandbox.
[[noreturn]] void FailInside() {
  control::Control& control = *TheKernel().control;
  control.failed.store(control::kFailInternalFault);
  control.keeper_bell.fetch_add(1);
  platform::WakeWord(&control.keeper_bell, control::kKeeperThreads);
  platform::ExitProcess(1);
}

void OnFault(int number, siginfo_t* info, void* raw) {
  auto& registers = static_cast<ucontext_t*>(raw)->uc_mcontext.gregs;
  if (registers[REG_RIP] == reinterpret_cast<greg_t>(cordon_copy_instruction)) {
    registers[REG_RIP] = reinterpret_cast<greg_t>(cordon_copy_recovery);
    return;
  }
  if (SlotOf(Current()).inside.load() != 0) FailInside();
  wasm::Context* context = CurrentContext();
  if (context != nullptr &&
      wasm::ClassifyFault(context, GuestStackRange(), number, *info, raw, &last_trap)) {
    wasm::LeaveFault(context, last_trap.code, raw);
    return;
  }
  ExitCurrent(static_cast<uint32_t>(number));
}

void OnKick(int /*number*/, siginfo_t* /*info*/, void* /*raw*/) {
  // Inside the kernel the way out looks at the attention word.
  if (IsExiting() || SlotOf(Current()).inside.load() != 0) return;
  LeaveTakingDefaultActions();
}

bool Reserve(uint64_t address, uint64_t bytes, int protection) {
  return mmap(reinterpret_cast<void*>(address), bytes, protection,
              MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1,
              0) == reinterpret_cast<void*>(address);
}

int SignalOf(wasm::TrapCode code) {
  switch (code) {
    case wasm::TrapCode::kOutOfBoundsMemory:
    case wasm::TrapCode::kCallStackExhausted:
      return SIGSEGV;
    case wasm::TrapCode::kIntegerDivideByZero:
    case wasm::TrapCode::kIntegerOverflow:
    case wasm::TrapCode::kInvalidConversion:
      return SIGFPE;
    case wasm::TrapCode::kUncaughtException:
      return SIGABRT;
    default:
      return SIGILL;
  }
}

}  // namespace

uint64_t SleepDeadline(uint64_t fresh) {
  if (!continues_sleep) sleep_deadline = fresh;
  return sleep_deadline;
}

void* BaseStackTop() {
  return reinterpret_cast<void*>(layout::kPrivate + kBaseStackBytes);
}
wasm::NativeStack GuestStack() {
  return {reinterpret_cast<std::byte*>(kGuestStackTop)};
}

void WriteMessage(const char* text) {
  OpenFile* file = FileOf(2);
  if (file != nullptr && file->operations->write != nullptr)
    (void)file->operations->write(*file, text, strlen(text));
}

void EndByTrap(wasm::TrapCode code) {
  char text[4096];
  int size =
      snprintf(text, sizeof text, "cordon: %s: %s\n", Current().command, wasm::TrapName(code));
  const wasm::ObjectView& view = *CurrentContext()->view;
  for (uint32_t i = 0; i < std::min(last_trap.frame_count, kShownFrames) && code == last_trap.code;
       ++i) {
    const wasm::Frame& frame = last_trap.frames[i];
    const std::string_view name = frame.function_index < view.functions.size()
                                      ? view.String(view.functions[frame.function_index].name)
                                      : "";
    const auto left = sizeof text - static_cast<size_t>(size);
    const int more = snprintf(text + size, left, "  #%u function %u %.*s\n", i,
                              frame.function_index, static_cast<int>(name.size()), name.data());
    if (more < 0 || static_cast<size_t>(more) >= left) break;
    size += more;
  }
  SlotOf(Current()).inside.store(1);
  WriteMessage(text);
  ExitCurrent(static_cast<uint32_t>(SignalOf(code)));
}

bool PrepareBoot() {
  CountProcessors();
  const uint64_t private_bytes = kStartStringsOffset + 2 * uint64_t{2 * 1024 * 1024};
  if (!Reserve(layout::kMemory - layout::kMemoryReserveBefore,
               layout::kMemoryReserveBefore + layout::kMemoryReserve, PROT_NONE) ||
      !Reserve(layout::kGuestStacks, kStackGuardBytes, PROT_NONE) ||
      !Reserve(layout::kGuestStacks + kStackGuardBytes, layout::kGuestStackBytes,
               PROT_READ | PROT_WRITE) ||
      !Reserve(layout::kKernelStacks, kStackGuardBytes, PROT_NONE) ||
      !Reserve(layout::kKernelStacks + kStackGuardBytes, layout::kKernelStackBytes,
               PROT_READ | PROT_WRITE) ||
      !Reserve(layout::kPrivate, private_bytes, PROT_READ | PROT_WRITE)) {
    return false;
  }
  cordon_kernel_stack_top = layout::kKernelStacks + kStackGuardBytes + layout::kKernelStackBytes;
  stack_t stack = {};
  stack.ss_sp = reinterpret_cast<void*>(layout::kPrivate + kSignalStackOffset);
  stack.ss_size = kSignalStackBytes;
  if (sigaltstack(&stack, nullptr) != 0) return false;
  struct sigaction action = {};
  action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
  action.sa_sigaction = OnFault;
  for (const int number : {SIGSEGV, SIGBUS, SIGILL, SIGFPE}) {
    if (sigaction(number, &action, nullptr) != 0) return false;
  }
  action.sa_flags = SA_SIGINFO | SA_ONSTACK;
  action.sa_sigaction = OnKick;
  if (sigaction(control::kKickSignal, &action, nullptr) != 0) return false;
  wasm::SetMemoryBase(reinterpret_cast<const std::byte*>(layout::kMemory), wasm::CanUseWrGsBase());
  return true;
}

}  // namespace cordon::kernel

using cordon::kernel::CallHandler;
using cordon::kernel::Current;
using cordon::kernel::SlotOf;

int cordon_dispatch(cordon::wasm::Context* context, uint32_t import, uint64_t* slots) {
  namespace kernel = cordon::kernel;
  cordon::kernel::Process& process = Current();
  cordon::control::Slot& slot = SlotOf(process);
  slot.inside.store(1, std::memory_order_release);
  const auto handler =
      reinterpret_cast<CallHandler>(const_cast<void*>(context->imports[import].function));
  const int64_t result = handler(slots);
  kernel::last_result = result;
  kernel::continues_sleep = false;
  const bool interrupted = kernel::IsInterrupted(result);
  if (!interrupted) slots[0] = static_cast<uint64_t>(result);
  // After fork this is another process.
  cordon::kernel::Process& now = Current();
  SlotOf(now).inside.store(0, std::memory_order_seq_cst);
  return interrupted || now.sleeper.attention.load(std::memory_order_seq_cst) != 0 ? 1 : 0;
}

namespace {

// Delivery runs on the guest's stack and takes locks. If the guest has left too little of it, it
// overflows here, where a fault is its own trap.
void ProbeGuestStack() {
  constexpr uint64_t kDeliveryBytes = 64 * 1024;
  static_assert(kDeliveryBytes < cordon::layout::kStackGuardBytes);
  const auto* lowest = static_cast<const char*>(__builtin_frame_address(0)) - kDeliveryBytes;
  (void)*static_cast<const volatile char*>(lowest);
}

// A signal that comes between the last look at what is pending and the moment in which a kick
// would work again is seen here. False: an exception of the guest is pending.
bool DeliverAndLeave(cordon::kernel::Delivery* delivery) {
  ProbeGuestStack();
  for (;;) {
    SlotOf(Current()).inside.store(1);
    const bool goes_on = cordon::kernel::DeliverSignals(delivery);
    SlotOf(Current()).inside.store(0);
    if (!goes_on) return false;
    if (Current().sleeper.attention.load() == 0) return true;
  }
}

}  // namespace

int cordon_safe_point(uint64_t* slots) {
  namespace kernel = cordon::kernel;
  // A handler makes calls of its own.
  const int64_t result = kernel::last_result;
  const uint64_t deadline = kernel::sleep_deadline;
  kernel::Delivery delivery;
  const bool goes_on = DeliverAndLeave(&delivery);
  if (!kernel::IsInterrupted(result)) return 0;
  const bool again = result == kernel::kRestart ? delivery.restarts : !delivery.handled;
  if (goes_on && again) {
    kernel::sleep_deadline = deadline;
    kernel::continues_sleep = result == kernel::kRestartSleep;
    return 1;
  }
  slots[0] = static_cast<uint64_t>(int64_t{-EINTR});
  return 0;
}

void cordon::kernel::cordon_poll(cordon::wasm::Context* /*context*/) {
  Delivery delivery;
  (void)DeliverAndLeave(&delivery);
}

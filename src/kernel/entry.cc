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
#include "kernel/futex.h"
#include "kernel/memory_map.h"
#include "kernel/open_file.h"
#include "kernel/process.h"
#include "kernel/processors.h"
#include "kernel/syscall.h"

extern "C" {
extern const char cordon_copy_instruction[];
extern const char cordon_copy_recovery[];
int cordon_dispatch(cordon::wasm::Context* context, uint32_t import, uint64_t* slots);
int cordon_safe_point(uint64_t* slots);
}

namespace cordon::kernel {
namespace {

using layout::kStackGuardBytes;
// What entry_x86_64.S makes of the guest's stack pointer.
static_assert(layout::kThreadBlockBytes == 0x1000000 &&
              layout::kKernelStackOffset + layout::kKernelStackBytes == 0x320000);

constexpr uint32_t kShownFrames = 20;

bool IsInterrupted(int64_t result) {
  return result == kRestart || result == kRestartSleep;
}

uint64_t OwnBlock() {
  return layout::kThreadBlocks + OwnData().block * layout::kThreadBlockBytes;
}

wasm::StackRange GuestStackRange() {
  const auto usable = reinterpret_cast<const std::byte*>(OwnBlock() + layout::kGuestStackOffset);
  return {usable - kStackGuardBytes, usable, usable + layout::kGuestStackBytes};
}

// A fault of the kernel itself, or of a guest in a way that nobody foresaw under a lock: the keeper
// ends the sandbox.
[[noreturn]] void FailInside(uint64_t instruction, uint64_t address) {
  control::Control& control = *TheKernel().control;
  control.fault_instruction.store(instruction);
  control.fault_address.store(address);
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
  if (OwnSlot().inside.load() != 0) {
    FailInside(static_cast<uint64_t>(registers[REG_RIP]),
               reinterpret_cast<uint64_t>(info->si_addr));
  }
  wasm::Context* context = CurrentContext();
  wasm::TrapReport& report = OwnData().last_trap;
  if (context != nullptr &&
      wasm::ClassifyFault(context, GuestStackRange(), number, *info, raw, &report)) {
    wasm::LeaveFault(context, report.code, raw);
    return;
  }
  ExitCurrent(static_cast<uint32_t>(number));
}

void OnKick(int /*number*/, siginfo_t* /*info*/, void* /*raw*/) {
  // Inside the kernel the way out looks at the attention word. Not through the thread's record,
  // which a copy may not have yet.
  const auto& control = *reinterpret_cast<const control::Control*>(layout::kControl);
  if (OwnData().ending || control.slots[CurrentSlot()].inside.load() != 0) return;
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
  ThreadData& data = OwnData();
  if (!data.continues_sleep) data.sleep_deadline = fresh;
  return data.sleep_deadline;
}

wasm::Context* CurrentContext() {
  return OwnData().context;
}
void* BaseStackTop() {
  return reinterpret_cast<void*>(OwnBlock() + layout::kBaseStackOffset + layout::kBaseStackBytes);
}
wasm::NativeStack GuestStack() {
  return {reinterpret_cast<std::byte*>(OwnBlock() + layout::kGuestStackOffset +
                                       layout::kGuestStackBytes)};
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
  const wasm::TrapReport& last_trap = OwnData().last_trap;
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
  OwnSlot().inside.store(1);
  WriteMessage(text);
  ExitCurrent(static_cast<uint32_t>(SignalOf(code)));
}

bool PrepareBoot() {
  CountProcessors();
  const uint64_t private_bytes = 2 * uint64_t{2 * 1024 * 1024};
  if (!Reserve(layout::kMemory - layout::kMemoryReserveBefore,
               layout::kMemoryReserveBefore + layout::kMemoryReserve, PROT_NONE) ||
      !Reserve(layout::kPrivate, private_bytes, PROT_READ | PROT_WRITE) || !ReserveThreads()) {
    return false;
  }
  platform::UseSignalStack(layout::kThreadBlocks + layout::kSignalStackOffset,
                           layout::kSignalStackBytes);
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
using cordon::kernel::OwnData;
using cordon::kernel::OwnSlot;

int cordon_dispatch(cordon::wasm::Context* context, uint32_t import, uint64_t* slots) {
  namespace kernel = cordon::kernel;
  OwnSlot().inside.store(1, std::memory_order_release);
  const auto handler =
      reinterpret_cast<CallHandler>(const_cast<void*>(context->imports[import].function));
  const int64_t result = handler(slots);
  kernel::ThreadData& data = OwnData();
  data.last_result = result;
  data.continues_sleep = false;
  const bool interrupted = kernel::IsInterrupted(result);
  if (!interrupted) slots[0] = static_cast<uint64_t>(result);
  if (data.held_count > 0) kernel::ReleaseHeld();
  // After fork this is another process.
  kernel::Thread& now = *data.thread;
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
    OwnSlot().inside.store(1);
    const bool goes_on = cordon::kernel::DeliverSignals(delivery);
    OwnSlot().inside.store(0);
    if (!goes_on) return false;
    if (cordon::kernel::CurrentThread().sleeper.attention.load() == 0) return true;
  }
}

// A call of compiled code that is none of an import: on the guest's stack, and kicks wait until it
// has no locks any more.
template <typename Call>
auto Inside(Call call) {
  ProbeGuestStack();
  OwnSlot().inside.store(1);
  const auto result = call();
  OwnSlot().inside.store(0);
  if (cordon::kernel::CurrentThread().sleeper.attention.load() != 0)
    cordon::kernel::LeaveTakingDefaultActions();
  return result;
}

uint32_t Grow(cordon::wasm::Context* /*context*/, uint32_t delta) {
  return Inside([delta] { return cordon::kernel::GrowMemory(delta); });
}

uint32_t Notify(cordon::wasm::Context* /*context*/, uint64_t address, uint32_t count) {
  return Inside([=] { return cordon::kernel::WakeFutex(static_cast<uint32_t>(address), count); });
}

uint64_t DeadlineAfter(int64_t timeout_ns) {
  if (timeout_ns < 0) return cordon::platform::kNever;
  return cordon::platform::ClockNs(1) + static_cast<uint64_t>(timeout_ns);
}

// Handlers run as in a call that is made again.
template <typename Wait>
uint32_t WaitFor(int64_t timeout_ns, Wait wait) {
  const uint64_t deadline = DeadlineAfter(timeout_ns);
  for (;;) {
    const int32_t result = Inside([&] { return wait(deadline); });
    if (result != cordon::kernel::kRestart) return result == 0 ? 0 : result == -ETIMEDOUT ? 2 : 1;
    cordon::kernel::Delivery delivery;
    if (!DeliverAndLeave(&delivery)) return 0;
  }
}

uint32_t Wait32(cordon::wasm::Context* /*context*/, uint64_t address, uint32_t expected,
                int64_t timeout_ns) {
  return WaitFor(timeout_ns, [=](uint64_t deadline) {
    return cordon::kernel::WaitForFutex(static_cast<uint32_t>(address), expected, deadline);
  });
}

uint32_t Wait64(cordon::wasm::Context* /*context*/, uint64_t address, uint64_t expected,
                int64_t timeout_ns) {
  return WaitFor(timeout_ns, [=](uint64_t deadline) {
    return cordon::kernel::WaitForWideFutex(static_cast<uint32_t>(address), expected, deadline);
  });
}

}  // namespace

int cordon_safe_point(uint64_t* slots) {
  namespace kernel = cordon::kernel;
  // A handler makes calls of its own.
  const int64_t result = OwnData().last_result;
  const uint64_t deadline = OwnData().sleep_deadline;
  kernel::Delivery delivery;
  const bool goes_on = DeliverAndLeave(&delivery);
  if (!kernel::IsInterrupted(result)) return 0;
  const bool again = result == kernel::kRestart ? delivery.restarts : !delivery.handled;
  if (goes_on && again) {
    OwnData().sleep_deadline = deadline;
    OwnData().continues_sleep = result == kernel::kRestartSleep;
    return 1;
  }
  slots[0] = static_cast<uint64_t>(int64_t{-EINTR});
  return 0;
}

void cordon::kernel::cordon_poll(cordon::wasm::Context* /*context*/) {
  Delivery delivery;
  (void)DeliverAndLeave(&delivery);
}

cordon::wasm::HostFunctions cordon::kernel::KernelFunctions() {
  wasm::HostFunctions functions;
  functions.host_call = cordon_host_call;
  functions.poll = cordon_poll;
  functions.memory_grow = Grow;
  functions.atomic_wait32 = Wait32;
  functions.atomic_wait64 = Wait64;
  functions.atomic_notify = Notify;
  return functions;
}

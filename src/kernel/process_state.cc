// What every call begins with: which kernel, which process, which thread.

#include <new>

#include "kernel/process.h"

namespace cordon::kernel {
namespace {

// Private memory of a host process: a clone starts with its parent's and sets its own.
Kernel* the_kernel = nullptr;
Process* the_process = nullptr;
// Of code on a foreign stack: the template before it serves, tests.
ThreadData foreign_data;

static_assert(sizeof(ThreadData) <= layout::kThreadDataBytes - kKernelThreadDataOffset);

}  // namespace

Kernel& TheKernel() {
  return *the_kernel;
}
Process& Current() {
  return *the_process;
}
void SetKernel(Kernel* kernel) {
  the_kernel = kernel;
}
void SetCurrent(Process* process) {
  the_process = process;
  OwnData().thread = &process->leader;
  SetCurrentSlot(process->slot);
}

ThreadData& OwnData() {
  std::byte* block = OwnThreadBlock();
  return block == nullptr ? foreign_data
                          : *reinterpret_cast<ThreadData*>(block + kKernelThreadDataOffset);
}
control::Slot& OwnSlot() {
  return SlotOf(CurrentThread());
}
bool HasOtherThreads() {
  return the_process->thread_count.load(std::memory_order_acquire) > 1;
}

void MeetLimit(control::Limit limit) {
  the_kernel->control->limits_met.fetch_or(limit, std::memory_order_relaxed);
}

}  // namespace cordon::kernel

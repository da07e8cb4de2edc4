// The two words that every call begins with: which kernel, which process.

#include "kernel/process.h"

namespace cordon::kernel {
namespace {

// Private memory of a host process: a clone starts with its parent's and sets its own.
Kernel* the_kernel = nullptr;
Process* the_process = nullptr;

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
  SetCurrentSlot(process->slot);
}

void MeetLimit(control::Limit limit) {
  the_kernel->control->limits_met.fetch_or(limit, std::memory_order_relaxed);
}

}  // namespace cordon::kernel

#ifndef CORDON_KERNEL_EXEC_H_
#define CORDON_KERNEL_EXEC_H_

// Programs: from a path to a running instance in the calling process, and back out of it.

#include <cstdint>
#include <string_view>

#include "kernel/thread.h"

namespace cordon::kernel {

// At boot: where checked programs are remembered. False: no memory.
[[nodiscard]] bool CreateKnownObjects();

// Arguments and environment of a program, in private memory of the process: strings one after the
// other, each with its zero.
struct StartStrings {
  static constexpr uint32_t kCapacity = 2 * 1024 * 1024;
  uint32_t argument_count = 0;
  uint32_t variable_count = 0;
  uint32_t size = 0;
  char* text = nullptr;  // of kCapacity bytes
};
// The buffer for the next program: exec fills it while the present program's strings are still in
// use.
StartStrings* NextStartStrings();

// Replaces the program of this process. Returns only errors (-errno), with nothing changed.
int32_t Execute(std::string_view path, StartStrings* strings);

// Replaces the program of this process by itself, started from its beginning although it was
// frozen. For one whose arguments or environment ask for another initialisation. Returns only
// errors.
int32_t StartOver();

// What this process was started with: strings, each with its zero.
std::string_view ArgumentStrings();
std::string_view EnvironmentStrings();

// The import calls of start-up: size of the block and its contents for a guest address.
uint32_t StartBlockSize();
int32_t StartBlockCopy(uint32_t address);

// Calls __cordon_signal of the guest. False: an exception is pending.
bool CallSignalHandler(uint32_t handler, const SignalInfo& info, uint32_t flags);
// The signal whose handler runs; number 0 outside.
const SignalInfo& HandledSignal();

// Before the filter: stacks, handlers. False: a mapping failed.
bool PrepareEntry();

}  // namespace cordon::kernel

#endif  // CORDON_KERNEL_EXEC_H_

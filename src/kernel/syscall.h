#ifndef CORDON_KERNEL_SYSCALL_H_
#define CORDON_KERNEL_SYSCALL_H_

// The calls themselves. A handler finds its arguments in slots and returns the result or -errno;
// kRestart when it was interrupted by a signal.

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "kernel/import_names.h"

namespace cordon::kernel {

using CallHandler = int64_t (*)(const uint64_t* slots);

// At boot, before FindCall.
void PrepareCalls();
// The handler is set if it matches.
ImportMatch FindCall(std::string_view module, std::string_view name, const FunctionType& type,
                     CallHandler* handler);
// Of module `cordon`; null if there is none.
CallHandler CallNamed(std::string_view name);

struct CallTable;
// One more import module, for a template that is built for a test; before RunService.
void AddModule(std::string_view module, const CallTable& table);

inline uint32_t Arg(const uint64_t* slots, int index) {
  return static_cast<uint32_t>(slots[index]);
}
inline int32_t SignedArg(const uint64_t* slots, int index) {
  return static_cast<int32_t>(slots[index]);
}
inline uint64_t WideArg(const uint64_t* slots, int low) {
  return uint64_t{Arg(slots, low)} | uint64_t{Arg(slots, low + 1)} << 32;
}

// The parts of the table, by subject: name and handler.
struct CallRow {
  std::string_view name;
  CallHandler handler;
};
struct CallTable {
  const CallRow* rows;
  size_t count;
};
CallTable FileCalls();
CallTable PollCalls();
CallTable PathCalls();
CallTable ProcessCalls();
CallTable SystemCalls();
CallTable TimeCalls();
CallTable SocketCalls();
CallTable EventCalls();
CallTable StatCalls();
CallTable SchedulerCalls();
CallTable FutexCalls();
CallTable ThreadCalls();

}  // namespace cordon::kernel

#endif  // CORDON_KERNEL_SYSCALL_H_

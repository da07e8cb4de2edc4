#ifndef CORDON_WASM_INSTANCE_H_
#define CORDON_WASM_INSTANCE_H_

// Instances: from a checked object to a running function, and from a fault to a trap. Nothing here
// allocates, throws, uses thread-local storage or makes a system call (except ReserveMemory and
// SetMemoryBase, which say so), because it runs in guest processes that are locked in.
//
//   ParseObject -> Instantiate (in storage of the caller) -> Enter -> result or trap

#include <signal.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "base/error.h"
#include "wasm/abi.h"
#include "wasm/object.h"

namespace cordon::wasm {

// Canonical numbers of function types in one process: equal structure, equal number. Fixed
// capacity; Clear() it when no instance is left (exec), so that nobody can fill it up.
struct TypeRegistry {
  static constexpr uint32_t kMaxTypes = 4096;
  static constexpr uint32_t kMaxBytes = 96 * 1024;
  static constexpr uint32_t kBuckets = 8192;
  static constexpr uint32_t kFull = 0xffffffff;

  struct Entry {
    uint32_t hash;
    uint32_t first;  // in `bytes`: parameters, then results
    uint32_t param_count;
    uint32_t result_count;
  };
  uint32_t type_count = 0;
  uint32_t byte_count = 0;
  Entry entries[kMaxTypes];
  uint8_t bytes[kMaxBytes];
  uint16_t buckets[kBuckets] = {};  // type + 1

  // The number of the type, or kFull.
  [[nodiscard]] uint32_t Intern(std::span<const ValType> params, std::span<const ValType> results);
  [[nodiscard]] std::span<const ValType> Params(uint32_t id) const;
  [[nodiscard]] std::span<const ValType> Results(uint32_t id) const;
  void Clear();
};

// What an instance asks for, and what it is given.
struct ImportRequest {
  const ObjectView* view;
  const ImportRecord* record;
  std::string_view module;
  std::string_view name;
  uint32_t function_index;  // number among imported functions (kFunction), else kNoIndex
  uint32_t type_id;         // canonical type (kFunction, kTag)
};
struct ImportValue {
  HostImport function = {};
  Table* table = nullptr;
  Memory* memory = nullptr;
  GlobalCell* global = nullptr;
  const Tag* tag = nullptr;
};
enum class ImportOutcome {
  kFound,
  kUnknown,       // functions: calls trap; anything else: refused
  kIncompatible,  // refused
};
// The resolver answers for the types of functions, globals and tags; limits of tables and memories
// are checked by Instantiate.
struct ImportResolver {
  void* cookie = nullptr;
  ImportOutcome (*resolve)(void* cookie, const ImportRequest& request,
                           ImportValue* value) = nullptr;
};

// The embedder's part of a Context.
struct HostFunctions {
  HostCall host_call = nullptr;
  void (*poll)(Context*) = nullptr;
  uint32_t (*memory_grow)(Context*, uint32_t) = nullptr;
  uint32_t (*atomic_wait32)(Context*, uint64_t, uint32_t, int64_t) = nullptr;
  uint32_t (*atomic_wait64)(Context*, uint64_t, uint64_t, int64_t) = nullptr;
  uint32_t (*atomic_notify)(Context*, uint64_t, uint32_t) = nullptr;
  const uint32_t* poll_word = nullptr;
  void* user = nullptr;
};

// Threads are instances of one module over one memory, each with globals and tables of its own:
// only the first writes the data segments.
enum class DataSegments { kAreWritten, kAreThere };

struct InstanceRequest {
  const ObjectView* view = nullptr;
  const std::byte* image = nullptr;  // where constants and code are mapped (code executable)
  std::span<std::byte> storage;      // StorageBytes(*view), 16-aligned; zeroed where it matters
  Memory* memory = nullptr;          // of a module that has its own: size_bytes == minimum
  DataSegments data = DataSegments::kAreWritten;
  TypeRegistry* registry = nullptr;
  ImportResolver resolver;
  HostFunctions host;
  // Of an instance that was frozen: the values of all own globals. The memory is as it was then,
  // and segments are not copied into it.
  std::span<const GlobalCell> frozen_globals;
};
enum class InstantiateOutcome {
  kDone,
  kRefused,  // link error, nothing was changed outside the storage
  kTrapped,  // an active segment is out of bounds; earlier segments are written
};
struct InstantiateError {
  TrapCode trap = TrapCode::kNone;
  ErrorText message;
};

[[nodiscard]] inline uint64_t StorageBytes(const ObjectView& view) {
  return view.header->layout.size_bytes;
}
// Makes an instance in request.storage; its Context is at the beginning. The start function
// (view.header->start_function) is not called.
[[nodiscard]] InstantiateOutcome Instantiate(const InstanceRequest& request,
                                             InstantiateError* error);

// Whether its memory and the values of its own globals are all that tells this instance from a new
// one, so that it can be frozen. If not, why.
[[nodiscard]] bool CanBeFrozen(const Context* context, ErrorText* reason);

// The FuncRef of an exported or referenced function, or null.
[[nodiscard]] const FuncRef* FuncRefOf(const Context* context, uint32_t function_index);
[[nodiscard]] const FuncRef* FindExportedFunction(const Context* context, std::string_view name);
// The cell of a global by its index, imported or own.
[[nodiscard]] GlobalCell* GlobalAt(const Context* context, uint32_t global_index);

// Points the GS segment of this thread at a memory: wrgsbase if `can_use_wrgsbase` (AT_HWCAP2 bit
// 1; CanUseWrGsBase()), else arch_prctl. The base is inherited by fork and by new threads.
[[nodiscard]] bool CanUseWrGsBase();
void SetMemoryBase(const std::byte* base, bool can_use_wrgsbase);

struct NativeStack {
  std::byte* top = nullptr;  // 16-aligned; null: stay on the current stack
};
// Calls a function with the parameters in `slots` and leaves the results there (as many slots as
// the larger of both). The memory base must be set. Returns kNone, the trap that ended the call, or
// kUncaughtException (context->exception holds it; it is cleared by ClearException).
[[nodiscard]] TrapCode Enter(Context* context, const FuncRef& function, uint64_t* slots,
                             NativeStack stack);
// Calls a function of another instance from inside a host call: switches the memory base there and
// back, and hands a pending exception on to the caller.
void CallAcross(Context* caller, const FuncRef& function, uint64_t* slots);
inline void ClearException(Context* context) {
  context->exception.tag = nullptr;
}
// Ends the innermost Enter of this context with a trap. For host functions.
[[noreturn]] void RaiseTrap(Context* context, TrapCode code);

// One frame of a wasm backtrace.
struct Frame {
  uint32_t function_index;
  uint32_t code_offset;
};
inline constexpr size_t kMaxFrames = 64;
struct TrapReport {
  TrapCode code = TrapCode::kNone;
  uint64_t fault_address = 0;
  uint32_t frame_count = 0;
  Frame frames[kMaxFrames];  // innermost first
};
struct StackRange {
  const std::byte* guard = nullptr;  // lowest address, begin of the guard
  const std::byte* usable = nullptr;
  const std::byte* top = nullptr;
};
// Says whether a fault (SIGSEGV, SIGBUS, SIGILL, SIGFPE) is a trap of this instance: its pc is in
// the code, or in a runtime function that copies for it, and the address is in the memory's
// reservation, in the first page (null table element) or in the stack's guard. Async-signal-safe.
[[nodiscard]] bool ClassifyFault(const Context* context, const StackRange& stack, int signal_number,
                                 const siginfo_t& info, const void* ucontext, TrapReport* report);
// Makes the return from the signal handler continue in Enter, which returns `code`.
void LeaveFault(Context* context, TrapCode code, void* ucontext);
// The wasm frames of a context from a native frame pointer (walks only inside `stack`).
void Backtrace(const Context* context, const StackRange& stack, uint64_t pc, uint64_t frame_pointer,
               TrapReport* report);

// For tests and tools: reserves kMemoryGuardBefore + kMemoryReservation and makes `min_pages`
// accessible. (mmap)
[[nodiscard]] Status ReserveMemory(uint32_t min_pages, uint32_t max_pages, Memory* memory);
void ReleaseMemory(Memory* memory);

}  // namespace cordon::wasm

#endif  // CORDON_WASM_INSTANCE_H_

#ifndef CORDON_WASM_ABI_H_
#define CORDON_WASM_ABI_H_

// What compiled code and its embedder agree on. Compiled code is one position-independent blob
// without relocations: it reaches everything outside itself through the Context it is passed, at
// the offsets of these structures. A change here changes kObjectVersion (object.h).
//
// Native convention (private to one object; others go through FuncRef::adapter):
//   the Context travels in r13 (LLVM's swiftself), parameters as in C, one result as in C, several
//   results in the result area of the instance, i32 zero-extended or not at the callee's choice.
// Linear memory is addressed through the GS segment, whose base is Memory::base (SetMemoryBase in
// instance.h), by the optimised tier; in loops where one load waits for another, and by the fast
// tier, through Context::memory_base.

#include <cstddef>
#include <cstdint>

namespace cordon::wasm {

inline constexpr uint64_t kPageSize = 65536;
// One less than the core specification allows: an index in the last 64 KiB always traps, which
// compiled code relies upon for negative displacements.
inline constexpr uint32_t kMaxMemoryPages = 65535;
// What a caller reserves without access rights around a linear memory, so that every address a
// 32-bit index and a 32-bit offset can form is inside it.
inline constexpr uint64_t kMemoryGuardBefore = uint64_t{2} << 30;
inline constexpr uint64_t kMemoryReservation = (uint64_t{8} << 30) + kPageSize;

// One row for each trap: enumerator, name. The names are those of the official test suite. The
// number is the immediate of the `ud1` instruction that compiled code traps with.
#define CORDON_WASM_TRAPS(X)                                  \
  X(kNone, "no trap")                                         \
  X(kUnreachable, "unreachable")                              \
  X(kOutOfBoundsMemory, "out of bounds memory access")        \
  X(kOutOfBoundsTable, "out of bounds table access")          \
  X(kUndefinedElement, "undefined element")                   \
  X(kUninitializedElement, "uninitialized element")           \
  X(kIndirectCallTypeMismatch, "indirect call type mismatch") \
  X(kIntegerDivideByZero, "integer divide by zero")           \
  X(kIntegerOverflow, "integer overflow")                     \
  X(kInvalidConversion, "invalid conversion to integer")      \
  X(kCallStackExhausted, "call stack exhausted")              \
  X(kUnalignedAtomic, "unaligned atomic")                     \
  X(kExpectedSharedMemory, "expected shared memory")          \
  X(kUncaughtException, "uncaught exception")                 \
  X(kUnknownImport, "unknown import")                         \
  X(kNullReference, "null reference")                         \
  X(kHostTrap, "trap raised by the host")

enum class TrapCode : uint32_t {
#define CORDON_WASM_TRAP_ENUM(name, text) name,
  CORDON_WASM_TRAPS(CORDON_WASM_TRAP_ENUM)
#undef CORDON_WASM_TRAP_ENUM
};
[[nodiscard]] const char* TrapName(TrapCode code);

enum class ValType : uint8_t {  // the binary format's numbers
  kI32 = 0x7f,
  kI64 = 0x7e,
  kF32 = 0x7d,
  kF64 = 0x7c,
  kV128 = 0x7b,
  kFuncref = 0x70,
  kExternref = 0x6f,
};
// Values in slot arrays: i32 and f32 in the low half (the upper half is ignored when read, zero
// when written), references as pointers (null is 0), v128 takes two slots.
[[nodiscard]] constexpr uint32_t SlotCount(ValType type) {
  return type == ValType::kV128 ? 2 : 1;
}

struct Context;

// A linear memory. It belongs to the embedder, which may share it between instances (threads).
struct Memory {
  std::byte* base = nullptr;                 // with the reservation around it
  uint64_t size_bytes = 0;                   // the embedder may raise it at any time
  uint64_t max_bytes = 0;                    // at most 4 GiB
  uint32_t shared = 0;                       // 1 if the type of the memory is shared
  uint32_t declared_max_pages = 0xffffffff;  // of the type, for the check of imports
};

// Calls `code` with the parameters in `slots` and puts the results there. C convention.
using Adapter = void (*)(const void* code, Context* context, uint64_t* slots);

struct FuncRef {
  const void* code;  // native convention
  Context* context;  // instance that the function belongs to
  Adapter adapter;   // for callers of another instance or with another type
  uint32_t type_id;  // TypeRegistry
  uint32_t function_index;
};

struct Table {
  uint64_t* elements = nullptr;  // FuncRef* or externref
  uint32_t size = 0;
  uint32_t capacity = 0;  // of `elements`, also the limit of table.grow
  ValType type = ValType::kFuncref;
  uint32_t declared_max = 0xffffffff;
};

// The value of a global; imported globals point to the exporter's cell.
struct alignas(16) GlobalCell {
  uint64_t bits[2];
};

// An exception tag; its address is its identity.
struct Tag {
  uint32_t type_id;
  uint32_t slot_count;
};

inline constexpr uint32_t kMaxExceptionSlots = 32;
struct Exception {
  const Tag* tag;  // null: nothing pending. Tested after calls.
  uint64_t slots[kMaxExceptionSlots];
};

// What an import of a function is bound to. `function` is null for unknown imports: calling them
// traps. Otherwise the engine only carries both for host_call.
struct HostImport {
  const void* function;
  void* cookie;
};

// Calls the embedder: the parameters are in `slots`, the results are left there.
using HostCall = void (*)(Context* context, uint32_t import_index, uint64_t* slots);

// Where a trap continues; filled by Enter (instance.h).
struct TrapExit {
  uint64_t rbx, rbp, r12, r13, r14, r15, rsp, rip;
};

// Functions that compiled code calls through the Context. Those that can trap return a TrapCode as
// a number and compiled code traps itself, so that there is one way out: the fault handler.
struct RuntimeFunctions {
  uint32_t (*memory_copy)(Context*, uint32_t to, uint32_t from, uint32_t size);
  uint32_t (*memory_fill)(Context*, uint32_t to, uint32_t value, uint32_t size);
  uint32_t (*memory_init)(Context*, uint32_t segment, uint32_t to, uint32_t from, uint32_t size);
  uint32_t (*table_copy)(Context*, uint32_t to_table, uint32_t from_table, uint32_t to,
                         uint32_t from, uint32_t count);
  uint32_t (*table_fill)(Context*, uint32_t table, uint32_t to, uint64_t value, uint32_t count);
  uint32_t (*table_init)(Context*, uint32_t table, uint32_t segment, uint32_t to, uint32_t from,
                         uint32_t count);
  uint32_t (*table_grow)(Context*, uint32_t table, uint64_t value, uint32_t count);
  // The call of a function whose type or instance is not the caller's. `type_index` is the type
  // expected, `slots` hold its parameters and receive its results.
  uint32_t (*call_slow)(Context*, const FuncRef* function, uint64_t* slots, uint32_t type_index);
};

struct ObjectView;

// An instance as compiled code sees it. The rest of its storage (globals, tables, FuncRefs) follows
// at the offsets of StorageLayout (object.h).
struct alignas(16) Context {
  std::byte* memory_base;  // == memory->base
  Memory* memory;
  const uint32_t* poll_word;  // modules compiled with polls only; may be changed by anybody
  RuntimeFunctions runtime;   // filled by Instantiate

  // The embedder's functions.
  HostCall host_call;
  // Called when *poll_word is not zero, at a loop's back-edge. May leave an exception pending.
  void (*poll)(Context*);
  // The old size in pages, or UINT32_MAX if it cannot grow. The embedder makes the pages accessible
  // and raises memory->size_bytes.
  uint32_t (*memory_grow)(Context*, uint32_t delta_pages);
  // Addresses were checked for bounds and alignment, the memory is shared for waits. Timeouts in
  // nanoseconds, negative: none. 0 woken, 1 not equal, 2 timed out.
  uint32_t (*atomic_wait32)(Context*, uint64_t address, uint32_t expected, int64_t timeout_ns);
  uint32_t (*atomic_wait64)(Context*, uint64_t address, uint64_t expected, int64_t timeout_ns);
  uint32_t (*atomic_notify)(Context*, uint64_t address, uint32_t count);
  void* user;  // the embedder's own

  Exception exception;
  TrapExit* trap_exit;    // innermost Enter
  uint32_t runtime_busy;  // 1 while a runtime function copies memory: a fault there is a wasm trap
  uint32_t reserved;

  // Filled by Instantiate.
  const ObjectView* view;
  const std::byte* code_base;
  const uint32_t* type_ids;  // canonical id of each type of the object
  HostImport* imports;       // of functions, in the order of the object's imports
  FuncRef* funcrefs;         // of the functions that are exported or referenced
  Table** tables;
  GlobalCell* globals;            // own ones
  GlobalCell** imported_globals;  // before own ones in the index space
  const Tag** tags;
  uint8_t* dropped_data;
  uint8_t* dropped_elements;
  uint64_t* results;
  const struct TypeRegistry* registry;
};

}  // namespace cordon::wasm

#endif  // CORDON_WASM_ABI_H_

#include "wasm/spectest/store.h"

#include <sys/mman.h>

#include <chrono>
#include <condition_variable>
#include <cstring>
#include <mutex>

#include "wasm/layout.h"

namespace cordon::wasm {
namespace {

constexpr size_t kStackBytes = size_t{2} << 20;
constexpr size_t kStackGuardBytes = 64 * 1024;
constexpr size_t kSignalStackBytes = 64 * 1024;

// What the fault handler of this thread looks at.
struct CallScope {
  const std::vector<std::unique_ptr<LoadedInstance>>* instances = nullptr;
  Context* entry = nullptr;
  StackRange stack;
};
thread_local CallScope call_scope;
thread_local TrapReport last_trap;

void OnFault(int signal_number, siginfo_t* info, void* ucontext) {
  if (call_scope.entry != nullptr) {
    for (const auto& instance : *call_scope.instances) {
      if (instance->storage.empty() || !ClassifyFault(instance->context(), call_scope.stack,
                                                      signal_number, *info, ucontext, &last_trap)) {
        continue;
      }
      LeaveFault(call_scope.entry, last_trap.code, ucontext);
      return;
    }
  }
  signal(signal_number, SIG_DFL);  // happens again and ends the process
}

// Marks an import that is bound to a function of another instance.
char wasm_function_marker;

void HostCallFunction(Context* context, uint32_t import_index, uint64_t* slots) {
  const HostImport& import = context->imports[import_index];
  if (import.cookie == &wasm_function_marker) {
    CallAcross(context, *static_cast<const FuncRef*>(import.function), slots);
  }
  // The functions of the module spectest print, and nobody reads it.
}

uint32_t GrowMemory(Context* context, uint32_t delta_pages) {
  Memory& memory = *context->memory;
  const uint64_t old_pages = memory.size_bytes / kPageSize;
  const uint64_t bytes = delta_pages * kPageSize;
  if (memory.size_bytes + bytes > memory.max_bytes) return UINT32_MAX;
  if (bytes != 0 && mprotect(memory.base + memory.size_bytes, bytes, PROT_READ | PROT_WRITE) != 0) {
    return UINT32_MAX;
  }
  memory.size_bytes += bytes;
  return static_cast<uint32_t>(old_pages);
}

// Waiting and waking, for the whole process.
struct WaitRoom {
  std::mutex mutex;
  std::condition_variable changed;
  struct Waiter {
    const void* address;
    bool woken;
  };
  std::vector<Waiter*> waiters;
};
WaitRoom& Room() {
  static WaitRoom room;
  return room;
}

template <typename T>
uint32_t WaitFor(const Context* context, uint64_t address, T expected, int64_t timeout_ns) {
  WaitRoom& room = Room();
  std::unique_lock lock(room.mutex);
  const void* where = context->memory->base + address;
  T value;
  std::memcpy(&value, where, sizeof value);
  if (value != expected) return 1;
  WaitRoom::Waiter waiter = {where, false};
  room.waiters.push_back(&waiter);
  const auto woken = [&] { return waiter.woken; };
  if (timeout_ns < 0) {
    room.changed.wait(lock, woken);
  } else {
    room.changed.wait_for(lock, std::chrono::nanoseconds(timeout_ns), woken);
  }
  std::erase(room.waiters, &waiter);
  return waiter.woken ? 0 : 2;
}

uint32_t Wait32(Context* context, uint64_t address, uint32_t expected, int64_t timeout_ns) {
  return WaitFor(context, address, expected, timeout_ns);
}
uint32_t Wait64(Context* context, uint64_t address, uint64_t expected, int64_t timeout_ns) {
  return WaitFor(context, address, expected, timeout_ns);
}

uint32_t Notify(Context* context, uint64_t address, uint32_t count) {
  WaitRoom& room = Room();
  const std::lock_guard lock(room.mutex);
  const void* where = context->memory->base + address;
  uint32_t woken = 0;
  for (WaitRoom::Waiter* waiter : room.waiters) {
    if (woken == count) break;
    if (waiter->address != where || waiter->woken) continue;
    waiter->woken = true;
    ++woken;
  }
  if (woken != 0) room.changed.notify_all();
  return woken;
}

void* MapPrivate(size_t bytes) {
  void* mapping = mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  return mapping == MAP_FAILED ? nullptr : mapping;
}

// A signal stack of this thread, for as long as the thread lives.
void EnsureSignalStack() {
  thread_local bool done = false;
  if (done) return;
  stack_t stack = {};
  stack.ss_sp = MapPrivate(kSignalStackBytes);
  stack.ss_size = kSignalStackBytes;
  sigaltstack(&stack, nullptr);
  done = true;
}

}  // namespace

void InstallFaultHandler() {
  struct sigaction action = {};
  action.sa_sigaction = OnFault;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK;
  for (const int signal_number : {SIGSEGV, SIGBUS, SIGILL, SIGFPE}) {
    sigaction(signal_number, &action, nullptr);
  }
}

NativeStackMapping::NativeStackMapping()
    : base_(static_cast<std::byte*>(MapPrivate(kStackGuardBytes + kStackBytes))) {
  if (base_ != nullptr) mprotect(base_, kStackGuardBytes, PROT_NONE);
}

NativeStackMapping::~NativeStackMapping() {
  munmap(base_, kStackGuardBytes + kStackBytes);
}

StackRange NativeStackMapping::range() const {
  return {base_, base_ + kStackGuardBytes, base_ + kStackGuardBytes + kStackBytes};
}

LoadedInstance::~LoadedInstance() {
  if (image != nullptr) munmap(image, view.image.size());
  if (!storage.empty()) munmap(storage.data(), storage.size());
  ReleaseMemory(&memory);
}

Status LoadedInstance::Load(std::vector<std::byte> bytes) {
  object = std::move(bytes);
  CORDON_TRY(VerifyObjectHash(object));
  Result<ObjectView> parsed = ParseObject(object);
  if (!parsed) return std::unexpected(parsed.error());
  view = *parsed;
  image = static_cast<std::byte*>(MapPrivate(view.image.size()));
  if (image == nullptr) return SystemError("mmap(image)");
  std::memcpy(image, view.image.data(), view.image.size());
  if (mprotect(image, view.image.size(), PROT_READ | PROT_EXEC) != 0) {
    return SystemError("mprotect(image, PROT_EXEC)");
  }
  const size_t bytes_needed = StorageBytes(view);
  void* mapping = MapPrivate(bytes_needed);
  if (mapping == nullptr) return SystemError("mmap(instance)");
  storage = {static_cast<std::byte*>(mapping), bytes_needed};
  if (!view.memories.empty() && view.header->imported_memories == 0) {
    const MemoryRecord& record = view.memories[0];
    CORDON_TRY(ReserveMemory(record.min_pages, record.max_pages, &memory));
    memory.shared = record.shared;
    if (record.has_max != 0) memory.declared_max_pages = record.max_pages;
  }
  return {};
}

Store::Store(Tier tier) : tier_(tier), host_elements_(20) {
  ready_ = ReserveMemory(1, 2, &host_memory_);
  host_memory_.declared_max_pages = 2;
  if (ready_) ready_ = ReserveMemory(1, 2, &host_shared_memory_);
  host_shared_memory_.declared_max_pages = 2;
  host_shared_memory_.shared = 1;
  host_table_ = {host_elements_.data(), 10, 20, ValType::kFuncref, 20};
  const float single = 666.6F;
  const double wide = 666.6;
  host_globals_[0].bits[0] = 666;
  host_globals_[1].bits[0] = 666;
  std::memcpy(&host_globals_[2].bits[0], &single, sizeof single);
  std::memcpy(&host_globals_[3].bits[0], &wide, sizeof wide);
}

Store::~Store() {
  ReleaseMemory(&host_memory_);
  ReleaseMemory(&host_shared_memory_);
}

ImportOutcome Store::ResolveHost(const ImportRequest& request, ImportValue* value) {
  using enum ValType;
  static constexpr struct {
    const char* name;
    ValType params[2];
    size_t count;
  } kFunctions[] = {
      {"print", {}, 0},
      {"print_i32", {kI32}, 1},
      {"print_i64", {kI64}, 1},
      {"print_f32", {kF32}, 1},
      {"print_f64", {kF64}, 1},
      {"print_i32_f32", {kI32, kF32}, 2},
      {"print_f64_f64", {kF64, kF64}, 2},
  };
  static constexpr struct {
    const char* name;
    ValType type;
  } kGlobals[] = {
      {"global_i32", kI32}, {"global_i64", kI64}, {"global_f32", kF32}, {"global_f64", kF64}};
  const ExternKind kind = request.record->kind;
  for (const auto& row : kFunctions) {
    if (request.name != row.name) continue;
    const uint32_t type = registry_->Intern({row.params, row.count}, {});
    if (kind != ExternKind::kFunction || type != request.type_id)
      return ImportOutcome::kIncompatible;
    value->function = {row.name, nullptr};
    return ImportOutcome::kFound;
  }
  for (size_t i = 0; i < std::size(kGlobals); ++i) {
    if (request.name != kGlobals[i].name) continue;
    if (kind != ExternKind::kGlobal) return ImportOutcome::kIncompatible;
    const GlobalRecord& wanted = request.view->globals[request.record->index];
    if (wanted.type != kGlobals[i].type || wanted.is_mutable != 0) {
      return ImportOutcome::kIncompatible;
    }
    value->global = &host_globals_[i];
    return ImportOutcome::kFound;
  }
  if (request.name == "table") {
    value->table = &host_table_;
    return kind == ExternKind::kTable ? ImportOutcome::kFound : ImportOutcome::kIncompatible;
  }
  if (request.name == "memory" || request.name == "shared_memory") {
    value->memory = request.name == "memory" ? &host_memory_ : &host_shared_memory_;
    return kind == ExternKind::kMemory ? ImportOutcome::kFound : ImportOutcome::kIncompatible;
  }
  return ImportOutcome::kUnknown;
}

ImportOutcome Store::ResolveFrom(const LoadedInstance& instance, const ImportRequest& request,
                                 ImportValue* value) const {
  const ExportRecord* item = instance.view.FindExport(request.name);
  if (item == nullptr) return ImportOutcome::kUnknown;
  if (item->kind != request.record->kind) return ImportOutcome::kIncompatible;
  Context* context = instance.context();
  switch (item->kind) {
    case ExternKind::kFunction: {
      const FuncRef* function = FuncRefOf(context, item->index);
      if (function->type_id != request.type_id) return ImportOutcome::kIncompatible;
      value->function = {function, &wasm_function_marker};
      break;
    }
    case ExternKind::kTable:
      value->table = context->tables[item->index];
      break;
    case ExternKind::kMemory:
      value->memory = context->memory;
      break;
    case ExternKind::kGlobal: {
      const GlobalRecord& have = instance.view.globals[item->index];
      const GlobalRecord& wanted = request.view->globals[request.record->index];
      if (have.type != wanted.type || have.is_mutable != wanted.is_mutable) {
        return ImportOutcome::kIncompatible;
      }
      value->global = GlobalAt(context, item->index);
      break;
    }
    case ExternKind::kTag:
      if (context->tags[item->index]->type_id != request.type_id) {
        return ImportOutcome::kIncompatible;
      }
      value->tag = context->tags[item->index];
      break;
  }
  return ImportOutcome::kFound;
}

ImportOutcome Store::Resolve(void* cookie, const ImportRequest& request, ImportValue* value) {
  auto* store = static_cast<Store*>(cookie);
  ImportOutcome outcome = ImportOutcome::kUnknown;
  if (request.module == "spectest") {
    outcome = store->ResolveHost(request, value);
  } else if (const auto at = store->named_.find(std::string(request.module));
             at != store->named_.end()) {
    outcome = store->ResolveFrom(*at->second, request, value);
  }
  // The suite wants unknown functions refused; Cordon lets a call of them trap.
  return outcome == ImportOutcome::kUnknown ? ImportOutcome::kIncompatible : outcome;
}

LoadOutcome Store::Add(std::span<const std::byte> module, LoadedInstance** instance,
                       std::string* message) {
  if (!ready_) {
    *message = ready_.error().ToString();
    return LoadOutcome::kRefused;
  }
  CompileOptions options;
  options.tier = tier_;
  Result<std::vector<std::byte>> object = Compile(module, options);
  if (!object) {
    *message = object.error().ToString();
    return LoadOutcome::kRefused;
  }
  instances_.push_back(std::make_unique<LoadedInstance>());
  LoadedInstance& loaded = *instances_.back();
  *instance = &loaded;
  if (const Status status = loaded.Load(std::move(*object)); !status) {
    *message = status.error().ToString();
    return LoadOutcome::kRefused;
  }
  InstanceRequest request;
  request.view = &loaded.view;
  request.image = loaded.image;
  request.storage = loaded.storage;
  request.memory = &loaded.memory;
  request.registry = registry_.get();
  request.resolver = {this, Resolve};
  request.host.host_call = HostCallFunction;
  request.host.memory_grow = GrowMemory;
  request.host.atomic_wait32 = Wait32;
  request.host.atomic_wait64 = Wait64;
  request.host.atomic_notify = Notify;
  if (customise_) customise_(&request);
  InstantiateError error;
  const InstantiateOutcome outcome = Instantiate(request, &error);
  *message = error.message.text;
  if (outcome == InstantiateOutcome::kRefused) return LoadOutcome::kUnlinkable;
  if (outcome == InstantiateOutcome::kTrapped) return LoadOutcome::kTrapped;
  if (loaded.view.header->start_function != kNoIndex) {
    uint64_t slot = 0;
    const FuncRef* start = FuncRefOf(loaded.context(), loaded.view.header->start_function);
    const TrapCode trap = Call(&loaded, *start, &slot);
    *message = TrapName(trap);
    if (trap != TrapCode::kNone) return LoadOutcome::kTrapped;
  }
  return LoadOutcome::kDone;
}

const TrapReport& Store::LastTrap() {
  return last_trap;
}

TrapCode Store::Call(LoadedInstance* instance, const FuncRef& function, uint64_t* slots) {
  EnsureSignalStack();
  Context* context = instance->context();
  SetMemoryBase(context->memory_base, CanUseWrGsBase());
  call_scope = {&instances_, context, stack_.range()};
  const TrapCode trap =
      Enter(context, function, slots, {const_cast<std::byte*>(stack_.range().top)});  // NOLINT
  call_scope.entry = nullptr;
  ClearException(context);
  return trap;
}

}  // namespace cordon::wasm

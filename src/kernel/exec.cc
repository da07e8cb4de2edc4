#include "kernel/exec.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>

#include "arena/layout.h"
#include "arena/platform.h"
#include "kernel/code_window.h"
#include "kernel/entry.h"
#include "kernel/guest_memory.h"
#include "kernel/memory_map.h"
#include "kernel/open_file.h"
#include "kernel/process.h"
#include "kernel/syscall.h"
#include "kernel/tool_policy.h"
#include "kernel/wasi.h"
#include "vfs/path_walk.h"
#include "wasm/instance.h"

namespace cordon::kernel {
namespace {

constexpr uint32_t kMaxInterpreters = 4;
constexpr uint32_t kScriptLine = 256;  // as Linux's BINPRM_BUF_SIZE
constexpr uint32_t kAuxWords = 16;

// Private memory of the process. Two buffers: exec fills one while the other is in use.
StartStrings start_strings[2];
uint32_t present_strings = 0;
wasm::TypeRegistry registry;
bool resumes = false;  // the program was frozen and goes on

// Checked views of programs by their metadata, for all processes: checking an object for every
// start would cost more than the start.
struct KnownObject {
  std::atomic<const std::byte*> metadata{nullptr};  // set last
  wasm::ObjectView view;
};
struct KnownObjects {
  static constexpr uint32_t kCount = 128;
  Mutex lock;
  KnownObject objects[kCount];
};
KnownObjects* known_objects = nullptr;  // in the arena; clones inherit the pointer
wasm::ObjectView own_view;              // where there was no room

// The object's place, or the free one where it would go; null when there is neither.
KnownObject* PlaceOf(const std::byte* metadata) {
  const auto first = reinterpret_cast<uint64_t>(metadata) / 64;
  for (uint32_t i = 0; i < KnownObjects::kCount; ++i) {
    KnownObject& known = known_objects->objects[(first + i) % KnownObjects::kCount];
    const std::byte* there = known.metadata.load(std::memory_order_acquire);
    if (there == metadata || there == nullptr) return &known;
  }
  return nullptr;
}

const wasm::ObjectView* ViewOf(const vfs::Program& program) {
  KnownObject* known = PlaceOf(program.metadata);
  if (known != nullptr && known->metadata.load(std::memory_order_acquire) != nullptr)
    return &known->view;
  const MutexLock lock(known_objects->lock, LockRank::kInode);
  // Somebody else may have been quicker.
  known = PlaceOf(program.metadata);
  if (known != nullptr && known->metadata.load() != nullptr) return &known->view;
  wasm::ObjectView* view = known != nullptr ? &known->view : &own_view;
  wasm::ErrorText error;
  if (!wasm::ParseObject({program.metadata, program.metadata_size}, view, &error)) return nullptr;
  if (known != nullptr) known->metadata.store(program.metadata, std::memory_order_release);
  return view;
}

// Puts `first` and `second` (if any) and `path` in front of the arguments, whose first one goes.
int32_t Prepend(StartStrings* strings, std::string_view first, std::string_view second,
                std::string_view path) {
  const uint32_t old_first =
      strings->argument_count > 0 ? static_cast<uint32_t>(strlen(strings->text)) + 1 : 0;
  const auto added = static_cast<uint32_t>(
      first.size() + 1 + (second.empty() ? 0 : second.size() + 1) + path.size() + 1);
  if (strings->size - old_first + added > StartStrings::kCapacity) return -E2BIG;
  memmove(strings->text + added, strings->text + old_first, strings->size - old_first);
  char* at = strings->text;
  for (const std::string_view part : {first, second, path}) {
    if (part.empty()) continue;
    memcpy(at, part.data(), part.size());
    at[part.size()] = 0;
    at += part.size() + 1;
  }
  strings->size += added - old_first;
  strings->argument_count += (strings->argument_count > 0 ? 0 : 1) + (second.empty() ? 1 : 2);
  return 0;
}

std::string_view Trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t' || text.back() == '\r'))
    text.remove_suffix(1);
  return text;
}

struct Executable {
  vfs::Node node;
  vfs::Program program;
  char name[control::kToolName] = {};  // by which it was found
};

// Finds what `path` stands for, through `#!` lines. On success the node is referenced.
int32_t Resolve(std::string_view path, StartStrings* strings, Executable* out) {
  Process& process = Current();
  // The buffers hold what `path` refers to from the second round on.
  char names[2][kScriptLine] = {};
  for (uint32_t depth = 0; depth <= kMaxInterpreters; ++depth) {
    int error = vfs::Walk(TheKernel().mounts, process.who, process.root, WorkingDirectory(), path,
                          vfs::kFollow, &out->node);
    if (error != 0) return error;
    vfs::FileSystem& fs = *out->node.fs;
    vfs::Stat stat;
    error = fs.GetStat(out->node.id, &stat);
    if (error == 0 && !S_ISREG(stat.mode)) error = -EACCES;
    if (error == 0) error = fs.Access(process.who, out->node.id, 1);
    if (error == 0 &&
        (fs.ProgramOf(out->node.id, &out->program) || FindByContents(out->node, &out->program))) {
      const std::string_view name = path.substr(path.rfind('/') + 1);
      memcpy(out->name, name.data(), std::min(name.size(), sizeof out->name - 1));
      return 0;
    }
    char* line = names[depth % 2];
    const int64_t got = error != 0 ? error : fs.Read(out->node.id, 0, line, kScriptLine - 1);
    fs.Release(out->node.id);
    if (got < 0) return static_cast<int32_t>(got);
    if (got < 3 || line[0] != '#' || line[1] != '!') return -ENOEXEC;
    std::string_view text(line + 2, static_cast<size_t>(got) - 2);
    text = Trim(text.substr(0, text.find('\n')));
    const size_t space = text.find_first_of(" \t");
    const std::string_view interpreter = text.substr(0, space);
    const std::string_view argument =
        space == std::string_view::npos ? "" : Trim(text.substr(space));
    if (interpreter.empty()) return -ENOEXEC;
    error = Prepend(strings, interpreter, argument, path);
    if (error != 0) return error;
    path = interpreter;
  }
  return -ELOOP;
}

wasm::ImportOutcome ResolveImport(void* /*cookie*/, const wasm::ImportRequest& request,
                                  wasm::ImportValue* value) {
  if (request.record->kind != wasm::ExternKind::kFunction) return wasm::ImportOutcome::kUnknown;
  CallHandler handler = nullptr;
  const uint32_t type = request.view->functions[request.record->index].type;
  switch (FindCall(request.module, request.name,
                   {request.view->Params(type), request.view->Results(type)}, &handler)) {
    case ImportMatch::kUnknown:
      return wasm::ImportOutcome::kUnknown;
    case ImportMatch::kOtherType:
      return wasm::ImportOutcome::kIncompatible;
    case ImportMatch::kMatches:
      break;
  }
  value->function.function = reinterpret_cast<const void*>(handler);
  return wasm::ImportOutcome::kFound;
}

// Where the data segments go: [begin, end), empty if there are none.
struct DataRange {
  uint64_t begin = UINT64_MAX, end = 0;
};

// The start function of a program with threads copies its segments, from where the shadow stack
// ends: where the stack pointer, its first variable, begins.
DataRange RangeOfPassiveData(const wasm::ObjectView& view) {
  DataRange range;
  if (view.globals.empty() || view.header->imported_globals != 0) return range;
  const wasm::GlobalRecord& pointer = view.globals[0];
  if (pointer.type != wasm::ValType::kI32 || pointer.is_mutable == 0 || pointer.op_count != 1)
    return range;
  uint64_t size = 0;
  for (const wasm::DataRecord& segment : view.data)
    size += segment.mode == wasm::SegmentMode::kPassive ? segment.size : 0;
  if (size == 0) return range;
  range.begin = view.const_ops[pointer.first_op].bits[0] & 0xffffffff;
  range.end = range.begin + size;
  return range;
}

DataRange RangeOfData(const wasm::ObjectView& view) {
  DataRange range;
  for (const wasm::DataRecord& segment : view.data) {
    if (segment.mode != wasm::SegmentMode::kActive || segment.op_count != 1) continue;
    const uint64_t begin = view.const_ops[segment.first_op].bits[0] & 0xffffffff;
    range.begin = std::min(range.begin, begin);
    range.end = std::max(range.end, begin + segment.size);
  }
  return range.end != 0 ? range : RangeOfPassiveData(view);
}

// The linker lays the shadow stack below all data, so that its overflow is a fault.
uint64_t ShadowStackBytes(const wasm::ObjectView& view) {
  const DataRange data = RangeOfData(view);
  return data.end == 0 ? 0 : std::min(data.begin, view.memories[0].min_pages * wasm::kPageSize);
}

// Before the segments are copied there.
void PopulateData(const wasm::ObjectView& view) {
  constexpr uint64_t kMost = 16 << 20;
  DataRange data = RangeOfData(view);
  data.end = std::min(data.end, view.memories[0].min_pages * wasm::kPageSize);
  if (data.begin >= data.end || data.end - data.begin > kMost) return;
  const uint64_t first = data.begin / layout::kPageBytes * layout::kPageBytes;
  platform::Populate(layout::kMemory + first, (data.end - first + layout::kPageBytes - 1) /
                                                  layout::kPageBytes * layout::kPageBytes);
}

void ResetSignals(Process& process) {
  const MutexLock lock(TheKernel().table_lock, LockRank::kProcessTable);
  for (Disposition& disposition : process.disposition) {
    if (disposition.handler > 1) disposition = {};
  }
  process.leader.has_saved_mask = false;
  process.execed = true;
  UpdateAttention(process.leader);
}

void RememberCommand(Process& process, std::string_view path, const StartStrings& strings) {
  const std::string_view name = path.substr(path.rfind('/') + 1);
  memset(process.command, 0, sizeof process.command);
  memcpy(process.command, name.data(), std::min(name.size(), sizeof process.command - 1));
  uint32_t size = 0;
  for (uint32_t i = 0; i < strings.argument_count; ++i)
    size += static_cast<uint32_t>(strlen(strings.text + size)) + 1;
  process.command_line_size = std::min<uint32_t>(size, sizeof process.command_line);
  memcpy(process.command_line, strings.text, process.command_line_size);
}

// Whether the frozen form of a program is one of this module, and its way in is a function that can
// be called.
bool CanResume(const wasm::ObjectView& view, const vfs::FrozenProgram& frozen) {
  if (frozen.header == nullptr || frozen.header->module_hash != view.header->module_hash ||
      frozen.globals.size() != view.globals.size() - view.header->imported_globals) {
    return false;
  }
  const wasm::ExportRecord* entry = view.FindExport(vfs::kResumeExport);
  if (entry == nullptr || entry->kind != wasm::ExternKind::kFunction) return false;
  const uint32_t type = view.functions[entry->index].type;
  return view.Params(type).empty() && view.Results(type).empty();
}

bool PrepareMemory(const wasm::ObjectView& view, const vfs::Program& program) {
  const wasm::MemoryRecord& record = view.memories[0];
  const uint64_t stack_bytes = ShadowStackBytes(view);
  if (resumes)
    return ThawMemory(program.frozen, program.frozen_pages, record.max_pages, stack_bytes);
  return ResetMemory(record.min_pages, record.max_pages, stack_bytes);
}

uint64_t FilledBytes(const wasm::ObjectView& view) {
  uint64_t bytes = view.header->layout.elements;
  for (const wasm::TableRecord& table : view.tables)
    bytes = std::max(bytes, view.header->layout.elements + uint64_t{table.min} * sizeof(uint64_t));
  bytes = std::min(bytes, wasm::StorageBytes(view));
  return (bytes + layout::kPageBytes - 1) / layout::kPageBytes * layout::kPageBytes;
}

bool MakeInstance(const wasm::ObjectView& view, const vfs::Program& program) {
  registry.Clear();
  OwnData().context = nullptr;
  const uint64_t bytes = wasm::StorageBytes(view);
  if (bytes > layout::kInstanceReserve ||
      !platform::MapPrivate(layout::kInstance, bytes, platform::Access::kReadWrite)) {
    return false;
  }
  wasm::InstanceRequest request;
  request.view = &view;
  request.image = program.image;
  request.storage = {reinterpret_cast<std::byte*>(layout::kInstance), bytes};
  request.memory = &LinearMemory();
  request.registry = &registry;
  request.resolver = {nullptr, ResolveImport};
  request.host = KernelFunctions();
  request.host.poll_word = reinterpret_cast<const uint32_t*>(&CurrentThread().sleeper.attention);
  if (resumes) {
    static_assert(sizeof(vfs::FrozenGlobal) == sizeof(wasm::GlobalCell) &&
                  alignof(vfs::FrozenGlobal) == alignof(wasm::GlobalCell));
    request.frozen_globals = {
        reinterpret_cast<const wasm::GlobalCell*>(program.frozen.globals.data()),
        program.frozen.globals.size()};
  } else {
    PopulateData(view);
  }
  // Functions and tables are filled by Instantiate, up to what tables begin with.
  platform::Populate(layout::kInstance, FilledBytes(view));
  wasm::InstantiateError error;
  if (wasm::Instantiate(request, &error) != wasm::InstantiateOutcome::kDone) {
    WriteMessage(error.message.text);
    return false;
  }
  OwnData().context = reinterpret_cast<wasm::Context*>(layout::kInstance);
  return true;
}

// The outermost frame of every program, on a stack of its own.
[[noreturn]] void RunProgram() {
  uint64_t slots[8] = {};
  wasm::Context* context = CurrentContext();
  const wasm::ObjectView& view = *context->view;
  wasm::TrapCode code = wasm::TrapCode::kNone;
  LeaveTakingDefaultActions();
  if (!resumes && view.header->start_function != wasm::kNoIndex) {
    code = wasm::Enter(context, *wasm::FuncRefOf(context, view.header->start_function), slots,
                       GuestStack());
  }
  if (code == wasm::TrapCode::kNone) {
    const char* entry = resumes ? vfs::kResumeExport : "_start";
    code = wasm::Enter(context, *wasm::FindExportedFunction(context, entry), slots, GuestStack());
  }
  OwnSlot().inside.store(1);
  if (code == wasm::TrapCode::kNone) ExitCurrent(0);
  EndByTrap(code);
}

}  // namespace

bool CreateKnownObjects() {
  known_objects = TheKernel().arena->New<KnownObjects>();
  return known_objects != nullptr;
}

StartStrings* NextStartStrings() {
  StartStrings& next = start_strings[1 - present_strings];
  next.argument_count = next.variable_count = next.size = 0;
  next.text = reinterpret_cast<char*>(layout::kPrivate +
                                      (1 - present_strings) * uint64_t{StartStrings::kCapacity});
  return &next;
}

namespace {

enum class Way { kFrozenIfItIs, kFromTheBeginning };

// Takes over the reference on the executable's node.
int32_t Replace(const Executable& executable, std::string_view path, StartStrings* strings,
                Way way) {
  Process& process = Current();
  const wasm::ObjectView* view = ViewOf(executable.program);
  if (view == nullptr || !view->Is(wasm::kIsCommand) || view->memories.empty()) {
    executable.node.fs->Release(executable.node.id);
    return -ENOEXEC;
  }
  ReleaseHeld();
  const bool had_threads = HasOtherThreads();
  // One that others end does not get far.
  if (!EndOtherThreads()) {
    executable.node.fs->Release(executable.node.id);
    return kRestart;
  }
  BecomeLeader();
  resumes = way == Way::kFrozenIfItIs && CanResume(*view, executable.program.frozen);
  if (!PrepareMemory(*view, executable.program)) {
    executable.node.fs->Release(executable.node.id);
    if (had_threads) ExitCurrent(SIGKILL);
    return -ENOMEM;
  }
  // From here on the old program is gone: whatever fails ends the process.
  present_strings = static_cast<uint32_t>(strings - start_strings);
  if (process.executable.fs != nullptr) process.executable.fs->Release(process.executable.id);
  process.executable = executable.node;
  CloseAll(process, true);
  ResetSignals(process);
  RememberCommand(process, path, *strings);
  process.execs.store(false);
  OwnData().handled = {};
  ForgetWasiDirectories();
  if (ImportsWasi(*view) && OpenWasiDirectories() != 0) ExitCurrent(SIGKILL);
  if (!MakeInstance(*view, executable.program)) ExitCurrent(SIGKILL);
  cordon_run_on(BaseStackTop(), RunProgram);
}

// In the place of a program that the client does not allow, as if it had been one that says so and
// ends: whoever started it need not know of policies. Takes over the reference; returns only if
// other threads end this one.
int32_t EndAsDenied(const Executable& executable) {
  executable.node.fs->Release(executable.node.id);
  ReleaseHeld();
  if (!EndOtherThreads()) return kRestart;
  BecomeLeader();
  ReportDenial(executable.name);
  char message[sizeof executable.name + 64];
  snprintf(message, sizeof message, "%s: tool not allowed by security policy\n", executable.name);
  WriteMessage(message);
  ExitCurrent(126u << 8);
}

}  // namespace

int32_t Execute(std::string_view path, StartStrings* strings) {
  Executable executable;
  const int32_t error = Resolve(path, strings, &executable);
  if (error != 0) return error;
  if (!MayStart(executable.program, *strings)) return EndAsDenied(executable);
  return Replace(executable, path, strings, Way::kFrozenIfItIs);
}

int32_t StartOver() {
  Executable executable;
  executable.node = Current().executable;
  vfs::FileSystem& fs = *executable.node.fs;
  // A file that was written to since is another program.
  if (!resumes || !(fs.ProgramOf(executable.node.id, &executable.program) ||
                    FindByContents(executable.node, &executable.program))) {
    return -EINVAL;
  }
  char name[sizeof Current().command];
  memcpy(name, Current().command, sizeof name);
  fs.Reference(executable.node.id);
  if (!MayStart(executable.program, start_strings[present_strings])) {
    memcpy(executable.name, name, std::min(sizeof name, sizeof executable.name - 1));
    return EndAsDenied(executable);
  }
  return Replace(executable, name, &start_strings[present_strings], Way::kFromTheBeginning);
}

std::string_view ArgumentStrings() {
  const StartStrings& strings = start_strings[present_strings];
  uint32_t size = 0;
  for (uint32_t i = 0; i < strings.argument_count; ++i)
    size += static_cast<uint32_t>(strlen(strings.text + size)) + 1;
  return {strings.text, size};
}

std::string_view EnvironmentStrings() {
  const StartStrings& strings = start_strings[present_strings];
  const size_t arguments = ArgumentStrings().size();
  return {strings.text + arguments, strings.size - arguments};
}

uint32_t StartBlockSize() {
  const StartStrings& strings = start_strings[present_strings];
  return 4 * (strings.argument_count + strings.variable_count + 3 + kAuxWords) + 16 + strings.size;
}

int32_t StartBlockCopy(uint32_t address) {
  const StartStrings& strings = start_strings[present_strings];
  const Process& process = Current();
  const uint32_t words = strings.argument_count + strings.variable_count + 3 + kAuxWords;
  const uint32_t random_at = address + 4 * words;
  const uint32_t text_at = random_at + 16;
  uint32_t at = address;
  const auto put = [&at](uint32_t word) {
    const int error = Store(at, word);
    at += 4;
    return error;
  };
  int error = put(strings.argument_count);
  uint32_t offset = 0;
  for (uint32_t i = 0; i < strings.argument_count + strings.variable_count; ++i) {
    if (i == strings.argument_count) error |= put(0);
    error |= put(text_at + offset);
    offset += static_cast<uint32_t>(strlen(strings.text + offset)) + 1;
  }
  if (strings.variable_count == 0) error |= put(0);
  error |= put(0);
  // AT_PAGESZ, AT_RANDOM, AT_UID, AT_EUID, AT_GID, AT_EGID, AT_SECURE, AT_NULL
  const uint32_t auxiliary[kAuxWords] = {6,  4096,
                                         25, random_at,
                                         11, process.who.uid,
                                         12, process.who.uid,
                                         13, process.who.gid,
                                         14, process.who.gid,
                                         23, 0,
                                         0,  0};
  for (const uint32_t word : auxiliary) error |= put(word);
  uint8_t random[16];
  platform::FillRandom(random, sizeof random);
  error |= Store(random_at, random);
  error |= CopyOut(text_at, strings.text, strings.size);
  return error != 0 ? -EFAULT : 0;
}

namespace {

// Null if the program has none. A function of another type would take or leave more than the slots
// that it is called with.
const wasm::FuncRef* SignalEntry() {
  const wasm::Context* context = CurrentContext();
  const wasm::FuncRef* entry = wasm::FindExportedFunction(context, "__cordon_signal");
  if (entry == nullptr) return nullptr;
  const wasm::ObjectView& view = *context->view;
  const uint32_t type = view.functions[entry->function_index].type;
  const bool fits =
      view.Params(type).size() == 3 && view.Results(type).empty() &&
      std::ranges::all_of(view.Params(type), [](auto one) { return one == wasm::ValType::kI32; });
  return fits ? entry : nullptr;
}

}  // namespace

bool CallSignalHandler(uint32_t handler, const SignalInfo& info, uint32_t flags) {
  const wasm::FuncRef* entry = SignalEntry();
  const auto number = static_cast<uint32_t>(info.number);
  if (entry == nullptr) ExitCurrent(number);
  uint64_t slots[4] = {handler, number, flags, 0};
  const SignalInfo outer = OwnData().handled;
  OwnData().handled = info;
  OwnSlot().inside.store(0);
  const wasm::TrapCode code = wasm::Enter(CurrentContext(), *entry, slots, {});
  OwnSlot().inside.store(1);
  OwnData().handled = outer;
  if (code == wasm::TrapCode::kNone) return true;
  if (code == wasm::TrapCode::kUncaughtException) return false;
  EndByTrap(code);
}

const SignalInfo& HandledSignal() {
  return OwnData().handled;
}

wasm::Context* InstantiateForThread(const wasm::Context& creator, std::span<std::byte> storage,
                                    const uint32_t* poll_word) {
  wasm::InstanceRequest request;
  request.view = creator.view;
  request.image = creator.code_base - creator.view->header->code_offset;
  request.storage = storage;
  request.memory = &LinearMemory();
  request.data = wasm::DataSegments::kAreThere;
  request.registry = &registry;
  request.resolver = {nullptr, ResolveImport};
  request.host = KernelFunctions();
  request.host.poll_word = poll_word;
  wasm::InstantiateError error;
  if (wasm::Instantiate(request, &error) != wasm::InstantiateOutcome::kDone) return nullptr;
  return reinterpret_cast<wasm::Context*>(storage.data());
}

}  // namespace cordon::kernel

#include "kernel/freeze.h"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>

#include "arena/layout.h"
#include "kernel/entry.h"
#include "kernel/exec.h"
#include "kernel/guest_memory.h"
#include "kernel/memory_map.h"
#include "kernel/open_file.h"
#include "kernel/process.h"
#include "kernel/wasi.h"
#include "vfs/frozen_program.h"
#include "wasm/instance.h"

namespace cordon::kernel {
namespace {

using layout::kPageBytes;
using vfs::FrozenHeader;
using vfs::FrozenRun;
static_assert(vfs::kFrozenPageBytes == kPageBytes);

constexpr uint32_t kMaxRuns = 1024;
// So many zero pages between others are written too: a mapping more costs more than they do.
constexpr uint32_t kGap = 8;

// Private memory of the process, used by one call.
FrozenRun runs[kMaxRuns];
uint32_t run_count = 0;

int64_t Refuse(const char* what, uint32_t number) {
  char text[128];
  (void)snprintf(text, sizeof text, "cordon: cannot be frozen: %s %u\n", what, number);
  WriteMessage(text);
  return -EBUSY;
}

bool HasChild(const Process& process) {
  Kernel& kernel = TheKernel();
  const MutexLock lock(kernel.table_lock, LockRank::kProcessTable);
  for (uint32_t i = 0; i < kernel.slot_end; ++i) {
    const Process* child = kernel.processes[i];
    if (child != nullptr && child->state.load() != ProcessState::kFree &&
        child->parent_pid == process.pid) {
      return true;
    }
  }
  return false;
}

// What the kernel holds for the process must be what it holds for any that starts.
int64_t CheckKernelState() {
  const Process& process = Current();
  for (uint32_t i = 3; i < process.descriptor_end; ++i) {
    if (process.descriptors[i] != 0) return Refuse("it has opened descriptor", i);
  }
  for (uint32_t i = 1; i <= kSignals; ++i) {
    if (process.disposition[i].handler != 0) return Refuse("it handles signal", i);
  }
  if (HasOtherThreads()) return Refuse("it has threads:", process.thread_count.load());
  const uint64_t mask = CurrentThread().mask;
  if (mask != 0) {
    return Refuse("it blocks signals; the first words of the mask are",
                  static_cast<uint32_t>(mask));
  }
  if (HandledSignal().number != 0) {
    return Refuse("it is in the handler of signal", static_cast<uint32_t>(HandledSignal().number));
  }
  if (process.alarm_ns != 0) {
    return Refuse("a timer is set; seconds between its signals:",
                  static_cast<uint32_t>(process.alarm_interval_ns / 1'000'000'000));
  }
  for (const ProcessorTimer& timer : process.processor_timers) {
    if (timer.due_ns == 0) continue;
    return Refuse("a timer of processor time is set; seconds between its signals:",
                  static_cast<uint32_t>(timer.interval_ns / 1'000'000'000));
  }
  if (HasChild(process)) return Refuse("it has children; its own number is", process.pid);
  return 0;
}

int64_t CheckInstance() {
  const wasm::Context* context = CurrentContext();
  wasm::ErrorText reason;
  if (ImportsWasi(*context->view)) {
    (void)snprintf(reason.text, sizeof reason.text, "it imports WASI, with open directories");
  } else if (context->view->FindExport(vfs::kResumeExport) == nullptr) {
    (void)snprintf(reason.text, sizeof reason.text, "it does not export %s", vfs::kResumeExport);
  } else if (wasm::CanBeFrozen(context, &reason)) {
    return 0;
  }
  char text[320];
  (void)snprintf(text, sizeof text, "cordon: cannot be frozen: %s\n", reason.text);
  WriteMessage(text);
  return -EBUSY;
}

FrozenRun::Kind KindOf(uint32_t page) {
  uint64_t words[kPageBytes / sizeof(uint64_t)];
  if (CopyIn(words, page * static_cast<uint32_t>(kPageBytes), sizeof words) != 0)
    return FrozenRun::kNoAccess;
  return std::ranges::all_of(words, [](uint64_t word) { return word == 0; }) ? FrozenRun::kZero
                                                                             : FrozenRun::kData;
}

// False: too many.
bool AddPage(uint32_t page, FrozenRun::Kind kind) {
  FrozenRun* last = run_count > 0 ? &runs[run_count - 1] : nullptr;
  const bool follows = last != nullptr && last->first + last->count == page;
  if (follows && last->kind == kind) {
    ++last->count;
    return true;
  }
  if (follows && kind == FrozenRun::kData && last->kind == FrozenRun::kZero &&
      last->count <= kGap && run_count > 1) {
    FrozenRun& before = runs[run_count - 2];
    if (before.kind == FrozenRun::kData && before.first + before.count == last->first) {
      before.count += last->count + 1;
      --run_count;
      return true;
    }
  }
  if (run_count == kMaxRuns) return false;
  runs[run_count++] = {page, 1, kind};
  return true;
}

bool FindRuns() {
  run_count = 0;
  for (uint32_t page = 0; page < EndOfPages(); ++page) {
    if (PageExists(page) && !AddPage(page, KindOf(page))) return false;
  }
  return true;
}

class Output {
 public:
  explicit Output(OpenFile& file) : file_(file) {}

  void Write(const void* data, uint64_t size) {
    const auto* at = static_cast<const std::byte*>(data);
    while (size > 0 && error_ == 0) {
      const int64_t done = file_.operations->write(file_, at, size);
      if (done <= 0) {
        error_ = done == 0 ? -EIO : done;
        return;
      }
      at += done;
      size -= static_cast<uint64_t>(done);
      written_ += static_cast<uint64_t>(done);
    }
  }
  void FillTo(uint64_t offset) {
    static constexpr std::byte kZeros[kPageBytes] = {};
    while (written_ < offset && error_ == 0)
      Write(kZeros, std::min<uint64_t>(offset - written_, sizeof kZeros));
  }
  [[nodiscard]] int64_t error() const { return error_; }

 private:
  OpenFile& file_;
  uint64_t written_ = 0;
  int64_t error_ = 0;
};

constexpr uint64_t RoundUp(uint64_t value, uint64_t to) {
  return (value + to - 1) / to * to;
}

int64_t WriteProgram(OpenFile& file) {
  const wasm::Context& context = *CurrentContext();
  const wasm::ObjectView& view = *context.view;
  FrozenHeader header = {};
  header.magic = vfs::kFrozenMagic;
  header.version = vfs::kFrozenVersion;
  header.run_count = run_count;
  header.global_count = static_cast<uint32_t>(view.globals.size());
  for (uint32_t i = 0; i < run_count; ++i)
    header.page_count += runs[i].kind == FrozenRun::kData ? runs[i].count : 0;
  const uint64_t globals_at =
      RoundUp(sizeof header + run_count * sizeof(FrozenRun), alignof(vfs::FrozenGlobal));
  header.pages = RoundUp(globals_at + header.global_count * sizeof(vfs::FrozenGlobal), kPageBytes);
  header.size = header.pages + header.page_count * kPageBytes;
  header.module_hash = view.header->module_hash;
  Output out(file);
  out.Write(&header, sizeof header);
  out.Write(runs, run_count * sizeof(FrozenRun));
  out.FillTo(globals_at);
  for (uint32_t i = 0; i < header.global_count; ++i) {
    // A constant reference is an address, and nobody needs it.
    const wasm::ValType type = view.globals[i].type;
    const bool is_number = type != wasm::ValType::kFuncref && type != wasm::ValType::kExternref;
    vfs::FrozenGlobal global = {};
    if (is_number) memcpy(&global, &context.globals[i], sizeof global);
    out.Write(&global, sizeof global);
  }
  out.FillTo(header.pages);
  for (uint32_t i = 0; i < run_count; ++i) {
    if (runs[i].kind != FrozenRun::kData) continue;
    out.Write(GuestPointer(runs[i].first * static_cast<uint32_t>(kPageBytes)),
              runs[i].count * kPageBytes);
  }
  return out.error();
}

}  // namespace

int64_t Freeze(uint32_t descriptor) {
  OpenFile* file = FileOf(descriptor);
  if (file == nullptr || !file->writable() || file->operations->write == nullptr) return -EBADF;
  if (const int64_t error = CheckKernelState(); error != 0) return error;
  if (const int64_t error = CheckInstance(); error != 0) return error;
  if (!FindRuns()) return Refuse("its memory is in more pieces than", kMaxRuns);
  return WriteProgram(*file);
}

}  // namespace cordon::kernel

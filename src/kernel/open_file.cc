#include "kernel/open_file.h"

#include <fcntl.h>
#include <cerrno>

#include "arena/platform.h"
#include "kernel/epoll.h"
#include "kernel/file_lock.h"
#include "kernel/socket.h"

namespace cordon::kernel {
namespace {

constexpr uintptr_t kCloseOnExec = 1;

OpenFile* FileIn(uintptr_t entry) {
  return reinterpret_cast<OpenFile*>(entry & ~kCloseOnExec);
}

// Under the descriptor lock.
void Put(Process& process, uint32_t descriptor, OpenFile* file, bool close_on_exec) {
  process.descriptors[descriptor] =
      reinterpret_cast<uintptr_t>(file) | (close_on_exec ? kCloseOnExec : 0);
  if (descriptor >= process.descriptor_end) process.descriptor_end = descriptor + 1;
}

OpenFile* Take(Process& process, uint32_t descriptor) {
  OpenFile* file = FileIn(process.descriptors[descriptor]);
  process.descriptors[descriptor] = 0;
  while (process.descriptor_end > 0 && process.descriptors[process.descriptor_end - 1] == 0) {
    --process.descriptor_end;
  }
  return file;
}

// A descriptor of the process is gone.
void CloseReference(const Process& process, OpenFile* file) {
  const bool is_socket = file->operations == &kSocketOperations;
  if (file->operations == &kNodeOperations) DropProcessLocks(*file, process.pid);
  Release(file);
  if (is_socket) CollectLostSockets();
}

}  // namespace

bool OpenFile::blocks() const {
  return (flags.load(std::memory_order_relaxed) & O_NONBLOCK) == 0;
}

OpenFile* NewOpenFile(const Operations* operations, uint32_t flags, void* object) {
  auto* file = TheKernel().arena->New<OpenFile>();
  if (file == nullptr) return nullptr;
  TheKernel().open_files.fetch_add(1, std::memory_order_relaxed);
  file->operations = operations;
  file->flags = flags;
  file->object = object;
  return file;
}

void Retain(OpenFile* file) {
  file->references.fetch_add(1, std::memory_order_relaxed);
}

void Release(OpenFile* file) {
  if (file->references.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
  if (file->watches.load(std::memory_order_relaxed) != nullptr) ForgetWatches(*file);
  if (file->operations == &kNodeOperations) DropDescriptionLocks(*file);
  if (file->operations->close != nullptr) file->operations->close(*file);
  if (file->node.fs != nullptr) file->node.fs->Release(file->node.id);
  FreeOpenFile(file);
}

void FreeOpenFile(OpenFile* file) {
  TheKernel().open_files.fetch_sub(1, std::memory_order_relaxed);
  TheKernel().arena->Delete(file);
}

OpenFile* FileOf(uint32_t descriptor) {
  Process& process = Current();
  if (!HasOtherThreads())
    return descriptor < process.descriptor_end ? FileIn(process.descriptors[descriptor]) : nullptr;
  const MutexLock lock(process.descriptor_lock, LockRank::kDescriptorTable);
  if (descriptor >= process.descriptor_end || !CanHold()) return nullptr;
  OpenFile* file = FileIn(process.descriptors[descriptor]);
  if (file == nullptr) return nullptr;
  Retain(file);
  HoldFile(file);
  return file;
}

int32_t Install(OpenFile* file, uint32_t least, bool close_on_exec) {
  Process& process = Current();
  {
    const MutexLock lock(process.descriptor_lock, LockRank::kDescriptorTable);
    for (uint32_t i = least; i < process.descriptor_limit && i < kMaxDescriptors; ++i) {
      if (process.descriptors[i] != 0) continue;
      Put(process, i, file, close_on_exec);
      return static_cast<int32_t>(i);
    }
  }
  Release(file);
  return -EMFILE;
}

int32_t InstallAt(OpenFile* file, uint32_t descriptor, bool close_on_exec) {
  Process& process = Current();
  if (descriptor >= process.descriptor_limit || descriptor >= kMaxDescriptors) {
    Release(file);
    return -EBADF;
  }
  OpenFile* old = nullptr;
  {
    const MutexLock lock(process.descriptor_lock, LockRank::kDescriptorTable);
    old = FileIn(process.descriptors[descriptor]);
    Put(process, descriptor, file, close_on_exec);
  }
  if (old != nullptr) CloseReference(process, old);
  return static_cast<int32_t>(descriptor);
}

bool HasFreeDescriptors(uint32_t count) {
  const Process& process = Current();
  const uint32_t end =
      process.descriptor_limit < kMaxDescriptors ? process.descriptor_limit : kMaxDescriptors;
  for (uint32_t i = 0; i < end && count > 0; ++i) {
    if (process.descriptors[i] == 0) --count;
  }
  return count == 0;
}

int32_t CloseDescriptor(uint32_t descriptor) {
  Process& process = Current();
  OpenFile* file = nullptr;
  {
    const MutexLock lock(process.descriptor_lock, LockRank::kDescriptorTable);
    if (descriptor < process.descriptor_end) file = Take(process, descriptor);
  }
  if (file == nullptr) return -EBADF;
  CloseReference(process, file);
  return 0;
}

int32_t IsClosedOnExec(uint32_t descriptor) {
  Process& process = Current();
  const MutexLock lock(process.descriptor_lock, LockRank::kDescriptorTable);
  if (descriptor >= process.descriptor_end || process.descriptors[descriptor] == 0) return -EBADF;
  return static_cast<int32_t>(process.descriptors[descriptor] & kCloseOnExec);
}

int32_t SetCloseOnExec(uint32_t descriptor, bool closes) {
  Process& process = Current();
  const MutexLock lock(process.descriptor_lock, LockRank::kDescriptorTable);
  if (descriptor >= process.descriptor_end || process.descriptors[descriptor] == 0) return -EBADF;
  Put(process, descriptor, FileIn(process.descriptors[descriptor]), closes);
  return 0;
}

void CloseAll(Process& process, bool only_on_exec) {
  for (uint32_t i = process.descriptor_end; i-- > 0;) {
    const uintptr_t entry = process.descriptors[i];
    if (entry == 0 || (only_on_exec && (entry & kCloseOnExec) == 0)) continue;
    OpenFile* file = nullptr;
    {
      const MutexLock lock(process.descriptor_lock, LockRank::kDescriptorTable);
      file = Take(process, i);
    }
    CloseReference(process, file);
  }
}

int32_t WaitUntil(WaitQueue& queue, bool (*ready)(void*), void* argument, uint64_t deadline_ns) {
  if (ready(argument)) return 0;
  Thread& thread = CurrentThread();
  Waiter& waiter = thread.waiters[0];
  waiter.sleeper = &thread.sleeper;
  queue.Add(waiter);
  int32_t result = 0;
  // What became ready goes before a signal: the end of the peer that did it may be that signal.
  for (Wake wake = Wake::kWoken;;) {
    const uint32_t seen = thread.sleeper.word.load(std::memory_order_seq_cst);
    if (ready(argument)) break;
    if (wake != Wake::kWoken) {
      result = wake == Wake::kTimedOut ? -ETIMEDOUT : kRestart;
      break;
    }
    wake = thread.sleeper.SleepFrom(seen, deadline_ns);
  }
  queue.Remove(waiter);
  return result;
}

}  // namespace cordon::kernel

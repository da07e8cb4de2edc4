// What must hold in the kernel's tables while nothing runs.

#include <cstdarg>
#include <cstdio>

#include "kernel/check.h"
#include "kernel/epoll.h"
#include "kernel/process.h"
#include "kernel/socket.h"
#include "vfs/memory_fs.h"

namespace cordon::kernel {

void Report::Add(const char* format, ...) {
  ++count_;
  va_list arguments;
  va_start(arguments, format);
  const int size = vsnprintf(text_, left_, format, arguments);
  va_end(arguments);
  if (size < 0 || static_cast<uint64_t>(size) >= left_) return;
  text_ += size;
  left_ -= static_cast<uint64_t>(size);
}

void Report::AddFileSystem(vfs::MemoryFs& files) {
  count_ += vfs::CheckFileSystem(files, 0, text_, left_);
}

namespace {

bool IsRunning(const Process& process) {
  const ProcessState state = process.state.load();
  return state == ProcessState::kStarting || state == ProcessState::kLive ||
         state == ProcessState::kStopped;
}

void CheckProcess(const Process& process, uint32_t index, Report& report) {
  const Kernel& kernel = TheKernel();
  const auto pid = process.pid;
  if (process.slot != index) report.Add("process %u: slot %u in %u\n", pid, process.slot, index);
  if (process.descriptor_lock.held()) report.Add("process %u: descriptor lock is held\n", pid);
  if (process.state.load() == ProcessState::kFree) return;
  if (FindProcess(pid) != &process) report.Add("process %u: identifier used twice\n", pid);
  if (pid == kServicePid) return;
  const Process* parent = FindProcess(process.parent_pid);
  if (parent == nullptr) report.Add("process %u: no parent %u\n", pid, process.parent_pid);
  if (IsRunning(process)) {
    if (kernel.control->slots[index].state.load() == control::Slot::kGone)
      report.Add("process %u: runs in a slot whose thread is gone\n", pid);
    return;
  }
  if (parent != nullptr && (!IsRunning(*parent) || parent->pid == kServicePid))
    report.Add("process %u: a zombie that nobody waits for\n", pid);
}

// Returns how many threads it has besides the first one.
uint32_t CheckThreads(const Process& process, Report& report) {
  const auto pid = process.pid;
  uint32_t count = 0;
  uint32_t others = 0;
  for (const Thread* thread = process.threads; thread != nullptr; thread = thread->next) {
    ++count;
    if (thread->process != &process) report.Add("process %u: a thread of another one\n", pid);
    if (thread == &process.leader) continue;
    ++others;
    if (!IsSlotOfThread(thread->slot)) report.Add("process %u: a thread without a slot\n", pid);
  }
  if (count != process.thread_count.load())
    report.Add("process %u: %u threads, %u are counted\n", pid, count, process.thread_count.load());
  return others;
}

void CheckAccounts(Report& report) {
  const Kernel& kernel = TheKernel();
  for (uint32_t i = 0; i < kernel.run_accounts; ++i) {
    const RunAccount& account = *kernel.accounts[i];
    uint32_t holders = 0;
    for (uint32_t at = 0; at < kernel.slot_end; ++at) {
      const Process* process = kernel.processes[at];
      if (process != nullptr && process->account == &account) ++holders;
    }
    if (holders != account.holders)
      report.Add("run %u: %u processes, %u are counted\n", account.run, holders, account.holders);
    if (holders == 0 && account.pages.load() != 0)
      report.Add("run %u: pages of nobody are counted\n", account.run);
  }
}

uint32_t CountSlotsOfThreads() {
  uint32_t count = 0;
  for (uint32_t i = 0; i < control::kMaxSlots; ++i) count += IsSlotOfThread(i) ? 1 : 0;
  return count;
}

}  // namespace

int CheckKernel(char* text, uint64_t size) {
  Kernel& kernel = TheKernel();
  Report report(text, size);
  const MutexLock lock(kernel.table_lock, LockRank::kProcessTable);
  uint32_t running = 0;
  uint32_t threads = 0;
  uint64_t pages = 0;
  for (uint32_t i = 0; i < kernel.slot_end; ++i) {
    const Process* process = kernel.processes[i];
    if (process == nullptr) continue;
    CheckProcess(*process, i, report);
    if (!IsRunning(*process) || process->pid == kServicePid) continue;
    ++running;
    threads += CheckThreads(*process, report);
    pages += process->committed_pages;
  }
  if (running != kernel.process_count)
    report.Add("%u processes run, %u are counted\n", running, kernel.process_count);
  if (threads != kernel.thread_count || threads != CountSlotsOfThreads()) {
    report.Add("%u more threads run, %u are counted, %u have slots\n", threads, kernel.thread_count,
               CountSlotsOfThreads());
  }
  CheckAccounts(report);
  CheckSockets(report, running == 0);
  CheckWatches(report, running == 0);
  if (running > 0) return report.count();
  if (kernel.committed_pages.load() != pages) {
    report.Add("%llu pages of memory are lost\n",
               static_cast<unsigned long long>(kernel.committed_pages.load()));
  }
  if (kernel.open_files.load() != 0) {
    report.Add("%llu open files are lost\n",
               static_cast<unsigned long long>(kernel.open_files.load()));
  }
  if (!kernel.arena->Check()) report.Add("the free lists are damaged\n");
  report.AddFileSystem(*static_cast<vfs::MemoryFs*>(kernel.files));
  return report.count();
}

}  // namespace cordon::kernel

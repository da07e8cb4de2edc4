#include "kernel/run_account.h"

#include "arena/layout.h"
#include "arena/platform.h"
#include "kernel/process.h"

namespace cordon::kernel {
namespace {

// A copy of a process that was forked or stored has a clock that begins anew.
uint64_t Since(uint64_t now, uint64_t then) {
  return now > then ? now - then : now;
}

uint64_t CpuOf(const Process& process) {
  return &process == &Current() ? platform::ClockNs(2) : ProcessorTimeOf(process);
}

// What is used by a process that goes on, or by one that ended with so much processor time.
void AddTo(RunAccount& account, const Process& process, uint64_t cpu_ns) {
  const UsedByProcess& used = process.used;
  account.cpu_ns += cpu_ns == 0 ? 0 : Since(cpu_ns, used.cpu_before_ns);
  account.file_read_bytes += used.file_read_bytes.load(std::memory_order_relaxed);
  account.file_written_bytes += used.file_written_bytes.load(std::memory_order_relaxed);
}

control::RunUsage UsageOf(const RunAccount& account) {
  return {account.cpu_ns,
          account.peak_pages.load(std::memory_order_relaxed) * layout::kPageBytes,
          account.processes,
          account.file_read_bytes,
          account.file_written_bytes,
          0,
          account.run};
}

// Account and all who hold it, as if they had ended now.
control::RunUsage SumOf(const RunAccount& account) {
  const Kernel& kernel = TheKernel();
  RunAccount sum;
  sum.run = account.run;
  sum.cpu_ns = account.cpu_ns;
  sum.processes = account.processes;
  sum.peak_pages = account.peak_pages.load(std::memory_order_relaxed);
  sum.file_read_bytes = account.file_read_bytes;
  sum.file_written_bytes = account.file_written_bytes;
  uint64_t others = 0;
  for (uint32_t i = 0; account.holders > 0 && i < kernel.slot_end; ++i) {
    const Process* process = kernel.processes[i];
    if (process == nullptr || process->account != &account) continue;
    AddTo(sum, *process, CpuOf(*process));
    if (process->run_job < 0) ++others;
  }
  control::RunUsage usage = UsageOf(sum);
  usage.left = others;
  return usage;
}

}  // namespace

void RunAccount::Charge(uint64_t count) {
  const uint64_t now = pages.fetch_add(count, std::memory_order_relaxed) + count;
  uint64_t peak = peak_pages.load(std::memory_order_relaxed);
  while (now > peak && !peak_pages.compare_exchange_weak(peak, now, std::memory_order_relaxed)) {
  }
}

RunAccount* AccountOf(uint32_t run) {
  Kernel& kernel = TheKernel();
  if (run == 0) return nullptr;
  RunAccount* oldest = nullptr;
  for (uint32_t i = 0; i < kernel.run_accounts; ++i) {
    RunAccount& one = *kernel.accounts[i];
    if (one.run == run) return &one;
    // Numbers go round.
    if (one.holders == 0 && (oldest == nullptr || run - one.run > run - oldest->run)) oldest = &one;
  }
  // The last ones stay, for who asks late.
  if (oldest == nullptr || kernel.run_accounts < 2 * control::kMaxJobs) {
    auto* fresh = kernel.run_accounts < kMaxRunAccounts ? kernel.arena->New<RunAccount>() : nullptr;
    if (fresh != nullptr) kernel.accounts[kernel.run_accounts++] = fresh;
    if (fresh != nullptr) oldest = fresh;
  }
  if (oldest == nullptr) return nullptr;
  oldest->run = run;
  oldest->processes = oldest->cpu_ns = 0;
  oldest->file_read_bytes = oldest->file_written_bytes = 0;
  oldest->pages = oldest->peak_pages = 0;
  return oldest;
}

void HoldAccount(Process& process, RunAccount* account) {
  process.account = account;
  process.used.cpu_before_ns = 0;
  process.used.file_read_bytes = process.used.file_written_bytes = 0;
  if (account == nullptr) return;
  ++account->holders;
  ++account->processes;
}

void LeaveAccount(Process& process, uint64_t cpu_ns) {
  RunAccount* account = process.account;
  if (account == nullptr) return;
  AddTo(*account, process, cpu_ns);
  process.account = nullptr;
  --account->holders;
}

void PublishRun(const Process& process) {
  const int32_t job = process.run_job >= 0 ? process.run_job : process.job;
  if (job < 0) return;
  const RunAccount* account = AccountOf(process.run);
  if (account != nullptr) TheKernel().control->jobs[job].usage.Put(SumOf(*account));
}

control::RunUsage MeasureRun(uint32_t run) {
  const RunAccount* account = AccountOf(run);
  return account == nullptr ? control::RunUsage{} : SumOf(*account);
}

void BeginOwnRun() {
  Process& process = Current();
  const uint64_t cpu_ns = platform::ClockNs(2);
  const MutexLock lock(TheKernel().table_lock, LockRank::kProcessTable);
  RunAccount* account = AccountOf(process.run);
  if (account == process.account) return;
  if (process.account != nullptr) process.account->Return(process.committed_pages);
  LeaveAccount(process, cpu_ns);
  HoldAccount(process, account);
  process.used.cpu_before_ns = cpu_ns;
  if (account == nullptr) return;
  --account->processes;  // it is not the run's
  account->Charge(process.committed_pages);
}

}  // namespace cordon::kernel

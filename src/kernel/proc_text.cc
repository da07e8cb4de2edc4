// What the files of /proc say.

#include <sys/sysinfo.h>

#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <cstring>

#include "arena/layout.h"
#include "arena/platform.h"
#include "kernel/exec.h"
#include "kernel/proc_files.h"
#include "kernel/process.h"
#include "kernel/processors.h"
#include "kernel/terminal.h"

namespace cordon::kernel {
namespace {

constexpr uint64_t kTicks = 10'000'000;  // nanoseconds; USER_HZ is 100
constexpr uint64_t kSecond = 1'000'000'000;

struct StateName {
  char letter;
  const char* name;
};

StateName StateOf(const Process& process) {
  switch (process.state.load()) {
    case ProcessState::kStopped:
      return {'T', "stopped"};
    case ProcessState::kZombie:
      return {'Z', "zombie"};
    default:
      break;
  }
  // The first process waits for what the keeper wants; it runs no program and so is never inside a
  // call.
  const bool runs =
      &process == &Current() || (process.pid != 1 && SlotOf(process).inside.load() == 0);
  return runs ? StateName{'R', "running"} : StateName{'S', "sleeping"};
}

uint64_t TimeOf(const Process& process) {
  return &process == &Current() ? platform::ClockNs(2) : process.cpu_ns;
}

void Stat(const Process& process, TextWriter& out) {
  const uint32_t terminal = process.terminal == nullptr ? 0 : 136u << 8 | process.terminal->number;
  const auto foreground =
      process.terminal == nullptr ? -1 : static_cast<int32_t>(process.terminal->foreground.load());
  const uint64_t bytes = process.committed_pages * layout::kPageBytes;
  out.Add("%u (%s) %c %u %u %u %u %d 0 0 0 0 0 %llu 0 %llu 0 20 %d %u 0 %llu %llu %llu ",
          process.pid, process.command, StateOf(process).letter, process.parent_pid, process.group,
          process.session, terminal, foreground,
          static_cast<unsigned long long>(TimeOf(process) / kTicks),
          static_cast<unsigned long long>(process.children_cpu_ns / kTicks), process.nice,
          process.thread_count.load(),
          static_cast<unsigned long long>((process.start_ns - TheKernel().boot_ns) / kTicks),
          static_cast<unsigned long long>(bytes),
          static_cast<unsigned long long>(process.committed_pages));
  // rsslim, addresses, signals, …, exit code: fields 25 to 52.
  out.Add("18446744073709551615 0 0 0 0 0 %llu %llu 0 0 0 0 0 17 0 0 0 0 0 0 0 0 0 0 0 0 0 %u\n",
          static_cast<unsigned long long>(process.pending.load() & 0x7fffffff),
          static_cast<unsigned long long>(process.leader.mask & 0x7fffffff), process.wait_status);
}

void Status(const Process& process, TextWriter& out) {
  const StateName state = StateOf(process);
  const uint64_t bytes = process.committed_pages * layout::kPageBytes;
  const auto kib = static_cast<unsigned long long>(bytes / 1024);
  uint64_t ignored = 0;
  uint64_t caught = 0;
  for (uint32_t number = 1; number <= kSignals; ++number) {
    const uint32_t handler = process.disposition[number].handler;
    if (handler == 1) ignored |= SignalBit(number);
    if (handler > 1) caught |= SignalBit(number);
  }
  out.Add(
      "Name:\t%s\nUmask:\t%04o\nState:\t%c (%s)\nTgid:\t%u\nNgid:\t0\nPid:\t%u\nPPid:\t%u\n"
      "TracerPid:\t0\n",
      process.command, process.umask, state.letter, state.name, process.pid, process.pid,
      process.parent_pid);
  out.Add("Uid:\t%u\t%u\t%u\t%u\nGid:\t%u\t%u\t%u\t%u\nFDSize:\t%u\nGroups:\t\n", process.who.uid,
          process.who.uid, process.who.uid, process.who.uid, process.who.gid, process.who.gid,
          process.who.gid, process.who.gid, kMaxDescriptors);
  out.Add("VmPeak:\t%8llu kB\nVmSize:\t%8llu kB\nVmRSS:\t%8llu kB\nThreads:\t%u\n", kib, kib, kib,
          process.thread_count.load());
  out.Add(
      "SigPnd:\t%016llx\nShdPnd:\t0000000000000000\nSigBlk:\t%016llx\nSigIgn:\t%016llx\n"
      "SigCgt:\t%016llx\n",
      static_cast<unsigned long long>(process.pending.load()),
      static_cast<unsigned long long>(process.leader.mask),
      static_cast<unsigned long long>(ignored), static_cast<unsigned long long>(caught));
  out.Add(
      "CapInh:\t0000000000000000\nCapPrm:\t0000000000000000\nCapEff:\t0000000000000000\n"
      "NoNewPrivs:\t1\nSeccomp:\t2\n");
}

void CommandLine(const Process& process, TextWriter& out) {
  out.AddBytes(process.command_line, process.command_line_size);
}
void Command(const Process& process, TextWriter& out) {
  out.Add("%s\n", process.command);
}

// Only a process itself can see the memory in which its strings are.
void Environment(const Process& process, TextWriter& out) {
  if (&process != &Current()) return;
  const std::string_view text = EnvironmentStrings();
  out.AddBytes(text.data(), static_cast<uint32_t>(text.size()));
}

void Limits(const Process& process, TextWriter& out) {
  out.Add("Limit                     Soft Limit           Hard Limit           Units     \n");
  out.Add("Max stack size            8388608              8388608              bytes     \n");
  out.Add("Max open files            %-20u %-20u files     \n", process.descriptor_limit,
          kMaxDescriptors);
  out.Add("Max address space         ");
  for (const uint64_t limit : {process.address_limit, process.address_limit_hard}) {
    if (limit == UINT64_MAX) {
      out.Add("%-20s ", "unlimited");
    } else {
      out.Add("%-20llu ", static_cast<unsigned long long>(limit));
    }
  }
  out.Add("bytes     \n");
}

void MemoryPages(const Process& process, TextWriter& out) {
  const auto pages = static_cast<unsigned long long>(process.committed_pages);
  out.Add("%llu %llu 0 0 0 %llu 0\n", pages, pages, pages);
}

void Maps(const Process& process, TextWriter& out) {
  const uint64_t end = process.committed_pages * layout::kPageBytes;
  out.Add("00000000-%08llx rw-p 00000000 00:00 0 \n", static_cast<unsigned long long>(end));
}

void ProcessMounts(const Process& /*process*/, TextWriter& out) {
  out.Add(
      "cordon / cordon rw 0 0\nproc /proc proc rw 0 0\n"
      "tmpfs /dev/shm tmpfs rw,nosuid,nodev 0 0\n");
}
void ProcessMountInfo(const Process& /*process*/, TextWriter& out) {
  out.Add(
      "1 1 0:1 / / rw - cordon cordon rw\n2 1 0:2 / /proc rw - proc proc rw\n"
      "3 1 0:3 / /dev/shm rw,nosuid,nodev - tmpfs tmpfs rw\n");
}

void Uptime(TextWriter& out) {
  const uint64_t ns = platform::ClockNs(1) - TheKernel().boot_ns;
  out.Add("%llu.%02llu 0.00\n", static_cast<unsigned long long>(ns / kSecond),
          static_cast<unsigned long long>(ns % kSecond / kTicks));
}

void Version(TextWriter& out) {
  out.Add("Linux version 6.1.0-cordon (cordon) #1 SMP Cordon\n");
}

void CpuInfo(TextWriter& out) {
  for (uint32_t i = 0; i < ProcessorCount(); ++i) {
    out.Add(
        "processor\t: %u\nvendor_id\t: Cordon\nmodel name\t: WebAssembly 32-bit\n"
        "cpu cores\t: %u\n\n",
        i, ProcessorCount());
  }
}

void MemInfo(TextWriter& out) {
  const Kernel& kernel = TheKernel();
  const uint64_t total = kernel.control->limits.memory_bytes / 1024;
  const uint64_t used = std::min(total, kernel.committed_pages.load() * layout::kPageBytes / 1024);
  const auto free = static_cast<unsigned long long>(total - used);
  out.Add("MemTotal:       %8llu kB\nMemFree:        %8llu kB\nMemAvailable:   %8llu kB\n",
          static_cast<unsigned long long>(total), free, free);
  out.Add(
      "Buffers:               0 kB\nCached:                0 kB\nSwapCached:            0 kB\n"
      "SwapTotal:             0 kB\nSwapFree:              0 kB\nShmem:                 0 kB\n"
      "SReclaimable:          0 kB\n");
}

// Under table_lock.
uint32_t CountRunning() {
  const Kernel& kernel = TheKernel();
  uint32_t running = 0;
  for (uint32_t i = 0; i < kernel.slot_end; ++i) {
    const Process* process = kernel.processes[i];
    if (process != nullptr && process->state.load() == ProcessState::kLive &&
        StateOf(*process).letter == 'R')
      ++running;
  }
  return running;
}

void LoadAverage(TextWriter& out) {
  const Kernel& kernel = TheKernel();
  out.Add("0.00 0.00 0.00 %u/%u %u\n", CountRunning(), kernel.process_count, kernel.last_pid);
}

void SystemStat(TextWriter& out) {
  const Kernel& kernel = TheKernel();
  out.Add("cpu  0 0 0 0 0 0 0 0 0 0\n");
  for (uint32_t i = 0; i < ProcessorCount(); ++i) out.Add("cpu%u 0 0 0 0 0 0 0 0 0 0\n", i);
  const uint64_t now = platform::ClockNs(0) - (platform::ClockNs(1) - kernel.boot_ns);
  out.Add("ctxt 0\nbtime %llu\nprocesses %llu\nprocs_running %u\nprocs_blocked 0\n",
          static_cast<unsigned long long>(now / kSecond),
          static_cast<unsigned long long>(kernel.started), CountRunning());
}

void FileSystems(TextWriter& out) {
  out.Add("nodev\tproc\nnodev\ttmpfs\nnodev\tcordon\n");
}
void Mounts(TextWriter& out) {
  ProcessMounts(Current(), out);
}
void HostName(TextWriter& out) {
  out.Add("%s\n", TheKernel().hostname);
}
void SystemType(TextWriter& out) {
  out.Add("Linux\n");
}
void SystemRelease(TextWriter& out) {
  out.Add("6.1.0-cordon\n");
}
void MaxPid(TextWriter& out) {
  out.Add("32768\n");
}
void Entropy(TextWriter& out) {
  out.Add("256\n");
}

// RFC 9562, version 4.
void Uuid(TextWriter& out) {
  uint8_t b[16];
  platform::FillRandom(b, sizeof b);
  b[6] = static_cast<uint8_t>((b[6] & 0x0f) | 0x40);
  b[8] = static_cast<uint8_t>((b[8] & 0x3f) | 0x80);
  for (uint32_t i = 0; i < sizeof b; ++i) {
    out.Add("%s%02x", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", b[i]);
  }
  out.Add("\n");
}

constexpr SystemFile kSystemFiles[] = {
    {kProcRoot, "cpuinfo", CpuInfo},
    {kProcRoot, "filesystems", FileSystems},
    {kProcRoot, "loadavg", LoadAverage},
    {kProcRoot, "meminfo", MemInfo},
    {kProcRoot, "mounts", Mounts},
    {kProcRoot, "stat", SystemStat},
    {kProcRoot, "uptime", Uptime},
    {kProcRoot, "version", Version},
    {kProcSysKernel, "hostname", HostName},
    {kProcSysKernel, "osrelease", SystemRelease},
    {kProcSysKernel, "ostype", SystemType},
    {kProcSysKernel, "pid_max", MaxPid},
    {kProcSysKernelRandom, "entropy_avail", Entropy},
    {kProcSysKernelRandom, "uuid", Uuid},
};

constexpr ProcessFile kProcessFiles[] = {
    {"cmdline", CommandLine},  {"comm", Command}, {"environ", Environment},
    {"limits", Limits},        {"maps", Maps},    {"mountinfo", ProcessMountInfo},
    {"mounts", ProcessMounts}, {"stat", Stat},    {"statm", MemoryPages},
    {"status", Status},
};

}  // namespace

void TextWriter::Add(const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  const int size = vsnprintf(text_, left_, format, arguments);
  va_end(arguments);
  if (size < 0 || static_cast<uint32_t>(size) >= left_) return;
  text_ += size;
  left_ -= static_cast<uint32_t>(size);
}

void TextWriter::AddBytes(const char* bytes, uint32_t count) {
  count = std::min(count, left_);
  memcpy(text_, bytes, count);
  text_ += count;
  left_ -= count;
}

std::span<const SystemFile> SystemFiles() {
  return kSystemFiles;
}
std::span<const ProcessFile> ProcessFiles() {
  return kProcessFiles;
}

}  // namespace cordon::kernel

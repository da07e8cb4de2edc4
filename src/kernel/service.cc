// The service process: guest process 1. Boots the kernel, then answers the keeper's requests, wakes
// streams and sends alarms.

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <new>

#include "arena/layout.h"
#include "arena/platform.h"
#include "arena/spin.h"
#include "kernel/boot.h"
#include "kernel/code_window.h"
#include "kernel/entry.h"
#include "kernel/epoll.h"
#include "kernel/exec.h"
#include "kernel/file_call.h"
#include "kernel/guest_memory.h"
#include "kernel/live_fork.h"
#include "kernel/open_file.h"
#include "kernel/proc_fs.h"
#include "kernel/process.h"
#include "kernel/service.h"
#include "kernel/socket.h"
#include "kernel/syscall.h"
#include "kernel/terminal.h"
#include "kernel/tool_policy.h"
#include "kernel/tree_requests.h"
#include "vfs/image.h"
#include "vfs/memory_fs.h"

namespace cordon::kernel {
namespace {

// Of all that one request asks of file servers outside. The keeper waits meanwhile, and ends a
// sandbox that does not answer for much longer.
constexpr uint64_t kFilePatienceNs = 3'000'000'000;
// After a request of a kind that comes by the thousand: going to sleep and being woken takes longer
// than what most of them ask for.
constexpr uint64_t kSpinNs = 50'000;

[[noreturn]] void FailBoot(control::Control& control) {
  control.failed.store(control::kFailBoot);
  control.keeper_bell.fetch_add(1);
  platform::WakeWord(&control.keeper_bell, control::kKeeperThreads);
  platform::ExitProcess(1);
}

void Boot(control::Control& control) {
  Arena* objects = Arena::Create(reinterpret_cast<void*>(layout::kObjects), control.objects_bytes);
  Arena* blocks = Arena::Create(reinterpret_cast<void*>(layout::kBlocks), control.blocks_bytes);
  if (objects == nullptr || blocks == nullptr) FailBoot(control);
  auto* kernel = objects->New<Kernel>();
  if (kernel == nullptr) FailBoot(control);
  SetKernel(kernel);
  vfs::SetCopyFunction(cordon_copy);
  vfs::SetChangeWord(&control.file_changes);
  kernel->arena = objects;
  kernel->control = &control;
  kernel->boot_ns = platform::ClockNs(1);
  memcpy(kernel->hostname, "cordon", 7);
  static vfs::Image image;
  if (!image.Open({reinterpret_cast<const std::byte*>(layout::kUserland), control.userland_bytes},
                  reinterpret_cast<const std::byte*>(layout::kUserlandCode),
                  reinterpret_cast<std::byte*>(layout::kUserlandFrozen))) {
    FailBoot(control);
  }
  kernel->files = vfs::MemoryFs::Create(
      objects, blocks, &image,
      {control.limits.max_files, control.limits.file_bytes, &control.limits_met});
  Process* service = CreateServiceProcess();
  if (kernel->files == nullptr || service == nullptr || !CreateKnownObjects() || !CreateSockets() ||
      !CreateWatches()) {
    FailBoot(control);
  }
  service->start_ns = kernel->boot_ns;
  service->root = service->directory = kernel->files->Root();
  kernel->files->Reference(service->directory.id);
  PrepareCalls();
  CreateStreams();
  MountProc();
  CreateTerminals();
  CreateRequestChannels();
  CreateKnownPrograms();
  control.booted.store(1);
  control.keeper_bell.fetch_add(1);
  platform::WakeWord(&control.keeper_bell, control::kKeeperThreads);
}

// Tries the directories of PATH as a shell does.
int32_t ExecuteByName(std::string_view name, StartStrings* strings) {
  if (name.find('/') != std::string_view::npos) return Execute(name, strings);
  int32_t error = -ENOENT;
  for (const std::string_view directory : {"/usr/local/bin/", "/usr/bin/", "/bin/"}) {
    char path[512];
    if (directory.size() + name.size() > sizeof path) return -ENAMETOOLONG;
    memcpy(path, directory.data(), directory.size());
    memcpy(path + directory.size(), name.data(), name.size());
    const int32_t result = Execute({path, directory.size() + name.size()}, strings);
    if (result != -ENOENT) error = result;
    if (result != -ENOENT && result != -EACCES) break;
  }
  return error;
}

// The command's terminal becomes its descriptors 0, 1 and 2.
bool OpenJobTerminal(uint32_t job, const WindowSize& size) {
  control::Ring* rings = TheKernel().control->rings + uint64_t{job} * control::kRingsPerJob;
  Terminal* terminal = NewTerminal();
  if (terminal == nullptr) return false;
  terminal->keeper_input = &rings[0];
  terminal->keeper_output = &rings[1];
  terminal->size = size;
  rings[0].reader_wants.store(1);
  if (TakeControl(*terminal) != 0) return false;
  OpenFile* file = OpenTerminal(terminal, O_RDWR);
  if (file == nullptr || Install(file, 0, false) < 0) return false;
  for (uint32_t i = 1; i < 3; ++i) {
    Retain(file);
    if (Install(file, i, false) < 0) return false;
  }
  return true;
}

bool OpenJobStreams(uint32_t job) {
  for (uint32_t i = 0; i < control::kStreamsPerJob; ++i) {
    OpenFile* file = OpenStream(job * control::kRingsPerJob + i, i == 0 ? O_RDONLY : O_WRONLY);
    if (file == nullptr || Install(file, i, false) < 0) return false;
  }
  return true;
}

WindowSize UnpackSize(uint32_t packed) {
  return {static_cast<uint16_t>(packed >> 16), static_cast<uint16_t>(packed), 0, 0};
}

// As chdir().
int32_t EnterDirectory(Process& process, std::string_view path) {
  vfs::Node found;
  int32_t error = vfs::Walk(TheKernel().mounts, process.who, process.root, process.directory, path,
                            vfs::kFollow, &found);
  if (error != 0) return error;
  vfs::Stat stat;
  error = found.fs->GetStat(found.id, &stat);
  if (error == 0 && !S_ISDIR(stat.mode)) error = -ENOTDIR;
  if (error == 0) error = found.fs->Access(process.who, found.id, 1);
  if (error == 0) std::swap(process.directory, found);
  found.fs->Release(found.id);
  return error;
}

[[noreturn]] void RefuseDirectory(std::string_view directory, int32_t error) {
  const char* reason = error == -ENOENT    ? "no such directory"
                       : error == -ENOTDIR ? "not a directory"
                                           : "cannot be entered";
  char shown[500] = {};
  memcpy(shown, directory.data(), std::min(directory.size(), sizeof shown - 1));
  char message[600];
  snprintf(message, sizeof message, "cordon: %s: %s\n", shown, reason);
  WriteMessage(message);
  ExitCurrent(125 << 8);
}

// In the new process. Ends it when the program cannot be started.
[[noreturn]] void StartJob(uint32_t job, const WindowSize* window, bool anywhere,
                           std::string_view directory, uint32_t argc, uint32_t envc, const char* at,
                           const char* end) {
  Process& process = Current();
  process.job = static_cast<int32_t>(job);
  process.group = process.session = process.pid;
  process.who = {};
  process.who.uid = kUserId;
  process.who.gid = kUserId;
  process.umask = 022;
  const bool terminal = window != nullptr;
  TheKernel().control->jobs[job].uses_terminal.store(terminal ? 1 : 0);
  if (!(terminal ? OpenJobTerminal(job, *window) : OpenJobStreams(job))) {
    ExitCurrent(125 << 8);
  }
  const int32_t entered = EnterDirectory(process, directory);
  if (entered != 0 && !anywhere) RefuseDirectory(directory, entered);
  StartStrings* strings = NextStartStrings();
  strings->argument_count = argc;
  strings->variable_count = envc;
  strings->size = std::min(static_cast<uint32_t>(end - at), StartStrings::kCapacity);
  memcpy(strings->text, at, strings->size);
  char name_text[4096] = {};
  memcpy(name_text, strings->text, std::min<size_t>(strlen(strings->text), sizeof name_text - 1));
  const std::string_view name = name_text;
  const int32_t error = ExecuteByName(name, strings);
  char message[600];
  const char* reason = error == -ENOENT   ? "not found"
                       : error == -ENOMEM ? "not enough memory"
                                          : "cannot be executed";
  snprintf(message, sizeof message, "cordon: %.500s: %s\n", name_text, reason);
  WriteMessage(message);
  ExitCurrent((error == -ENOENT ? 127u : 126u) << 8);
}

int32_t Spawn(control::Mailbox& mailbox, uint32_t payload_bytes) {
  const uint32_t job = mailbox.arg[0].load();
  const uint32_t argc = mailbox.arg[2].load();
  const uint32_t envc = mailbox.arg[3].load();
  if (job >= control::kMaxJobs || argc == 0) return -EINVAL;
  // The next request may be in the mailbox before the child has read this one: it gets a copy.
  static char payload[control::kMailboxBytes];
  memcpy(payload, mailbox.payload, payload_bytes);
  const uint32_t flags = mailbox.arg[1].load();
  const bool has_terminal = (flags & control::kSpawnTerminal) != 0;
  const bool anywhere = (flags & control::kSpawnAnywhere) != 0;
  const WindowSize window = UnpackSize(mailbox.arg[4].load());
  const char* at = payload;
  const char* end = at + payload_bytes;
  const std::string_view directory = NextString(at, end);
  const uint32_t run = mailbox.arg[5].load();
  if (run != 0) ResetStreams(job);
  TheKernel().control->jobs[job].state.store(control::Job::kRunning);
  // Inherited: the next request may give a session's shell another one before it has run.
  Process& service = Current();
  service.run = run;
  {
    const MutexLock lock(TheKernel().table_lock, LockRank::kProcessTable);
    service.account = AccountOf(run);
  }
  const int32_t pid = Fork();
  if (pid == 0) {
    StartJob(job, has_terminal ? &window : nullptr, anywhere, directory, argc, envc, at, end);
  }
  service.run = 0;
  service.account = nullptr;
  if (pid > 0) {
    // That request looks for it by its job.
    const MutexLock lock(TheKernel().table_lock, LockRank::kProcessTable);
    Process* started = FindProcess(static_cast<uint32_t>(pid));
    if (started != nullptr) started->job = static_cast<int32_t>(job);
  }
  // The parent of a command is the service, which waits for nobody: the end goes to the job.
  return pid;
}

int32_t SignalJob(uint32_t job, uint32_t number, uint32_t target) {
  Kernel& kernel = TheKernel();
  if (number == 0 || number > kSignals) return -EINVAL;
  const MutexLock lock(kernel.table_lock, LockRank::kProcessTable);
  uint32_t group = 0;
  const bool whole_group = target == static_cast<uint32_t>(control::SignalTarget::kForegroundGroup);
  for (uint32_t i = 0; i < kernel.slot_end; ++i) {
    const Process* process = kernel.processes[i];
    if (process == nullptr || process->job != static_cast<int32_t>(job) ||
        process->state.load() == ProcessState::kFree)
      continue;
    group = whole_group && process->terminal != nullptr ? process->terminal->foreground.load()
                                                        : process->group;
  }
  if (group == 0) return -ESRCH;
  for (uint32_t i = 0; i < kernel.slot_end; ++i) {
    Process* process = kernel.processes[i];
    if (process == nullptr || process->group != group) continue;
    if (!whole_group && process->job != static_cast<int32_t>(job)) continue;
    PostLocked(*process, {static_cast<int32_t>(number), SI_USER, 0, 0, 0});
  }
  return 0;
}

int32_t ResizeJob(uint32_t job, const WindowSize& size) {
  Kernel& kernel = TheKernel();
  Terminal* terminal = nullptr;
  {
    const MutexLock lock(kernel.table_lock, LockRank::kProcessTable);
    for (uint32_t i = 0; i < kernel.slot_end; ++i) {
      const Process* process = kernel.processes[i];
      if (process != nullptr && process->job == static_cast<int32_t>(job))
        terminal = process->terminal;
    }
    if (terminal == nullptr) return -ESRCH;
    Retain(terminal);
  }
  Resize(*terminal, size);
  Release(terminal);
  return 0;
}

int32_t ReportUsage(control::Mailbox& mailbox) {
  const Kernel& kernel = TheKernel();
  vfs::FileSystemStat files = {};
  (void)kernel.files->StatFileSystem(&files);
  const control::Usage usage = {kernel.started,
                                kernel.process_count,
                                kernel.peak,
                                kernel.committed_pages.load() * layout::kPageBytes,
                                kernel.committed_peak.load() * layout::kPageBytes,
                                files.total_bytes - files.free_bytes,
                                files.total_files - files.free_files,
                                kernel.control->limits_met.load()};
  memcpy(mailbox.payload, &usage, sizeof usage);
  mailbox.payload_bytes.store(sizeof usage);
  return 0;
}

int32_t KillAll() {
  Kernel& kernel = TheKernel();
  const MutexLock lock(kernel.table_lock, LockRank::kProcessTable);
  for (uint32_t i = 0; i < kernel.slot_end; ++i) {
    if (kernel.processes[i] != nullptr)
      PostLocked(*kernel.processes[i], {SIGKILL, SI_KERNEL, 0, 0, 0});
  }
  return 0;
}

int32_t Check(control::Mailbox& mailbox) {
  auto* text = reinterpret_cast<char*>(mailbox.payload);
  const int violations = CheckKernel(text, control::kMailboxBytes);
  mailbox.payload_bytes.store(static_cast<uint32_t>(strnlen(text, control::kMailboxBytes)));
  return violations;
}

int32_t Answer(control::Mailbox& mailbox) {
  // An answer has as many as whoever gives it says.
  const uint32_t payload_bytes =
      std::min(mailbox.payload_bytes.exchange(0), control::kMailboxBytes);
  switch (static_cast<control::Request>(mailbox.request.load())) {
    case control::Request::kSpawn:
      return Spawn(mailbox, payload_bytes);
    case control::Request::kSignalJob:
      return SignalJob(mailbox.arg[0].load(), mailbox.arg[1].load(), mailbox.arg[2].load());
    case control::Request::kResize:
      return ResizeJob(mailbox.arg[0].load(), UnpackSize(mailbox.arg[1].load()));
    case control::Request::kUsage:
      return ReportUsage(mailbox);
    case control::Request::kKillAll:
      return KillAll();
    case control::Request::kCheck:
      return Check(mailbox);
    case control::Request::kAllowTools:
      return AllowTools(mailbox, payload_bytes);
    case control::Request::kBeginRun:
    case control::Request::kFeed:
    case control::Request::kSignalRun:
    case control::Request::kRunUsage:
      return AnswerAboutRuns(mailbox, payload_bytes);
    case control::Request::kMount:
    case control::Request::kUnmount:
      return AnswerAboutMounts(mailbox, payload_bytes);
    case control::Request::kPark:
      return ParkEverybody(mailbox);
    case control::Request::kReportDeath:
      return BuryDead(mailbox.arg[0].load(), mailbox.arg[1].load());
    case control::Request::kTreeList:
    case control::Request::kTreeRead:
    case control::Request::kTreeMake:
    case control::Request::kTreeWrite:
    case control::Request::kTreeAttributes:
    case control::Request::kTreeLink:
    case control::Request::kTreeRemove:
    case control::Request::kTreeHold:
    case control::Request::kTreeTakeOver:
      return AnswerAboutTrees(mailbox, payload_bytes);
    default:
      return AnswerAboutFiles(mailbox, payload_bytes);
  }
}

// Sends alarms that are due; the time of the next one.
uint64_t SendAlarms() {
  Kernel& kernel = TheKernel();
  const uint64_t now = platform::ClockNs(1);
  uint64_t next = platform::kNever;
  const MutexLock lock(kernel.table_lock, LockRank::kProcessTable);
  for (uint32_t i = 0; i < kernel.slot_end; ++i) {
    Process* process = kernel.processes[i];
    if (process == nullptr) continue;
    next = std::min(next, SendProcessorAlarms(*process, now));
    if (process->alarm_ns != 0 && process->alarm_ns <= now) {
      process->alarm_ns = process->alarm_interval_ns == 0 ? 0 : now + process->alarm_interval_ns;
      PostLocked(*process, {SIGALRM, SI_KERNEL, 0, 0, 0});
    }
    if (process->alarm_ns != 0) next = std::min(next, process->alarm_ns);
  }
  return next;
}

// On a stack by which the kernel knows its threads, as those that are cloned from it.
[[noreturn]] void Serve() {
  auto& control = *reinterpret_cast<control::Control*>(layout::kControl);
  SetCurrent(&Current());
  control::Mailbox& mailbox = control.mailbox;
  for (;;) {
    const uint32_t bell = control.service_bell.load();
    OwnSlot().inside.store(1);
    bool is_one_of_many = false;
    if (mailbox.state.load() == control::Mailbox::kRequested) {
      is_one_of_many = control::MakesTrees(control::Request{mailbox.request.load()});
      FileCall::LimitWaiting(kFilePatienceNs);
      mailbox.result.store(Answer(mailbox));
      mailbox.state.store(control::Mailbox::kAnswered);
      control.keeper_bell.fetch_add(1);
      platform::WakeWord(&control.keeper_bell, control::kKeeperThreads);
    }
    if (IsParking()) ParkService();
    WakeStreams();
    ServeTerminals();
    const uint64_t next = SendAlarms();
    OwnSlot().inside.store(0);
    if (is_one_of_many && SpinUntilChanged(control.service_bell, bell, kSpinNs)) continue;
    platform::WaitOnWord(&control.service_bell, bell, next);
  }
}

}  // namespace

void RunService() {
  Boot(*reinterpret_cast<control::Control*>(layout::kControl));
  cordon_run_on(BaseStackTop(), Serve);
}

}  // namespace cordon::kernel

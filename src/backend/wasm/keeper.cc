#include "backend/wasm/keeper.h"

#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <thread>

#include "backend/wasm/copy.h"
#include "backend/wasm/descriptors.h"
#include "backend/wasm/mailbox.h"
#include "backend/wasm/streams.h"
#include "base/owned_fd.h"
#include "kernel/control.h"
#include "vfs/image.h"

namespace cordon::backend {
namespace {

using control::Control;
using Clock = std::chrono::steady_clock;
constexpr uint32_t kJob = 0;
constexpr auto kBootTime = std::chrono::seconds(20);

// Signals that end or interrupt the client, handed on to the command. Set by the handler, read by
// the loop.
volatile sig_atomic_t forwarded_signal = 0;
void OnSignal(int number) {
  if (number != SIGCHLD) forwarded_signal = number;
}

uint64_t ObjectsBytes(const SandboxLimits& limits) {
  // An inode, its name and its place in a directory, twice over; pipes and processes; then some.
  return (uint64_t{64} << 20) + limits.max_files * 1024 + limits.max_processes * 65536;
}

// Memory of a fixed size: sparse, and nobody can change its size any more.
Result<OwnedFd> SealedMemory(const char* name, uint64_t bytes) {
  OwnedFd fd(memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!fd.valid()) return SystemError("memfd_create()");
  if (ftruncate(fd.get(), static_cast<off_t>(bytes)) != 0) return SystemError("ftruncate(memfd)");
  if (fcntl(fd.get(), F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK) != 0)
    return SystemError("fcntl(F_ADD_SEALS)");
  return fd;
}

class Keeper {
 public:
  explicit Keeper(const RunRequest& request) : request_(request) {}
  Keeper(const Keeper&) = delete;
  Keeper& operator=(const Keeper&) = delete;
  // Ends whatever was started; may be called more than once.
  void End() { EndEverything(); }

  Result<RunReport> Run() {
    const auto start = Clock::now();
    // The wall, in the order in which it is built. Each step fails closed.
    CORDON_TRY(OpenUserland());
    CORDON_TRY(MakeMemory());
    CORDON_TRY(StartFamily());
    CORDON_TRY(CatchSignals());
    StartPumps();
    CORDON_TRY(StartTemplate());
    CORDON_TRY(AwaitBoot());
    CORDON_TRY(CopyIn(*mailbox_, request_.copy_in));
    CORDON_TRY(mailbox_->Spawn(kJob, request_.directory, request_.arguments, request_.environment));
    CORDON_TRY(AwaitEnd(start));
    CollectUsage();
    FinishOutput();
    CORDON_TRY(CopyOut(*mailbox_, request_.copy_out));
    report_.wall_us = static_cast<uint64_t>(
        std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - start).count());
    report_.limits_met |= control_->limits_met.load();
    return report_;
  }

 private:
  Status OpenUserland() {
    const std::string path = request_.programs + "/userland.img";
    userland_.reset(open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!userland_.valid()) return SystemError("open(" + path + ")");
    if (pread(userland_.get(), &image_, sizeof image_, 0) != static_cast<ssize_t>(sizeof image_) ||
        image_.magic != vfs::kImageMagic || image_.version != vfs::kImageVersion) {
      return Fail(ErrorCode::kCorrupt, "not a userland image of this version", path);
    }
    const std::string program = request_.programs + "/cordon-template";
    template_.reset(open(program.c_str(), O_PATH | O_CLOEXEC));
    if (!template_.valid()) return SystemError("open(" + program + ")");
    return {};
  }

  Status MakeMemory() {
    auto control_memory = SealedMemory("cordon-control", sizeof(Control));
    auto objects = SealedMemory("cordon-objects", ObjectsBytes(request_.limits));
    // Twice the quota: a growing file has its old and its new chunk for a moment, and sizes are
    // rounded up.
    auto blocks =
        SealedMemory("cordon-blocks", 2 * request_.limits.file_bytes + (uint64_t{16} << 20));
    for (const auto* memory : {&control_memory, &objects, &blocks}) {
      if (!*memory) return std::unexpected(memory->error());
    }
    control_fd_ = std::move(*control_memory);
    objects_fd_ = std::move(*objects);
    blocks_fd_ = std::move(*blocks);
    void* at =
        mmap(nullptr, sizeof(Control), PROT_READ | PROT_WRITE, MAP_SHARED, control_fd_.get(), 0);
    if (at == MAP_FAILED) return SystemError("mmap(control)");
    control_ = static_cast<Control*>(at);
    control_->magic = control::kMagic;
    control_->limits = {request_.limits.memory_bytes, request_.limits.max_processes,
                        request_.limits.max_files, request_.limits.file_bytes};
    control_->userland_bytes = image_.file_size;
    control_->userland_code_offset = image_.code_offset;
    control_->userland_code_bytes = image_.code_size;
    control_->objects_bytes = ObjectsBytes(request_.limits);
    control_->blocks_bytes = 2 * request_.limits.file_bytes + (uint64_t{16} << 20);
    mailbox_.emplace(*control_);
    return {};
  }

  // The family init: process 1 of the PID namespace. When it dies, everything behind the wall dies;
  // it dies with the keeper.
  Status StartFamily() {
    const bool root = geteuid() == 0;
    int pidfd = -1;
    clone_args arguments = {};
    arguments.flags = CLONE_NEWPID | CLONE_PIDFD | (root ? 0 : CLONE_NEWUSER);
    arguments.pidfd = reinterpret_cast<uint64_t>(&pidfd);
    arguments.exit_signal = SIGCHLD;
    const auto pid = static_cast<pid_t>(syscall(SYS_clone3, &arguments, sizeof arguments));
    if (pid < 0) return SystemError("clone3(CLONE_NEWPID): this machine allows no PID namespace");
    if (pid == 0) RunInit();
    init_ = pid;
    init_fd_.reset(pidfd);
    if (!root && setns(pidfd, CLONE_NEWUSER) != 0) return SystemError("setns(CLONE_NEWUSER)");
    return {};
  }

  // Wakes the threads that the kernel asks for, by numbers that mean something only in this
  // namespace. Never returns.
  [[noreturn]] void RunInit() {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != 0)
      _exit(1);  // the keeper was gone before: from in here a living one is process 0
    control_ = static_cast<Control*>(
        mmap(nullptr, sizeof(Control), PROT_READ | PROT_WRITE, MAP_SHARED, control_fd_.get(), 0));
    syscall(SYS_close_range, 0u, ~0u, 0);
    if (control_ == MAP_FAILED) _exit(1);
    for (;;) {
      const uint32_t bell = control_->kicker_bell.load();
      for (control::Slot& slot : control_->slots) {
        if (slot.kick.exchange(0) == 0) continue;
        syscall(SYS_tgkill, slot.host_pid.load(), slot.host_tid.load(), control::kKickSignal);
      }
      WaitShared(control_->kicker_bell, bell, -1);
    }
  }

  Status CatchSignals() {
    struct sigaction action = {};
    action.sa_handler = OnSignal;
    for (const int number : {SIGCHLD, SIGINT, SIGTERM, SIGHUP, SIGQUIT}) {
      if (sigaction(number, &action, nullptr) != 0) return SystemError("sigaction()");
    }
    (void)signal(SIGPIPE, SIG_IGN);
    return {};
  }

  // Before the PID namespace is entered: a thread cannot be made once children would be born
  // elsewhere.
  void StartPumps() {
    sigset_t all;
    sigset_t old;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    control::Ring* rings = &control_->rings[kJob * control::kRingsPerJob];
    std::thread([this, rings] { PumpIn(0, *control_, rings[0], in_); }).detach();
    out_thread_ = std::thread([this, rings] {
      PumpOut(1, *control_, rings[1], request_.limits.output_bytes, out_);
      RingKeeper();
    });
    error_thread_ = std::thread([this, rings] {
      PumpOut(2, *control_, rings[2], request_.limits.output_bytes, error_);
      RingKeeper();
    });
    pthread_sigmask(SIG_SETMASK, &old, nullptr);
  }

  void RingKeeper() {
    control_->keeper_bell.fetch_add(1);
    WakeShared(control_->keeper_bell);
  }

  Status StartTemplate() {
    if (setns(init_fd_.get(), CLONE_NEWPID) != 0) return SystemError("setns(CLONE_NEWPID)");
    const pid_t pid = fork();
    if (pid < 0) return SystemError("fork()");
    if (pid == 0) BecomeTemplate();
    template_pid_ = pid;
    return {};
  }

  [[noreturn]] void BecomeTemplate() {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    setsid();
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, nullptr);
    for (const int number : {SIGCHLD, SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE})
      (void)signal(number, SIG_DFL);
    // Where they may be had. The wall does not stand on them: no call that would need them passes
    // the filter.
    (void)unshare(CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWNS);
    const int from[] = {control_fd_.get(), objects_fd_.get(), blocks_fd_.get(), userland_.get(),
                        template_.get()};
    constexpr int kFirst = 100;
    for (int i = 0; i < 5; ++i) {
      if (dup3(from[i], kFirst + i, O_CLOEXEC) < 0) _exit(kTemplateFailed);
    }
    for (int i = 0; i < 4; ++i) {
      if (dup2(kFirst + i, kControlFd + i) < 0) _exit(kTemplateFailed);
    }
    const int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null < 0 || dup2(null, 0) < 0 || dup2(null, 1) < 0) _exit(kTemplateFailed);
    char* const empty[] = {nullptr};
    char name[] = "cordon-template";
    char* const arguments[] = {name, nullptr};
    syscall(SYS_execveat, kFirst + 4, "", arguments, empty, AT_EMPTY_PATH);
    _exit(kTemplateFailed);
  }

  Status AwaitBoot() {
    const auto deadline = Clock::now() + kBootTime;
    while (control_->booted.load() == 0) {
      const uint32_t bell = control_->keeper_bell.load();
      if (control_->booted.load() != 0) break;
      CORDON_TRY(Reap());
      if (Clock::now() > deadline)
        return Fail(ErrorCode::kInternal, "the sandbox did not start within 20 s");
      WaitShared(control_->keeper_bell, bell, 100'000'000);
    }
    return {};
  }

  // Collects host processes that ended. One that did not end by itself leaves the kernel's data in
  // doubt.
  Status Reap() {
    rusage usage = {};
    int status = 0;
    pid_t pid = 0;
    while ((pid = wait4(-1, &status, WNOHANG | __WALL, &usage)) > 0) {
      report_.cpu_us +=
          static_cast<uint64_t>(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1'000'000 +
          static_cast<uint64_t>(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
      if (pid == init_) {
        init_ = -1;
        return Fail(ErrorCode::kInternal, "sandbox ended: its init process died");
      }
      if (WIFEXITED(status) && WEXITSTATUS(status) == 0 && pid != template_pid_) continue;
      if (pid == template_pid_ && control_->booted.load() == 0)
        return Fail(ErrorCode::kInternal, "the wall could not be built");
      if (control_->failed.load() != control::kFailNone)
        return Fail(ErrorCode::kInternal, "sandbox ended: the kernel behind the wall gave up");
      if (WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS) {
        return Fail(ErrorCode::kInternal,
                    "sandbox ended: a process made a system call that the wall forbids");
      }
      return Fail(ErrorCode::kInternal,
                  "sandbox ended: a process behind the wall died without saying so, by signal " +
                      std::to_string(WIFSIGNALED(status) ? WTERMSIG(status) : 0));
    }
    return {};
  }

  Status AwaitEnd(Clock::time_point start) {
    const control::Job& job = control_->jobs[kJob];
    for (;;) {
      const uint32_t bell = control_->keeper_bell.load();
      if (job.state.load() == control::Job::kExited) break;
      CORDON_TRY(Reap());
      if (in_.damaged || out_.damaged || error_.damaged)
        return Fail(ErrorCode::kInternal, "sandbox ended: its control page is damaged");
      if (forwarded_signal != 0) {
        const int number = forwarded_signal;
        forwarded_signal = 0;
        CORDON_TRY(mailbox_->Signal(kJob, number));
      }
      int64_t wait_ns = 1'000'000'000;
      if (request_.limits.wall_time) {
        const auto left = start + *request_.limits.wall_time - Clock::now();
        if (left <= Clock::duration::zero()) {
          report_.timed_out = true;
          report_.limits_met |= control::kLimitWallTime;
          report_.exit_code = 124;
          (void)mailbox_->KillAll();
          return {};
        }
        wait_ns = std::min<int64_t>(
            wait_ns, std::chrono::duration_cast<std::chrono::nanoseconds>(left).count());
      }
      WaitShared(control_->keeper_bell, bell, wait_ns);
    }
    const int status = static_cast<int>(job.wait_status.load());
    report_.signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    report_.exit_code = report_.signal != 0 ? 128 + report_.signal : WEXITSTATUS(status);
    return {};
  }

  void CollectUsage() {
    const Result<control::Usage> usage = mailbox_->ReadUsage();
    if (!usage) return;
    report_.processes_started = usage->processes_started;
    report_.processes_peak = usage->processes_peak;
    report_.memory_peak_bytes = usage->memory_bytes_peak;
  }

  // What was printed until now is kept; what background processes would still print is not waited
  // for.
  void FinishOutput() {
    control::Ring* rings = &control_->rings[kJob * control::kRingsPerJob];
    for (PumpState* state : {&out_, &error_}) state->draining = true;
    for (int i = 1; i <= 2; ++i) {
      // A waiting pump looks at the flag when its word changes hands.
      WakeShared(rings[i].written);
    }
    JoinPumps();
    report_.input_bytes = in_.bytes;
    report_.output_bytes = out_.bytes;
    report_.error_bytes = error_.bytes;
    report_.truncated = out_.truncated || error_.truncated;
    if (report_.truncated) report_.limits_met |= control::kLimitOutput;
  }

  void JoinPumps() {
    for (std::thread* thread : {&out_thread_, &error_thread_}) {
      if (thread->joinable()) thread->join();
    }
  }

  void EndEverything() {
    if (init_ > 0) {
      (void)kill(init_, SIGKILL);
      // The namespace's init is gone only when all others are, and those are our children, too:
      // reap everybody.
      pid_t pid = 0;
      do {
        pid = waitpid(-1, nullptr, __WALL);
      } while (pid != init_ && (pid > 0 || errno == EINTR));
      init_ = -1;
    }
    if (control_ != nullptr) {
      out_.draining = error_.draining = true;
      for (int i = 1; i <= 2; ++i)
        WakeShared(control_->rings[kJob * control::kRingsPerJob + i].written);
      JoinPumps();
    }
  }

  const RunRequest& request_;
  RunReport report_;
  vfs::ImageHeader image_{};
  OwnedFd userland_, template_, control_fd_, objects_fd_, blocks_fd_, init_fd_;
  Control* control_ = nullptr;
  std::optional<MailboxClient> mailbox_;
  pid_t init_ = -1;
  pid_t template_pid_ = -1;
  PumpState in_, out_, error_;
  std::thread out_thread_, error_thread_;
};

}  // namespace

Result<RunReport> RunCommand(const RunRequest& request) {
  // Not freed: the thread that reads standard input may sleep in read(2) for as long as this
  // process lives.
  auto* keeper = new Keeper(request);
  Result<RunReport> report = keeper->Run();
  keeper->End();
  return report;
}

}  // namespace cordon::backend

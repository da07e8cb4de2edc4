#include "backend/wasm/keeper.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <sstream>
#include <utility>

#include "arena/layout.h"
#include "arena/platform.h"
#include "arena/spin.h"
#include "backend/wasm/process_table.h"
#include "base/waited_child.h"
#include "kernel/tree_requests.h"
#include "vfs/image.h"

namespace cordon::backend {
namespace {

using std::chrono::seconds;
using std::chrono::steady_clock;

// A sandbox that does not answer for so long is taken for broken, on a machine under any load.
constexpr seconds kAnswerTime{30};
// What most requests that make trees take: sleeping and being woken would take longer.
constexpr uint64_t kSpinNs = 30'000;
// Guests of different sandboxes are different users where the keeper is root, so that not even a
// hole in the filter lets them signal each other.
constexpr uint32_t kFirstGuestUid = 0x2c0d0000;
constexpr uint32_t kNobody = 65534;

Result<OwnedFd> OpenProgram(const std::string& path) {
  OwnedFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) return SystemError("open(" + path + ")");
  return fd;
}

// Whether `id` means something in the caller's user namespace: in a container, often few do.
bool IsMapped(uint32_t id) {
  FILE* file = fopen("/proc/self/uid_map", "re");
  if (file == nullptr) return false;
  unsigned inside = 0;
  unsigned outside = 0;
  unsigned count = 0;
  bool is_mapped = false;
  while (!is_mapped && fscanf(file, "%u %u %u", &inside, &outside, &count) == 3) {
    is_mapped = id >= inside && id - inside < count;
  }
  (void)fclose(file);
  return is_mapped;
}

// 0 where no other user can be had: the caller is none of root's, or is root of a user namespace
// with a single user, who has no more rights than that user.
uint32_t ChooseGuestUid() {
  if (geteuid() != 0) return 0;
  const uint32_t own = kFirstGuestUid + static_cast<uint32_t>(getpid() & 0xffff);
  if (IsMapped(own)) return own;
  return IsMapped(kNobody) ? kNobody : 0;
}

// Where it was, for who has the template's symbols.
std::string TextOfFault(const control::Control& page) {
  std::ostringstream text;
  text << std::hex << std::showbase << "a fault in the kernel at " << page.fault_instruction.load()
       << ", address " << page.fault_address.load();
  return text.str();
}

}  // namespace

std::string Keeper::TextOf(const control::Mailbox& mailbox) {
  const uint32_t size = std::min<uint32_t>(mailbox.payload_bytes.load(), 1000);
  std::string text;
  for (uint32_t i = 0; i < size; ++i) {
    const auto c = static_cast<char>(mailbox.payload[i]);
    // Hostile text goes to a terminal: printable characters only.
    text += c >= ' ' && c <= '~' ? c : '?';
  }
  return text;
}

Keeper::~Keeper() {
  Kill();
}

void Keeper::Kill() {
  if (link_) {
    link_->End();
    return;
  }
  family_.Kill();
  KillOwnChildren();
  if (kicker_.joinable()) {
    // Woken without a new number, it ends.
    while (!kicker_ended_.load()) {
      platform::WakeWord(&page().kicker_bell, 1);
      std::this_thread::yield();
    }
    kicker_.join();
  }
  service_ = -1;
}

Status Keeper::DescribeUserland(int userland_fd) {
  vfs::ImageHeader header = {};
  struct stat stat = {};
  if (fstat(userland_fd, &stat) != 0) return SystemError("fstat(userland.img)");
  const ssize_t count = pread(userland_fd, &header, sizeof header, 0);
  if (count != ssize_t{sizeof header} || header.magic != vfs::kImageMagic) {
    return Fail(ErrorCode::kCorrupt, "userland.img is no userland image");
  }
  if (header.version != vfs::kImageVersion) {
    return Fail(ErrorCode::kCorrupt, "userland.img was made by another version of Cordon");
  }
  const auto size = static_cast<uint64_t>(stat.st_size);
  if (header.file_size != size || header.code_offset > size ||
      header.code_size > size - header.code_offset ||
      header.code_offset % layout::kPageBytes != 0 || header.frozen_offset > size ||
      header.frozen_size > size - header.frozen_offset ||
      header.frozen_offset % layout::kPageBytes != 0) {
    return Fail(ErrorCode::kCorrupt, "userland.img is damaged");
  }
  page().userland_bytes = size;
  page().userland_code_offset = header.code_offset;
  page().userland_code_bytes = header.code_size;
  page().userland_frozen_offset = header.frozen_offset;
  page().userland_frozen_bytes = header.frozen_size;
  return {};
}

Result<std::unique_ptr<Keeper>> Keeper::Start(const SandboxOptions& options) {
  Result<OwnedFd> program = OpenProgram(options.template_path);
  if (!program) return std::unexpected(program.error());
  Result<OwnedFd> userland = OpenProgram(options.userland_path);
  if (!userland) return std::unexpected(userland.error());
  std::unique_ptr<Keeper> keeper(new Keeper);
  Result<MemoryFiles> files =
      MemoryFiles::Create(options.sizes, options.code.bytes, options.growing_code_bytes);
  if (!files) return std::unexpected(files.error());
  keeper->files_ = std::move(*files);
  CORDON_TRY(keeper->DescribeUserland(userland->get()));
  keeper->page().run_as_uid = ChooseGuestUid();
  keeper->page().can_fork = options.can_fork ? 1 : 0;
  keeper->page().serves_requests = options.serves_requests ? 1 : 0;
  if (options.can_fork) {
    Result<FamilyLink> link =
        FamilyLink::Start({keeper->files_, program->get(), userland->get(),
                           keeper->page().run_as_uid, options.namespaces, options.private_fds});
    if (!link) return std::unexpected(link.error());
    keeper->link_ = std::move(*link);
  } else {
    CORDON_TRY(keeper->StartProcesses(program->get(), userland->get(), options.namespaces));
  }
  CORDON_TRY(keeper->WaitUntilBooted());
  return keeper;
}

Status Keeper::StartProcesses(int program, int userland, Namespaces namespaces) {
  Result<Family> family = Family::Start(files_, page().run_as_uid, namespaces);
  if (!family) return std::unexpected(family.error());
  family_ = std::move(*family);
  const Result<pid_t> service = family_.StartTemplate(files_, program, userland);
  if (!service) return std::unexpected(service.error());
  service_ = *service;
  if (!isolation().pid_namespace) {
    kicker_ = std::thread([this] {
      SendKicks(page(), KickScope::kOwnChildren);
      kicker_ended_.store(true);
    });
  }
  return {};
}

Status Keeper::WaitUntilBooted() {
  const Deadline deadline = steady_clock::now() + kAnswerTime;
  for (;;) {
    const uint32_t bell = Bell();
    CORDON_TRY(Reap());
    if (page().booted.load() != 0) return {};
    if (steady_clock::now() >= deadline) return End("it did not start");
    // The template's death rings no bell by itself before a handler of SIGCHLD is installed.
    WaitForBell(bell, steady_clock::now() + std::chrono::milliseconds(20));
  }
}

uint32_t Keeper::Bell() const {
  return page().keeper_bell.load();
}

void Keeper::WaitForBell(uint32_t seen, Deadline deadline) const {
  // steady_clock is CLOCK_MONOTONIC.
  const auto ns =
      deadline == Deadline::max()
          ? platform::kNever
          : static_cast<uint64_t>(std::chrono::nanoseconds(deadline.time_since_epoch()).count());
  platform::WaitOnWord(&page().keeper_bell, seen, ns);
}

void Keeper::WakeUp(control::Control& page) {
  page.keeper_bell.fetch_add(1);
  platform::WakeWord(&page.keeper_bell, control::kKeeperThreads);
}

Status Keeper::End(const std::string& reason) {
  if (!end_reason_) {
    end_reason_ = Error{ErrorCode::kSystem, "sandbox ended: " + reason, {}, 0};
    Kill();
  }
  return std::unexpected(*end_reason_);
}

Status Keeper::CheckFailure() {
  switch (page().failed.load()) {
    case control::kFailNone:
      return {};
    case control::kFailBoot: {
      const std::string text = TextOf(page().mailbox);
      return End(text.empty() ? "it did not start" : text);
    }
    case control::kFailInvariant:
      return End("an invariant of the kernel was violated");
    case control::kFailOutOfArena:
      return End("the kernel had no memory left");
    default:
      return End(TextOfFault(page()));
  }
}

Status Keeper::HandleDeath(const Death& death) {
  const auto [inner, is_service, code, status] = death;
  if (is_service) {
    CORDON_TRY(CheckFailure());
    return End("its service process died" + (code == CLD_EXITED
                                                 ? " with status " + std::to_string(status)
                                                 : " by signal " + std::to_string(status)));
  }
  // Only a process that said goodbye ends with 0.
  if (code == CLD_EXITED && status == 0) return {};
  CORDON_TRY(CheckFailure());
  if (code != CLD_EXITED && status == SIGSYS) {
    return End("a process made a system call that the filter forbids");
  }
  bool is_outside = true;
  uint32_t found = control::kMaxSlots;
  for (uint32_t i = 0; i < control::kMaxSlots; ++i) {
    const control::Slot& slot = page().slots[i];
    if (inner == 0 || slot.host_pid.load() != inner) continue;
    // One that was just saying goodbye may still hold the lock of the process table.
    if (slot.state.load() != control::Slot::kLive) continue;
    if (slot.inside.load() != 0) is_outside = false;
    if (slot.is_thread.load() == 0) found = i;
  }
  if (!is_outside || found == control::kMaxSlots) return End("a process died inside the kernel");
  unreported_.push_back(
      {found, static_cast<uint32_t>(code == CLD_EXITED ? status << 8 : status & 0x7f)});
  return {};
}

Status Keeper::ReapDead() {
  if (end_reason_) return std::unexpected(*end_reason_);
  if (link_) return ReapFamily();
  for (;;) {
    siginfo_t info = {};
    // Left as a zombie until its number inside was looked up.
    if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_pid == 0) break;
    const Status status = info.si_pid == family_.init()
                              ? End("its init died")
                              : HandleDeath({ProcessIdInside(info.si_pid), info.si_pid == service_,
                                             info.si_code, info.si_status});
    if (!status) return status;
    waitpid(info.si_pid, nullptr, WNOHANG);
  }
  return CheckFailure();
}

Status Keeper::ReapFamily() {
  // The family process and keepers of forks, which are no part of the sandbox.
  WaitedChild::ReapOthers();
  for (;;) {
    const Result<std::optional<Death>> death = link_->NextDeath();
    if (!death) return End(death.error().ToString());
    if (!*death) return CheckFailure();
    CORDON_TRY(HandleDeath(**death));
  }
}

std::vector<pid_t> Keeper::ListProcesses() const {
  return link_ ? link_->ListProcesses() : ListChildren();
}

Status Keeper::Reap() {
  CORDON_TRY(ReapDead());
  ReportDeaths();
  return end_reason_ ? Status(std::unexpected(*end_reason_)) : Status();
}

void Keeper::ReportDeaths() {
  // Call reaps too: the list is taken first.
  for (const Unreported& death : std::exchange(unreported_, {})) {
    ServiceCall call;
    call.request = control::Request::kReportDeath;
    call.arguments = {death.slot, death.wait_status};
    if (!Call(call)) return;
  }
}

Result<ServiceAnswer> Keeper::Call(const ServiceCall& call) {
  if (end_reason_) return std::unexpected(*end_reason_);
  control::Mailbox& mailbox = page().mailbox;
  uint32_t bytes = 0;
  for (const std::span<const std::byte> part : {call.payload, call.more}) {
    if (part.size() > control::kMailboxBytes - bytes) {
      return Fail(ErrorCode::kInvalid, "a request of more than 256 KiB");
    }
    if (!part.empty()) memcpy(mailbox.payload + bytes, part.data(), part.size());
    bytes += static_cast<uint32_t>(part.size());
  }
  mailbox.payload_bytes.store(bytes);
  mailbox.request.store(static_cast<uint32_t>(call.request));
  for (size_t i = 0; i < call.arguments.size(); ++i) mailbox.arg[i].store(call.arguments[i]);
  mailbox.state.store(control::Mailbox::kRequested);
  page().service_bell.fetch_add(1);
  platform::WakeWord(&page().service_bell, 1);

  const Deadline deadline = steady_clock::now() + kAnswerTime;
  bool may_spin = control::MakesTrees(call.request);
  for (;;) {
    const uint32_t bell = Bell();
    if (mailbox.state.load() == control::Mailbox::kAnswered) break;
    // Once: the bell is a guest's, too.
    if (std::exchange(may_spin, false) && SpinUntilChanged(page().keeper_bell, bell, kSpinNs)) {
      continue;
    }
    if (const Status alive = ReapDead(); !alive) return std::unexpected(alive.error());
    if (steady_clock::now() >= deadline) {
      return std::unexpected(End("it does not answer").error());
    }
    WaitForBell(bell, std::min(deadline, steady_clock::now() + std::chrono::milliseconds(100)));
  }
  ServiceAnswer answer;
  answer.result = mailbox.result.load();
  const uint32_t size = std::min(mailbox.payload_bytes.load(), control::kMailboxBytes);
  const auto* payload = reinterpret_cast<const std::byte*>(mailbox.payload);
  answer.payload.assign(payload, payload + size);
  mailbox.state.store(control::Mailbox::kIdle);
  return answer;
}

}  // namespace cordon::backend

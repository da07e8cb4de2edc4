// The keeper's part of a live fork and of a snapshot (docs/kernel.md): everybody stands still, the
// generation of blocks is sealed, the objects are copied, and the processes clone themselves.

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstdio>
#include <optional>
#include <thread>
#include <utility>

#include "arena/platform.h"
#include "backend/wasm/keeper.h"

namespace cordon::backend {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr std::chrono::seconds kCloneTime{10};
// A process that has just ended may not have given its memory back yet.
constexpr milliseconds kSealTime{1000};
constexpr std::chrono::microseconds kSealPeriod{100};

OwnedFd Duplicate(const OwnedFd& fd) {
  return OwnedFd(fcntl(fd.get(), F_DUPFD_CLOEXEC, 0));
}

void Say(control::Control& page, control::ForkStep step) {
  page.fork.step.store(control::AfterForkWord(page.fork.step.load(), step));
  platform::WakeWord(&page.fork.step, INT_MAX);
}

uint64_t BytesOf(const OwnedFd& fd) {
  struct stat stat = {};
  return fstat(fd.get(), &stat) == 0 ? static_cast<uint64_t>(stat.st_blocks) * 512 : 0;
}

// An answer to a notified call that is a descriptor (SECCOMP_ADDFD_FLAG_SEND) came with Linux 5.14.
// Found out too late, it would cost the sandbox its files.
bool HostAnswersWithDescriptors() {
  utsname host = {};
  unsigned major = 0;
  unsigned minor = 0;
  if (uname(&host) != 0 || sscanf(host.release, "%u.%u", &major, &minor) != 2) return false;
  return major > 5 || (major == 5 && minor >= 14);
}

// The sockets by which somebody will keep a copy.
struct CopyLink {
  OwnedFd keeper, family;
};
Result<CopyLink> NewCopyLink() {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) {
    return SystemError("socketpair");
  }
  return CopyLink{OwnedFd(ends[0]), OwnedFd(ends[1])};
}

// What copies are given of their own memory; `files` keeps it too.
void AddCopy(const MemoryFiles& files, uint32_t copies, ForkGift* gift) {
  gift->copies = copies;
  gift->parts[control::kPartCopyObjects] = Duplicate(files.objects);
  if (files.blocks.valid()) gift->parts[control::kPartCopyBlocks] = Duplicate(files.blocks);
  gift->parts[control::kPartCopyPage] = Duplicate(files.control);
  files.page().fork.step.store(control::kForkPark);
}

// Those who follow `page` clone themselves into the memory of the gift. Their objects arrive
// meanwhile, because no copy touches one before it may go on: so two processors have something to
// do. The group of the copies; without an error they are complete.
Result<pid_t> CloneWith(FamilyLink& link, const ForkGift& gift, control::Control& page,
                        const MemoryFiles& from, const MemoryFiles& to) {
  CORDON_TRY(link.Give(gift));
  Say(page, control::kForkClone);
  const Status copied = from.CopyObjects(to);
  Result<pid_t> group = link.AwaitCopies(steady_clock::now() + kCloneTime);
  if (!copied) group = std::unexpected(copied.error());
  if (!group) link.TakeBack();
  return group;
}

}  // namespace

Result<uint32_t> Keeper::ParkEverybody(Copied what) {
  ServiceCall call;
  call.request = control::Request::kPark;
  call.arguments[0] = what == Copied::kSession ? control::kForkSession : 0;
  const Result<ServiceAnswer> answer = Call(call);
  if (!answer) return std::unexpected(answer.error());
  if (answer->result > 0) return static_cast<uint32_t>(answer->result);
  const std::string reason = TextOf(page().mailbox);
  ForkGift back;
  back.parts[control::kPartOldBlocks] = Duplicate(files_.blocks);
  CORDON_TRY(link_->Give(back));
  Say(page(), control::kForkReturn);
  return Fail(answer->result == -EBUSY ? ErrorCode::kUnsupported : ErrorCode::kLimit,
              "the sandbox cannot be forked now: " + reason);
}

Status Keeper::SealBlocks() {
  const auto deadline = steady_clock::now() + kSealTime;
  constexpr int kForEver = F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL;
  while (fcntl(files_.blocks.get(), F_ADD_SEALS, kForEver) != 0) {
    if (errno != EBUSY || steady_clock::now() >= deadline) {
      return SystemError("fcntl(F_ADD_SEALS): a process keeps its files writable");
    }
    std::this_thread::sleep_for(kSealPeriod);
  }
  return {};
}

Status Keeper::CheckForkable() const {
  if (end_reason_) return std::unexpected(*end_reason_);
  if (!link_ || !isolation().pid_namespace) {
    return Fail(ErrorCode::kUnsupported, "a sandbox is forked only within a PID namespace");
  }
  if (!HostAnswersWithDescriptors()) {
    return Fail(ErrorCode::kUnsupported, "a sandbox is forked only on Linux 5.14 or newer");
  }
  // What was removed from sealed files is not given back, so there is an end to it.
  if (files_.sealed_bytes + BytesOf(files_.blocks) > files_.most_sealed_bytes) {
    return Fail(ErrorCode::kLimit,
                "the files of its forks and snapshots take more than its memory limit");
  }
  return {};
}

// Seals what everybody gave up. From then on the sandbox goes on with the next generation, which is
// in the gift, whatever happens.
Status Keeper::NextGeneration(ForkGift* gift) {
  gift->parts[control::kPartOldBlocks] = Duplicate(files_.blocks);
  if (const Status sealed = SealBlocks(); !sealed) {
    CORDON_TRY(link_->Give(*gift));
    Say(page(), control::kForkReturn);
    return sealed;
  }
  Result<OwnedFd> next = files_.NewBlocks();
  if (!next) return End("no memory for its files: " + next.error().ToString());
  files_.sealed_bytes += BytesOf(files_.blocks);
  gift->parts[control::kPartBlocks] = Duplicate(*next);
  files_.blocks = std::move(*next);
  return {};
}

// One copy of those that stand still and go on standing still. Takes the gift when it was given.
Result<SandboxCopy> Keeper::CloneParked(Copied what, uint32_t processes, ForkGift* gift) {
  const bool stored = what == Copied::kSession;
  Result<MemoryFiles> files =
      files_.NewCopy(stored ? MemoryFiles::Blocks::kNone : MemoryFiles::Blocks::kNew);
  if (!files) return std::unexpected(files.error());
  Result<CopyLink> link = NewCopyLink();
  if (!link) return std::unexpected(link.error());
  ForkGift given = std::exchange(*gift, {});
  AddCopy(*files, processes, &given);
  given.copy_link = std::move(link->family);
  given.copy_runs = !stored;
  page().fork.how.store(stored ? control::kForkSession | control::kForkNoBlocks : 0);
  const Result<pid_t> group = CloneWith(*link_, given, page(), files_, *files);
  if (!group) return std::unexpected(group.error());
  return SandboxCopy{std::move(*files), FamilyLink(*link_, std::move(link->keeper), *group),
                     processes};
}

Status Keeper::ForkMany(Copied what, uint32_t count, const TakeCopy& take) {
  CORDON_TRY(CheckForkable());
  const Result<uint32_t> processes = ParkEverybody(what);
  if (!processes) return std::unexpected(processes.error());
  ForkGift gift;
  CORDON_TRY(NextGeneration(&gift));
  Status done;
  for (uint32_t i = 0; i < count && done; ++i) {
    Result<SandboxCopy> copy = CloneParked(what, *processes, &gift);
    if (!copy) {
      done = std::unexpected(copy.error());
    } else if (!take(std::move(*copy))) {
      break;
    }
  }
  // Without a copy nobody has the next generation yet.
  if (gift.parts[control::kPartBlocks].valid()) CORDON_TRY(link_->Give(gift));
  Say(page(), control::kForkRun);
  return done;
}

Result<SandboxCopy> Keeper::Fork(Copied what) {
  std::optional<SandboxCopy> made;
  CORDON_TRY(ForkMany(what, 1, [&made](SandboxCopy copy) {
    made.emplace(std::move(copy));
    return true;
  }));
  return std::move(*made);
}

Result<SandboxCopy> Keeper::Revive(SandboxCopy& stored) {
  const Result<bool> has_lost = stored.link.HasLost();
  if (!has_lost) return std::unexpected(has_lost.error());
  if (*has_lost) return Fail(ErrorCode::kSystem, "a process of the snapshot has ended");
  Result<MemoryFiles> files = stored.files.NewCopy(MemoryFiles::Blocks::kNew);
  if (!files) return std::unexpected(files.error());
  Result<CopyLink> link = NewCopyLink();
  if (!link) return std::unexpected(link.error());
  ForkGift gift;
  AddCopy(*files, stored.processes, &gift);
  gift.copy_link = std::move(link->family);
  gift.copy_runs = true;
  control::Control& page = stored.files.page();
  page.fork.how.store(control::kForkSession | control::kForkIsFrozen);
  const Result<pid_t> group = CloneWith(stored.link, gift, page, stored.files, *files);
  Say(page, control::kForkPark);
  if (!group) return std::unexpected(group.error());
  return SandboxCopy{std::move(*files), FamilyLink(stored.link, std::move(link->keeper), *group),
                     stored.processes};
}

Status Keeper::Stop() {
  return link_ ? link_->Stop() : Fail(ErrorCode::kUnsupported, "a sandbox without a family");
}

Status Keeper::Continue() {
  return link_ ? link_->Continue() : Fail(ErrorCode::kUnsupported, "a sandbox without a family");
}

Status Keeper::Adopt(SandboxCopy copy, Origin origin, uint64_t lost_ns) {
  // Whoever sleeps on the old page would not hear the new one's bell.
  WakeUp(page());
  CORDON_TRY(files_.TakeOver(std::move(copy.files)));
  link_ = std::move(copy.link);
  unreported_.clear();
  page().fork.restored.store(origin == Origin::kStored ? 1 : 0);
  page().fork.lost_ns.store(lost_ns);
  Say(page(), control::kForkRun);
  return {};
}

}  // namespace cordon::backend

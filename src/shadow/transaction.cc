#include "shadow/transaction.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <map>

#include "base/random_digits.h"
#include "shadow/copy.h"
#include "shadow/quote.h"
#include "shadow/step.h"

namespace cordon::shadow {
namespace {

constexpr const char* kJournal = "journal";
constexpr const char* kNextBase = "base.next";
constexpr const char* kBase = "base";
constexpr size_t kFewSteps = 64;
constexpr size_t kStagingDigits = 16;

// Without it a name would be nothing for a moment; some file systems cannot.
Status CheckExchange(int staging) {
  for (const char* name : {"a", "b"}) {
    if (mkdirat(staging, name, 0700) != 0) return SystemError("mkdirat(staging)");
  }
  const long exchanged = syscall(SYS_renameat2, staging, "a", staging, "b", RENAME_EXCHANGE);
  const int error = errno;
  for (const char* name : {"a", "b"}) (void)unlinkat(staging, name, AT_REMOVEDIR);
  if (exchanged == 0) return {};
  return SystemError("the workspace's file system: renameat2(RENAME_EXCHANGE)", error);
}

Status SyncOpen(int fd, const char* what) {
  if (fsync(fd) != 0) return SystemError(std::string("fsync(") + what + ")");
  return {};
}

}  // namespace

Transaction::Transaction(const Shadow& shadow, const Sides& sides, std::vector<PlannedStep> steps,
                         Checkpoint checkpoint, OnPath on_path)
    : shadow_(shadow),
      sides_(sides),
      steps_(std::move(steps)),
      checkpoint_(std::move(checkpoint)),
      on_path_(std::move(on_path)) {}

Status Transaction::Run(const std::function<Result<std::string>()>& next_base) {
  Status done = Prepare();
  if (done) done = TakeSteps();
  if (done) done = Decide(next_base);
  staging_.reset();
  const Result<std::vector<std::string>> cleaned = CleanUp(shadow_, sides_.workspace, checkpoint_);
  if (done && cleaned) return {};
  if (done) return std::unexpected(cleaned.error());
  if (cleaned && cleaned->empty()) return done;
  Error error = done.error();
  if (!cleaned) {
    error.message += "; and taking it back failed, the next start tries again: ";
    error.message += cleaned.error().ToString();
  } else {
    for (const std::string& line : *cleaned) error.message += "; " + line;
  }
  return std::unexpected(std::move(error));
}

Status Transaction::WriteJournal(Phase phase) {
  journal_.phase = phase;
  journal_.steps.clear();
  for (const PlannedStep& planned : steps_) journal_.steps.push_back(planned.step);
  return shadow_.Write(kJournal, cordon::shadow::WriteJournal(journal_));
}

Status Transaction::Prepare() {
  journal_.staging = ".cordon-commit-" + shadow_.info().id + "-" + RandomDigits(kStagingDigits);
  Reached("before the journal");
  CORDON_TRY(WriteJournal(Phase::kStaging));
  Reached("after the journal");
  CORDON_TRY(MakeStaging());
  for (size_t i = 0; i < steps_.size(); ++i) {
    if (steps_[i].step.kind != StepKind::kAdd && steps_[i].step.kind != StepKind::kReplace)
      continue;
    CORDON_TRY(Stage(i));
    Reached("after staging");
    if (on_path_) on_path_("staged");
  }
  FillNumbers();
  CORDON_TRY(Sync());
  CORDON_TRY(WriteJournal(Phase::kApplying));
  Reached("after the second journal");
  return {};
}

// Of new directories whose modes are set in the end.
void Transaction::FillNumbers() {
  std::map<std::string, uint64_t> made;
  for (PlannedStep& planned : steps_) {
    Step& step = planned.step;
    if (step.new_inode != 0) made[step.path] = step.new_inode;
    if (step.kind == StepKind::kMode && step.old_inode == 0) step.old_inode = made[step.path];
  }
}

Status Transaction::MakeStaging() {
  const int workspace = sides_.workspace.get();
  if (mkdirat(workspace, journal_.staging.c_str(), 0700) != 0)
    return SystemError("mkdirat(" + journal_.staging + ")");
  Reached("after the staging directory");
  Result<OwnedFd> staging = sides_.workspace.OpenDirectory(journal_.staging);
  if (!staging) return std::unexpected(staging.error());
  const Result<Stat> stat = LookAtOpen(staging->get());
  if (!stat) return std::unexpected(stat.error());
  journal_.staging_inode = stat->identity.inode;
  staging_ = std::move(*staging);
  return CheckExchange(staging_.get());
}

Status Transaction::Stage(size_t index) {
  PlannedStep& planned = steps_[index];
  const Node& node = *planned.change->after;
  const std::string slot = SlotName(index);
  switch (node.type) {
    case NodeType::kDirectory:
      if (mkdirat(staging_.get(), slot.c_str(), 0700) != 0) return SystemError("mkdirat(staging)");
      break;
    case NodeType::kLink:
      if (symlinkat(node.target.c_str(), staging_.get(), slot.c_str()) != 0)
        return SystemError("symlinkat(staging)");
      break;
    case NodeType::kFile:
      CORDON_TRY(StageFile(index));
      break;
    case NodeType::kOther:
      return Fail(ErrorCode::kInternal, "a special file", planned.step.path);
  }
  const Result<std::optional<Stat>> made = LookAt(staging_.get(), slot);
  if (!made || !*made) return SystemError("statx(staging)", EIO);
  planned.step.new_inode = (*made)->identity.inode;
  if (node.type == NodeType::kFile) return {};
  if ((*made)->uid != planned.uid || (*made)->gid != planned.gid) {
    if (fchownat(staging_.get(), slot.c_str(), planned.uid, planned.gid, AT_SYMLINK_NOFOLLOW) != 0)
      return SystemError("fchownat(" + QuoteName(planned.step.path) + ")");
  }
  return node.type == NodeType::kLink ? SetTime(staging_.get(), slot, node.mtime_ns) : Status();
}

Status Transaction::StageFile(size_t index) {
  const PlannedStep& planned = steps_[index];
  const Change& change = *planned.change;
  const std::string name = QuoteName(change.path);
  const std::string slot = SlotName(index);
  // Two names of one file stay that.
  for (size_t i = 0; change.links > 1 && i < index; ++i) {
    const Change* other = steps_[i].change;
    if (other == nullptr || steps_[i].step.new_inode == 0 ||
        other->seen.inode != change.seen.inode || other->after->type != NodeType::kFile ||
        other->after->sha256 != change.after->sha256 || steps_[i].uid != planned.uid) {
      continue;
    }
    if (linkat(staging_.get(), SlotName(i).c_str(), staging_.get(), slot.c_str(), 0) != 0)
      return SystemError("linkat(" + name + ")");
    return {};
  }
  const Result<OwnedFd> from = sides_.files.OpenFile(change.path);
  if (!from) return std::unexpected(from.error());
  const OwnedFd to(openat(staging_.get(), slot.c_str(),
                          O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!to.valid()) return SystemError("openat(" + name + ", O_CREAT)");
  CORDON_TRY(CopyContents(from->get(), to.get(), name));
  // What was shown and approved is what is committed, whatever became of the shadow meanwhile.
  const Result<Sha256::Digest> digest = HashOpen(to.get());
  if (!digest) return std::unexpected(digest.error());
  if (!change.after->sha256 || *digest != *change.after->sha256)
    return Fail(ErrorCode::kInvalid, "changed in the shadow while it was committed", name);
  const Result<Stat> made = LookAtOpen(to.get());
  if (!made) return std::unexpected(made.error());
  if ((made->uid != planned.uid || made->gid != planned.gid) &&
      fchown(to.get(), planned.uid, planned.gid) != 0) {
    return SystemError("fchown(" + name + "), to whom it belongs");
  }
  // After the owner, and not masked by this process's umask.
  if (fchmod(to.get(), change.after->mode) != 0) return SystemError("fchmod(" + name + ")");
  CORDON_TRY(SetTime(staging_.get(), slot, change.after->mtime_ns));
  return steps_.size() <= kFewSteps ? SyncOpen(to.get(), "staging") : Status();
}

Status Transaction::Sync() const {
  // Of many files, all at once is faster.
  if (steps_.size() > kFewSteps) {
    if (syncfs(staging_.get()) != 0) return SystemError("syncfs(workspace)");
    return {};
  }
  return SyncOpen(staging_.get(), "staging");
}

Status Transaction::TakeSteps() {
  for (size_t i = 0; i < steps_.size(); ++i) {
    PlannedStep& planned = steps_[i];
    Reached("before a step");
    CORDON_TRY(TakeStep(sides_.workspace, staging_.get(), i, planned.step, planned.expected));
    Reached("after a step");
    if (on_path_) on_path_("committed");
  }
  if (steps_.size() > kFewSteps) return Sync();
  for (const PlannedStep& planned : steps_) {
    // One that the commit removed, or made unreadable, needs no more than its parent's.
    const Result<OwnedFd> folder = sides_.workspace.OpenDirectory(ParentOf(planned.step.path));
    if (folder) CORDON_TRY(SyncOpen(folder->get(), "workspace"));
  }
  return {};
}

Status Transaction::Decide(const std::function<Result<std::string>()>& next_base) {
  const Result<std::string> base = next_base();
  if (!base) return std::unexpected(base.error());
  CORDON_TRY(shadow_.Write(kNextBase, *base));
  Reached("after the next base");
  CORDON_TRY(WriteJournal(Phase::kApplied));
  Reached("after the last journal");
  return {};
}

namespace {

class Cleaner {
 public:
  Cleaner(const Shadow& shadow, const Tree& workspace, const Checkpoint& checkpoint)
      : shadow_(shadow), workspace_(workspace), checkpoint_(checkpoint) {}

  Result<std::vector<std::string>> Run() {
    if (!shadow_.Has(kJournal)) return std::vector<std::string>();
    const Result<std::string> bytes = shadow_.Read(kJournal);
    if (!bytes) return std::unexpected(bytes.error());
    Result<Journal> journal = ReadJournal(*bytes, shadow_.folder() + "/journal");
    if (!journal) return std::unexpected(journal.error());
    journal_ = std::move(*journal);
    if (const Status done = Finish(); !done) return std::unexpected(done.error());
    return std::move(lines_);
  }

 private:
  Status Finish() {
    CORDON_TRY(OpenStaging());
    if (journal_.phase == Phase::kApplied) {
      if (shadow_.Has(kNextBase)) CORDON_TRY(shadow_.Rename(kNextBase, kBase));
      Reached("after the base");
    } else {
      CORDON_TRY(shadow_.Remove(kNextBase));
    }
    if (journal_.phase == Phase::kApplying) CORDON_TRY(Undo());
    if (staging_.valid()) CORDON_TRY(RemoveStaging());
    Reached("before the journal goes");
    return shadow_.Remove(kJournal);
  }

  Status OpenStaging() {
    Result<OwnedFd> staging = workspace_.OpenDirectory(journal_.staging);
    const int error = staging ? 0 : staging.error().system_errno;
    if (!staging && error != ENOENT && error != ENOTDIR && error != ELOOP)
      return std::unexpected(staging.error());
    if (staging) {
      const Result<Stat> stat = LookAtOpen(staging->get());
      // Before the numbers were noted, its random name is the proof.
      const bool is_ours =
          stat && (journal_.staging_inode == 0 || journal_.staging_inode == stat->identity.inode);
      if (is_ours) staging_ = std::move(*staging);
    }
    if (!staging_.valid() && journal_.phase == Phase::kApplying) {
      lines_.push_back("a commit was not taken back: somebody removed " +
                       QuoteName(journal_.staging) + " from the workspace");
      journal_.phase = Phase::kStaging;
    }
    return {};
  }

  Status Undo() {
    for (size_t i = journal_.steps.size(); i-- > 0;) {
      CORDON_TRY(UndoStep(workspace_, staging_.get(), i, journal_.steps[i]));
      Reached("after taking back a step");
    }
    return {};
  }

  Status RemoveStaging() {
    for (size_t i = 0; i < journal_.steps.size(); ++i) {
      const Step& step = journal_.steps[i];
      if (journal_.phase == Phase::kStaging) {
        CORDON_TRY(RemoveUnfinished(SlotName(i)));
        continue;
      }
      const SlotHas has = journal_.phase == Phase::kApplied ? SlotHas::kOldNode : SlotHas::kNewNode;
      const Result<bool> cleared = ClearSlot(staging_.get(), i, step, has);
      if (!cleared) return std::unexpected(cleared.error());
      Reached("after clearing a slot");
      if (!*cleared) {
        lines_.push_back("kept " + QuoteName(journal_.staging + "/" + SlotName(i)) + ": " +
                         QuoteName(step.path) + " was changed by somebody meanwhile");
      }
    }
    for (const char* probe : {"a", "b"}) (void)unlinkat(staging_.get(), probe, AT_REMOVEDIR);
    if (unlinkat(workspace_.get(), journal_.staging.c_str(), AT_REMOVEDIR) != 0 &&
        errno != ENOENT && errno != ENOTEMPTY) {
      return SystemError("unlinkat(" + journal_.staging + ")");
    }
    return {};
  }

  // Nothing of the workspace is in there yet.
  Status RemoveUnfinished(const std::string& slot) {
    if (unlinkat(staging_.get(), slot.c_str(), 0) == 0 || errno == ENOENT) return {};
    if (unlinkat(staging_.get(), slot.c_str(), AT_REMOVEDIR) == 0) return {};
    return SystemError("unlinkat(" + slot + ")");
  }

  void Reached(const char* what) const {
    if (checkpoint_) checkpoint_(what);
  }

  const Shadow& shadow_;
  const Tree& workspace_;
  const Checkpoint& checkpoint_;
  Journal journal_;
  OwnedFd staging_;
  std::vector<std::string> lines_;
};

}  // namespace

Result<std::vector<std::string>> CleanUp(const Shadow& shadow, const Tree& workspace,
                                         const Checkpoint& checkpoint) {
  return Cleaner(shadow, workspace, checkpoint).Run();
}

}  // namespace cordon::shadow

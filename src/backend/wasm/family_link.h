#ifndef CORDON_BACKEND_WASM_FAMILY_LINK_H_
#define CORDON_BACKEND_WASM_FAMILY_LINK_H_

// A sandbox that can be forked has its processes under a family process, which is the host parent
// of all processes of the sandbox and of its forks and outlives their keepers. This is a keeper's
// end of it; family_process.h is the other.

#include <sys/types.h>

#include <array>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "backend/wasm/family.h"
#include "backend/wasm/memory_files.h"
#include "base/error.h"
#include "base/owned_fd.h"
#include "kernel/control.h"

namespace cordon::backend {

// A process that ended without having said goodbye.
struct Death {
  uint32_t pid_inside = 0;
  bool is_service = false;
  int code = 0;  // CLD_…
  int status = 0;
};

// What processes of a sandbox may ask for while it is forked; invalid: they may not.
struct ForkGift {
  std::array<OwnedFd, control::kForkParts> parts;
  // How many copies will be complete, and where whoever keeps them hears of their deaths; 0 where
  // only the sandbox itself is to go on.
  uint32_t copies = 0;
  OwnedFd copy_link;
  bool copy_runs = false;  // and needs somebody who sends its kicks
};

class FamilyLink {
 public:
  struct Options {
    const MemoryFiles& files;
    int template_fd;
    int userland_fd;
    uint32_t uid;
    Namespaces namespaces;
    const std::vector<int>& private_fds;  // of the caller, which a copy of it must not hold
  };
  // Forks the family process, which starts the template.
  [[nodiscard]] static Result<FamilyLink> Start(const Options& options);
  // To the copies of a gift, whose other end is `copy_link`.
  FamilyLink(const FamilyLink& origin, OwnedFd socket, pid_t group);
  FamilyLink(FamilyLink&&) noexcept = default;
  FamilyLink& operator=(FamilyLink&&) noexcept = default;

  // An error: the family process is gone.
  [[nodiscard]] Result<std::optional<Death>> NextDeath();
  [[nodiscard]] Status Give(const ForkGift& gift);
  // Until all copies of the last gift are complete: their process group. An error, too, when one of
  // those that clone themselves, or of the copies, ends meanwhile.
  using Deadline = std::chrono::steady_clock::time_point;
  [[nodiscard]] Result<pid_t> AwaitCopies(Deadline deadline);
  // The copies that there are end.
  void TakeBack();
  // A process has ended that was to stand still.
  [[nodiscard]] Result<bool> HasLost();
  // All processes of this sandbox stand still, or go on.
  [[nodiscard]] Status Stop();
  [[nodiscard]] Status Continue();
  // Ends all processes of this sandbox; returns when none is left.
  void End();
  // Lets go of it without ending anything: somebody else holds the socket too.
  void Forget() { socket_.reset(); }

  [[nodiscard]] const Isolation& isolation() const { return isolation_; }
  [[nodiscard]] pid_t family_process() const { return family_; }
  // Processes of this sandbox, as the caller sees them; dead ones included.
  [[nodiscard]] std::vector<pid_t> ListProcesses() const;

 private:
  FamilyLink() = default;
  // The next one that has not come yet.
  [[nodiscard]] Result<std::optional<Death>> ReceiveDeath();

  OwnedFd socket_;
  pid_t family_ = -1;
  pid_t group_ = -1;
  Isolation isolation_;
  uint32_t gifts_ = 0;         // so far
  std::vector<Death> deaths_;  // that came while something else was awaited
};

// --- what both ends say ---
struct FamilyEvent {
  enum Kind : uint32_t { kStarted, kFailed, kDeath, kCopied };
  Kind kind = kStarted;
  Death death;
  uint32_t gift = 0;  // kCopied, kFailed: which one; an earlier one may have been given up
  pid_t group = 0;
  Isolation isolation;
  char text[512] = {};
};
struct FamilyRequest {
  enum Kind : uint32_t { kGive, kTakeBack, kStop, kContinue };
  Kind kind = kGive;
  uint32_t gift = 0;   // its number
  uint32_t parts = 0;  // bit set: which come, in order, before `copy_link`
  uint32_t copies = 0;
  bool copy_runs = false;
};

}  // namespace cordon::backend

#endif  // CORDON_BACKEND_WASM_FAMILY_LINK_H_

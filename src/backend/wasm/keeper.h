#ifndef CORDON_BACKEND_WASM_KEEPER_H_
#define CORDON_BACKEND_WASM_KEEPER_H_

// The keeper of one sandbox: starts it, talks to its service process, reaps its processes and ends
// it. It stands outside the wall and believes nothing that it reads in the control page. One thread
// calls it, except where a member says otherwise.

#include <sys/types.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "backend/wasm/family.h"
#include "backend/wasm/family_link.h"
#include "backend/wasm/memory_files.h"
#include "base/error.h"
#include "base/owned_fd.h"
#include "kernel/control.h"

namespace cordon::backend {

// Bytes of somebody else's; the same ones are equal, others are not compared.
struct CodeBytes {
  std::span<const std::byte> bytes;
  bool operator==(const CodeBytes& other) const {
    return bytes.data() == other.bytes.data() && bytes.size() == other.bytes.size();
  }
};

struct SandboxOptions {
  MemorySizes sizes{uint64_t{1} << 30, 256, 100'000, uint64_t{256} << 20};
  std::string template_path;
  std::string userland_path;
  std::string unpacker_path;  // of cordon-unpack, which reads archives that come in
  Namespaces namespaces = Namespaces::kAll;
  CodeBytes code;  // of the code window
  // Modules may be added to a code window of so many bytes while it runs, and its guests may ask
  // the keeper for something through request channels (kernel/request_channel.cc).
  uint64_t growing_code_bytes = 0;
  bool serves_requests = false;
  // Its processes live under a family process, so that it can be forked. `private_fds` are
  // descriptors of the caller that this must not hold.
  bool can_fork = false;
  std::vector<int> private_fds;

  bool operator==(const SandboxOptions&) const = default;
};

// A sandbox that stands still beside the one that it was copied from, until somebody keeps it.
struct SandboxCopy {
  MemoryFiles files;
  FamilyLink link;
  uint32_t processes = 0;
};

// One request to the service process.
struct ServiceCall {
  control::Request request = control::Request::kNone;
  std::array<uint32_t, 6> arguments = {};
  std::span<const std::byte> payload;
  std::span<const std::byte> more;  // of the payload, behind it
};

struct ServiceAnswer {
  int32_t result = 0;  // of the request, or -errno
  std::vector<std::byte> payload;
};

class Keeper {
 public:
  // A sandbox that is ready for requests. What failed inside is part of the error.
  [[nodiscard]] static Result<std::unique_ptr<Keeper>> Start(const SandboxOptions& options);
  Keeper(const Keeper&) = delete;
  Keeper& operator=(const Keeper&) = delete;
  ~Keeper();

  // Fails when the sandbox ended or did not answer.
  [[nodiscard]] Result<ServiceAnswer> Call(const ServiceCall& call);

  // Reaps what ended. If that ends the sandbox, or if it gave up by itself, everything is killed
  // and the error says why; the same error ever after.
  [[nodiscard]] Status Reap();

  // Sleeps until something happened in the sandbox, somebody called WakeUp or the time is over.
  using Deadline = std::chrono::steady_clock::time_point;
  [[nodiscard]] uint32_t Bell() const;
  void WaitForBell(uint32_t seen, Deadline deadline) const;
  // From any thread, and from signal handlers.
  static void WakeUp(control::Control& page);

  // Every process of a sandbox with a family process stands still, and answers nothing, until
  // Continue.
  [[nodiscard]] Status Stop();
  [[nodiscard]] Status Continue();

  // Ends every process of the sandbox. Idempotent.
  void Kill();

  // --- forks (live_fork.cc); refused where there is no family process ---
  enum class Copied { kEverything, kSession };
  // A copy of all processes, which waits, or of the session's shell alone, to be stored. The
  // sandbox goes on, whatever became of it; an error says why there is no copy.
  [[nodiscard]] Result<SandboxCopy> Fork(Copied what);
  // So many copies, all of the same moment: each goes to `take` as soon as it is there, while the
  // sandbox stands still. False: no more are wanted. An error says why there are not as many. The
  // one who takes may be a fork of this process, which does not return.
  using TakeCopy = std::function<bool(SandboxCopy copy)>;
  [[nodiscard]] Status ForkMany(Copied what, uint32_t count, const TakeCopy& take);
  // Another copy of a stored one, which waits too.
  [[nodiscard]] Result<SandboxCopy> Revive(SandboxCopy& stored);
  // From now on this keeps the copy and not the sandbox it kept, of which it lets go. Everything
  // that refers to the control page refers to the copy's. The copy goes on.
  enum class Origin { kFork, kStored };
  [[nodiscard]] Status Adopt(SandboxCopy copy, Origin origin, uint64_t lost_ns);

  // Processes of the sandbox as the host knows them, dead ones included.
  [[nodiscard]] std::vector<pid_t> ListProcesses() const;

  [[nodiscard]] control::Control& page() const { return files_.page(); }
  [[nodiscard]] const Isolation& isolation() const {
    return link_ ? link_->isolation() : family_.isolation();
  }
  [[nodiscard]] bool ended() const { return end_reason_.has_value(); }
  [[nodiscard]] const MemoryFiles& files() const { return files_; }

 private:
  Keeper() = default;
  [[nodiscard]] Status DescribeUserland(int userland_fd);
  // Of a payload, fit for a terminal.
  [[nodiscard]] static std::string TextOf(const control::Mailbox& mailbox);
  [[nodiscard]] Status WaitUntilBooted();
  [[nodiscard]] Status End(const std::string& reason);
  [[nodiscard]] Status HandleDeath(const Death& death);
  [[nodiscard]] Status ReapFamily();
  [[nodiscard]] Status StartProcesses(int program, int userland, Namespaces namespaces);
  [[nodiscard]] Status CheckForkable() const;
  [[nodiscard]] Result<uint32_t> ParkEverybody(Copied what);
  [[nodiscard]] Status SealBlocks();
  [[nodiscard]] Status NextGeneration(ForkGift* gift);
  [[nodiscard]] Result<SandboxCopy> CloneParked(Copied what, uint32_t processes, ForkGift* gift);
  [[nodiscard]] Status CheckFailure();
  [[nodiscard]] Status ReapDead();
  void ReportDeaths();

  MemoryFiles files_;
  Family family_;
  std::optional<FamilyLink> link_;  // instead of a family of its own
  pid_t service_ = -1;
  std::thread kicker_;  // without a family init
  std::atomic<bool> kicker_ended_ = false;
  std::optional<Error> end_reason_;
  struct Unreported {
    uint32_t slot;
    uint32_t wait_status;
  };
  std::vector<Unreported> unreported_;
};

}  // namespace cordon::backend

#endif  // CORDON_BACKEND_WASM_KEEPER_H_

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
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "backend/wasm/family.h"
#include "backend/wasm/memory_files.h"
#include "base/error.h"
#include "base/owned_fd.h"
#include "kernel/control.h"

namespace cordon::backend {

struct SandboxOptions {
  MemorySizes sizes{uint64_t{1} << 30, 256, 100'000, uint64_t{256} << 20};
  std::string template_path;
  std::string userland_path;
  Namespaces namespaces = Namespaces::kAll;
  std::span<const std::byte> code;  // of the code window
};

// One request to the service process.
struct ServiceCall {
  control::Request request = control::Request::kNone;
  std::array<uint32_t, 6> arguments = {};
  std::span<const std::byte> payload;
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

  // Ends every process of the sandbox. Idempotent.
  void Kill();

  [[nodiscard]] control::Control& page() const { return files_.page(); }
  [[nodiscard]] const Isolation& isolation() const { return family_.isolation(); }
  [[nodiscard]] bool ended() const { return end_reason_.has_value(); }
  [[nodiscard]] const MemoryFiles& files() const { return files_; }

 private:
  Keeper() = default;
  [[nodiscard]] Status DescribeUserland(int userland_fd);
  [[nodiscard]] Status WaitUntilBooted();
  [[nodiscard]] Status End(const std::string& reason);
  [[nodiscard]] Status HandleDeath(pid_t pid, int code, int status);
  [[nodiscard]] Status CheckFailure();
  [[nodiscard]] Status ReapDead();
  void ReportDeaths();

  MemoryFiles files_;
  Family family_;
  pid_t service_ = -1;
  std::thread kicker_;  // without a family init
  std::atomic<bool> kicker_ended_ = false;
  std::optional<Error> end_reason_;
  struct Death {
    uint32_t slot;
    uint32_t wait_status;
  };
  std::vector<Death> unreported_;
};

}  // namespace cordon::backend

#endif  // CORDON_BACKEND_WASM_KEEPER_H_

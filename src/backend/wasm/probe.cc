#include "backend/wasm/probe.h"

#include <sys/wait.h>

#include <memory>

#include "backend/wasm/keeper.h"
#include "backend/wasm/mailbox.h"

namespace cordon::backend {
namespace {

using std::chrono::steady_clock;

constexpr uint32_t kJob = 0;
constexpr std::chrono::seconds kPatience{30};

// Until the job ended: its wait status.
Result<int> AwaitJob(Keeper& keeper) {
  const control::Job& job = keeper.page().jobs[kJob];
  const auto deadline = steady_clock::now() + kPatience;
  for (;;) {
    const uint32_t bell = keeper.Bell();
    if (job.state.load() == control::Job::kExited) return static_cast<int>(job.wait_status.load());
    CORDON_TRY(keeper.Reap());
    if (steady_clock::now() >= deadline) return Fail(ErrorCode::kLimit, "the command did not end");
    // A death that rings no bell is seen a little later.
    keeper.WaitForBell(bell, steady_clock::now() + std::chrono::milliseconds(50));
  }
}

}  // namespace

Result<WasmProbe> ProbeWasmWall(const std::string& template_path,
                                const std::string& userland_path) {
  const auto start = steady_clock::now();
  SandboxOptions options;
  options.template_path = template_path;
  options.userland_path = userland_path;
  const Result<std::unique_ptr<Keeper>> keeper = Keeper::Start(options);
  if (!keeper) return std::unexpected(keeper.error());
  JobStart job;
  job.job = kJob;
  job.directory = "/";
  // Processes, a pipe and a file: what it prints is compared inside, so no stream is needed.
  job.arguments = {"bash", "-c", "echo 42 >/tmp/probe && [ \"$(cat /tmp/probe | tr 2 3)\" = 43 ]"};
  job.environment = {"PATH=/usr/bin:/bin"};
  (*keeper)->page().rings[kJob * control::kRingsPerJob].writer_closed.store(1);
  CORDON_TRY(Mailbox(**keeper).Spawn(job));
  const Result<int> status = AwaitJob(**keeper);
  if (!status) return std::unexpected(status.error());
  if (*status != 0) {
    return Fail(ErrorCode::kInternal,
                "a pipeline in a sandbox ended with wait status " + std::to_string(*status));
  }
  WasmProbe probe;
  probe.isolation = (*keeper)->isolation();
  probe.time = std::chrono::duration_cast<std::chrono::microseconds>(steady_clock::now() - start);
  return probe;
}

}  // namespace cordon::backend

// Starting /bin/true in a live sandbox, from the request to the exit status, beside posix_spawn and
// waitpid of /bin/true on the host: the medians, in microseconds, as JSON.

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <string>
#include <vector>

#include "backend/wasm/keeper.h"
#include "backend/wasm/mailbox.h"

namespace {

using cordon::backend::Keeper;
using std::chrono::steady_clock;

constexpr int kRounds = 2000;

double Median(std::vector<double> values) {
  std::ranges::sort(values);
  return values[values.size() / 2];
}

double MicrosecondsSince(steady_clock::time_point start) {
  return std::chrono::duration<double, std::micro>(steady_clock::now() - start).count();
}

double OnHost() {
  std::string program = "/bin/true";
  char* arguments[] = {program.data(), nullptr};
  char* environment[] = {nullptr};
  const auto start = steady_clock::now();
  pid_t pid = 0;
  int status = 0;
  if (posix_spawn(&pid, program.c_str(), nullptr, nullptr, arguments, environment) != 0) return -1;
  (void)waitpid(pid, &status, 0);
  return MicrosecondsSince(start);
}

// The job's rings as the kernel finds them in a new sandbox.
void ResetJob(cordon::control::Control& page) {
  for (uint32_t i = 0; i < cordon::control::kStreamsPerJob; ++i) {
    cordon::control::Ring& ring = page.rings[i];
    for (auto* word : {&ring.written, &ring.read, &ring.writer_closed, &ring.reader_closed,
                       &ring.writer_wants, &ring.reader_wants}) {
      word->store(0);
    }
  }
  page.jobs[0].state.store(cordon::control::Job::kFree);
}

double InSandbox(Keeper& keeper, cordon::backend::Mailbox& mailbox) {
  ResetJob(keeper.page());
  cordon::backend::JobStart job;
  job.directory = "/";
  job.arguments = {"/bin/true"};
  const auto start = steady_clock::now();
  if (!mailbox.Spawn(job)) return -1;
  const cordon::control::Job& state = keeper.page().jobs[0];
  for (;;) {
    const uint32_t bell = keeper.Bell();
    if (state.state.load() == cordon::control::Job::kExited) break;
    keeper.WaitForBell(bell, start + std::chrono::seconds(5));
  }
  const double taken = MicrosecondsSince(start);
  (void)keeper.Reap();
  return state.wait_status.load() == 0 ? taken : -1;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    (void)fprintf(stderr, "usage: cordon-bench-spawn TEMPLATE USERLAND\n");
    return 2;
  }
  cordon::backend::SandboxOptions options;
  options.template_path = argv[1];
  options.userland_path = argv[2];
  auto keeper = Keeper::Start(options);
  if (!keeper) {
    (void)fprintf(stderr, "%s\n", keeper.error().ToString().c_str());
    return 1;
  }
  cordon::backend::Mailbox mailbox(**keeper);
  std::vector<double> host;
  std::vector<double> sandbox;
  for (int i = 0; i < kRounds; ++i) {
    host.push_back(OnHost());
    sandbox.push_back(InSandbox(**keeper, mailbox));
    if (host.back() < 0 || sandbox.back() < 0) {
      (void)fprintf(stderr, "/bin/true failed\n");
      return 1;
    }
  }
  printf("{\"sandbox_us\": %.1f, \"host_us\": %.1f}\n", Median(sandbox), Median(host));
}

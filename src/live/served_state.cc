// Forks and snapshots.

#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <mutex>
#include <new>
#include <utility>

#include "backend/wasm/process_table.h"
#include "base/fd_message.h"
#include "live/served_sandbox.h"

namespace cordon::live {
namespace {

using backend::Keeper;
using control::kSessionJob;

constexpr size_t kLongestName = 100;
constexpr size_t kMostSnapshots = 64;

}  // namespace

void ServedSandbox::FreeAllJobs() {
  free_jobs_.clear();
  for (uint32_t job = 1; job < control::kMaxJobs; ++job) free_jobs_.push_back(job);
}

void ServedSandbox::SeedIfWanted() {
  if (!session_.wants_seed || session_.current != nullptr || session_.is_settling) return;
  session_.wants_seed = false;
  session_.is_settling = true;
  WatchForPrompt();
  uint32_t seed = 0;
  (void)getrandom(&seed, sizeof seed, 0);
  (void)mailbox_.Feed(kSessionJob, Reseed(seed % 32768));
}

void ServedSandbox::Fork(uint32_t id) {
  std::byte nothing{};
  // The fork's two, which this one has too.
  Result<FdMessage> socket = ReceiveWithFds(forks_.get(), {&nothing, 1}, MSG_DONTWAIT);
  if (!socket || socket->fds.size() != 2) return Answer(id, -EBADF, "no socket for the fork");
  Result<backend::SandboxCopy> copy = keeper_->Fork(Keeper::Copied::kEverything);
  if (!copy) return Answer(id, -EBUSY, copy.error().ToString());
  // What is said until now is said by this sandbox.
  if (!Flush()) return;
  mounts_.server().Lock();
  const pid_t pid = fork();
  mounts_.server().Unlock();
  if (pid == 0) BecomeFork(std::move(*copy), std::move(socket->fds));
  if (pid < 0) return Answer(id, -errno, "fork: no keeper for the copy");
  Answer(id, 0, {});
}

void ServedSandbox::BecomeFork(backend::SandboxCopy copy, std::vector<OwnedFd> sockets) {
  // Held by a thread that is not here.
  new (&mutex_) std::recursive_mutex;
  Adopt(std::move(copy), std::move(sockets));
  ServeClient();
  EndServing();
}

void ServedSandbox::Adopt(backend::SandboxCopy copy, std::vector<OwnedFd> sockets) {
  const std::lock_guard lock(mutex_);
  socket_ = std::move(sockets[0]);
  forks_ = std::move(sockets[1]);
  // Those belong to the sandbox that was forked, as do archives and the clients of what runs.
  snapshots_.clear();
  state_calls_.Forget();
  waiting_.clear();
  mounts_.server().ForgetThreads();
  if (const Status adopted = keeper_->Adopt(std::move(copy), Keeper::Origin::kFork, 0); !adopted) {
    (void)Die(adopted.error().ToString());
    (void)Flush();
    EndServing();
  }
  SkipDenials();
  watches_.Forget();
  // Their answers are the origin's.
  (void)channels_.Abandon();
  for (const auto& run : running_) {
    run->request.id = UINT32_MAX;
    // Nobody writes there any more; a terminal at which nobody types is not hung up.
    if ((run->request.arg[3] & kHasTerminal) == 0) run->request.arg[3] &= ~int64_t{kHasInput};
    for (const auto& output : run->output) {
      if (output) output->Abandon();
    }
    FeedInput(*run);
  }
  mounts_.server().Start();
  host_calls_.ServeAs(0);
  host_calls_.Restart();
  outgoing_.clear();
  told_use_.reset();
  session_.wants_seed = session_.alive;
  SeedIfWanted();
}

void ServedSandbox::TakeSnapshot(const Frame& request) {
  const std::string& name = request.payload;
  if (name.empty() || name.size() > kLongestName || name.find('\0') != std::string::npos)
    return Answer(request.id, -EINVAL, "a name of 1 to 100 bytes is needed");
  if (snapshots_.contains(name)) return Answer(request.id, -EEXIST, "there is one of that name");
  if (snapshots_.size() >= kMostSnapshots)
    return Answer(request.id, -ENOSPC, "a sandbox has at most 64 snapshots");
  WatchShell();
  if (!session_.alive && !StartShell()) return Answer(request.id, -ESRCH, "no shell starts");
  Result<backend::SandboxCopy> copy = keeper_->Fork(Keeper::Copied::kSession);
  if (!copy) return Answer(request.id, -EBUSY, copy.error().ToString());
  uint64_t bytes = copy->files.UsedBytes();
  for (const pid_t pid : copy->link.ListProcesses()) bytes += backend::PrivateBytes(pid);
  snapshots_.emplace(
      name, Snapshot{std::move(*copy), *session_.output, *session_.prompts, session_.reader,
                     session_.number, Clock::now(), std::chrono::system_clock::now(), bytes});
  Answer(request.id, 0, {});
}

void ServedSandbox::Restore(uint32_t id, const std::string& name) {
  const auto found = snapshots_.find(name);
  if (found == snapshots_.end()) return Answer(id, -ENOENT, "no snapshot of that name");
  Snapshot& stored = found->second;
  Result<backend::SandboxCopy> copy = keeper_->Revive(stored.copy);
  if (!copy) return Answer(id, -EIO, copy.error().ToString());
  const auto lost = std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now() - stored.at);
  // The processes of before end with the connection to them.
  mounts_.server().Stop();
  if (const Status adopted =
          keeper_->Adopt(std::move(*copy), Keeper::Origin::kStored,
                         static_cast<uint64_t>(std::max<int64_t>(lost.count(), 0)));
      !adopted) {
    damaged_ = true;
    return Answer(id, -EIO, adopted.error().ToString());
  }
  for (const auto& run : running_) {
    if (run->ended && run->exit_code == -1) continue;
    Queue({Kind::kEnd,
           run->request.id,
           {128 + SIGKILL, SIGKILL, static_cast<int64_t>(EndClass::kCancelled), 0, 0},
           {}});
  }
  running_.clear();
  SkipDenials();
  watches_.Doubt();
  mounts_.server().Start();
  host_calls_.Restart();
  TellGone(channels_.Abandon());
  FreeAllJobs();
  session_ = {};
  session_.alive = true;
  session_.number = stored.number;
  session_.reader = stored.reader;
  session_.output = std::make_unique<OutputStream>(stored.output);
  session_.prompts = std::make_unique<OutputStream>(stored.prompts);
  session_.wants_seed = true;
  SeedIfWanted();
  Answer(id, 0, {});
  StartRuns();
}

void ServedSandbox::ListSnapshots(uint32_t id) {
  std::string list;
  for (const auto& [name, snapshot] : snapshots_) {
    const int64_t seconds =
        std::chrono::duration_cast<std::chrono::seconds>(snapshot.time.time_since_epoch()).count();
    list.append(reinterpret_cast<const char*>(&seconds), sizeof seconds);
    list += name + '\0';
  }
  Answer(id, static_cast<int64_t>(snapshots_.size()), std::move(list));
}

}  // namespace cordon::live

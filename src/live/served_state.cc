// Forks and snapshots.

#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <iterator>
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
// Whoever has many copies made gets them first. Until then only what a shell does by itself, as
// traps, draws the numbers that its origin draws.
constexpr std::chrono::milliseconds kSeedTime{100};
constexpr const char* kNoSnapshot = "no snapshot of that name";

uint32_t CountOfForks(const Frame& request) {
  return static_cast<uint32_t>(std::clamp<int64_t>(request.arg[0], 1, int64_t{kMostForksAtOnce}));
}

// Lists of them are lines.
bool IsSnapshotName(const std::string& name) {
  return !name.empty() && name.size() <= kLongestName &&
         std::ranges::none_of(name, [](unsigned char c) { return c < ' ' || c == 0x7f; });
}

}  // namespace

void ServedSandbox::FreeAllJobs() {
  free_jobs_.clear();
  for (uint32_t job = 1; job < control::kMaxJobs; ++job) free_jobs_.push_back(job);
}

void ServedSandbox::SeedIfWanted() {
  if (!session_.seed_by || session_.current != nullptr || session_.is_settling) return;
  session_.seed_by.reset();
  session_.is_settling = true;
  WatchForPrompt();
  uint32_t seed = 0;
  (void)getrandom(&seed, sizeof seed, 0);
  (void)mailbox_.Feed(kSessionJob, Reseed(seed % 32768));
}

Result<std::vector<OwnedFd>> ServedSandbox::TakeForkSockets(const Frame& request) {
  const int64_t label = request.arg[1];
  if (auto held = held_sockets_.extract(label); !held.empty()) return std::move(held.mapped());
  // The forks' own, which this one has too.
  std::vector<OwnedFd> sockets;
  while (sockets.size() < 2 * CountOfForks(request)) {
    uint32_t of = 0;
    Result<FdMessage> part = ReceiveWithFds(forks_.get(), WritableBytesOf(of), MSG_DONTWAIT);
    if (!part) return std::unexpected(part.error());
    if (part->fds.empty()) return Fail(ErrorCode::kInvalid, "no sockets for the fork");
    // Otherwise of a request that was given up while it was sent.
    if (of == label) std::ranges::move(part->fds, std::back_inserter(sockets));
  }
  return sockets;
}

void ServedSandbox::Fork(const Frame& request) {
  const uint32_t wanted = CountOfForks(request);
  Result<std::vector<OwnedFd>> sockets = TakeForkSockets(request);
  if (!sockets) return Answer(request.id, -EBADF, sockets.error().ToString());
  // What is said until now is said by this sandbox.
  if (!Flush()) return;
  uint32_t made = 0;
  std::string reason;
  const auto take = [&](backend::SandboxCopy copy) {
    const auto own = sockets->begin() + 2 * static_cast<ptrdiff_t>(made);
    mounts_.server().Lock();
    const pid_t pid = fork();
    mounts_.server().Unlock();
    if (pid == 0) {
      std::vector<OwnedFd> its;
      std::move(own, own + 2, std::back_inserter(its));
      sockets->clear();
      BecomeFork(std::move(copy), std::move(its));
    }
    if (pid < 0) reason = SystemError("fork: no keeper for the copy").error().ToString();
    if (pid > 0) {
      ++made;
      own->reset();
      (own + 1)->reset();
    }
    return pid > 0;
  };
  const Status forked = keeper_->ForkMany(Keeper::Copied::kEverything, wanted, take);
  if (!forked) reason = forked.error().ToString();
  Answer(request.id, made > 0 ? int64_t{made} : -EBUSY, reason);
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
  turn_.reset();
  held_.clear();
  held_sockets_.clear();
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
  host_calls_.Restart();
  outgoing_.clear();
  told_use_.reset();
  sampler_.Forget();
  if (session_.alive) session_.seed_by = Clock::now() + kSeedTime;
}

void ServedSandbox::TakeSnapshot(const Frame& request) {
  const std::string& name = request.payload;
  if (!IsSnapshotName(name)) {
    return Answer(request.id, -EINVAL,
                  "a name of 1 to 100 bytes is needed, without control characters");
  }
  if (snapshots_.contains(name)) return Answer(request.id, -EEXIST, "there is one of that name");
  if (snapshots_.size() >= kMostSnapshots)
    return Answer(request.id, -ENOSPC, "a sandbox has at most 64 snapshots");
  WatchShell();
  if (!session_.alive && !StartShell()) return Answer(request.id, -ESRCH, "no shell starts");
  Result<backend::SandboxCopy> copy = keeper_->Fork(Keeper::Copied::kSession);
  if (!copy) return Answer(request.id, -EBUSY, copy.error().ToString());
  Snapshot& made = snapshots_
                       .emplace(name, Snapshot{std::move(*copy), *session_.output,
                                               *session_.prompts, session_.reader, session_.number,
                                               Clock::now(), std::chrono::system_clock::now(), 0})
                       .first->second;
  Answer(request.id, 0, {});
  // Nobody waits for the rest.
  (void)Flush();
  made.memory_bytes = made.copy.files.UsedBytes();
  for (const pid_t pid : made.copy.link.ListProcesses()) {
    made.memory_bytes += backend::PrivateBytes(pid);
  }
}

void ServedSandbox::Restore(uint32_t id, const std::string& name) {
  const auto found = snapshots_.find(name);
  if (found == snapshots_.end()) return Answer(id, -ENOENT, kNoSnapshot);
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
  sampler_.Forget();
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
  session_.seed_by = Clock::now() + kSeedTime;
  Answer(id, 0, {});
  StartRuns();
}

void ServedSandbox::DeleteSnapshot(uint32_t id, const std::string& name) {
  if (snapshots_.erase(name) == 0) return Answer(id, -ENOENT, kNoSnapshot);
  Answer(id, 0, {});
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

#include "live/file_server.h"

#include <sched.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <string>
#include <utility>

#include "arena/platform.h"
#include "base/blocked_signals.h"

namespace cordon::live {

using control::FileCall;
using control::FileOp;

namespace {

// Longer than a program takes from one read to the next, shorter than two threads are woken up in.
constexpr uint64_t kSpinNs = 50'000;
// A client that is awake has answered within this time.
constexpr uint64_t kClientSpinNs = 150'000;
// Who was answered and had to be woken up elsewhere has asked again.
constexpr uint64_t kAskSpinNs = 100'000;
// A client that looks, on another processor, has answered within this time.
constexpr uint64_t kElsewhereNs = 30'000;
// Who yields to a client gets the processor back sooner. Otherwise it went to somebody who only
// computes, and who keeps it: so for a while nobody looks.
constexpr uint64_t kCrowdedNs = 1'000'000;
constexpr uint64_t kCrowdedForNs = 50'000'000;
// In so long nobody else has run.
constexpr uint64_t kNobodyNs = 3'000;
// Answers in a row with two threads woken up on other processors, before this thread goes to
// another one; and not sooner than so long after the last time.
constexpr uint32_t kMostFar = 8;
constexpr uint64_t kStayNs = 10'000'000;

}  // namespace

std::optional<FileRequest> ReadFileRequest(const FileCall& call) {
  const uint32_t path_bytes = call.path_bytes.load();
  const uint32_t count = call.count.load();
  const uint32_t op = call.op.load();
  if (path_bytes > control::kMaxFilePath || count > control::kFileCallBytes) return std::nullopt;
  FileRequest request;
  request.op = static_cast<FileOp>(op);
  request.path.assign(call.path, path_bytes);
  request.offset = call.offset.load();
  request.argument = call.argument.load();
  request.count = count;
  if (!IsServedPath(request.path)) return std::nullopt;
  const bool has_second = request.op == FileOp::kRename || request.op == FileOp::kSymlink;
  if (!has_second) return request;
  if (count >= control::kMaxFilePath) return std::nullopt;
  request.second.assign(reinterpret_cast<const char*>(call.data), count);
  const bool is_right = request.op == FileOp::kRename
                            ? IsServedPath(request.second)
                            : request.second.find('\0') == std::string::npos;
  if (!is_right) return std::nullopt;
  return request;
}

Result<uint32_t> FileServer::Add(Mount mount) {
  if (count_ == control::kMaxFileMounts)
    return Fail(ErrorCode::kLimit, "a sandbox has had 32 mounts of directories and clients");
  mounts_[count_++] = std::move(mount);
  if (thread_ == nullptr) Start();
  return count_ - 1;
}

Result<uint32_t> FileServer::Add(HostDirectory directory) {
  const std::lock_guard lock(mutex_);
  return Add(Mount{std::move(directory), nullptr});
}

Result<uint32_t> FileServer::Add(ClientFiles::Options client) {
  auto connected = ClientFiles::Connect(
      std::move(client), [this](uint32_t slot, const FileReply& reply, std::string_view data) {
        FileCall& call = page_.file_calls[slot];
        memcpy(call.data, data.data(), std::min<size_t>(data.size(), sizeof call.data));
        Finish(call, reply);
      });
  if (!connected) return std::unexpected(connected.error());
  const std::lock_guard lock(mutex_);
  return Add(Mount{std::nullopt, std::move(*connected)});
}

void FileServer::Remove(uint32_t index) {
  const std::lock_guard lock(mutex_);
  mounts_[index] = {};
}

void FileServer::Start() {
  if (count_ == 0) return;
  stops_ = false;
  page_.file_server_looks.store(0);
  // Left over by whoever did not wait: nobody answers them any more.
  for (FileCall& call : page_.file_calls) {
    uint32_t expected = FileCall::kLeft;
    (void)call.state.compare_exchange_strong(expected, FileCall::kFree);
  }
  const BlockedSignals blocked;
  thread_ = std::make_unique<std::thread>([this] { Run(); });
}

void FileServer::Stop() {
  if (thread_ == nullptr) return;
  stops_ = true;
  page_.file_bell.fetch_add(1);
  platform::WakeWord(&page_.file_bell, 1);
  thread_->join();
  thread_.reset();
  for (const Mount& mount : mounts_) {
    if (mount.client != nullptr) mount.client->Abandon();
  }
}

void FileServer::Lock() {
  mutex_.lock();
  for (const Mount& mount : mounts_) {
    if (mount.client != nullptr) mount.client->Lock();
  }
}

void FileServer::Unlock() {
  for (const Mount& mount : mounts_) {
    if (mount.client != nullptr) mount.client->Unlock();
  }
  mutex_.unlock();
}

void FileServer::ForgetThreads() {
  (void)thread_.release();  // NOLINT(bugprone-unused-return-value): a thread of another process
  for (const Mount& mount : mounts_) {
    if (mount.client != nullptr) mount.client->BecomeFork();
  }
}

void FileServer::Run() {
  while (!stops_.load()) {
    const uint32_t bell = page_.file_bell.load();
    bool is_idle = true;
    for (FileCall& call : page_.file_calls) {
      uint32_t expected = FileCall::kRequested;
      if (!call.state.compare_exchange_strong(expected, FileCall::kServed)) continue;
      Serve(call);
      is_idle = false;
    }
    if (is_idle) Sleep(bell);
  }
  ReturnAnswers();
}

FileServer::Look FileServer::LookAt(uint32_t bell) {
  if (!asked_) {
    return SpinUntilChanged(page_.file_bell, bell, kSpinNs) ? Look::kHelped : Look::kMissed;
  }
  const uint64_t start = platform::ClockNs(1);
  bool has_yielded = false;
  bool has_let_run = false;
  asleep_ = Asleep::kNobody;
  for (uint64_t now = start, end = start + kClientSpinNs; now < end; now = platform::ClockNs(1)) {
    if (page_.file_bell.load() != bell) return Look::kHelped;
    if (TakeAnswers()) {
      is_elsewhere_ = !has_yielded;
      // It runs here when this thread sleeps.
      if (is_elsewhere_ && asleep_ == Asleep::kHere) return Look::kAnswered;
      MoveIfFar(!has_let_run && asleep_ != Asleep::kNobody);
      end = platform::ClockNs(1) + kAskSpinNs;
    }
    if (is_elsewhere_ && now - start < kElsewhereNs) {
      __builtin_ia32_pause();
      continue;
    }
    has_let_run |= Yield() > kNobodyNs;
    has_yielded = true;
    if (is_crowded()) return Look::kMissed;
  }
  return Look::kMissed;
}

// Far is an answer that came while nobody else ran here, and for somebody who sleeps: client and
// guest may both be on another processor, or the client alone. Waking up a thread over there takes
// longer than all else together, and the kernel leaves all three where they are. From another
// processor at least one of them is near, or the guest looks.
void FileServer::MoveIfFar(bool is_far) {
  far_ = is_far ? far_ + 1 : 0;
  const uint64_t now = platform::ClockNs(1);
  if (far_ < kMostFar || now < stay_until_) return;
  far_ = 0;
  stay_until_ = now + kStayNs;
  cpu_set_t all;
  if (sched_getaffinity(0, sizeof all, &all) != 0) return;
  cpu_set_t others = all;
  CPU_CLR(ThisProcessor(), &others);
  if (CPU_COUNT(&others) == 0 || sched_setaffinity(0, sizeof others, &others) != 0) return;
  (void)sched_setaffinity(0, sizeof all, &all);
}

// Who waits for this processor, the client above all, runs here and need not be woken up elsewhere.
uint64_t FileServer::Yield() {
  const uint64_t before = platform::ClockNs(1);
  std::this_thread::yield();
  const uint64_t after = platform::ClockNs(1);
  if (after - before > kCrowdedNs) crowded_until_ = after + kCrowdedForNs;
  page_.file_server_looks.store(1 + ThisProcessor());
  return after - before;
}

bool FileServer::TakeAnswers() {
  const std::lock_guard lock(mutex_);
  const Mount& mount = mounts_[*asked_];
  return mount.client != nullptr && mount.client->TakeAnswers();
}

void FileServer::ReturnAnswers() {
  const std::lock_guard lock(mutex_);
  for (const Mount& mount : mounts_) {
    if (mount.client != nullptr) mount.client->ReturnAnswers();
  }
  asked_.reset();
}

void FileServer::Sleep(uint32_t bell) {
  if (spins_ && !is_crowded() && habit_.IsWorthIt()) {
    page_.file_server_looks.store(1 + ThisProcessor());
    const Look look = LookAt(bell);
    habit_.Note(look != Look::kMissed);
    if (look == Look::kHelped) return;
  }
  page_.file_server_looks.store(0);
  if (asked_) ReturnAnswers();
  // Who asked meanwhile did not wake us up; the bell is another one then.
  platform::WaitOnWord(&page_.file_bell, bell, ExpireAll());
}

uint64_t FileServer::ExpireAll() {
  const std::lock_guard lock(mutex_);
  auto next = Clock::time_point::max();
  for (const Mount& mount : mounts_) {
    if (mount.client != nullptr) next = std::min(next, mount.client->Expire());
  }
  if (next == Clock::time_point::max()) return platform::kNever;
  return static_cast<uint64_t>(
      std::chrono::duration_cast<std::chrono::nanoseconds>(next.time_since_epoch()).count());
}

void FileServer::Serve(FileCall& call) {
  const std::optional<FileRequest> request = ReadFileRequest(call);
  const uint32_t index = call.mount.load();
  std::optional<FileReply> reply = FileReply{-EINVAL, 0};
  if (request && index < control::kMaxFileMounts) {
    const std::lock_guard lock(mutex_);
    Mount& mount = mounts_[index];
    const auto slot = static_cast<uint32_t>(&call - page_.file_calls);
    if (mount.directory) {
      reply = mount.directory->Answer(*request, call.data);
    } else if (mount.client != nullptr) {
      reply = mount.client->Ask(slot, *request, call.data);
      if (!reply && asked_ != index) {
        if (asked_ && mounts_[*asked_].client != nullptr) mounts_[*asked_].client->ReturnAnswers();
        asked_ = index;
      }
    } else {
      reply = FileReply{-EIO, 0};
    }
  }
  if (reply) Finish(call, *reply);
}

void FileServer::Finish(FileCall& call, const FileReply& reply) {
  call.result.store(reply.result);
  call.offset.store(reply.offset);
  uint32_t expected = FileCall::kServed;
  if (call.state.compare_exchange_strong(expected, FileCall::kAnswered)) {
    const uint32_t sleeps = call.sleeps.load();
    if (sleeps == 0) return;
    asleep_ = sleeps == 1 + ThisProcessor() ? Asleep::kHere : Asleep::kElsewhere;
    platform::WakeWord(&call.state, 1);
    return;
  }
  // Whoever asked did not wait.
  call.state.store(FileCall::kFree);
  page_.file_calls_left.fetch_add(1);
  platform::WakeWord(&page_.file_calls_left, 1);
}

}  // namespace cordon::live

#include "live/file_server.h"

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

bool FileServer::Look(uint32_t bell) {
  if (!asked_) return SpinUntilChanged(page_.file_bell, bell, kSpinNs);
  for (uint64_t end = platform::ClockNs(1) + kClientSpinNs; platform::ClockNs(1) < end;) {
    if (page_.file_bell.load() != bell) return true;
    if (TakeAnswers()) end = platform::ClockNs(1) + kSpinNs;
    // The client may be waiting for this processor: woken up there, it need not be woken up
    // elsewhere.
    std::this_thread::yield();
  }
  return false;
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
  if (spins_ && habit_.IsWorthIt()) {
    page_.file_server_looks.store(1);
    const bool helped = Look(bell);
    habit_.Note(helped);
    if (helped) return;
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
    if (call.sleeps.load() != 0) platform::WakeWord(&call.state, 1);
    return;
  }
  // Whoever asked did not wait.
  call.state.store(FileCall::kFree);
  page_.file_calls_left.fetch_add(1);
  platform::WakeWord(&page_.file_calls_left, 1);
}

}  // namespace cordon::live

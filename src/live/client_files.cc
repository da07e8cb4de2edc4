#include "live/client_files.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <utility>

#include "base/blocked_signals.h"
#include "base/unix_address.h"

namespace cordon::live {
namespace {

using control::FileOp;

constexpr int64_t kLastErrno = 133;
constexpr size_t kPieceBytes = 256 * 1024;
// More than all places of the control page can ask at once.
constexpr size_t kMostOutgoing = size_t{control::kMaxFileCalls + 1} * 2 * control::kFileCallBytes;

bool IsChange(FileOp op) {
  switch (op) {
    case FileOp::kStat:
    case FileOp::kReadLink:
    case FileOp::kRead:
    case FileOp::kList:
    case FileOp::kSpace:
      return false;
    default:
      return true;
  }
}

// What a client may say in place of a result.
int64_t ResultOf(const ClientFileAnswer& answer) {
  return answer.result < -kLastErrno ? -EIO : answer.result;
}

template <typename T>
std::string_view BytesOf(const T& value) {
  return {reinterpret_cast<const char*>(&value), sizeof value};
}

}  // namespace

Result<std::unique_ptr<ClientFiles>> ClientFiles::Connect(Options options, Finish finish) {
  std::unique_ptr<ClientFiles> made(new ClientFiles(std::move(options), std::move(finish)));
  CORDON_TRY(made->Open());
  made->StartThread();
  return made;
}

Status ClientFiles::Open() {
  const Result<sockaddr_un> address = UnixAddress(options_.socket);
  if (!address) return std::unexpected(address.error());
  wake_.reset(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!wake_.valid()) return SystemError("eventfd");
  // Nobody waits for a client that accepts nobody.
  socket_.reset(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket_.valid()) return SystemError("socket(AF_UNIX)");
  if (connect(socket_.get(), reinterpret_cast<const sockaddr*>(&*address), sizeof *address) != 0)
    return SystemError("connect(" + options_.socket + ")");
  Write(EncodeClientHello(options_.key));
  return {};
}

void ClientFiles::StartThread() {
  const BlockedSignals blocked;
  thread_ = std::make_unique<std::thread>([this] { Run(); });
}

ClientFiles::~ClientFiles() {
  stops_ = true;
  (void)eventfd_write(wake_.get(), 1);
  stands_back_.store(0);
  stands_back_.notify_all();
  if (thread_ != nullptr) thread_->join();
  Die();
}

void ClientFiles::BecomeFork() {
  (void)thread_.release();  // NOLINT(bugprone-unused-return-value): a thread of another process
  pending_.clear();
  outgoing_.clear();
  reader_ = {};
  stands_back_.store(0);
  cache_.Forget();
  is_dead_ = is_dead_ || !Open();
  if (!is_dead_) StartThread();
}

void ClientFiles::Abandon() {
  const std::lock_guard lock(mutex_);
  pending_.clear();
  NoteChange();
}

void ClientFiles::Die() {
  is_dead_ = true;
  socket_.reset();
  outgoing_.clear();
  for (const auto& [number, pending] : std::exchange(pending_, {})) FinishAll(pending, {-EIO, 0});
}

// --- requests ---

std::optional<FileReply> ClientFiles::Ask(uint32_t slot, const FileRequest& request,
                                          uint8_t* data) {
  const std::lock_guard lock(mutex_);
  if (IsChange(request.op) && options_.rights != HostDirectory::Rights::kReadWrite)
    return FileReply{-EROFS, 0};
  if (request.op == FileOp::kSpace) {
    // Nobody knows.
    const control::FileSpace space = {};
    memcpy(data, &space, sizeof space);
    return FileReply{};
  }
  if (const std::optional<FileReply> known = FromCache(request, data)) return known;
  // A client that takes nothing: what it was asked for has ended long ago.
  if (is_dead_ || outgoing_.size() > kMostOutgoing) return FileReply{-EIO, 0};
  if (request.op == FileOp::kRead) return AskRead(slot, request, data);
  if (IsChange(request.op)) NoteChange();
  FileRequest asked = request;
  // All entries at once; the place is told those that it asked for.
  if (request.op == FileOp::kList) asked.offset = asked.count = 0;
  Send(std::move(asked), data).waiters.push_back({slot, request.offset, request.count});
  return std::nullopt;
}

std::optional<FileReply> ClientFiles::FromCache(const FileRequest& request, uint8_t* data) {
  if (request.op == FileOp::kStat) {
    const std::optional<ClientFileCache::Stat> stat = cache_.FindStat(request.path);
    if (!stat) return std::nullopt;
    memcpy(data, &stat->facts, sizeof stat->facts);
    return FileReply{stat->result, 0};
  }
  if (request.op != FileOp::kList) return std::nullopt;
  const std::vector<ClientEntry>* list = cache_.FindList(request.path, request.offset);
  if (list == nullptr) return std::nullopt;
  return FileReply{PutEntries(request.path, *list, request.offset, request.count, data), 0};
}

std::optional<FileReply> ClientFiles::AskRead(uint32_t slot, const FileRequest& request,
                                              uint8_t* data) {
  const Waiter waiter = {slot, request.offset, request.count};
  const bool goes_on =
      request.offset == 0 || (request.offset == read_end_ && request.path == read_path_);
  if (goes_on) {
    read_path_ = request.path;
    read_end_ = request.offset + request.count;
  }
  if (const ClientFileCache::Range* range =
          cache_.FindRange(request.path, request.offset, request.count)) {
    const uint64_t skipped =
        std::min<uint64_t>(request.offset - range->offset, range->bytes.size());
    const uint64_t count = std::min<uint64_t>(request.count, range->bytes.size() - skipped);
    (void)range->bytes.copy(reinterpret_cast<char*>(data), count, skipped);
    if (goes_on) ReadAhead(*range, request.offset);
    return FileReply{static_cast<int64_t>(count), 0};
  }
  for (auto& [number, pending] : pending_) {
    const FileRequest& asked = pending.request;
    if (asked.op != FileOp::kRead || pending.is_stale || asked.path != request.path) continue;
    if (request.offset < asked.offset || request.count > asked.count) continue;
    if (request.offset - asked.offset > asked.count - request.count) continue;
    pending.waiters.push_back(waiter);
    return std::nullopt;
  }
  FileRequest asked = request;
  if (goes_on && cache_.is_used()) asked.count = kMaxClientRead;
  Send(std::move(asked), nullptr).waiters.push_back(waiter);
  return std::nullopt;
}

// The piece behind one that is half read.
void ClientFiles::ReadAhead(const ClientFileCache::Range& range, uint64_t offset) {
  if (is_dead_ || range.is_end || !outgoing_.empty() ||
      offset - range.offset < range.bytes.size() / 2)
    return;
  const uint64_t next = range.end();
  const bool is_asked = std::ranges::any_of(pending_, [&](const auto& entry) {
    const FileRequest& asked = entry.second.request;
    return asked.op == FileOp::kRead && asked.path == range.path && asked.offset == next;
  });
  FileRequest request = {FileOp::kRead, range.path, {}, next, 0, kMaxClientRead};
  if (is_asked || cache_.FindRange(request.path, next, 1) != nullptr) return;
  Send(std::move(request), nullptr);
}

ClientFiles::Pending& ClientFiles::Send(FileRequest request, const uint8_t* data) {
  if (++last_number_ == 0) ++last_number_;
  Pending& pending = pending_[last_number_];
  pending.until = Clock::now() + options_.timeout;
  pending.request = std::move(request);
  Write(EncodeClientRequest(last_number_, pending.request, data));
  return pending;
}

void ClientFiles::Write(const std::string& bytes) {
  const bool was_waiting = !outgoing_.empty();
  outgoing_ += bytes;
  if (was_waiting) return;
  WriteMore();
  if (!outgoing_.empty()) (void)eventfd_write(wake_.get(), 1);
}

void ClientFiles::WriteMore() {
  const ssize_t done =
      send(socket_.get(), outgoing_.data(), outgoing_.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  if (done > 0) outgoing_.erase(0, static_cast<size_t>(done));
}

void ClientFiles::NoteChange() {
  cache_.Forget();
  for (auto& [number, pending] : pending_) pending.is_stale = true;
}

// --- answers ---

void ClientFiles::Run() {
  for (;;) {
    short events = POLLIN;
    {
      const std::lock_guard lock(mutex_);
      if (is_dead_) return;
      if (!outgoing_.empty()) events |= POLLOUT;
    }
    pollfd ready[] = {{socket_.get(), events, 0}, {wake_.get(), POLLIN, 0}};
    if (poll(ready, 2, -1) < 0 && errno != EINTR) break;
    if (stops_) return;
    if (ready[1].revents != 0) {
      eventfd_t ignored = 0;
      (void)eventfd_read(wake_.get(), &ignored);
    }
    if (stands_back_.load() != 0) {
      StandBack();
      continue;
    }
    const std::lock_guard lock(mutex_);
    (void)Receive();
  }
  const std::lock_guard lock(mutex_);
  Die();
}

void ClientFiles::StandBack() {
  while (!stops_ && stands_back_.load() != 0) stands_back_.wait(1);
}

bool ClientFiles::TakeAnswers() {
  const std::lock_guard lock(mutex_);
  // Out of poll, in which every answer would wake it up for nothing.
  if (stands_back_.exchange(1) == 0) (void)eventfd_write(wake_.get(), 1);
  return !is_dead_ && Receive() > 0;
}

void ClientFiles::ReturnAnswers() {
  {
    const std::lock_guard lock(mutex_);
    if (pending_.empty()) return;
  }
  if (stands_back_.exchange(0) != 0) stands_back_.notify_all();
}

ssize_t ClientFiles::Receive() {
  if (is_dead_) return -1;
  if (!outgoing_.empty()) WriteMore();
  incoming_.resize(kPieceBytes);
  // NOLINTNEXTLINE(clang-analyzer-unix.BlockInCriticalSection): it does not block
  const ssize_t got = recv(socket_.get(), incoming_.data(), incoming_.size(), MSG_DONTWAIT);
  if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) {
    Die();
    return got;
  }
  if (got < 0) return got;
  reader_.Add({incoming_.data(), static_cast<size_t>(got)});
  for (;;) {
    const Result<std::optional<ClientFileAnswer>> answer = reader_.Next();
    if (answer && !*answer) return got;
    if (!answer) {
      Die();
      return got;
    }
    Take(**answer);
  }
}

void ClientFiles::Take(const ClientFileAnswer& answer) {
  // One that came too late, or that nobody asked for, is nothing.
  auto found = pending_.extract(answer.number);
  if (found.empty()) return;
  Pending& pending = found.mapped();
  const FileRequest& request = pending.request;
  const int64_t result = ResultOf(answer);
  const FileReply nonsense = {-EIO, 0};
  if (IsChange(request.op)) NoteChange();
  if (request.op == FileOp::kRead) return TakeRead(pending, answer, result);
  if (result < 0) {
    if (request.op == FileOp::kStat && result == -ENOENT && !pending.is_stale)
      cache_.KeepStat(request.path, {result, {}});
    return FinishAll(pending, {result, 0});
  }
  switch (request.op) {
    case FileOp::kStat: {
      const std::optional<control::FileFacts> facts = ReadClientStat(request.path, answer);
      if (!facts) return FinishAll(pending, nonsense);
      if (!pending.is_stale) cache_.KeepStat(request.path, {0, *facts});
      return FinishAll(pending, {0, 0}, BytesOf(*facts));
    }
    case FileOp::kReadLink: {
      const std::string& target = answer.data;
      const bool is_target = !target.empty() && target.size() < control::kMaxFilePath &&
                             target.find('\0') == std::string::npos;
      return FinishAll(pending,
                       is_target ? FileReply{static_cast<int64_t>(target.size()), 0} : nonsense,
                       is_target ? std::string_view(target) : std::string_view());
    }
    case FileOp::kList: {
      std::optional<std::vector<ClientEntry>> entries = ReadClientList(answer);
      if (!entries) return FinishAll(pending, nonsense);
      const Waiter& waiter = pending.waiters.front();
      std::string data(waiter.count, '\0');
      const int64_t size = PutEntries(request.path, *entries, waiter.offset, waiter.count,
                                      reinterpret_cast<uint8_t*>(data.data()));
      cache_.KeepList(request.path, std::move(*entries));
      return FinishAll(pending, {size, 0},
                       std::string_view(data).substr(0, static_cast<size_t>(size)));
    }
    case FileOp::kWrite: {
      if (result > request.count) return FinishAll(pending, nonsense);
      const auto count = static_cast<uint32_t>(result);
      if (request.offset != UINT64_MAX) return FinishAll(pending, {result, request.offset + count});
      const std::optional<uint64_t> end = ReadClientEnd(count, answer);
      return FinishAll(pending, end ? FileReply{result, *end} : nonsense);
    }
    default:
      return FinishAll(pending, {0, 0});
  }
}

void ClientFiles::TakeRead(Pending& pending, const ClientFileAnswer& answer, int64_t result) {
  const FileRequest& request = pending.request;
  if (result < 0) return FinishAll(pending, {result, 0});
  const auto size = static_cast<uint64_t>(result);
  if (size > request.count || size != answer.data.size()) return FinishAll(pending, {-EIO, 0});
  for (const Waiter& waiter : pending.waiters) {
    const uint64_t skipped = std::min(waiter.offset - request.offset, size);
    const uint64_t count = std::min<uint64_t>(waiter.count, size - skipped);
    finish_(waiter.slot, {static_cast<int64_t>(count), 0},
            std::string_view(answer.data).substr(skipped, count));
  }
  if (!pending.is_stale)
    cache_.KeepRange(request.path, request.offset, answer.data, size < request.count);
}

void ClientFiles::FinishAll(const Pending& pending, const FileReply& reply, std::string_view data) {
  for (const Waiter& waiter : pending.waiters) finish_(waiter.slot, reply, data);
}

ClientFiles::Clock::time_point ClientFiles::Expire() {
  const std::lock_guard lock(mutex_);
  const auto now = Clock::now();
  auto next = Clock::time_point::max();
  std::erase_if(pending_, [&](const auto& entry) {
    const Pending& pending = entry.second;
    if (pending.until > now) {
      next = std::min(next, pending.until);
      return false;
    }
    FinishAll(pending, {-EIO, 0});
    return true;
  });
  return next;
}

}  // namespace cordon::live

#include "archive/zstd_sink.h"

#include <pthread.h>
#include <zstd.h>

#include <algorithm>
#include <string>
#include <system_error>

#include "base/blocked_signals.h"

namespace cordon::archive {
namespace {

// The level of `zstd -1`: exports are taken often and kept for a while.
constexpr int kLevel = 1;
// Eight windows of that level: what a frame cannot refer to any more is no loss.
constexpr size_t kPieceBytes = size_t{4} << 20;
constexpr size_t kMostThreads = 4;

}  // namespace

// The thread that writes has work, too.
size_t ZstdSink::UsualThreads() {
  return std::clamp<size_t>(std::thread::hardware_concurrency(), 2, kMostThreads + 1) - 1;
}

ZstdSink::ZstdSink(ByteSink& next, size_t most_threads)
    : next_(next), most_threads_(most_threads) {}

ZstdSink::~ZstdSink() {
  {
    const std::scoped_lock guard(lock_);
    ends_ = true;
    changed_.notify_all();
  }
  for (std::thread& thread : threads_) thread.join();
}

void ZstdSink::Compress(Piece& piece) {
  const size_t room = ZSTD_compressBound(piece.plain.size());
  if (room > piece.room) {
    piece.packed = std::make_unique_for_overwrite<std::byte[]>(room);
    piece.room = room;
  }
  if (!piece.context) {
    piece.context = {ZSTD_createCCtx(), ZSTD_freeCCtx};
    (void)ZSTD_CCtx_setParameter(piece.context.get(), ZSTD_c_compressionLevel, kLevel);
    // A layer has its hash, and so has what is in it.
    (void)ZSTD_CCtx_setParameter(piece.context.get(), ZSTD_c_checksumFlag, 0);
  }
  // What the context did before does not change what it makes.
  piece.packed_size = ZSTD_compress2(piece.context.get(), piece.packed.get(), piece.room,
                                     piece.plain.data(), piece.plain.size());
  if (ZSTD_isError(piece.packed_size) != 0) piece.error = ZSTD_getErrorName(piece.packed_size);
}

void ZstdSink::Work() {
  std::unique_lock guard(lock_);
  for (;;) {
    changed_.wait(guard, [&] { return ends_ || !waiting_.empty(); });
    if (ends_) return;
    CompressOne(guard);
  }
}

// Where there are no more threads to be had, fewer do.
void ZstdSink::StartThread() {
  const BlockedSignals blocked;
  try {
    threads_.emplace_back([this] { Work(); });
  } catch (const std::system_error&) {
    most_threads_ = threads_.size();
  }
}

void ZstdSink::CompressOne(std::unique_lock<std::mutex>& guard) {
  Piece& piece = *waiting_.front();
  waiting_.pop_front();
  guard.unlock();
  Compress(piece);
  guard.lock();
  piece.is_done = true;
  changed_.notify_all();
}

std::unique_ptr<ZstdSink::Piece> ZstdSink::TakeDone(size_t most_left) {
  std::unique_lock guard(lock_);
  for (;;) {
    if (pieces_.empty()) return nullptr;
    if (pieces_.front()->is_done) break;
    if (pieces_.size() <= most_left) return nullptr;
    // Who has nothing else to do compresses, too; and without threads nobody else does.
    if (waiting_.empty()) {
      changed_.wait(guard, [&] { return pieces_.front()->is_done; });
    } else {
      CompressOne(guard);
    }
  }
  std::unique_ptr<Piece> piece = std::move(pieces_.front());
  pieces_.pop_front();
  return piece;
}

Status ZstdSink::PassOn(size_t most_left) {
  while (std::unique_ptr<Piece> piece = TakeDone(most_left)) {
    if (piece->error != nullptr) {
      return Fail(ErrorCode::kInternal, std::string("zstd: ") + piece->error);
    }
    CORDON_TRY(next_.Write({piece->packed.get(), piece->packed_size}));
    piece->plain.clear();
    piece->is_done = false;
    spare_.push_back(std::move(piece));
  }
  return {};
}

Status ZstdSink::HandOver() {
  has_frames_ = true;
  const bool is_full = filling_->plain.size() == kPieceBytes;
  if (is_full && threads_.size() < most_threads_) StartThread();
  {
    const std::scoped_lock guard(lock_);
    waiting_.push_back(filling_.get());
    pieces_.push_back(std::move(filling_));
    changed_.notify_all();
  }
  // While the next one is filled, each thread has one, and one waits for whoever is done first.
  return PassOn(threads_.empty() ? 0 : threads_.size() + 1);
}

Status ZstdSink::Write(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    if (!filling_ && !spare_.empty()) {
      filling_ = std::move(spare_.back());
      spare_.pop_back();
    }
    if (!filling_) filling_ = std::make_unique<Piece>();
    std::vector<std::byte>& plain = filling_->plain;
    if (plain.empty())
      plain.reserve(std::min(kPieceBytes, std::max(bytes.size(), kPieceBytes / 64)));
    const size_t count = std::min(bytes.size(), kPieceBytes - plain.size());
    plain.insert(plain.end(), bytes.begin(), bytes.begin() + static_cast<ptrdiff_t>(count));
    bytes = bytes.subspan(count);
    if (plain.size() < kPieceBytes) continue;
    CORDON_TRY(HandOver());
  }
  return {};
}

Status ZstdSink::Finish() {
  if (filling_ && (!filling_->plain.empty() || !has_frames_)) CORDON_TRY(HandOver());
  return PassOn(0);
}

}  // namespace cordon::archive

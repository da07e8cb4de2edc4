#ifndef CORDON_ARCHIVE_ZSTD_SINK_H_
#define CORDON_ARCHIVE_ZSTD_SINK_H_

// Compression by as many threads as help. What goes in is cut into pieces of one size, each of
// which becomes a frame of its own: the same input gives the same bytes, however many threads there
// are.

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <memory>
#include <mutex>
#include <span>
#include <thread>
#include <vector>

#include "archive/stream.h"
#include "base/error.h"

struct ZSTD_CCtx_s;

namespace cordon::archive {

// zstd (RFC 8878), frames one after the other. Memory: 10 MiB for each thread, and for two more.
// Less than one piece takes no thread.
class ZstdSink final : public ByteSink {
 public:
  // One less than there are processors, 1 to 4.
  [[nodiscard]] static size_t UsualThreads();
  // Beside the one that writes; none at all compresses there.
  explicit ZstdSink(ByteSink& next, size_t most_threads = UsualThreads());
  ~ZstdSink() override;
  ZstdSink(const ZstdSink&) = delete;
  ZstdSink& operator=(const ZstdSink&) = delete;
  Status Write(std::span<const std::byte> bytes) override;
  // Everything was passed on.
  [[nodiscard]] Status Finish();

 private:
  // Its memory serves for one after the other.
  struct Piece {
    std::vector<std::byte> plain;
    std::unique_ptr<std::byte[]> packed;
    size_t room = 0;
    size_t packed_size = 0;
    std::unique_ptr<ZSTD_CCtx_s, size_t (*)(ZSTD_CCtx_s*)> context{nullptr, nullptr};
    bool is_done = false;
    const char* error = nullptr;
  };
  static void Compress(Piece& piece);
  void Work();
  void StartThread();
  // The piece that is full, or the last one.
  [[nodiscard]] Status HandOver();
  // Of those that wait; not while it holds the lock.
  void CompressOne(std::unique_lock<std::mutex>& guard);
  // The oldest piece, if it is done, or once there would be more than `most_left` otherwise.
  [[nodiscard]] std::unique_ptr<Piece> TakeDone(size_t most_left);
  // What is done, in order, and what makes more than `most_left`.
  [[nodiscard]] Status PassOn(size_t most_left);

  ByteSink& next_;
  std::unique_ptr<Piece> filling_ = std::make_unique<Piece>();
  std::vector<std::unique_ptr<Piece>> spare_;
  bool has_frames_ = false;

  std::vector<std::thread> threads_;
  size_t most_threads_;
  std::mutex lock_;  // of what follows; a piece belongs to its thread until it is done
  std::condition_variable changed_;
  std::deque<std::unique_ptr<Piece>> pieces_;  // in order, none passed on
  std::deque<Piece*> waiting_;
  bool ends_ = false;
};

}  // namespace cordon::archive

#endif  // CORDON_ARCHIVE_ZSTD_SINK_H_

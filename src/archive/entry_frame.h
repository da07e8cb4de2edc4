#ifndef CORDON_ARCHIVE_ENTRY_FRAME_H_
#define CORDON_ARCHIVE_ENTRY_FRAME_H_

// What cordon-unpack says of an archive, and what is believed of it: nothing but that it is a
// sequence of entries. It read hostile bytes, and may be whatever they made of it.
//
// A frame is a FrameHeader and `size` bytes, numbers as the processor has them.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "archive/raw_entry.h"
#include "base/error.h"

namespace cordon::archive {

enum class FrameKind : uint32_t {
  kEntry = 1,  // an EntryFrame, the path, the target
  kData,       // at: offset in the file; its bytes
  kInput,      // at: offset in the file; an InputFrame: the bytes lie in what is read
  kEntryEnd,   // nothing
  kAlive,      // at: bytes of what is taken out whole, so far; or nothing: it takes its time
  kDone,       // the last one; the digest
  kFailed,     // the last one; at: FailureFrame; a text
};

struct FrameHeader {
  uint32_t kind;
  uint32_t size;
  uint64_t at;
};
struct EntryFrame {
  uint32_t kind;  // RawKind
  uint32_t permissions;
  uint32_t uid, gid;
  int64_t size;
  int64_t mtime_seconds, mtime_nanoseconds;
  uint32_t path_bytes, target_bytes;
};
struct InputFrame {
  uint64_t offset, size;
};
enum class FailureFrame : uint64_t { kCorrupt = 0, kInvalid = 1, kLimit = 2 };

inline constexpr size_t kMaxFrameBytes = size_t{1} << 20;  // behind the header

// --- the side that reads the archive ---

// Where frames go: both parts, or it does not return.
class FrameSink {
 public:
  virtual ~FrameSink() = default;
  [[nodiscard]] virtual Status Write(const FrameHeader& header, std::span<const std::byte> first,
                                     std::span<const std::byte> second) = 0;
};

// Says what is visited. Bytes that lie in `input` are named by their place there.
class FrameWriter final : public RawVisitor {
 public:
  FrameWriter(FrameSink& sink, std::span<const std::byte> input) : sink_(sink), input_(input) {}
  Status Begin(const RawEntry& entry) override;
  Status Data(uint64_t offset, std::span<const std::byte> bytes) override;
  Status End() override;
  Status Alive(uint64_t bytes) override;
  // The last word.
  [[nodiscard]] Status Finish(const Result<std::string>& result);

 private:
  FrameSink& sink_;
  std::span<const std::byte> input_;
};

// --- the side that does not believe it ---

class FrameReplay {
 public:
  // `input` is what is read; its bytes are shown where a frame names them.
  FrameReplay(RawVisitor& visitor, std::span<const std::byte> input)
      : visitor_(visitor), input_(input) {}

  // Takes whole frames from the front. How many bytes they were: the rest waits for more, which is
  // never longer than a header and kMaxFrameBytes. An error is the visitor's, what the other side
  // says went wrong, or that it breaks the rules (kCorrupt).
  [[nodiscard]] Result<size_t> Take(std::span<const std::byte> bytes);
  // The digest, once everything was said.
  [[nodiscard]] const std::optional<std::string>& done() const { return done_; }

 private:
  [[nodiscard]] Status TakeFrame(const FrameHeader& header, std::span<const std::byte> payload);
  [[nodiscard]] Status TakeEntry(std::span<const std::byte> payload);
  [[nodiscard]] Status TakeInput(uint64_t at, std::span<const std::byte> payload);

  RawVisitor& visitor_;
  std::span<const std::byte> input_;
  bool is_inside_ = false;  // between an entry and its end
  std::optional<std::string> done_;
};

}  // namespace cordon::archive

#endif  // CORDON_ARCHIVE_ENTRY_FRAME_H_

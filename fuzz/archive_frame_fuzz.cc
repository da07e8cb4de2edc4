// What cordon-unpack says of an archive, which a hostile archive may have made it say: whole and in
// pieces it has the same meaning, and what is taken has names that lead nowhere else, bytes inside
// its files, and no more of both than the limits.

#include <cstdint>
#include <cstdlib>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "archive/entry_frame.h"
#include "archive/tree_checker.h"

namespace {

using namespace cordon::archive;  // NOLINT(google-build-using-namespace)

constexpr TreeLimits kLimits = {50, 1 << 20};

class Recorder final : public EntryVisitor {
 public:
  cordon::Status Begin(const Entry& entry) override {
    const cordon::Result<std::string> clean = CleanPath(entry.path);
    if (!clean || *clean != entry.path || entry.permissions > 07777) std::abort();
    if (entry.kind == Kind::kHardLink && !names_.contains(entry.target)) std::abort();
    if (++entries_ > kLimits.max_entries) std::abort();
    bytes_ += entry.size;
    if (bytes_ > kLimits.max_bytes) std::abort();
    names_.insert(entry.path);
    size_ = entry.size;
    at_ = 0;
    seen += "<" + entry.path + ">" + entry.target;
    return {};
  }
  cordon::Status Data(uint64_t offset, std::span<const std::byte> bytes) override {
    if (offset < at_ || offset + bytes.size() > size_) std::abort();
    at_ = offset + bytes.size();
    seen.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    return {};
  }
  cordon::Status End() override { return {}; }

  std::string seen;

 private:
  std::set<std::string> names_;
  uint64_t entries_ = 0;
  uint64_t bytes_ = 0;
  uint64_t size_ = 0;
  uint64_t at_ = 0;
};

// Frames arrive in pieces of so many bytes; the bytes are the archive, too.
std::string Replay(std::span<const std::byte> bytes, size_t piece) {
  Recorder recorder;
  Skipped skipped;
  TreeChecker checker(kLimits, recorder, &skipped);
  FrameReplay replay(checker, bytes);
  std::vector<std::byte> waiting;
  while (!bytes.empty()) {
    const auto part = bytes.first(std::min(bytes.size(), piece));
    bytes = bytes.subspan(part.size());
    waiting.insert(waiting.end(), part.begin(), part.end());
    const cordon::Result<size_t> taken = replay.Take(waiting);
    if (!taken) return recorder.seen + "!" + taken.error().ToString();
    if (*taken > waiting.size()) std::abort();
    waiting.erase(waiting.begin(), waiting.begin() + static_cast<ptrdiff_t>(*taken));
    if (waiting.size() > sizeof(FrameHeader) + kMaxFrameBytes) std::abort();
  }
  return recorder.seen + (replay.done() ? "." + *replay.done() : "");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::span<const std::byte> bytes = std::as_bytes(std::span(data, size));
  if (Replay(bytes, size + 1) != Replay(bytes, 7)) std::abort();
  return 0;
}

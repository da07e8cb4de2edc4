#include "live/frame.h"

#include <sys/socket.h>

#include <cerrno>
#include <cstring>

namespace cordon::live {
namespace {

constexpr size_t kMostDone = 256 * 1024;

struct Header {
  uint32_t payload_bytes;
  uint32_t kind;
  uint32_t id;
  uint32_t reserved;
  int64_t arg[kArguments];
};

}  // namespace

std::string Encode(const Frame& frame) {
  Header header = {static_cast<uint32_t>(frame.payload.size()),
                   static_cast<uint32_t>(frame.kind),
                   frame.id,
                   0,
                   {}};
  for (size_t i = 0; i < kArguments; ++i) header.arg[i] = frame.arg[i];
  std::string bytes(reinterpret_cast<const char*>(&header), sizeof header);
  return bytes += frame.payload;
}

Result<std::optional<Frame>> FrameReader::Next() {
  Header header = {};
  if (bytes_.size() - at_ < sizeof header) return std::nullopt;
  memcpy(&header, bytes_.data() + at_, sizeof header);
  if (header.payload_bytes > kMaxPayload) {
    return Fail(ErrorCode::kCorrupt, "a frame of more than 8 MiB");
  }
  if (bytes_.size() - at_ - sizeof header < header.payload_bytes) return std::nullopt;
  Frame frame;
  frame.kind = static_cast<Kind>(header.kind);
  frame.id = header.id;
  for (size_t i = 0; i < kArguments; ++i) frame.arg[i] = header.arg[i];
  frame.payload = bytes_.substr(at_ + sizeof header, header.payload_bytes);
  at_ += sizeof header + header.payload_bytes;
  // Moved to the front once for many small frames.
  if (at_ == bytes_.size() || at_ > kMostDone) {
    bytes_.erase(0, at_);
    at_ = 0;
  }
  return frame;
}

bool PayloadReader::TakeString(std::string* text) {
  const size_t end = bytes_.find('\0');
  if (end == std::string_view::npos) return false;
  text->assign(bytes_.substr(0, end));
  bytes_.remove_prefix(end + 1);
  return true;
}

}  // namespace cordon::live

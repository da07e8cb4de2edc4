#include "archive/entry_frame.h"

#include <algorithm>
#include <cstring>
#include <functional>

namespace cordon::archive {
namespace {

constexpr size_t kMaxText = 64 * 1024;  // a path, a target; longer ones are refused anyway
constexpr size_t kMaxFailure = 500;
constexpr size_t kDigestBytes = 71;  // "sha256:" and 64 digits

template <typename T>
std::span<const std::byte> BytesOf(const T& value) {
  return std::as_bytes(std::span(&value, 1));
}

std::span<const std::byte> BytesOf(const std::string& text) {
  return std::as_bytes(std::span(text));
}

std::string TextOf(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

template <typename T>
bool TakeValue(std::span<const std::byte>* bytes, T* value) {
  if (bytes->size() < sizeof(T)) return false;
  memcpy(value, bytes->data(), sizeof(T));
  *bytes = bytes->subspan(sizeof(T));
  return true;
}

Status Broken(const char* what) {
  return Fail(ErrorCode::kCorrupt, std::string("archive: its reader says nonsense: ") + what);
}

FailureFrame FailureOf(ErrorCode code) {
  return code == ErrorCode::kLimit     ? FailureFrame::kLimit
         : code == ErrorCode::kInvalid ? FailureFrame::kInvalid
                                       : FailureFrame::kCorrupt;
}

// Somebody else's words, on a terminal perhaps.
Status FailureOf(uint64_t code, std::span<const std::byte> payload) {
  std::string text = TextOf(payload.first(std::min(payload.size(), kMaxFailure)));
  std::ranges::replace_if(text, [](unsigned char c) { return c < 0x20 || c >= 0x7f; }, '?');
  switch (FailureFrame{code}) {
    case FailureFrame::kInvalid:
      return Fail(ErrorCode::kInvalid, text);
    case FailureFrame::kLimit:
      return Fail(ErrorCode::kLimit, text);
    case FailureFrame::kCorrupt:
      break;
  }
  return Fail(ErrorCode::kCorrupt, text);
}

}  // namespace

Status FrameWriter::Begin(const RawEntry& entry) {
  if (std::max(entry.path.size(), entry.target.size()) > kMaxText) {
    return Fail(ErrorCode::kInvalid, "archive: a path of more than 4000 bytes");
  }
  const EntryFrame frame = {static_cast<uint32_t>(entry.kind),
                            entry.permissions,
                            entry.uid,
                            entry.gid,
                            entry.size,
                            entry.mtime_seconds,
                            entry.mtime_nanoseconds,
                            static_cast<uint32_t>(entry.path.size()),
                            static_cast<uint32_t>(entry.target.size())};
  const std::string names = entry.path + entry.target;
  const FrameHeader header = {static_cast<uint32_t>(FrameKind::kEntry),
                              static_cast<uint32_t>(sizeof frame + names.size()), 0};
  return sink_.Write(header, BytesOf(frame), BytesOf(names));
}

Status FrameWriter::Data(uint64_t offset, std::span<const std::byte> bytes) {
  const std::less_equal<const std::byte*> before;
  if (!bytes.empty() && before(input_.data(), bytes.data()) &&
      before(bytes.data() + bytes.size(), input_.data() + input_.size())) {
    const InputFrame frame = {static_cast<uint64_t>(bytes.data() - input_.data()), bytes.size()};
    return sink_.Write({static_cast<uint32_t>(FrameKind::kInput), sizeof frame, offset},
                       BytesOf(frame), {});
  }
  while (!bytes.empty()) {
    const auto part = bytes.first(std::min(bytes.size(), kMaxFrameBytes));
    CORDON_TRY(sink_.Write(
        {static_cast<uint32_t>(FrameKind::kData), static_cast<uint32_t>(part.size()), offset}, part,
        {}));
    offset += part.size();
    bytes = bytes.subspan(part.size());
  }
  return {};
}

Status FrameWriter::End() {
  return sink_.Write({static_cast<uint32_t>(FrameKind::kEntryEnd), 0, 0}, {}, {});
}

Status FrameWriter::Alive(uint64_t bytes) {
  return sink_.Write({static_cast<uint32_t>(FrameKind::kAlive), 0, bytes}, {}, {});
}

Status FrameWriter::Finish(const Result<std::string>& result) {
  const std::string text = result ? *result : result.error().ToString().substr(0, kMaxFailure);
  const FrameKind kind = result ? FrameKind::kDone : FrameKind::kFailed;
  const uint64_t at = result ? 0 : static_cast<uint64_t>(FailureOf(result.error().code));
  return sink_.Write({static_cast<uint32_t>(kind), static_cast<uint32_t>(text.size()), at},
                     BytesOf(text), {});
}

Result<size_t> FrameReplay::Take(std::span<const std::byte> bytes) {
  size_t taken = 0;
  for (;;) {
    std::span<const std::byte> rest = bytes.subspan(taken);
    FrameHeader header = {};
    if (!TakeValue(&rest, &header)) return taken;
    if (header.size > kMaxFrameBytes) return std::unexpected(Broken("a frame too long").error());
    if (rest.size() < header.size) return taken;
    if (done_) return std::unexpected(Broken("more than the last word").error());
    const Status took = TakeFrame(header, rest.first(header.size));
    if (!took) return std::unexpected(took.error());
    taken += sizeof header + header.size;
  }
}

Status FrameReplay::TakeFrame(const FrameHeader& header, std::span<const std::byte> payload) {
  const auto kind = FrameKind{header.kind};
  const bool is_part = kind == FrameKind::kData || kind == FrameKind::kInput;
  if ((is_part || kind == FrameKind::kEntryEnd) && !is_inside_) return Broken("no entry");
  if ((kind == FrameKind::kEntry || kind == FrameKind::kDone) && is_inside_) {
    return Broken("an entry without an end");
  }
  switch (kind) {
    case FrameKind::kEntry:
      is_inside_ = true;
      return TakeEntry(payload);
    case FrameKind::kData:
      return visitor_.Data(header.at, payload);
    case FrameKind::kInput:
      return TakeInput(header.at, payload);
    case FrameKind::kEntryEnd:
      is_inside_ = false;
      return visitor_.End();
    case FrameKind::kAlive:
      return visitor_.Alive(header.at);
    case FrameKind::kDone:
      if (!payload.empty() && payload.size() != kDigestBytes) return Broken("a digest");
      done_ = TextOf(payload);
      return {};
    case FrameKind::kFailed:
      return FailureOf(header.at, payload);
  }
  return Broken("an unknown frame");
}

Status FrameReplay::TakeEntry(std::span<const std::byte> payload) {
  EntryFrame frame = {};
  if (!TakeValue(&payload, &frame)) return Broken("an entry cut short");
  const uint64_t names = uint64_t{frame.path_bytes} + frame.target_bytes;
  if (names != payload.size() || std::max(frame.path_bytes, frame.target_bytes) > kMaxText) {
    return Broken("names of another length");
  }
  if (frame.kind > static_cast<uint32_t>(RawKind::kOther)) return Broken("a kind of file");
  RawEntry entry;
  entry.kind = RawKind{frame.kind};
  entry.permissions = frame.permissions;
  entry.uid = frame.uid;
  entry.gid = frame.gid;
  entry.size = frame.size;
  entry.mtime_seconds = frame.mtime_seconds;
  entry.mtime_nanoseconds = frame.mtime_nanoseconds;
  entry.path = TextOf(payload.first(frame.path_bytes));
  entry.target = TextOf(payload.subspan(frame.path_bytes));
  return visitor_.Begin(entry);
}

Status FrameReplay::TakeInput(uint64_t at, std::span<const std::byte> payload) {
  InputFrame frame = {};
  if (!TakeValue(&payload, &frame) || !payload.empty()) return Broken("a place of other size");
  if (frame.offset > input_.size() || frame.size > input_.size() - frame.offset) {
    return Broken("a place outside");
  }
  return visitor_.Data(at, input_.subspan(frame.offset, frame.size));
}

}  // namespace cordon::archive

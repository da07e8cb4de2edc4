#include "archive/tree_checker.h"

#include <algorithm>
#include <utility>

namespace cordon::archive {
namespace {

constexpr size_t kMaxTarget = 4000;
// Names are kept until the end.
constexpr size_t kMostNameBytes = size_t{64} << 20;
constexpr int64_t kSecond = 1'000'000'000;

Kind KindOf(RawKind kind) {
  switch (kind) {
    case RawKind::kDirectory:
      return Kind::kDirectory;
    case RawKind::kSymlink:
      return Kind::kSymlink;
    case RawKind::kHardLink:
      return Kind::kHardLink;
    case RawKind::kFifo:
      return Kind::kFifo;
    case RawKind::kFile:
    case RawKind::kOther:
      break;
  }
  return Kind::kFile;
}

Result<Entry> Convert(const RawEntry& raw) {
  Entry entry;
  entry.kind = KindOf(raw.kind);
  Result<std::string> clean = CleanPath(raw.path);
  if (!clean) return std::unexpected(clean.error());
  entry.path = std::move(*clean);
  entry.permissions = raw.permissions & 07777;
  entry.uid = raw.uid;
  entry.gid = raw.gid;
  entry.mtime_ns = std::clamp<int64_t>(raw.mtime_seconds, -4'000'000'000, 9'000'000'000) * kSecond +
                   std::clamp<int64_t>(raw.mtime_nanoseconds, 0, kSecond - 1);
  if (entry.kind == Kind::kFile) {
    if (raw.size < 0) return Fail(ErrorCode::kInvalid, "archive: a negative size", entry.path);
    entry.size = static_cast<uint64_t>(raw.size);
  }
  if (entry.kind == Kind::kSymlink) {
    entry.target = raw.target;
    if (entry.target.empty() || entry.target.size() > kMaxTarget ||
        entry.target.find('\0') != std::string::npos) {
      return Fail(ErrorCode::kInvalid, "archive: a link without a sensible target", entry.path);
    }
  }
  if (entry.kind == Kind::kHardLink) {
    Result<std::string> target = CleanPath(raw.target);
    if (!target) return std::unexpected(target.error());
    entry.target = std::move(*target);
  }
  return entry;
}

}  // namespace

Status TreeChecker::CheckPlace(const Entry& entry) const {
  for (size_t end = entry.path.find('/'); end != std::string::npos;
       end = entry.path.find('/', end + 1)) {
    const auto found = kinds_.find(entry.path.substr(0, end));
    if (found != kinds_.end() && found->second != Kind::kDirectory) {
      return Fail(ErrorCode::kInvalid,
                  found->second == Kind::kSymlink ? "archive: an entry below a link"
                                                  : "archive: an entry below a file",
                  entry.path);
    }
  }
  if (entry.kind == Kind::kHardLink) {
    const auto found = kinds_.find(entry.target);
    if (found == kinds_.end() || found->second == Kind::kDirectory) {
      return Fail(ErrorCode::kInvalid,
                  "archive: a hard link to " + entry.target + ", which it has not brought",
                  entry.path);
    }
  }
  if (entry.path.empty() && entry.kind != Kind::kDirectory) {
    return Fail(ErrorCode::kInvalid, "archive: an entry without a name");
  }
  return {};
}

Status TreeChecker::Count(const Entry& entry) {
  if (entry.size > limits_.max_bytes - bytes_) {
    return Fail(ErrorCode::kLimit,
                "archive: more than " + std::to_string(limits_.max_bytes) + " bytes of files",
                entry.path);
  }
  bytes_ += entry.size;
  name_bytes_ += entry.path.size();
  if (name_bytes_ > kMostNameBytes) {
    return Fail(ErrorCode::kLimit, "archive: more than 64 MiB of names");
  }
  kinds_[entry.path] = entry.kind;
  return {};
}

Status TreeChecker::Begin(const RawEntry& raw) {
  is_taken_ = false;
  if (entries_++ == limits_.max_entries) {
    return Fail(ErrorCode::kLimit,
                "archive: more than " + std::to_string(limits_.max_entries) + " entries");
  }
  Result<Entry> entry = Convert(raw);
  if (!entry) return std::unexpected(entry.error());
  if (raw.kind == RawKind::kOther) {
    skipped_.Add(entry->path, "a device or socket");
    return {};
  }
  CORDON_TRY(CheckPlace(*entry));
  CORDON_TRY(Count(*entry));
  entry_ = std::move(*entry);
  is_taken_ = true;
  at_ = 0;
  return visitor_.Begin(entry_);
}

Status TreeChecker::Data(uint64_t offset, std::span<const std::byte> bytes) {
  if (!is_taken_ || entry_.kind != Kind::kFile || bytes.empty()) return {};
  if (offset > entry_.size || bytes.size() > entry_.size - offset) {
    return Fail(ErrorCode::kCorrupt, "archive: more bytes than the size says", entry_.path);
  }
  if (offset < at_) return Fail(ErrorCode::kCorrupt, "archive: bytes out of order", entry_.path);
  at_ = offset + bytes.size();
  return visitor_.Data(offset, bytes);
}

Status TreeChecker::End() {
  return std::exchange(is_taken_, false) ? visitor_.End() : Status();
}

}  // namespace cordon::archive

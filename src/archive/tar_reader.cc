#include <archive.h>
#include <archive_entry.h>
#include <sys/stat.h>

#include <algorithm>
#include <optional>
#include <vector>

#include "archive/libarchive_locale.h"
#include "archive/tar.h"
#include "archive/tree_checker.h"

namespace cordon::archive {
namespace {

constexpr size_t kBufferBytes = 256 * 1024;
// How much of what is in files passes between two signs of life.
constexpr uint64_t kAliveBytes = uint64_t{16} << 20;

std::unexpected<Error> TooLarge() {
  return Fail(ErrorCode::kLimit, "image: a layer is larger than its tree may be");
}

std::string DigestOf(std::span<const std::byte> bytes) {
  Sha256 hash;
  hash.Update(bytes);
  return "sha256:" + Sha256::Hex(hash.Finish());
}

// Bytes behind the end of a tar are many only if somebody means it.
class LimitedSource final : public ByteSource {
 public:
  LimitedSource(ByteSource& from, uint64_t most) : from_(from), left_(most) {}
  Result<size_t> Read(std::span<std::byte> to) override {
    Result<size_t> got = from_.Read(to);
    if (!got) return got;
    if (*got > left_) return TooLarge();
    left_ -= *got;
    return got;
  }

 private:
  ByteSource& from_;
  uint64_t left_;
};

// All of it, as it is. Says how much is there, for who looks at it meanwhile.
Status TakeOut(ByteSource& source, const ReadJob::Place& to, RawVisitor& visitor) {
  constexpr uint64_t kWorthTelling = uint64_t{4} << 20;
  FileSink sink(to.fd, 0, to.bytes);
  std::vector<std::byte> buffer(kBufferBytes);
  for (uint64_t told = 0;;) {
    size_t filled = 0;
    while (filled < buffer.size()) {
      const Result<size_t> got = source.Read(std::span(buffer).subspan(filled));
      if (!got) return std::unexpected(got.error());
      if (*got == 0) break;
      filled += *got;
    }
    CORDON_TRY(sink.Write(std::span(buffer).first(filled)));
    const bool is_end = filled < buffer.size();
    if (!is_end && sink.offset() - told < kWorthTelling) continue;
    told = sink.offset();
    CORDON_TRY(visitor.Alive(told));
    if (is_end) return {};
  }
}

// Reads what is left, for the hash of all of it.
Status Drain(ByteSource& source) {
  std::vector<std::byte> buffer(kBufferBytes);
  for (;;) {
    const Result<size_t> got = source.Read(buffer);
    if (!got) return std::unexpected(got.error());
    if (*got == 0) return {};
  }
}

// From a source, or from memory as it is there: what libarchive gives lies in it then.
struct Input {
  ByteSource* source = nullptr;
  std::span<const std::byte> memory;
  std::optional<Error> error;
  std::vector<std::byte> buffer;

  static la_ssize_t Read(struct archive* archive, void* self, const void** bytes) {
    auto& input = *static_cast<Input*>(self);
    if (input.source == nullptr) {
      constexpr size_t kPieceBytes = size_t{1} << 20;
      const auto piece = input.memory.first(std::min(input.memory.size(), kPieceBytes));
      input.memory = input.memory.subspan(piece.size());
      *bytes = piece.data();
      return static_cast<la_ssize_t>(piece.size());
    }
    input.buffer.resize(kBufferBytes);
    const Result<size_t> got = input.source->Read(input.buffer);
    *bytes = input.buffer.data();
    if (got) return static_cast<la_ssize_t>(*got);
    input.error = got.error();
    archive_set_error(archive, EIO, "read");
    return -1;
  }
};

RawKind KindOf(archive_entry* header) {
  if (archive_entry_hardlink(header) != nullptr) return RawKind::kHardLink;
  switch (archive_entry_filetype(header)) {
    case AE_IFREG:
      return RawKind::kFile;
    case AE_IFDIR:
      return RawKind::kDirectory;
    case AE_IFLNK:
      return RawKind::kSymlink;
    case AE_IFIFO:
      return RawKind::kFifo;
    default:
      return RawKind::kOther;
  }
}

std::string TextOf(const char* text) {
  return text == nullptr ? "" : text;
}

class Parser {
 public:
  Parser(Input input, ReadJob::Wanted wanted, RawVisitor& visitor)
      : input_(std::move(input)),
        wanted_(wanted),
        visitor_(visitor),
        archive_(archive_read_new(), archive_read_free) {}

  Status Run(ReadJob::Form form) {
    (void)archive_read_support_format_tar(archive_.get());
    if (form == ReadJob::Form::kAny) {
      (void)archive_read_support_filter_gzip(archive_.get());
      (void)archive_read_support_filter_zstd(archive_.get());
    }
    if (archive_read_open(archive_.get(), &input_, nullptr, Input::Read, nullptr) != ARCHIVE_OK) {
      // An empty stream is an empty archive.
      return Failed();
    }
    for (;;) {
      archive_entry* header = nullptr;
      const int result = archive_read_next_header(archive_.get(), &header);
      if (result == ARCHIVE_EOF) return {};
      // A warning is a name that cannot be converted, or a number that does not fit.
      if (result != ARCHIVE_OK) return Failed();
      CORDON_TRY(TakeEntry(header));
    }
  }

 private:
  [[nodiscard]] Status Failed() {
    if (input_.error) return std::unexpected(*input_.error);
    const char* text = archive_error_string(archive_.get());
    return Fail(ErrorCode::kCorrupt,
                std::string("archive: ") + (text == nullptr ? "no tar" : text));
  }

  Status TakeEntry(archive_entry* header) {
    if (archive_entry_pathname(header) == nullptr) {
      return Fail(ErrorCode::kInvalid, "archive: an entry without a name");
    }
    RawEntry entry;
    entry.kind = KindOf(header);
    entry.permissions = archive_entry_perm(header);
    entry.uid = static_cast<uint32_t>(archive_entry_uid(header));
    entry.gid = static_cast<uint32_t>(archive_entry_gid(header));
    entry.size = archive_entry_size(header);
    entry.mtime_seconds = archive_entry_mtime(header);
    entry.mtime_nanoseconds = archive_entry_mtime_nsec(header);
    entry.path = TextOf(archive_entry_pathname(header));
    if (entry.kind == RawKind::kSymlink) entry.target = TextOf(archive_entry_symlink(header));
    if (entry.kind == RawKind::kHardLink) entry.target = TextOf(archive_entry_hardlink(header));
    CORDON_TRY(visitor_.Begin(entry));
    if (entry.kind == RawKind::kFile) CORDON_TRY(TakeData(entry));
    return visitor_.End();
  }

  Status TakeData(const RawEntry& entry) {
    const auto most = static_cast<uint64_t>(std::max<int64_t>(entry.size, 0));
    for (;;) {
      const void* bytes = nullptr;
      size_t size = 0;
      int64_t offset = 0;
      const int result = archive_read_data_block(archive_.get(), &bytes, &size, &offset);
      if (result == ARCHIVE_EOF) return {};
      if (result != ARCHIVE_OK) return Failed();
      if (offset < 0 || size > most || static_cast<uint64_t>(offset) > most - size) {
        return Fail(ErrorCode::kCorrupt, "archive: more bytes than the size says", entry.path);
      }
      silent_ += size;
      if (wanted_ == ReadJob::Wanted::kEverything) {
        CORDON_TRY(visitor_.Data(static_cast<uint64_t>(offset),
                                 {static_cast<const std::byte*>(bytes), size}));
      } else if (silent_ >= kAliveBytes) {
        silent_ = 0;
        CORDON_TRY(visitor_.Alive(0));
      }
    }
  }

  Input input_;
  ReadJob::Wanted wanted_;
  RawVisitor& visitor_;
  Utf8Locale locale_;
  std::unique_ptr<struct archive, int (*)(struct archive*)> archive_;
  uint64_t silent_ = 0;
};

}  // namespace

Result<std::string> OwnTarReader::Read(const ReadJob& job, RawVisitor& visitor) const {
  if (job.form != ReadJob::Form::kZstd) {
    // As it lies there.
    const bool is_plain = job.form == ReadJob::Form::kPlain;
    if (is_plain && job.bytes.size() > job.most_plain_bytes) return TooLarge();
    CORDON_TRY(Parser({nullptr, job.bytes, {}, {}}, job.wanted, visitor).Run(job.form));
    return is_plain && job.hashes ? DigestOf(job.bytes) : std::string();
  }
  MemorySource memory(job.bytes);
  ZstdSource plain(memory);
  LimitedSource limited(plain, job.most_plain_bytes);
  HashingSource hashed(limited);
  ByteSource& from = job.hashes ? static_cast<ByteSource&>(hashed) : limited;
  if (job.wanted == ReadJob::Wanted::kTar) {
    CORDON_TRY(TakeOut(from, job.to, visitor));
    return job.hashes ? hashed.TakeDigest() : std::string();
  }
  CORDON_TRY(Parser({&from, {}, {}, {}}, job.wanted, visitor).Run(job.form));
  CORDON_TRY(Drain(from));
  return job.hashes ? hashed.TakeDigest() : std::string();
}

Result<std::string> ReadTree(const TarReader& reader, const ReadJob& job, const TreeLimits& limits,
                             EntryVisitor& visitor, Skipped* skipped) {
  TreeChecker checker(limits, visitor, skipped);
  return reader.Read(job, checker);
}

}  // namespace cordon::archive

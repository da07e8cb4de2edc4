#include <archive.h>
#include <archive_entry.h>
#include <sys/stat.h>

#include <algorithm>
#include <map>
#include <optional>
#include <vector>

#include "archive/libarchive_locale.h"
#include "archive/tar.h"

namespace cordon::archive {
namespace {

constexpr size_t kBufferBytes = 128 * 1024;
constexpr size_t kMaxTarget = 4000;
// Names are kept until the end.
constexpr size_t kMostNameBytes = size_t{64} << 20;

struct Input {
  ByteSource& source;
  std::optional<Error> error;
  std::vector<std::byte> buffer = std::vector<std::byte>(kBufferBytes);

  static la_ssize_t Read(struct archive* archive, void* self, const void** bytes) {
    auto& input = *static_cast<Input*>(self);
    const Result<size_t> got = input.source.Read(input.buffer);
    *bytes = input.buffer.data();
    if (got) return static_cast<la_ssize_t>(*got);
    input.error = got.error();
    archive_set_error(archive, EIO, "read");
    return -1;
  }
};

class Reader {
 public:
  Reader(ByteSource& source, const TreeLimits& limits, EntryVisitor& visitor, Skipped* skipped)
      : input_{source, std::nullopt},
        limits_(limits),
        visitor_(visitor),
        skipped_(skipped),
        archive_(archive_read_new(), archive_read_free) {}

  Status Run(Compression compression) {
    (void)archive_read_support_format_tar(archive_.get());
    if (compression == Compression::kAny) {
      (void)archive_read_support_filter_gzip(archive_.get());
      (void)archive_read_support_filter_zstd(archive_.get());
    }
    if (archive_read_open(archive_.get(), &input_, nullptr, Input::Read, nullptr) != ARCHIVE_OK) {
      // An empty stream is an empty archive.
      return Failed();
    }
    for (uint64_t count = 0;; ++count) {
      archive_entry* header = nullptr;
      const int result = archive_read_next_header(archive_.get(), &header);
      if (result == ARCHIVE_EOF) return {};
      // A warning is a name that cannot be converted, or a number that does not fit.
      if (result != ARCHIVE_OK) return Failed();
      if (count == limits_.max_entries) {
        return Fail(ErrorCode::kLimit,
                    "archive: more than " + std::to_string(limits_.max_entries) + " entries");
      }
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

  static Result<Kind> KindOf(archive_entry* header, bool* is_device) {
    *is_device = false;
    if (archive_entry_hardlink(header) != nullptr) return Kind::kHardLink;
    switch (archive_entry_filetype(header)) {
      case AE_IFREG:
        return Kind::kFile;
      case AE_IFDIR:
        return Kind::kDirectory;
      case AE_IFLNK:
        return Kind::kSymlink;
      case AE_IFIFO:
        return Kind::kFifo;
      default:
        *is_device = true;
        return Kind::kFile;
    }
  }

  Result<Entry> Convert(archive_entry* header, Kind kind) {
    const char* path = archive_entry_pathname(header);
    if (path == nullptr) return Fail(ErrorCode::kInvalid, "archive: an entry without a name");
    Entry entry;
    entry.kind = kind;
    const Result<std::string> clean = CleanPath(path);
    if (!clean) return std::unexpected(clean.error());
    entry.path = *clean;
    entry.permissions = archive_entry_perm(header) & 07777;
    entry.uid = static_cast<uint32_t>(archive_entry_uid(header));
    entry.gid = static_cast<uint32_t>(archive_entry_gid(header));
    entry.mtime_ns =
        std::clamp<int64_t>(archive_entry_mtime(header), -4'000'000'000, 9'000'000'000) *
            1'000'000'000 +
        archive_entry_mtime_nsec(header);
    if (kind == Kind::kFile) {
      const int64_t size = archive_entry_size(header);
      if (size < 0) return Fail(ErrorCode::kInvalid, "archive: a negative size", entry.path);
      entry.size = static_cast<uint64_t>(size);
    }
    if (kind == Kind::kSymlink) {
      const char* target = archive_entry_symlink(header);
      entry.target = target == nullptr ? "" : target;
      if (entry.target.empty() || entry.target.size() > kMaxTarget) {
        return Fail(ErrorCode::kInvalid, "archive: a link without a sensible target", entry.path);
      }
    }
    if (kind == Kind::kHardLink) {
      Result<std::string> target = CleanPath(archive_entry_hardlink(header));
      if (!target) return std::unexpected(target.error());
      entry.target = std::move(*target);
    }
    return entry;
  }

  // What stands in the way of an entry, by what the archive itself has brought.
  Status CheckPlace(const Entry& entry) {
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
    return {};
  }

  Status TakeEntry(archive_entry* header) {
    bool is_device = false;
    const Result<Kind> kind = KindOf(header, &is_device);
    Result<Entry> entry = Convert(header, *kind);
    if (!entry) return std::unexpected(entry.error());
    if (is_device) {
      skipped_->Add(entry->path, "a device or socket");
      return {};
    }
    CORDON_TRY(CheckPlace(*entry));
    if (entry->path.empty() && entry->kind != Kind::kDirectory) {
      return Fail(ErrorCode::kInvalid, "archive: an entry without a name");
    }
    if (entry->size > limits_.max_bytes - bytes_) {
      return Fail(ErrorCode::kLimit,
                  "archive: more than " + std::to_string(limits_.max_bytes) + " bytes of files",
                  entry->path);
    }
    name_bytes_ += entry->path.size();
    if (name_bytes_ > kMostNameBytes) {
      return Fail(ErrorCode::kLimit, "archive: more than 64 MiB of names");
    }
    bytes_ += entry->size;
    kinds_[entry->path] = entry->kind;
    CORDON_TRY(visitor_.Begin(*entry));
    if (entry->kind == Kind::kFile) CORDON_TRY(TakeData(*entry));
    return visitor_.End();
  }

  Status TakeData(const Entry& entry) {
    for (;;) {
      const void* bytes = nullptr;
      size_t size = 0;
      int64_t offset = 0;
      const int result = archive_read_data_block(archive_.get(), &bytes, &size, &offset);
      if (result == ARCHIVE_EOF) return {};
      if (result != ARCHIVE_OK) return Failed();
      if (offset < 0 || size > entry.size || static_cast<uint64_t>(offset) > entry.size - size) {
        return Fail(ErrorCode::kCorrupt, "archive: more bytes than the size says", entry.path);
      }
      if (size == 0) continue;
      CORDON_TRY(visitor_.Data(static_cast<uint64_t>(offset),
                               {static_cast<const std::byte*>(bytes), size}));
    }
  }

  Input input_;
  TreeLimits limits_;
  EntryVisitor& visitor_;
  Skipped* skipped_;
  Utf8Locale locale_;
  std::unique_ptr<struct archive, int (*)(struct archive*)> archive_;
  std::map<std::string, Kind> kinds_;
  uint64_t bytes_ = 0;
  size_t name_bytes_ = 0;
};

}  // namespace

Status ReadTar(ByteSource& source, Compression compression, const TreeLimits& limits,
               EntryVisitor& visitor, Skipped* skipped) {
  return Reader(source, limits, visitor, skipped).Run(compression);
}

}  // namespace cordon::archive

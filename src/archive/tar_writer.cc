#include <archive.h>
#include <archive_entry.h>
#include <sys/stat.h>

#include <cerrno>
#include <optional>

#include "archive/libarchive_locale.h"
#include "archive/tar.h"

// libarchive's own is in the object that refers to every format it writes, and with them to bzip2,
// lzma and XML. The pax writer calls it for entries that a tar cannot hold.
extern "C" void
__archive_write_entry_filetype_unsupported(  // NOLINT(bugprone-reserved-identifier,readability-identifier-naming)
    struct archive* archive, struct archive_entry* /*entry*/, const char* /*format*/) {
  archive_set_error(archive, EINVAL, "a file of a kind that tar does not hold");
}

namespace cordon::archive {
namespace {

constexpr int64_t kSecond = 1'000'000'000;

uint32_t TypeOf(Kind kind) {
  switch (kind) {
    case Kind::kDirectory:
      return S_IFDIR;
    case Kind::kSymlink:
      return S_IFLNK;
    case Kind::kFifo:
      return S_IFIFO;
    case Kind::kFile:
    case Kind::kHardLink:
      break;
  }
  return S_IFREG;
}

}  // namespace

struct TarWriter::Output {
  ByteSink& sink;
  std::optional<Error> error;
  Utf8Locale locale;
  bool is_abandoned = false;  // libarchive ends what was begun, into nothing

  static la_ssize_t Write(struct archive* archive, void* self, const void* bytes, size_t size) {
    auto& output = *static_cast<Output*>(self);
    if (output.is_abandoned) return static_cast<la_ssize_t>(size);
    const Status put = output.sink.Write({static_cast<const std::byte*>(bytes), size});
    if (put) return static_cast<la_ssize_t>(size);
    output.error = put.error();
    archive_set_error(archive, EIO, "write");
    return -1;
  }
};

TarWriter::TarWriter(ByteSink& sink)
    : output_(new Output{sink, std::nullopt, {}}), archive_(archive_write_new()) {
  // Not restricted: that one has fractions of a second only where something else needs a header.
  (void)archive_write_set_format_pax(archive_);
  // No blocks: bytes of files go on as they come.
  (void)archive_write_set_bytes_per_block(archive_, 0);
  (void)archive_write_open(archive_, output_.get(), nullptr, Output::Write, nullptr);
}

TarWriter::~TarWriter() {
  (void)archive_write_free(archive_);
}

Status TarWriter::Failed() const {
  if (output_->error) return std::unexpected(*output_->error);
  const char* text = archive_error_string(archive_);
  return Fail(ErrorCode::kInternal, std::string("tar: ") + (text == nullptr ? "failed" : text));
}

Status TarWriter::Add(const Entry& entry) {
  const std::unique_ptr<archive_entry, void (*)(archive_entry*)> header(archive_entry_new(),
                                                                        archive_entry_free);
  archive_entry* at = header.get();
  archive_entry_set_pathname(at, entry.path.empty() ? "." : entry.path.c_str());
  archive_entry_set_filetype(at, TypeOf(entry.kind));
  archive_entry_set_perm(at, entry.permissions & 07777);
  archive_entry_set_uid(at, entry.uid);
  archive_entry_set_gid(at, entry.gid);
  const int64_t seconds = entry.mtime_ns / kSecond - (entry.mtime_ns % kSecond < 0 ? 1 : 0);
  archive_entry_set_mtime(at, seconds, static_cast<long>(entry.mtime_ns - seconds * kSecond));
  archive_entry_set_size(at, entry.kind == Kind::kFile ? static_cast<int64_t>(entry.size) : 0);
  if (entry.kind == Kind::kSymlink) archive_entry_set_symlink(at, entry.target.c_str());
  if (entry.kind == Kind::kHardLink) archive_entry_set_hardlink(at, entry.target.c_str());
  return archive_write_header(archive_, at) < ARCHIVE_WARN ? Failed() : Status();
}

Status TarWriter::Data(std::span<const std::byte> bytes) {
  const la_ssize_t put = archive_write_data(archive_, bytes.data(), bytes.size());
  return put != static_cast<la_ssize_t>(bytes.size()) ? Failed() : Status();
}

void TarWriter::Abandon() {
  output_->is_abandoned = true;
}

Status TarWriter::Finish() {
  return archive_write_close(archive_) != ARCHIVE_OK ? Failed() : Status();
}

}  // namespace cordon::archive

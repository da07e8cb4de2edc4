#ifndef CORDON_ARCHIVE_TAR_H_
#define CORDON_ARCHIVE_TAR_H_

// Trees as tar streams, by libarchive: pax when they are written; ustar, pax and GNU's, plain or
// compressed by gzip or zstd, when they are read. What is read is hostile.

#include <memory>
#include <span>
#include <string>

#include "archive/entry.h"
#include "archive/stream.h"
#include "base/error.h"

struct archive;

namespace cordon::archive {

class TarWriter {
 public:
  explicit TarWriter(ByteSink& sink);
  ~TarWriter();
  TarWriter(const TarWriter&) = delete;
  TarWriter& operator=(const TarWriter&) = delete;

  [[nodiscard]] Status Add(const Entry& entry);
  // Of the file that was added last.
  [[nodiscard]] Status Data(std::span<const std::byte> bytes);
  [[nodiscard]] Status Finish();

 private:
  struct Output;
  [[nodiscard]] Status Failed() const;

  std::unique_ptr<Output> output_;
  struct archive* archive_;
};

// Visits every entry, in the archive's order. Refused are: paths that lead out of the tree, entries
// below a link of the archive, hard links to what the archive has not brought before, and more than
// the limits. Devices are left out and reported.
enum class Compression { kNone, kAny };
[[nodiscard]] Status ReadTar(ByteSource& source, Compression compression, const TreeLimits& limits,
                             EntryVisitor& visitor, Skipped* skipped);

}  // namespace cordon::archive

#endif  // CORDON_ARCHIVE_TAR_H_

#ifndef CORDON_ARCHIVE_TAR_H_
#define CORDON_ARCHIVE_TAR_H_

// Trees as tar streams, by libarchive: pax when they are written; ustar, pax and GNU's, plain or
// compressed by gzip or zstd, when they are read. What is read is hostile: a sandbox's keeper has
// it read by a process that is locked in (unpacker_process.h), and decides itself (tree_checker.h).

#include <memory>
#include <span>
#include <string>

#include "archive/entry.h"
#include "archive/raw_entry.h"
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
  // Nothing more is written, not even what the file that was added last still lacks.
  void Abandon();

 private:
  struct Output;
  [[nodiscard]] Status Failed() const;

  std::unique_ptr<Output> output_;
  struct archive* archive_;
};

// What is to be read.
struct ReadJob {
  std::span<const std::byte> bytes;  // a part of a file
  int fd = -1;                       // that file; who reads in this process needs none
  uint64_t offset = 0;               // of the bytes in it
  enum class Form : uint32_t {
    kAny,    // a tar, plain or compressed
    kPlain,  // a tar and nothing else
    kZstd,   // the same in zstd
  } form = Form::kAny;
  enum class Wanted : uint32_t {
    kEverything,
    kNames,  // what is in files is read and not told
    kTar,    // the plain tar itself, into `to`; of entries nothing is told
  } wanted = Wanted::kEverything;
  struct Place {
    int fd = -1;
    uint64_t bytes = 0;  // for more there is no room: kLimit
  } to;
  // Of a tar with what is behind its end. Where the form is kAny, neither is looked at.
  uint64_t most_plain_bytes = UINT64_MAX;
  bool hashes = false;
};

// Reads a tar to its end.
class TarReader {
 public:
  virtual ~TarReader() = default;
  // "sha256:…" of the plain tar with everything behind its end, if that was wanted.
  [[nodiscard]] virtual Result<std::string> Read(const ReadJob& job, RawVisitor& visitor) const = 0;
};

// In this process: for one that is locked in, and for tests.
class OwnTarReader final : public TarReader {
 public:
  [[nodiscard]] Result<std::string> Read(const ReadJob& job, RawVisitor& visitor) const override;
};

// What the reader says of the tar, as entries, in the archive's order.
[[nodiscard]] Result<std::string> ReadTree(const TarReader& reader, const ReadJob& job,
                                           const TreeLimits& limits, EntryVisitor& visitor,
                                           Skipped* skipped);

}  // namespace cordon::archive

#endif  // CORDON_ARCHIVE_TAR_H_

#include "client/archive.h"

#include <sys/mman.h>
#include <sys/stat.h>

#include <algorithm>
#include <utility>

#include "base/memory_file.h"
#include "base/write_all.h"

namespace cordon::client {
namespace {

// The first `size` bytes of a sealed file.
Status Pour(int file, uint64_t size, const Sink& sink) {
  struct stat stat = {};
  if (fstat(file, &stat) != 0) return SystemError("fstat(archive)");
  if (static_cast<uint64_t>(stat.st_size) < size) {
    return Fail(ErrorCode::kCorrupt, "the daemon's archive was cut");
  }
  if (size == 0) return {};
  void* at = mmap(nullptr, size, PROT_READ, MAP_SHARED | MAP_POPULATE, file, 0);
  if (at == MAP_FAILED) return SystemError("mmap(archive)");
  Status done;
  std::string_view left(static_cast<const char*>(at), size);
  while (done && !left.empty()) {
    done = sink(left.substr(0, kPiece));
    left.remove_prefix(std::min(left.size(), kPiece));
  }
  (void)munmap(at, size);
  return done;
}

}  // namespace

Result<TransferReport> TakeArchive(const std::shared_ptr<Connection>& connection,
                                   const std::string& id, const Json& report, const Sink& sink) {
  const Json blob = report.value("blobId", Json());
  const auto size = report.value("size", uint64_t{0});
  const Result<OwnedFd> file = AskTaking(connection, id, "blob.take", {{"blobId", blob}});
  const Status done = file ? Pour(file->get(), size, sink) : std::unexpected(file.error());
  (void)AskDone(connection, id, "blob.free", {{"blobId", blob}});
  if (!done) return std::unexpected(done.error());
  return ReportOf(report);
}

Result<Json> GiveArchive(const std::shared_ptr<Connection>& connection, const std::string& id,
                         const Source& source) {
  const Result<OwnedFd> file = NewMemoryFile("cordon-archive");
  if (!file) return std::unexpected(file.error());
  for (;;) {
    const Result<std::string> bytes = source();
    if (!bytes) return std::unexpected(bytes.error());
    if (bytes->empty()) break;
    CORDON_TRY(WriteAll(file->get(), *bytes, "archive"));
  }
  CORDON_TRY(SealMemoryFile(file->get()));
  const Result<Json> given =
      AskOf(connection, id, "blob.give", Json::object(), {.given = file->get()});
  return Then(given, [](const Json& answer) { return answer.value("blobId", Json()); });
}

}  // namespace cordon::client

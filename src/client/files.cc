// Files and archives of one sandbox.

#include <sys/mman.h>
#include <sys/stat.h>

#include <algorithm>
#include <utility>

#include "base/memory_file.h"
#include "base/write_all.h"
#include "client/ask.h"

namespace cordon {

using client::AskDone;
using client::AskOf;
using client::Connection;
using client::Json;
using client::Then;

namespace {

FileInfo InfoOf(const Json& json) {
  using Type = FileInfo::Type;
  const std::string type = json.value("type", "");
  FileInfo info = {
      .name = client::TextOf(json, "name"),
      .type = type == "file"      ? Type::kFile
              : type == "dir"     ? Type::kDirectory
              : type == "symlink" ? Type::kSymlink
                                  : Type::kOther,
      .size = json.value("size", uint64_t{0}),
      .mode = json.value("mode", uint32_t{0}),
      .mtime_ms = json.value("mtimeMs", int64_t{0}),
      .target = client::TextOf(json, "target"),
  };
  return info;
}

TransferReport ReportOf(const Json& json) {
  TransferReport report = {
      .entries = json.value("entries", uint64_t{0}),
      .digest = json.value("digest", ""),
      .skipped = {},
      .skipped_count = json.value("skippedCount", uint64_t{0}),
  };
  for (const Json& one : json.value("skipped", Json::array())) {
    report.skipped.push_back(one.is_string() ? one.get<std::string>() : one.dump());
  }
  return report;
}

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
    done = sink(left.substr(0, client::kPiece));
    left.remove_prefix(std::min(left.size(), client::kPiece));
  }
  (void)munmap(at, size);
  return done;
}

// An archive on its way out, which is freed whatever happens.
Result<TransferReport> Take(const std::shared_ptr<Connection>& connection, const std::string& id,
                            const Json& report, const Sink& sink) {
  const Json blob = report.value("blobId", Json());
  const auto size = report.value("size", uint64_t{0});
  const Result<OwnedFd> file = client::AskTaking(connection, id, "blob.take", {{"blobId", blob}});
  const Status done = file ? Pour(file->get(), size, sink) : std::unexpected(file.error());
  (void)AskDone(connection, id, "blob.free", {{"blobId", blob}});
  if (!done) return std::unexpected(done.error());
  return ReportOf(report);
}

// An archive on its way in: its number.
Result<Json> Give(const std::shared_ptr<Connection>& connection, const std::string& id,
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
  const Result<Json> given = client::AskGiving(connection, id, "blob.give", file->get());
  return client::Then(given, [](const Json& answer) { return answer.value("blobId", Json()); });
}

}  // namespace

Result<std::string> Sandbox::ReadFile(const std::string& path, uint64_t offset,
                                      std::optional<uint64_t> length) {
  std::string bytes;
  while (!length || bytes.size() < *length) {
    const uint64_t wanted =
        std::min<uint64_t>(client::kPiece, length.value_or(UINT64_MAX) - bytes.size());
    const Result<Json> piece =
        AskOf(connection_, id_, "files.read",
              {{"path", path}, {"offset", offset + bytes.size()}, {"length", wanted}});
    if (!piece) return std::unexpected(piece.error());
    const std::string data = client::TextOf(*piece, "data");
    bytes += data;
    if (data.size() < wanted) break;
  }
  return bytes;
}

// A file of several pieces is built beside its place.
Status Sandbox::WriteFile(const std::string& path, std::string_view bytes,
                          std::optional<uint32_t> mode) {
  Json params = {{"path", path}};
  if (mode) params["mode"] = *mode;
  if (bytes.size() <= client::kPiece) {
    params["data"] = client::BytesOf(bytes);
    return AskDone(connection_, id_, "files.write", std::move(params));
  }
  const std::string beside = path + ".cordon-part";
  params["path"] = beside;
  params["data"] = client::BytesOf({});
  CORDON_TRY(AskDone(connection_, id_, "files.write", std::move(params)));
  Status done = AppendFile(beside, bytes);
  if (done) done = Rename(beside, path);
  if (!done) (void)Remove(beside);
  return done;
}

Status Sandbox::ReadFileTo(const std::string& path, const Sink& sink) {
  for (uint64_t at = 0;;) {
    const Result<Json> piece = AskOf(connection_, id_, "files.read",
                                     {{"path", path}, {"offset", at}, {"length", client::kPiece}});
    if (!piece) return std::unexpected(piece.error());
    const std::string data = client::TextOf(*piece, "data");
    if (!data.empty()) CORDON_TRY(sink(data));
    if (data.size() < client::kPiece) return {};
    at += data.size();
  }
}

Status Sandbox::WriteFileFrom(const std::string& path, const Source& source,
                              std::optional<uint32_t> mode) {
  const std::string beside = path + ".cordon-part";
  Status done = WriteFile(beside, {}, mode);
  while (done) {
    const Result<std::string> bytes = source();
    if (!bytes) {
      done = std::unexpected(bytes.error());
    } else if (bytes->empty()) {
      done = Rename(beside, path);
      if (done) return done;
    } else {
      done = AppendFile(beside, *bytes);
    }
  }
  (void)Remove(beside);
  return done;
}

Status Sandbox::AppendFile(const std::string& path, std::string_view bytes) {
  do {
    const std::string_view piece = bytes.substr(0, client::kPiece);
    CORDON_TRY(AskDone(connection_, id_, "files.write",
                       {{"path", path}, {"data", client::BytesOf(piece)}, {"append", true}}));
    bytes.remove_prefix(piece.size());
  } while (!bytes.empty());
  return {};
}

Result<std::vector<FileInfo>> Sandbox::List(const std::string& path) {
  return Then(AskOf(connection_, id_, "files.list", {{"path", path}}), [](const Json& answer) {
    std::vector<FileInfo> entries;
    for (const Json& one : answer.value("entries", Json::array())) entries.push_back(InfoOf(one));
    return entries;
  });
}

Result<FileInfo> Sandbox::Stat(const std::string& path) {
  return Then(AskOf(connection_, id_, "files.stat", {{"path", path}}), InfoOf);
}

Status Sandbox::MakeDirectory(const std::string& path, uint32_t mode) {
  return AskDone(connection_, id_, "files.mkdir", {{"path", path}, {"mode", mode}});
}

Status Sandbox::Remove(const std::string& path) {
  return AskDone(connection_, id_, "files.rm", {{"path", path}});
}

Status Sandbox::Rename(const std::string& from, const std::string& to) {
  return AskDone(connection_, id_, "files.rename", {{"from", from}, {"to", to}});
}

Status Sandbox::Copy(const std::string& from, const std::string& to) {
  return AskDone(connection_, id_, "files.copy", {{"from", from}, {"to", to}});
}

Status Sandbox::Symlink(const std::string& target, const std::string& path) {
  return AskDone(connection_, id_, "files.symlink", {{"target", target}, {"path", path}});
}

Status Sandbox::Chmod(const std::string& path, uint32_t mode) {
  return AskDone(connection_, id_, "files.chmod", {{"path", path}, {"mode", mode}});
}

Result<TransferReport> Sandbox::Pack(const std::string& path, const Sink& sink) {
  const Result<Json> report = AskOf(connection_, id_, "files.pack", {{"path", path}});
  if (!report) return std::unexpected(report.error());
  return Take(connection_, id_, *report, sink);
}

Result<TransferReport> Sandbox::Unpack(const std::string& path, const Source& source) {
  const Result<Json> blob = Give(connection_, id_, source);
  if (!blob) return std::unexpected(blob.error());
  return Then(AskOf(connection_, id_, "files.unpack", {{"path", path}, {"blobId", *blob}}),
              ReportOf);
}

Result<TransferReport> Sandbox::Export(const Sink& sink) {
  const Result<Json> report = AskOf(connection_, id_, "persistence.export");
  if (!report) return std::unexpected(report.error());
  return Take(connection_, id_, *report, sink);
}

Result<TransferReport> Sandbox::ExportTo(int file) {
  return Then(client::AskGiving(connection_, id_, "persistence.export", file, {{"intoFile", true}}),
              ReportOf);
}

Result<TransferReport> Sandbox::Import(const Source& source, ImportMode mode) {
  const Result<Json> blob = Give(connection_, id_, source);
  if (!blob) return std::unexpected(blob.error());
  const char* how = mode == ImportMode::kMerge ? "merge" : "replace";
  return Then(AskOf(connection_, id_, "persistence.import", {{"blobId", *blob}, {"mode", how}}),
              ReportOf);
}

Result<bool> Sandbox::Save() {
  return Then(AskOf(connection_, id_, "persistence.save"),
              [](const Json& answer) { return answer.value("changed", false); });
}

Result<bool> Sandbox::Load() {
  return Then(AskOf(connection_, id_, "persistence.load"),
              [](const Json& answer) { return answer.value("loaded", false); });
}

}  // namespace cordon

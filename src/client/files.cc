// Files of one sandbox.

#include <algorithm>
#include <cerrno>
#include <utility>

#include "client/archive.h"
#include "client/ask.h"
#include "cordon/sandbox.h"

namespace cordon {

using client::AskDone;
using client::AskOf;
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

Result<bool> Sandbox::Exists(const std::string& path) {
  const Result<FileInfo> found = Stat(path);
  if (found) return true;
  const int reason = found.error().system_errno;
  if (reason == ENOENT || reason == ENOTDIR) return false;
  return std::unexpected(found.error());
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

Result<Watch> Sandbox::WatchFiles(const std::string& path, FileHandler handler,
                                  const WatchOptions& options) {
  client::Manner manner;
  manner.known = [&](const Json& answer) {
    connection_->listeners().AddWatch(answer.value("watchId", uint32_t{0}), std::move(handler));
  };
  return Then(
      AskOf(connection_, id_, "files.watch", {{"path", path}, {"recursive", options.recursive}},
            manner),
      [&](const Json& answer) { return Watch(connection_, answer.value("watchId", uint32_t{0})); });
}

Watch& Watch::operator=(Watch&& other) noexcept {
  std::swap(connection_, other.connection_);
  std::swap(id_, other.id_);
  return *this;
}

Watch::~Watch() {
  if (connection_) (void)Stop();
}

Status Watch::Stop() {
  if (!connection_) return {};
  const Result<Json> done = connection_->Ask("files.unwatch", {{"watchId", id_}});
  connection_->listeners().ForgetWatch(id_);
  connection_.reset();
  return done ? Status() : std::unexpected(done.error());
}

Result<TransferReport> Sandbox::Pack(const std::string& path, const Sink& sink) {
  const Result<Json> report = AskOf(connection_, id_, "files.pack", {{"path", path}});
  if (!report) return std::unexpected(report.error());
  return client::TakeArchive(connection_, id_, *report, sink);
}

Result<TransferReport> Sandbox::Unpack(const std::string& path, const Source& source) {
  const Result<Json> blob = client::GiveArchive(connection_, id_, source);
  if (!blob) return std::unexpected(blob.error());
  return Then(AskOf(connection_, id_, "files.unpack", {{"path", path}, {"blobId", *blob}}),
              client::ReportOf);
}

}  // namespace cordon

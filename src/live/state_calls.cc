#include "live/state_calls.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <nlohmann/json.hpp>
#include <vector>

#include "archive/sealed_bytes.h"
#include "archive/stream.h"
#include "archive/unpacker_process.h"
#include "base/fd_message.h"
#include "base/memory_file.h"
#include "live/tree_transfer.h"

namespace cordon::live {
namespace {

using Json = nlohmann::json;

constexpr size_t kMostBlobs = 8;

std::string Dump(const Json& value) {
  return value.dump(-1, ' ', false, Json::error_handler_t::replace);
}

FileAnswer Refused(const Error& error) {
  if (error.system_errno != 0) return {-error.system_errno, error.ToString()};
  return {error.code == ErrorCode::kLimit ? -EFBIG : -EINVAL, error.ToString()};
}

Json ReportOf(const TransferReport& report) {
  Json json = {{"size", report.size},
               {"entries", report.entries},
               {"skipped", report.skipped.names()},
               {"skippedCount", report.skipped.count()}};
  if (!report.digest.empty()) json["digest"] = report.digest;
  return json;
}

// With what the session of the image knew.
Json ReportOf(const TransferReport& report, const archive::ImageConfig& config) {
  Json json = ReportOf(report);
  json["environment"] = config.environment;
  json["directory"] = config.directory;
  if (!config.session.empty()) {
    json["session"] = Json::parse(config.session, nullptr, /*allow_exceptions=*/false);
  }
  return json;
}

archive::ImageConfig ConfigOf(const std::string& payload) {
  archive::ImageConfig config;
  const Json json = Json::parse(payload, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return config;
  config.directory = json.value("directory", "");
  config.environment = json.value("environment", std::vector<std::string>());
  const auto session = json.find("session");
  if (session != json.end() && session->is_object()) config.session = Dump(*session);
  return config;
}

bool IsPath(const std::string& path) {
  return path.starts_with('/') && path.find('\0') == std::string::npos;
}

}  // namespace

uint64_t StateCalls::BytesLeft() const {
  uint64_t taken = 0;
  for (const auto& [id, blob] : blobs_) taken += blob.size;
  const uint64_t most = MostArchiveBytes(options_);
  return most - std::min(taken, most);
}

Result<int64_t> StateCalls::NewBlob() {
  if (blobs_.size() >= kMostBlobs) {
    return Fail(ErrorCode::kLimit, "more than 8 archives wait to be read or freed");
  }
  Result<OwnedFd> fd = NewMemoryFile("cordon-archive");
  if (!fd) return std::unexpected(fd.error());
  blobs_[++last_id_] = {std::move(*fd), 0};
  return last_id_;
}

Result<StateCalls::Blob*> StateCalls::Find(int64_t id) {
  const auto found = blobs_.find(id);
  if (found == blobs_.end()) {
    return Fail(ErrorCode::kInvalid, "unknown blob " + std::to_string(id));
  }
  return &found->second;
}

Result<StateCalls::Blob> StateCalls::Take(int64_t id) {
  auto node = blobs_.extract(id);
  if (node.empty()) return Fail(ErrorCode::kInvalid, "unknown blob " + std::to_string(id));
  CORDON_TRY(SealMemoryFile(node.mapped().fd.get()));
  return std::move(node.mapped());
}

FileAnswer StateCalls::Write(const Frame& frame) {
  const bool is_new = frame.arg[0] == 0;
  const Result<int64_t> id = is_new ? NewBlob() : Result<int64_t>(frame.arg[0]);
  if (!id) return Refused(id.error());
  const Result<Blob*> blob = Find(*id);
  if (!blob) return Refused(blob.error());
  const uint64_t offset = (*blob)->size;
  archive::FileSink sink((*blob)->fd.get(), offset, offset + BytesLeft());
  const Status put = sink.Write(std::as_bytes(std::span(frame.payload)));
  if (!put) {
    blobs_.erase(*id);
    return Refused(put.error());
  }
  (*blob)->size = sink.offset();
  return {*id, {}};
}

FileAnswer StateCalls::AnswerWithFile(const Frame& frame, int files) {
  if (frame.kind == Kind::kBlobTake) return TakeOut(frame.arg[0], files);
  std::byte nothing{};
  Result<FdMessage> message = ReceiveWithFds(files, {&nothing, 1}, MSG_DONTWAIT);
  if (!message || message->fds.size() != 1) return {-EBADF, "no file came"};
  OwnedFd file = std::move(message->fds[0]);
  return frame.kind == Kind::kBlobGive ? Give(std::move(file)) : ExportTo(file, frame.payload);
}

FileAnswer StateCalls::Give(OwnedFd given) {
  struct stat stat = {};
  if (fstat(given.get(), &stat) != 0) return {-errno, "fstat(archive)"};
  const auto size = static_cast<uint64_t>(std::max<off_t>(stat.st_size, 0));
  const Result<archive::SealedBytes> sealed = archive::SealedBytes::Map(given.get(), size);
  if (!sealed) return {-EINVAL, "an archive is a file in memory that is sealed"};
  if (size > BytesLeft()) return {-EFBIG, "an archive of more bytes than the sandbox may have"};
  const Result<int64_t> id = NewBlob();
  if (!id) return Refused(id.error());
  blobs_[*id] = {std::move(given), size};
  return {*id, {}};
}

FileAnswer StateCalls::TakeOut(int64_t id, int files) {
  const Result<Blob*> blob = Find(id);
  if (!blob) return Refused(blob.error());
  const int fd = (*blob)->fd.get();
  Status done = SealMemoryFile(fd);
  if (done) done = SendWithFds(files, {}, {&fd, 1}, MSG_DONTWAIT);
  return done ? FileAnswer{id, {}} : Refused(done.error());
}

// What a client has opened is no reason to stand still, as a pipe or a device would be.
FileAnswer StateCalls::ExportTo(const OwnedFd& file, const std::string& config) {
  struct stat stat = {};
  if (fstat(file.get(), &stat) != 0) return {-errno, "fstat(file)"};
  const int flags = fcntl(file.get(), F_GETFL);
  const bool is_writable = flags >= 0 && (flags & O_ACCMODE) != O_RDONLY && (flags & O_APPEND) == 0;
  if (!S_ISREG(stat.st_mode) || stat.st_size != 0 || !is_writable) {
    return {-EINVAL, "an export goes into an empty regular file that is open for writing"};
  }
  const Result<TransferReport> report =
      ExportImage(keeper_, ConfigOf(config), file.get(), MostArchiveBytes(options_));
  if (!report) return Refused(report.error());
  return {0, Dump(ReportOf(*report))};
}

FileAnswer StateCalls::Read(const Frame& frame) {
  const Result<Blob*> blob = Find(frame.arg[0]);
  if (!blob) return Refused(blob.error());
  const uint64_t size = (*blob)->size;
  const uint64_t offset = std::min(size, static_cast<uint64_t>(std::max<int64_t>(frame.arg[1], 0)));
  const auto most = static_cast<uint64_t>(std::clamp<int64_t>(frame.arg[2], 0, kMaxPayload));
  std::string bytes(std::min(most, size - offset), '\0');
  archive::FileSource source((*blob)->fd.get(), offset, bytes.size());
  for (size_t done = 0; done < bytes.size();) {
    const Result<size_t> got = source.Read(std::as_writable_bytes(std::span(bytes)).subspan(done));
    if (!got) return Refused(got.error());
    if (*got == 0) return {-EIO, "an archive was cut"};
    done += *got;
  }
  return {static_cast<int64_t>(bytes.size()), std::move(bytes)};
}

// A directory as a tar, or all that is the sandbox's own as an image.
FileAnswer StateCalls::Pack(const Frame& frame) {
  const uint64_t most = BytesLeft();
  const Result<int64_t> id = NewBlob();
  if (!id) return Refused(id.error());
  Blob& blob = blobs_[*id];
  Result<TransferReport> report = Fail(ErrorCode::kInvalid, "no path");
  if (frame.kind == Kind::kExportImage) {
    report = ExportImage(keeper_, ConfigOf(frame.payload), blob.fd.get(), most);
  } else if (IsPath(frame.payload)) {
    report = PackDirectory(keeper_, frame.payload, blob.fd.get(), most);
  }
  if (!report) {
    blobs_.erase(*id);
    return Refused(report.error());
  }
  blob.size = report->size;
  return {*id, Dump(ReportOf(*report))};
}

FileAnswer StateCalls::Unpack(const Frame& frame) {
  const Result<Blob> blob = Take(frame.arg[0]);
  if (!blob) return Refused(blob.error());
  if (!IsPath(frame.payload)) return {-EINVAL, "no path"};
  const Result<TransferReport> report =
      UnpackDirectory(keeper_, frame.payload, blob->fd.get(), blob->size, options_);
  if (!report) return Refused(report.error());
  return {0, Dump(ReportOf(*report))};
}

FileAnswer StateCalls::Import(const Frame& frame) {
  const Result<Blob> blob = Take(frame.arg[0]);
  if (!blob) return Refused(blob.error());
  const archive::UnpackerProcess reader(options_.unpacker_path);
  const Result<archive::ImageReader> image =
      archive::ImageReader::Open(blob->fd.get(), blob->size, MostArchiveBytes(options_), reader);
  if (!image) return Refused(image.error());
  const auto mode = frame.arg[1] == 0 ? ImportMode::kReplace : ImportMode::kMerge;
  const Result<TransferReport> report = ImportImage(keeper_, *image, mode, LimitsOf(options_));
  if (!report) return Refused(report.error());
  if (persistence_ && mode == ImportMode::kReplace) persistence_->Import(image->config());
  return {0, Dump(ReportOf(*report, image->config()))};
}

Status StateCalls::OpenFolder(const std::string& folder) {
  Result<std::unique_ptr<Persistence>> opened = Persistence::Open(folder, keeper_, options_);
  if (!opened) return std::unexpected(opened.error());
  persistence_ = std::move(*opened);
  return {};
}

void StateCalls::Forget() {
  blobs_.clear();
  persistence_.reset();
}

FileAnswer StateCalls::AnswerAboutFolder(const Frame& frame) {
  if (!persistence_) return {-ENOENT, "the sandbox has no folder to be saved in"};
  if (frame.kind == Kind::kClearState) {
    const Status cleared = persistence_->Clear();
    return cleared ? FileAnswer{} : Refused(cleared.error());
  }
  if (frame.kind == Kind::kSaveState) {
    std::optional<archive::ImageConfig> config;
    if (!frame.payload.empty()) config = ConfigOf(frame.payload);
    const Result<bool> saved = persistence_->Save(config);
    return saved ? FileAnswer{*saved ? 1 : 0, {}} : Refused(saved.error());
  }
  const Result<std::optional<Persistence::Loaded>> loaded = persistence_->Load();
  if (!loaded) return Refused(loaded.error());
  if (!*loaded) return {0, {}};
  return {1, Dump(ReportOf((*loaded)->report, (*loaded)->config))};
}

FileAnswer StateCalls::Answer(const Frame& frame) {
  switch (frame.kind) {
    case Kind::kBlobWrite:
      return Write(frame);
    case Kind::kBlobRead:
      return Read(frame);
    case Kind::kBlobFree:
      blobs_.erase(frame.arg[0]);
      return {};
    case Kind::kPackTree:
    case Kind::kExportImage:
      return Pack(frame);
    case Kind::kUnpackTree:
      return Unpack(frame);
    case Kind::kImportImage:
      return Import(frame);
    case Kind::kSaveState:
    case Kind::kLoadState:
    case Kind::kClearState:
      return AnswerAboutFolder(frame);
    default:
      return {-ENOSYS, "request"};
  }
}

}  // namespace cordon::live

#include "client/file_answers.h"

#include <sys/stat.h>

#include <cerrno>
#include <exception>
#include <utility>

#include "kernel/control.h"

namespace cordon::client {
namespace {

using control::FileOp;

constexpr uint64_t kAtTheEnd = UINT64_MAX;
constexpr uint32_t kPermissions = 0777;

uint32_t TypeOf(FileInfo::Type type) {
  switch (type) {
    case FileInfo::Type::kFile:
      return S_IFREG;
    case FileInfo::Type::kDirectory:
      return S_IFDIR;
    case FileInfo::Type::kSymlink:
      return S_IFLNK;
    case FileInfo::Type::kOther:
      break;
  }
  return 0;  // which the other side refuses
}

template <typename T>
void Append(std::string* bytes, const T& value) {
  bytes->append(reinterpret_cast<const char*>(&value), sizeof value);
}

}  // namespace

std::string FileAnswers::Answer(const FileRequest& request) {
  Result<Body> body = SystemError("the file system threw", EIO);
  try {
    const std::scoped_lock guard(lock_);
    body = Do(request);
  } catch (...) {
    // Whatever it was, nobody above could say more of it than EIO.
    body = SystemError("the file system threw", EIO);
  }
  if (!body) {
    const int reason = body.error().system_errno;
    body = Body{.result = reason > 0 ? -reason : -EIO, .data = {}};
  }
  live::ClientFileAnswerHead head = {
      .bytes = static_cast<uint32_t>(sizeof head - sizeof head.bytes + body->data.size()),
      .number = request.head.number,
      .result = body->result};
  std::string frame;
  frame.reserve(sizeof head + body->data.size());
  Append(&frame, head);
  return frame += body->data;
}

Result<FileAnswers::Body> FileAnswers::Do(const FileRequest& request) {
  const auto& [head, path, data] = request;
  const auto done = [](const Status& status) {
    return status ? Result<Body>(Body{}) : std::unexpected(status.error());
  };
  const auto op = static_cast<FileOp>(head.op);
  if (op > FileOp::kList && !is_writable_) return SystemError(path, EROFS);
  switch (op) {
    case FileOp::kStat:
      return Stat(path);
    case FileOp::kReadLink: {
      Result<std::string> target = files_->ReadLink(path);
      if (!target) return std::unexpected(target.error());
      return Body{static_cast<int64_t>(target->size()), std::move(*target)};
    }
    case FileOp::kRead: {
      Result<std::string> bytes = files_->Read(path, head.offset, head.count);
      if (!bytes) return std::unexpected(bytes.error());
      return Body{static_cast<int64_t>(bytes->size()), std::move(*bytes)};
    }
    case FileOp::kList:
      return List(path);
    case FileOp::kWrite:
      return Write(request);
    case FileOp::kCreate:
      return Create(request);
    case FileOp::kSymlink:
      return done(files_->Symlink(std::string(data), path));
    case FileOp::kRemoveFile:
      return done(files_->Unlink(path));
    case FileOp::kRemoveDirectory:
      return done(files_->RemoveDirectory(path));
    case FileOp::kRename:
      return Rename(request);
    case FileOp::kTruncate:
      return done(files_->Truncate(path, head.offset));
    case FileOp::kSetMode:
      return done(files_->Chmod(path, static_cast<uint32_t>(head.argument) & kPermissions));
    case FileOp::kSetTimes:
      return done(files_->SetTimes(path, static_cast<int64_t>(head.offset),
                                   static_cast<int64_t>(head.argument)));
    case FileOp::kSpace:
      break;
  }
  return SystemError("an operation that is not known", ENOSYS);
}

Result<FileAnswers::Body> FileAnswers::Stat(const std::string& path) {
  Result<FileStat> found = files_->Stat(path);
  // What is mounted is a directory, whether the file system thinks of that or not.
  if (!found && path.empty() && found.error().system_errno == ENOENT) {
    found = FileStat{.type = FileInfo::Type::kDirectory, .mode = {}};
  }
  if (!found) return std::unexpected(found.error());
  const bool is_directory = found->type == FileInfo::Type::kDirectory;
  const uint32_t most = is_directory ? 0755 : 0644;
  const uint32_t usual = is_writable_ ? most : most & 0555;
  const live::ClientFileStat stat = {.type = TypeOf(found->type),
                                     .permissions = found->mode.value_or(usual) & kPermissions,
                                     .size = found->size,
                                     .mtime_ns = found->mtime_ns};
  Body body;
  Append(&body.data, stat);
  return body;
}

Result<FileAnswers::Body> FileAnswers::List(const std::string& path) {
  const Result<std::vector<DirectoryEntry>> entries = files_->List(path);
  if (!entries) return std::unexpected(entries.error());
  Body body;
  for (const DirectoryEntry& one : *entries) {
    Append(&body.data, live::ClientFileEntry{.type = TypeOf(one.type),
                                             .name_bytes = static_cast<uint32_t>(one.name.size())});
    body.data += one.name;
  }
  return body;
}

Result<FileAnswers::Body> FileAnswers::Write(const FileRequest& request) {
  uint64_t offset = request.head.offset;
  if (offset == kAtTheEnd) {
    const Result<FileStat> now = files_->Stat(request.path);
    if (!now) return std::unexpected(now.error());
    offset = now->size;
  }
  const Result<uint32_t> written = files_->Write(request.path, offset, request.data);
  if (!written) return std::unexpected(written.error());
  Body body = {.result = *written, .data = {}};
  Append(&body.data, offset + *written);
  return body;
}

Result<FileAnswers::Body> FileAnswers::Create(const FileRequest& request) {
  const auto mode = static_cast<uint32_t>(request.head.argument);
  const Status made = S_ISDIR(mode) ? files_->MakeDirectory(request.path, mode & kPermissions)
                                    : files_->Create(request.path, mode & kPermissions);
  if (!made) return std::unexpected(made.error());
  return Body{};
}

Result<FileAnswers::Body> FileAnswers::Rename(const FileRequest& request) {
  const std::string to(request.data);
  const bool may_replace = request.head.argument != 1;
  if (!may_replace) {
    const Result<FileStat> there = files_->Stat(to);
    if (there) return SystemError(to, EEXIST);
    if (there.error().system_errno != ENOENT) return std::unexpected(there.error());
  }
  CORDON_TRY(files_->Rename(request.path, to));
  return Body{};
}

}  // namespace cordon::client

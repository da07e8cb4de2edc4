#include "archive/image_folder.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <memory>

#include "archive/oci_names.h"

namespace cordon::archive {
namespace {

constexpr mode_t kFolderMode = 0700;
constexpr mode_t kFileMode = 0600;
constexpr const char* kNewFile = ".new";

Result<OwnedFd> OpenFolder(int at, const char* name, const std::string& path) {
  if (mkdirat(at, name, kFolderMode) != 0 && errno != EEXIST) {
    return SystemError("mkdir(" + path + ")");
  }
  OwnedFd folder(openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!folder.valid()) return SystemError("open(" + path + ")");
  struct stat stat = {};
  if (fstat(folder.get(), &stat) != 0) return SystemError("fstat(" + path + ")");
  if (stat.st_uid != geteuid() || (stat.st_mode & 077) != 0) {
    return Fail(ErrorCode::kInvalid, "must belong to this user alone (mode 0700)", path);
  }
  return folder;
}

// Names in a folder, but those with a dot first.
std::vector<std::string> NamesIn(int folder) {
  std::vector<std::string> names;
  // A descriptor of its own, whose offset nobody shares.
  const int own = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  const std::unique_ptr<DIR, int (*)(DIR*)> entries(own < 0 ? nullptr : fdopendir(own), closedir);
  while (const dirent* entry = entries ? readdir(entries.get()) : nullptr) {
    if (entry->d_name[0] != '.') names.emplace_back(entry->d_name);
  }
  std::ranges::sort(names);
  return names;
}

Status AddNamed(TarWriter& tar, int folder, const std::string& name, const std::string& path) {
  const OwnedFd file(openat(folder, name.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
  struct stat stat = {};
  if (!file.valid() || fstat(file.get(), &stat) != 0) return SystemError("open(" + path + ")");
  if (!S_ISREG(stat.st_mode)) return Fail(ErrorCode::kCorrupt, "is no file", path);
  return AddFile(tar, path, file.get(), static_cast<uint64_t>(stat.st_size));
}

// Until it is on the disk.
Status WriteAndSync(const OwnedFd& file, const std::string& path, ByteSource& bytes) {
  FileSink sink(file.get(), 0, UINT64_MAX);
  std::vector<std::byte> piece(size_t{1} << 20);
  for (;;) {
    const Result<size_t> got = bytes.Read(piece);
    if (!got) return std::unexpected(got.error());
    if (*got == 0) break;
    CORDON_TRY(sink.Write(std::span(piece).first(*got)));
  }
  if (fsync(file.get()) != 0) return SystemError("fsync(" + path + ")");
  return {};
}

// Writes a file under another name, has it on the disk, and gives it its own. Nothing is left of
// what could not be written: a disk may be full of it.
Status Put(int folder, const std::string& name, const std::string& path, ByteSource& bytes) {
  const OwnedFd file(
      openat(folder, kNewFile, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, kFileMode));
  if (!file.valid()) return SystemError("open(" + path + ")");
  Status put = WriteAndSync(file, path, bytes);
  if (put && renameat(folder, kNewFile, folder, name.c_str()) != 0) {
    put = SystemError("rename(" + path + ")");
  }
  if (!put) (void)unlinkat(folder, kNewFile, 0);
  return put;
}

}  // namespace

Result<ImageFolder> ImageFolder::Open(const std::string& path) {
  std::error_code error;
  std::filesystem::create_directories(std::filesystem::path(path).parent_path(), error);
  if (error) return SystemError("mkdir(" + path + ")", error.value());
  ImageFolder folder;
  folder.path_ = path;
  Result<OwnedFd> top = OpenFolder(AT_FDCWD, path.c_str(), path);
  if (!top) return std::unexpected(top.error());
  if (flock(top->get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return SystemError("flock(" + path + ")");
    return Fail(ErrorCode::kInvalid, "another sandbox has this namespace", path);
  }
  struct stat stat = {};
  if (fstat(top->get(), &stat) != 0) return SystemError("fstat(" + path + ")");
  if (stat.st_nlink == 0) {
    return Fail(ErrorCode::kInvalid, "was just removed by somebody else", path);
  }
  folder.folder_ = std::move(*top);
  const Result<OwnedFd> outer = OpenFolder(folder.folder_.get(), "blobs", path + "/blobs");
  if (!outer) return std::unexpected(outer.error());
  Result<OwnedFd> blobs = OpenFolder(outer->get(), "sha256", path + "/blobs/sha256");
  if (!blobs) return std::unexpected(blobs.error());
  folder.blobs_ = std::move(*blobs);
  if (fsync(outer->get()) != 0) return SystemError("fsync(" + path + "/blobs)");
  // Of who was killed in the middle.
  for (const int of : {folder.folder_.get(), folder.blobs_.get()}) {
    (void)unlinkat(of, kNewFile, 0);
  }
  return folder;
}

bool ImageFolder::HasImage() const {
  return faccessat(folder_.get(), oci::kIndexFile, F_OK, 0) == 0;
}

Result<uint64_t> ImageFolder::Pack(int fd, uint64_t most_bytes) const {
  FileSink file(fd, 0, most_bytes);
  TarWriter tar(file);
  CORDON_TRY(AddNamed(tar, folder_.get(), oci::kLayoutFile, oci::kLayoutFile));
  CORDON_TRY(AddNamed(tar, folder_.get(), oci::kIndexFile, oci::kIndexFile));
  for (const std::string& name : NamesIn(blobs_.get())) {
    CORDON_TRY(AddNamed(tar, blobs_.get(), name, oci::kBlobFolder + name));
  }
  CORDON_TRY(tar.Finish());
  return file.offset();
}

Status ImageFolder::PutBlob(const std::string& digest, ByteSource& bytes) const {
  return Put(blobs_.get(), BlobName(digest), path_ + "/" + BlobPath(digest), bytes);
}

Status ImageFolder::PutText(const std::string& name, const std::string& text) const {
  MemorySource source(text);
  return Put(folder_.get(), name, path_ + "/" + name, source);
}

void ImageFolder::RemoveOthers(const std::vector<std::string>& blobs) const {
  for (const std::string& name : NamesIn(blobs_.get())) {
    if (std::ranges::find(blobs, name) == blobs.end()) {
      (void)unlinkat(blobs_.get(), name.c_str(), 0);
    }
  }
}

Status ImageFolder::PutImage(const ImageTexts& texts, const Layer* newest) const {
  if (newest != nullptr) {
    FileSource bytes(newest->fd.get(), 0, newest->name.size);
    CORDON_TRY(PutBlob(newest->name.digest, bytes));
  }
  MemorySource config_text(texts.config);
  MemorySource manifest_text(texts.manifest);
  CORDON_TRY(PutBlob(texts.config_digest, config_text));
  CORDON_TRY(PutBlob(texts.manifest_digest, manifest_text));
  if (fsync(blobs_.get()) != 0) return SystemError("fsync(" + path_ + "/blobs/sha256)");
  if (!HasImage()) CORDON_TRY(PutText(oci::kLayoutFile, texts.layout));
  return PutText(oci::kIndexFile, texts.index);
}

Status ImageFolder::Commit(std::vector<LayerName> layers, const Layer* newest,
                           const ImageConfig& config) {
  const Result<ImageTexts> texts = DescribeImage(config, layers);
  if (!texts) return std::unexpected(texts.error());
  const std::vector<std::string> before = NamesIn(blobs_.get());
  if (const Status put = PutImage(*texts, newest); !put) {
    RemoveOthers(before);
    return put;
  }
  if (fsync(folder_.get()) != 0) return SystemError("fsync(" + path_ + ")");
  std::vector<std::string> named = {BlobName(texts->config_digest),
                                    BlobName(texts->manifest_digest)};
  for (const LayerName& layer : layers) named.push_back(BlobName(layer.digest));
  RemoveOthers(named);
  layers_ = std::move(layers);
  return {};
}

Status ImageFolder::Clear() {
  // First what names the others: without it there is no image.
  for (const char* name : {oci::kIndexFile, oci::kLayoutFile}) {
    if (unlinkat(folder_.get(), name, 0) != 0 && errno != ENOENT) {
      return SystemError("unlink(" + path_ + "/" + name + ")");
    }
  }
  if (fsync(folder_.get()) != 0) return SystemError("fsync(" + path_ + ")");
  RemoveOthers({});
  layers_.clear();
  return {};
}

}  // namespace cordon::archive

#include "vfs/memory_fs.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "arena/platform.h"
#include "vfs/inode.h"

namespace cordon::vfs {
namespace {

constexpr uint64_t kSecond = 1'000'000'000;
constexpr uint32_t kFilesLimit = 1u << 2;  // control::kLimitFiles

CopyFunction copy_function = [](void* to, const void* from, uint64_t size) {
  memcpy(to, from, size);
  return 0;
};

Time TimeOf(uint64_t ns) {
  return {static_cast<int64_t>(ns / kSecond), static_cast<uint32_t>(ns % kSecond)};
}
uint64_t NsOf(const Time& time) {
  return static_cast<uint64_t>(time.seconds) * kSecond + time.nanoseconds;
}

bool InGroup(const Credentials& who, uint32_t gid) {
  return who.gid == gid ||
         std::find(who.groups, who.groups + who.group_count, gid) != who.groups + who.group_count;
}

}  // namespace

void SetCopyFunction(CopyFunction copy) {
  copy_function = copy;
}
int Copy(void* to, const void* from, uint64_t size) {
  return copy_function(to, from, size);
}

MemoryFs* MemoryFs::Create(Arena* objects, Arena* blocks, const Image* image,
                           const Quotas& quotas) {
  void* memory = objects->Allocate(sizeof(MemoryFs));
  if (memory == nullptr) return nullptr;
  auto* fs = new (memory) MemoryFs(objects, blocks, image, quotas);
  Credentials root;
  fs->root_ = image != nullptr ? fs->FromImage(0) : fs->NewInode(S_IFDIR | 0755, root);
  if (fs->root_ == nullptr) return nullptr;
  if (image == nullptr) fs->root_->links = 2;
  return fs->PopulateDevices() == 0 ? fs : nullptr;
}

int MemoryFs::PopulateDevices() {
  struct Row {
    const char* name;
    uint32_t mode;
    uint64_t rdev;
    const char* target;
  };
  constexpr Row kRows[] = {
      {"null", S_IFCHR | 0666, 1 << 8 | 3, nullptr},
      {"zero", S_IFCHR | 0666, 1 << 8 | 5, nullptr},
      {"full", S_IFCHR | 0666, 1 << 8 | 7, nullptr},
      {"random", S_IFCHR | 0666, 1 << 8 | 8, nullptr},
      {"urandom", S_IFCHR | 0666, 1 << 8 | 9, nullptr},
      {"tty", S_IFCHR | 0666, 5 << 8, nullptr},
      {"fd", 0, 0, "/proc/self/fd"},
      {"stdin", 0, 0, "/proc/self/fd/0"},
      {"stdout", 0, 0, "/proc/self/fd/1"},
      {"stderr", 0, 0, "/proc/self/fd/2"},
      {"shm", S_IFDIR | 01777, 0, nullptr},
  };
  const Credentials root;
  const auto root_id = reinterpret_cast<uint64_t>(root_);
  Node dev;
  int error = Lookup(root, root_id, "dev", &dev);
  if (error == -ENOENT) error = Create(root, root_id, "dev", S_IFDIR | 0755, 0, &dev);
  if (error != 0) return error;
  for (const Row& row : kRows) {
    if (row.target != nullptr) {
      error = Symlink(root, dev.id, row.name, row.target);
    } else {
      Node made;
      error = Create(root, dev.id, row.name, row.mode, row.rdev, &made);
      if (error == 0) Release(made.id);
    }
    if (error != 0) break;
  }
  Release(dev.id);
  return error;
}

Inode* MemoryFs::NewInode(uint32_t mode, const Credentials& who) {
  if (files_.fetch_add(1) >= quotas_.max_files) {
    files_.fetch_sub(1);
    if (quotas_.limits_met != nullptr) quotas_.limits_met->fetch_or(kFilesLimit);
    return nullptr;
  }
  auto* inode = objects_->New<Inode>();
  if (inode == nullptr) {
    files_.fetch_sub(1);
    return nullptr;
  }
  inode->mode = mode;
  inode->uid = who.uid;
  inode->gid = who.gid;
  inode->number = next_number_.fetch_add(1);
  inode->atime = inode->mtime = inode->ctime = platform::ClockNs(0);
  if (!S_ISDIR(mode)) inode->contents = {};
  return inode;
}

// Inodes of the image do not count against the quota of files.
Inode* MemoryFs::FromImage(uint32_t number) {
  auto* inode = objects_->New<Inode>();
  if (inode == nullptr) return nullptr;
  const ImageInode& lower = image_->inode(number);
  files_.fetch_add(1);
  quotas_.max_files += 1;
  inode->mode = lower.mode;
  inode->uid = lower.uid;
  inode->gid = lower.gid;
  inode->number = next_number_.fetch_add(1);
  inode->links = lower.links;
  inode->size = S_ISDIR(lower.mode) ? 0 : lower.size;
  inode->atime = inode->mtime = inode->ctime = static_cast<uint64_t>(lower.mtime) * kSecond;
  inode->image = number;
  if (S_ISDIR(lower.mode)) {
    inode->directory.in_image = true;
  } else {
    inode->contents = {};
  }
  return inode;
}

void MemoryFs::Free(Inode* inode) {
  if (inode->attachment.object != nullptr) inode->attachment.release(inode->attachment.object);
  if (S_ISREG(inode->mode)) FileData(*this, *inode).Clear();
  if (S_ISLNK(inode->mode) && inode->image == kNoImage) objects_->Free(inode->target, inode->size);
  if (S_ISDIR(inode->mode) && inode->directory.capacity > 0) {
    objects_->Free(inode->directory.entries, inode->directory.capacity * sizeof(DirectoryEntry));
    objects_->Free(inode->directory.table, inode->directory.capacity * 2 * sizeof(uint32_t));
  }
  files_.fetch_sub(1);
  objects_->Delete(inode);
}

void MemoryFs::Unref(Inode* inode) {
  if (inode->references.fetch_sub(1) == 1) Free(inode);
}

Node MemoryFs::Root() {
  root_->references.fetch_add(1);
  return {this, reinterpret_cast<uint64_t>(root_)};
}
void MemoryFs::Reference(uint64_t id) {
  InodeOf(id)->references.fetch_add(1);
}
void MemoryFs::Release(uint64_t id) {
  Unref(InodeOf(id));
}

int MemoryFs::GetStat(uint64_t id, Stat* out) {
  Inode& inode = *InodeOf(id);
  *out = {};
  out->device = 1;
  out->inode = inode.number;
  out->mode = inode.mode;
  out->links = inode.links.load();
  out->uid = inode.uid;
  out->gid = inode.gid;
  out->rdev = inode.rdev;
  out->size = static_cast<int64_t>(S_ISDIR(inode.mode) ? 4096 : inode.size);
  if (S_ISREG(inode.mode)) {
    const MutexLock lock(inode.lock, LockRank::kInode);
    out->size = static_cast<int64_t>(inode.size);
    out->blocks = static_cast<int64_t>((FileData(*this, inode).AllocatedBytes() + 511) / 512);
  }
  out->atime = TimeOf(inode.atime);
  out->mtime = TimeOf(inode.mtime);
  out->ctime = TimeOf(inode.ctime);
  return 0;
}

int MemoryFs::SetAttributes(const Credentials& who, uint64_t id, const Attributes& change) {
  Inode& inode = *InodeOf(id);
  const bool owner = who.uid == 0 || who.uid == inode.uid;
  const uint32_t times = change.fields & (Attributes::kAtime | Attributes::kMtime);
  if (!owner &&
      (times == 0 || (change.fields & Attributes::kTimesNow) == 0 || Access(who, id, 2) != 0))
    return -EPERM;
  if ((change.fields & Attributes::kUid) != 0 && who.uid != 0 && change.uid != inode.uid)
    return -EPERM;
  if ((change.fields & Attributes::kGid) != 0 && who.uid != 0 && !InGroup(who, change.gid))
    return -EPERM;
  const uint64_t now = platform::ClockNs(0);
  if ((change.fields & Attributes::kMode) != 0) inode.mode = (inode.mode & S_IFMT) | change.mode;
  if ((change.fields & Attributes::kUid) != 0) inode.uid = change.uid;
  if ((change.fields & Attributes::kGid) != 0) inode.gid = change.gid;
  const bool use_now = (change.fields & Attributes::kTimesNow) != 0;
  if ((change.fields & Attributes::kAtime) != 0) inode.atime = use_now ? now : NsOf(change.atime);
  if ((change.fields & Attributes::kMtime) != 0) inode.mtime = use_now ? now : NsOf(change.mtime);
  inode.ctime = now;
  return 0;
}

int MemoryFs::Access(const Credentials& who, uint64_t id, uint32_t access) {
  const Inode& inode = *InodeOf(id);
  if (who.uid == 0) {
    // The superuser may execute what anybody may execute.
    return (access & 1) != 0 && !S_ISDIR(inode.mode) && (inode.mode & 0111) == 0 ? -EACCES : 0;
  }
  const uint32_t shift = who.uid == inode.uid ? 6 : InGroup(who, inode.gid) ? 3 : 0;
  return (inode.mode >> shift & access) == access ? 0 : -EACCES;
}

int64_t MemoryFs::Read(uint64_t id, uint64_t offset, void* to, uint64_t size) {
  Inode& inode = *InodeOf(id);
  if (S_ISDIR(inode.mode)) return -EISDIR;
  if (!S_ISREG(inode.mode)) return -EINVAL;
  const MutexLock lock(inode.lock, LockRank::kInode);
  return FileData(*this, inode).Read(offset, to, size);
}

int64_t MemoryFs::Write(uint64_t id, uint64_t offset, const void* from, uint64_t size,
                        uint64_t* end) {
  Inode& inode = *InodeOf(id);
  if (!S_ISREG(inode.mode)) return -EINVAL;
  const MutexLock lock(inode.lock, LockRank::kInode);
  const uint64_t at = offset == kAppend ? inode.size : offset;
  const int64_t put = FileData(*this, inode).Write(at, from, size);
  if (put > 0) {
    *end = at + static_cast<uint64_t>(put);
    inode.mtime = inode.ctime = platform::ClockNs(0);
  }
  return put;
}

int MemoryFs::Truncate(uint64_t id, uint64_t size) {
  Inode& inode = *InodeOf(id);
  if (S_ISDIR(inode.mode)) return -EISDIR;
  if (!S_ISREG(inode.mode)) return -EINVAL;
  const MutexLock lock(inode.lock, LockRank::kInode);
  inode.mtime = inode.ctime = platform::ClockNs(0);
  return FileData(*this, inode).Resize(size);
}

int MemoryFs::Allocate(uint64_t id, uint64_t offset, uint64_t size, bool keep_size) {
  Inode& inode = *InodeOf(id);
  if (!S_ISREG(inode.mode)) return -ENODEV;
  const MutexLock lock(inode.lock, LockRank::kInode);
  const int error = FileData(*this, inode).Reserve(offset, size);
  if (error == 0 && !keep_size) inode.size = std::max(inode.size, offset + size);
  return error;
}

int64_t MemoryFs::SeekHole(uint64_t id, uint64_t offset, int whence) {
  Inode& inode = *InodeOf(id);
  const MutexLock lock(inode.lock, LockRank::kInode);
  return FileData(*this, inode).Seek(offset, whence == 4);
}

int64_t MemoryFs::ReadLink(uint64_t id, char* to, uint64_t size) {
  const Inode& inode = *InodeOf(id);
  if (!S_ISLNK(inode.mode)) return -EINVAL;
  const uint64_t count = std::min(size, inode.size);
  memcpy(to,
         inode.image != kNoImage ? reinterpret_cast<const char*>(image_->DataOf(inode.image))
                                 : inode.target,
         count);
  return static_cast<int64_t>(count);
}

int MemoryFs::StatFileSystem(FileSystemStat* out) {
  const uint64_t bytes = bytes_.load();
  const uint64_t files = files_.load();
  *out = {quotas_.max_bytes, quotas_.max_bytes - std::min(bytes, quotas_.max_bytes),
          quotas_.max_files, quotas_.max_files - std::min(files, quotas_.max_files)};
  return 0;
}

Attachment* MemoryFs::AttachmentOf(uint64_t id) {
  return &InodeOf(id)->attachment;
}

bool MemoryFs::ProgramOf(uint64_t id, Program* out) {
  const Inode& inode = *InodeOf(id);
  if (inode.image == kNoImage) return false;
  const ImageInode& lower = image_->inode(inode.image);
  if (lower.metadata_size == 0) return false;
  *out = {image_->At(lower.metadata), lower.metadata_size, image_->code() + lower.image_offset};
  return true;
}

}  // namespace cordon::vfs

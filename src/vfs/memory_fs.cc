#include "vfs/memory_fs.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "arena/layout.h"
#include "arena/platform.h"
#include "vfs/inode.h"

namespace cordon::vfs {
namespace {

constexpr uint32_t kFilesLimit = 1u << 2;      // control::kLimitFiles
constexpr uint32_t kFileBytesLimit = 1u << 3;  // control::kLimitFileBytes
constexpr uint64_t kPiece = 1 << 20;           // no lock is held over a longer copy
constexpr uint32_t kPermissions = 07777;
constexpr uint32_t kWrite = 2;

std::atomic<uint32_t>* change_word = nullptr;

void NoteChange() {
  constexpr uint32_t kNothingChanged = 1;
  constexpr uint32_t kSomethingChanged = 2;
  // Nearly always somebody did, or nobody asks: the word stays where it is in the caches.
  if (change_word == nullptr || change_word->load(std::memory_order_relaxed) != kNothingChanged)
    return;
  change_word->store(kSomethingChanged, std::memory_order_release);
}

CopyFunction copy_function = [](void* to, const void* from, uint64_t size) {
  memcpy(to, from, size);
  return 0;
};

// Times before 1970 are negative, their nanoseconds are not.
Time TimeOf(int64_t ns) {
  constexpr auto kSecond = static_cast<int64_t>(kNsInSecond);
  int64_t seconds = ns / kSecond;
  if (ns % kSecond < 0) --seconds;
  return {seconds, static_cast<uint32_t>(ns - seconds * kSecond)};
}
int64_t NsOf(const Time& time) {
  // What 64 bits of nanoseconds hold ends in 2262.
  constexpr int64_t kLatest = INT64_MAX / static_cast<int64_t>(kNsInSecond) - 1;
  return std::clamp(time.seconds, -kLatest, kLatest) * static_cast<int64_t>(kNsInSecond) +
         time.nanoseconds;
}
int64_t Now() {
  return static_cast<int64_t>(platform::ClockNs(0));
}

// What programs are told in units of 512 bytes are blocks of 4096, as statfs and st_blksize say.
uint64_t SectorsOf(uint64_t bytes) {
  constexpr uint64_t kSector = 512;
  return (bytes + layout::kPageBytes - 1) / layout::kPageBytes * (layout::kPageBytes / kSector);
}

bool InGroup(const Credentials& who, uint32_t gid) {
  return who.gid == gid ||
         std::find(who.groups, who.groups + who.group_count, gid) != who.groups + who.group_count;
}

}  // namespace

void SetChangeWord(std::atomic<uint32_t>* word) {
  change_word = word;
}

void Touch(Inode* inode) {
  const int64_t now = Now();
  inode->mtime = now;
  inode->ctime = now;
  NoteChange();
}

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
  if (image != nullptr && image->shared_count() > 0) {
    fs->shared_ = static_cast<Inode**>(objects->Allocate(image->shared_count() * sizeof(Inode*)));
    if (fs->shared_ == nullptr) return nullptr;
  }
  const Credentials root;
  fs->root_ = image != nullptr ? fs->FromImage(0) : fs->NewInode(S_IFDIR | 0755, root, Part::kTree);
  if (fs->root_ == nullptr) return nullptr;
  if (image == nullptr) fs->root_->links = 2;
  return fs->PopulateDevices() == 0 ? fs : nullptr;
}

int MemoryFs::MakeDevice(const Credentials& who, uint64_t directory, std::string_view name,
                         uint32_t mode, uint64_t rdev, std::string_view target) {
  if (!target.empty()) return Symlink(who, directory, name, target);
  Node made;
  const int error = Create(who, directory, name, mode, rdev, &made);
  if (error == 0) Release(made.id);
  return error;
}

int MemoryFs::PopulateDevices() {
  struct Row {
    std::string_view name;
    uint32_t mode;
    uint64_t rdev;
    std::string_view target;
  };
  constexpr Row kRows[] = {
      {"null", S_IFCHR | 0666, 1 << 8 | 3, {}},
      {"zero", S_IFCHR | 0666, 1 << 8 | 5, {}},
      {"full", S_IFCHR | 0666, 1 << 8 | 7, {}},
      {"random", S_IFCHR | 0666, 1 << 8 | 8, {}},
      {"urandom", S_IFCHR | 0666, 1 << 8 | 9, {}},
      {"tty", S_IFCHR | 0666, 5 << 8, {}},
      {"fd", 0, 0, "/proc/self/fd"},
      {"stdin", 0, 0, "/proc/self/fd/0"},
      {"stdout", 0, 0, "/proc/self/fd/1"},
      {"stderr", 0, 0, "/proc/self/fd/2"},
      {"shm", S_IFDIR | 01777, 0, {}},
      {"cordon", S_IFDIR | 0755, 0, {}},
  };
  // The streams of a session's run; commands that the host serves.
  constexpr Row kRunRows[] = {
      {"stdin", S_IFCHR | 0444, 240 << 8 | 0, {}},  {"stdout", S_IFCHR | 0222, 240 << 8 | 1, {}},
      {"stderr", S_IFCHR | 0222, 240 << 8 | 2, {}}, {"script", S_IFCHR | 0444, 240 << 8 | 3, {}},
      {"call", S_IFCHR | 0666, 240 << 8 | 16, {}},
  };
  const Credentials root;
  Node dev;
  int error = Lookup(root, IdOf(root_), "dev", &dev);
  if (error == -ENOENT) error = Create(root, IdOf(root_), "dev", S_IFDIR | 0755, 0, &dev);
  if (error != 0) return error;
  for (const Row& row : kRows) {
    error = MakeDevice(root, dev.id, row.name, row.mode, row.rdev, row.target);
    if (error != 0 && error != -EEXIST) break;  // an image may bring its own
    error = 0;
  }
  Node memory;
  if (error == 0) error = Lookup(root, dev.id, "shm", &memory);
  if (error == 0) {
    InodeOf(memory.id)->part = Part::kSharedMemory;
    Release(memory.id);
  }
  Node runs;
  if (error == 0) error = Lookup(root, dev.id, "cordon", &runs);
  if (error == 0) {
    for (const Row& row : kRunRows) {
      if (error == 0) error = MakeDevice(root, runs.id, row.name, row.mode, row.rdev, row.target);
    }
    Release(runs.id);
  }
  Release(dev.id);
  return error;
}

bool MemoryFs::IsWritable(const std::byte* chunk) const {
  const auto* begin = reinterpret_cast<const std::byte*>(blocks_);
  return chunk >= begin && chunk < begin + layout::kGenerationReserve;
}

bool MemoryFs::ChargeBytes(uint64_t bytes) {
  if (bytes_.fetch_add(bytes) + bytes <= quotas_.max_bytes) return true;
  bytes_.fetch_sub(bytes);
  if (quotas_.limits_met != nullptr) quotas_.limits_met->fetch_or(kFileBytesLimit);
  return false;
}

// Of a file of this type, with what belongs to it; null when the arena is full.
Inode* MemoryFs::AllocateInode(uint32_t mode) {
  auto* inode = objects_->New<Inode>();
  if (inode == nullptr) return nullptr;
  inode->mode = mode;
  if (S_ISDIR(mode)) {
    inode->directory = objects_->New<Directory>();
    if (inode->directory == nullptr) {
      objects_->Delete(inode);
      return nullptr;
    }
  }
  inodes_.fetch_add(1);
  return inode;
}

Inode* MemoryFs::NewInode(uint32_t mode, const Credentials& who, Part part) {
  if (files_.fetch_add(1) >= quotas_.max_files) {
    files_.fetch_sub(1);
    if (quotas_.limits_met != nullptr) quotas_.limits_met->fetch_or(kFilesLimit);
    return nullptr;
  }
  Inode* inode = AllocateInode(mode);
  if (inode == nullptr) {
    files_.fetch_sub(1);
    return nullptr;
  }
  inode->counted = true;
  inode->part = part;
  inode->uid = who.uid;
  inode->gid = who.gid;
  inode->number = next_number_.fetch_add(1);
  Touch(inode);
  inode->atime = inode->mtime.load();
  return inode;
}

Inode* MemoryFs::FromImage(uint32_t number) {
  const uint32_t slot = image_->inode(number).shared_slot;
  if (slot == 0) return CopyOfImage(number);
  const MutexLock lock(shared_lock_, LockRank::kInode);
  Inode*& known = shared_[slot - 1];
  // The first reference is the slot's, which goes with the last name (DropLink).
  if (known == nullptr) known = CopyOfImage(number);
  if (known != nullptr) known->references.fetch_add(1);
  return known;
}

// Inodes of the image do not count against the quota of files.
Inode* MemoryFs::CopyOfImage(uint32_t number) {
  const ImageInode& lower = image_->inode(number);
  Inode* inode = AllocateInode(lower.mode);
  if (inode == nullptr) return nullptr;
  inode->uid = lower.uid;
  inode->gid = lower.gid;
  inode->number = next_number_.fetch_add(1);
  inode->links = lower.links;
  inode->atime = inode->mtime = inode->ctime = lower.mtime * static_cast<int64_t>(kNsInSecond);
  inode->image = number;
  if (S_ISDIR(lower.mode)) {
    inode->directory->in_image = true;
    return inode;
  }
  inode->size = lower.size;
  if (S_ISREG(lower.mode)) inode->contents.image_bytes = static_cast<uint32_t>(lower.size);
  return inode;
}

// Gives up what an inode owns. Its parent directory may go with it, and that one's: a loop, because
// a chain of removed directories can be longer than the kernel's stack.
void MemoryFs::Free(Inode* inode) {
  while (inode != nullptr) {
    Inode* parent = nullptr;
    if (inode->attachment.object != nullptr) inode->attachment.release(inode->attachment.object);
    if (inode->is(S_IFREG)) FileData(*this, *inode).Clear();
    if (inode->is(S_IFLNK) && inode->image == kNoImage) {
      objects_->Free(inode->target, inode->size);
    }
    if (inode->is(S_IFDIR)) {
      const Directory& directory = *inode->directory;
      if (directory.capacity > 0) {
        objects_->Free(directory.entries, directory.capacity * sizeof(DirectoryEntry));
        objects_->Free(directory.table, directory.capacity * 2 * sizeof(uint32_t));
      }
      parent = directory.parent;
      objects_->Delete(inode->directory);
    }
    if (inode->counted) files_.fetch_sub(1);
    inodes_.fetch_sub(1);
    objects_->Delete(inode);
    inode = parent != nullptr && parent->references.fetch_sub(1) == 1 ? parent : nullptr;
  }
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
  out->device = static_cast<uint64_t>(inode.part);
  out->inode = inode.number;
  out->mode = inode.mode;
  out->links = inode.links.load();
  out->uid = inode.uid;
  out->gid = inode.gid;
  out->rdev = inode.is(S_IFCHR) || inode.is(S_IFBLK) ? inode.rdev : 0;
  out->size = layout::kPageBytes;
  out->blocks = 0;
  if (inode.is(S_IFDIR)) {
    // As on the file systems that programs know: a block for the names, and none in a tmpfs.
    out->blocks = static_cast<int64_t>(inode.part == Part::kTree ? SectorsOf(1) : 0);
  } else {
    out->size = static_cast<int64_t>(inode.size.load());
  }
  if (inode.is(S_IFREG)) {
    const SharedLock lock(inode.lock, LockRank::kInode);
    const uint64_t bytes = inode.contents.allocated + inode.contents.image_bytes;
    out->size = static_cast<int64_t>(inode.size.load());
    out->blocks = static_cast<int64_t>(SectorsOf(bytes));
  }
  out->atime = TimeOf(inode.atime);
  out->mtime = TimeOf(inode.mtime);
  out->ctime = TimeOf(inode.ctime);
  return 0;
}

uint32_t MemoryFs::ModeOf(uint64_t id) {
  return InodeOf(id)->mode.load(std::memory_order_relaxed);
}

int MemoryFs::SetAttributes(const Credentials& who, uint64_t id, const Attributes& change) {
  Inode& inode = *InodeOf(id);
  const bool owner = who.uid == 0 || who.uid == inode.uid;
  const bool use_now = (change.fields & Attributes::kTimesNow) != 0;
  constexpr uint32_t kOwnersOnly = Attributes::kMode | Attributes::kUid | Attributes::kGid;
  if (!owner && ((change.fields & kOwnersOnly) != 0 || !use_now)) return -EPERM;
  if (!owner && Access(who, id, kWrite) != 0) return -EACCES;
  const bool sets_uid = (change.fields & Attributes::kUid) != 0;
  const bool sets_gid = (change.fields & Attributes::kGid) != 0;
  if (sets_uid && who.uid != 0 && change.uid != inode.uid) return -EPERM;
  if (sets_gid && who.uid != 0 && change.gid != inode.gid && !InGroup(who, change.gid))
    return -EPERM;
  const int64_t now = Now();
  if ((change.fields & Attributes::kMode) != 0) {
    uint32_t mode = (inode.mode & S_IFMT) | (change.mode & kPermissions);
    if (who.uid != 0 && !InGroup(who, inode.gid)) mode &= ~S_ISGID;
    inode.mode = mode;
  }
  if (sets_uid) inode.uid = change.uid;
  if (sets_gid) inode.gid = change.gid;
  // A program does not keep the rights of one owner for the next.
  if ((sets_uid || sets_gid) && inode.is(S_IFREG)) {
    inode.mode &= (inode.mode & S_IXGRP) != 0 ? ~(S_ISUID | S_ISGID) : ~S_ISUID;
  }
  if ((change.fields & Attributes::kAtime) != 0) inode.atime = use_now ? now : NsOf(change.atime);
  if ((change.fields & Attributes::kMtime) != 0) inode.mtime = use_now ? now : NsOf(change.mtime);
  inode.ctime = now;
  NoteChange();
  return 0;
}

int MemoryFs::Access(const Credentials& who, uint64_t id, uint32_t access) {
  const Inode& inode = *InodeOf(id);
  const uint32_t mode = inode.mode;
  if (who.uid == 0) {
    // The superuser may execute what anybody may execute.
    return (access & 1) != 0 && !S_ISDIR(mode) && (mode & 0111) == 0 ? -EACCES : 0;
  }
  const uint32_t shift = who.uid == inode.uid ? 6 : InGroup(who, inode.gid) ? 3 : 0;
  return (mode >> shift & access) == access ? 0 : -EACCES;
}

int64_t MemoryFs::Read(uint64_t id, uint64_t offset, void* to, uint64_t size) {
  Inode& inode = *InodeOf(id);
  if (inode.is(S_IFDIR)) return -EISDIR;
  if (!inode.is(S_IFREG)) return -EINVAL;
  auto* out = static_cast<std::byte*>(to);
  for (uint64_t done = 0;;) {
    const uint64_t part = std::min(size - done, kPiece);
    int64_t got = 0;
    {
      const SharedLock lock(inode.lock, LockRank::kInode);
      got = FileData(*this, inode).Read(offset + done, out + done, part);
    }
    if (got <= 0) return done > 0 ? static_cast<int64_t>(done) : got;
    done += static_cast<uint64_t>(got);
    if (static_cast<uint64_t>(got) < part || done == size) return static_cast<int64_t>(done);
  }
}

int64_t MemoryFs::Write(uint64_t id, uint64_t offset, const void* from, uint64_t size,
                        uint64_t* end) {
  Inode& inode = *InodeOf(id);
  if (!inode.is(S_IFREG)) return -EINVAL;
  const auto* in = static_cast<const std::byte*>(from);
  uint64_t at = offset;
  uint64_t done = 0;
  for (int64_t put = 1; put > 0 && done < size;) {
    const uint64_t part = std::min(size - done, kPiece);
    const ExclusiveLock lock(inode.lock, LockRank::kInode);
    if (at == kAppend) {
      // A long append takes its place at once, so that another one goes behind it.
      at = inode.size;
      const int error = size > kPiece ? FileData(*this, inode).Resize(at + size) : 0;
      if (error != 0) return error;
    }
    put = FileData(*this, inode).Write(at + done, in + done, part);
    if (put > 0) done += static_cast<uint64_t>(put);
    const bool short_write = put < static_cast<int64_t>(part);
    if (short_write && offset == kAppend && size > kPiece && inode.size == at + size)
      (void)FileData(*this, inode).Resize(at + done);
    if (short_write && done == 0) return put;
    if (short_write) break;
  }
  if (done > 0) Touch(&inode);
  *end = at + done;
  return static_cast<int64_t>(done);
}

std::byte* MemoryFs::NewLooseChunk() {
  return static_cast<std::byte*>(blocks_->AllocateBuffer(kChunkBytes));
}

void MemoryFs::FreeLooseChunk(std::byte* chunk) {
  if (!IsWritable(chunk)) return;
  // Whole chunks go back to the host.
  platform::DiscardShared(reinterpret_cast<uint64_t>(chunk), kChunkBytes);
  blocks_->Free(chunk, kChunkBytes);
}

uint64_t MemoryFs::PlaceOf(const std::byte* chunk) const {
  return static_cast<uint64_t>(chunk - reinterpret_cast<const std::byte*>(blocks_));
}

int64_t MemoryFs::TakeOver(uint64_t id, uint64_t offset, std::byte* chunk, uint64_t bytes,
                           bool* taken) {
  *taken = false;
  Inode& inode = *InodeOf(id);
  if (!inode.is(S_IFREG) || offset % kChunkBytes != 0 || bytes == 0 || bytes > kChunkBytes) {
    return -EINVAL;
  }
  const ExclusiveLock lock(inode.lock, LockRank::kInode);
  const int64_t put = FileData(*this, inode).TakeOver(offset, chunk, bytes, taken);
  if (put > 0) Touch(&inode);
  return put;
}

int MemoryFs::Truncate(uint64_t id, uint64_t size) {
  Inode& inode = *InodeOf(id);
  if (inode.is(S_IFDIR)) return -EISDIR;
  if (!inode.is(S_IFREG)) return -EINVAL;
  const ExclusiveLock lock(inode.lock, LockRank::kInode);
  const int error = FileData(*this, inode).Resize(size);
  if (error == 0) Touch(&inode);
  return error;
}

int MemoryFs::Allocate(uint64_t id, uint64_t offset, uint64_t size, bool keep_size) {
  Inode& inode = *InodeOf(id);
  if (!inode.is(S_IFREG)) return -ENODEV;
  const ExclusiveLock lock(inode.lock, LockRank::kInode);
  FileData data(*this, inode);
  const int error = data.Reserve(offset, size);
  if (error != 0 || keep_size || offset + size <= inode.size) return error;
  Touch(&inode);
  return data.Resize(offset + size);
}

int64_t MemoryFs::SeekHole(uint64_t id, uint64_t offset, int whence) {
  Inode& inode = *InodeOf(id);
  if (!inode.is(S_IFREG)) return -EINVAL;
  const SharedLock lock(inode.lock, LockRank::kInode);
  return FileData(*this, inode).Seek(offset, whence == SEEK_HOLE);
}

int64_t MemoryFs::ReadLink(uint64_t id, char* to, uint64_t size) {
  const Inode& inode = *InodeOf(id);
  if (!inode.is(S_IFLNK)) return -EINVAL;
  const uint64_t count = std::min(size, inode.size.load());
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

namespace {

Program ProgramIn(const Image& image, uint32_t number) {
  const ImageInode& inode = image.inode(number);
  Program program;
  program.metadata = image.At(inode.metadata);
  program.metadata_size = inode.metadata_size;
  program.image = image.code() + inode.image_offset;
  if (!image.FrozenOf(number, &program.frozen, &program.frozen_pages)) program.frozen = {};
  return program;
}

}  // namespace

bool MemoryFs::ProgramOf(uint64_t id, Program* out) {
  const Inode& inode = *InodeOf(id);
  if (inode.image == kNoImage || inode.modified) return false;
  if (image_->inode(inode.image).metadata_size == 0) return false;
  *out = ProgramIn(*image_, inode.image);
  return true;
}

bool MemoryFs::HasContentsOf(uint64_t id, uint32_t image_inode) {
  std::byte part[8192];
  const std::byte* wanted = image_->DataOf(image_inode);
  const uint64_t size = image_->inode(image_inode).size;
  for (uint64_t offset = 0; offset < size;) {
    const int64_t got = Read(id, offset, part, std::min<uint64_t>(sizeof part, size - offset));
    if (got <= 0 || memcmp(part, wanted + offset, static_cast<size_t>(got)) != 0) return false;
    offset += static_cast<uint64_t>(got);
  }
  return true;
}

bool MemoryFs::CopiedProgramOf(uint64_t id, Program* out) {
  Stat stat;
  if (image_ == nullptr || GetStat(id, &stat) != 0 || !S_ISREG(stat.mode)) return false;
  for (uint32_t number = 0; number < image_->inode_count(); ++number) {
    const ImageInode& lower = image_->inode(number);
    if (lower.metadata_size == 0 || lower.size != static_cast<uint64_t>(stat.size)) continue;
    if (!HasContentsOf(id, number)) continue;
    *out = ProgramIn(*image_, number);
    return true;
  }
  return false;
}

}  // namespace cordon::vfs

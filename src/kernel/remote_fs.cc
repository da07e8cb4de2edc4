#include "kernel/remote_fs.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <ctime>

#include "arena/platform.h"
#include "kernel/process.h"
#include "kernel/service.h"

namespace cordon::kernel {

// A file or directory that somebody has, and those that it is below.
struct RemoteNode {
  std::atomic<uint32_t> references{1};
  RemoteNode* parent = nullptr;  // referenced; null: the root
  RemoteNode* next = nullptr;    // in its bucket
  bool is_named = false;         // in a bucket: a look-up finds it
  // As the last look found it.
  std::atomic<uint32_t> mode{0}, links{1};
  std::atomic<uint64_t> size{0}, inode{0}, blocks{0};
  std::atomic<int64_t> mtime_ns{0}, ctime_ns{0}, atime_ns{0};
  vfs::Attachment attachment;
  uint32_t name_size = 0;
  char name[vfs::kMaxName + 1] = {};
};

namespace {

using control::FileOp;
using Repeat = FileCall::Repeat;

constexpr uint32_t kWrite = 2;  // W_OK
constexpr int64_t kNsInSecond = 1'000'000'000;
constexpr uint64_t kFirstDevice = 0x100;  // mounts are file systems of their own
constexpr uint32_t kListBytes = 16 * 1024;

RemoteNode* NodeOf(uint64_t id) {
  return reinterpret_cast<RemoteNode*>(id);
}

uint64_t IdOf(const RemoteNode* node) {
  return reinterpret_cast<uint64_t>(node);
}

// Nothing else of the host is shown.
bool IsShown(uint32_t mode) {
  return S_ISREG(mode) || S_ISDIR(mode) || S_ISLNK(mode);
}

vfs::Time TimeOf(int64_t ns) {
  int64_t seconds = ns / kNsInSecond;
  int64_t rest = ns % kNsInSecond;
  if (rest < 0) {
    rest += kNsInSecond;
    --seconds;
  }
  return {seconds, static_cast<uint32_t>(rest)};
}

int64_t NsOf(const vfs::Time& time) {
  return time.seconds * kNsInSecond + time.nanoseconds;
}

void Learn(RemoteNode& node, const control::FileFacts& facts) {
  node.mode = facts.mode & (S_IFMT | 0777);
  node.links = facts.links;
  node.size = facts.size;
  node.inode = facts.inode;
  node.blocks = facts.blocks;
  node.mtime_ns = facts.mtime_ns;
  node.ctime_ns = facts.ctime_ns;
  node.atime_ns = facts.atime_ns;
}

}  // namespace

// A request whose path is that of a node, or of a name in one.
class RemoteFs::Call {
 public:
  Call(RemoteFs& fs, const RemoteNode* node, std::string_view name = {})
      : fs_(fs), call_(fs.server_) {
    error_ = call_.error();
    if (error_ != 0) return;
    const int64_t size = fs.PathOf(node, name, call_.place().path);
    if (size < 0) error_ = static_cast<int>(size);
    if (size >= 0) call_.place().path_bytes.store(static_cast<uint32_t>(size));
    place().offset.store(0);
    place().argument.store(0);
    place().count.store(0);
  }

  [[nodiscard]] int error() const { return error_; }
  [[nodiscard]] control::FileCall& place() const { return call_.place(); }
  [[nodiscard]] int64_t Ask(FileOp op, Repeat repeat) {
    if (error_ != 0) return error_;
    const int64_t result = call_.Ask(op, fs_.index_, repeat);
    // Errors of Linux, and nothing that means something else here.
    constexpr int64_t kLastErrno = 133;
    return result < -kLastErrno && result != kRestart ? -EIO : result;
  }
  // The same for a request that has a text in its data.
  [[nodiscard]] int64_t AskAbout(FileOp op, std::string_view text) {
    if (error_ != 0) return error_;
    if (text.size() > vfs::kMaxPath) return -ENAMETOOLONG;
    memcpy(place().data, text.data(), text.size());
    place().count.store(static_cast<uint32_t>(text.size()));
    return Ask(op, Repeat::kMustNot);
  }

 private:
  RemoteFs& fs_;
  FileCall call_;
  int error_ = 0;
};

bool RemoteFs::Prepare() {
  Arena& arena = *TheKernel().arena;
  root_ = arena.New<RemoteNode>();
  buckets_ = static_cast<RemoteNode**>(arena.Allocate(sizeof(RemoteNode*) * kBuckets));
  if (root_ == nullptr || buckets_ == nullptr) return false;
  std::fill_n(buckets_, kBuckets, nullptr);
  root_->mode = S_IFDIR | 0755;
  return true;
}

RemoteNode** RemoteFs::BucketOf(const RemoteNode* parent, std::string_view name) {
  uint64_t hash = IdOf(parent) * 0x9e3779b97f4a7c15;
  for (const char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  return &buckets_[(hash >> 20) % kBuckets];
}

RemoteNode* RemoteFs::FindChild(const RemoteNode* parent, std::string_view name) {
  for (RemoteNode* node = *BucketOf(parent, name); node != nullptr; node = node->next) {
    if (node->parent == parent && std::string_view(node->name, node->name_size) == name)
      return node;
  }
  return nullptr;
}

void RemoteFs::Forget(RemoteNode* node) {
  if (!node->is_named) return;
  node->is_named = false;
  RemoteNode** at = BucketOf(node->parent, {node->name, node->name_size});
  while (*at != node) at = &(*at)->next;
  *at = node->next;
}

vfs::Node RemoteFs::Root() {
  return {this, IdOf(root_)};
}

void RemoteFs::Reference(uint64_t id) {
  NodeOf(id)->references.fetch_add(1, std::memory_order_relaxed);
}

void RemoteFs::Release(uint64_t id) {
  RemoteNode* node = NodeOf(id);
  while (node != nullptr && node != root_) {
    RemoteNode* parent = nullptr;
    {
      // A look-up must not find it in between.
      const MutexLock lock(lock_, LockRank::kInode);
      if (node->references.fetch_sub(1) != 1) return;
      Forget(node);
      parent = node->parent;
    }
    if (node->attachment.object != nullptr) node->attachment.release(node->attachment.object);
    TheKernel().arena->Delete(node);
    node = parent;
  }
}

RemoteNode* RemoteFs::ChildOf(RemoteNode* parent, std::string_view name) {
  RemoteNode* fresh = TheKernel().arena->New<RemoteNode>();
  if (fresh == nullptr) return nullptr;
  RemoteNode* found = nullptr;
  {
    const MutexLock lock(lock_, LockRank::kInode);
    found = FindChild(parent, name);
    if (found != nullptr) {
      found->references.fetch_add(1);
    } else {
      fresh->parent = parent;
      parent->references.fetch_add(1);
      memcpy(fresh->name, name.data(), name.size());
      fresh->name_size = static_cast<uint32_t>(name.size());
      fresh->is_named = true;
      RemoteNode** bucket = BucketOf(parent, name);
      fresh->next = *bucket;
      *bucket = fresh;
    }
  }
  if (found == nullptr) return fresh;
  TheKernel().arena->Delete(fresh);
  return found;
}

// Built from the end, under the lock: a name may change.
int64_t RemoteFs::PathOf(const RemoteNode* node, std::string_view name, char* to) {
  char text[control::kMaxFilePath];
  size_t at = sizeof text;
  const auto add = [&](std::string_view component) {
    const bool is_last = at == sizeof text;
    if (component.size() + (is_last ? 0 : 1) > at) return false;
    if (!is_last) text[--at] = '/';
    at -= component.size();
    memcpy(text + at, component.data(), component.size());
    return true;
  };
  if (!name.empty() && !add(name)) return -ENAMETOOLONG;
  {
    const MutexLock lock(lock_, LockRank::kInode);
    for (; node != root_; node = node->parent) {
      if (!node->is_named) return -ENOENT;  // removed, or another one has its name
      if (!add({node->name, node->name_size})) return -ENAMETOOLONG;
    }
  }
  memcpy(to, text + at, sizeof text - at);
  return static_cast<int64_t>(sizeof text - at);
}

int RemoteFs::LookAt(RemoteNode* directory, std::string_view name, control::FileFacts* out) {
  Call call(*this, directory, name);
  const int64_t result = call.Ask(FileOp::kStat, Repeat::kMay);
  if (result < 0) return static_cast<int>(result);
  memcpy(out, call.place().data, sizeof *out);
  return IsShown(out->mode) ? 0 : -EACCES;
}

int RemoteFs::Look(RemoteNode* node) {
  control::FileFacts facts = {};
  const int error = LookAt(node, {}, &facts);
  // What is another thing now is not what somebody has.
  if (error == 0 && ((node->mode ^ facts.mode) & S_IFMT) != 0) return -ESTALE;
  if (error == 0) Learn(*node, facts);
  return error;
}

int RemoteFs::Lookup(const vfs::Credentials& /*who*/, uint64_t directory, std::string_view name,
                     vfs::Node* out) {
  RemoteNode* parent = NodeOf(directory);
  if (!S_ISDIR(parent->mode)) return -ENOTDIR;
  if (name.size() > vfs::kMaxName) return -ENAMETOOLONG;
  control::FileFacts facts = {};
  const int error = LookAt(parent, name, &facts);
  if (error != 0) return error;
  RemoteNode* node = ChildOf(parent, name);
  if (node == nullptr) return -ENFILE;
  const bool is_other = node->mode != 0 && ((node->mode ^ facts.mode) & S_IFMT) != 0;
  if (is_other) {
    // Somebody has what had the name before; that one has none any more.
    {
      const MutexLock lock(lock_, LockRank::kInode);
      Forget(node);
    }
    Release(IdOf(node));
    node = ChildOf(parent, name);
    if (node == nullptr) return -ENFILE;
  }
  Learn(*node, facts);
  *out = {this, IdOf(node)};
  return 0;
}

int RemoteFs::Parent(uint64_t directory, vfs::Node* out) {
  RemoteNode* node = NodeOf(directory);
  const MutexLock lock(lock_, LockRank::kInode);
  RemoteNode* parent = node == root_ ? root_ : node->parent;
  parent->references.fetch_add(1);
  *out = {this, IdOf(parent)};
  return 0;
}

int RemoteFs::Create(const vfs::Credentials& who, uint64_t directory, std::string_view name,
                     uint32_t mode, uint64_t /*rdev*/, vfs::Node* out) {
  if (!S_ISREG(mode) && !S_ISDIR(mode)) return -EPERM;
  if (is_read_only_) {
    const int error = Lookup(who, directory, name, out);
    if (error != 0) return error == -ENOENT ? -EROFS : error;
    Release(out->id);
    return -EEXIST;
  }
  {
    Call call(*this, NodeOf(directory), name);
    if (call.error() == 0) call.place().argument.store(mode & (S_IFMT | 0777));
    const int64_t result = call.Ask(FileOp::kCreate, Repeat::kMustNot);
    if (result < 0) return static_cast<int>(result);
  }
  return Lookup(who, directory, name, out);
}

int RemoteFs::Symlink(const vfs::Credentials& /*who*/, uint64_t directory, std::string_view name,
                      std::string_view target) {
  if (is_read_only_) return -EROFS;
  Call call(*this, NodeOf(directory), name);
  return static_cast<int>(std::min<int64_t>(call.AskAbout(FileOp::kSymlink, target), 0));
}

int RemoteFs::Link(const vfs::Credentials& /*who*/, uint64_t /*node*/, uint64_t /*directory*/,
                   std::string_view /*name*/) {
  return is_read_only_ ? -EROFS : -EPERM;
}

int RemoteFs::Remove(const vfs::Credentials& /*who*/, uint64_t directory, std::string_view name,
                     Removal kind) {
  if (is_read_only_) return -EROFS;
  int64_t result = 0;
  {
    Call call(*this, NodeOf(directory), name);
    result = call.Ask(kind == Removal::kFile ? FileOp::kRemoveFile : FileOp::kRemoveDirectory,
                      Repeat::kMustNot);
  }
  if (result < 0) return static_cast<int>(result);
  const MutexLock lock(lock_, LockRank::kInode);
  RemoteNode* node = FindChild(NodeOf(directory), name);
  if (node != nullptr) Forget(node);
  return 0;
}

int RemoteFs::Rename(const vfs::Credentials& /*who*/, uint64_t from, std::string_view from_name,
                     uint64_t to, std::string_view to_name, uint32_t flags) {
  if (is_read_only_) return -EROFS;
  if ((flags & ~1U) != 0) return -EINVAL;
  char target[control::kMaxFilePath];
  const int64_t size = PathOf(NodeOf(to), to_name, target);
  if (size < 0) return static_cast<int>(size);
  int64_t result = 0;
  {
    Call call(*this, NodeOf(from), from_name);
    if (call.error() == 0) call.place().argument.store(flags);
    result = call.AskAbout(FileOp::kRename, {target, static_cast<size_t>(size)});
  }
  if (result < 0) return static_cast<int>(result);
  RemoteNode* new_parent = NodeOf(to);
  RemoteNode* old_parent = nullptr;
  {
    const MutexLock lock(lock_, LockRank::kInode);
    RemoteNode* replaced = FindChild(new_parent, to_name);
    RemoteNode* moved = FindChild(NodeOf(from), from_name);
    if (replaced == moved) return 0;
    if (replaced != nullptr) Forget(replaced);
    if (moved == nullptr) return 0;
    Forget(moved);
    old_parent = moved->parent;
    new_parent->references.fetch_add(1);
    moved->parent = new_parent;
    memcpy(moved->name, to_name.data(), to_name.size());
    moved->name_size = static_cast<uint32_t>(to_name.size());
    moved->is_named = true;
    RemoteNode** bucket = BucketOf(new_parent, to_name);
    moved->next = *bucket;
    *bucket = moved;
  }
  Release(IdOf(old_parent));
  return 0;
}

int RemoteFs::GetStat(uint64_t id, vfs::Stat* out) {
  RemoteNode* node = NodeOf(id);
  const int error = Look(node);
  // A file that was removed, or that has lost its name, is what it was when it was last looked at.
  if (error != 0 && (error != -ENOENT || node == root_)) return error;
  *out = {};
  out->device = kFirstDevice + index_;
  out->inode = node->inode;
  out->mode = node->mode;
  out->links = error == 0 ? node->links.load() : 0;
  out->uid = out->gid = kUserId;
  out->size = static_cast<int64_t>(node->size.load());
  out->blocks = static_cast<int64_t>(node->blocks.load());
  out->atime = TimeOf(node->atime_ns);
  out->mtime = TimeOf(node->mtime_ns);
  out->ctime = TimeOf(node->ctime_ns);
  return 0;
}

uint32_t RemoteFs::ModeOf(uint64_t id) {
  return NodeOf(id)->mode;
}

int RemoteFs::SetAttributes(const vfs::Credentials& /*who*/, uint64_t id,
                            const vfs::Attributes& change) {
  using Field = vfs::Attributes::Field;
  if (is_read_only_) return -EROFS;
  // Everything belongs to the user here; whoever says so is right.
  const bool is_given = ((change.fields & Field::kUid) != 0 && change.uid != kUserId) ||
                        ((change.fields & Field::kGid) != 0 && change.gid != kUserId);
  if (is_given) return -EPERM;
  RemoteNode* node = NodeOf(id);
  if ((change.fields & Field::kMode) != 0) {
    Call call(*this, node);
    if (call.error() == 0) call.place().argument.store(change.mode & 0777);
    const int64_t result = call.Ask(FileOp::kSetMode, Repeat::kMustNot);
    if (result < 0) return static_cast<int>(result);
  }
  if ((change.fields & (Field::kAtime | Field::kMtime)) != 0) {
    if (const int error = Look(node); error != 0) return error;
    const bool has_atime = (change.fields & Field::kAtime) != 0;
    const bool has_mtime = (change.fields & Field::kMtime) != 0;
    const bool is_now = (change.fields & Field::kTimesNow) != 0;
    const auto now = static_cast<int64_t>(platform::ClockNs(CLOCK_REALTIME));
    Call call(*this, node);
    if (call.error() == 0) {
      call.place().offset.store(static_cast<uint64_t>(
          has_atime ? (is_now ? now : NsOf(change.atime)) : node->atime_ns.load()));
      call.place().argument.store(static_cast<uint64_t>(
          has_mtime ? (is_now ? now : NsOf(change.mtime)) : node->mtime_ns.load()));
    }
    const int64_t result = call.Ask(FileOp::kSetTimes, Repeat::kMustNot);
    if (result < 0) return static_cast<int>(result);
  }
  return 0;
}

int RemoteFs::Access(const vfs::Credentials& who, uint64_t id, uint32_t access) {
  const uint32_t mode = NodeOf(id)->mode;
  if (is_read_only_ && (access & kWrite) != 0) return -EROFS;
  // The owner is the sandbox's user; its superuser is no more than that here, but may search.
  const uint32_t allowed = who.uid == kUserId || who.uid == 0 ? mode >> 6 : mode;
  return (access & ~allowed & 7) == 0 ? 0 : -EACCES;
}

int64_t RemoteFs::Read(uint64_t id, uint64_t offset, void* to, uint64_t size) {
  RemoteNode* node = NodeOf(id);
  if (S_ISDIR(node->mode)) return -EISDIR;
  uint64_t done = 0;
  while (done < size) {
    const auto part =
        static_cast<uint32_t>(std::min<uint64_t>(size - done, control::kFileCallBytes));
    Call call(*this, node);
    if (call.error() == 0) {
      call.place().offset.store(offset + done);
      call.place().count.store(part);
    }
    const int64_t got = call.Ask(FileOp::kRead, Repeat::kMay);
    if (got < 0) return done > 0 ? static_cast<int64_t>(done) : got;
    const auto count = static_cast<uint32_t>(std::min<int64_t>(got, part));
    if (vfs::Copy(static_cast<std::byte*>(to) + done, call.place().data, count) != 0)
      return done > 0 ? static_cast<int64_t>(done) : -EFAULT;
    done += count;
    if (count < part) break;
  }
  return static_cast<int64_t>(done);
}

int64_t RemoteFs::Write(uint64_t id, uint64_t offset, const void* from, uint64_t size,
                        uint64_t* end) {
  if (is_read_only_) return -EROFS;
  RemoteNode* node = NodeOf(id);
  uint64_t done = 0;
  *end = offset;
  while (done < size) {
    const auto part =
        static_cast<uint32_t>(std::min<uint64_t>(size - done, control::kFileCallBytes));
    Call call(*this, node);
    if (call.error() == 0) {
      if (vfs::Copy(call.place().data, static_cast<const std::byte*>(from) + done, part) != 0)
        return done > 0 ? static_cast<int64_t>(done) : -EFAULT;
      call.place().offset.store(offset == vfs::kAppend ? offset : offset + done);
      call.place().count.store(part);
    }
    const int64_t put = call.Ask(FileOp::kWrite, Repeat::kMustNot);
    if (put < 0) return done > 0 ? static_cast<int64_t>(done) : put;
    const auto count = static_cast<uint32_t>(std::min<int64_t>(put, part));
    *end = call.place().offset.load();
    done += count;
    if (count < part) break;
  }
  return static_cast<int64_t>(done);
}

int RemoteFs::Truncate(uint64_t id, uint64_t size) {
  if (is_read_only_) return -EROFS;
  Call call(*this, NodeOf(id));
  if (call.error() == 0) call.place().offset.store(size);
  return static_cast<int>(std::min<int64_t>(call.Ask(FileOp::kTruncate, Repeat::kMustNot), 0));
}

int RemoteFs::Allocate(uint64_t id, uint64_t offset, uint64_t size, bool keep_size) {
  if (is_read_only_) return -EROFS;
  if (keep_size) return -EOPNOTSUPP;
  if (const int error = Look(NodeOf(id)); error != 0) return error;
  return NodeOf(id)->size >= offset + size ? 0 : Truncate(id, offset + size);
}

int64_t RemoteFs::SeekHole(uint64_t id, uint64_t offset, int whence) {
  constexpr int kData = 3;
  RemoteNode* node = NodeOf(id);
  if (const int error = Look(node); error != 0) return error;
  const uint64_t size = node->size;
  if (offset >= size) return -ENXIO;
  return static_cast<int64_t>(whence == kData ? offset : size);
}

int64_t RemoteFs::ReadLink(uint64_t id, char* to, uint64_t size) {
  Call call(*this, NodeOf(id));
  const int64_t got = call.Ask(FileOp::kReadLink, Repeat::kMay);
  if (got < 0) return got;
  const uint64_t count = std::min({static_cast<uint64_t>(got), size, uint64_t{vfs::kMaxPath}});
  memcpy(to, call.place().data, count);
  return static_cast<int64_t>(count);
}

int RemoteFs::List(uint64_t directory, uint64_t cookie, vfs::DirectorySink sink) {
  for (;;) {
    Call call(*this, NodeOf(directory));
    if (call.error() == 0) {
      call.place().offset.store(cookie);
      call.place().count.store(kListBytes);
    }
    const int64_t got = call.Ask(FileOp::kList, Repeat::kMay);
    if (got <= 0) return static_cast<int>(got);
    const uint8_t* at = call.place().data;
    const uint8_t* end = at + std::min<int64_t>(got, kListBytes);
    while (end - at >= static_cast<ptrdiff_t>(sizeof(control::FileEntry))) {
      control::FileEntry entry = {};
      memcpy(&entry, at, sizeof entry);
      at += sizeof entry;
      if (entry.name_bytes > vfs::kMaxName || entry.name_bytes > end - at) return -EIO;
      const std::string_view name(reinterpret_cast<const char*>(at), entry.name_bytes);
      at += entry.name_bytes;
      cookie = entry.cookie;
      if (!sink.emit(sink.cookie, name, entry.inode, entry.type & S_IFMT, cookie)) return 0;
    }
  }
}

int RemoteFs::StatFileSystem(vfs::FileSystemStat* out) {
  Call call(*this, root_);
  const int64_t result = call.Ask(FileOp::kSpace, Repeat::kMay);
  if (result < 0) return static_cast<int>(result);
  control::FileSpace space = {};
  memcpy(&space, call.place().data, sizeof space);
  *out = {space.total_bytes, space.free_bytes, space.total_files, space.free_files};
  return 0;
}

vfs::Attachment* RemoteFs::AttachmentOf(uint64_t id) {
  return &NodeOf(id)->attachment;
}

}  // namespace cordon::kernel

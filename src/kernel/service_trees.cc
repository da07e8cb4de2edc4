// Requests of the keeper about whole trees: what a sandbox exports and imports. They run as the
// superuser of the sandbox, and a tree may be changed by a guest meanwhile: no component of a path
// is a link that is followed.

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "kernel/held_chunks.h"
#include "kernel/process.h"
#include "kernel/service.h"
#include "kernel/service_payload.h"

namespace cordon::kernel {
namespace {

constexpr uint32_t kMostEntries = 256;

// A reference that is released.
class Held {
 public:
  Held() = default;
  explicit Held(const vfs::Node& node) : node_(node) {}
  Held(const Held&) = delete;
  Held& operator=(const Held&) = delete;
  ~Held() { Reset({}); }
  void Reset(const vfs::Node& node) {
    if (node_.fs != nullptr) node_.fs->Release(node_.id);
    node_ = node;
  }
  [[nodiscard]] const vfs::Node& get() const { return node_; }
  [[nodiscard]] uint32_t mode() const { return node_.fs->ModeOf(node_.id); }
  vfs::FileSystem* operator->() const { return node_.fs; }

 private:
  vfs::Node node_;
};

const vfs::Credentials& Superuser() {
  return Current().who;
}

// The next component, without the slashes around it.
std::string_view NextComponent(std::string_view* path) {
  while (!path->empty() && path->front() == '/') path->remove_prefix(1);
  const std::string_view name = path->substr(0, path->find('/'));
  path->remove_prefix(name.size());
  while (!path->empty() && path->front() == '/') path->remove_prefix(1);
  return name;
}

bool IsName(std::string_view name) {
  return !name.empty() && name.size() <= vfs::kMaxName && name != "." && name != "..";
}

int Enter(Held* at, std::string_view name) {
  if (!IsName(name)) return -EINVAL;
  vfs::Node next;
  const int error = (*at)->Lookup(Superuser(), at->get().id, name, &next);
  if (error == 0) at->Reset(next);
  return error;
}

int CheckDirectory(const Held& at) {
  const uint32_t mode = at.mode();
  return S_ISDIR(mode) ? 0 : S_ISLNK(mode) ? -ELOOP : -ENOTDIR;
}

// "/" is the root of the tree.
int WalkTo(std::string_view path, Held* at) {
  at->Reset(TheKernel().files->Root());
  for (std::string_view name = NextComponent(&path); !name.empty(); name = NextComponent(&path)) {
    int error = CheckDirectory(*at);
    if (error == 0) error = Enter(at, name);
    if (error != 0) return error;
  }
  return 0;
}

int WalkToParent(std::string_view path, Held* at, std::string_view* last) {
  at->Reset(TheKernel().files->Root());
  *last = NextComponent(&path);
  if (!IsName(*last)) return -EINVAL;
  while (!path.empty()) {
    int error = Enter(at, *last);
    if (error == 0) error = CheckDirectory(*at);
    if (error != 0) return error;
    *last = NextComponent(&path);
    if (!IsName(*last)) return -EINVAL;
  }
  return 0;
}

// Names of a directory, collected under its lock and looked at after it.
struct Page {
  struct Entry {
    uint64_t next;
    uint32_t changes;
    uint32_t size;
    char name[vfs::kMaxName];
  };
  uint32_t count;
  Entry entries[kMostEntries];
};

bool TakeName(void* cookie, std::string_view name, uint32_t changes, uint64_t next) {
  auto& page = *static_cast<Page*>(cookie);
  if (page.count == kMostEntries) return false;
  Page::Entry& entry = page.entries[page.count++];
  entry.next = next;
  entry.changes = changes;
  entry.size = static_cast<uint32_t>(name.size());
  memcpy(entry.name, name.data(), name.size());
  return true;
}

// False: the answer has no room for it.
bool AddEntry(PayloadWriter& writer, const Held& directory, const Page::Entry& entry) {
  const std::string_view name(entry.name, entry.size);
  control::TreeEntry answer = {};
  answer.cookie = entry.next;
  answer.changes = entry.changes;
  char target[vfs::kMaxPath];
  int64_t length = 0;
  vfs::Node found;
  if ((entry.changes & vfs::kChangeRemoved) == 0 &&
      directory->Lookup(Superuser(), directory.get().id, name, &found) == 0) {
    const Held node(found);
    vfs::Stat stat = {};
    if (node->GetStat(found.id, &stat) == 0) {
      answer.mode = stat.mode;
      answer.uid = stat.uid;
      answer.gid = stat.gid;
      answer.links = stat.links;
      answer.inode = stat.inode;
      answer.size = static_cast<uint64_t>(stat.size);
      answer.mtime_ns = stat.mtime.seconds * 1'000'000'000 + stat.mtime.nanoseconds;
      answer.ctime_ns = stat.ctime.seconds * 1'000'000'000 + stat.ctime.nanoseconds;
    }
    if (S_ISLNK(stat.mode)) {
      length = std::max<int64_t>(node->ReadLink(found.id, target, sizeof target), 0);
    }
  }
  const size_t size = sizeof answer + name.size() + 1 + static_cast<size_t>(length) + 1;
  if (size > writer.left()) return false;
  writer.Add(answer);
  writer.AddString(name);
  writer.AddString({target, static_cast<size_t>(length)});
  return true;
}

int32_t List(control::Mailbox& mailbox, std::string_view path) {
  const uint64_t cookie = mailbox.arg[1].load() | uint64_t{mailbox.arg[2].load()} << 32;
  const auto extent = mailbox.arg[0].load() == 1 ? vfs::FileSystem::Extent::kAll
                                                 : vfs::FileSystem::Extent::kChanges;
  Held directory;
  int error = WalkTo(path, &directory);
  if (error == 0) error = CheckDirectory(directory);
  static Page page;  // private to the service process, which answers one request at a time
  page.count = 0;
  if (error == 0) {
    error = directory->ListChanges(directory.get().id, extent, cookie, {&page, TakeName});
  }
  if (error != 0) return error;
  PayloadWriter writer(mailbox);
  uint32_t done = 0;
  while (done < page.count && AddEntry(writer, directory, page.entries[done])) ++done;
  return static_cast<int32_t>(done);
}

int32_t Read(control::Mailbox& mailbox, std::string_view path) {
  const uint32_t count = std::min(mailbox.arg[3].load(), control::kMailboxBytes);
  const uint64_t offset = mailbox.arg[1].load() | uint64_t{mailbox.arg[2].load()} << 32;
  Held file;
  const int error = WalkTo(path, &file);
  if (error != 0) return error;
  if (!S_ISREG(file.mode())) return S_ISLNK(file.mode()) ? -ELOOP : -EISDIR;
  const int64_t got = file->Read(file.get().id, offset, mailbox.payload, count);
  if (got >= 0) mailbox.payload_bytes.store(static_cast<uint32_t>(got));
  return static_cast<int32_t>(got);
}

int RemoveEntry(const Held& parent, std::string_view name) {
  vfs::Node found;
  const int error = parent->Lookup(Superuser(), parent.get().id, name, &found);
  if (error != 0) return error;
  const Held node(found);
  const bool is_directory = S_ISDIR(node.mode());
  if (is_directory) {
    const int32_t emptied = EmptyDirectory(found);
    if (emptied != 0) return emptied;
  }
  return parent->Remove(
      Superuser(), parent.get().id, name,
      is_directory ? vfs::FileSystem::Removal::kDirectory : vfs::FileSystem::Removal::kFile);
}

int SetOwner(const Held& node, uint32_t uid, uint32_t gid) {
  vfs::Attributes owner;
  owner.fields = vfs::Attributes::kUid | vfs::Attributes::kGid;
  owner.uid = uid;
  owner.gid = gid;
  return node->SetAttributes(Superuser(), node.get().id, owner);
}

int32_t Make(const control::Mailbox& mailbox, std::string_view path, std::string_view target) {
  const uint32_t mode = mailbox.arg[0].load();
  const uint32_t uid = mailbox.arg[1].load();
  const uint32_t gid = mailbox.arg[2].load();
  const uint32_t type = mode & S_IFMT;
  const bool is_kind = type == S_IFREG || type == S_IFDIR || type == S_IFLNK || type == S_IFIFO;
  if (!is_kind || (type == S_IFLNK && target.empty())) return -EINVAL;
  Held parent;
  std::string_view name;
  int error = WalkToParent(path, &parent, &name);
  if (error != 0) return error;
  vfs::Node found;
  if (parent->Lookup(Superuser(), parent.get().id, name, &found) == 0) {
    const Held there(found);
    // A directory takes no place that is taken, and gives up none: a tree is not lost to a file.
    if (type == S_IFDIR) return CheckDirectory(there);
    if (S_ISDIR(there.mode())) return -EISDIR;
    error = parent->Remove(Superuser(), parent.get().id, name, vfs::FileSystem::Removal::kFile);
    if (error != 0) return error;
  }
  if (type == S_IFLNK) {
    error = parent->Symlink(Superuser(), parent.get().id, name, target);
    if (error == 0) error = parent->Lookup(Superuser(), parent.get().id, name, &found);
  } else {
    error = parent->Create(Superuser(), parent.get().id, name, mode, 0, &found);
  }
  if (error != 0) return error;
  const Held made(found);
  return SetOwner(made, uid, gid);
}

int32_t Write(const control::Mailbox& mailbox, std::string_view path, const char* at,
              const char* end) {
  const uint32_t count = mailbox.arg[3].load();
  const uint64_t offset = mailbox.arg[1].load() | uint64_t{mailbox.arg[2].load()} << 32;
  if (count > static_cast<uint32_t>(end - at) || offset == vfs::kAppend) return -EINVAL;
  Held file;
  const int error = WalkTo(path, &file);
  if (error != 0) return error;
  if (!S_ISREG(file.mode())) return -EINVAL;
  uint64_t file_end = 0;
  return static_cast<int32_t>(file->Write(file.get().id, offset, at, count, &file_end));
}

int32_t SetAll(const control::Mailbox& mailbox, std::string_view path) {
  Held node;
  const int error = WalkTo(path, &node);
  if (error != 0) return error;
  // The owner first: a change of it takes set-id bits away.
  const int owned = SetOwner(node, mailbox.arg[1].load(), mailbox.arg[2].load());
  if (owned != 0) return owned;
  constexpr int64_t kSecond = 1'000'000'000;
  const auto mtime =
      static_cast<int64_t>(mailbox.arg[3].load() | uint64_t{mailbox.arg[4].load()} << 32);
  const int64_t seconds = mtime / kSecond - (mtime % kSecond < 0 ? 1 : 0);
  vfs::Attributes change;
  change.fields = vfs::Attributes::kMtime;
  change.mtime = {seconds, static_cast<uint32_t>(mtime - seconds * kSecond)};
  if (!S_ISLNK(node.mode())) change.fields |= vfs::Attributes::kMode;
  change.mode = mailbox.arg[0].load() & 07777;
  return node->SetAttributes(Superuser(), node.get().id, change);
}

int32_t Link(std::string_view from, std::string_view to) {
  Held file;
  int error = WalkTo(from, &file);
  if (error == 0 && S_ISDIR(file.mode())) error = -EPERM;
  if (error != 0) return error;
  Held parent;
  std::string_view name;
  error = WalkToParent(to, &parent, &name);
  if (error != 0) return error;
  vfs::Node found;
  if (parent->Lookup(Superuser(), parent.get().id, name, &found) == 0) {
    const Held there(found);
    if (found == file.get()) return 0;
    if (S_ISDIR(there.mode())) return -EISDIR;
    error = parent->Remove(Superuser(), parent.get().id, name, vfs::FileSystem::Removal::kFile);
    if (error != 0) return error;
  }
  return parent->Link(Superuser(), file.get().id, parent.get().id, name);
}

int32_t Remove(std::string_view path) {
  Held parent;
  std::string_view name;
  const int error = WalkToParent(path, &parent, &name);
  return error != 0 ? error : RemoveEntry(parent, name);
}

vfs::MemoryFs& Files() {
  return *static_cast<vfs::MemoryFs*>(TheKernel().files);
}

// Private to the service process.
HeldChunks& Chunks() {
  static HeldChunks chunks;
  return chunks;
}

int32_t Hold(control::Mailbox& mailbox) {
  const uint32_t count = Chunks().Hold(Files(), mailbox.arg[0].load());
  PayloadWriter writer(mailbox);
  for (uint32_t i = 0; i < count; ++i) writer.Add(Chunks().OffsetOf(Files(), i));
  return static_cast<int32_t>(count);
}

int32_t TakeOver(const control::Mailbox& mailbox, std::string_view path) {
  const uint64_t offset = mailbox.arg[1].load() | uint64_t{mailbox.arg[2].load()} << 32;
  Held file;
  const int error = WalkTo(path, &file);
  if (error != 0) return error;
  return static_cast<int32_t>(Chunks().TakeOver(Files(), file.get().id, mailbox.arg[0].load(),
                                                offset, mailbox.arg[3].load()));
}

}  // namespace

int32_t AnswerAboutTrees(control::Mailbox& mailbox, uint32_t payload_bytes) {
  const auto request = static_cast<control::Request>(mailbox.request.load());
  const char* at = reinterpret_cast<const char*>(mailbox.payload);
  const char* end = at + payload_bytes;
  if (request == control::Request::kTreeHold) return Hold(mailbox);
  // The answer is written over the payload.
  static char paths[2][vfs::kMaxPath];
  std::string_view path[2];
  for (const uint32_t i : {0, 1}) {
    const bool wants_second =
        request == control::Request::kTreeMake || request == control::Request::kTreeLink;
    if (i == 1 && !wants_second) break;
    const std::string_view text = NextString(at, end);
    if (text.size() >= sizeof paths[i]) return -ENAMETOOLONG;
    memcpy(paths[i], text.data(), text.size());
    path[i] = {paths[i], text.size()};
  }
  if (!path[0].starts_with('/')) return -EINVAL;
  switch (request) {
    case control::Request::kTreeList:
      return List(mailbox, path[0]);
    case control::Request::kTreeRead:
      return Read(mailbox, path[0]);
    case control::Request::kTreeMake:
      return Make(mailbox, path[0], path[1]);
    case control::Request::kTreeWrite:
      return Write(mailbox, path[0], at, end);
    case control::Request::kTreeAttributes:
      return SetAll(mailbox, path[0]);
    case control::Request::kTreeLink:
      return Link(path[0], path[1]);
    case control::Request::kTreeRemove:
      return Remove(path[0]);
    case control::Request::kTreeTakeOver:
      return TakeOver(mailbox, path[0]);
    default:
      return -ENOSYS;
  }
}

}  // namespace cordon::kernel

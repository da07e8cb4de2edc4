// Requests of the keeper about files: they run as the superuser of the sandbox, in the service
// process.

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "kernel/process.h"
#include "kernel/service.h"
#include "kernel/service_payload.h"

namespace cordon::kernel {
namespace {

struct FirstEntry {
  char name[vfs::kMaxName + 1];
  uint32_t size;
  uint32_t type;
};

bool TakeFirst(void* cookie, std::string_view name, uint64_t /*inode*/, uint32_t type,
               uint64_t /*next*/) {
  auto& entry = *static_cast<FirstEntry*>(cookie);
  if (entry.size > 0) return false;
  memcpy(entry.name, name.data(), name.size());
  entry.size = static_cast<uint32_t>(name.size());
  entry.type = type;
  return true;
}

}  // namespace

// No recursion, because a guest chose the depth.
int32_t EmptyDirectory(const vfs::Node& top) {
  const vfs::Credentials& who = Current().who;
  vfs::Node at = top;
  at.fs->Reference(at.id);
  for (;;) {
    FirstEntry entry = {};
    int error = at.fs->List(at.id, 0, {&entry, TakeFirst});
    vfs::Node next;
    if (error == 0 && entry.size == 0 && at == top) break;
    if (error == 0 && entry.size == 0) {
      error = at.fs->Parent(at.id, &next);
    } else if (error == 0) {
      const std::string_view name(entry.name, entry.size);
      const bool directory = entry.type == S_IFDIR;
      error = at.fs->Remove(
          who, at.id, name,
          directory ? vfs::FileSystem::Removal::kDirectory : vfs::FileSystem::Removal::kFile);
      if (error == 0 || error == -ENOENT) continue;
      if (error == -ENOTEMPTY && directory) error = at.fs->Lookup(who, at.id, name, &next);
    }
    if (error != 0) {
      at.fs->Release(at.id);
      return error;
    }
    at.fs->Release(at.id);
    at = next;
  }
  at.fs->Release(at.id);
  return 0;
}

namespace {

// A node that was walked to, released when it goes.
struct Found {
  vfs::Node node;
  int error;

  explicit Found(std::string_view path, vfs::WalkMode mode = vfs::kNoFollow) {
    const Process& process = Current();
    error =
        vfs::Walk(TheKernel().mounts, process.who, process.root, process.root, path, mode, &node);
  }
  Found(const Found&) = delete;
  Found& operator=(const Found&) = delete;
  ~Found() {
    if (error == 0) node.fs->Release(node.id);
  }
};

// The directory that holds, or may hold, the last name of a path; released when it goes.
struct FoundParent {
  vfs::Node node;
  vfs::LastName name;
  int error;

  explicit FoundParent(std::string_view path) {
    const Process& process = Current();
    error = vfs::WalkToParent(TheKernel().mounts, process.who, process.root, process.root, path,
                              &node, &name);
  }
  FoundParent(const FoundParent&) = delete;
  FoundParent& operator=(const FoundParent&) = delete;
  ~FoundParent() {
    if (error == 0) node.fs->Release(node.id);
  }
};

bool IsDirectory(std::string_view path) {
  const Process& process = Current();
  vfs::Node found;
  vfs::Stat stat;
  if (vfs::Walk(TheKernel().mounts, process.who, process.root, process.root, path, vfs::kFollow,
                &found) != 0) {
    return false;
  }
  const int32_t error = found.fs->GetStat(found.id, &stat);
  found.fs->Release(found.id);
  return error == 0 && S_ISDIR(stat.mode);
}

// As mkdir -p: the mode is the last one's.
int32_t MakeDirectories(std::string_view path, uint32_t mode) {
  constexpr uint32_t kOnTheWay = 0755;
  const Process& process = Current();
  for (size_t end = path.find('/', 1);; end = path.find('/', end + 1)) {
    const FoundParent parent(path.substr(0, end));
    if (parent.error != 0) return parent.error;
    const bool is_last = end == std::string_view::npos;
    vfs::Node made;
    const int failed =
        parent.name.is_dots()
            ? -EEXIST
            : parent.node.fs->Create(process.who, parent.node.id, parent.name.view(),
                                     S_IFDIR | (is_last ? mode : kOnTheWay), 0, &made);
    if (failed == 0) {
      vfs::Attributes owner;
      owner.fields = vfs::Attributes::kUid | vfs::Attributes::kGid;
      owner.uid = owner.gid = kUserId;
      (void)made.fs->SetAttributes(process.who, made.id, owner);
      made.fs->Release(made.id);
    }
    if (failed != 0 && failed != -EEXIST) return failed;
    if (is_last) return failed == 0 || IsDirectory(path) ? 0 : -EEXIST;
  }
}

int32_t WriteFile(control::Mailbox& mailbox, std::string_view path, const char* at,
                  const char* end) {
  const uint32_t count = mailbox.arg[3].load();
  const uint64_t offset = mailbox.arg[1].load() | uint64_t{mailbox.arg[2].load()} << 32;
  if (path.empty() || count > static_cast<uint32_t>(end - at)) return -EINVAL;
  Process& process = Current();
  vfs::Node file;
  int error = vfs::Walk(TheKernel().mounts, process.who, process.root, process.root, path,
                        vfs::kFollow, &file);
  if (error == -ENOENT) {
    error = vfs::WalkAndCreate(TheKernel().mounts, process.who, process.root, process.root, path,
                               S_IFREG | (mailbox.arg[0].load() & 07777), &file);
    vfs::Attributes owner;
    owner.fields = vfs::Attributes::kUid | vfs::Attributes::kGid;
    owner.uid = owner.gid = kUserId;
    if (error == 0) (void)file.fs->SetAttributes(process.who, file.id, owner);
  }
  if (error != 0) return error;
  if (offset == 0) error = file.fs->Truncate(file.id, 0);
  uint64_t file_end = 0;
  const int64_t put = error != 0 ? error : file.fs->Write(file.id, offset, at, count, &file_end);
  file.fs->Release(file.id);
  return static_cast<int32_t>(put);
}

int32_t ReadFile(control::Mailbox& mailbox, std::string_view path) {
  const uint32_t count = std::min(mailbox.arg[3].load(), control::kMailboxBytes);
  const uint64_t offset = mailbox.arg[1].load() | uint64_t{mailbox.arg[2].load()} << 32;
  Process& process = Current();
  vfs::Node file;
  const int error = vfs::Walk(TheKernel().mounts, process.who, process.root, process.root, path,
                              vfs::kFollow, &file);
  if (error != 0) return error;
  vfs::Stat stat;
  int64_t got = file.fs->GetStat(file.id, &stat);
  if (got == 0 && !S_ISREG(stat.mode)) got = S_ISDIR(stat.mode) ? -EISDIR : -EINVAL;
  if (got == 0) got = file.fs->Read(file.id, offset, mailbox.payload, count);
  file.fs->Release(file.id);
  if (got >= 0) {
    mailbox.payload_bytes.store(static_cast<uint32_t>(got));
    mailbox.arg[0].store(stat.mode & 0777);
  }
  return static_cast<int32_t>(got);
}

int32_t MakeSymlink(std::string_view target, std::string_view path) {
  const Process& process = Current();
  const FoundParent parent(path);
  if (parent.error != 0) return parent.error;
  if (parent.name.is_dots()) return -EEXIST;
  vfs::FileSystem& fs = *parent.node.fs;
  const int error = fs.Symlink(process.who, parent.node.id, parent.name.view(), target);
  vfs::Node made;
  if (error == 0 && fs.Lookup(process.who, parent.node.id, parent.name.view(), &made) == 0) {
    vfs::Attributes owner;
    owner.fields = vfs::Attributes::kUid | vfs::Attributes::kGid;
    owner.uid = owner.gid = kUserId;
    (void)fs.SetAttributes(process.who, made.id, owner);
    fs.Release(made.id);
  }
  return error;
}

int32_t ReportStat(control::Mailbox& mailbox, std::string_view path) {
  const Found found(path);
  if (found.error != 0) return found.error;
  vfs::Stat stat;
  const int error = found.node.fs->GetStat(found.node.id, &stat);
  if (error != 0) return error;
  char target[vfs::kMaxPath];
  int64_t length = 0;
  if (S_ISLNK(stat.mode)) length = found.node.fs->ReadLink(found.node.id, target, sizeof target);
  if (length < 0) return static_cast<int32_t>(length);
  PayloadWriter writer(mailbox);
  writer.Add(stat.mode);
  writer.Add(static_cast<uint64_t>(stat.size));
  writer.Add(static_cast<uint64_t>(stat.mtime.seconds) * 1'000'000'000 + stat.mtime.nanoseconds);
  writer.AddString({target, static_cast<size_t>(length)});
  return 0;
}

struct Listing {
  PayloadWriter writer;
  vfs::Node directory;
  int32_t count;
};

bool EmitEntry(void* cookie, std::string_view name, uint64_t /*inode*/, uint32_t type,
               uint64_t next) {
  auto& listing = *static_cast<Listing*>(cookie);
  const size_t size = sizeof(uint64_t) * 2 + sizeof(uint32_t) + name.size() + 1;
  if (size > listing.writer.left()) return false;
  listing.writer.Add(next);
  listing.writer.Add(type);
  // The size is asked for with the entry itself: a listing holds the directory's lock.
  listing.writer.Add(uint64_t{0});
  listing.writer.AddString(name);
  ++listing.count;
  return true;
}

int32_t ListDirectory(control::Mailbox& mailbox, std::string_view path) {
  const uint64_t cookie = mailbox.arg[1].load() | uint64_t{mailbox.arg[2].load()} << 32;
  const Found found(path);
  if (found.error != 0) return found.error;
  if (!S_ISDIR(found.node.fs->ModeOf(found.node.id))) return -ENOTDIR;
  Listing listing{PayloadWriter(mailbox), found.node, 0};
  const int error = found.node.fs->List(found.node.id, cookie, {&listing, EmitEntry});
  return error != 0 ? error : listing.count;
}

// Names of a directory, as many as are looked up in one go.
struct Names {
  static constexpr uint32_t kMost = 48;
  struct Entry {
    uint64_t next;
    uint32_t size;
    char name[vfs::kMaxName];
  };
  uint32_t count;
  Entry entries[kMost];
};

bool EmitName(void* cookie, std::string_view name, uint64_t /*inode*/, uint32_t /*type*/,
              uint64_t next) {
  auto& names = *static_cast<Names*>(cookie);
  if (names.count == Names::kMost) return false;
  Names::Entry& entry = names.entries[names.count++];
  entry.next = next;
  entry.size = static_cast<uint32_t>(name.size());
  memcpy(entry.name, name.data(), name.size());
  return true;
}

void AddMetadata(PayloadWriter& writer, const vfs::Node& node, const vfs::Stat& stat) {
  writer.Add(stat.mode);
  writer.Add(static_cast<uint64_t>(stat.size));
  writer.Add(static_cast<uint64_t>(stat.mtime.seconds) * 1'000'000'000 + stat.mtime.nanoseconds);
  char target[vfs::kMaxPath];
  const int64_t length = S_ISLNK(stat.mode) ? node.fs->ReadLink(node.id, target, sizeof target) : 0;
  writer.AddString({target, static_cast<size_t>(std::max<int64_t>(length, 0))});
}

// A listing holds the directory's lock: the entries themselves are asked after it. One that goes in
// between is left out.
int32_t ListWithMetadata(control::Mailbox& mailbox, std::string_view path) {
  const uint64_t cookie = mailbox.arg[1].load() | uint64_t{mailbox.arg[2].load()} << 32;
  const Found found(path, vfs::kFollow);
  if (found.error != 0) return found.error;
  const vfs::Node& directory = found.node;
  if (!S_ISDIR(directory.fs->ModeOf(directory.id))) return -ENOTDIR;
  static Names names;  // private to the service process, which answers one request at a time
  names.count = 0;
  const int error = directory.fs->List(directory.id, cookie, {&names, EmitName});
  if (error != 0) return error;
  PayloadWriter writer(mailbox);
  for (uint32_t i = 0; i < names.count; ++i) {
    const Names::Entry& entry = names.entries[i];
    const std::string_view name(entry.name, entry.size);
    vfs::Node node;
    vfs::Stat stat = {};
    const bool is_there = directory.fs->Lookup(Current().who, directory.id, name, &node) == 0;
    if (is_there) (void)node.fs->GetStat(node.id, &stat);
    writer.Add(entry.next);
    writer.AddString(name);
    AddMetadata(writer, node, stat);
    if (is_there) node.fs->Release(node.id);
  }
  return static_cast<int32_t>(names.count);
}

int32_t Rename(std::string_view from, std::string_view to) {
  const FoundParent source(from);
  if (source.error != 0) return source.error;
  const FoundParent target(to);
  if (target.error != 0) return target.error;
  if (source.name.is_dots() || target.name.is_dots()) return -EBUSY;
  if (source.node.fs != target.node.fs) return -EXDEV;
  return source.node.fs->Rename(Current().who, source.node.id, source.name.view(), target.node.id,
                                target.name.view(), 0);
}

int32_t ChangeMode(std::string_view path, uint32_t mode) {
  const Found found(path, vfs::kFollow);
  if (found.error != 0) return found.error;
  vfs::Attributes change;
  change.fields = vfs::Attributes::kMode;
  change.mode = mode;
  return found.node.fs->SetAttributes(Current().who, found.node.id, change);
}

int32_t RemoveTree(std::string_view path) {
  {
    const Found found(path);
    if (found.error != 0) return found.error;
    if (S_ISDIR(found.node.fs->ModeOf(found.node.id))) {
      const int32_t error = EmptyDirectory(found.node);
      if (error != 0) return error;
    }
  }
  const FoundParent parent(path);
  if (parent.error != 0) return parent.error;
  if (parent.name.is_dots()) return -EBUSY;
  vfs::FileSystem& fs = *parent.node.fs;
  const std::string_view name = parent.name.view();
  const vfs::Credentials& who = Current().who;
  const int error = fs.Remove(who, parent.node.id, name, vfs::FileSystem::Removal::kFile);
  if (error != -EISDIR && error != -EPERM) return error;
  return fs.Remove(who, parent.node.id, name, vfs::FileSystem::Removal::kDirectory);
}

}  // namespace

std::string_view NextString(const char*& at, const char* end) {
  const void* zero = memchr(at, 0, static_cast<size_t>(end - at));
  if (zero == nullptr) return {};
  const std::string_view text(at, static_cast<size_t>(static_cast<const char*>(zero) - at));
  at = static_cast<const char*>(zero) + 1;
  return text;
}

int32_t AnswerAboutFiles(control::Mailbox& mailbox, uint32_t payload_bytes) {
  const char* at = reinterpret_cast<const char*>(mailbox.payload);
  const char* end = at + payload_bytes;
  // The answer is written over the payload.
  char path[2][vfs::kMaxPath] = {};
  std::string_view paths[2];
  for (uint32_t i = 0; i < 2; ++i) {
    const auto request = static_cast<control::Request>(mailbox.request.load());
    const bool wants_two =
        request == control::Request::kSymlink || request == control::Request::kRename;
    if (i == 1 && !wants_two) break;
    const std::string_view text = NextString(at, end);
    if (text.empty()) return -EINVAL;
    if (text.size() >= sizeof path[i]) return -ENAMETOOLONG;
    memcpy(path[i], text.data(), text.size());
    paths[i] = {path[i], text.size()};
  }
  switch (static_cast<control::Request>(mailbox.request.load())) {
    case control::Request::kMakeDir:
      return MakeDirectories(paths[0], mailbox.arg[0].load() & 07777);
    case control::Request::kWriteFile:
      return WriteFile(mailbox, paths[0], at, end);
    case control::Request::kReadFile:
      return ReadFile(mailbox, paths[0]);
    case control::Request::kSymlink:
      return MakeSymlink(paths[0], paths[1]);
    case control::Request::kListDir:
      return ListDirectory(mailbox, paths[0]);
    case control::Request::kStat:
      return ReportStat(mailbox, paths[0]);
    case control::Request::kRemove:
      return RemoveTree(paths[0]);
    case control::Request::kListStat:
      return ListWithMetadata(mailbox, paths[0]);
    case control::Request::kRename:
      return Rename(paths[0], paths[1]);
    case control::Request::kChangeMode:
      return ChangeMode(paths[0], mailbox.arg[0].load() & 07777);
    default:
      return -ENOSYS;
  }
}

}  // namespace cordon::kernel

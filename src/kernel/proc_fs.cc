#include "kernel/proc_fs.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <new>

#include "arena/platform.h"
#include "kernel/proc_files.h"
#include "vfs/path_walk.h"

namespace cordon::kernel {
namespace {

// The longest file is the environment.
constexpr uint32_t kTextBytes = 16 * 1024;
constexpr uint64_t kProcDevice = 2;

// A node's number: what it is, of which process, and a further number.
enum class Kind : uint8_t {
  kDirectory,    // index: ProcDirectory
  kSystemFile,   // index of SystemFiles()
  kSelf,         // link to the caller's directory
  kProcess,      // directory of a process
  kProcessFile,  // index of ProcessFiles()
  kProcessLink,  // index of kLinks
  kDescriptors,  // /proc/PID/fd
  kDescriptor,   // link in it; index: the descriptor
  kObject,       // the pipe or stream that such a link leads to; it may have a node
};
struct Id {
  Kind kind;
  uint32_t pid;
  uint32_t index;
};
uint64_t Pack(const Id& id) {
  return static_cast<uint64_t>(id.kind) | uint64_t{id.pid} << 8 | uint64_t{id.index} << 40;
}
Id Unpack(uint64_t id) {
  return {static_cast<Kind>(id & 0xff), static_cast<uint32_t>(id >> 8),
          static_cast<uint32_t>(id >> 40)};
}

constexpr std::string_view kLinks[] = {"cwd", "exe", "root"};
struct Subdirectory {
  ProcDirectory parent, directory;
  std::string_view name;
};
constexpr Subdirectory kSubdirectories[] = {{kProcRoot, kProcSys, "sys"},
                                            {kProcSys, kProcSysKernel, "kernel"},
                                            {kProcSysKernel, kProcSysKernelRandom, "random"}};
constexpr std::string_view kSelfNames[] = {"self", "thread-self"};

bool ParseNumber(std::string_view text, uint32_t* number) {
  if (text.empty() || text.size() > 9 || (text[0] == '0' && text.size() > 1)) return false;
  *number = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return false;
    *number = *number * 10 + static_cast<uint32_t>(c - '0');
  }
  return true;
}

struct Decimal {
  char text[12];
  explicit Decimal(uint32_t number) { (void)snprintf(text, sizeof text, "%u", number); }
};

// Under table_lock.
Process* FindVisible(uint32_t pid) {
  return FindProcess(pid);
}

bool ProcessExists(uint32_t pid, vfs::Credentials* who) {
  const MutexLock lock(TheKernel().table_lock, LockRank::kProcessTable);
  const Process* process = FindVisible(pid);
  if (process != nullptr) *who = process->who;
  return process != nullptr;
}

// The description behind a descriptor of any process, retained, or null.
OpenFile* TakeDescriptor(uint32_t pid, uint32_t descriptor) {
  Process* process = nullptr;
  {
    const MutexLock lock(TheKernel().table_lock, LockRank::kProcessTable);
    process = FindVisible(pid);
  }
  if (process == nullptr || descriptor >= kMaxDescriptors) return nullptr;
  // The slot may go to another process meanwhile: asked again under the lock that it closes under.
  const MutexLock lock(process->descriptor_lock, LockRank::kDescriptorTable);
  auto* file = reinterpret_cast<OpenFile*>(process->descriptors[descriptor] & ~uintptr_t{1});
  if (process->pid != pid || file == nullptr) return nullptr;
  Retain(file);
  return file;
}

uint32_t NextDescriptor(uint32_t pid, uint32_t from) {
  for (uint32_t i = from; i < kMaxDescriptors; ++i) {
    OpenFile* file = TakeDescriptor(pid, i);
    if (file == nullptr) continue;
    Release(file);
    return i;
  }
  return kMaxDescriptors;
}

// The node that a link of the caller's own process leads to; not referenced.
vfs::Node OwnNode(uint32_t link) {
  const Process& process = Current();
  const vfs::Node nodes[] = {WorkingDirectory(), process.executable, process.root};
  return nodes[link];
}

class ProcFs final : public vfs::FileSystem {
 public:
  vfs::Node Root() override { return NodeOf({Kind::kDirectory, 0, kProcRoot}); }
  void Reference(uint64_t /*id*/) override {}
  void Release(uint64_t /*id*/) override {}

  int Lookup(const vfs::Credentials& who, uint64_t directory, std::string_view name,
             vfs::Node* out) override;
  int Parent(uint64_t directory, vfs::Node* out) override;
  int GetStat(uint64_t id, vfs::Stat* out) override;
  int Access(const vfs::Credentials& who, uint64_t id, uint32_t access) override;
  int64_t Read(uint64_t id, uint64_t offset, void* to, uint64_t size) override;
  int64_t ReadLink(uint64_t id, char* to, uint64_t size) override;
  int FollowTo(uint64_t id, vfs::Node* out) override;
  int List(uint64_t directory, uint64_t cookie, vfs::DirectorySink sink) override;
  int StatFileSystem(vfs::FileSystemStat* out) override {
    *out = {};
    return 0;
  }

  // Nothing here can be made, changed or removed.
  int Create(const vfs::Credentials& /*who*/, uint64_t /*directory*/, std::string_view /*name*/,
             uint32_t /*mode*/, uint64_t /*rdev*/, vfs::Node* /*out*/) override {
    return -EPERM;
  }
  int Symlink(const vfs::Credentials& /*who*/, uint64_t /*directory*/, std::string_view /*name*/,
              std::string_view /*target*/) override {
    return -EPERM;
  }
  int Link(const vfs::Credentials& /*who*/, uint64_t /*node*/, uint64_t /*directory*/,
           std::string_view /*name*/) override {
    return -EPERM;
  }
  int Remove(const vfs::Credentials& /*who*/, uint64_t /*directory*/, std::string_view /*name*/,
             Removal /*kind*/) override {
    return -EPERM;
  }
  int Rename(const vfs::Credentials& /*who*/, uint64_t /*from*/, std::string_view /*from_name*/,
             uint64_t /*to*/, std::string_view /*to_name*/, uint32_t /*flags*/) override {
    return -EPERM;
  }
  int SetAttributes(const vfs::Credentials& /*who*/, uint64_t /*id*/,
                    const vfs::Attributes& /*change*/) override {
    return -EPERM;
  }
  int64_t Write(uint64_t /*id*/, uint64_t /*offset*/, const void* /*from*/, uint64_t /*size*/,
                uint64_t* /*end*/) override {
    return -EACCES;
  }
  int Truncate(uint64_t /*id*/, uint64_t /*size*/) override { return -EACCES; }
  int Allocate(uint64_t /*id*/, uint64_t /*offset*/, uint64_t /*size*/,
               bool /*keep_size*/) override {
    return -EOPNOTSUPP;
  }
  int64_t SeekHole(uint64_t /*id*/, uint64_t /*offset*/, int /*whence*/) override {
    return -EINVAL;
  }

 private:
  vfs::Node NodeOf(const Id& id) { return {this, Pack(id)}; }
  int LookupInDirectory(uint32_t directory, std::string_view name, vfs::Node* out);
  int LookupInProcess(uint32_t pid, std::string_view name, vfs::Node* out);
  static bool ListDirectory(uint32_t directory, uint64_t cookie, const vfs::DirectorySink& sink);
  static bool ListProcesses(uint64_t cookie, const vfs::DirectorySink& sink);
  static void ListProcess(uint32_t pid, uint64_t cookie, const vfs::DirectorySink& sink);
  static void ListDescriptors(uint32_t pid, uint64_t cookie, const vfs::DirectorySink& sink);
};

ProcFs* proc = nullptr;  // in the arena; the pointer is inherited by clones

int ProcFs::LookupInDirectory(uint32_t directory, std::string_view name, vfs::Node* out) {
  const std::span<const SystemFile> files = SystemFiles();
  for (uint32_t i = 0; i < files.size(); ++i) {
    if (files[i].directory != directory || files[i].name != name) continue;
    *out = NodeOf({Kind::kSystemFile, 0, i});
    return 0;
  }
  for (const Subdirectory& sub : kSubdirectories) {
    if (sub.parent != directory || sub.name != name) continue;
    *out = NodeOf({Kind::kDirectory, 0, sub.directory});
    return 0;
  }
  if (directory != kProcRoot) return -ENOENT;
  for (const std::string_view self : kSelfNames) {
    if (name != self) continue;
    *out = NodeOf({Kind::kSelf, 0, 0});
    return 0;
  }
  uint32_t pid = 0;
  vfs::Credentials owner;
  if (!ParseNumber(name, &pid) || !ProcessExists(pid, &owner)) return -ENOENT;
  *out = NodeOf({Kind::kProcess, pid, 0});
  return 0;
}

int ProcFs::LookupInProcess(uint32_t pid, std::string_view name, vfs::Node* out) {
  vfs::Credentials owner;
  if (!ProcessExists(pid, &owner)) return -ENOENT;
  const std::span<const ProcessFile> files = ProcessFiles();
  for (uint32_t i = 0; i < files.size(); ++i) {
    if (files[i].name != name) continue;
    *out = NodeOf({Kind::kProcessFile, pid, i});
    return 0;
  }
  for (uint32_t i = 0; i < std::size(kLinks); ++i) {
    if (kLinks[i] != name) continue;
    *out = NodeOf({Kind::kProcessLink, pid, i});
    return 0;
  }
  if (name != "fd") return -ENOENT;
  *out = NodeOf({Kind::kDescriptors, pid, 0});
  return 0;
}

int ProcFs::Lookup(const vfs::Credentials& /*who*/, uint64_t directory, std::string_view name,
                   vfs::Node* out) {
  const Id id = Unpack(directory);
  switch (id.kind) {
    case Kind::kDirectory:
      return LookupInDirectory(id.index, name, out);
    case Kind::kProcess:
      return LookupInProcess(id.pid, name, out);
    case Kind::kDescriptors: {
      uint32_t descriptor = 0;
      if (!ParseNumber(name, &descriptor)) return -ENOENT;
      OpenFile* file = TakeDescriptor(id.pid, descriptor);
      if (file == nullptr) return -ENOENT;
      kernel::Release(file);
      *out = NodeOf({Kind::kDescriptor, id.pid, descriptor});
      return 0;
    }
    default:
      return -ENOTDIR;
  }
}

int ProcFs::Parent(uint64_t directory, vfs::Node* out) {
  const Id id = Unpack(directory);
  *out = Root();
  if (id.kind == Kind::kDescriptors) *out = NodeOf({Kind::kProcess, id.pid, 0});
  for (const Subdirectory& sub : kSubdirectories) {
    if (id.kind == Kind::kDirectory && sub.directory == id.index)
      *out = NodeOf({Kind::kDirectory, 0, sub.parent});
  }
  return 0;
}

int ProcFs::GetStat(uint64_t number, vfs::Stat* out) {
  const Id id = Unpack(number);
  vfs::Credentials owner;
  const bool of_process = id.kind >= Kind::kProcess;
  if (of_process && !ProcessExists(id.pid, &owner)) return -ENOENT;
  *out = {};
  out->device = kProcDevice;
  out->inode = number + 1;
  out->links = 1;
  out->uid = owner.uid;
  out->gid = owner.gid;
  const uint64_t now = platform::ClockNs(0);
  out->atime = out->mtime = out->ctime = {static_cast<int64_t>(now / 1'000'000'000),
                                          static_cast<uint32_t>(now % 1'000'000'000)};
  switch (id.kind) {
    case Kind::kDirectory:
    case Kind::kProcess:
      out->mode = S_IFDIR | 0555;
      break;
    case Kind::kDescriptors:
      out->mode = S_IFDIR | 0500;
      break;
    case Kind::kSystemFile:
      out->mode = S_IFREG | 0444;
      break;
    case Kind::kProcessFile:
      out->mode = S_IFREG | (ProcessFiles()[id.index].name == "environ" ? 0400 : 0444);
      break;
    case Kind::kSelf:
    case Kind::kProcessLink:
      out->mode = S_IFLNK | 0777;
      break;
    case Kind::kDescriptor:
      out->mode = S_IFLNK | 0700;
      out->size = 64;
      break;
    case Kind::kObject: {
      OpenFile* file = TakeDescriptor(id.pid, id.index);
      if (file == nullptr) return -ENOENT;
      const int error = StatOpenFile(*file, out);
      if (file->node.fs == nullptr) {
        out->uid = owner.uid;
        out->gid = owner.gid;
      }
      kernel::Release(file);
      if (error != 0) return error;
      break;
    }
  }
  return 0;
}

int ProcFs::Access(const vfs::Credentials& who, uint64_t id, uint32_t access) {
  vfs::Stat stat;
  const int error = GetStat(id, &stat);
  if (error != 0) return error;
  if (who.uid == 0) return 0;
  const uint32_t bits = who.uid == stat.uid ? stat.mode >> 6 : stat.mode;
  return (bits & 7 & access) == access ? 0 : -EACCES;
}

int64_t ProcFs::Read(uint64_t number, uint64_t offset, void* to, uint64_t size) {
  const Id id = Unpack(number);
  char text[kTextBytes];
  TextWriter writer(text, sizeof text);
  if (id.kind == Kind::kSystemFile) {
    const MutexLock lock(TheKernel().table_lock, LockRank::kProcessTable);
    SystemFiles()[id.index].write(writer);
  } else if (id.kind == Kind::kProcessFile) {
    const MutexLock lock(TheKernel().table_lock, LockRank::kProcessTable);
    const Process* process = FindVisible(id.pid);
    if (process == nullptr) return -ESRCH;
    ProcessFiles()[id.index].write(*process, writer);
  } else {
    return id.kind == Kind::kObject ? -EINVAL : -EISDIR;
  }
  if (offset >= writer.size()) return 0;
  const uint64_t count = std::min(size, writer.size() - offset);
  return vfs::Copy(to, text + offset, count) != 0 ? -EFAULT : static_cast<int64_t>(count);
}

int64_t ProcFs::ReadLink(uint64_t number, char* to, uint64_t size) {
  const Id id = Unpack(number);
  char text[vfs::kMaxPath];
  int64_t length = -EINVAL;
  if (id.kind == Kind::kSelf) {
    length = snprintf(text, sizeof text, "%u", Current().pid);
  } else if (id.kind == Kind::kProcessLink) {
    if (id.pid != Current().pid) return -EACCES;
    const vfs::Node node = OwnNode(id.index);
    length = node.fs == nullptr ? -ENOENT : FindPath(node, text, sizeof text);
  } else if (id.kind == Kind::kDescriptor) {
    OpenFile* file = TakeDescriptor(id.pid, id.index);
    if (file == nullptr) return -ENOENT;
    length = file->node.fs != nullptr ? FindPath(file->node, text, sizeof text) : -EINVAL;
    if (length == -ENOENT) length = snprintf(text, sizeof text, "/ (deleted)");
    if (file->node.fs == nullptr && file->operations->mode == kAnonymousMode) {
      length = snprintf(text, sizeof text, "anon_inode:[%s]", file->operations->name);
    } else if (file->node.fs == nullptr) {
      length = snprintf(text, sizeof text, "%s:[%u]", file->operations->name,
                        static_cast<uint32_t>(reinterpret_cast<uint64_t>(file->object) >> 4));
    }
    kernel::Release(file);
  }
  if (length < 0) return length;
  const uint64_t count = std::min<uint64_t>(size, static_cast<uint64_t>(length));
  memcpy(to, text, count);
  return static_cast<int64_t>(count);
}

int ProcFs::FollowTo(uint64_t number, vfs::Node* out) {
  const Id id = Unpack(number);
  if (id.kind == Kind::kProcessLink) {
    const vfs::Node node = id.pid == Current().pid ? OwnNode(id.index) : vfs::Node{};
    if (node.fs == nullptr) return -EACCES;
    *out = node;
    out->fs->Reference(out->id);
    return 1;
  }
  if (id.kind != Kind::kDescriptor) return 0;
  OpenFile* file = TakeDescriptor(id.pid, id.index);
  if (file == nullptr) return -ENOENT;
  *out = NodeOf({Kind::kObject, id.pid, id.index});
  // A run's stream has a node that is the shell's alone to open: others get what they have of it.
  if (file->node.fs != nullptr && file->operations->reopen == nullptr) {
    *out = file->node;
    out->fs->Reference(out->id);
  }
  kernel::Release(file);
  return 1;
}

bool ProcFs::ListDirectory(uint32_t directory, uint64_t cookie, const vfs::DirectorySink& sink) {
  uint64_t next = 0;
  const auto emit = [&](std::string_view name, const Id& id, uint32_t type) {
    ++next;
    return next <= cookie || sink.emit(sink.cookie, name, Pack(id) + 1, type, next);
  };
  const std::span<const SystemFile> files = SystemFiles();
  for (uint32_t i = 0; i < files.size(); ++i) {
    if (files[i].directory != directory) continue;
    if (!emit(files[i].name, {Kind::kSystemFile, 0, i}, S_IFREG)) return false;
  }
  for (const Subdirectory& sub : kSubdirectories) {
    if (sub.parent != directory) continue;
    if (!emit(sub.name, {Kind::kDirectory, 0, sub.directory}, S_IFDIR)) return false;
  }
  if (directory != kProcRoot) return true;
  for (const std::string_view name : kSelfNames) {
    if (!emit(name, {Kind::kSelf, 0, 0}, S_IFLNK)) return false;
  }
  return ListProcesses(cookie, sink);
}

// Their cookies lie above those of the names that are always there.
bool ProcFs::ListProcesses(uint64_t cookie, const vfs::DirectorySink& sink) {
  constexpr uint64_t kFirst = 1000;
  Kernel& kernel = TheKernel();
  for (uint64_t slot = cookie < kFirst ? 0 : cookie - kFirst; slot < kernel.slot_end; ++slot) {
    uint32_t pid = 0;
    {
      const MutexLock lock(kernel.table_lock, LockRank::kProcessTable);
      const Process* process = kernel.processes[slot];
      if (process == nullptr || process->state.load() == ProcessState::kFree) continue;
      pid = process->pid;
    }
    const Id id = {Kind::kProcess, pid, 0};
    if (!sink.emit(sink.cookie, Decimal(pid).text, Pack(id) + 1, S_IFDIR, kFirst + slot + 1))
      return false;
  }
  return true;
}

void ProcFs::ListProcess(uint32_t pid, uint64_t cookie, const vfs::DirectorySink& sink) {
  uint64_t next = 0;
  const auto emit = [&](std::string_view name, const Id& id, uint32_t type) {
    ++next;
    return next <= cookie || sink.emit(sink.cookie, name, Pack(id) + 1, type, next);
  };
  const std::span<const ProcessFile> files = ProcessFiles();
  for (uint32_t i = 0; i < files.size(); ++i) {
    if (!emit(files[i].name, {Kind::kProcessFile, pid, i}, S_IFREG)) return;
  }
  for (uint32_t i = 0; i < std::size(kLinks); ++i) {
    if (!emit(kLinks[i], {Kind::kProcessLink, pid, i}, S_IFLNK)) return;
  }
  (void)emit("fd", {Kind::kDescriptors, pid, 0}, S_IFDIR);
}

void ProcFs::ListDescriptors(uint32_t pid, uint64_t cookie, const vfs::DirectorySink& sink) {
  for (auto i = static_cast<uint32_t>(cookie); (i = NextDescriptor(pid, i)) < kMaxDescriptors;
       ++i) {
    const Id id = {Kind::kDescriptor, pid, i};
    if (!sink.emit(sink.cookie, Decimal(i).text, Pack(id) + 1, S_IFLNK, i + 1)) return;
  }
}

int ProcFs::List(uint64_t directory, uint64_t cookie, vfs::DirectorySink sink) {
  const Id id = Unpack(directory);
  vfs::Credentials owner;
  if (id.kind != Kind::kDirectory && !ProcessExists(id.pid, &owner)) return -ENOENT;
  if (id.kind == Kind::kDirectory) {
    (void)ListDirectory(id.index, cookie, sink);
  } else if (id.kind == Kind::kProcess) {
    ListProcess(id.pid, cookie, sink);
  } else if (id.kind == Kind::kDescriptors) {
    ListDescriptors(id.pid, cookie, sink);
  } else {
    return -ENOTDIR;
  }
  return 0;
}

// Depth first through the names of a file system, for the one of an inode.
class PathSearch {
 public:
  explicit PathSearch(uint64_t inode) : inode_(inode) {}

  bool Run(const vfs::Node& directory, uint32_t depth) {
    Entry entry;
    while (depth < kMaxDepth && Next(directory, &entry)) {
      const uint32_t old_size = size_;
      if (size_ + 1 + entry.name_size > sizeof text_) return false;
      text_[size_++] = '/';
      memcpy(text_ + size_, entry.name, entry.name_size);
      size_ += entry.name_size;
      if (entry.inode == inode_) return true;
      vfs::Node child;
      if (entry.type == S_IFDIR &&
          directory.fs->Lookup({}, directory.id, {entry.name, entry.name_size}, &child) == 0) {
        const bool found = Run(child, depth + 1);
        child.fs->Release(child.id);
        if (found) return true;
      }
      size_ = old_size;
    }
    return false;
  }
  [[nodiscard]] std::string_view path() const { return {text_, size_}; }

 private:
  static constexpr uint32_t kMaxDepth = 32;
  struct Entry {
    uint64_t cookie = 0;
    uint64_t inode = 0;
    uint32_t type = 0;
    uint32_t name_size = 0;
    char name[vfs::kMaxName];
  };

  // One entry a call: a listing holds its directory's lock, under which no other is looked into.
  static bool Next(const vfs::Node& directory, Entry* entry) {
    entry->name_size = 0;
    const auto take = [](void* cookie, std::string_view name, uint64_t inode, uint32_t type,
                         uint64_t next) {
      auto* out = static_cast<Entry*>(cookie);
      if (out->name_size > 0) return false;
      memcpy(out->name, name.data(), name.size());
      out->name_size = static_cast<uint32_t>(name.size());
      out->inode = inode;
      out->type = type;
      out->cookie = next;
      return true;
    };
    return directory.fs->List(directory.id, entry->cookie, {entry, take}) == 0 &&
           entry->name_size > 0;
  }

  uint64_t inode_;
  char text_[vfs::kMaxPath];
  uint32_t size_ = 0;
};

}  // namespace

void MountProc() {
  Kernel& kernel = TheKernel();
  void* memory = kernel.arena->Allocate(sizeof(ProcFs));
  if (memory == nullptr) return;
  proc = new (memory) ProcFs;
  vfs::FileSystem& files = *kernel.files;
  vfs::Node covered;
  if (files.Lookup({}, files.Root().id, "proc", &covered) != 0) return;
  kernel.mounts.mounts[0].covered = covered;
  kernel.mounts.mounts[0].root = proc->Root();
  kernel.mounts.count.store(1);
}

bool IsDescriptorNode(const vfs::Node& node) {
  return node.fs == proc && proc != nullptr && Unpack(node.id).kind == Kind::kObject;
}

int32_t ReopenDescriptor(const vfs::Node& node, uint32_t flags, OpenFile** out) {
  const Id id = Unpack(node.id);
  OpenFile* file = TakeDescriptor(id.pid, id.index);
  if (file == nullptr) return -ENOENT;
  if (file->operations->reopen != nullptr) {
    const int32_t error = file->operations->reopen(*file, flags, out);
    Release(file);
    return error;
  }
  Release(file);
  return -ENXIO;
}

int64_t FindPath(const vfs::Node& node, char* to, uint64_t size) {
  vfs::Stat stat;
  const int error = node.fs->GetStat(node.id, &stat);
  if (error != 0) return error;
  if (S_ISDIR(stat.mode)) {
    const int64_t length = vfs::PathOf(TheKernel().mounts, Current().root, node, to, size);
    return length < 0 ? length : length - 1;
  }
  PathSearch search(stat.inode);
  if (stat.links == 0 || !search.Run(node.fs->Root(), 0)) return -ENOENT;
  const std::string_view path = search.path();
  if (path.size() > size) return -ERANGE;
  memcpy(to, path.data(), path.size());
  return static_cast<int64_t>(path.size());
}

}  // namespace cordon::kernel

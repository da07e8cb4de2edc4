#include "kernel/file_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>

#include "arena/platform.h"
#include "kernel/guest_memory.h"
#include "kernel/process.h"

namespace cordon::kernel {
namespace {

constexpr uint32_t kSetOwn = 13, kSetOwnWait = 14, kGetOwn = 12;  // F_…LK64 of 32-bit Linux
constexpr uint32_t kGetDescription = 36, kSetDescriptionWait = 38;
constexpr uint64_t kEnd = UINT64_MAX;

// Who holds a lock: a process, or a description. flock's are of another kind and meet only their
// like.
struct Owner {
  enum Kind : uint8_t { kProcess, kDescription, kWholeFile };
  Kind kind;
  uint64_t number;  // process identifier, or the description's address
  bool operator==(const Owner&) const = default;
};

struct Lock {
  Lock* next;
  Owner owner;
  uint32_t pid;
  bool exclusive;
  uint64_t begin, end;  // [begin, end)
};

// Of one inode, attached to it while it is in memory.
struct FileLocks {
  Mutex mutex;
  WaitQueue changed;
  Lock* first = nullptr;
};

Arena& TheArena() {
  return *TheKernel().arena;
}

void FreeLocks(void* object) {
  auto* locks = static_cast<FileLocks*>(object);
  while (Lock* lock = locks->first) {
    locks->first = lock->next;
    TheArena().Delete(lock);
  }
  TheArena().Delete(locks);
}

// A pipe or a socket is what such a node is attached to.
bool HasOtherAttachment(const vfs::Node& node) {
  const uint32_t mode = node.fs->ModeOf(node.id);
  return S_ISFIFO(mode) || S_ISSOCK(mode);
}

// Null where there are none and `make` is not set, or no memory.
FileLocks* LocksOf(const OpenFile& file, bool make) {
  if (file.node.fs == nullptr) return nullptr;
  vfs::Attachment* attachment = file.node.fs->AttachmentOf(file.node.id);
  if (attachment == nullptr || (attachment->object == nullptr && !make) ||
      HasOtherAttachment(file.node))
    return nullptr;
  const MutexLock lock(TheKernel().table_lock, LockRank::kProcessTable);
  if (attachment->object == nullptr && make) {
    attachment->object = TheArena().New<FileLocks>();
    attachment->release = FreeLocks;
  }
  return static_cast<FileLocks*>(attachment->object);
}

bool MeetsOwner(const Owner& a, const Owner& b) {
  const bool whole_a = a.kind == Owner::kWholeFile;
  const bool whole_b = b.kind == Owner::kWholeFile;
  return whole_a == whole_b && !(a == b);
}

const Lock* FindConflict(const FileLocks& locks, const Lock& wanted) {
  for (const Lock* lock = locks.first; lock != nullptr; lock = lock->next) {
    if (MeetsOwner(lock->owner, wanted.owner) && (lock->exclusive || wanted.exclusive) &&
        lock->begin < wanted.end && wanted.begin < lock->end)
      return lock;
  }
  return nullptr;
}

// Takes the range away from what the owner holds; a lock in the middle of which it lies becomes
// two, with `spare`, which is null afterwards if it was used.
void Cut(FileLocks& locks, const Owner& owner, uint64_t begin, uint64_t end, Lock** spare) {
  for (Lock** at = &locks.first; *at != nullptr;) {
    Lock& lock = **at;
    if (!(lock.owner == owner) || lock.end <= begin || end <= lock.begin) {
      at = &lock.next;
    } else if (lock.begin < begin && lock.end > end) {
      Lock* rest = *spare;
      *spare = nullptr;
      *rest = lock;
      rest->begin = end;
      rest->next = lock.next;
      lock.end = begin;
      lock.next = rest;
      return;
    } else if (lock.begin < begin) {
      lock.end = begin;
      at = &lock.next;
    } else if (lock.end > end) {
      lock.begin = end;
      at = &lock.next;
    } else {
      *at = lock.next;
      TheArena().Delete(&lock);
    }
  }
}

struct Wanted {
  FileLocks* locks;
  const Lock* lock;
};

bool IsFree(void* argument) {
  const auto& wanted = *static_cast<Wanted*>(argument);
  const MutexLock lock(wanted.locks->mutex, LockRank::kInode);
  return FindConflict(*wanted.locks, *wanted.lock) == nullptr;
}

// Whether waiting for the holder of `conflict` would never end: it waits, through others, for this
// process. Under no lock: an answer that is late is found by the next who waits.
bool WouldDeadlock(const Lock& conflict) {
  const MutexLock lock(TheKernel().table_lock, LockRank::kProcessTable);
  uint32_t pid = conflict.owner.kind == Owner::kProcess ? conflict.pid : 0;
  for (uint32_t steps = 0; pid != 0 && steps < control::kMaxSlots; ++steps) {
    if (pid == Current().pid) return true;
    const Process* holder = FindProcess(pid);
    pid = holder == nullptr ? 0 : holder->waits_for_lock_of;
  }
  return false;
}

void NoteWait(uint32_t pid) {
  const MutexLock lock(TheKernel().table_lock, LockRank::kProcessTable);
  Current().waits_for_lock_of = pid;
}

int64_t Unlock(FileLocks& locks, const Owner& owner, uint64_t begin, uint64_t end) {
  Lock* spare = TheArena().New<Lock>();
  if (spare == nullptr) return -ENOLCK;
  {
    const MutexLock lock(locks.mutex, LockRank::kInode);
    Cut(locks, owner, begin, end, &spare);
  }
  if (spare != nullptr) TheArena().Delete(spare);
  locks.changed.WakeAll();
  return 0;
}

int64_t Acquire(FileLocks& locks, const Lock& wanted, bool wait) {
  Lock* made = TheArena().New<Lock>(wanted);
  Lock* spare = TheArena().New<Lock>();
  int64_t result = made == nullptr || spare == nullptr ? -ENOLCK : 1;
  while (result == 1) {
    Lock conflict = {};
    {
      const MutexLock lock(locks.mutex, LockRank::kInode);
      const Lock* found = FindConflict(locks, wanted);
      if (found == nullptr) {
        Cut(locks, wanted.owner, wanted.begin, wanted.end, &spare);
        made->next = locks.first;
        locks.first = made;
        made = nullptr;
        result = 0;
        break;
      }
      conflict = *found;
    }
    if (!wait) {
      result = -EAGAIN;
    } else if (wanted.owner.kind == Owner::kProcess && WouldDeadlock(conflict)) {
      result = -EDEADLK;
    } else {
      NoteWait(conflict.owner.kind == Owner::kProcess ? conflict.pid : 0);
      Wanted argument = {&locks, &wanted};
      const int32_t waited = WaitUntil(locks.changed, IsFree, &argument, platform::kNever);
      NoteWait(0);
      if (waited != 0) result = waited;
    }
  }
  if (made != nullptr) TheArena().Delete(made);
  if (spare != nullptr) TheArena().Delete(spare);
  // A lock that became a shared one lets others in.
  if (result == 0) locks.changed.WakeAll();
  return result;
}

// The range in absolute offsets.
int32_t RangeOf(OpenFile& file, const GuestLock& from, uint64_t* begin, uint64_t* end) {
  int64_t base = 0;
  if (from.whence == SEEK_CUR) {
    base = static_cast<int64_t>(file.offset);
  } else if (from.whence == SEEK_END) {
    vfs::Stat stat;
    const int error = file.node.fs->GetStat(file.node.id, &stat);
    if (error != 0) return error;
    base = stat.size;
  } else if (from.whence != SEEK_SET) {
    return -EINVAL;
  }
  int64_t start = 0;
  if (__builtin_add_overflow(base, from.start, &start)) return -EOVERFLOW;
  int64_t other = start;
  if (from.size != 0 && __builtin_add_overflow(start, from.size, &other)) return -EOVERFLOW;
  if (from.size < 0) std::swap(start, other);
  if (start < 0) return -EINVAL;
  *begin = static_cast<uint64_t>(start);
  *end = from.size == 0 ? kEnd : static_cast<uint64_t>(other);
  return 0;
}

int64_t ReportConflict(FileLocks& locks, const Lock& wanted, GuestLock request, uint32_t address) {
  {
    const MutexLock lock(locks.mutex, LockRank::kInode);
    const Lock* conflict = FindConflict(locks, wanted);
    if (conflict == nullptr) {
      request.type = F_UNLCK;
    } else {
      request.type = conflict->exclusive ? F_WRLCK : F_RDLCK;
      request.whence = SEEK_SET;
      request.start = static_cast<int64_t>(conflict->begin);
      request.size =
          conflict->end == kEnd ? 0 : static_cast<int64_t>(conflict->end - conflict->begin);
      request.pid =
          conflict->owner.kind == Owner::kProcess ? static_cast<int32_t>(conflict->pid) : -1;
    }
  }
  return Store(address, request);
}

void Drop(const OpenFile& file, const Owner& owner) {
  FileLocks* locks = LocksOf(file, false);
  if (locks == nullptr) return;
  {
    // The whole range never lies in the middle of a lock: nothing to spare.
    const MutexLock lock(locks->mutex, LockRank::kInode);
    Lock* spare = nullptr;
    Cut(*locks, owner, 0, kEnd, &spare);
  }
  locks->changed.WakeAll();
}

Owner DescriptionOwner(const OpenFile& file, Owner::Kind kind) {
  return {kind, reinterpret_cast<uint64_t>(&file)};
}

}  // namespace

int64_t LockRecord(OpenFile& file, uint32_t command, uint32_t address) {
  GuestLock request;
  if (Load(&request, address) != 0) return -EFAULT;
  if (request.type != F_RDLCK && request.type != F_WRLCK && request.type != F_UNLCK) return -EINVAL;
  const bool own = command == kGetOwn || command == kSetOwn || command == kSetOwnWait;
  if (!own && request.pid != 0) return -EINVAL;
  FileLocks* locks = LocksOf(file, true);
  if (locks == nullptr) return file.node.fs == nullptr ? -EBADF : -ENOLCK;
  const uint32_t pid = Current().pid;
  Lock wanted = {
      nullptr, own ? Owner{Owner::kProcess, pid} : DescriptionOwner(file, Owner::kDescription),
      pid,     request.type == F_WRLCK,
      0,       0};
  const int32_t error = RangeOf(file, request, &wanted.begin, &wanted.end);
  if (error != 0) return error;
  if (command == kGetOwn || command == kGetDescription) {
    return request.type == F_UNLCK ? -EINVAL : ReportConflict(*locks, wanted, request, address);
  }
  if (request.type == F_UNLCK) return Unlock(*locks, wanted.owner, wanted.begin, wanted.end);
  if (request.type == F_WRLCK ? !file.writable() : !file.readable()) return -EBADF;
  return Acquire(*locks, wanted, command == kSetOwnWait || command == kSetDescriptionWait);
}

int64_t LockWhole(OpenFile& file, uint32_t operation) {
  const uint32_t kind = operation & ~static_cast<uint32_t>(LOCK_NB);
  if (kind != LOCK_SH && kind != LOCK_EX && kind != LOCK_UN) return -EINVAL;
  FileLocks* locks = LocksOf(file, true);
  if (locks == nullptr) return file.node.fs == nullptr ? -EBADF : -ENOLCK;
  const Owner owner = DescriptionOwner(file, Owner::kWholeFile);
  if (kind == LOCK_UN) return Unlock(*locks, owner, 0, kEnd);
  const Lock wanted = {nullptr, owner, Current().pid, kind == LOCK_EX, 0, kEnd};
  return Acquire(*locks, wanted, (operation & LOCK_NB) == 0);
}

void DropProcessLocks(const OpenFile& file, uint32_t pid) {
  Drop(file, {Owner::kProcess, pid});
}

void DropDescriptionLocks(const OpenFile& file) {
  Drop(file, DescriptionOwner(file, Owner::kDescription));
  Drop(file, DescriptionOwner(file, Owner::kWholeFile));
}

}  // namespace cordon::kernel

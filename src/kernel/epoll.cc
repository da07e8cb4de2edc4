#include "kernel/epoll.h"

#include <fcntl.h>
#include <sys/epoll.h>

#include <algorithm>
#include <cerrno>
#include <iterator>

#include "arena/platform.h"
#include "kernel/guest_memory.h"
#include "kernel/syscall.h"

namespace cordon::kernel {

struct Epoll;

struct WatchWaiter : Waiter {
  Watch* watch = nullptr;
};

// One description in one set.
struct Watch {
  // Set once.
  Epoll* epoll = nullptr;
  OpenFile* file = nullptr;
  uint32_t descriptor = 0;
  WaitQueue* queues[2] = {};
  WatchWaiter waiters[2];
  // Something may have happened since it was last looked at.
  std::atomic<bool> touched{true};
  // Under Watches::lock.
  uint32_t events = 0;
  uint64_t data = 0;
  Watch* next = nullptr;
  Watch* previous = nullptr;
  Watch* next_of_file = nullptr;
};

struct Epoll {
  WaitQueue queue{LockRank::kWatchQueue};
  Watch* first = nullptr;
  Watch* last = nullptr;
};

namespace {

constexpr uint32_t kModes = EPOLLET | EPOLLONESHOT | EPOLLEXCLUSIVE | EPOLLWAKEUP;
constexpr uint32_t kAlwaysTold = EPOLLERR | EPOLLHUP;
constexpr uint32_t kEventsAtOnce = 128;  // on the kernel's stack

// In the arena. Its lock comes before those of everything that is watched: it is held while they
// are asked.
struct Watches {
  Mutex lock;
  uint32_t count = 0;
};
Watches* watches = nullptr;

// struct epoll_event of a 32-bit guest.
struct GuestEvent {
  uint32_t events, padding;
  uint64_t data;
};

void OnEvent(Waiter& waiter) {
  Watch& watch = *static_cast<WatchWaiter&>(waiter).watch;
  watch.touched.store(true);
  watch.epoll->queue.WakeAll();
}

// --- the lists, under Watches::lock ---

void Append(Epoll& epoll, Watch& watch) {
  watch.next = nullptr;
  watch.previous = epoll.last;
  (epoll.last == nullptr ? epoll.first : epoll.last->next) = &watch;
  epoll.last = &watch;
}

void Unlink(Epoll& epoll, Watch& watch) {
  (watch.previous == nullptr ? epoll.first : watch.previous->next) = watch.next;
  (watch.next == nullptr ? epoll.last : watch.next->previous) = watch.previous;
}

Watch* Find(const Epoll& epoll, const OpenFile& file, uint32_t descriptor) {
  for (Watch* watch = file.watches.load(); watch != nullptr; watch = watch->next_of_file) {
    if (watch->epoll == &epoll && watch->descriptor == descriptor) return watch;
  }
  return nullptr;
}

void UnlinkFromFile(Watch& watch) {
  Watch* first = watch.file->watches.load();
  if (first == &watch) {
    watch.file->watches.store(watch.next_of_file);
    return;
  }
  while (first->next_of_file != &watch) first = first->next_of_file;
  first->next_of_file = watch.next_of_file;
}

void Attach(Watch& watch) {
  watch.next_of_file = watch.file->watches.load();
  watch.file->watches.store(&watch);
  Append(*watch.epoll, watch);
  ++watches->count;
  for (int i = 0; i < 2; ++i) {
    if (watch.queues[i] == nullptr) continue;
    watch.waiters[i].wake = OnEvent;
    watch.waiters[i].watch = &watch;
    watch.queues[i]->Add(watch.waiters[i]);
  }
}

void Remove(Watch& watch) {
  for (int i = 0; i < 2; ++i) {
    if (watch.queues[i] != nullptr) watch.queues[i]->Remove(watch.waiters[i]);
  }
  UnlinkFromFile(watch);
  Unlink(*watch.epoll, watch);
  --watches->count;
  TheKernel().arena->Delete(&watch);
}

uint32_t ReadyEvents(const Watch& watch) {
  if ((watch.events & ~kModes) == 0) return 0;  // one shot, and that is over
  return watch.file->operations->poll(*watch.file) & ((watch.events & ~kModes) | kAlwaysTold);
}

// What is to be told of a watch now. It is asked again when its queues are woken, and before that
// only if it is told of as long as it is ready.
uint32_t TakeEvents(Watch& watch) {
  if (!watch.touched.exchange(false)) return 0;
  const uint32_t ready = ReadyEvents(watch);
  if (ready == 0) return 0;
  if ((watch.events & EPOLLONESHOT) != 0) {
    watch.events &= kModes;
  } else if ((watch.events & EPOLLET) == 0) {
    watch.touched.store(true);
  }
  return ready;
}

// --- the descriptor ---

Epoll& EpollOf(const OpenFile& file) {
  return *static_cast<Epoll*>(file.object);
}

int64_t ReadEpoll(OpenFile& /*file*/, void* /*to*/, uint64_t /*size*/) {
  return -EINVAL;
}
int64_t WriteEpoll(OpenFile& /*file*/, const void* /*from*/, uint64_t /*size*/) {
  return -EINVAL;
}

uint32_t PollEpoll(OpenFile& file) {
  const MutexLock lock(watches->lock, LockRank::kRename);
  for (const Watch* watch = EpollOf(file).first; watch != nullptr; watch = watch->next) {
    if (watch->touched.load() && ReadyEvents(*watch) != 0) return EPOLLIN | EPOLLRDNORM;
  }
  return 0;
}

void EpollQueues(OpenFile& file, WaitQueue* out[2]) {
  out[0] = &EpollOf(file).queue;
  out[1] = nullptr;
}

void CloseEpoll(OpenFile& file) {
  Epoll& epoll = EpollOf(file);
  {
    const MutexLock lock(watches->lock, LockRank::kRename);
    while (epoll.first != nullptr) Remove(*epoll.first);
  }
  TheKernel().arena->Delete(&epoll);
}

int32_t EpollControl(OpenFile& /*file*/, uint32_t /*request*/, uint32_t /*argument*/) {
  return -ENOTTY;
}

constexpr Operations kEpollOperations = {ReadEpoll,   WriteEpoll, PollEpoll,
                                         EpollQueues, CloseEpoll, EpollControl,
                                         "eventpoll", nullptr,    kAnonymousMode};

// Null and an error where the descriptor is not an epoll's.
Epoll* EpollAt(uint32_t descriptor, OpenFile** file, int32_t* error) {
  *file = FileOf(descriptor);
  *error = *file == nullptr ? -EBADF : (*file)->operations != &kEpollOperations ? -EINVAL : 0;
  return *error == 0 ? &EpollOf(**file) : nullptr;
}

// --- calls ---

int64_t SysEpollCreate(const uint64_t* slots) {
  if ((Arg(slots, 0) & ~static_cast<uint32_t>(EPOLL_CLOEXEC)) != 0) return -EINVAL;
  auto* epoll = TheKernel().arena->New<Epoll>();
  if (epoll == nullptr) return -ENOMEM;
  OpenFile* file = NewOpenFile(&kEpollOperations, O_RDWR, epoll);
  if (file == nullptr) {
    TheKernel().arena->Delete(epoll);
    return -ENFILE;
  }
  return Install(file, 0, Arg(slots, 0) != 0);
}

int32_t AddWatch(Epoll& epoll, OpenFile& file, uint32_t descriptor, const GuestEvent& event) {
  WaitQueue* queues[2] = {};
  file.operations->queues(file, queues);
  // Regular files and the like are always ready.
  if (queues[0] == nullptr && queues[1] == nullptr) return -EPERM;
  auto* watch = TheKernel().arena->New<Watch>();
  if (watch == nullptr) return -ENOMEM;
  watch->epoll = &epoll;
  watch->file = &file;
  watch->descriptor = descriptor;
  std::copy(std::begin(queues), std::end(queues), watch->queues);
  watch->events = event.events;
  watch->data = event.data;
  int32_t error = 0;
  {
    const MutexLock lock(watches->lock, LockRank::kRename);
    if (Find(epoll, file, descriptor) != nullptr) error = -EEXIST;
    if (error == 0 && watches->count >= kMaxWatches) error = -ENOSPC;
    if (error == 0) Attach(*watch);
  }
  if (error != 0) TheKernel().arena->Delete(watch);
  return error;
}

int32_t ChangeWatch(Epoll& epoll, OpenFile& file, uint32_t descriptor, const GuestEvent& event) {
  const MutexLock lock(watches->lock, LockRank::kRename);
  Watch* watch = Find(epoll, file, descriptor);
  if (watch == nullptr) return -ENOENT;
  watch->events = event.events;
  watch->data = event.data;
  watch->touched.store(true);
  return 0;
}

int32_t RemoveWatch(Epoll& epoll, OpenFile& file, uint32_t descriptor) {
  const MutexLock lock(watches->lock, LockRank::kRename);
  Watch* watch = Find(epoll, file, descriptor);
  if (watch == nullptr) return -ENOENT;
  Remove(*watch);
  return 0;
}

int64_t SysEpollCtl(const uint64_t* slots) {
  int32_t error = 0;
  OpenFile* set = nullptr;
  Epoll* epoll = EpollAt(Arg(slots, 0), &set, &error);
  const uint32_t descriptor = Arg(slots, 2);
  OpenFile* file = FileOf(descriptor);
  if (file == nullptr) return -EBADF;
  if (epoll == nullptr) return error;
  if (file->operations == &kEpollOperations) return -EINVAL;
  if ((file->flags.load() & O_PATH) != 0) return -EBADF;
  const uint32_t operation = Arg(slots, 1);
  if (operation == EPOLL_CTL_DEL) return RemoveWatch(*epoll, *file, descriptor);
  GuestEvent event;
  if (Load(&event, Arg(slots, 3)) != 0) return -EFAULT;
  if (operation == EPOLL_CTL_ADD) {
    error = AddWatch(*epoll, *file, descriptor, event);
  } else if (operation == EPOLL_CTL_MOD) {
    error = ChangeWatch(*epoll, *file, descriptor, event);
  } else {
    return -EINVAL;
  }
  if (error == 0) epoll->queue.WakeAll();
  return error;
}

struct Collected {
  Epoll* epoll;
  uint32_t most;
  uint32_t count;
  const Watch* first_told;  // compared and nothing else: it may be gone
  GuestEvent events[kEventsAtOnce];
};

// What was told of goes to the end of the list, so that the others have their turn. One call tells
// of each once, however often it collects.
bool Collect(void* argument) {
  auto& out = *static_cast<Collected*>(argument);
  Epoll& epoll = *out.epoll;
  const MutexLock lock(watches->lock, LockRank::kRename);
  Watch* end = epoll.last;
  for (Watch* watch = epoll.first;
       watch != nullptr && watch != out.first_told && out.count < out.most;) {
    Watch* next = watch == end ? nullptr : watch->next;
    const uint32_t events = TakeEvents(*watch);
    if (events != 0) {
      out.events[out.count++] = {events, 0, watch->data};
      if (out.first_told == nullptr) out.first_told = watch;
      Unlink(epoll, *watch);
      Append(epoll, *watch);
    }
    watch = next;
  }
  return out.count > 0;
}

uint64_t DeadlineOf(int32_t timeout_ms) {
  if (timeout_ms < 0) return platform::kNever;
  return platform::ClockNs(1) + static_cast<uint64_t>(timeout_ms) * 1'000'000;
}

int32_t CollectOrWait(Collected& out, int32_t timeout_ms) {
  if (Collect(&out) || timeout_ms == 0) return 0;
  const uint64_t deadline = SleepDeadline(DeadlineOf(timeout_ms));
  const int32_t waited = WaitUntil(out.epoll->queue, Collect, &out, deadline);
  return waited == kRestart ? kRestartSleep : 0;
}

int64_t SysEpollPwait(const uint64_t* slots) {
  int32_t error = 0;
  OpenFile* set = nullptr;
  Epoll* epoll = EpollAt(Arg(slots, 0), &set, &error);
  if (epoll == nullptr) return error;
  if (SignedArg(slots, 2) <= 0) return -EINVAL;
  uint64_t mask = 0;
  if (Arg(slots, 4) != 0) {
    if (Load(&mask, Arg(slots, 4)) != 0) return -EFAULT;
    SetTemporaryMask(mask);
  }
  Collected out;
  out.epoll = epoll;
  out.first_told = nullptr;
  uint32_t told = 0;
  do {
    out.most = std::min(Arg(slots, 2) - told, kEventsAtOnce);
    out.count = 0;
    if (told > 0) {
      (void)Collect(&out);
    } else if (error = CollectOrWait(out, SignedArg(slots, 3)); error != 0) {
      return error;
    }
    const auto bytes = static_cast<uint32_t>(out.count * sizeof(GuestEvent));
    const auto place = static_cast<uint32_t>(Arg(slots, 1) + told * sizeof(GuestEvent));
    if (CopyOut(place, out.events, bytes) != 0) error = -EFAULT;
    told += out.count;
  } while (error == 0 && out.count == kEventsAtOnce && told < Arg(slots, 2));
  RestoreMask();
  return error != 0 ? error : int64_t{told};
}

int64_t SysEventfd(const uint64_t* slots) {
  constexpr uint32_t kSemaphore = 1;
  const uint32_t flags = Arg(slots, 1);
  if ((flags & ~static_cast<uint32_t>(O_CLOEXEC | O_NONBLOCK | kSemaphore)) != 0) return -EINVAL;
  const CounterKind kind = (flags & kSemaphore) != 0 ? CounterKind::kSemaphore : CounterKind::kSum;
  OpenFile* file = OpenEventCounter(Arg(slots, 0), kind, flags & O_NONBLOCK);
  return file == nullptr ? -ENFILE : Install(file, 0, (flags & O_CLOEXEC) != 0);
}

constexpr CallRow kRows[] = {
    {"epoll_create1", SysEpollCreate},
    {"epoll_ctl", SysEpollCtl},
    {"epoll_pwait", SysEpollPwait},
    {"eventfd2", SysEventfd},
};

}  // namespace

bool CreateWatches() {
  watches = TheKernel().arena->New<Watches>();
  return watches != nullptr;
}

void ForgetWatches(OpenFile& file) {
  const MutexLock lock(watches->lock, LockRank::kRename);
  while (Watch* watch = file.watches.load()) Remove(*watch);
}

void CheckWatches(Report& report, bool is_empty) {
  if (watches->lock.held()) report.Add("the lock of all watches is held\n");
  if (is_empty && watches->count != 0) report.Add("%u watches are lost\n", watches->count);
}

CallTable EventCalls() {
  return {kRows, std::size(kRows)};
}

}  // namespace cordon::kernel

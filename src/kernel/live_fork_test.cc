// The protocol of a live fork (docs/kernel.md, "Snapshot, restore, fork") in small, with the
// kernel's own file system, pipe and waits: two processes write to a file and through a pipe, are
// parked in the middle of it, give up the generation of blocks, which is sealed, and clone
// themselves. The copies go on with a copy of the objects, under a control page of their own. No
// process has a descriptor: what it maps comes from the keeper by the one call that is notified.

#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <functional>
#include <thread>
#include <vector>

#include "arena/arena.h"
#include "arena/layout.h"
#include "arena/platform.h"
#include "base/owned_fd.h"
#include "kernel/guest_memory.h"
#include "kernel/open_file.h"
#include "kernel/process.h"
#include "vfs/memory_fs.h"

namespace cordon::kernel {
namespace {

constexpr uint64_t kObjectsBytes = uint64_t{64} << 20;
constexpr uint64_t kBlocksBytes = uint64_t{64} << 20;
constexpr uint64_t kNextBlocks = layout::kBlocks + layout::kGenerationReserve;
constexpr uint32_t kReader = 1;  // slots
constexpr uint32_t kWriter = 2;
constexpr size_t kRecord = 10'000;  // longer than what a pipe takes at once or not at all
constexpr uint64_t kTagAt = 100'000;
constexpr uint64_t kFileBytes = 200'000;
constexpr long kReceiveCall = SYS_dup;  // notified; the argument is a Part

enum Part : uint32_t {
  kOldBlocks,
  kBlocksHere,
  kBlocksOfCopy,
  kObjectsOfCopy,
  kPageOfCopy,
  kParts
};

// The steps of a fork, as the keeper allows them.
enum Step : uint32_t { kRun, kPark, kMap, kClone };

struct Page {
  control::Control control;
  std::atomic<uint32_t> step;
  std::atomic<uint32_t> arrived;  // processes that have done the step
  std::atomic<uint32_t> renewed;  // the file system writes to the new generation
  std::atomic<uint32_t> stop;
  std::atomic<uint32_t> failed;  // a line
  std::atomic<uint32_t> is_copy;
  std::atomic<uint64_t> moved;  // bytes through the pipe, by the reader
  std::atomic<uint64_t> ended;  // processes that found everything right
};

// ----- inside -----

vfs::MemoryFs* files = nullptr;
OpenFile* pipe_end = nullptr;
vfs::Node journal;  // the reader appends to it
vfs::Node tagged;   // lies in the sealed generation, and is written afterwards

Page& ThePage() {
  return *reinterpret_cast<Page*>(layout::kControl);
}

[[noreturn]] void FailAt(uint32_t line) {
  ThePage().failed.store(line);
  platform::ExitProcess(1);
}
#define REQUIRE(condition) \
  if (!(condition)) FailAt(__LINE__)

void AwaitStep(Step step) {
  while (ThePage().step.load() != step) {
    platform::WaitOnWord(&ThePage().step, ThePage().step.load(), platform::ClockNs(1) + 1'000'000);
  }
}

void Arrive() {
  ThePage().arrived.fetch_add(1);
}

void MapReceived(Part part, uint64_t address, uint64_t bytes, int protection) {
  const long fd = syscall(kReceiveCall, part);
  REQUIRE(fd >= 0);
  void* at = mmap(reinterpret_cast<void*>(address), bytes, protection, MAP_SHARED | MAP_FIXED,
                  static_cast<int>(fd), 0);
  REQUIRE(at == reinterpret_cast<void*>(address));
  REQUIRE(close(static_cast<int>(fd)) == 0);
}

// One process of each family changes the objects, the others wait.
void BeginGeneration() {
  if (Current().slot == kWriter) {
    files->BeginGeneration(Arena::Create(reinterpret_cast<void*>(kNextBlocks), kBlocksBytes));
    ThePage().renewed.store(1);
  }
  while (ThePage().renewed.load() == 0)
    platform::WaitOnWord(&ThePage().renewed, 0, platform::ClockNs(1) + 1'000'000);
}

void TakeParkedWay() {
  constexpr int kReadWrite = PROT_READ | PROT_WRITE;
  REQUIRE(munmap(reinterpret_cast<void*>(layout::kBlocks), kBlocksBytes) == 0);
  Arrive();
  AwaitStep(kMap);
  MapReceived(kOldBlocks, layout::kBlocks, kBlocksBytes, PROT_READ);
  MapReceived(kBlocksHere, kNextBlocks, kBlocksBytes, kReadWrite);
  Arrive();
  AwaitStep(kClone);
  const int copy = platform::CloneProcess();
  REQUIRE(copy >= 0);
  if (copy == 0) {
    MapReceived(kObjectsOfCopy, layout::kObjects, kObjectsBytes, kReadWrite);
    MapReceived(kBlocksOfCopy, kNextBlocks, kBlocksBytes, kReadWrite);
    MapReceived(kPageOfCopy, layout::kControl, sizeof(Page), kReadWrite);
  }
  Arrive();
  AwaitStep(kRun);
  BeginGeneration();
}

void ParkIfAsked() {
  CurrentThread().sleeper.attention.store(0);
  if (ThePage().step.load() == kPark) TakeParkedWay();
}

void OnKick(int /*number*/) {
  CurrentThread().sleeper.attention.store(1);
  CurrentThread().sleeper.Notify();
}

// Every byte says where in the stream it stands.
void FillRecord(char* record, uint64_t at, size_t size) {
  for (size_t i = 0; i < size; ++i) record[i] = static_cast<char>((at + i) * 31 + (at + i) / 251);
}

[[noreturn]] void Write() {
  char record[kRecord];
  uint64_t at = 0;
  while (ThePage().stop.load() == 0) {
    ParkIfAsked();
    FillRecord(record, at, kRecord);
    for (size_t done = 0; done < kRecord;) {
      const int64_t put = pipe_end->operations->write(*pipe_end, record + done, kRecord - done);
      REQUIRE(put > 0 || put == kRestart);
      if (put > 0) done += static_cast<size_t>(put);
      if (put == kRestart) ParkIfAsked();
    }
    at += kRecord;
    const std::string_view tag = ThePage().is_copy.load() != 0 ? "copy" : "here";
    uint64_t end = 0;
    REQUIRE(files->Write(tagged.id, kTagAt, tag.data(), 4, &end) == 4);
  }
  char text[4] = {};
  REQUIRE(files->Read(tagged.id, kTagAt, text, 4) == 4);
  REQUIRE(memcmp(text, ThePage().is_copy.load() != 0 ? "copy" : "here", 4) == 0);
  REQUIRE(files->Read(tagged.id, kTagAt + 4, text, 4) == 4 && memcmp(text, "....", 4) == 0);
  Release(pipe_end);
  ThePage().ended.fetch_add(1);
  platform::ExitProcess(0);
}

[[noreturn]] void Read() {
  char got[kRecord];
  char wanted[kRecord];
  uint64_t at = 0;
  for (;;) {
    ParkIfAsked();
    const int64_t count = pipe_end->operations->read(*pipe_end, got, sizeof got);
    if (count == kRestart) continue;
    REQUIRE(count >= 0);
    if (count == 0) break;
    FillRecord(wanted, at, static_cast<size_t>(count));
    REQUIRE(memcmp(got, wanted, static_cast<size_t>(count)) == 0);
    at += static_cast<uint64_t>(count);
    uint64_t end = 0;
    REQUIRE(files->Write(journal.id, vfs::kAppend, &at, sizeof at, &end) == sizeof at);
    ThePage().moved.store(at);
  }
  // The journal has every step, in order, across the fork.
  uint64_t last = 0;
  uint64_t place = 0;
  for (uint64_t step = 0; files->Read(journal.id, place, &step, sizeof step) == sizeof step;
       place += sizeof step) {
    REQUIRE(step > last);
    last = step;
  }
  REQUIRE(last == at && at % kRecord == 0);
  char text[4096];
  REQUIRE(vfs::CheckFileSystem(*files, 0, text, sizeof text) == 0);
  ThePage().ended.fetch_add(1);
  platform::ExitProcess(0);
}

vfs::Node NewFile(const char* name) {
  vfs::Node made;
  REQUIRE(files->Create({}, files->Root().id, name, S_IFREG | 0644, 0, &made) == 0);
  return made;
}

// The first process: boots, clones the second.
[[noreturn]] void StartInside() {
  Arena* objects = Arena::Create(reinterpret_cast<void*>(layout::kObjects), kObjectsBytes);
  Arena* blocks = Arena::Create(reinterpret_cast<void*>(layout::kBlocks), kBlocksBytes);
  REQUIRE(objects != nullptr && blocks != nullptr);
  auto* kernel = objects->New<Kernel>();
  SetKernel(kernel);
  vfs::SetCopyFunction(cordon_copy);
  kernel->arena = objects;
  kernel->control = &ThePage().control;
  files = vfs::MemoryFs::Create(objects, blocks, nullptr,
                                {1000, kBlocksBytes / 2, &kernel->control->limits_met});
  REQUIRE(files != nullptr);
  journal = NewFile("journal");
  tagged = NewFile("tagged");
  const std::vector<char> dots(kFileBytes, '.');
  uint64_t end = 0;
  REQUIRE(files->Write(tagged.id, 0, dots.data(), dots.size(), &end) == kFileBytes);
  OpenFile* ends[2];
  REQUIRE(NewPipe(0, &ends[0], &ends[1]) == 0);
  for (const uint32_t slot : {kReader, kWriter}) {
    auto* process = objects->New<Process>();
    REQUIRE(process != nullptr);
    process->slot = process->leader.slot = process->pid = slot;
    kernel->processes[slot] = process;
  }
  SetCurrent(kernel->processes[kReader]);
  struct sigaction action = {};
  action.sa_handler = OnKick;
  REQUIRE(sigaction(control::kKickSignal, &action, nullptr) == 0);
  const int writer = platform::CloneProcess();
  REQUIRE(writer >= 0);
  SetCurrent(kernel->processes[writer == 0 ? kWriter : kReader]);
  SlotOf(Current()).host_pid.store(platform::HostThread());
  pipe_end = ends[writer == 0 ? 1 : 0];
  if (writer == 0) Write();
  Read();
}

// ----- the keeper -----

OwnedFd MemoryFile(uint64_t bytes) {
  OwnedFd fd(memfd_create("live-fork", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  EXPECT_EQ(ftruncate(fd.get(), static_cast<off_t>(bytes)), 0);
  return fd;
}

// Pages that nobody touched stay holes.
OwnedFd CopyOf(const OwnedFd& from, uint64_t bytes) {
  OwnedFd to = MemoryFile(bytes);
  off_t at = 0;
  std::vector<char> part(1 << 16);
  while ((at = lseek(from.get(), at, SEEK_DATA)) >= 0) {
    const off_t hole = lseek(from.get(), at, SEEK_HOLE);
    while (at < hole) {
      const ssize_t count =
          pread(from.get(), part.data(),
                std::min<size_t>(part.size(), static_cast<size_t>(hole - at)), at);
      EXPECT_EQ(pwrite(to.get(), part.data(), static_cast<size_t>(count), at), count);
      at += count;
    }
  }
  return to;
}

Page* MapPage(const OwnedFd& fd) {
  void* at = mmap(nullptr, sizeof(Page), PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0);
  return at == MAP_FAILED ? nullptr : static_cast<Page*>(at);
}

bool Comes(const std::function<bool()>& condition) {
  const uint64_t end = platform::ClockNs(1) + 20'000'000'000;
  while (!condition()) {
    if (platform::ClockNs(1) > end) return false;
    usleep(200);
  }
  return true;
}

// Answers the notified call with the part that it names.
class Giver {
 public:
  Giver(int listener, const OwnedFd* parts)
      : listener_(listener), parts_(parts), thread_([this] { Serve(); }) {}
  ~Giver() {
    stop_.store(true);
    thread_.join();
  }
  Giver(const Giver&) = delete;
  Giver& operator=(const Giver&) = delete;

 private:
  void Serve() {
    while (!stop_.load()) {
      pollfd ready = {listener_, POLLIN, 0};
      if (poll(&ready, 1, 10) != 1) continue;
      seccomp_notif request = {};
      if (ioctl(listener_, SECCOMP_IOCTL_NOTIF_RECV, &request) != 0) continue;
      seccomp_notif_addfd give = {};
      give.id = request.id;
      give.flags = SECCOMP_ADDFD_FLAG_SEND;
      give.srcfd = static_cast<uint32_t>(parts_[request.data.args[0] % kParts].get());
      ioctl(listener_, SECCOMP_IOCTL_NOTIF_ADDFD, &give);
    }
  }

  int listener_;
  const OwnedFd* parts_;
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

int ListenForCalls() {
  scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
  const int loaded = seccomp_rule_add(filter, SCMP_ACT_NOTIFY, static_cast<int>(kReceiveCall), 0);
  return loaded == 0 && seccomp_load(filter) == 0 ? seccomp_notify_fd(filter) : -1;
}

void SendFd(int socket, int fd) {
  char byte = 0;
  iovec part = {&byte, 1};
  alignas(cmsghdr) char space[CMSG_SPACE(sizeof fd)] = {};
  msghdr message = {};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = space;
  message.msg_controllen = sizeof space;
  cmsghdr* header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof fd);
  memcpy(CMSG_DATA(header), &fd, sizeof fd);
  sendmsg(socket, &message, 0);
}

OwnedFd ReceiveFd(int socket) {
  char byte = 0;
  iovec part = {&byte, 1};
  int fd = -1;
  alignas(cmsghdr) char space[CMSG_SPACE(sizeof fd)] = {};
  msghdr message = {};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = space;
  message.msg_controllen = sizeof space;
  if (recvmsg(socket, &message, MSG_CMSG_CLOEXEC) == 1 && CMSG_FIRSTHDR(&message) != nullptr)
    memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof fd);
  return OwnedFd(fd);
}

bool MapAt(const OwnedFd& fd, uint64_t address, uint64_t bytes) {
  return mmap(reinterpret_cast<void*>(address), bytes, PROT_READ | PROT_WRITE,
              MAP_SHARED | MAP_FIXED_NOREPLACE, fd.get(), 0) == reinterpret_cast<void*>(address);
}

class LiveForkTest : public testing::Test {
 protected:
  void Start() {
    objects_ = MemoryFile(kObjectsBytes);
    parts_[kOldBlocks] = MemoryFile(kBlocksBytes);
    page_fd_ = MemoryFile(sizeof(Page));
    page_ = MapPage(page_fd_);
    ASSERT_NE(page_, nullptr);
    int sockets[2];
    ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets), 0);
    reader_ = fork();
    ASSERT_GE(reader_, 0);
    if (reader_ == 0) {
      const int listener = ListenForCalls();
      SendFd(sockets[1], listener);
      const bool mapped = MapAt(page_fd_, layout::kControl, sizeof(Page)) &&
                          MapAt(objects_, layout::kObjects, kObjectsBytes) &&
                          MapAt(parts_[kOldBlocks], layout::kBlocks, kBlocksBytes);
      munmap(page_, sizeof(Page));
      if (listener < 0 || !mapped || syscall(SYS_close_range, 3, ~0U, 0) != 0) _exit(1);
      StartInside();
    }
    close(sockets[1]);
    listener_ = ReceiveFd(sockets[0]);
    close(sockets[0]);
    ASSERT_TRUE(listener_.valid()) << "no notified calls";
  }

  void TearDown() override {
    for (Page* page : {page_, copy_page_}) {
      if (page != nullptr) EXPECT_EQ(page->failed.load(), 0u) << "a process failed at this line";
      if (page != nullptr) page->stop.store(1);
    }
    // Whoever is left after a failure.
    if (HasFailure()) {
      for (const pid_t pid : Children()) kill(pid, SIGKILL);
    }
    while (waitpid(-1, nullptr, 0) > 0) {
    }
  }

  static std::vector<pid_t> Children() {
    std::vector<pid_t> pids;
    FILE* list = fopen("/proc/thread-self/children", "r");
    int pid = 0;
    while (list != nullptr && fscanf(list, "%d", &pid) == 1) pids.push_back(pid);
    if (list != nullptr) fclose(list);
    return pids;
  }

  static bool Moves(const Page& page) {
    const uint64_t before = page.moved.load();
    return Comes(
        [&] { return page.moved.load() > before + 100 * kRecord || page.failed.load() != 0; });
  }

  void Allow(Step step) {
    for (Page* page : {page_, copy_page_}) {
      if (page == nullptr) continue;
      page->step.store(step);
      platform::WakeWord(&page->step, INT32_MAX);
    }
  }
  // Both processes of a family have done a step; `steps` of them altogether.
  static bool Arrived(const Page& page, uint32_t steps) {
    return Comes([&] { return page.arrived.load() == 2 * steps || page.failed.load() != 0; }) &&
           page.failed.load() == 0;
  }
  static bool EndsWell(Page& page) {
    page.stop.store(1);
    return Comes([&] { return page.ended.load() == 2 || page.failed.load() != 0; }) &&
           page.failed.load() == 0;
  }

  OwnedFd objects_, page_fd_, listener_;
  OwnedFd parts_[kParts];
  Page* page_ = nullptr;
  Page* copy_page_ = nullptr;
  pid_t reader_ = -1;
};

TEST_F(LiveForkTest, TwoProcessesAFileAndAPipe) {
  Start();
  const Giver giver(listener_.get(), parts_);
  const OwnedFd& old_blocks = parts_[kOldBlocks];
  ASSERT_TRUE(Moves(*page_));
  // Somebody who does not comply is noticed.
  EXPECT_EQ(fcntl(old_blocks.get(), F_ADD_SEALS, F_SEAL_WRITE), -1);
  EXPECT_EQ(errno, EBUSY);

  page_->step.store(kPark);
  for (const pid_t pid : Children()) kill(pid, control::kKickSignal);
  ASSERT_TRUE(Arrived(*page_, 1));
  ASSERT_EQ(fcntl(old_blocks.get(), F_ADD_SEALS,
                  F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL),
            0);
  EXPECT_EQ(mmap(nullptr, kBlocksBytes, PROT_READ | PROT_WRITE, MAP_SHARED, old_blocks.get(), 0),
            MAP_FAILED);
  parts_[kBlocksHere] = MemoryFile(kBlocksBytes);
  parts_[kBlocksOfCopy] = MemoryFile(kBlocksBytes);
  Allow(kMap);
  ASSERT_TRUE(Arrived(*page_, 2));

  // Nothing changes the objects now: whoever is parked waits on the page.
  parts_[kObjectsOfCopy] = CopyOf(objects_, kObjectsBytes);
  parts_[kPageOfCopy] = MemoryFile(sizeof(Page));
  copy_page_ = MapPage(parts_[kPageOfCopy]);
  copy_page_->is_copy.store(1);
  Allow(kClone);
  ASSERT_TRUE(Arrived(*page_, 3));
  ASSERT_TRUE(Arrived(*copy_page_, 1));
  const uint64_t at_fork = page_->moved.load();
  Allow(kRun);

  ASSERT_TRUE(Moves(*page_));
  ASSERT_TRUE(Moves(*copy_page_));
  ASSERT_TRUE(EndsWell(*page_));
  // The end of the parents does not touch the copies.
  ASSERT_TRUE(Moves(*copy_page_));
  ASSERT_TRUE(EndsWell(*copy_page_));
  EXPECT_GT(page_->moved.load(), at_fork);
  EXPECT_GT(copy_page_->moved.load(), at_fork);
}

}  // namespace
}  // namespace cordon::kernel

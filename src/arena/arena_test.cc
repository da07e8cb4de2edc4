#include "arena/arena.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <vector>

#include "arena/layout.h"
#include "arena/platform.h"
#include "arena/wait.h"

namespace cordon {
namespace {

constexpr uint64_t kBytes = 64 << 20;

// Shared memory at the kernel's own address; gone with the test.
class ArenaTest : public testing::Test {
 protected:
  void SetUp() override {
    const int fd = memfd_create("objects", MFD_CLOEXEC);
    ASSERT_GE(fd, 0);
    ASSERT_EQ(ftruncate(fd, kBytes), 0);
    void* at = mmap(reinterpret_cast<void*>(layout::kObjects), kBytes, PROT_READ | PROT_WRITE,
                    MAP_SHARED | MAP_FIXED_NOREPLACE, fd, 0);
    close(fd);
    ASSERT_EQ(at, reinterpret_cast<void*>(layout::kObjects));
    arena_ = Arena::Create(at, kBytes);
    ASSERT_NE(arena_, nullptr);
  }
  void TearDown() override { munmap(reinterpret_cast<void*>(layout::kObjects), kBytes); }

  // Runs `work` in `count` processes at once and expects all of them to succeed.
  template <typename Work>
  void InProcesses(int count, Work work) {
    std::vector<pid_t> children;
    for (int i = 0; i < count; ++i) {
      const pid_t pid = fork();
      ASSERT_GE(pid, 0);
      if (pid == 0) {
        SetCurrentSlot(static_cast<uint32_t>(i) + 1);
        _exit(work(i) ? 0 : 1);
      }
      children.push_back(pid);
    }
    for (const pid_t pid : children) {
      int status = -1;
      ASSERT_EQ(waitpid(pid, &status, 0), pid);
      EXPECT_EQ(status, 0);
    }
  }

  Arena* arena_ = nullptr;
};

TEST_F(ArenaTest, HandsOutZeroedAlignedMemoryOfEverySize) {
  for (const size_t bytes : {1, 31, 32, 33, 500, 1024, 1025, 2049, 4096, 5000, 70000, 1 << 20}) {
    auto* memory = static_cast<uint8_t*>(arena_->Allocate(bytes));
    ASSERT_NE(memory, nullptr) << bytes;
    EXPECT_EQ(reinterpret_cast<uint64_t>(memory) % (bytes >= 4096 ? 4096 : 16), 0u) << bytes;
    for (size_t i = 0; i < bytes; ++i) ASSERT_EQ(memory[i], 0) << bytes;
    memset(memory, 0xa5, bytes);
    arena_->Free(memory, bytes);
    auto* again = static_cast<uint8_t*>(arena_->Allocate(bytes));
    EXPECT_EQ(again, memory) << "the freed memory is used first";
    for (size_t i = 0; i < bytes; ++i) ASSERT_EQ(again[i], 0) << bytes;
    arena_->Free(again, bytes);
  }
  EXPECT_EQ(arena_->used_bytes(), 0u);
  EXPECT_TRUE(arena_->Check());
}

TEST_F(ArenaTest, EndsWithNullAndGoesOnAfterFrees) {
  std::vector<void*> blocks;
  while (void* block = arena_->Allocate(1 << 20)) blocks.push_back(block);
  EXPECT_GE(blocks.size(), 60u);
  EXPECT_EQ(arena_->Allocate(1 << 20), nullptr);
  for (void* block : blocks) arena_->Free(block, 1 << 20);
  EXPECT_NE(arena_->Allocate(1 << 20), nullptr);
  EXPECT_EQ(arena_->Allocate(SIZE_MAX / 2), nullptr);
}

TEST_F(ArenaTest, ProcessesNeverShareAnObject) {
  InProcesses(4, [this](int who) {
    uint64_t* mine[64] = {};
    for (int i = 0; i < 200000; ++i) {
      uint64_t*& slot = mine[i * 7 % 64];
      const size_t bytes = 32u << (i * 7 % 64 % 5);
      if (slot != nullptr) {
        if (*slot != static_cast<uint64_t>(who) + 1) return false;
        arena_->Free(slot, bytes);
      }
      slot = static_cast<uint64_t*>(arena_->Allocate(bytes));
      if (slot == nullptr || *slot != 0) return false;
      *slot = static_cast<uint64_t>(who) + 1;
    }
    return true;
  });
  EXPECT_TRUE(arena_->Check());
}

TEST_F(ArenaTest, MutexExcludesProcesses) {
  struct Shared {
    Mutex mutex;
    uint64_t count;
  };
  auto* shared = arena_->New<Shared>();
  InProcesses(4, [shared](int) {
    for (int i = 0; i < 100000; ++i) {
      const MutexLock lock(shared->mutex, LockRank::kInode);
      shared->count = shared->count + 1;
    }
    return true;
  });
  EXPECT_EQ(shared->count, 400000u);
  EXPECT_FALSE(shared->mutex.held());
}

TEST_F(ArenaTest, RwLockKeepsReadersFromAWriter) {
  struct Shared {
    RwLock lock;
    uint64_t first, second;
    std::atomic<uint32_t> together, most;
  };
  auto* shared = arena_->New<Shared>();
  InProcesses(4, [shared](int me) {
    for (int i = 0; i < 50000; ++i) {
      if (i % 8 == me) {
        const ExclusiveLock lock(shared->lock, LockRank::kInode);
        shared->first = shared->first + 1;
        shared->second = shared->second + 1;
      } else {
        const SharedLock lock(shared->lock, LockRank::kInode);
        const uint32_t now = shared->together.fetch_add(1) + 1;
        if (now > shared->most.load()) shared->most.store(now);
        if (shared->first != shared->second) return false;
        if (i % 5000 == 0) usleep(2000);
        shared->together.fetch_sub(1);
      }
    }
    return true;
  });
  EXPECT_EQ(shared->first, 25000u);
  EXPECT_GT(shared->most.load(), 1u) << "no two readers were ever in together";
  EXPECT_FALSE(shared->lock.held());
}

// Two processes hand a token to and fro through wait queues: a lost wake-up would end in the
// deadline.
TEST_F(ArenaTest, NoWakeUpIsLost) {
  struct Shared {
    WaitQueue queue[2];
    Sleeper sleeper[2];
    Waiter waiter[2];
    std::atomic<uint32_t> turn;
  };
  auto* shared = arena_->New<Shared>();
  InProcesses(2, [shared](int me) {
    shared->waiter[me].sleeper = &shared->sleeper[me];
    for (uint32_t round = 0; round < 20000; ++round) {
      shared->queue[me].Add(shared->waiter[me]);
      const uint64_t deadline = platform::ClockNs(1) + 20'000'000'000;
      for (;;) {
        const uint32_t seen = shared->sleeper[me].word.load();
        if (shared->turn.load() % 2 == static_cast<uint32_t>(me)) break;
        if (shared->sleeper[me].SleepFrom(seen, deadline) != Wake::kWoken) return false;
      }
      shared->queue[me].Remove(shared->waiter[me]);
      shared->turn.fetch_add(1);
      shared->queue[1 - me].WakeAll();
    }
    return true;
  });
  EXPECT_EQ(shared->turn.load(), 40000u);
  EXPECT_TRUE(shared->queue[0].empty());
}

TEST_F(ArenaTest, SleepEndsAtItsDeadlineAndAtAttention) {
  auto* sleeper = arena_->New<Sleeper>();
  const uint64_t start = platform::ClockNs(1);
  EXPECT_EQ(sleeper->SleepFrom(sleeper->word, start + 20'000'000), Wake::kTimedOut);
  EXPECT_GE(platform::ClockNs(1), start + 20'000'000);
  sleeper->attention = 1;
  EXPECT_EQ(sleeper->SleepFrom(sleeper->word, platform::kNever), Wake::kInterrupted);
}

TEST(Platform, CloneIsAFullCopyWithTheSameParent) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  // In a child, so that the clone's parent is this process.
  const pid_t child = fork();
  if (child == 0) {
    const int clone = platform::CloneProcess();
    if (clone == 0) {
      const pid_t parent = getppid();
      platform::ExitProcess(write(ends[1], &parent, sizeof parent) == sizeof parent ? 7 : 1);
    }
    platform::ExitProcess(clone > 0 ? 0 : 1);
  }
  pid_t parent = 0;
  ASSERT_EQ(read(ends[0], &parent, sizeof parent), static_cast<ssize_t>(sizeof parent));
  EXPECT_EQ(parent, getpid());
  int exits = 0;
  for (int i = 0; i < 2; ++i) {
    int status = 0;
    ASSERT_GT(wait(&status), 0);
    exits += WEXITSTATUS(status);
  }
  EXPECT_EQ(exits, 7);
  close(ends[0]);
  close(ends[1]);
}

}  // namespace
}  // namespace cordon

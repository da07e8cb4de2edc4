// cordon-unpack as it is, and programs that take its place.

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <sstream>

#include "archive/sealed_bytes.h"
#include "archive/tar.h"
#include "archive/unpacker_process.h"
#include "archive/zstd_sink.h"
#include "base/memory_file.h"

namespace cordon::archive {
namespace {

class Memory final : public ByteSink {
 public:
  Status Write(std::span<const std::byte> more) override {
    bytes.append(reinterpret_cast<const char*>(more.data()), more.size());
    return {};
  }
  std::string bytes;
};

// A tar of one file in a sealed file.
struct Archive {
  explicit Archive(uint64_t size, ReadJob::Form form = ReadJob::Form::kPlain) {
    Memory memory;
    ZstdSink packed(memory);
    const bool is_packed = form == ReadJob::Form::kZstd;
    TarWriter tar(is_packed ? static_cast<ByteSink&>(packed) : memory);
    EXPECT_TRUE(tar.Add({Kind::kFile, "f", 0644, 0, 0, size, 0, {}}));
    EXPECT_TRUE(tar.Data(Bytes(std::string(size, 'x'))));
    EXPECT_TRUE(tar.Finish());
    if (is_packed) EXPECT_TRUE(packed.Finish());
    Put(memory.bytes);
    job.form = form;
  }
  explicit Archive(const std::string& bytes) { Put(bytes); }

  static std::span<const std::byte> Bytes(const std::string& text) {
    return std::as_bytes(std::span(text));
  }
  void Put(const std::string& bytes) {
    FileSink sink(fd->get(), 0, UINT64_MAX);
    EXPECT_TRUE(sink.Write(Bytes(bytes)));
    EXPECT_TRUE(SealMemoryFile(fd->get()));
    mapped = std::make_unique<SealedBytes>(*SealedBytes::Map(fd->get(), bytes.size()));
    job.bytes = mapped->bytes();
    job.fd = fd->get();
  }

  Result<OwnedFd> fd = NewMemoryFile("test");
  std::unique_ptr<SealedBytes> mapped;
  ReadJob job;
};

pid_t ChildOf(pid_t parent) {
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    std::ifstream file(entry.path() / "stat");
    std::string text;
    std::getline(file, text);
    std::istringstream rest(text.substr(std::min(text.rfind(')') + 1, text.size())));
    char state = 0;
    pid_t its_parent = 0;
    if (rest >> state >> its_parent && its_parent == parent && state != 'Z') {
      return static_cast<pid_t>(std::stol(entry.path().filename()));
    }
  }
  return -1;
}

std::string Contents(const std::string& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

// Does something at the first entry, while the process still has more to say than fits a pipe.
class AtFirst final : public RawVisitor {
 public:
  explicit AtFirst(std::function<void(pid_t)> action) : action_(std::move(action)) {}
  Status Begin(const RawEntry& /*entry*/) override {
    action_(ChildOf(getpid()));
    return {};
  }
  Status Data(uint64_t /*offset*/, std::span<const std::byte> bytes) override {
    size += bytes.size();
    return {};
  }
  Status End() override { return {}; }
  uint64_t size = 0;

 private:
  std::function<void(pid_t)> action_;
};

constexpr uint64_t kMuch = uint64_t{8} << 20;

UnpackerProcess Program() {
  return UnpackerProcess(CORDON_UNPACK_PROGRAM);
}

// A program of the test's own in its place.
class Script {
 public:
  explicit Script(const std::string& text) {
    char name[] = "/tmp/cordon-unpack-XXXXXX";
    folder_ = mkdtemp(name);
    std::ofstream(path()) << "#!/bin/sh\n" << text << "\n";
    EXPECT_EQ(chmod(path().c_str(), 0755), 0);
  }
  ~Script() { std::filesystem::remove_all(folder_); }
  Script(const Script&) = delete;
  Script& operator=(const Script&) = delete;
  [[nodiscard]] std::string path() const { return folder_ + "/program"; }

 private:
  std::string folder_;
};

std::string RefusalOf(const UnpackerProcess& program, const Archive& archive) {
  AtFirst visitor([](pid_t) {});
  const auto read = program.Read(archive.job, visitor);
  return read ? "" : read.error().ToString();
}

TEST(Unpacker, ReadsAsThisProcessDoes) {
  for (const ReadJob::Form form :
       {ReadJob::Form::kAny, ReadJob::Form::kPlain, ReadJob::Form::kZstd}) {
    Archive archive(kMuch, form);
    archive.job.hashes = form != ReadJob::Form::kAny;
    AtFirst there([](pid_t) {});
    AtFirst here([](pid_t) {});
    const auto one = Program().Read(archive.job, there);
    const auto other = OwnTarReader().Read(archive.job, here);
    ASSERT_TRUE(one) << one.error().ToString();
    EXPECT_EQ(*one, *other);
    EXPECT_EQ(there.size, kMuch);
    EXPECT_EQ(here.size, kMuch);
  }
}

TEST(Unpacker, IsLockedIn) {
  const Archive archive(kMuch, ReadJob::Form::kZstd);
  std::string status;
  std::string limits;
  AtFirst visitor([&](pid_t pid) {
    status = Contents("/proc/" + std::to_string(pid) + "/status");
    limits = Contents("/proc/" + std::to_string(pid) + "/limits");
  });
  ASSERT_TRUE(Program().Read(archive.job, visitor));
  EXPECT_NE(status.find("Name:\tcordon-unpack"), std::string::npos) << status;
  EXPECT_NE(status.find("Seccomp:\t2"), std::string::npos) << status;
  EXPECT_NE(status.find("NoNewPrivs:\t1"), std::string::npos) << status;
  EXPECT_NE(status.find("Threads:\t1"), std::string::npos) << status;
  for (const char* set : {"CapInh", "CapPrm", "CapEff", "CapAmb"}) {
    EXPECT_NE(status.find(std::string(set) + ":\t0000000000000000"), std::string::npos) << status;
  }
  if (geteuid() == 0) EXPECT_EQ(status.find("Uid:\t0"), std::string::npos) << status;
  const auto limit = [&](const std::string& name) {
    std::istringstream line(limits.substr(limits.find(name) + name.size()));
    std::string soft;
    line >> soft;
    return soft;
  };
  EXPECT_EQ(limit("Max open files"), "0");
  EXPECT_EQ(limit("Max file size"), "0");
  EXPECT_EQ(limit("Max core file size"), "0");
  EXPECT_LT(std::stoull(limit("Max address space")), uint64_t{1} << 29);
  EXPECT_LT(std::stoull(limit("Max cpu time")), 1U << 20);
}

// Hears how much is there, and no more.
class Follows final : public RawVisitor {
 public:
  Status Begin(const RawEntry& /*entry*/) override { return Fail(ErrorCode::kInternal, "entry"); }
  Status Data(uint64_t /*offset*/, std::span<const std::byte> /*bytes*/) override {
    return Fail(ErrorCode::kInternal, "data");
  }
  Status End() override { return Fail(ErrorCode::kInternal, "end"); }
  Status Alive(uint64_t bytes) override {
    EXPECT_GE(bytes, size);
    size = bytes;
    return {};
  }
  uint64_t size = 0;
};

TEST(Unpacker, TakesATarOutOfItsZstd) {
  const Archive plain(kMuch);
  Archive packed(kMuch, ReadJob::Form::kZstd);
  const Result<OwnedFd> room = NewMemoryFile("room");
  ASSERT_TRUE(room);
  packed.job.wanted = ReadJob::Wanted::kTar;
  packed.job.to = {room->get(), plain.job.bytes.size()};
  Follows visitor;
  const auto read = Program().Read(packed.job, visitor);
  ASSERT_TRUE(read) << read.error().ToString();
  ASSERT_EQ(visitor.size, plain.job.bytes.size());
  ASSERT_TRUE(SealMemoryFile(room->get()));
  const auto there = SealedBytes::Map(room->get(), visitor.size);
  ASSERT_TRUE(there);
  EXPECT_TRUE(std::ranges::equal(there->bytes(), plain.job.bytes));
}

TEST(Unpacker, TakesOutNoMoreThanThereIsRoomFor) {
  Archive packed(kMuch, ReadJob::Form::kZstd);
  const Result<OwnedFd> room = NewMemoryFile("room");
  ASSERT_TRUE(room);
  packed.job.wanted = ReadJob::Wanted::kTar;
  packed.job.to = {room->get(), kMuch};
  Follows visitor;
  const auto read = Program().Read(packed.job, visitor);
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().code, ErrorCode::kLimit);
  struct stat stat = {};
  ASSERT_EQ(fstat(room->get(), &stat), 0);
  EXPECT_LE(static_cast<uint64_t>(stat.st_size), kMuch);
}

TEST(Unpacker, ACrashIsAnError) {
  const Archive archive(kMuch, ReadJob::Form::kZstd);
  AtFirst visitor([](pid_t pid) { ASSERT_EQ(kill(pid, SIGSEGV), 0); });
  const auto read = Program().Read(archive.job, visitor);
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().ToString(),
            "archive: its reader was ended by signal 11 SIGSEGV before it was done");
  EXPECT_LT(visitor.size, kMuch);
  EXPECT_EQ(ChildOf(getpid()), -1);
}

TEST(Unpacker, EndsWithWhoRefuses) {
  class Refusing final : public RawVisitor {
    Status Begin(const RawEntry& /*entry*/) override { return Fail(ErrorCode::kLimit, "no"); }
    Status Data(uint64_t /*offset*/, std::span<const std::byte> /*bytes*/) override { return {}; }
    Status End() override { return {}; }
  } visitor;
  const Archive archive(kMuch, ReadJob::Form::kZstd);
  const auto read = Program().Read(archive.job, visitor);
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().ToString(), "no");
  EXPECT_EQ(ChildOf(getpid()), -1);
}

TEST(Unpacker, SaysWhatIsWrong) {
  EXPECT_EQ(RefusalOf(Program(), Archive(std::string(3000, 'x'))),
            "archive: Unrecognized archive format");
  EXPECT_EQ(RefusalOf(Program(), Archive(std::string())), "archive: Unrecognized archive format");
  Archive cut(kMuch);
  cut.job.bytes = cut.job.bytes.first(4096);
  EXPECT_EQ(RefusalOf(Program(), cut), "archive: Truncated tar archive");
  Archive large(kMuch, ReadJob::Form::kZstd);
  large.job.most_plain_bytes = kMuch / 2;
  EXPECT_EQ(RefusalOf(Program(), large), "image: a layer is larger than its tree may be");
}

// A window of two gigabytes: the decoder does not take it, and could not.
TEST(Unpacker, TakesNoMoreMemoryThanItMay) {
  std::string bomb = "\x28\xb5\x2f\xfd";  // zstd, RFC 8878
  bomb += '\0';
  bomb += static_cast<char>(21 << 3);  // 2^31 bytes
  bomb += std::string(100, '\1');
  Archive archive(bomb);
  archive.job.form = ReadJob::Form::kZstd;
  EXPECT_EQ(RefusalOf(Program(), archive), "zstd: Frame requires too much memory for decoding");
}

TEST(Unpacker, OthersInItsPlaceAreNotBelieved) {
  const Archive archive(10);
  EXPECT_EQ(RefusalOf(UnpackerProcess("/nowhere"), archive),
            "posix_spawn(/nowhere): No such file or directory");
  const Script crashes("kill -SEGV $$");
  EXPECT_EQ(RefusalOf(UnpackerProcess(crashes.path()), archive),
            "archive: its reader was ended by signal 11 SIGSEGV before it was done");
  const Script ends("exit 3");
  EXPECT_EQ(RefusalOf(UnpackerProcess(ends.path()), archive),
            "archive: its reader ended with status 3 before it was done");
  const Script babbles("cat /proc/self/status");
  EXPECT_EQ(RefusalOf(UnpackerProcess(babbles.path()), archive),
            "archive: its reader says nonsense: a frame too long");
  const Script never_ends("exec cat /dev/zero");
  EXPECT_EQ(RefusalOf(UnpackerProcess(never_ends.path()), archive),
            "archive: its reader says nonsense: an unknown frame");
  EXPECT_EQ(ChildOf(getpid()), -1);
}

}  // namespace
}  // namespace cordon::archive

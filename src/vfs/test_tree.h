#ifndef CORDON_VFS_TEST_TREE_H_
#define CORDON_VFS_TEST_TREE_H_

// For tests: a memory file system in arenas of its own, and calls by path.

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "arena/arena.h"
#include "arena/layout.h"
#include "vfs/image.h"
#include "vfs/memory_fs.h"
#include "vfs/path_walk.h"

namespace cordon::vfs {

inline constexpr uint64_t kTestObjects = uint64_t{256} << 20;
inline constexpr uint64_t kTestBlocks = uint64_t{3} << 30;  // sparse
inline constexpr uint64_t kNextBlocks = layout::kBlocks + layout::kGenerationReserve;
inline constexpr Credentials kRoot = {};

class TestTree : public testing::Test {
 protected:
  // What the test sets before Start.
  Quotas quotas_ = {100'000, uint64_t{2} << 30, nullptr};

  void Start(const Image* image = nullptr) {
    quotas_.limits_met = &limits_met_;
    objects_ = Map(layout::kObjects, kTestObjects);
    blocks_ = Map(layout::kBlocks, kTestBlocks);
    ASSERT_NE(objects_, nullptr);
    ASSERT_NE(blocks_, nullptr);
    fs_ = MemoryFs::Create(objects_, blocks_, image, quotas_);
    ASSERT_NE(fs_, nullptr);
    root_ = fs_->Root();
  }
  void TearDown() override {
    if (fs_ == nullptr) return;
    ExpectSound();
    munmap(reinterpret_cast<void*>(layout::kObjects), kTestObjects);
    munmap(reinterpret_cast<void*>(layout::kBlocks), kTestBlocks);
    munmap(reinterpret_cast<void*>(kNextBlocks), kTestBlocks);
  }

  static Arena* Map(uint64_t address, uint64_t bytes) {
    const int fd = memfd_create("test", MFD_CLOEXEC);
    if (fd < 0 || ftruncate(fd, static_cast<off_t>(bytes)) != 0) return nullptr;
    void* at = mmap(reinterpret_cast<void*>(address), bytes, PROT_READ | PROT_WRITE,
                    MAP_SHARED | MAP_FIXED_NOREPLACE, fd, 0);
    close(fd);
    return at == reinterpret_cast<void*>(address) ? Arena::Create(at, bytes) : nullptr;
  }

  void ExpectSound(uint64_t unlinked = 0) {
    char text[4096];
    EXPECT_EQ(CheckFileSystem(*fs_, unlinked, text, sizeof text), 0) << text;
  }

  int At(const std::string& path, Node* out, WalkMode mode = kNoFollow,
         const Credentials& who = kRoot) {
    return Walk(mounts_, who, root_, root_, path, mode, out);
  }
  // Calls `use` with the directory and the last name of a path.
  template <typename Use>
  int InParent(const std::string& path, const Credentials& who, Use use) {
    Node directory;
    LastName name;
    const int error = WalkToParent(mounts_, who, root_, root_, path, &directory, &name);
    if (error != 0) return error;
    const int result = use(directory, name);
    directory.fs->Release(directory.id);
    return result;
  }
  // Calls `use` with the node of a path.
  template <typename Use>
  int64_t With(const std::string& path, const Credentials& who, Use use) {
    Node node;
    const int error = At(path, &node, kNoFollow, who);
    if (error != 0) return error;
    const int64_t result = use(node);
    node.fs->Release(node.id);
    return result;
  }

  int Make(const std::string& path, uint32_t mode, const Credentials& who = kRoot) {
    return InParent(path, who, [&](Node directory, const LastName& name) {
      Node made;
      const int error = fs_->Create(who, directory.id, name.view(), mode, 0, &made);
      if (error == 0) fs_->Release(made.id);
      return error;
    });
  }
  int MakeDirectory(const std::string& path, const Credentials& who = kRoot) {
    return Make(path, S_IFDIR | 0755, who);
  }
  int MakeFile(const std::string& path, const Credentials& who = kRoot) {
    return Make(path, S_IFREG | 0644, who);
  }
  int MakeLink(const std::string& target, const std::string& path, const Credentials& who = kRoot) {
    return InParent(path, who, [&](Node directory, const LastName& name) {
      return fs_->Symlink(who, directory.id, name.view(), target);
    });
  }
  int Link(const std::string& from, const std::string& to, const Credentials& who = kRoot) {
    return static_cast<int>(With(from, who, [&](Node node) -> int64_t {
      return InParent(to, who, [&](Node directory, const LastName& name) {
        return fs_->Link(who, node.id, directory.id, name.view());
      });
    }));
  }
  int Unlink(const std::string& path, const Credentials& who = kRoot) {
    return InParent(path, who, [&](Node directory, const LastName& name) {
      return fs_->Remove(who, directory.id, name.view(), FileSystem::Removal::kFile);
    });
  }
  int RemoveDirectory(const std::string& path, const Credentials& who = kRoot) {
    return InParent(path, who, [&](Node directory, const LastName& name) {
      return fs_->Remove(who, directory.id, name.view(), FileSystem::Removal::kDirectory);
    });
  }
  int Rename(const std::string& from, const std::string& to, uint32_t flags = 0,
             const Credentials& who = kRoot) {
    return InParent(from, who, [&](Node source, const LastName& from_name) {
      return InParent(to, who, [&](Node target, const LastName& to_name) {
        return fs_->Rename(who, source.id, from_name.view(), target.id, to_name.view(), flags);
      });
    });
  }
  int64_t Put(const std::string& path, uint64_t offset, std::string_view bytes) {
    return With(path, kRoot, [&](Node node) {
      uint64_t end = 0;
      return fs_->Write(node.id, offset, bytes.data(), bytes.size(), &end);
    });
  }
  std::string Get(const std::string& path, uint64_t offset = 0, uint64_t size = 1 << 24) {
    std::string bytes(size, '\xee');
    const int64_t got = With(path, kRoot, [&](Node node) {
      return fs_->Read(node.id, offset, bytes.data(), bytes.size());
    });
    bytes.resize(got < 0 ? 0 : static_cast<size_t>(got));
    return got < 0 ? "error " + std::to_string(got) : bytes;
  }
  int Resize(const std::string& path, uint64_t size) {
    return static_cast<int>(
        With(path, kRoot, [&](Node node) { return fs_->Truncate(node.id, size); }));
  }
  Stat StatOf(const std::string& path) {
    Stat stat = {};
    EXPECT_EQ(With(path, kRoot, [&](Node node) { return fs_->GetStat(node.id, &stat); }), 0)
        << path;
    return stat;
  }
  int Change(const std::string& path, const Attributes& change, const Credentials& who = kRoot) {
    return static_cast<int>(
        With(path, who, [&](Node node) { return fs_->SetAttributes(who, node.id, change); }));
  }
  int ChangeMode(const std::string& path, uint32_t mode, const Credentials& who = kRoot) {
    Attributes change;
    change.fields = Attributes::kMode;
    change.mode = mode;
    return Change(path, change, who);
  }

  struct Names {
    std::vector<std::string> names;
    uint64_t cookie = 0;
    size_t limit = SIZE_MAX;  // stops after so many
  };
  int List(Node directory, Names* to) {
    const auto emit = [](void* cookie, std::string_view name, uint64_t /*inode*/, uint32_t /*type*/,
                         uint64_t next) {
      auto* names = static_cast<Names*>(cookie);
      if (names->names.size() >= names->limit) return false;
      names->names.emplace_back(name);
      names->cookie = next;
      return true;
    };
    return directory.fs->List(directory.id, to->cookie, {to, emit});
  }
  std::vector<std::string> NamesIn(const std::string& path) {
    Names names;
    EXPECT_EQ(With(path, kRoot, [&](Node node) { return List(node, &names); }), 0);
    return names.names;
  }

  Arena* objects_ = nullptr;
  Arena* blocks_ = nullptr;
  MemoryFs* fs_ = nullptr;
  MountTable mounts_;
  Node root_;
  std::atomic<uint32_t> limits_met_{0};
};

}  // namespace cordon::vfs

#endif  // CORDON_VFS_TEST_TREE_H_

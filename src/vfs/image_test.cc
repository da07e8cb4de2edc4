#include "vfs/image.h"

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "vfs/test_tree.h"

namespace cordon::vfs {
namespace {

namespace stdfs = std::filesystem;

std::string ReadHostFile(const stdfs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return std::string(std::istreambuf_iterator<char>(in), {});
}

// A tree on the host, packed by cordon-mkimage and used as the lower layer.
class ImageTest : public TestTree {
 protected:
  void SetUp() override {
    char name[] = "/tmp/image_test.XXXXXX";
    ASSERT_NE(mkdtemp(name), nullptr);
    folder_ = name;
    stdfs::create_directories(folder_ / "root/usr/bin");
    stdfs::create_directories(folder_ / "root/tmp");
    stdfs::create_directories(folder_ / "root/home/user");
    stdfs::create_directories(folder_ / "objects");
    Host("usr/bin/tool", std::string(200'000, 't'));
    Host("usr/bin/small", "small");
    Host("usr/readme", "read me");
    Host("home/user/.profile", "# profile");
    stdfs::create_hard_link(folder_ / "root/usr/bin/small", folder_ / "root/usr/bin/also");
    stdfs::create_symlink("usr/bin", folder_ / "root/bin");
  }
  void TearDown() override {
    TestTree::TearDown();
    stdfs::remove_all(folder_);
  }
  void Host(const std::string& path, const std::string& bytes) {
    std::ofstream(folder_ / "root" / path, std::ios::binary) << bytes;
  }
  std::string Pack() {
    const std::string out = (folder_ / "out.img").string();
    const std::string command = std::string(CORDON_MKIMAGE_PROGRAM) + " " +
                                (folder_ / "root").string() + " " + (folder_ / "objects").string() +
                                " " + out + " >/dev/null";
    EXPECT_EQ(system(command.c_str()), 0);
    return ReadHostFile(out);
  }
  void StartWithImage() {
    bytes_ = Pack();
    ASSERT_TRUE(image_.Open(std::as_bytes(std::span(bytes_)), nullptr, nullptr));
    Start(&image_);
  }

  stdfs::path folder_;
  std::string bytes_;
  Image image_;
};

TEST_F(ImageTest, TheSameTreeMakesTheSameImage) {
  const std::string first = Pack();
  EXPECT_EQ(first, Pack());
}

TEST_F(ImageTest, FilesAreReadInPlace) {
  StartWithImage();
  const uint64_t inodes = fs_->inodes_in_memory();
  EXPECT_LT(inodes, 20u) << "nothing is populated at the start";
  EXPECT_EQ(Get("bin/tool"), std::string(200'000, 't'));
  EXPECT_EQ(Get("usr/readme", 5), "me");
  EXPECT_EQ(StatOf("home/user/.profile").uid, 1000u);
  EXPECT_EQ(StatOf("usr").links, 3u);
  EXPECT_EQ(fs_->inodes_in_memory(), inodes + 8);
  FileSystemStat stat = {};
  fs_->StatFileSystem(&stat);
  EXPECT_EQ(stat.free_bytes, stat.total_bytes);
  EXPECT_EQ(NamesIn("usr/bin"), (std::vector<std::string>{"tool", "also", "small"}));
}

TEST_F(ImageTest, WritingCopiesOnlyWhatIsWritten) {
  StartWithImage();
  ASSERT_EQ(Put("usr/bin/tool", 150'000, "X"), 1);
  std::string expected(200'000, 't');
  expected[150'000] = 'X';
  EXPECT_EQ(Get("usr/bin/tool"), expected);
  FileSystemStat stat = {};
  fs_->StatFileSystem(&stat);
  EXPECT_EQ(stat.total_bytes - stat.free_bytes, 65536u);
  ASSERT_EQ(Put("usr/bin/tool", 3, "Y"), 1);
  expected[3] = 'Y';
  ASSERT_EQ(Resize("usr/bin/tool", 170'000), 0);
  ASSERT_EQ(Resize("usr/bin/tool", 300'000), 0);
  expected = expected.substr(0, 170'000) + std::string(130'000, '\0');
  EXPECT_EQ(Get("usr/bin/tool"), expected);
  ASSERT_EQ(Put("usr/readme", kAppend, "!"), 1);
  EXPECT_EQ(Get("usr/readme"), "read me!");
  ASSERT_EQ(Unlink("usr/bin/tool"), 0);
  ASSERT_EQ(MakeFile("usr/bin/tool"), 0);
  EXPECT_EQ(Get("usr/bin/tool"), "");
}

TEST_F(ImageTest, AWriteBeyondTheQuotaLosesNothing) {
  quotas_.max_bytes = 1000;
  StartWithImage();
  EXPECT_EQ(Put("usr/bin/tool", 5, "Y"), -EDQUOT);
  EXPECT_EQ(Get("usr/bin/tool"), std::string(200'000, 't'));
}

TEST_F(ImageTest, NamesOfTheImageCanGoAndMove) {
  StartWithImage();
  ASSERT_EQ(Unlink("usr/readme"), 0);
  EXPECT_EQ(NamesIn("usr"), std::vector<std::string>{"bin"});
  EXPECT_EQ(Unlink("usr/readme"), -ENOENT);
  ASSERT_EQ(Rename("usr/bin", "programs"), 0);
  EXPECT_EQ(StatOf("usr").links, 2u);
  EXPECT_EQ(Get("programs/small"), "small");
  EXPECT_EQ(RemoveDirectory("programs"), -ENOTEMPTY);
  EXPECT_EQ(RemoveDirectory("usr"), 0);
  // An image directory without names there, but with new ones.
  ASSERT_EQ(MakeFile("tmp/x"), 0);
  EXPECT_EQ(RemoveDirectory("tmp"), -ENOTEMPTY);
  ASSERT_EQ(MakeDirectory("other"), 0);
  EXPECT_EQ(Rename("other", "tmp"), -ENOTEMPTY);
  ASSERT_EQ(Unlink("tmp/x"), 0);
  EXPECT_EQ(Rename("other", "tmp"), 0);
}

TEST_F(ImageTest, HardLinksOfTheImageAreOneFile) {
  StartWithImage();
  EXPECT_EQ(StatOf("usr/bin/small").links, 2u);
  ASSERT_EQ(Put("usr/bin/small", 0, "S"), 1);
  EXPECT_EQ(Get("usr/bin/also"), "Small");
  EXPECT_EQ(StatOf("usr/bin/small").inode, StatOf("usr/bin/also").inode);
  ASSERT_EQ(Unlink("usr/bin/small"), 0);
  EXPECT_EQ(StatOf("usr/bin/also").links, 1u);
  EXPECT_EQ(Get("usr/bin/also"), "Small");
  const uint64_t inodes = fs_->inodes_in_memory();
  ASSERT_EQ(Unlink("usr/bin/also"), 0);
  EXPECT_EQ(fs_->inodes_in_memory(), inodes - 1);
}

// Every byte of the tables flipped: the reader refuses, or what it accepts can be walked.
TEST_F(ImageTest, ADamagedImageIsRefusedOrSafe) {
  const std::string whole = Pack();
  Image image;
  for (size_t size = 0; size < whole.size(); size += 61) {
    const std::string cut = whole.substr(0, size);
    EXPECT_FALSE(image.Open(std::as_bytes(std::span(cut)), nullptr, nullptr)) << size;
  }
  int refused = 0;
  for (size_t at = 0; at < 2000 && at < whole.size(); ++at) {
    for (const int flip : {0x01, 0x80, 0xff}) {
      std::string damaged = whole;
      damaged[at] = static_cast<char>(damaged[at] ^ flip);
      Image other;
      if (!other.Open(std::as_bytes(std::span(damaged)), nullptr, nullptr)) {
        ++refused;
        continue;
      }
      uint64_t sum = 0;
      for (uint32_t number = 0; number < other.inode_count(); ++number) {
        const ImageInode& inode = other.inode(number);
        for (uint64_t i = 0; i < inode.size; i += 997)
          sum += static_cast<uint64_t>(other.DataOf(number)[i]);
        if (!S_ISDIR(inode.mode)) continue;
        for (const ImageEntry& entry : other.EntriesOf(number)) {
          EXPECT_EQ(other.Find(number, other.NameOf(entry)), &entry);
        }
      }
      EXPECT_GE(sum, 0u);
    }
  }
  EXPECT_GT(refused, 1000);
}

}  // namespace
}  // namespace cordon::vfs

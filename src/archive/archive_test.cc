#include <gtest/gtest.h>
#include <sys/mman.h>

#include <map>

#include "archive/oci_image.h"
#include "archive/tar.h"
#include "archive/zstd_sink.h"
#include "base/memory_file.h"

namespace cordon::archive {
namespace {

class Memory final : public ByteSink, public ByteSource {
 public:
  Memory() = default;
  explicit Memory(std::string text) : bytes(std::move(text)) {}
  Status Write(std::span<const std::byte> more) override {
    bytes.append(reinterpret_cast<const char*>(more.data()), more.size());
    return {};
  }
  Result<size_t> Read(std::span<std::byte> to) override {
    const size_t count = bytes.copy(reinterpret_cast<char*>(to.data()), to.size(), at);
    at += count;
    return count;
  }
  std::string bytes;
  size_t at = 0;
};

// A tree as a text that can be compared.
class Recorder final : public EntryVisitor {
 public:
  Status Begin(const Entry& entry) override {
    entries.push_back(entry);
    contents.emplace_back();
    return {};
  }
  Status Data(uint64_t offset, std::span<const std::byte> bytes) override {
    contents.back().resize(std::max<size_t>(contents.back().size(), offset));
    contents.back().append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    return {};
  }
  Status End() override { return {}; }
  std::vector<Entry> entries;
  std::vector<std::string> contents;
};

Entry FileEntry(const std::string& path, uint64_t size) {
  return {Kind::kFile, path, 0640, 1000, 1001, size, 1'700'000'000'123'456'789, {}};
}

std::string TarOf(const std::vector<std::pair<Entry, std::string>>& files) {
  Memory memory;
  TarWriter tar(memory);
  for (const auto& [entry, contents] : files) {
    EXPECT_TRUE(tar.Add(entry));
    if (entry.kind == Kind::kFile) EXPECT_TRUE(tar.Data(std::as_bytes(std::span(contents))));
  }
  EXPECT_TRUE(tar.Finish());
  return memory.bytes;
}

Status ReadText(const std::string& tar, Recorder* recorder, TreeLimits limits = {}) {
  Skipped skipped;
  const auto read = ReadTree(OwnTarReader(), {.bytes = std::as_bytes(std::span(tar))}, limits,
                             *recorder, &skipped);
  return read ? Status() : std::unexpected(read.error());
}

std::string RefusalOf(const std::string& tar, TreeLimits limits = {}) {
  Recorder recorder;
  const Status read = ReadText(tar, &recorder, limits);
  return read ? "" : read.error().ToString();
}

Entry Link(Kind kind, const std::string& path, const std::string& target) {
  return {kind, path, 0777, 0, 0, 0, 0, target};
}

TEST(TarTest, KeepsWhatAnEntryIs) {
  const std::string odd = "a\xff\xfe z";  // no UTF-8
  const std::string german =
      "stra\xc3\x9f"
      "e";
  const std::string tar = TarOf({
      {{Kind::kDirectory, "d", 01755, 7, 8, 0, 5'000'000'000, {}}, {}},
      {FileEntry("d/f", 5), "hello"},
      {FileEntry(odd, 1), "x"},
      {FileEntry(german, 0), ""},
      {FileEntry("d/" + std::string(200, 'n') + "/" + std::string(200, 'm'), 0), ""},
      {Link(Kind::kSymlink, "d/s", "../" + german), {}},
      {Link(Kind::kSymlink, "d/o", odd), {}},
      {Link(Kind::kHardLink, "h", "d/f"), {}},
      {{Kind::kFifo, "p", 0600, 0, 0, 0, -1'500'000'000, {}}, {}},
  });
  Recorder seen;
  const Status read = ReadText(tar, &seen);
  ASSERT_TRUE(read) << read.error().ToString();
  ASSERT_EQ(seen.entries.size(), 9U);
  EXPECT_EQ(seen.entries[0].kind, Kind::kDirectory);
  EXPECT_EQ(seen.entries[0].permissions, 01755U);
  EXPECT_EQ(seen.entries[1].path, "d/f");
  EXPECT_EQ(seen.entries[1].uid, 1000U);
  EXPECT_EQ(seen.entries[1].gid, 1001U);
  EXPECT_EQ(seen.entries[1].mtime_ns, 1'700'000'000'123'456'789);
  EXPECT_EQ(seen.contents[1], "hello");
  EXPECT_EQ(seen.entries[2].path, odd);
  EXPECT_EQ(seen.entries[3].path, german);
  EXPECT_EQ(seen.entries[4].path.size(), 2 + 200 + 1 + 200U);
  EXPECT_EQ(seen.entries[5].target, "../" + german);
  EXPECT_EQ(seen.entries[6].target, odd);
  EXPECT_EQ(seen.entries[7].kind, Kind::kHardLink);
  EXPECT_EQ(seen.entries[7].target, "d/f");
  EXPECT_EQ(seen.entries[8].kind, Kind::kFifo);
  EXPECT_EQ(seen.entries[8].mtime_ns, -1'500'000'000);
}

TEST(TarTest, RefusesWhatLeadsOut) {
  EXPECT_NE(RefusalOf(TarOf({{FileEntry("../x", 0), ""}})).find("\"..\""), std::string::npos);
  EXPECT_NE(RefusalOf(TarOf({{FileEntry("a/../../x", 0), ""}})).find("\"..\""), std::string::npos);
  EXPECT_NE(RefusalOf(TarOf({{FileEntry("/etc/x", 0), ""}})).find("absolute"), std::string::npos);
  EXPECT_NE(RefusalOf(TarOf({{Link(Kind::kSymlink, "l", "/etc"), {}}, {FileEntry("l/x", 0), ""}}))
                .find("below a link"),
            std::string::npos);
  EXPECT_NE(RefusalOf(TarOf({{Link(Kind::kHardLink, "h", "etc/passwd"), {}}})).find("hard link"),
            std::string::npos);
  EXPECT_NE(RefusalOf(TarOf({{Link(Kind::kHardLink, "h", "../x"), {}}})).find("\"..\""),
            std::string::npos);
  EXPECT_NE(RefusalOf(TarOf({{FileEntry(std::string(300, 'n'), 0), ""}})).find("255"),
            std::string::npos);
}

TEST(TarTest, HoldsItsLimits) {
  const std::string tar = TarOf({{FileEntry("a", 5), "12345"}, {FileEntry("b", 5), "12345"}});
  EXPECT_EQ(RefusalOf(tar, {2, 10}), "");
  EXPECT_NE(RefusalOf(tar, {1, 10}).find("more than 1 entries"), std::string::npos);
  EXPECT_NE(RefusalOf(tar, {2, 9}).find("more than 9 bytes"), std::string::npos);
}

TEST(TarTest, RefusesWhatWasCut) {
  const std::string tar = TarOf({{FileEntry("a", 5000), std::string(5000, 'x')}});
  EXPECT_NE(RefusalOf(tar.substr(0, 2000)), "");
  EXPECT_NE(RefusalOf(std::string(3000, 'x')), "");
}

Result<std::string> Expand(const std::string& bytes) {
  Memory from(bytes);
  ZstdSource source(from);
  std::string whole;
  std::vector<std::byte> piece(100'000);
  for (;;) {
    const Result<size_t> got = source.Read(piece);
    if (!got) return std::unexpected(got.error());
    if (*got == 0) return whole;
    whole.append(reinterpret_cast<const char*>(piece.data()), *got);
  }
}

// In writes of that many bytes.
std::string Packed(std::string_view text, size_t write, size_t threads = ZstdSink::UsualThreads()) {
  Memory packed;
  ZstdSink sink(packed, threads);
  for (size_t at = 0; at < text.size(); at += write) {
    EXPECT_TRUE(sink.Write(std::as_bytes(std::span(text.substr(at, write)))));
  }
  EXPECT_TRUE(sink.Finish());
  return packed.bytes;
}

TEST(StreamTest, CompressesAndRefusesDamage) {
  Memory packed;
  ZstdSink sink(packed);
  const std::string text(1 << 20, 'a');
  ASSERT_TRUE(sink.Write(std::as_bytes(std::span(text))));
  ASSERT_TRUE(sink.Finish());
  EXPECT_LT(packed.bytes.size(), 4096U);
  EXPECT_EQ(Expand(packed.bytes).value_or(""), text);
  EXPECT_FALSE(Expand(packed.bytes.substr(0, packed.bytes.size() - 3)));
  std::string damaged = packed.bytes;
  damaged[damaged.size() / 2] ^= 1;
  EXPECT_FALSE(Expand(damaged));
}

TEST(StreamTest, NeitherWritesNorThreadsChangeWhatIsCompressed) {
  std::string text;
  uint32_t chance = 1;
  while (text.size() < 30'000'000) {
    chance = chance * 1664525 + 1013904223;
    text += "word" + std::to_string(chance >> 18);
  }
  const std::string packed = Packed(text, 128 * 1024);
  EXPECT_LT(packed.size(), text.size() / 2);
  EXPECT_TRUE(Expand(packed).value_or("") == text);
  EXPECT_TRUE(Packed(text, 1'000'003) == packed);
  EXPECT_TRUE(Packed(text, text.size()) == packed);
  for (const size_t threads : {0, 1, 2, 4}) {
    EXPECT_TRUE(Packed(text, 128 * 1024, threads) == packed) << threads;
  }
  EXPECT_EQ(Expand(Packed("", 1)).value_or("?"), "");
}

struct Image {
  OwnedFd fd{memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING)};
  WrittenImage written;

  [[nodiscard]] std::string Bytes() const {
    std::string bytes(written.size, '\0');
    EXPECT_EQ(pread(fd.get(), bytes.data(), bytes.size(), 0), static_cast<ssize_t>(bytes.size()));
    return bytes;
  }
};

Image MakeImage(const std::string& contents) {
  Image image;
  const ImageConfig config = {{"A=b"}, "/home/user", R"({"version":1})"};
  const auto written = WriteImage(image.fd.get(), 1 << 24, config, [&](TarWriter& tar) -> Status {
    CORDON_TRY(tar.Add(FileEntry("f", contents.size())));
    return tar.Data(std::as_bytes(std::span(contents)));
  });
  EXPECT_TRUE(written);
  if (written) image.written = *written;
  return image;
}

Result<ImageReader> OpenBytes(const std::string& bytes) {
  static const OwnTarReader reader;
  const Result<OwnedFd> fd = NewMemoryFile("test");
  FileSink sink(fd->get(), 0, UINT64_MAX);
  EXPECT_TRUE(sink.Write(std::as_bytes(std::span(bytes))));
  EXPECT_TRUE(SealMemoryFile(fd->get()));
  return ImageReader::Open(fd->get(), bytes.size(), 1 << 24, reader);
}

TEST(ImageTest, GoesThereAndBack) {
  const Image image = MakeImage("hello");
  const auto reader = OpenBytes(image.Bytes());
  ASSERT_TRUE(reader) << reader.error().ToString();
  EXPECT_EQ(reader->config().directory, "/home/user");
  EXPECT_EQ(reader->config().environment, std::vector<std::string>{"A=b"});
  EXPECT_EQ(reader->config().session, R"({"version":1})");
  Recorder seen;
  Skipped skipped;
  ASSERT_TRUE(reader->Read(ReadJob::Wanted::kEverything, {}, seen, &skipped));
  ASSERT_EQ(seen.contents, std::vector<std::string>{"hello"});
}

TEST(ImageTest, IsDeterministic) {
  EXPECT_EQ(MakeImage("hello").Bytes(), MakeImage("hello").Bytes());
  EXPECT_NE(MakeImage("hello").written.digest, MakeImage("hallo").written.digest);
}

// Wherever a byte of a blob is changed, somebody's hash is wrong.
TEST(ImageTest, RefusesDamage) {
  const std::string bytes = MakeImage("hello").Bytes();
  int refused = 0;
  int tried = 0;
  for (size_t at = 2048; at + 1 < bytes.size(); at += 29) {
    if (bytes[at] == '\0') continue;
    std::string damaged = bytes;
    damaged[at] ^= 1;
    ++tried;
    const auto reader = OpenBytes(damaged);
    if (!reader) {
      ++refused;
      continue;
    }
    Recorder seen;
    Skipped skipped;
    // A header of the outer tar may say another time.
    if (reader->Read(ReadJob::Wanted::kEverything, {}, seen, &skipped))
      EXPECT_EQ(seen.contents[0], "hello") << at;
  }
  EXPECT_GT(tried, 20);
  EXPECT_GT(refused, tried / 2);
  EXPECT_FALSE(OpenBytes(""));
  EXPECT_FALSE(OpenBytes(TarOf({{FileEntry("oci-layout", 2), "{}"}})));
}

TEST(ImageTest, WantsBytesThatNobodyChanges) {
  const Image image = MakeImage("hello");
  const OwnTarReader reader;
  EXPECT_FALSE(ImageReader::Open(image.fd.get(), image.written.size, 1 << 24, reader));
  ASSERT_TRUE(SealMemoryFile(image.fd.get()));
  EXPECT_TRUE(ImageReader::Open(image.fd.get(), image.written.size, 1 << 24, reader));
  EXPECT_FALSE(ImageReader::Open(image.fd.get(), image.written.size + 1, 1 << 24, reader));
  EXPECT_LT(pwrite(image.fd.get(), "x", 1, 0), 0);
}

// Those of the tree are known before anything is made of it.
TEST(ImageTest, NamesAreReadWithoutContents) {
  const auto reader = OpenBytes(MakeImage("hello").Bytes());
  ASSERT_TRUE(reader);
  Recorder seen;
  Skipped skipped;
  ASSERT_TRUE(reader->Read(ReadJob::Wanted::kNames, {}, seen, &skipped));
  ASSERT_EQ(seen.entries.size(), 1U);
  EXPECT_EQ(seen.entries[0].path, "f");
  EXPECT_EQ(seen.contents[0], "");
}

// Its hash is made while it is read, and is nevertheless the first thing that is said.
TEST(ImageTest, ALargeLayerIsHeldAgainstItsName) {
  std::string contents(size_t{6} << 20, '\0');
  uint32_t state = 1;
  for (char& c : contents) c = static_cast<char>((state = state * 1664525 + 1013904223) >> 24);
  std::string bytes = MakeImage(contents).Bytes();
  const auto good = OpenBytes(bytes);
  ASSERT_TRUE(good) << good.error().ToString();
  Skipped skipped;
  Recorder names;
  ASSERT_TRUE(good->Read(ReadJob::Wanted::kNames, {}, names, &skipped));
  EXPECT_EQ(names.contents[0], "");
  Recorder all;
  ASSERT_TRUE(good->Read(ReadJob::Wanted::kEverything, {}, all, &skipped));
  EXPECT_TRUE(all.contents[0] == contents);
  bytes[bytes.size() / 2] ^= 1;
  const auto damaged = OpenBytes(bytes);
  ASSERT_TRUE(damaged);
  Recorder seen;
  const Status read = damaged->Read(ReadJob::Wanted::kNames, {}, seen, &skipped);
  ASSERT_FALSE(read);
  EXPECT_NE(read.error().ToString().find("have another hash"), std::string::npos)
      << read.error().ToString();
}

TEST(ImageTest, HoldsTheLimitsOfTheTree) {
  const auto reader = OpenBytes(MakeImage(std::string(100'000, 'a')).Bytes());
  ASSERT_TRUE(reader);
  Recorder seen;
  Skipped skipped;
  EXPECT_FALSE(reader->Read(ReadJob::Wanted::kNames, {10, 99'999}, seen, &skipped));
}

}  // namespace
}  // namespace cordon::archive

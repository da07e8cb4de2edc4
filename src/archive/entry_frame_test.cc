#include "archive/entry_frame.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "archive/tree_checker.h"

namespace cordon::archive {
namespace {

using Bytes = std::vector<std::byte>;

class Memory final : public FrameSink {
 public:
  Status Write(const FrameHeader& header, std::span<const std::byte> first,
               std::span<const std::byte> second) override {
    for (const auto part : {std::as_bytes(std::span(&header, 1)), first, second}) {
      bytes.insert(bytes.end(), part.begin(), part.end());
    }
    return {};
  }
  Bytes bytes;
};

class Recorder final : public EntryVisitor {
 public:
  Status Begin(const Entry& entry) override {
    text += entry.path + "=";
    return {};
  }
  Status Data(uint64_t offset, std::span<const std::byte> bytes) override {
    text += std::to_string(offset) + ":" +
            std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size()) + " ";
    return {};
  }
  Status End() override {
    text += ";";
    return {};
  }
  std::string text;
};

RawEntry File(const std::string& path, int64_t size) {
  RawEntry entry;
  entry.path = path;
  entry.size = size;
  return entry;
}

std::span<const std::byte> BytesOf(std::string_view text) {
  return std::as_bytes(std::span(text));
}

// What was believed, and why no more.
std::string Believed(const Bytes& bytes, std::string_view input = {},
                     const TreeLimits& limits = {}) {
  Recorder recorder;
  Skipped skipped;
  TreeChecker checker(limits, recorder, &skipped);
  FrameReplay replay(checker, BytesOf(input));
  const Result<size_t> taken = replay.Take(bytes);
  if (!taken) return recorder.text + " !" + taken.error().ToString();
  return recorder.text + (replay.done() ? "." : "") +
         (*taken == bytes.size() ? "" : " " + std::to_string(bytes.size() - *taken) + " left");
}

// Of a frame that nobody writes.
Bytes Frame(uint32_t kind, uint64_t at, const Bytes& payload, uint32_t more = 0) {
  const FrameHeader header = {kind, static_cast<uint32_t>(payload.size()) + more, at};
  Memory memory;
  EXPECT_TRUE(memory.Write(header, payload, {}));
  return memory.bytes;
}

Bytes FileFrame(const std::string& path, int64_t size) {
  Memory memory;
  EXPECT_TRUE(FrameWriter(memory, {}).Begin(File(path, size)));
  return memory.bytes;
}

Bytes operator+(Bytes one, const Bytes& other) {
  one.insert(one.end(), other.begin(), other.end());
  return one;
}

Bytes Of(FrameKind kind, uint64_t at = 0, std::string_view payload = {}) {
  const auto bytes = BytesOf(payload);
  return Frame(static_cast<uint32_t>(kind), at, {bytes.begin(), bytes.end()});
}

TEST(EntryFrame, GoesThereAndBack) {
  const std::string input = "bytes of the archive";
  Memory memory;
  FrameWriter writer(memory, BytesOf(input));
  ASSERT_TRUE(writer.Begin(File("d/f", 20)));
  ASSERT_TRUE(writer.Data(0, BytesOf("abc")));
  ASSERT_TRUE(writer.Data(10, BytesOf(input).subspan(6, 2)));
  ASSERT_TRUE(writer.Alive(0));
  ASSERT_TRUE(writer.End());
  ASSERT_TRUE(writer.Finish(std::string(71, 'x')));
  EXPECT_EQ(Believed(memory.bytes, input), "d/f=0:abc 10:of ;.");
  // Bytes that lie in the archive are named.
  const auto found = std::ranges::search(memory.bytes, BytesOf("of"));
  EXPECT_TRUE(found.empty());
}

TEST(EntryFrame, WaitsForWholeFrames) {
  const Bytes bytes = FileFrame("f", 3) + Of(FrameKind::kData, 0, "abc");
  for (size_t size = 0; size < bytes.size(); ++size) {
    const std::string seen =
        Believed({bytes.begin(), bytes.begin() + static_cast<ptrdiff_t>(size)});
    EXPECT_EQ(seen.find("abc"), std::string::npos);
    EXPECT_EQ(seen.find('!'), std::string::npos) << seen;
  }
  EXPECT_EQ(Believed(bytes), "f=0:abc ");
}

TEST(EntryFrame, SaysWhatWentWrong) {
  Memory memory;
  FrameWriter writer(memory, {});
  ASSERT_TRUE(writer.Finish(Fail(ErrorCode::kLimit, "too\x1b[31m much")));
  EXPECT_EQ(Believed(memory.bytes), " !too?[31m much");
}

TEST(EntryFrame, NonsenseIsRefused) {
  const Bytes file = FileFrame("f", 3);
  const Bytes data = Of(FrameKind::kData, 0, "abc");
  const Bytes end = Of(FrameKind::kEntryEnd);
  const std::string nonsense = " !archive: its reader says nonsense: ";
  EXPECT_EQ(Believed(data), nonsense + "no entry");
  EXPECT_EQ(Believed(end), nonsense + "no entry");
  EXPECT_EQ(Believed(file + file), "f=" + nonsense + "an entry without an end");
  EXPECT_EQ(Believed(file + Of(FrameKind::kDone)), "f=" + nonsense + "an entry without an end");
  EXPECT_EQ(Believed(Of(FrameKind::kDone) + Of(FrameKind::kAlive)),
            nonsense + "more than the last word");
  EXPECT_EQ(Believed(Of(FrameKind::kDone, 0, "short")), nonsense + "a digest");
  EXPECT_EQ(Believed(Frame(0, 0, {})), nonsense + "an unknown frame");
  EXPECT_EQ(Believed(Frame(99, 0, {})), nonsense + "an unknown frame");
  EXPECT_EQ(Believed(Frame(2, 0, {}, kMaxFrameBytes + 1)), nonsense + "a frame too long");
  EXPECT_EQ(Believed(Frame(1, 0, Bytes(10))), nonsense + "an entry cut short");
  EXPECT_EQ(Believed(Frame(1, 0, Bytes(sizeof(EntryFrame) + 1))),
            nonsense + "names of another length");
  Bytes kind = file;
  kind[sizeof(FrameHeader)] = std::byte{6};
  EXPECT_EQ(Believed(kind), nonsense + "a kind of file");
}

TEST(EntryFrame, PlacesOutsideAreRefused) {
  const std::string input(10, 'i');
  const auto place = [](uint64_t offset, uint64_t size) {
    const InputFrame frame = {offset, size};
    const auto bytes = std::as_bytes(std::span(&frame, 1));
    return FileFrame("f", 100) +
           Frame(static_cast<uint32_t>(FrameKind::kInput), 0, {bytes.begin(), bytes.end()});
  };
  EXPECT_EQ(Believed(place(8, 2), input), "f=0:ii ");
  for (const auto& [offset, size] : std::vector<std::pair<uint64_t, uint64_t>>{
           {8, 3}, {11, 0}, {0, 11}, {UINT64_MAX, 2}, {2, UINT64_MAX}}) {
    EXPECT_EQ(Believed(place(offset, size), input),
              "f= !archive: its reader says nonsense: a place outside");
  }
}

// Whoever reads the archive may say what it likes: what decides is not there.
TEST(EntryFrame, WhatIsSaidIsDecidedElsewhere) {
  const auto refused = [](const Bytes& bytes, const TreeLimits& limits = {}) {
    const std::string believed = Believed(bytes, {}, limits);
    return believed.substr(std::min(believed.find('!'), believed.size()));
  };
  EXPECT_EQ(refused(FileFrame("../f", 0)), "!f: archive: a path with \"..\"");
  EXPECT_EQ(refused(FileFrame("/f", 0)), "!/f: archive: an absolute path");
  EXPECT_EQ(refused(FileFrame(std::string("a\0b", 3), 0)).substr(0, 2), "!a");
  EXPECT_EQ(refused(FileFrame("f", -1)), "!f: archive: a negative size");
  EXPECT_EQ(refused(FileFrame("f", INT64_MAX)), "!f: archive: more than 268435456 bytes of files");
  const Bytes file = FileFrame("f", 3);
  EXPECT_EQ(refused(file + Of(FrameKind::kData, 1, "abc")),
            "!f: archive: more bytes than the size says");
  EXPECT_EQ(refused(file + Of(FrameKind::kData, UINT64_MAX, "abc")),
            "!f: archive: more bytes than the size says");
  EXPECT_EQ(refused(file + Of(FrameKind::kData, 1, "b") + Of(FrameKind::kData, 0, "a")),
            "!f: archive: bytes out of order");
  const Bytes whole = file + Of(FrameKind::kEntryEnd);
  EXPECT_EQ(refused(whole + whole, {1, 100}), "!archive: more than 1 entries");
  EXPECT_EQ(refused(whole + FileFrame("f/g", 0)), "!f/g: archive: an entry below a file");
}

}  // namespace
}  // namespace cordon::archive

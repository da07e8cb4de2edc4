#include <gtest/gtest.h>

#include "shadow/journal.h"
#include "shadow/manifest.h"
#include "shadow/record.h"

namespace cordon::shadow {
namespace {

Manifest Sample() {
  Manifest manifest;
  BaseEntry& file = manifest["dir/a\nb:\xff"];
  file.node = {NodeType::kFile, 0644, 12, -5, "", Sha256::Digest{1, 2, 3}};
  file.real = {1, 2, 12, -5, 7, true};
  manifest["dir"].node.type = NodeType::kDirectory;
  manifest["link"].node = {NodeType::kLink, 0777, 0, 1, "../some where", std::nullopt};
  manifest["gone"].absence = Absence::kIgnored;
  manifest["gone"].detail = "--ignore: gone";
  return manifest;
}

TEST(Manifest, ReadsBackWhatWasWritten) {
  const std::string bytes = WriteManifest(Sample());
  const Result<Manifest> read = ReadManifest(bytes, "base");
  ASSERT_TRUE(read.has_value());
  EXPECT_EQ(WriteManifest(*read), bytes);
  const BaseEntry& file = read->at("dir/a\nb:\xff");
  EXPECT_EQ(file.node.mtime_ns, -5);
  EXPECT_EQ(file.node.sha256->at(2), 3);
  EXPECT_TRUE(file.real.is_settled);
  EXPECT_EQ(read->at("link").node.target, "../some where");
  EXPECT_EQ(read->at("gone").absence, Absence::kIgnored);
}

TEST(Manifest, EveryDamageIsFound) {
  const std::string bytes = WriteManifest(Sample());
  for (size_t at = 0; at < bytes.size(); ++at) {
    std::string damaged = bytes;
    damaged[at] = static_cast<char>(damaged[at] ^ 1);
    EXPECT_FALSE(ReadManifest(damaged, "base").has_value()) << at;
    EXPECT_FALSE(ReadManifest(bytes.substr(0, at), "base").has_value()) << at;
  }
}

TEST(Manifest, PathsThatLeaveAreRefused) {
  for (const char* path : {"", "/etc/passwd", "a/../../b", "..", "a//b", "./a", "a/", "a/."}) {
    Manifest manifest;
    manifest[path].node.type = NodeType::kFile;
    EXPECT_FALSE(ReadManifest(WriteManifest(manifest), "base").has_value()) << path;
  }
}

TEST(Manifest, ACountThatCannotBeIsRefused) {
  RecordWriter out("cordon shadow base 1");
  out.Number(uint64_t{1} << 60);
  EXPECT_FALSE(ReadManifest(out.Finish(), "base").has_value());
}

TEST(Journal, ReadsBackWhatWasWritten) {
  Journal journal = {Phase::kApplying, ".cordon-commit-x", 77, {}};
  journal.steps.push_back({StepKind::kReplace, "a/b", 5, 6, 0, 0, 0, false, Sha256::Digest{9}});
  journal.steps.push_back({StepKind::kMode, "d", 0, 8, 0700, 0755, -3, true, std::nullopt});
  const std::string bytes = WriteJournal(journal);
  const Result<Journal> read = ReadJournal(bytes, "journal");
  ASSERT_TRUE(read.has_value());
  EXPECT_EQ(WriteJournal(*read), bytes);
  EXPECT_EQ(read->steps[1].mtime_ns, -3);
  for (size_t at = 0; at < bytes.size(); ++at)
    EXPECT_FALSE(ReadJournal(bytes.substr(0, at), "journal").has_value()) << at;
}

TEST(Journal, NamesThatLeaveAreRefused) {
  EXPECT_FALSE(ReadJournal(WriteJournal({Phase::kStaging, "../x", 0, {}}), "j").has_value());
  EXPECT_FALSE(ReadJournal(WriteJournal({Phase::kStaging, "a/b", 0, {}}), "j").has_value());
  Journal journal = {Phase::kStaging, "a", 0, {}};
  journal.steps.push_back({StepKind::kAdd, "../../etc/passwd"});
  EXPECT_FALSE(ReadJournal(WriteJournal(journal), "j").has_value());
}

}  // namespace
}  // namespace cordon::shadow

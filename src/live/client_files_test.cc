#include "live/client_files.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <thread>
#include <utility>

namespace cordon::live {
namespace {

namespace fs = std::filesystem;
using control::FileOp;

std::string AnswerOf(uint32_t number, int64_t result, const std::string& data = {}) {
  const ClientFileAnswerHead head = {
      static_cast<uint32_t>(sizeof number + sizeof result + data.size()), number, result};
  return std::string(reinterpret_cast<const char*>(&head), sizeof head) + data;
}

std::string StatOf(uint32_t type, uint32_t permissions, uint64_t size) {
  const ClientFileStat stat = {type, permissions, size, 0};
  return {reinterpret_cast<const char*>(&stat), sizeof stat};
}

std::string EntryOf(uint32_t type, const std::string& name) {
  const ClientFileEntry entry = {type, static_cast<uint32_t>(name.size())};
  return std::string(reinterpret_cast<const char*>(&entry), sizeof entry) + name;
}

TEST(ClientFileFrame, AnswersHoweverTheyAreCut) {
  const std::string bytes = AnswerOf(7, 3, "abc") + AnswerOf(8, -2) + AnswerOf(9, 0, "x");
  for (size_t piece = 1; piece <= bytes.size(); ++piece) {
    ClientAnswerReader reader;
    std::vector<ClientFileAnswer> answers;
    for (size_t at = 0; at < bytes.size(); at += piece) {
      reader.Add(bytes.substr(at, piece));
      for (;;) {
        const auto next = reader.Next();
        ASSERT_TRUE(next);
        if (!*next) break;
        answers.push_back(**next);
      }
    }
    ASSERT_EQ(answers.size(), 3U);
    EXPECT_EQ(answers[0].data, "abc");
    EXPECT_EQ(answers[1].result, -2);
    EXPECT_EQ(answers[2].number, 9U);
  }
}

TEST(ClientFileFrame, LengthsThatNoAnswerHas) {
  for (const uint32_t bytes : {0U, 11U, kMaxClientList + 13, UINT32_MAX}) {
    ClientAnswerReader reader;
    const ClientFileAnswerHead head = {bytes, 1, 0};
    reader.Add({reinterpret_cast<const char*>(&head), sizeof head});
    EXPECT_FALSE(reader.Next()) << bytes;
  }
}

TEST(ClientFileFrame, StatsThatMakeNoSense) {
  const auto read = [](const std::string& path, const std::string& data) {
    return ReadClientStat(path, {1, 0, data});
  };
  const auto facts = read("a/b", StatOf(S_IFREG, 0640, 1000));
  ASSERT_TRUE(facts);
  EXPECT_EQ(facts->mode, S_IFREG | 0640U);
  EXPECT_EQ(facts->blocks, 2U);
  EXPECT_NE(facts->inode, read("a/c", StatOf(S_IFREG, 0640, 1000))->inode);
  EXPECT_TRUE(read("", StatOf(S_IFDIR, 0755, 0)));
  EXPECT_FALSE(read("", StatOf(S_IFREG, 0755, 0)));
  EXPECT_FALSE(read("a", ""));
  EXPECT_FALSE(read("a", StatOf(S_IFREG, 0640, 1) + "x"));
  for (const uint32_t type : {0U, uint32_t{S_IFCHR}, uint32_t{S_IFIFO}, S_IFREG | 1U, UINT32_MAX})
    EXPECT_FALSE(read("a", StatOf(type, 0644, 0))) << type;
  EXPECT_FALSE(read("a", StatOf(S_IFREG, 04755, 0)));
  EXPECT_FALSE(read("a", StatOf(S_IFREG, 0644, UINT64_MAX)));
}

TEST(ClientFileFrame, NamesThatLeadElsewhere) {
  const auto read = [](const std::string& data) { return ReadClientList({1, 0, data}); };
  ASSERT_TRUE(read(""));
  const auto good = read(EntryOf(S_IFREG, "a") + EntryOf(S_IFDIR, "b c") + EntryOf(S_IFLNK, "..x"));
  ASSERT_TRUE(good);
  EXPECT_EQ(good->size(), 3U);
  for (const std::string& name :
       {std::string(), std::string("."), std::string(".."), std::string("a/b"), std::string("/"),
        std::string("a\0b", 3), std::string(256, 'a')}) {
    EXPECT_FALSE(read(EntryOf(S_IFREG, name))) << name;
  }
  EXPECT_FALSE(read(EntryOf(S_IFREG, "a") + EntryOf(S_IFREG, "a")));
  EXPECT_FALSE(read(EntryOf(S_IFSOCK, "a")));
  EXPECT_FALSE(read(EntryOf(S_IFREG, "abc").substr(0, 10)));
  const ClientFileEntry lie = {S_IFREG, UINT32_MAX};
  EXPECT_FALSE(read({reinterpret_cast<const char*>(&lie), sizeof lie}));
}

TEST(ClientFileFrame, EndsOfAppends) {
  const auto read = [](uint64_t end, uint32_t count) {
    return ReadClientEnd(count, {1, count, {reinterpret_cast<const char*>(&end), sizeof end}});
  };
  EXPECT_EQ(read(100, 10), 100U);
  EXPECT_FALSE(read(9, 10));
  EXPECT_FALSE(read(UINT64_MAX, 10));
  EXPECT_FALSE(ReadClientEnd(1, {1, 1, "short"}));
}

// A client that answers each request with what the test says, over a real socket.
class ClientFilesTest : public testing::Test {
 protected:
  using Reply = std::pair<FileReply, std::string>;

  ClientFilesTest() : data_(control::kFileCallBytes) {
    std::string name = (fs::temp_directory_path() / "cordon-client-XXXXXX").string();
    folder_ = mkdtemp(name.data());
    sockaddr_un address = {};
    address.sun_family = AF_UNIX;
    strncpy(address.sun_path, Socket().c_str(), sizeof address.sun_path - 1);
    listener_.reset(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    EXPECT_EQ(bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    EXPECT_EQ(listen(listener_.get(), 8), 0);
  }
  ~ClientFilesTest() override {
    files_.reset();
    fs::remove_all(folder_);
  }

  [[nodiscard]] std::string Socket() const { return (folder_ / "s").string(); }

  void Connect(ClientFiles::Options options) {
    options.socket = Socket();
    options.key = "k";
    auto files = ClientFiles::Connect(
        options, [this](uint32_t slot, const FileReply& reply, std::string_view data) {
          const std::lock_guard lock(mutex_);
          replies_[slot] = {reply, std::string(data)};
        });
    ASSERT_TRUE(files) << files.error().ToString();
    files_ = std::move(*files);
    peer_.reset(accept(listener_.get(), nullptr, nullptr));
    ASSERT_EQ(Next().second, "k");
  }
  // The next request, with its path and data.
  std::pair<ClientFileRequestHead, std::string> Next() {
    ClientFileRequestHead head = {};
    EXPECT_EQ(recv(peer_.get(), &head, sizeof head, MSG_WAITALL), ssize_t{sizeof head});
    std::string rest(head.bytes + sizeof head.bytes - sizeof head, '\0');
    if (!rest.empty()) {
      EXPECT_EQ(recv(peer_.get(), rest.data(), rest.size(), MSG_WAITALL),
                static_cast<ssize_t>(rest.size()));
    }
    return {head, rest};
  }
  void Say(const std::string& bytes) {
    ASSERT_EQ(send(peer_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(bytes.size()));
  }
  std::optional<FileReply> Ask(uint32_t slot, FileOp op, const std::string& path,
                               uint64_t offset = 0, uint32_t count = 0) {
    return files_->Ask(slot, {op, path, {}, offset, 0, count}, data_.data());
  }
  Reply Await(uint32_t slot) {
    for (;;) {
      {
        const std::lock_guard lock(mutex_);
        auto found = replies_.extract(slot);
        if (!found.empty()) return found.mapped();
      }
      std::this_thread::yield();
    }
  }
  int64_t ResultOfAnswer(FileOp op, const std::string& bytes, uint32_t count = 10) {
    EXPECT_FALSE(Ask(1, op, "path", 0, count));
    const auto [head, rest] = Next();
    ClientFileAnswerHead answer = {};
    memcpy(&answer, bytes.data(), sizeof answer);
    answer.number = head.number;
    Say(std::string(reinterpret_cast<const char*>(&answer), sizeof answer) +
        bytes.substr(sizeof answer));
    return Await(1).first.result;
  }

  fs::path folder_;
  OwnedFd listener_, peer_;
  std::vector<uint8_t> data_;
  std::mutex mutex_;
  std::map<uint32_t, Reply> replies_;
  std::unique_ptr<ClientFiles> files_;
};

TEST_F(ClientFilesTest, SizesThatLie) {
  Connect({.rights = HostDirectory::Rights::kReadWrite});
  EXPECT_EQ(ResultOfAnswer(FileOp::kRead, AnswerOf(0, 3, "abc")), 3);
  EXPECT_EQ(ResultOfAnswer(FileOp::kRead, AnswerOf(0, 3, "ab")), -EIO);
  EXPECT_EQ(ResultOfAnswer(FileOp::kRead, AnswerOf(0, 11, "12345678901")), -EIO);
  EXPECT_EQ(ResultOfAnswer(FileOp::kRead, AnswerOf(0, INT64_MAX)), -EIO);
  EXPECT_EQ(ResultOfAnswer(FileOp::kRead, AnswerOf(0, INT64_MIN)), -EIO);
  EXPECT_EQ(ResultOfAnswer(FileOp::kRead, AnswerOf(0, -ENOENT)), -ENOENT);
  EXPECT_EQ(ResultOfAnswer(FileOp::kRead, AnswerOf(0, -512)), -EIO);
  EXPECT_EQ(ResultOfAnswer(FileOp::kWrite, AnswerOf(0, 10)), 10);
  EXPECT_EQ(ResultOfAnswer(FileOp::kWrite, AnswerOf(0, 11)), -EIO);
  EXPECT_EQ(ResultOfAnswer(FileOp::kReadLink, AnswerOf(0, 1, "x")), 1);
  EXPECT_EQ(ResultOfAnswer(FileOp::kReadLink, AnswerOf(0, 1)), -EIO);
  EXPECT_EQ(ResultOfAnswer(FileOp::kReadLink, AnswerOf(0, 1, std::string(5000, 'a'))), -EIO);
  EXPECT_EQ(ResultOfAnswer(FileOp::kStat, AnswerOf(0, 0, "short")), -EIO);
  EXPECT_EQ(ResultOfAnswer(FileOp::kList, AnswerOf(0, 0, EntryOf(S_IFREG, "..")), 1000), -EIO);
  EXPECT_EQ(ResultOfAnswer(FileOp::kRemoveFile, AnswerOf(0, 5, "whatever")), 0);
}

TEST_F(ClientFilesTest, ReadOnlyIsNotAsked) {
  Connect({});
  for (const FileOp op : {FileOp::kWrite, FileOp::kCreate, FileOp::kRename, FileOp::kRemoveFile,
                          FileOp::kTruncate, FileOp::kSetMode, FileOp::kSetTimes}) {
    EXPECT_EQ(Ask(1, op, "a")->result, -EROFS);
  }
}

TEST_F(ClientFilesTest, AnswersAreTakenInTurns) {
  Connect({});
  for (int i = 0; i < 100; ++i) {
    EXPECT_FALSE(Ask(1, FileOp::kRead, "a", 0, 10));
    EXPECT_FALSE(files_->TakeAnswers());
    Say(AnswerOf(Next().first.number, 1, "x"));
    while (!files_->TakeAnswers()) std::this_thread::yield();
    EXPECT_EQ(Await(1).first.result, 1);
    files_->ReturnAnswers();  // nobody waits
    EXPECT_FALSE(Ask(2, FileOp::kRead, "a", 0, 10));
    EXPECT_FALSE(files_->TakeAnswers());
    files_->ReturnAnswers();
    Say(AnswerOf(Next().first.number, 2, "yz"));
    EXPECT_EQ(Await(2).first.result, 2);
  }
  EXPECT_FALSE(Ask(3, FileOp::kRead, "a", 0, 10));
  EXPECT_FALSE(files_->TakeAnswers());
  peer_.reset();
  files_->ReturnAnswers();
  EXPECT_EQ(Await(3).first.result, -EIO);
}

TEST_F(ClientFilesTest, WhoDoesNotAnswerInTime) {
  Connect({.timeout = std::chrono::milliseconds(1)});
  EXPECT_FALSE(Ask(1, FileOp::kStat, "a"));
  const uint32_t number = Next().first.number;
  while (files_->Expire() != ClientFiles::Clock::time_point::max()) std::this_thread::yield();
  EXPECT_EQ(Await(1).first.result, -EIO);
  // Late, and from nowhere: nobody hears of it.
  Say(AnswerOf(number, 0, StatOf(S_IFREG, 0644, 1)));
  Say(AnswerOf(12345, 0));
  EXPECT_FALSE(Ask(2, FileOp::kStat, "b"));
  Say(AnswerOf(Next().first.number, -ENOENT));
  EXPECT_EQ(Await(2).first.result, -ENOENT);
  EXPECT_FALSE(replies_.contains(1));
}

TEST_F(ClientFilesTest, WhoBreaksTheRules) {
  Connect({});
  EXPECT_FALSE(Ask(1, FileOp::kStat, "a"));
  Say(std::string(64, '\xff'));
  EXPECT_EQ(Await(1).first.result, -EIO);
  EXPECT_EQ(Ask(2, FileOp::kStat, "a")->result, -EIO);
}

TEST_F(ClientFilesTest, WhoIsGone) {
  Connect({});
  EXPECT_FALSE(Ask(1, FileOp::kStat, "a"));
  peer_.reset();
  EXPECT_EQ(Await(1).first.result, -EIO);
}

TEST_F(ClientFilesTest, AbandonedAnswersGoNowhere) {
  Connect({});
  EXPECT_FALSE(Ask(1, FileOp::kStat, "a"));
  files_->Abandon();
  Say(AnswerOf(Next().first.number, -ENOENT));
  EXPECT_FALSE(Ask(2, FileOp::kStat, "a"));
  Say(AnswerOf(Next().first.number, -EACCES));
  EXPECT_EQ(Await(2).first.result, -EACCES);
  EXPECT_FALSE(replies_.contains(1));
}

TEST_F(ClientFilesTest, WhatMayBeBelievedIsNotAskedAgain) {
  Connect({.rights = HostDirectory::Rights::kReadWrite, .cache = std::chrono::minutes(10)});
  EXPECT_FALSE(Ask(1, FileOp::kStat, "a"));
  Say(AnswerOf(Next().first.number, 0, StatOf(S_IFREG, 0644, 1 << 20)));
  EXPECT_EQ(Await(1).first.result, 0);
  EXPECT_EQ(Ask(1, FileOp::kStat, "a")->result, 0);
  // From the beginning: a large piece, of which the rest is read.
  EXPECT_FALSE(Ask(1, FileOp::kRead, "a", 0, 4));
  auto [head, path] = Next();
  EXPECT_EQ(head.count, kMaxClientRead);
  Say(AnswerOf(head.number, 12, "abcdefghijkl"));
  EXPECT_EQ(Await(1).second, "abcd");
  ASSERT_EQ(Ask(1, FileOp::kRead, "a", 4, 4)->result, 4);
  EXPECT_EQ(memcmp(data_.data(), "efgh", 4), 0);
  EXPECT_EQ(Ask(1, FileOp::kRead, "a", 8, 100)->result, 4);
  EXPECT_EQ(Ask(1, FileOp::kRead, "a", 100, 4)->result, 0);
  // Changed: nothing of that is known any more.
  EXPECT_FALSE(Ask(1, FileOp::kWrite, "a", 0, 4));
  Say(AnswerOf(Next().first.number, 4));
  EXPECT_EQ(Await(1).first.result, 4);
  EXPECT_FALSE(Ask(1, FileOp::kStat, "a"));
  Say(AnswerOf(Next().first.number, -ENOENT));
  EXPECT_EQ(Await(1).first.result, -ENOENT);
}

TEST_F(ClientFilesTest, ReadsOfOnePieceWaitForIt) {
  Connect({.cache = std::chrono::minutes(10)});
  EXPECT_FALSE(Ask(1, FileOp::kRead, "a", 0, 4));
  EXPECT_FALSE(Ask(2, FileOp::kRead, "a", 4, 4));
  EXPECT_FALSE(Ask(3, FileOp::kRead, "a", 100, 4));
  const uint32_t number = Next().first.number;
  Say(AnswerOf(number, 6, "abcdef"));
  EXPECT_EQ(Await(1).second, "abcd");
  EXPECT_EQ(Await(2).second, "ef");
  EXPECT_EQ(Await(3).second, "");
}

TEST_F(ClientFilesTest, ListingsInPieces) {
  Connect({});
  std::string all;
  for (int i = 0; i < 50; ++i) all += EntryOf(S_IFREG, "file" + std::to_string(i));
  EXPECT_FALSE(Ask(1, FileOp::kList, "d", 0, 300));
  Say(AnswerOf(Next().first.number, 0, all));
  std::string piece = Await(1).second;
  int count = 0;
  for (;;) {
    control::FileEntry entry = {};
    std::string_view rest = piece;
    while (rest.size() >= sizeof entry) {
      memcpy(&entry, rest.data(), sizeof entry);
      EXPECT_EQ(rest.substr(sizeof entry, entry.name_bytes), "file" + std::to_string(count++));
      rest.remove_prefix(sizeof entry + entry.name_bytes);
    }
    const auto more = Ask(1, FileOp::kList, "d", entry.cookie, 300);
    ASSERT_TRUE(more);
    if (more->result == 0) break;
    piece.assign(reinterpret_cast<const char*>(data_.data()), static_cast<size_t>(more->result));
  }
  EXPECT_EQ(count, 50);
}

}  // namespace
}  // namespace cordon::live

// File systems of this program, in a sandbox.

#include <algorithm>
#include <atomic>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

#include "check.h"

namespace {

using cordon::FileInfo;
using cordon::Result;
using cordon::Status;
using cordon::SystemError;
using Type = FileInfo::Type;

struct Node {
  Type type = Type::kFile;
  std::string data;  // of a file, or where a link leads
  uint32_t mode = 0644;
  int64_t mtime_ns = 0;
};

// All that a file system may have, over a map of paths.
class Tree : public cordon::FileSystem {
 public:
  std::atomic<int> asked = 0;

  // For this program's own threads.
  void Put(const std::string& path, Node node) {
    const std::scoped_lock guard(lock_);
    nodes_[path] = std::move(node);
  }
  // What is there now; an empty file if it is not.
  [[nodiscard]] Node At(const std::string& path) {
    const std::scoped_lock guard(lock_);
    const Node* node = Find(path);
    return node == nullptr ? Node() : *node;
  }
  [[nodiscard]] bool Has(const std::string& path) {
    const std::scoped_lock guard(lock_);
    return Find(path) != nullptr;
  }

  Result<cordon::FileStat> Stat(const std::string& path) override {
    const std::scoped_lock guard(lock_);
    ++asked;
    if (path == "throws") throw std::runtime_error("thrown");
    const Node* node = Find(path);
    if (node == nullptr) return SystemError(path, ENOENT);
    return cordon::FileStat{node->type, node->data.size(), node->mode, node->mtime_ns};
  }
  Result<std::vector<cordon::DirectoryEntry>> List(const std::string& path) override {
    const std::scoped_lock guard(lock_);
    const std::string start = path.empty() ? "" : path + "/";
    std::vector<cordon::DirectoryEntry> entries;
    for (const auto& [name, node] : nodes_) {
      if (!name.starts_with(start)) continue;
      const std::string rest = name.substr(start.size());
      if (rest.find('/') == std::string::npos) entries.push_back({rest, node.type});
    }
    return entries;
  }
  Result<std::string> Read(const std::string& path, uint64_t offset, uint32_t length) override {
    const std::scoped_lock guard(lock_);
    const Node* node = Find(path);
    if (node == nullptr) return SystemError(path, ENOENT);
    return offset < node->data.size() ? node->data.substr(offset, length) : std::string();
  }
  Result<std::string> ReadLink(const std::string& path) override {
    const std::scoped_lock guard(lock_);
    return Find(path)->data;
  }
  Result<uint32_t> Write(const std::string& path, uint64_t offset,
                         std::string_view bytes) override {
    const std::scoped_lock guard(lock_);
    Node& node = nodes_.at(path);
    if (offset + bytes.size() > kRoom) return SystemError(path, ENOSPC);
    node.data.resize(std::max<size_t>(node.data.size(), offset + bytes.size()));
    node.data.replace(offset, bytes.size(), bytes);
    return static_cast<uint32_t>(bytes.size());
  }
  Status Truncate(const std::string& path, uint64_t size) override {
    const std::scoped_lock guard(lock_);
    nodes_.at(path).data.resize(size);
    return {};
  }
  Status Create(const std::string& path, uint32_t mode) override {
    const std::scoped_lock guard(lock_);
    nodes_[path] = {.mode = mode};
    return {};
  }
  Status MakeDirectory(const std::string& path, uint32_t mode) override {
    const std::scoped_lock guard(lock_);
    nodes_[path] = {.type = Type::kDirectory, .data = {}, .mode = mode};
    return {};
  }
  Status Symlink(const std::string& target, const std::string& path) override {
    const std::scoped_lock guard(lock_);
    nodes_[path] = {.type = Type::kSymlink, .data = target, .mode = 0777};
    return {};
  }
  Status Unlink(const std::string& path) override {
    const std::scoped_lock guard(lock_);
    return nodes_.erase(path) == 1 ? Status() : SystemError(path, ENOENT);
  }
  Status RemoveDirectory(const std::string& path) override {
    const std::scoped_lock guard(lock_);
    const auto entries = List(path);
    if (!entries->empty()) return SystemError(path, ENOTEMPTY);
    nodes_.erase(path);
    return {};
  }
  Status Rename(const std::string& from, const std::string& to) override {
    const std::scoped_lock guard(lock_);
    nodes_[to] = nodes_.at(from);
    nodes_.erase(from);
    return {};
  }
  Status Chmod(const std::string& path, uint32_t mode) override {
    const std::scoped_lock guard(lock_);
    nodes_.at(path).mode = mode;
    return {};
  }
  Status SetTimes(const std::string& path, int64_t, int64_t mtime_ns) override {
    const std::scoped_lock guard(lock_);
    nodes_.at(path).mtime_ns = mtime_ns;
    return {};
  }

 private:
  std::recursive_mutex lock_;
  std::map<std::string, Node> nodes_;
  static constexpr uint64_t kRoom = 10 << 20;
  const Node* Find(const std::string& path) const {
    const auto found = nodes_.find(path);
    return found == nodes_.end() ? nullptr : &found->second;
  }
};

// What a file system has to have, and nothing else.
class Least : public cordon::FileSystem {
 public:
  Result<cordon::FileStat> Stat(const std::string& path) override {
    if (path == "f") return cordon::FileStat{.size = 4, .mode = {}};
    return SystemError(path, path == "locked" ? EACCES : ENOENT);
  }
  Result<std::vector<cordon::DirectoryEntry>> List(const std::string&) override {
    return std::vector<cordon::DirectoryEntry>{{.name = "f"}};
  }
  Result<std::string> Read(const std::string&, uint64_t offset, uint32_t length) override {
    return std::string("text").substr(std::min<uint64_t>(offset, 4), length);
  }
};

void Reading(cordon::Sandbox& sandbox, Tree& tree) {
  std::string large;
  for (int i = 0; large.size() < 3'000'000; ++i) large += std::to_string(i) + "\n";
  tree.Put("large", {.data = large, .mtime_ns = 1'000'000'000'000'000'000});
  tree.Put("d", {.type = Type::kDirectory, .data = {}, .mode = 0755});
  tree.Put("d/deep", {.data = "deep\n", .mode = 0600});
  tree.Put("link", {.type = Type::kSymlink, .data = "d/deep", .mode = 0777});
  CHECK(Must(sandbox.ReadFile("/mnt/t/large")) == large);
  CHECK(Must(sandbox.Run("cat /mnt/t/link; ls /mnt/t; stat -c '%a %Y' /mnt/t/large /mnt/t/d/deep"))
            .out == "deep\nd\nlarge\nlink\n644 1000000000\n600 0\n");
  CHECK(Must(sandbox.Run("tail -c 20 /mnt/t/large")).out == large.substr(large.size() - 20));
  CHECK(Must(sandbox.Run("cat /mnt/t/missing")).err.find("No such file") != std::string::npos);
  CHECK(Must(sandbox.Run("cat /mnt/t/throws")).err.find("I/O error") != std::string::npos);
}

void Writing(cordon::Sandbox& sandbox, Tree& tree) {
  const auto does = [&](const char* script) {
    return Must(sandbox.Run(std::string("cd /mnt/t; ") + script)).exit_code == 0;
  };
  CHECK(does("echo one >new && echo two >>new") && tree.At("new").data == "one\ntwo\n");
  CHECK(does("printf X | dd of=new bs=1 seek=2 conv=notrunc status=none"));
  CHECK(tree.At("new").data == "onX\ntwo\n");
  CHECK(does("truncate -s 3 new") && tree.At("new").data == "onX");
  CHECK(does("mkdir made && mv new made/moved") && tree.At("made/moved").data == "onX");
  CHECK(does("chmod 640 made/moved && touch -d @7 made/moved"));
  CHECK(tree.At("made/moved").mode == 0640 && tree.At("made/moved").mtime_ns == 7'000'000'000);
  CHECK(does("ln -s made/moved l && test \"$(cat l)\" = onX") &&
        tree.At("l").type == Type::kSymlink);
  CHECK(!does("rmdir made") && does("rm made/moved l && rmdir made") && !tree.Has("made"));
  CHECK(Must(sandbox.Run("head -c 20000000 /dev/zero >/mnt/t/full")).err.find("No space") !=
        std::string::npos);
  CHECK(does("echo a >a && echo b >b && mv -n a b && cat b | grep -q b"));
}

}  // namespace

int main() {
  const auto tree = std::make_shared<Tree>();
  cordon::Client client = Must(cordon::Client::Start());
  cordon::CreateOptions options;
  options.mounts = {{"/mnt/t", cordon::ServedFiles{.files = tree, .writable = true}},
                    {"/mnt/l", cordon::ServedFiles{.files = std::make_shared<Least>()}}};
  cordon::Sandbox sandbox = Must(client.Create(options));
  Reading(sandbox, *tree);
  Writing(sandbox, *tree);

  CHECK(Must(sandbox.Run("ls /mnt/l; cat /mnt/l/f; stat -c %a /mnt/l/f /mnt/l")).out ==
        "f\ntext444\n555\n");
  CHECK(Must(sandbox.Run("echo x >/mnt/l/f")).err.find("Read-only") != std::string::npos);
  CHECK(Must(sandbox.Run("cat /mnt/l/locked")).err.find("Permission denied") != std::string::npos);
  Must(sandbox.Mount("/mnt/w",
                     cordon::ServedFiles{.files = std::make_shared<Least>(), .writable = true}));
  CHECK(Must(sandbox.Run("mkdir /mnt/w/d")).err.find("not implemented") != std::string::npos);

  // What may be believed is not asked again.
  const auto believed = std::make_shared<Tree>();
  believed->Put("f", {.data = "1"});
  Must(sandbox.Mount("/mnt/c", cordon::ServedFiles{.files = believed, .cache_ms = 3'600'000}));
  CHECK(Must(sandbox.Run("cat /mnt/c/f")).out == "1");
  const int asked = believed->asked;
  CHECK(Must(sandbox.Run("for i in 1 2 3; do cat /mnt/c/f; done")).out == "111");
  CHECK(believed->asked == asked);

  // Forks ask the same object.
  cordon::Sandbox fork = Must(sandbox.Fork());
  CHECK(Must(fork.Run("echo fork >/mnt/t/of-fork; cat /mnt/t/d/deep")).out == "deep\n");
  CHECK(Must(sandbox.ReadFile("/mnt/t/of-fork")) == "fork\n");
  Must(sandbox.Unmount("/mnt/t"));
  CHECK(!Must(sandbox.Exists("/mnt/t/of-fork")) && Must(fork.Exists("/mnt/t/of-fork")));
  (void)puts("all of it");
}

#ifndef CORDON_SHADOW_TEST_WORLD_H_
#define CORDON_SHADOW_TEST_WORLD_H_

// A workspace, a store and a shadow of it, in a folder that goes away.

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include "shadow/commit.h"
#include "shadow/create.h"
#include "shadow/remove.h"
#include "shadow/store.h"

namespace cordon::shadow {

inline void SetMode(const std::string& path, mode_t mode) {
  EXPECT_EQ(chmod(path.c_str(), mode), 0) << path;
}
inline mode_t ModeOf(const std::string& path) {
  struct stat stat = {};
  EXPECT_EQ(lstat(path.c_str(), &stat), 0) << path;
  return stat.st_mode & 07777;
}

class World {
 public:
  World() {
    std::string name = Base() + "/cordon-shadow-XXXXXX";
    if (mkdtemp(name.data()) == nullptr) std::abort();
    folder_ = name;
    std::filesystem::create_directories(workspace());
    around_.home = folder_ + "/home";
    around_.config_home = folder_ + "/config";
    around_.environment["XDG_STATE_HOME"] = folder_ + "/state";
    around_.uid = geteuid();
    around_.gid = getegid();
    (void)umask(077);  // what is committed must not depend on it
  }
  World(const World&) = delete;
  World& operator=(const World&) = delete;
  ~World() {
    const OwnedFd above(open(Base().c_str(), O_PATH | O_CLOEXEC));
    (void)RemoveTree(above.get(), std::filesystem::path(folder_).filename());
  }

  [[nodiscard]] std::string workspace() const { return folder_ + "/ws"; }
  [[nodiscard]] std::string folder() const { return folder_; }
  [[nodiscard]] const policy::Surroundings& around() const { return around_; }
  [[nodiscard]] std::string Real(const std::string& path) const { return workspace() + "/" + path; }
  // In the command's tree, of a shadow in mode copy.
  [[nodiscard]] std::string Inside(const std::string& path) const {
    return folder_ + "/state/cordon/shadow/" + id_ + "/tree/" + path;
  }
  [[nodiscard]] const std::string& id() const { return id_; }

  static void Write(const std::string& path, const std::string& text, mode_t mode = 0644) {
    std::filesystem::create_directories(std::filesystem::path(path).parent_path());
    std::ofstream(path, std::ios::trunc) << text;
    ASSERT_EQ(chmod(path.c_str(), mode), 0);
  }
  static std::string Text(const std::string& path) {
    std::ifstream file(path);
    return {std::istreambuf_iterator<char>(file), {}};
  }

  Store OpenStore() const {
    Result<Store> store = Store::Open(around_);
    EXPECT_TRUE(store.has_value()) << (store ? "" : store.error().ToString());
    return std::move(*store);
  }

  void Make(CreateRequest request = {}) {
    request.workspace = workspace();
    if (!request.mode) request.mode = Mode::kCopy;
    const Result<Created> created = Create(OpenStore(), around_, request);
    ASSERT_TRUE(created.has_value()) << created.error().ToString();
    id_ = created->info.id;
  }

  Shadow OpenAlone() const {
    Result<Shadow> shadow = OpenStore().OpenShadow(id_, Use::kAlone);
    EXPECT_TRUE(shadow.has_value()) << (shadow ? "" : shadow.error().ToString());
    return std::move(*shadow);
  }

  // "add path", "delete path", "modify path", "rename old new", one each.
  std::vector<std::string> Changes() const {
    const Shadow shadow = OpenAlone();
    const Result<Sides> sides = OpenSides(shadow);
    EXPECT_TRUE(sides.has_value()) << (sides ? "" : sides.error().ToString());
    Result<ChangeSet> set = FindChanges(shadow.info(), *sides);
    EXPECT_TRUE(set.has_value()) << (set ? "" : set.error().ToString());
    FindRenames(*sides, &*set);
    std::vector<std::string> lines;
    for (const Change& change : set->changes) {
      if (!change.renamed_to.empty()) continue;
      lines.push_back(change.renamed_from.empty()
                          ? std::string(KindName(change.kind)) + " " + change.path
                          : "rename " + change.renamed_from + " " + change.path);
    }
    return lines;
  }

  // Empty if it was done, otherwise what was in the way, a line each.
  std::string TryCommit(const CommitRequest& request = {}) const {
    const Result<CommitResult> result = Commit(OpenAlone(), request);
    if (!result) return result.error().ToString() + "\n";
    std::string lines;
    for (const ReportedChange& reported : result->report.changes) {
      const std::string& why =
          reported.verdict.refusal.empty() ? reported.conflict : reported.verdict.refusal;
      if (!why.empty()) lines += reported.change.path + ": " + why + "\n";
    }
    return lines;
  }

  // Every path with what it is, for comparing a tree with itself later.
  static std::map<std::string, std::string> Picture(const std::string& folder) {
    std::map<std::string, std::string> picture;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
      const std::string path = entry.path().string().substr(folder.size() + 1);
      struct stat stat = {};
      (void)lstat(entry.path().c_str(), &stat);
      std::string what = std::to_string(stat.st_mode) + " ";
      if (S_ISREG(stat.st_mode))
        what += Text(entry.path()) + " at " + std::to_string(stat.st_mtim.tv_nsec);
      if (S_ISLNK(stat.st_mode)) what += std::filesystem::read_symlink(entry.path()).string();
      picture[path] = what;
    }
    return picture;
  }

 private:
  // A commit waits for the disk; in memory, that takes no time.
  static std::string Base() {
    const char* memory = "/dev/shm";
    return access(memory, W_OK) == 0 ? memory : std::filesystem::temp_directory_path().string();
  }

  std::string folder_;
  std::string id_;
  policy::Surroundings around_;
};

}  // namespace cordon::shadow

#endif  // CORDON_SHADOW_TEST_WORLD_H_

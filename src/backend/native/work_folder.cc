#include "backend/native/work_folder.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <system_error>

namespace cordon::backend::native {
namespace {

namespace fs = std::filesystem;

constexpr const char* kPrefix = "cordon-overlay-";

// Of what is mounted there; two folders with one number are in one mount (Linux 5.8).
std::optional<uint64_t> MountOf(const std::string& path) {
  struct statx facts = {};
  if (statx(AT_FDCWD, path.c_str(), 0, STATX_MNT_ID, &facts) != 0) return std::nullopt;
  if ((facts.stx_mask & STATX_MNT_ID) == 0) return std::nullopt;
  return facts.stx_mnt_id;
}

bool IsWithin(const std::string& path, const std::string& directory) {
  return path == directory || path.starts_with(directory + "/");
}

// Of each overlay a folder, in which the kernel leaves one that nobody may read.
void Remove(const fs::path& folder) {
  std::error_code ignored;
  for (const fs::directory_entry& overlay : fs::directory_iterator(folder, ignored)) {
    for (const char* name : {"work", "index"}) {
      (void)chmod((overlay.path() / name).c_str(), 0700);
    }
  }
  fs::remove_all(folder, ignored);
}

// What a killed keeper left.
void RemoveLeft(const std::string& home) {
  std::error_code ignored;
  for (const fs::directory_entry& entry : fs::directory_iterator(home, ignored)) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with(kPrefix)) continue;
    const auto pid =
        static_cast<pid_t>(strtol(name.c_str() + std::string(kPrefix).size(), nullptr, 10));
    if (pid > 0 && kill(pid, 0) != 0 && errno == ESRCH) Remove(entry.path());
  }
}

}  // namespace

Result<WorkFolder> WorkFolder::Make(const std::string& directory,
                                    const std::vector<std::string>& homes) {
  const std::optional<uint64_t> wanted = MountOf(directory);
  for (const std::string& home : homes) {
    if (home.size() > 1 && home.ends_with('/')) {
      std::error_code ignored;
      fs::create_directories(home, ignored);
    }
    if (!wanted || MountOf(home) != wanted || IsWithin(home, directory)) continue;
    if (home.ends_with('/')) RemoveLeft(home);
    std::string path =
        home + (home.ends_with('/') ? "" : "/") + kPrefix + std::to_string(getpid()) + "-XXXXXX";
    if (mkdtemp(path.data()) == nullptr) continue;
    return WorkFolder(std::move(path));
  }
  std::string tried;
  for (const std::string& home : homes) tried += (tried.empty() ? "" : ", ") + home;
  return Fail(
      ErrorCode::kUnsupported,
      "names in " + directory + " that are not there yet cannot be protected: none of " + tried +
          " is on its file system (set XDG_CACHE_HOME to a folder on it, make the names, or "
          "name the folders to write in writable_paths)");
}

WorkFolder::~WorkFolder() {
  if (!path_.empty()) Remove(path_);
}

}  // namespace cordon::backend::native

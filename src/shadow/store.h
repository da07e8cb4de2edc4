#ifndef CORDON_SHADOW_STORE_H_
#define CORDON_SHADOW_STORE_H_

// Where shadows are kept: a folder of the user's state that nobody else may enter, one folder in it
// for each shadow:
//
//   shadow.json      what it is; written last, so that a folder without it was never finished
//   base             the manifest
//   tree/            mode copy: the command's workspace
//   upper/ work/     mode overlay: what the command changed, and the kernel's own
//   lower/           mode overlay: empty; where the workspace is mounted while a view is made
//   journal          there while a commit is not finished
//   lock

#include <chrono>
#include <functional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/owned_fd.h"
#include "policy/surroundings.h"
#include "shadow/manifest.h"
#include "shadow/tree.h"

namespace cordon::shadow {

enum class Mode { kOverlay, kCopy };
[[nodiscard]] const char* ModeName(Mode mode);

struct ShadowInfo {
  std::string id;
  std::string workspace;  // of the host, without links
  uint64_t workspace_device = 0;
  uint64_t workspace_inode = 0;
  Mode mode = Mode::kCopy;
  std::string mode_why;  // why not the other one
  std::chrono::sys_seconds created;
};

// A shadow is in use by any number of commands and diffs, or by one commit or discard.
enum class Use { kShared, kAlone };

// An open shadow; its lock is held as long as it lives.
class Shadow {
 public:
  [[nodiscard]] const ShadowInfo& info() const { return info_; }
  [[nodiscard]] const std::string& folder() const { return folder_; }
  void SetMode(Mode mode, std::string why) {
    info_.mode = mode;
    info_.mode_why = std::move(why);
  }
  // The command's files: `tree` or `upper`.
  [[nodiscard]] Result<Tree> OpenFiles() const;
  // The real tree, if it still is the directory that the shadow was made of.
  [[nodiscard]] Result<Tree> OpenWorkspace() const;
  [[nodiscard]] Result<Manifest> ReadBase() const;
  // In the place of the file, or not at all; on the disk when this returns.
  [[nodiscard]] Status Write(const std::string& name, const std::string& bytes) const;
  [[nodiscard]] Result<std::string> Read(const std::string& name) const;
  [[nodiscard]] bool Has(const std::string& name) const;
  [[nodiscard]] Status Rename(const std::string& from, const std::string& to) const;
  [[nodiscard]] Status Remove(const std::string& name) const;  // fine if it is not there

 private:
  friend class Store;
  Shadow(ShadowInfo info, std::string folder, OwnedFd fd, OwnedFd lock)
      : info_(std::move(info)),
        folder_(std::move(folder)),
        fd_(std::move(fd)),
        lock_(std::move(lock)) {}

  ShadowInfo info_;
  std::string folder_;
  OwnedFd fd_;
  OwnedFd lock_;
};

class Store {
 public:
  // Makes the folder where it is missing; refuses one that others could have changed.
  [[nodiscard]] static Result<Store> Open(const policy::Surroundings& around);

  [[nodiscard]] const std::string& folder() const { return folder_; }
  // By age.
  [[nodiscard]] Result<std::vector<ShadowInfo>> List() const;
  // `id` may be the beginning of one, if it is the only one that begins so.
  [[nodiscard]] Result<ShadowInfo> Find(const std::string& id) const;
  // The one shadow whose workspace `directory` is in.
  [[nodiscard]] Result<ShadowInfo> FindFor(const std::string& directory) const;
  // An error while others use it.
  [[nodiscard]] Result<Shadow> OpenShadow(const std::string& id, Use use) const;

  // A new folder with a lock that is held. `Finish` makes a shadow of it.
  [[nodiscard]] Result<Shadow> Begin(ShadowInfo info) const;
  [[nodiscard]] static Status Finish(const Shadow& shadow);
  // With everything in it.
  [[nodiscard]] Status Discard(Shadow shadow) const;
  // What was never finished, and what was being discarded. Whatever is in use stays.
  [[nodiscard]] Status RemoveRemains() const;

 private:
  Store(std::string folder, OwnedFd fd, uid_t uid)
      : folder_(std::move(folder)), fd_(std::move(fd)), uid_(uid) {}
  [[nodiscard]] bool HasInfo(const std::string& id) const;
  [[nodiscard]] Result<ShadowInfo> ReadInfo(const std::string& id) const;

  std::string folder_;
  OwnedFd fd_;
  uid_t uid_;
};

}  // namespace cordon::shadow

#endif  // CORDON_SHADOW_STORE_H_

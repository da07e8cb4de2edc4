#ifndef CORDON_SHADOW_TREE_H_
#define CORDON_SHADOW_TREE_H_

// A directory whose contents may be hostile and may change at any moment. Everything is opened
// beneath its descriptor; no link is followed and no mount point is crossed, by the kernel's own
// look-up (openat2) and not by a check before it.

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/owned_fd.h"
#include "shadow/node.h"

namespace cordon::shadow {

// Longer paths cannot be handed to the kernel in one piece.
inline constexpr size_t kMaxPath = 4095;

// A place in a directory: what renameat and its like take.
struct Place {
  OwnedFd folder;
  std::string name;
};

// What to do with what its owner may not read. In a tree of ours, whose files the command could
// give any mode, the mode is changed: a file's for the moment of opening, a directory's until the
// tree is closed.
enum class Ownership { kUsers, kOurs };

class Tree {
 public:
  // The directory itself is the caller's choice: links on the way to it are followed.
  [[nodiscard]] static Result<Tree> Open(const std::string& directory, Ownership ownership);
  // `path` beneath `above`, as everything else.
  [[nodiscard]] static Result<Tree> OpenBeneath(const Tree& above, const std::string& path);
  Tree(Tree&&) noexcept = default;
  Tree& operator=(Tree&&) = delete;
  Tree(const Tree&) = delete;
  Tree& operator=(const Tree&) = delete;
  ~Tree();

  // Paths are relative, without `.`, `..` and doubled slashes; empty is the directory itself.
  // Errors have the kernel's number: ELOOP is a link on the way, EXDEV a mount point or an escape.
  [[nodiscard]] Result<OwnedFd> OpenAt(const std::string& path, uint64_t flags,
                                       uint32_t mode = 0) const;
  [[nodiscard]] Result<OwnedFd> OpenDirectory(const std::string& path) const;  // for listing
  // A regular file, for reading; anything else is an error.
  [[nodiscard]] Result<OwnedFd> OpenFile(const std::string& path) const;
  [[nodiscard]] Result<Place> OpenParent(const std::string& path) const;
  // Nothing if there is nothing, also when a directory on the way is missing or is none.
  [[nodiscard]] Result<std::optional<Stat>> Look(const std::string& path) const;
  [[nodiscard]] Result<Sha256::Digest> Hash(const std::string& path) const;
  // At most `max_bytes`; the rest is an error.
  [[nodiscard]] Result<std::string> Read(const std::string& path, size_t max_bytes) const;

  [[nodiscard]] int get() const { return directory_.get(); }
  [[nodiscard]] const std::string& name() const { return name_; }

 private:
  Tree(OwnedFd directory, std::string name, Ownership ownership)
      : directory_(std::move(directory)), name_(std::move(name)), ownership_(ownership) {}
  [[nodiscard]] Result<OwnedFd> OpenLockedFile(const std::string& path, uint64_t flags) const;
  void Unlock(const std::string& path) const;

  struct Unlocked {
    std::string path;
    uint32_t mode;
  };
  OwnedFd directory_;
  std::string name_;  // for messages
  Ownership ownership_;
  mutable std::vector<Unlocked> unlocked_;  // a directory before what is in it
};

// Of one name in a directory; nothing if there is nothing. Links get their target.
[[nodiscard]] Result<std::optional<Stat>> LookAt(int folder, const std::string& name);
[[nodiscard]] Result<Stat> LookAtOpen(int fd);
[[nodiscard]] Result<Sha256::Digest> HashOpen(int fd);

enum class Visit { kEnter, kSkip };
struct Visited {
  std::string path;
  Stat stat;
  int folder;        // the directory that it is in, open for listing
  std::string name;  // in that directory
};
// What could not be looked into, with the reason.
struct Unseen {
  std::string path;
  std::string why;
};
// Every path of the tree, a directory before what is in it. No descriptor is held but two, however
// deep it is. What vanishes meanwhile is passed over.
[[nodiscard]] Status Walk(const Tree& tree, std::vector<Unseen>* unseen,
                          const std::function<Result<Visit>(const Visited&)>& visit);

// Called for each path with what has been done with it ("compared"), for whoever shows how far
// something is; may be empty.
using OnPath = std::function<void(const char* done)>;

[[nodiscard]] std::string Join(const std::string& folder, const std::string& name);
[[nodiscard]] std::string ParentOf(const std::string& path);  // empty for a top one
[[nodiscard]] bool IsAtOrBelow(const std::string& path, const std::string& folder);

// Now by the clock that file times are taken from.
[[nodiscard]] int64_t FileClockNs();

}  // namespace cordon::shadow

#endif  // CORDON_SHADOW_TREE_H_

#ifndef CORDON_SHADOW_CHANGES_H_
#define CORDON_SHADOW_CHANGES_H_

// What a command changed: the shadow compared with its base.

#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "shadow/manifest.h"
#include "shadow/store.h"
#include "shadow/tree.h"

namespace cordon::shadow {

enum class ChangeKind { kAdd, kDelete, kModify };
[[nodiscard]] const char* KindName(ChangeKind kind);

// A directory that git takes for a repository, or for a worktree's folder in one, by what is in it.
struct GitFolder {
  std::string path;
  bool is_new = false;  // in the base it was none
};

struct Change {
  ChangeKind kind = ChangeKind::kModify;
  std::string path;
  std::optional<Node> before;
  std::optional<Node> after;
  Identity seen;                 // of the shadow's file, when it was looked at
  uint64_t links = 1;            // names that it has in the shadow
  uint16_t format = 0;           // S_IFMT of `after`
  bool content_differs = false;  // of a file or a link
  // One of two changes that are a file with another name; the other one's path.
  std::string renamed_from;  // of an add
  std::string renamed_to;    // of a delete
  // The shadow's path could not be looked into; what is below it is unknown.
  std::string problem;
  // There is something in the workspace that was not imported.
  std::string hides;
  std::vector<GitFolder> git_folders;  // the path itself, and those that it is in
  // Why git obeys it, or what is in it, although it is in no repository's folder: its configuration
  // in the workspace says so.
  std::string named_by_git;
};

struct NotImported {
  std::string path;
  std::string why;
};

struct ChangeSet {
  std::vector<Change> changes;  // by path
  std::vector<NotImported> not_imported;
};

// The three trees that a comparison reads, open as long as it lasts.
struct Sides {
  Manifest base;
  Tree files;      // the shadow's
  Tree workspace;  // as it is now
};
[[nodiscard]] Result<Sides> OpenSides(const Shadow& shadow);

[[nodiscard]] Result<ChangeSet> FindChanges(const ShadowInfo& info, const Sides& sides,
                                            const OnPath& on_path = {});

// Marks pairs of an added and a deleted file with the same, or nearly the same, contents.
void FindRenames(const Sides& sides, ChangeSet* set);

// The digest of what the base had at `path`: recorded, or read from the workspace if nothing has
// changed there. Nothing if it cannot be known any more.
[[nodiscard]] std::optional<Sha256::Digest> BaseDigest(const Sides& sides, const std::string& path);
// The same for its contents, of at most `max_bytes`.
[[nodiscard]] std::optional<std::string> BaseContents(const Sides& sides, const std::string& path,
                                                      size_t max_bytes);

}  // namespace cordon::shadow

#endif  // CORDON_SHADOW_CHANGES_H_

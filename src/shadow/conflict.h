#ifndef CORDON_SHADOW_CONFLICT_H_
#define CORDON_SHADOW_CONFLICT_H_

// Whether the workspace still is what a change was made on.

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "shadow/changes.h"

namespace cordon::shadow {

// What is at a change's path in the workspace.
struct RealState {
  std::optional<Stat> stat;
  bool is_done = false;  // it already is what the change makes of it
  std::string conflict;  // why the change cannot be made, or would undo somebody's work
  bool yields_to_force = false;
};

// Changes that are made together: what one of them makes, another may need.
class ConflictFinder {
 public:
  ConflictFinder(const Sides& sides, const std::vector<const Change*>& changes);
  [[nodiscard]] RealState Find(const Change& change) const;

 private:
  [[nodiscard]] bool IsBase(const Change& change, const Stat& now) const;
  [[nodiscard]] bool IsAfter(const Change& change, const Stat& now) const;
  // The directory that the path is in is one, or becomes one.
  [[nodiscard]] std::string ParentProblem(const std::string& path) const;
  // Names can be made and removed in that directory, now or after this commit's own changes of it.
  [[nodiscard]] std::string WriteProblem(const std::string& path) const;
  // Of what is there; nothing about its directory.
  [[nodiscard]] RealState FindAlone(const Change& change) const;
  [[nodiscard]] bool IsBelowMade(const std::string& path) const;
  // Something in a directory that shall go which does not go with it.
  [[nodiscard]] std::string Survivor(const std::string& path) const;

  const Sides& sides_;
  std::set<std::string> made_folders_;
  std::set<std::string> removed_;
  std::set<std::string> widened_;  // directories whose owner may write them then
};

}  // namespace cordon::shadow

#endif  // CORDON_SHADOW_CONFLICT_H_

#ifndef CORDON_POLICY_LAYER_H_
#define CORDON_POLICY_LAYER_H_

// A policy file that was found, whose it is, and what of it needs approval.

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "policy/document.h"
#include "policy/plan.h"
#include "policy/surroundings.h"
#include "policy/trust.h"

namespace cordon::policy {

// Something in a project's file that is more than the user's policy grants.
struct Ask {
  Mark mark;
  std::string what;
};

struct Layer {
  std::string path;  // without links
  FileKind kind = FileKind::kCordon;
  Origin origin = Origin::kProject;
  std::string sha256;
  bool approved = false;
  Document document;
  using Asks = std::map<std::pair<int, int>, Ask>;  // by place; empty for the user's own
  Asks asks;
  Asks host_asks;  // only where it is the host that it is done to: no wall, or before one

  [[nodiscard]] std::string Place(Mark mark) const { return PlaceText(path, mark); }
  // What must be left out of a plan: it is asked for and not approved.
  [[nodiscard]] const Ask* Withheld(Mark mark) const;
  [[nodiscard]] const Ask* WithheldOnHost(Mark mark) const;
  // The folder that relative paths of the file are below.
  [[nodiscard]] std::string Folder() const;
};

// Reads one file, with its errors.
[[nodiscard]] std::optional<Layer> ReadLayer(const std::string& path, FileKind kind, Origin origin,
                                             std::vector<Error>* errors);
// A layer of Cordon's own, from text that is right.
[[nodiscard]] Layer MakeLayer(const std::string& text);
[[nodiscard]] Layer MakeLayer(const YamlNode& root);

// Upwards from `directory`: cordon.yaml, then sbox.yaml in each folder. Empty if there is none.
[[nodiscard]] std::string FindProjectFile(const std::string& directory);
// What was found and not named: a plain file of this user or root. It decides where the workspace
// is, so neither a link nor somebody else may say.
[[nodiscard]] Status CheckProjectFile(const std::string& path, uid_t uid);
[[nodiscard]] FileKind KindOfFile(const std::string& path);

// The user's own policy; none if there is no file. One inside `workspace` is not the user's.
[[nodiscard]] std::optional<Layer> ReadUserLayer(const Surroundings& around,
                                                 std::vector<Error>* errors);

// Everything in a project's document that `grants` does not cover.
[[nodiscard]] std::vector<Ask> FindAsks(const Layer& project, const Document& user,
                                        const Surroundings& around);
// What a wall would have made harmless.
[[nodiscard]] std::vector<Ask> FindHostAsks(const Layer& project, const Document& user);

}  // namespace cordon::policy

#endif  // CORDON_POLICY_LAYER_H_

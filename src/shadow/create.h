#ifndef CORDON_SHADOW_CREATE_H_
#define CORDON_SHADOW_CREATE_H_

// Making a shadow of a directory.

#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "policy/surroundings.h"
#include "shadow/manifest.h"
#include "shadow/store.h"

namespace cordon::shadow {

struct CreateRequest {
  std::string workspace;
  std::optional<Mode> mode;               // without it, overlay where that works
  std::vector<std::string> ignore;        // rules, which win over those of files
  std::vector<std::string> ignore_files;  // of the user's choice
  bool hashes_all = false;      // so that a file which is only touched later is no conflict
  bool obey_gitignore = false;  // the .gitignore of every directory; .cordonignore always is
  OnPath on_path;
};

struct Created {
  ShadowInfo info;
  Manifest base;
};

[[nodiscard]] Result<Created> Create(const Store& store, const policy::Surroundings& around,
                                     const CreateRequest& request);

// The base of `workspace` as it is now, with what rules leave out. Nothing is written.
[[nodiscard]] Result<Manifest> Scan(const Tree& workspace, const CreateRequest& request);

// Fills `folder`/tree. What could not be read becomes absent in `base`.
[[nodiscard]] Status CopyTree(const Tree& workspace, const std::string& folder,
                              const OnPath& on_path, Manifest* base);

// Fills `folder`/upper so that the command does not see what is absent.
[[nodiscard]] Status HideAbsent(const Tree& workspace, const std::string& folder,
                                const Manifest& base);

}  // namespace cordon::shadow

#endif  // CORDON_SHADOW_CREATE_H_

#ifndef CORDON_POLICY_SURROUNDINGS_H_
#define CORDON_POLICY_SURROUNDINGS_H_

// Who plans, and where: everything of the caller's process that a plan depends on, as data.

#include <sys/types.h>

#include <map>
#include <string>
#include <string_view>

namespace cordon::policy {

// Below the folder of caches: the native wall keeps roots there (backend/native/prepared_root.h).
inline constexpr const char* kPreparedRoots = "/roots";

struct Surroundings {
  std::string directory;    // where the caller is
  std::string home;         // empty if there is none
  std::string real_home;    // the same without links, as far as it is there
  std::string config_home;  // the folder of the user's policy and approvals
  std::string cache_home;   // the folder of caches
  std::string policy_file;  // the user's policy, if it is not the one of `config_home`
  std::map<std::string, std::string> environment;
  uid_t uid = 0;
  gid_t gid = 0;

  [[nodiscard]] static Surroundings OfThisProcess();
  // Empty if it is not set.
  [[nodiscard]] std::string Variable(const std::string& name) const;
  // Where the search path has a program of this name first; empty if nowhere.
  [[nodiscard]] std::string FindProgram(const std::string& name) const;
  // "~/x" and "~" below the home directory; everything else as it is.
  [[nodiscard]] std::string ExpandHome(const std::string& path) const;
};

// Without `.`, doubled slashes and, by its text, `..`; `path` is relative to `base`.
[[nodiscard]] std::string AbsolutePath(const std::string& base, const std::string& path);
// `path` is `directory` or below it; both are absolute and clean.
[[nodiscard]] bool IsWithin(std::string_view path, std::string_view directory);

}  // namespace cordon::policy

#endif  // CORDON_POLICY_SURROUNDINGS_H_

#ifndef CORDON_PACKAGES_INSTALLED_H_
#define CORDON_PACKAGES_INSTALLED_H_

// What is installed in a sandbox, and the file in it that says so: packages.json.

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

namespace cordon::packages {

inline constexpr const char* kTool = "pkg";  // the command that asks for packages, inside
inline constexpr const char* kFolder = "/usr/share/pkg";
inline constexpr const char* kListFile = "/usr/share/pkg/packages.json";
inline constexpr const char* kCommandFolder = "/usr/local/bin/";

// Of a package's module in the sandbox.
[[nodiscard]] std::string ModulePath(const std::string& name);

struct InstalledPackage {
  std::string hash;  // SHA-256, 64 digits
  uint64_t size = 0;
  std::string url;
  int64_t installed_ms = 0;  // since the epoch
  bool operator==(const InstalledPackage&) const = default;
};
using InstalledPackages = std::map<std::string, InstalledPackage>;

[[nodiscard]] std::string WriteList(const InstalledPackages& packages);
// Reads what may be anybody's: an import brings it. What is no entry is left out.
[[nodiscard]] InstalledPackages ReadList(std::string_view text);

}  // namespace cordon::packages

#endif  // CORDON_PACKAGES_INSTALLED_H_

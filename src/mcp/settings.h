#ifndef CORDON_MCP_SETTINGS_H_
#define CORDON_MCP_SETTINGS_H_

// What whoever starts the server decides: a flag wins over a variable of the environment, and that
// over the file.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"

namespace cordon::mcp {

// A directory of the host that every sandbox has.
struct HostMount {
  std::string host;   // absolute
  std::string guest;  // absolute
  bool is_writable = false;
};

struct Settings {
#define SETTING(member, flag, variable, name, least, most, otherwise, text) \
  int64_t member = otherwise;
#include "mcp/settings.def"
#undef SETTING
  std::string state_folder;  // empty: states are not kept
  std::vector<HostMount> mounts;
};

struct GivenSettings {
#define SETTING(member, flag, variable, name, least, most, otherwise, text) \
  std::optional<int64_t> member;
#include "mcp/settings.def"
#undef SETTING
  std::optional<std::string> state_folder;
  std::vector<std::string> mounts;  // "HOST:GUEST", ":ro" or ":rw" behind it
  std::string file;                 // of settings; empty: $CORDON_MCP_CONFIG, or none
};

// `variable` is getenv, or a test's.
[[nodiscard]] Result<Settings> ReadSettings(const GivenSettings& flags,
                                            const char* (*variable)(const char* name));

}  // namespace cordon::mcp

#endif  // CORDON_MCP_SETTINGS_H_

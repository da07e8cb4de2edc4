#ifndef CORDON_MCP_SETTINGS_H_
#define CORDON_MCP_SETTINGS_H_

// What whoever starts the server decides: a flag wins over a variable of the environment, and that
// over the file.

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "base/error.h"

namespace cordon::mcp {

struct Settings {
#define SETTING(member, flag, variable, name, least, most, otherwise, text) \
  int64_t member = otherwise;
#include "mcp/settings.def"
#undef SETTING
  std::string state_folder;  // empty: states are not kept
};

struct GivenSettings {
#define SETTING(member, flag, variable, name, least, most, otherwise, text) \
  std::optional<int64_t> member;
#include "mcp/settings.def"
#undef SETTING
  std::optional<std::string> state_folder;
  std::string file;  // of settings; empty: $CORDON_MCP_CONFIG, or none
};

// `variable` is getenv, or a test's.
[[nodiscard]] Result<Settings> ReadSettings(const GivenSettings& flags,
                                            const char* (*variable)(const char* name));

}  // namespace cordon::mcp

#endif  // CORDON_MCP_SETTINGS_H_

#ifndef CORDON_MCP_SETTINGS_H_
#define CORDON_MCP_SETTINGS_H_

// What whoever starts the server decides: a flag wins over a variable of the environment, and that
// over the file. A model may ask for less of it and never for more (sandbox_request.h).

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "packages/policy.h"
#include "rpc/message.h"

namespace cordon::mcp {

// A directory of the host that sandboxes have.
struct HostMount {
  std::string host;   // absolute
  std::string guest;  // absolute
  bool is_writable = false;
};

// What create calls packagePolicy, and what it means.
struct PackageSettings {
  rpc::Json params;
  packages::Policy policy;
};

struct Settings {
#define NUMBER(member, flag, variable, name, least, most, otherwise, text) \
  int64_t member = otherwise;
#define TEXT(member, flag, variable, name, text)
#define LIST(member, flag, variable, name, text)
#include "mcp/settings.def"
#undef NUMBER
#undef TEXT
#undef LIST
  // Empty: not given, and nothing of the kind is done.
  std::string directory, state_folder, persistence_folder, default_namespace, ca_file, audit_file;
  bool may_persist_by_itself = true;  // persistent, not session alone
  std::optional<std::vector<std::string>> tools;
  rpc::Json environment = rpc::Json::object();
  std::vector<HostMount> mounts;
  std::optional<PackageSettings> packages;
};

struct GivenSettings {
#define NUMBER(member, flag, variable, name, least, most, otherwise, text) \
  std::optional<int64_t> member;
#define TEXT(member, flag, variable, name, text) std::optional<std::string> member;
#define LIST(member, flag, variable, name, text) std::vector<std::string> member;
#include "mcp/settings.def"
#undef NUMBER
#undef TEXT
#undef LIST
  std::string file;  // of settings; empty: $CORDON_MCP_CONFIG, or none
};

// `variable` is getenv, or a test's.
[[nodiscard]] Result<Settings> ReadSettings(const GivenSettings& flags,
                                            const char* (*variable)(const char* name));

// A reason for a model: the host's `path` in it is called `name`.
[[nodiscard]] std::string Renamed(std::string text, const std::string& path,
                                  const std::string& name);

}  // namespace cordon::mcp

#endif  // CORDON_MCP_SETTINGS_H_

#ifndef CORDON_MCP_STATE_FOLDER_H_
#define CORDON_MCP_STATE_FOLDER_H_

// Exported sandboxes under names, in a folder of the host that whoever started the server named.

#include <string>

#include "base/error.h"
#include "base/owned_fd.h"

namespace cordon::mcp {

class StateFolder {
 public:
  // Makes it, for this user alone, if it is not there.
  [[nodiscard]] static Result<StateFolder> Open(const std::string& path);

  // A state of that name is replaced in one step, or not at all.
  [[nodiscard]] Status Write(const std::string& name, const std::string& bytes) const;
  [[nodiscard]] Result<std::string> Read(const std::string& name) const;
  // A model chose it.
  [[nodiscard]] static bool IsName(const std::string& name);

 private:
  explicit StateFolder(OwnedFd folder) : folder_(std::move(folder)) {}
  OwnedFd folder_;
};

}  // namespace cordon::mcp

#endif  // CORDON_MCP_STATE_FOLDER_H_

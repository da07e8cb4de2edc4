#ifndef CORDON_MCP_AUDIT_FILE_H_
#define CORDON_MCP_AUDIT_FILE_H_

// Where the operator reads what happened in the sandboxes: a line of JSON for each event, as it
// happens, at the end of a file that only its owner reads.

#include <string>
#include <utility>

#include "base/error.h"
#include "base/owned_fd.h"
#include "rpc/message.h"

namespace cordon::mcp {

class AuditFile {
 public:
  // Made if it is not there; a link at its place is refused, and so is what is no regular file.
  [[nodiscard]] static Result<AuditFile> Open(const std::string& path);
  [[nodiscard]] Status Add(const rpc::Json& event) const;

 private:
  explicit AuditFile(OwnedFd file) : file_(std::move(file)) {}
  OwnedFd file_;
};

}  // namespace cordon::mcp

#endif  // CORDON_MCP_AUDIT_FILE_H_

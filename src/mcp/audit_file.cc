#include "mcp/audit_file.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "base/write_all.h"

namespace cordon::mcp {

Result<AuditFile> AuditFile::Open(const std::string& path) {
  // O_NONBLOCK: a pipe at its place is refused and not waited for.
  OwnedFd file(open(path.c_str(),
                    O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600));
  if (!file.valid()) return SystemError("open(" + path + ")");
  struct stat stat = {};
  if (fstat(file.get(), &stat) != 0) return SystemError("fstat(" + path + ")");
  if (!S_ISREG(stat.st_mode)) return Fail(ErrorCode::kInvalid, "no regular file", path);
  return AuditFile(std::move(file));
}

Status AuditFile::Add(const rpc::Json& event) const {
  return WriteAll(file_.get(),
                  event.dump(-1, ' ', false, rpc::Json::error_handler_t::replace) + "\n",
                  "audit file");
}

}  // namespace cordon::mcp

#ifndef CORDON_ARCHIVE_UNPACKER_PROCESS_H_
#define CORDON_ARCHIVE_UNPACKER_PROCESS_H_

// Archives read by cordon-unpack, a process of its own for each: it is locked in before it sees the
// first byte. What it says is looked at by FrameReplay, and decided by whoever is visited.

#include <string>

#include "archive/tar.h"

namespace cordon::archive {

class UnpackerProcess final : public TarReader {
 public:
  // The path of cordon-unpack.
  explicit UnpackerProcess(std::string program) : program_(std::move(program)) {}
  // The job's file is sealed (sealed_bytes.h). Ends the process before it returns. An error says
  // what the process said, that it broke the rules, or how it ended.
  [[nodiscard]] Result<std::string> Read(const ReadJob& job, RawVisitor& visitor) const override;

 private:
  std::string program_;
};

}  // namespace cordon::archive

#endif  // CORDON_ARCHIVE_UNPACKER_PROCESS_H_

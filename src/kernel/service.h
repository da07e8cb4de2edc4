#ifndef CORDON_KERNEL_SERVICE_H_
#define CORDON_KERNEL_SERVICE_H_

// What the parts of the service process share: requests of the keeper in the mailbox, see
// control.h.

#include <cstdint>
#include <string_view>

#include "kernel/control.h"
#include "vfs/filesystem.h"

namespace cordon::kernel {

inline constexpr uint32_t kUserId = 1000;  // and group; whom files that come from outside belong to

// Takes the next string of a payload; an empty view at its end.
std::string_view NextString(const char*& at, const char* end);

// Removes what is in a directory, from the leaves.
int32_t EmptyDirectory(const vfs::Node& top);

// Requests about files; -ENOSYS for every other.
int32_t AnswerAboutFiles(control::Mailbox& mailbox, uint32_t payload_bytes);

// Requests about whole trees; -ENOSYS for every other.
int32_t AnswerAboutTrees(control::Mailbox& mailbox, uint32_t payload_bytes);

// Requests about mounts.
int32_t AnswerAboutMounts(control::Mailbox& mailbox, uint32_t payload_bytes);

// Requests about runs.
int32_t AnswerAboutRuns(control::Mailbox& mailbox, uint32_t payload_bytes);

}  // namespace cordon::kernel

#endif  // CORDON_KERNEL_SERVICE_H_

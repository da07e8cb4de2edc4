#ifndef CORDON_KERNEL_FILE_LOCK_H_
#define CORDON_KERNEL_FILE_LOCK_H_

// Advisory locks on files: flock(2), and fcntl(2)'s for a process and for an open file description.

#include <cstdint>

#include "kernel/open_file.h"

namespace cordon::kernel {

// struct flock64 of a 32-bit guest.
struct GuestLock {
  int16_t type, whence;
  int32_t padding;
  int64_t start, size;
  int32_t pid, padding2;
};
static_assert(sizeof(GuestLock) == 32);

// The commands F_GETLK, F_SETLK, F_SETLKW and their F_OFD_ forms, with the lock at a guest address.
int64_t LockRecord(OpenFile& file, uint32_t command, uint32_t address);
// LOCK_SH, LOCK_EX, LOCK_UN, with LOCK_NB.
int64_t LockWhole(OpenFile& file, uint32_t operation);

// A process closes a descriptor of the file: its own locks on that file go, whichever descriptor
// they were made through.
void DropProcessLocks(const OpenFile& file, uint32_t pid);
// The last reference to a description goes, and with it what was locked through it.
void DropDescriptionLocks(const OpenFile& file);

}  // namespace cordon::kernel

#endif  // CORDON_KERNEL_FILE_LOCK_H_

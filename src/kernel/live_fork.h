#ifndef CORDON_KERNEL_LIVE_FORK_H_
#define CORDON_KERNEL_LIVE_FORK_H_

// How all processes of a sandbox stand still and clone themselves (docs/kernel.md, "Snapshot,
// restore, fork"): the service marks everybody (ParkEverybody); each leaves the kernel by its way
// out, gives up the generation of file blocks and waits (Park); then the keeper says in the control
// page what happens next, in steps. A process that waits here has no lock, is in no queue and
// touches no object: those of a copy may still be on their way while it is cloned.

#include <cstdint>

#include "kernel/control.h"

namespace cordon::kernel {

// Everybody has to park.
bool IsParking();
// Until the keeper lets everybody go on; a copy of the process returns too. Under no lock, inside.
void Park();
// Request::kPark, by the service process, which parks itself after it has answered.
int32_t ParkEverybody(control::Mailbox& mailbox);
void ParkService();

}  // namespace cordon::kernel

#endif  // CORDON_KERNEL_LIVE_FORK_H_

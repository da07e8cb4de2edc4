#ifndef CORDON_NET_LOCKDOWN_H_
#define CORDON_NET_LOCKDOWN_H_

#include "base/error.h"

namespace cordon::net {

// What the gateway gives up before it hears from a sandbox: its user if that is root, every
// capability, every file, every other process, and all system calls but those of an event loop over
// sockets of the internet.
[[nodiscard]] Status LockDown();

}  // namespace cordon::net

#endif  // CORDON_NET_LOCKDOWN_H_

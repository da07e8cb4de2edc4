#ifndef CORDON_NET_RIGHTS_H_
#define CORDON_NET_RIGHTS_H_

// What a process that reads a network's bytes gives up before it hears any.

#include "base/error.h"

namespace cordon::net {

// Its user if that is root, every capability, and life without whoever started it.
[[nodiscard]] Status GiveUpUser();
// Every file (Landlock). Kernels without it are no error: a system call filter must say so too.
[[nodiscard]] Status GiveUpFiles();

}  // namespace cordon::net

#endif  // CORDON_NET_RIGHTS_H_

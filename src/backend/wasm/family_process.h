#ifndef CORDON_BACKEND_WASM_FAMILY_PROCESS_H_
#define CORDON_BACKEND_WASM_FAMILY_PROCESS_H_

// The host parent of all processes of a sandbox and of its forks. It tells each keeper of deaths
// in its sandbox, ends a sandbox whose keeper is gone, and gives processes that clone themselves
// the memory of the copy.
//
// Which sandbox a process belongs to is its process group: inherited by clones, and nobody inside
// can change it. So one signal ends a sandbox, however fast it clones itself, and no other.

#include "backend/wasm/family_link.h"

namespace cordon::backend {

[[noreturn]] void RunFamilyProcess(const FamilyLink::Options& options, OwnedFd keeper);

}  // namespace cordon::backend

#endif  // CORDON_BACKEND_WASM_FAMILY_PROCESS_H_

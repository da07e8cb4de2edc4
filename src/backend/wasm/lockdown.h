#ifndef CORDON_BACKEND_WASM_LOCKDOWN_H_
#define CORDON_BACKEND_WASM_LOCKDOWN_H_

// How the template locks itself in: the ordered list of steps between its start and the first line
// of code that serves guests. If one fails, nothing runs.

#include "base/error.h"
#include "kernel/control.h"

namespace cordon::backend {

// Descriptors that the template is started with, and nothing else.
enum TemplateFd : int {
  kControlFd = 3,
  kObjectsFd = 4,
  kBlocksFd = 5,
  kUserlandFd = 6,
  kCodeWindowFd = 7,  // closed when there is no code window
  kListenerFd = 8,    // socket that a listener goes through; closed when there can be no fork
  kTemplateFdEnd = 9,
};

// Maps the control page, where later errors are reported. Null if it is not what it should be.
[[nodiscard]] control::Control* MapControl();

// Where the sandbox can be forked: hands over a listener for the call by which guests ask for
// parts.
[[nodiscard]] Status OfferListener(const control::Control& control);

// Maps what the control page describes and closes every descriptor.
[[nodiscard]] Status MapSandbox(const control::Control& control);

// No new privileges, another user if it was started as root, no capability, nothing that a
// debugger or a core dump could take, no resource to open anything with.
[[nodiscard]] Status DropPrivileges(const control::Control& control);

}  // namespace cordon::backend

#endif  // CORDON_BACKEND_WASM_LOCKDOWN_H_

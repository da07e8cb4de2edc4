#ifndef CORDON_CORDON_H_
#define CORDON_CORDON_H_

// Sandboxes that live, for programs in C++23: what `cordon create`, `exec`, `cp`, `fork`, `export`
// and their like stand on, and the surface of the other SDKs. docs/protocol.md says what each
// method of the daemon does.
//
//   auto daemon = cordon::Client::Start();
//   auto sandbox = daemon->Create({.env = {{"GREETING", "hello"}}});
//   auto result = sandbox->Run("echo $GREETING | tr a-z A-Z");   // result->out == "HELLO\n"
//
// A command that fails is a result with an exit code. An Error says that there is no result: the
// daemon refused (kInvalid; of files kSystem with `system_errno`; kLimit where all sandboxes
// together have what they may), or is gone (kSystem).
// Any thread may call anything; calls wait for their answer and do not hinder each other.

#include "cordon/client.h"       // IWYU pragma: export
#include "cordon/extensions.h"   // IWYU pragma: export
#include "cordon/file_system.h"  // IWYU pragma: export
#include "cordon/mounts.h"       // IWYU pragma: export
#include "cordon/options.h"      // IWYU pragma: export
#include "cordon/results.h"      // IWYU pragma: export
#include "cordon/sandbox.h"      // IWYU pragma: export

#endif  // CORDON_CORDON_H_

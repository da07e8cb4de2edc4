#ifndef CORDON_BACKEND_WASM_MODULES_H_
#define CORDON_BACKEND_WASM_MODULES_H_

// Modules that a client brings: compiled outside, placed into the code window, and put as files
// into the sandbox.

#include <cstddef>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "base/error.h"

namespace cordon::backend {

// Parts of a module that are compiled, and of how many. Not called when nothing is to be compiled.
using CompileProgress = std::function<void(size_t done, size_t total)>;

struct Module {
  std::string guest_path;         // of the file in the sandbox, executable
  std::vector<std::byte> bytes;   // the module
  std::vector<std::byte> object;  // compiled (wasm/object.h), checked
};

// Reads `path` and takes the best object of the user's cache, compiling it if there is none: a
// small module well, a larger one fast, and well in the background for the next start. Before any
// keeper is started: it forks. A module that is no program, or that cannot be compiled, is refused
// with place and reason.
[[nodiscard]] Result<Module> LoadModule(const std::string& path, const std::string& compiler,
                                        const CompileProgress& progress);

// Functions that the module imports and nobody has: a call of one traps. "MODULE.NAME" each, in
// printable characters.
[[nodiscard]] std::vector<std::string> UnknownImports(const Module& module);

// The contents of the code window (kernel/code_window.h).
[[nodiscard]] Result<std::vector<std::byte>> BuildCodeWindow(std::span<const Module> modules);

}  // namespace cordon::backend

#endif  // CORDON_BACKEND_WASM_MODULES_H_

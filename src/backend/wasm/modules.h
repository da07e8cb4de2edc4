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
#include "base/sha256.h"

namespace cordon::backend {

// Parts of a module that are compiled, and of how many. Not called when nothing is to be compiled.
using CompileProgress = std::function<void(size_t done, size_t total)>;

struct Module {
  std::string guest_path;         // of the file in the sandbox, executable
  std::vector<std::byte> bytes;   // the module
  std::vector<std::byte> object;  // compiled (wasm/object.h), checked
  bool is_optimised = false;
};

// Reads `path` and takes the best object of the user's cache, compiling it if there is none: a
// small module well, a larger one fast, and well in the background for the next start. Before any
// keeper is started: it forks. A module that is no program, or that cannot be compiled, is refused
// with place and reason.
[[nodiscard]] Result<Module> LoadModule(const std::string& path, const std::string& compiler,
                                        const CompileProgress& progress);

// The same for a module in memory, which `shown` names in errors; what the fast tier compiled is
// not compiled well in the background. It starts the compiler, and waits for it as for a child.
[[nodiscard]] Result<Module> CompileModule(std::vector<std::byte> bytes, const std::string& shown,
                                           const std::string& compiler,
                                           const CompileProgress& progress);
// Compiles it well, for the cache, with one thread.
[[nodiscard]] Status OptimiseModule(std::span<const std::byte> bytes, const std::string& compiler);
// What the cache has of it: nothing is compiled.
[[nodiscard]] Result<Module> FindCompiledModule(std::vector<std::byte> bytes,
                                                const std::string& shown);

// Functions that the module imports and nobody has: a call of one traps. "MODULE.NAME" each, in
// printable characters.
[[nodiscard]] std::vector<std::string> UnknownImports(const Module& module);

// The contents of the code window (kernel/code_window.h).
[[nodiscard]] Result<std::vector<std::byte>> BuildCodeWindow(std::span<const Module> modules);

// What a sandbox with a list of tools is told of a module that it gets.
enum class Permission {
  kAsBefore,  // it may be started if a module of the same hash may be
  kAllowed,   // it may be started, as all of its hash that are there
};

// Adds a module to the code window of a sandbox that runs. `window` is the keeper's mapping of it,
// `file` its descriptor, through which keepers of one family wait for each other. A module that is
// there already, as well compiled, is not added again; kLimit: there is no more room.
[[nodiscard]] Status AddToCodeWindow(std::span<std::byte> window, int file, const Module& module,
                                     Permission permission);

}  // namespace cordon::backend

#endif  // CORDON_BACKEND_WASM_MODULES_H_

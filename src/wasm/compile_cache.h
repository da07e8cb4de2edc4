#ifndef CORDON_WASM_COMPILE_CACHE_H_
#define CORDON_WASM_COMPILE_CACHE_H_

// Objects by the content of their modules, in a folder of the user. The compiler is another program
// that sees one module and is locked in; this side computes the key, checks what comes back and
// renames it into place. Linked without LLVM.

#include <chrono>
#include <cstddef>
#include <functional>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "base/error.h"
#include "base/owned_fd.h"
#include "base/sha256.h"
#include "wasm/object.h"

namespace cordon::wasm {

struct CompileRequest {
  CpuLevel cpu_level = CpuLevel::kX8664V2;
  unsigned threads = 2;
  std::chrono::seconds time_limit{300};
  uint64_t object_bytes = uint64_t{512} << 20;
  std::function<void(size_t done, size_t total)> progress;  // of the calling thread
};

// An object file that was checked (hash, metadata, module, tier), ready to be mapped.
struct CachedObject {
  OwnedFd fd;
  uint64_t size_bytes = 0;
  Tier tier = Tier::kFast;
  bool stored = false;  // false: it could not be kept (full or read-only disk)
};

class CompileCache {
 public:
  // Opens or makes the folder, which must be a directory of this user that nobody else may enter;
  // no component below `parent` may be a symbolic link. `compiler` is the path of cordon-compile.
  [[nodiscard]] static Result<CompileCache> Open(const std::string& parent, std::string compiler);
  // $XDG_CACHE_HOME, or ~/.cache. The folder is cordon/objects below it.
  [[nodiscard]] static Result<std::string> DefaultParent();

  // The best object there is: optimised, fast, or compiled now with the fast tier. A full or
  // read-only disk costs the next start, not this one.
  [[nodiscard]] Result<CachedObject> Get(std::span<const std::byte> module,
                                         const CompileRequest& request) const;
  // The object of this tier and no other, compiled if it is not there.
  [[nodiscard]] Result<CachedObject> GetTier(std::span<const std::byte> module, Tier tier,
                                             const CompileRequest& request) const;
  // The best object that is there already.
  [[nodiscard]] Result<CachedObject> Find(std::span<const std::byte> module,
                                          CpuLevel cpu_level) const;
  // Compiles the optimised tier in a thread, for the next Get. The cache must outlive it.
  [[nodiscard]] std::thread Optimise(std::vector<std::byte> module, CompileRequest request) const;

  // File name of an object: key of module, tier, CPU level and compiler version.
  [[nodiscard]] static std::string NameOf(const Sha256::Digest& module_hash, Tier tier,
                                          CpuLevel cpu_level);

 private:
  CompileCache(OwnedFd folder, std::string compiler)
      : folder_(std::move(folder)), compiler_(std::move(compiler)) {}

  struct Wanted {
    Sha256::Digest module_hash;
    Tier tier;
    CpuLevel cpu_level;
  };
  [[nodiscard]] Result<CachedObject> Load(const Wanted& wanted) const;
  [[nodiscard]] Result<CachedObject> Check(OwnedFd fd, const Wanted& wanted) const;
  [[nodiscard]] Result<OwnedFd> RunCompiler(std::span<const std::byte> module, Tier tier,
                                            const CompileRequest& request) const;
  [[nodiscard]] Status Store(const CachedObject& object, const std::string& name) const;

  OwnedFd folder_;
  std::string compiler_;
};

}  // namespace cordon::wasm

#endif  // CORDON_WASM_COMPILE_CACHE_H_

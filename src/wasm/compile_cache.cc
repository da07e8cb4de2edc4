#include "wasm/compile_cache.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>

#include "base/memory_file.h"
#include "base/new_file.h"
#include "base/write_all.h"
#include "wasm/compiler_process.h"

namespace cordon::wasm {
namespace {

class FileMapping {
 public:
  FileMapping(int fd, size_t size)
      : start_(mmap(nullptr, size, PROT_READ, MAP_PRIVATE, fd, 0)), size_(size) {}
  ~FileMapping() {
    if (start_ != MAP_FAILED) munmap(start_, size_);
  }
  FileMapping(const FileMapping&) = delete;
  FileMapping& operator=(const FileMapping&) = delete;
  [[nodiscard]] bool valid() const { return start_ != MAP_FAILED; }
  [[nodiscard]] std::span<const std::byte> bytes() const {
    return {static_cast<const std::byte*>(start_), size_};
  }

 private:
  void* start_;
  size_t size_;
};

constexpr mode_t kOthers = 077;
constexpr mode_t kOthersWrite = 022;

// Opens a folder of this user below `parent`, making it if it is not there. Others may do nothing
// with it that is in `forbidden`, as mode bits.
Result<OwnedFd> OpenOwnFolder(int parent, const std::string& name, mode_t forbidden) {
  if (mkdirat(parent, name.c_str(), 0700) != 0 && errno != EEXIST) {
    return SystemError("mkdirat(" + name + ", 0700)");
  }
  OwnedFd folder(openat(parent, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!folder.valid()) return SystemError("openat(" + name + ", O_DIRECTORY | O_NOFOLLOW)");
  struct stat status = {};
  if (fstat(folder.get(), &status) != 0) return SystemError("fstat(" + name + ")");
  if (status.st_uid != geteuid()) {
    return Fail(ErrorCode::kInvalid, "the cache folder " + name + " belongs to another user");
  }
  if ((status.st_mode & forbidden) != 0) {
    return Fail(ErrorCode::kInvalid,
                forbidden == kOthersWrite
                    ? "others may write to the cache folder " + name
                    : "others may enter the cache folder " + name + "; it must have mode 0700");
  }
  return folder;
}

Sha256::Digest HashOf(std::span<const std::byte> bytes) {
  Sha256 hash;
  hash.Update(bytes);
  return hash.Finish();
}

}  // namespace

Result<std::string> CompileCache::DefaultParent() {
  const char* cache = std::getenv("XDG_CACHE_HOME");
  if (cache != nullptr && cache[0] == '/') return std::string(cache);
  const char* home = std::getenv("HOME");
  if (home != nullptr && home[0] == '/') return std::string(home) + "/.cache";
  return Fail(ErrorCode::kInvalid, "neither XDG_CACHE_HOME nor HOME is set");
}

Result<CompileCache> CompileCache::Open(const std::string& parent, std::string compiler) {
  if (mkdir(parent.c_str(), 0700) != 0 && errno != EEXIST) {
    return SystemError("mkdir(" + parent + ", 0700)");
  }
  const OwnedFd base(open(parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!base.valid()) return SystemError("open(" + parent + ", O_DIRECTORY)");
  Result<OwnedFd> own = OpenOwnFolder(base.get(), "cordon", kOthersWrite);
  if (!own) return std::unexpected(own.error());
  Result<OwnedFd> objects = OpenOwnFolder(own->get(), "objects", kOthers);
  if (!objects) return std::unexpected(objects.error());
  return CompileCache(std::move(*objects), std::move(compiler));
}

std::string CompileCache::NameOf(const Sha256::Digest& module_hash, Tier tier, CpuLevel cpu_level) {
  Sha256 key;
  key.Update("cordon object " + std::to_string(kObjectVersion) + " " +
             std::to_string(static_cast<uint32_t>(tier)) + " " +
             std::to_string(static_cast<uint32_t>(cpu_level)) + " ");
  key.Update(std::as_bytes(std::span(module_hash)));
  return Sha256::Hex(key.Finish()) + ".cwo";
}

// Whatever is in a file of the cache or comes from the compiler is checked like something hostile.
Result<CachedObject> CompileCache::Check(OwnedFd fd, const Wanted& wanted) const {
  struct stat status = {};
  if (fstat(fd.get(), &status) != 0) return SystemError("fstat(object)");
  if (!S_ISREG(status.st_mode) || status.st_uid != geteuid()) {
    return Fail(ErrorCode::kCorrupt, "a cached object is not a file of this user");
  }
  const auto size = static_cast<uint64_t>(status.st_size);
  if (size < sizeof(ObjectHeader)) return Fail(ErrorCode::kCorrupt, "a cached object is truncated");
  const FileMapping mapping(fd.get(), size);
  if (!mapping.valid()) return SystemError("mmap(object, PROT_READ)");
  CORDON_TRY(VerifyObjectHash(mapping.bytes()));
  const Result<ObjectView> view = ParseObject(mapping.bytes());
  if (!view) return std::unexpected(view.error());
  if (view->header->module_hash != wanted.module_hash || view->header->tier != wanted.tier ||
      view->header->cpu_level != wanted.cpu_level) {
    return Fail(ErrorCode::kCorrupt, "a cached object is of another module");
  }
  return CachedObject{std::move(fd), size, wanted.tier, true};
}

Result<CachedObject> CompileCache::Load(const Wanted& wanted) const {
  const std::string name = NameOf(wanted.module_hash, wanted.tier, wanted.cpu_level);
  OwnedFd fd(openat(folder_.get(), name.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK));
  if (!fd.valid()) return SystemError("openat(" + name + ", O_NOFOLLOW)");
  Result<CachedObject> object = Check(std::move(fd), wanted);
  // A damaged one makes room for a new one.
  if (!object) unlinkat(folder_.get(), name.c_str(), 0);
  return object;
}

Result<OwnedFd> CompileCache::RunCompiler(std::span<const std::byte> module, Tier tier,
                                          const CompileRequest& request) const {
  Result<OwnedFd> input = MemoryFileWith("module", module);
  if (!input) return input;
  Result<OwnedFd> output = NewMemoryFile("object");
  if (!output) return output;
  CompilerProcess process;
  process.program = compiler_;
  process.arguments = {
      tier == Tier::kFast ? "--tier=fast" : "--tier=optimised",
      request.cpu_level == CpuLevel::kX8664V3 ? "--cpu=x86-64-v3" : "--cpu=x86-64-v2",
      "--jobs=" + std::to_string(request.threads)};
  process.module_fd = input->get();
  process.object_fd = output->get();
  process.time_limit = request.time_limit;
  process.progress = request.progress;
  CORDON_TRY(process.Run());
  // The process has ended and nobody else has the descriptor; sealed, so that what is checked is
  // what is mapped.
  CORDON_TRY(SealMemoryFile(output->get()));
  struct stat status = {};
  if (fstat(output->get(), &status) != 0) return SystemError("fstat(object)");
  if (static_cast<uint64_t>(status.st_size) > request.object_bytes) {
    return Fail(ErrorCode::kLimit,
                "limit: object larger than " + std::to_string(request.object_bytes) + " bytes");
  }
  return output;
}

Status CompileCache::Store(const CachedObject& object, const std::string& name) const {
  Result<NewFile> file = NewFile::In(folder_.get());
  if (!file) return std::unexpected(file.error());
  const FileMapping mapping(object.fd.get(), object.size_bytes);
  if (!mapping.valid()) return SystemError("mmap(object)");
  CORDON_TRY(WriteAll(file->fd(), mapping.bytes(), "object"));
  const Status named = file->Name(name);
  // Somebody else compiled it meanwhile: damaged ones were removed before.
  return named || named.error().system_errno == EEXIST ? Status() : named;
}

Result<CachedObject> CompileCache::GetTier(std::span<const std::byte> module, Tier tier,
                                           const CompileRequest& request) const {
  const Wanted wanted = {HashOf(module), tier, request.cpu_level};
  if (Result<CachedObject> cached = Load(wanted)) return cached;
  Result<OwnedFd> compiled = RunCompiler(module, tier, request);
  if (!compiled) return std::unexpected(compiled.error());
  Result<CachedObject> object = Check(std::move(*compiled), wanted);
  if (!object) return object;
  // Not being able to keep it is not an error: it is compiled again the next time.
  const Status stored = Store(*object, NameOf(wanted.module_hash, tier, request.cpu_level));
  object->stored = stored.has_value();
  return object;
}

Result<CachedObject> CompileCache::Find(std::span<const std::byte> module,
                                        CpuLevel cpu_level) const {
  Wanted wanted = {HashOf(module), Tier::kOptimised, cpu_level};
  if (Result<CachedObject> optimised = Load(wanted)) return optimised;
  wanted.tier = Tier::kFast;
  return Load(wanted);
}

Result<CachedObject> CompileCache::Get(std::span<const std::byte> module,
                                       const CompileRequest& request) const {
  const Wanted wanted = {HashOf(module), Tier::kOptimised, request.cpu_level};
  if (Result<CachedObject> cached = Load(wanted)) return cached;
  return GetTier(module, Tier::kFast, request);
}

std::thread CompileCache::Optimise(std::vector<std::byte> module, CompileRequest request) const {
  return std::thread([this, bytes = std::move(module), wanted = std::move(request)] {
    // A failure shows when the next Get finds only the fast object.
    [[maybe_unused]] const Result<CachedObject> object = GetTier(bytes, Tier::kOptimised, wanted);
  });
}

}  // namespace cordon::wasm

#include "backend/wasm/modules.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>

#include "base/owned_fd.h"
#include "kernel/import_names.h"
#include "wasm/compile_cache.h"

namespace cordon::backend {
namespace {

constexpr off_t kMaxModule = off_t{512} << 20;
// So small a module is compiled well in a moment; a larger one begins with the fast tier.
constexpr size_t kSmallModule = 256 * 1024;

Result<std::vector<std::byte>> ReadAll(int fd, uint64_t size, const std::string& shown) {
  std::vector<std::byte> bytes(size);
  for (size_t done = 0; done < bytes.size();) {
    const ssize_t got =
        pread(fd, bytes.data() + done, bytes.size() - done, static_cast<off_t>(done));
    if (got < 0) return SystemError("read(" + shown + ")");
    if (got == 0) return Fail(ErrorCode::kCorrupt, "the file was cut while it was read", shown);
    done += static_cast<size_t>(got);
  }
  return bytes;
}

Result<std::vector<std::byte>> ReadModule(const std::string& path) {
  const OwnedFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) return SystemError("open(" + path + ")");
  struct stat stat = {};
  if (fstat(fd.get(), &stat) != 0) return SystemError("fstat(" + path + ")");
  if (!S_ISREG(stat.st_mode)) return Fail(ErrorCode::kInvalid, "not a regular file", path);
  if (stat.st_size > kMaxModule) return Fail(ErrorCode::kLimit, "more than 512 MiB", path);
  return ReadAll(fd.get(), static_cast<uint64_t>(stat.st_size), path);
}

Result<wasm::CachedObject> Compile(const wasm::CompileCache& cache,
                                   const std::vector<std::byte>& bytes,
                                   const CompileProgress& progress) {
  wasm::CompileRequest request;
  request.progress = progress;
  return bytes.size() <= kSmallModule ? cache.GetTier(bytes, wasm::Tier::kOptimised, request)
                                      : cache.Get(bytes, request);
}

// In a process that nobody waits for, because a keeper reaps all of its own children: what the fast
// tier compiled is compiled well, for the next start. The compiler's time limit ends it.
void OptimiseForNextTime(const wasm::CompileCache& cache, const std::vector<std::byte>& bytes) {
  constexpr int kBackground = 10;  // nice(2)
  const pid_t between = fork();
  if (between > 0) (void)waitpid(between, nullptr, 0);
  if (between != 0) return;
  if (fork() == 0) {
    const OwnedFd null(open("/dev/null", O_RDWR | O_CLOEXEC));
    for (const int descriptor : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
      (void)dup2(null.get(), descriptor);
    }
    (void)setsid();
    (void)setpriority(PRIO_PROCESS, 0, kBackground);
    wasm::CompileRequest request;
    request.threads = 1;
    (void)cache.GetTier(bytes, wasm::Tier::kOptimised, request);
  }
  _exit(0);
}

kernel::ImportMatch Match(const wasm::ObjectView& view, const wasm::ImportRecord& import) {
  const uint32_t type = view.functions[import.index].type;
  return kernel::MatchImport(view.String(import.module), view.String(import.name),
                             {view.Params(type), view.Results(type)});
}

// The module chooses the name: nothing of it may be taken for a terminal's control sequence.
std::string NameOf(const wasm::ObjectView& view, const wasm::ImportRecord& import) {
  constexpr size_t kMost = 200;
  std::string name(view.String(import.module));
  name.append(".").append(view.String(import.name));
  name.resize(std::min(name.size(), kMost));
  std::ranges::replace_if(name, [](char c) { return c < ' ' || c > '~'; }, '?');
  return name;
}

Status CheckProgram(const wasm::ObjectView& view, const std::string& path) {
  if (!view.Is(wasm::kIsCommand) || view.memories.empty()) {
    return Fail(ErrorCode::kUnsupported,
                "no program: it exports no function _start and memory (a reactor or library)",
                path);
  }
  for (const wasm::ImportRecord& import : view.imports) {
    if (view.String(import.module) == "wasi_unstable") {
      return Fail(ErrorCode::kUnsupported,
                  "it imports wasi_unstable; what is there is wasi_snapshot_preview1", path);
    }
    if (import.kind != wasm::ExternKind::kFunction) {
      return Fail(ErrorCode::kUnsupported,
                  "it imports " + NameOf(view, import) + ", which is no function", path);
    }
    if (Match(view, import) == kernel::ImportMatch::kOtherType) {
      return Fail(ErrorCode::kInvalid, "it imports " + NameOf(view, import) + " with another type",
                  path);
    }
  }
  return {};
}

Result<wasm::CompileCache> OpenCache(const std::string& compiler) {
  const Result<std::string> parent = wasm::CompileCache::DefaultParent();
  if (!parent) return std::unexpected(parent.error());
  return wasm::CompileCache::Open(*parent, compiler);
}

// Of the object that the cache has or had made.
Result<Module> ModuleOf(std::vector<std::byte> bytes, const Result<wasm::CachedObject>& object,
                        const std::string& shown) {
  if (!object) {
    Error error = object.error();
    error.place = shown + (error.place.empty() ? "" : ":" + error.place);
    return std::unexpected(error);
  }
  Module module;
  module.bytes = std::move(bytes);
  module.is_optimised = object->tier == wasm::Tier::kOptimised;
  Result<std::vector<std::byte>> code = ReadAll(object->fd.get(), object->size_bytes, shown);
  if (!code) return std::unexpected(code.error());
  module.object = std::move(*code);
  const Result<wasm::ObjectView> view = wasm::ParseObject(module.object);
  if (!view) return std::unexpected(view.error());
  CORDON_TRY(CheckProgram(*view, shown));
  return module;
}

}  // namespace

Result<Module> LoadModule(const std::string& path, const std::string& compiler,
                          const CompileProgress& progress) {
  Result<std::vector<std::byte>> bytes = ReadModule(path);
  if (!bytes) return std::unexpected(bytes.error());
  const Result<wasm::CompileCache> cache = OpenCache(compiler);
  if (!cache) return std::unexpected(cache.error());
  const Result<wasm::CachedObject> object = Compile(*cache, *bytes, progress);
  if (object && object->tier == wasm::Tier::kFast && object->stored) {
    OptimiseForNextTime(*cache, *bytes);
  }
  Result<Module> module = ModuleOf(std::move(*bytes), object, path);
  if (module) module->guest_path = "/usr/local/bin/" + path.substr(path.rfind('/') + 1);
  return module;
}

Result<Module> CompileModule(std::vector<std::byte> bytes, const std::string& shown,
                             const std::string& compiler, const CompileProgress& progress) {
  const Result<wasm::CompileCache> cache = OpenCache(compiler);
  if (!cache) return std::unexpected(cache.error());
  const Result<wasm::CachedObject> object = Compile(*cache, bytes, progress);
  return ModuleOf(std::move(bytes), object, shown);
}

Status OptimiseModule(std::span<const std::byte> bytes, const std::string& compiler) {
  const Result<wasm::CompileCache> cache = OpenCache(compiler);
  if (!cache) return std::unexpected(cache.error());
  wasm::CompileRequest request;
  request.threads = 1;
  const auto object = cache->GetTier(bytes, wasm::Tier::kOptimised, request);
  if (!object) return std::unexpected(object.error());
  return {};
}

Result<Module> FindCompiledModule(std::vector<std::byte> bytes, const std::string& shown) {
  const Result<wasm::CompileCache> cache = OpenCache({});
  if (!cache) return std::unexpected(cache.error());
  const Result<wasm::CachedObject> object = cache->Find(bytes, wasm::CompileRequest().cpu_level);
  return ModuleOf(std::move(bytes), object, shown);
}

std::vector<std::string> UnknownImports(const Module& module) {
  std::vector<std::string> names;
  const Result<wasm::ObjectView> view = wasm::ParseObject(module.object);
  if (!view) return names;
  for (const wasm::ImportRecord& import : view->imports) {
    if (import.kind == wasm::ExternKind::kFunction &&
        Match(*view, import) == kernel::ImportMatch::kUnknown)
      names.push_back(NameOf(*view, import));
  }
  return names;
}

}  // namespace cordon::backend

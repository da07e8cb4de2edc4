#include "live/package_calls.h"

#include <sys/stat.h>

#include <cerrno>
#include <span>
#include <vector>

#include "backend/wasm/mailbox.h"
#include "backend/wasm/modules.h"
#include "backend/wasm/tree_calls.h"
#include "pkg/policy.h"
#include "pkg/store.h"
#include "wasm/compile_cache.h"

namespace cordon::live {
namespace {

using backend::TreeCalls;

constexpr TreeCalls::Owner kRoot = {0, 0};
constexpr const char* kFolder = "/usr/share/pkg";
constexpr const char* kCommands = "/usr/local/bin/";
constexpr uint64_t kMostBytes = uint64_t{512} << 20;

std::string FileOf(const std::string& name) {
  return std::string(kFolder) + "/bin/" + name + ".wasm";
}

Status MakeFolders(const TreeCalls& calls) {
  CORDON_TRY(calls.Make("/usr/share", S_IFDIR | 0755, kRoot));
  CORDON_TRY(calls.Make(kFolder, S_IFDIR | 0755, kRoot));
  return calls.Make(std::string(kFolder) + "/bin", S_IFDIR | 0755, kRoot);
}

Status WriteFile(const TreeCalls& calls, const std::string& path, uint32_t mode,
                 std::span<const std::byte> bytes) {
  CORDON_TRY(calls.Make(path, S_IFREG | mode, kRoot));
  Status written = calls.Write(path, 0, bytes);
  if (!written) (void)calls.Remove(path);
  return written;
}

Result<pkg::Store> OpenStore() {
  const Result<std::string> parent = wasm::CompileCache::DefaultParent();
  if (!parent) return std::unexpected(parent.error());
  return pkg::Store::Open(*parent);
}

bool IsOwnCommand(backend::Mailbox& mailbox, const std::string& name) {
  const Result<backend::GuestStat> stat = mailbox.ReadStat(kCommands + name);
  return stat && S_ISLNK(stat->mode) && stat->link_target == FileOf(name);
}

}  // namespace

Status PackageCalls::WriteList(const std::string& list) {
  const TreeCalls calls(keeper_);
  CORDON_TRY(MakeFolders(calls));
  return WriteFile(calls, std::string(kFolder) + "/packages.json", 0644,
                   std::as_bytes(std::span(list)));
}

Status PackageCalls::Add(const std::string& name, const std::string& hash, const std::string& list,
                         bool may_shadow) {
  backend::Mailbox mailbox(keeper_);
  const bool is_own = IsOwnCommand(mailbox, name);
  for (const char* folder : {"/usr/local/bin/", "/usr/bin/", "/usr/sbin/"}) {
    const bool is_there = mailbox.ReadStat(folder + name).has_value();
    if (is_there && !is_own && !may_shadow) {
      return SystemError("'" + name + "' is a program that is there already", EEXIST);
    }
  }
  const Result<pkg::Store> store = OpenStore();
  if (!store) return std::unexpected(store.error());
  Result<std::vector<std::byte>> bytes = store->Load(hash);
  if (!bytes) return std::unexpected(bytes.error());
  const Result<backend::Module> module = backend::CompileModule(
      std::move(*bytes), name, compiler_, backend::Compiling::kCachedOnly, {});
  if (!module) return std::unexpected(module.error());
  const auto& window = keeper_.files().code_mapping;
  if (window == nullptr) return Fail(ErrorCode::kInternal, "the sandbox has no room for packages");
  CORDON_TRY(backend::AddToCodeWindow(window->bytes(), *module));
  const TreeCalls calls(keeper_);
  CORDON_TRY(MakeFolders(calls));
  CORDON_TRY(WriteFile(calls, FileOf(name), 0755, module->bytes));
  Status added = WriteList(list);
  if (added) added = calls.Make(kCommands + name, S_IFLNK | 0777, kRoot, FileOf(name));
  if (!added) (void)calls.Remove(FileOf(name));
  return added;
}

Status PackageCalls::Remove(const std::string& name, const std::string& list) {
  backend::Mailbox mailbox(keeper_);
  const TreeCalls calls(keeper_);
  if (IsOwnCommand(mailbox, name)) CORDON_TRY(calls.Remove(kCommands + name));
  const Status removed = calls.Remove(FileOf(name));
  if (!removed && removed.error().system_errno != ENOENT) return removed;
  return WriteList(list);
}

Result<std::string> PackageCalls::Keep(const std::string& name) {
  const TreeCalls calls(keeper_);
  std::vector<std::byte> bytes;
  for (;;) {
    const Result<std::vector<std::byte>> more = calls.Read(FileOf(name), bytes.size());
    if (!more) return std::unexpected(more.error());
    if (more->empty()) break;
    bytes.insert(bytes.end(), more->begin(), more->end());
    if (bytes.size() > kMostBytes) return Fail(ErrorCode::kLimit, "a package of more than 512 MiB");
  }
  const Result<pkg::Store> store = OpenStore();
  if (!store) return std::unexpected(store.error());
  const std::string hash = pkg::HashOf(bytes);
  CORDON_TRY(store->Save(hash, bytes));
  return hash;
}

FileAnswer PackageCalls::Answer(const Frame& frame) {
  PayloadReader reader(frame.payload);
  std::string name;
  if (!reader.TakeString(&name) || !pkg::CheckName(name)) return {-EINVAL, "no name of a package"};
  Status done;
  FileAnswer answer;
  if (frame.kind == Kind::kPackageKeep) {
    Result<std::string> hash = Keep(name);
    if (hash) {
      answer.payload = std::move(*hash);
    } else {
      done = std::unexpected(hash.error());
    }
  } else if (frame.kind == Kind::kPackageRemove) {
    done = Remove(name, std::string(reader.rest()));
  } else {
    std::string hash;
    if (!reader.TakeString(&hash) || !pkg::CleanHash(hash)) return {-EINVAL, "no hash"};
    done = Add(name, hash, std::string(reader.rest()), frame.arg[0] != 0);
  }
  if (done) return answer;
  return {done.error().system_errno != 0 ? -done.error().system_errno : -EIO,
          done.error().ToString()};
}

}  // namespace cordon::live

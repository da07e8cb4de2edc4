#include "live/package_calls.h"

#include <sys/stat.h>

#include <cerrno>
#include <span>
#include <vector>

#include "backend/wasm/mailbox.h"
#include "backend/wasm/tree_calls.h"
#include "packages/installed.h"
#include "packages/policy.h"
#include "packages/store.h"

namespace cordon::live {
namespace {

using backend::Mailbox;
using backend::Permission;
using backend::TreeCalls;
using packages::kCommandFolder;
using packages::ModulePath;
using packages::Store;

constexpr TreeCalls::Owner kRoot = {0, 0};
constexpr uint64_t kMostBytes = uint64_t{512} << 20;

Status MakeFolders(const TreeCalls& calls) {
  for (const char* folder : {"/usr/share", packages::kFolder, "/usr/share/pkg/bin"}) {
    CORDON_TRY(calls.Make(folder, S_IFDIR | 0755, kRoot));
  }
  return {};
}

// Whole, or not there.
Status PutFile(backend::Keeper& keeper, const std::string& path, uint32_t mode,
               std::span<const std::byte> bytes) {
  const TreeCalls calls(keeper);
  const std::string temporary = path + ".cordon-new";
  Status put = calls.Make(temporary, S_IFREG | mode, kRoot);
  if (put) put = calls.Write(temporary, 0, bytes);
  if (put) put = Mailbox(keeper).Rename(temporary, path);
  if (!put) (void)calls.Remove(temporary);
  return put;
}

Status PutList(backend::Keeper& keeper, const std::string& list) {
  return PutFile(keeper, packages::kListFile, 0644, std::as_bytes(std::span(list)));
}

bool IsOwnCommand(Mailbox& mailbox, const std::string& name) {
  const Result<backend::GuestStat> stat = mailbox.ReadStat(kCommandFolder + name);
  return stat && S_ISLNK(stat->mode) && stat->link_target == ModulePath(name);
}

// Beside the package's own command, which an import may have brought.
bool IsProgram(Mailbox& mailbox, const std::string& name) {
  for (const char* folder : {"/usr/bin/", "/usr/sbin/"}) {
    if (mailbox.ReadStat(folder + name)) return true;
  }
  return mailbox.ReadStat(kCommandFolder + name) && !IsOwnCommand(mailbox, name);
}

int64_t NumberOf(const Error& error) {
  if (error.code == ErrorCode::kLimit) return -ENOSPC;
  if (error.code == ErrorCode::kInvalid && error.system_errno == 0) return -EEXIST;
  return error.system_errno != 0 ? -error.system_errno : -EIO;
}

}  // namespace

Result<std::vector<std::byte>> PackageCalls::Load(const std::string& hash, const std::string& shown,
                                                  Permission permission) {
  const auto& files = keeper_.files();
  if (files.code_mapping == nullptr) {
    return Fail(ErrorCode::kUnsupported, "the sandbox was started without room for packages");
  }
  const Result<Store> store = Store::OpenDefault();
  if (!store) return std::unexpected(store.error());
  Result<std::vector<std::byte>> bytes = store->Load(hash);
  if (!bytes) return bytes;
  Result<backend::Module> module = backend::FindCompiledModule(std::move(*bytes), shown);
  if (!module) return std::unexpected(module.error());
  CORDON_TRY(backend::AddToCodeWindow(files.code_mapping->bytes(), files.code_window.get(), *module,
                                      permission));
  return std::move(module->bytes);
}

Status PackageCalls::Check(const std::string& name, bool may_shadow) {
  Mailbox mailbox(keeper_);
  if (may_shadow || !IsProgram(mailbox, name)) return {};
  return Fail(ErrorCode::kInvalid, "'" + name + "' is a program that is there already");
}

Status PackageCalls::Add(const std::string& name, const std::string& hash, const std::string& list,
                         bool may_shadow) {
  CORDON_TRY(Check(name, may_shadow));
  Mailbox mailbox(keeper_);
  const bool is_own = IsOwnCommand(mailbox, name);
  const Permission permission =
      options_.AllowsTool(name) ? Permission::kAllowed : Permission::kAsBefore;
  const Result<std::vector<std::byte>> bytes = Load(hash, name, permission);
  if (!bytes) return std::unexpected(bytes.error());
  const TreeCalls calls(keeper_);
  CORDON_TRY(MakeFolders(calls));
  CORDON_TRY(PutFile(keeper_, ModulePath(name), 0755, *bytes));
  Status added = is_own
                     ? Status()
                     : calls.Make(kCommandFolder + name, S_IFLNK | 0777, kRoot, ModulePath(name));
  if (added) added = PutList(keeper_, list);
  if (!added && !is_own) {
    (void)calls.Remove(kCommandFolder + name);
    (void)calls.Remove(ModulePath(name));
  }
  return added;
}

Status PackageCalls::Remove(const std::string& name, const std::string& list) {
  Mailbox mailbox(keeper_);
  const TreeCalls calls(keeper_);
  if (IsOwnCommand(mailbox, name)) CORDON_TRY(calls.Remove(kCommandFolder + name));
  const Status removed = calls.Remove(ModulePath(name));
  if (!removed && removed.error().system_errno != ENOENT) return removed;
  CORDON_TRY(MakeFolders(calls));
  return PutList(keeper_, list);
}

Result<std::string> PackageCalls::Keep(const std::string& name) {
  const TreeCalls calls(keeper_);
  std::vector<std::byte> bytes;
  for (;;) {
    const Result<std::vector<std::byte>> more = calls.Read(ModulePath(name), bytes.size());
    if (!more) return std::unexpected(more.error());
    if (more->empty()) break;
    bytes.insert(bytes.end(), more->begin(), more->end());
    if (bytes.size() > kMostBytes) return Fail(ErrorCode::kLimit, "a package of over 512 MiB");
  }
  const Result<Store> store = Store::OpenDefault();
  if (!store) return std::unexpected(store.error());
  std::string hash = packages::HashOf(bytes);
  if (!store->Load(hash)) CORDON_TRY(store->Save(hash, bytes));
  return hash;
}

FileAnswer PackageCalls::Answer(const Frame& frame) {
  PayloadReader reader(frame.payload);
  std::string name;
  std::string hash;
  Status done;
  FileAnswer answer;
  if (frame.kind == Kind::kPackageImprove) {
    if (!packages::CleanHash(frame.payload)) return {-EINVAL, "no hash"};
    const Result<std::vector<std::byte>> loaded =
        Load(frame.payload, frame.payload, Permission::kAsBefore);
    if (!loaded) done = std::unexpected(loaded.error());
  } else if (!reader.TakeString(&name) || !packages::CheckName(name)) {
    return {-EINVAL, "no name of a package"};
  } else if (frame.kind == Kind::kPackageCheck) {
    done = Check(name, frame.arg[0] != 0);
  } else if (frame.kind == Kind::kPackageKeep) {
    Result<std::string> kept = Keep(name);
    if (kept) answer.payload = std::move(*kept);
    if (!kept) done = std::unexpected(kept.error());
  } else if (frame.kind == Kind::kPackageRemove) {
    done = Remove(name, std::string(reader.rest()));
  } else {
    if (!reader.TakeString(&hash) || !packages::CleanHash(hash)) return {-EINVAL, "no hash"};
    done = Add(name, hash, std::string(reader.rest()), frame.arg[0] != 0);
  }
  if (done) return answer;
  return {NumberOf(done.error()), done.error().ToString()};
}

}  // namespace cordon::live

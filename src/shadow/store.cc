#include "shadow/store.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/random_digits.h"
#include "base/write_all.h"
#include "policy/host_files.h"
#include "policy/trust.h"
#include "shadow/remove.h"

namespace cordon::shadow {
namespace {

constexpr size_t kMaxInfoBytes = 1 << 20;
constexpr size_t kMaxFileBytes = size_t{4} << 30;
constexpr const char* kInfo = "shadow.json";
constexpr size_t kIdDigits = 12;

std::string StateHome(const policy::Surroundings& around) {
  const std::string named = around.Variable("XDG_STATE_HOME");
  if (named.starts_with('/')) return policy::AbsolutePath("/", named);
  return around.home.empty() ? std::string() : around.home + "/.local/state";
}

bool IsId(std::string_view text) {
  return text.size() == kIdDigits &&
         text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

// Names of paths are bytes, and JSON is text: a path that is none is written in hexadecimal.
std::string Hex(const std::string& bytes) {
  std::string text;
  for (const char c : bytes) {
    text += "0123456789abcdef"[static_cast<unsigned char>(c) >> 4];
    text += "0123456789abcdef"[static_cast<unsigned char>(c) & 15];
  }
  return text;
}

std::string FromHex(std::string_view text) {
  const auto digit = [](char c) { return c <= '9' ? c - '0' : c - 'a' + 10; };
  std::string bytes;
  for (size_t i = 0; i + 1 < text.size(); i += 2)
    bytes += static_cast<char>(digit(text[i]) << 4 | digit(text[i + 1]));
  return bytes;
}

Result<ShadowInfo> ParseInfo(const std::string& text, const std::string& id,
                             const std::string& file) {
  const nlohmann::json json = nlohmann::json::parse(text, nullptr, false);
  const auto bad = [&] { return Fail(ErrorCode::kCorrupt, "not a shadow, version 1", file); };
  const auto is_text = [&](const char* key) { return json.contains(key) && json[key].is_string(); };
  const auto is_number = [&](const char* key) {
    return json.contains(key) && json[key].is_number_integer();
  };
  if (!json.is_object() || !is_number("version") || json["version"] != 1 || !is_text("mode") ||
      !is_text("workspace_bytes") || !is_text("mode_why") || !is_number("device") ||
      !is_number("inode") || !is_number("created")) {
    return bad();
  }
  ShadowInfo info;
  info.id = id;
  info.workspace = FromHex(json["workspace_bytes"].get<std::string>());
  info.workspace_device = json["device"].get<uint64_t>();
  info.workspace_inode = json["inode"].get<uint64_t>();
  info.mode = json["mode"] == "overlay" ? Mode::kOverlay : Mode::kCopy;
  info.mode_why = json["mode_why"].get<std::string>();
  info.created = std::chrono::sys_seconds(std::chrono::seconds(json["created"].get<int64_t>()));
  if (!info.workspace.starts_with('/')) return bad();
  return info;
}

std::string InfoText(const ShadowInfo& info) {
  const nlohmann::json json = {{"version", 1},
                               {"workspace", info.workspace},
                               {"workspace_bytes", Hex(info.workspace)},
                               {"device", info.workspace_device},
                               {"inode", info.workspace_inode},
                               {"mode", ModeName(info.mode)},
                               {"mode_why", info.mode_why},
                               {"created", info.created.time_since_epoch().count()}};
  return json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

Status SyncFolder(int folder) {
  const OwnedFd fd(openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd.valid() || fsync(fd.get()) != 0) return SystemError("fsync(store)");
  return {};
}

Result<OwnedFd> Lock(int folder, Use use) {
  OwnedFd lock(openat(folder, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!lock.valid()) return SystemError("openat(lock)");
  if (flock(lock.get(), (use == Use::kAlone ? LOCK_EX : LOCK_SH) | LOCK_NB) != 0)
    return SystemError("flock(lock)");
  return lock;
}

}  // namespace

const char* ModeName(Mode mode) {
  return mode == Mode::kOverlay ? "overlay" : "copy";
}

// --- a shadow ---

Result<Tree> Shadow::OpenFiles() const {
  return Tree::Open(folder_ + (info_.mode == Mode::kCopy ? "/tree" : "/upper"), Ownership::kOurs);
}

Result<Tree> Shadow::OpenWorkspace() const {
  Result<Tree> tree = Tree::Open(info_.workspace, Ownership::kUsers);
  if (!tree) return tree;
  const Result<Stat> stat = LookAtOpen(tree->get());
  if (!stat) return std::unexpected(stat.error());
  if (stat->identity.device != info_.workspace_device ||
      stat->identity.inode != info_.workspace_inode) {
    return Fail(ErrorCode::kInvalid, "is not the directory any more that the shadow was made of",
                info_.workspace);
  }
  return tree;
}

Result<Manifest> Shadow::ReadBase() const {
  const Result<std::string> bytes = Read("base");
  if (!bytes) return std::unexpected(bytes.error());
  return ReadManifest(*bytes, folder_ + "/base");
}

Result<std::string> Shadow::Read(const std::string& name) const {
  return policy::ReadHostFile(folder_ + "/" + name, kMaxFileBytes);
}

bool Shadow::Has(const std::string& name) const {
  return faccessat(fd_.get(), name.c_str(), F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

Status Shadow::Write(const std::string& name, const std::string& bytes) const {
  const std::string fresh = name + ".new";
  const OwnedFd file(openat(fd_.get(), fresh.c_str(),
                            O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!file.valid()) return SystemError("openat(" + fresh + ")");
  CORDON_TRY(WriteAll(file.get(), bytes, fresh));
  if (fsync(file.get()) != 0) return SystemError("fsync(" + fresh + ")");
  return Rename(fresh, name);
}

Status Shadow::Rename(const std::string& from, const std::string& to) const {
  if (renameat(fd_.get(), from.c_str(), fd_.get(), to.c_str()) != 0)
    return SystemError("renameat(" + to + ")");
  return SyncFolder(fd_.get());
}

Status Shadow::Remove(const std::string& name) const {
  if (unlinkat(fd_.get(), name.c_str(), 0) != 0 && errno != ENOENT)
    return SystemError("unlinkat(" + name + ")");
  return SyncFolder(fd_.get());
}

// --- all of them ---

Result<Store> Store::Open(const policy::Surroundings& around) {
  const std::string home = StateHome(around);
  if (home.empty()) return Fail(ErrorCode::kInvalid, "no home directory to keep shadows in");
  const std::string folder = home + "/cordon/shadow";
  CORDON_TRY(policy::MakeFolders(folder));
  for (const std::string& path : {home + "/cordon", folder})
    CORDON_TRY(policy::CheckOwner(path, around.uid));
  OwnedFd fd(open(folder.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW));
  if (!fd.valid()) return SystemError("open(" + folder + ", O_NOFOLLOW)");
  struct stat stat = {};
  if (fstat(fd.get(), &stat) != 0) return SystemError("fstat(" + folder + ")");
  if (stat.st_uid != around.uid || (stat.st_mode & 077) != 0) {
    return Fail(ErrorCode::kInvalid, "others may enter it (expected your own, mode 0700)", folder);
  }
  const std::string real = policy::RealPath(folder);
  return Store(real.empty() ? folder : real, std::move(fd), around.uid);
}

Result<ShadowInfo> Store::ReadInfo(const std::string& id) const {
  const std::string file = folder_ + "/" + id + "/" + kInfo;
  const Result<std::string> text = policy::ReadHostFile(file, kMaxInfoBytes);
  if (!text) return std::unexpected(text.error());
  return ParseInfo(*text, id, file);
}

Result<std::vector<ShadowInfo>> Store::List() const {
  Result<Tree> tree = Tree::Open(folder_, Ownership::kUsers);
  if (!tree) return std::unexpected(tree.error());
  std::vector<ShadowInfo> infos;
  std::vector<Unseen> unseen;
  const Status walked = Walk(*tree, &unseen, [&](const Visited& visited) -> Result<Visit> {
    if (!IsId(visited.name)) return Visit::kSkip;
    Result<ShadowInfo> info = ReadInfo(visited.name);
    // One that is being made has none yet.
    if (!info && info.error().system_errno != ENOENT) return std::unexpected(info.error());
    if (info) infos.push_back(std::move(*info));
    return Visit::kSkip;
  });
  if (!walked) return std::unexpected(walked.error());
  std::ranges::sort(infos, {},
                    [](const ShadowInfo& info) { return std::pair(info.created, info.id); });
  return infos;
}

Result<ShadowInfo> Store::Find(const std::string& id) const {
  const Result<std::vector<ShadowInfo>> all = List();
  if (!all) return std::unexpected(all.error());
  std::vector<ShadowInfo> found;
  for (const ShadowInfo& info : *all) {
    if (!id.empty() && info.id.starts_with(id)) found.push_back(info);
  }
  if (found.size() == 1) return found.front();
  return Fail(ErrorCode::kInvalid, found.empty() ? "no such shadow" : "more than one begins so",
              id);
}

Result<ShadowInfo> Store::FindFor(const std::string& directory) const {
  const Result<std::vector<ShadowInfo>> all = List();
  if (!all) return std::unexpected(all.error());
  std::vector<ShadowInfo> found;
  for (const ShadowInfo& info : *all) {
    if (policy::IsWithin(directory, info.workspace)) found.push_back(info);
  }
  if (found.size() == 1) return found.front();
  std::string ids;
  for (const ShadowInfo& info : found) ids += " " + info.id;
  return Fail(ErrorCode::kInvalid,
              found.empty() ? "no shadow of this directory; cordon shadow create makes one"
                            : "more than one shadow, --shadow says which:" + ids,
              directory);
}

Result<Shadow> Store::OpenShadow(const std::string& id, Use use) const {
  Result<ShadowInfo> info = ReadInfo(id);
  if (!info) return std::unexpected(info.error());
  OwnedFd fd(openat(fd_.get(), id.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!fd.valid()) return SystemError("openat(" + id + ")");
  Result<OwnedFd> lock = Lock(fd.get(), use);
  if (!lock && lock.error().system_errno == EWOULDBLOCK) {
    return Fail(ErrorCode::kInvalid, "a command, a diff or a commit is using it", "shadow " + id);
  }
  if (!lock) return std::unexpected(lock.error());
  return Shadow(std::move(*info), folder_ + "/" + id, std::move(fd), std::move(*lock));
}

Result<Shadow> Store::Begin(ShadowInfo info) const {
  const std::string id = RandomDigits(kIdDigits);
  info.id = id;
  if (mkdirat(fd_.get(), id.c_str(), 0700) != 0) return SystemError("mkdirat(" + id + ")");
  OwnedFd fd(openat(fd_.get(), id.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!fd.valid()) return SystemError("openat(" + id + ")");
  Result<OwnedFd> lock = Lock(fd.get(), Use::kAlone);
  if (!lock) return std::unexpected(lock.error());
  return Shadow(std::move(info), folder_ + "/" + id, std::move(fd), std::move(*lock));
}

Status Store::Finish(const Shadow& shadow) {
  return shadow.Write(kInfo, InfoText(shadow.info()));
}

Status Store::Discard(Shadow shadow) const {
  // From here on it is no shadow any more, whatever happens.
  CORDON_TRY(shadow.Remove(kInfo));
  return RemoveTree(fd_.get(), shadow.info().id);
}

Status Store::RemoveRemains() const {
  Result<Tree> tree = Tree::Open(folder_, Ownership::kUsers);
  if (!tree) return std::unexpected(tree.error());
  std::vector<std::string> remains;
  std::vector<Unseen> unseen;
  CORDON_TRY(Walk(*tree, &unseen, [&](const Visited& visited) -> Result<Visit> {
    std::string id = visited.name;
    if (id.ends_with(kRemovalSuffix)) id.resize(id.rfind('.'));
    if (IsId(id) && !HasInfo(id)) remains.push_back(id);
    return Visit::kSkip;
  }));
  for (const std::string& id : remains) {
    const OwnedFd fd(openat(fd_.get(), id.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    const Result<OwnedFd> lock = fd.valid() ? Lock(fd.get(), Use::kAlone) : Result<OwnedFd>();
    // Somebody makes it right now, or has just finished.
    if (!lock || HasInfo(id)) continue;
    CORDON_TRY(RemoveTree(fd_.get(), id));
  }
  return {};
}

bool Store::HasInfo(const std::string& id) const {
  return faccessat(fd_.get(), (id + "/" + kInfo).c_str(), F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

}  // namespace cordon::shadow

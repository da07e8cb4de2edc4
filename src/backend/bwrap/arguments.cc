#include "backend/bwrap/arguments.h"

#include <unistd.h>

#include <set>

#include "backend/native/fit.h"
#include "backend/native/generated_files.h"
#include "backend/native/namespaces.h"
#include "backend/native/system_calls.h"
#include "backend/supervisor/sources.h"
#include "backend/supervisor/supervisor.h"
#include "base/memory_file.h"

namespace cordon::backend {
namespace {

using policy::Mount;
using policy::MountKind;
using policy::NodeType;

class Writer {
 public:
  Writer(const policy::Plan& plan, int first)
      : plan_(plan), next_(first), identity_(native::IdentityOf(getuid(), getgid())) {}

  Result<BwrapArguments> Write() {
    WriteNamespaces();
    for (size_t i = 0; i < plan_.mounts.size(); ++i) CORDON_TRY(WriteMount(i));
    Add({"--remount-ro", "/"});
    for (const policy::Variable& variable : plan_.environment) {
      Add({"--setenv", variable.name, variable.value});
    }
    Add({"--chdir", plan_.directory});
    CORDON_TRY(WriteFilter());
    return std::move(made_);
  }

 private:
  void Add(std::initializer_list<std::string> words) {
    made_.options.insert(made_.options.end(), words);
  }
  std::string Give(OwnedFd fd) {
    made_.descriptors.push_back(std::move(fd));
    return std::to_string(next_++);
  }

  // Each by its name: what cannot be had ends the run.
  void WriteNamespaces() {
    // With a network bubblewrap starts in the namespace that has it.
    if (!native::HasGateway(plan_)) Add({"--unshare-net"});
    Add({"--unshare-user", "--unshare-ipc", "--unshare-pid", "--unshare-uts", "--unshare-cgroup",
         "--die-with-parent", "--clearenv", "--hostname", "cordon", "--uid",
         std::to_string(identity_.uid), "--gid", std::to_string(identity_.gid), "--cap-drop",
         "ALL"});
  }

  // The table of the native wall.
  Status WriteFilter() {
    Result<OwnedFd> file = MemoryFileWith("cordon", native::SystemCallProgram());
    if (!file) return std::unexpected(file.error());
    Add({"--seccomp", Give(std::move(*file))});
    return {};
  }

  Status WriteText(const std::string& target, const std::string& text, const char* mode) {
    Result<OwnedFd> file = MemoryFileWith("cordon", text);
    if (!file) return std::unexpected(file.error());
    Add({"--perms", mode, "--ro-bind-data", Give(std::move(*file)), target});
    return {};
  }

  Status WritePins(size_t index) {
    for (const Pin& pin : PinsOf(plan_, index)) {
      const std::string target = pin.bind->target + "/" + pin.inner;
      if (!pinned_.insert(target).second) continue;
      const Result<std::optional<OwnedFd>> source = OpenSource(*pin.bind);
      if (!source) return std::unexpected(source.error());
      if (!*source) return Fail(ErrorCode::kInvalid, pin.bind->source + " has gone; plan again");
      Result<OwnedFd> inner = OpenInside(**source, pin.inner);
      if (!inner) return std::unexpected(inner.error());
      Add({"--bind-fd", Give(std::move(*inner)), target});
    }
    return {};
  }

  Status WriteBind(const Mount& mount) {
    Result<std::optional<OwnedFd>> source = OpenSource(mount);
    if (!source) return std::unexpected(source.error());
    if (!*source) return {};
    Add({mount.read_only ? "--ro-bind-fd" : "--bind-fd", Give(std::move(**source)), mount.target});
    return {};
  }

  void WriteTmpfs(const Mount& mount) {
    const bool is_open = mount.target == "/tmp" || mount.target == "/var/tmp";
    Add({"--perms", is_open ? "1777" : "0755"});
    if (mount.size_bytes) Add({"--size", std::to_string(*mount.size_bytes)});
    Add({"--tmpfs", mount.target});
    if (mount.read_only) Add({"--remount-ro", mount.target});
  }

  Status WriteMask(const Mount& mount) {
    if (mount.type != NodeType::kDirectory) return WriteText(mount.target, "", "0444");
    Add({"--perms", "0555", "--tmpfs", mount.target, "--remount-ro", mount.target});
    return {};
  }

  Status WriteMount(size_t index) {
    const Mount& mount = plan_.mounts[index];
    CORDON_TRY(WritePins(index));
    switch (mount.kind) {
      case MountKind::kBind:
      case MountKind::kCopy:
        return WriteBind(mount);
      case MountKind::kLink:
        Add({"--symlink", mount.source, mount.target});
        return {};
      case MountKind::kGenerated: {
        const Result<std::string> text = native::GeneratedText(mount.name, plan_, identity_);
        return text ? WriteText(mount.target, *text, "0444") : std::unexpected(text.error());
      }
      case MountKind::kTmpfs:
        WriteTmpfs(mount);
        return {};
      case MountKind::kProc:
        Add({"--proc", mount.target, "--remount-ro", mount.target});
        return {};
      case MountKind::kDev:
        Add({"--dev", mount.target, "--perms", "1777", "--tmpfs", mount.target + "/shm",
             "--remount-ro", mount.target});
        return {};
      case MountKind::kMask:
        return WriteMask(mount);
      case MountKind::kPlaceholder:
        return Fail(ErrorCode::kInternal, "a placeholder");
    }
    return Fail(ErrorCode::kInternal, "kind of mount");
  }

  const policy::Plan& plan_;
  int next_;
  native::Identity identity_;
  std::set<std::string> pinned_;
  BwrapArguments made_;
};

}  // namespace

Result<BwrapArguments> MakeBwrapArguments(const policy::Plan& plan, int first) {
  return Writer(plan, first).Write();
}

}  // namespace cordon::backend

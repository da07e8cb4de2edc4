#include "backend/wasm/lockdown.h"

#include <grp.h>
#include <linux/capability.h>
#include <linux/close_range.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "arena/layout.h"
#include "backend/wasm/filter.h"
#include "base/fd_message.h"

namespace cordon::backend {
namespace {

struct Region {
  const char* name;
  uint64_t address;
  uint64_t size_bytes;
  int protection;
  int sharing;
  int fd;
  uint64_t offset;
};

Status MapRegion(const Region& region) {
  if (region.size_bytes == 0) return {};
  void* wanted = reinterpret_cast<void*>(region.address);
  const void* got = mmap(wanted, region.size_bytes, region.protection,
                         region.sharing | MAP_FIXED_NOREPLACE | MAP_NORESERVE, region.fd,
                         static_cast<off_t>(region.offset));
  if (got == MAP_FAILED) return SystemError(std::string("mmap(") + region.name + ")");
  // Before Linux 4.17 the flag is only a hint.
  if (got != wanted)
    return Fail(ErrorCode::kSystem, std::string("mmap: no room for ") + region.name);
  return {};
}

Status ClearCapabilities() {
  __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  const __user_cap_data_struct none[2] = {};
  if (syscall(SYS_capset, &header, none) != 0) return SystemError("capset(none)");
  return {};
}

Status ClearBoundingSet() {
  // Those that are already gone read 0, those that this kernel does not have are an error.
  for (unsigned long capability = 0;; ++capability) {
    const int is_there = prctl(PR_CAPBSET_READ, capability);
    if (is_there < 0) return {};
    if (is_there == 0) continue;
    // Needs CAP_SETPCAP; without it there is nothing to gain the others with either.
    if (prctl(PR_CAPBSET_DROP, capability) != 0 && errno != EPERM) {
      return SystemError("prctl(PR_CAPBSET_DROP)");
    }
  }
}

Status BecomeUser(uint32_t id) {
  if (id == 0) return {};
  if (setgroups(0, nullptr) != 0) return SystemError("setgroups(0)");
  if (setresgid(id, id, id) != 0) return SystemError("setresgid");
  if (setresuid(id, id, id) != 0) return SystemError("setresuid");
  return {};
}

Status LimitResources(const control::Control& control) {
  constexpr struct {
    __rlimit_resource resource;
    const char* name;
  } kNothing[] = {
      {RLIMIT_CORE, "RLIMIT_CORE"},
      {RLIMIT_FSIZE, "RLIMIT_FSIZE"},
      {RLIMIT_MEMLOCK, "RLIMIT_MEMLOCK"},
      {RLIMIT_MSGQUEUE, "RLIMIT_MSGQUEUE"},
  };
  const rlimit none = {0, 0};
  for (const auto& [resource, name] : kNothing) {
    if (setrlimit(resource, &none) != 0) return SystemError(std::string("setrlimit(") + name + ")");
  }
  // What the family process gives is one descriptor, until it is mapped.
  const rlimit descriptors = control.can_fork != 0 ? rlimit{1, 1} : none;
  if (setrlimit(RLIMIT_NOFILE, &descriptors) != 0) return SystemError("setrlimit(RLIMIT_NOFILE)");
  return {};
}

}  // namespace

control::Control* MapControl() {
  struct stat stat = {};
  if (fstat(kControlFd, &stat) != 0 || stat.st_size < off_t{sizeof(control::Control)}) {
    return nullptr;
  }
  const Region region = {"control",
                         layout::kControl,
                         static_cast<uint64_t>(stat.st_size),
                         PROT_READ | PROT_WRITE,
                         MAP_SHARED,
                         kControlFd,
                         0};
  if (!MapRegion(region)) return nullptr;
  auto* control = reinterpret_cast<control::Control*>(layout::kControl);
  return control->magic == control::kMagic ? control : nullptr;
}

Status OfferListener(const control::Control& control) {
  if (control.can_fork == 0) return {};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
    return SystemError("prctl(PR_SET_NO_NEW_PRIVS)");
  }
  // libseccomp takes a listener of number 0 for none.
  if (dup2(kListenerFd, 0) != 0) return SystemError("dup2(0)");
  const Result<OwnedFd> listener = ListenForParts();
  if (!listener) return std::unexpected(listener.error());
  const int fds[] = {listener->get()};
  return SendWithFds(kListenerFd, {}, fds);
}

Status MapSandbox(const control::Control& control) {
  const Region regions[] = {
      {"objects", layout::kObjects, control.objects_bytes, PROT_READ | PROT_WRITE, MAP_SHARED,
       kObjectsFd, 0},
      {"blocks", layout::kBlocks, control.blocks_bytes, PROT_READ | PROT_WRITE, MAP_SHARED,
       kBlocksFd, 0},
      {"userland", layout::kUserland, control.userland_bytes, PROT_READ, MAP_PRIVATE, kUserlandFd,
       0},
      {"userland code", layout::kUserlandCode, control.userland_code_bytes, PROT_READ | PROT_EXEC,
       MAP_PRIVATE, kUserlandFd, control.userland_code_offset},
      {"frozen programs", layout::kUserlandFrozen, control.userland_frozen_bytes,
       PROT_READ | PROT_WRITE, MAP_PRIVATE, kUserlandFd, control.userland_frozen_offset},
      // Shared: the seal of a memfd holds for mappings of its own pages.
      {"code window", layout::kCodeWindow, control.code_window_bytes, PROT_READ | PROT_EXEC,
       MAP_SHARED, kCodeWindowFd, 0},
  };
  for (const Region& region : regions) CORDON_TRY(MapRegion(region));
  if (syscall(SYS_close_range, 0, ~0U, 0) != 0) return SystemError("close_range(0, ~0)");
  return {};
}

Status DropPrivileges(const control::Control& control) {
  CORDON_TRY(ClearBoundingSet());
  CORDON_TRY(BecomeUser(control.run_as_uid));
  if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) != 0) {
    return SystemError("prctl(PR_CAP_AMBIENT_CLEAR_ALL)");
  }
  CORDON_TRY(ClearCapabilities());
  CORDON_TRY(LimitResources(control));
  // After the change of user, which would set it again.
  if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) return SystemError("prctl(PR_SET_DUMPABLE)");
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
    return SystemError("prctl(PR_SET_NO_NEW_PRIVS)");
  }
  return {};
}

}  // namespace cordon::backend

// cordon-template: the ancestor of every guest process of one sandbox. Started by the keeper with
// empty arguments and environment and four descriptors; maps them at their fixed addresses, closes
// everything, gives up every right, and becomes the kernel's service process. Nothing secret and
// nothing of another sandbox may ever be in its memory.

#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "arena/layout.h"
#include "backend/wasm/descriptors.h"
#include "backend/wasm/filter.h"
#include "base/error.h"
#include "kernel/boot.h"
#include "kernel/control.h"
#include "vfs/image.h"

namespace cordon::backend {
namespace {

constexpr uid_t kNobody = 65534;

Status MapShared(int fd, uint64_t address, uint64_t bytes) {
  void* at = mmap(reinterpret_cast<void*>(address), bytes, PROT_READ | PROT_WRITE,
                  MAP_SHARED | MAP_FIXED_NOREPLACE | MAP_NORESERVE, fd, 0);
  if (at == MAP_FAILED) return SystemError("mmap(MAP_SHARED | MAP_FIXED_NOREPLACE)");
  return {};
}

Status MapEverything() {
  CORDON_TRY(MapShared(kControlFd, layout::kControl, sizeof(control::Control)));
  const auto& control = *reinterpret_cast<const control::Control*>(layout::kControl);
  if (control.magic != control::kMagic)
    return Fail(ErrorCode::kInvalid, "descriptor 3 is no control page");
  CORDON_TRY(MapShared(kObjectsFd, layout::kObjects, control.objects_bytes));
  CORDON_TRY(MapShared(kBlocksFd, layout::kBlocks, control.blocks_bytes));
  if (mmap(reinterpret_cast<void*>(layout::kUserland), control.userland_bytes, PROT_READ,
           MAP_SHARED | MAP_FIXED_NOREPLACE, kUserlandFd, 0) == MAP_FAILED) {
    return SystemError("mmap(userland image)");
  }
  if (mmap(reinterpret_cast<void*>(layout::kUserlandCode), control.userland_code_bytes,
           PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_FIXED_NOREPLACE, kUserlandFd,
           static_cast<off_t>(control.userland_code_offset)) == MAP_FAILED) {
    return SystemError("mmap(PROT_EXEC, userland image)");
  }
  return {};
}

Status DropRights() {
  const rlimit none = {0, 0};
  if (setrlimit(RLIMIT_CORE, &none) != 0) return SystemError("setrlimit(RLIMIT_CORE, 0)");
  if (getuid() == 0) {
    // Without the right to do so there is no other identity to take, and the namespace's root is
    // nobody outside.
    if (setgroups(0, nullptr) == 0) {
      if (setresgid(kNobody, kNobody, kNobody) != 0) return SystemError("setresgid(65534)");
      if (setresuid(kNobody, kNobody, kNobody) != 0) return SystemError("setresuid(65534)");
    }
  }
  for (int capability = 0; capability <= 63; ++capability)
    (void)prctl(PR_CAPBSET_DROP, capability, 0, 0, 0);
  if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) != 0)
    return SystemError("prctl(PR_CAP_AMBIENT_CLEAR_ALL)");
  __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  const __user_cap_data_struct data[2] = {};
  if (syscall(SYS_capset, &header, data) != 0) return SystemError("capset(none)");
  if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) return SystemError("prctl(PR_SET_DUMPABLE, 0)");
  return {};
}

Status LockIn() {
  CORDON_TRY(MapEverything());
  if (!kernel::PrepareBoot())
    return Fail(ErrorCode::kSystem, "the address space for guests cannot be reserved");
  CORDON_TRY(DropRights());
  // The last word goes to standard error until here; from now on there is no descriptor at all.
  if (syscall(SYS_close_range, 3, ~0u, 0) != 0) return SystemError("close_range(3, ~0)");
  (void)close(0);
  (void)close(1);
  return {};
}

}  // namespace
}  // namespace cordon::backend

int main() {
  cordon::Status status = cordon::backend::LockIn();
  if (status) {
    (void)close(2);
    status = cordon::backend::LoadGuestFilter();
    if (status) cordon::kernel::RunService();
    _exit(cordon::backend::kTemplateFailed);
  }
  const std::string text = "cordon: " + status.error().ToString() + "\n";
  (void)!write(2, text.data(), text.size());
  _exit(cordon::backend::kTemplateFailed);
}

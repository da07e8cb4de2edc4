#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <iterator>

#include "backend/native/system_calls.h"

namespace cordon::backend::native {
namespace {

constexpr sock_filter kProgram[] = {
#include "native_filter.inc"
};

}  // namespace

std::string SystemCallProgram() {
  return {reinterpret_cast<const char*>(kProgram), sizeof kProgram};
}

Status LoadSystemCallFilter() {
  // The kernel copies it and changes nothing.
  const sock_fprog program = {std::size(kProgram), const_cast<sock_filter*>(kProgram)};
  if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) != 0) {
    return SystemError("seccomp(SECCOMP_SET_MODE_FILTER)");
  }
  return {};
}

}  // namespace cordon::backend::native

#include "backend/backend.h"
#include "backend/bwrap/bwrap.h"
#include "backend/container/container.h"
#include "backend/jobobject/jobobject.h"
#include "backend/native/backend.h"
#include "backend/none/none.h"
#include "backend/nsjail/configuration.h"
#include "backend/sandbox_exec/profile.h"

namespace cordon::backend {

const Backend* BackendOf(policy::Wall wall) {
  static const native::NativeBackend native_wall;
  static const BwrapBackend bwrap;
  static const ContainerBackend container;
  static const NsjailBackend nsjail;
  static const SandboxExecBackend sandbox_exec;
  static const JobobjectBackend jobobject;
  static const NoBackend none;
  switch (wall) {
    case policy::Wall::kNative:
      return &native_wall;
    case policy::Wall::kBwrap:
      return &bwrap;
    case policy::Wall::kContainer:
      return &container;
    case policy::Wall::kNsjail:
      return &nsjail;
    case policy::Wall::kSandboxExec:
      return &sandbox_exec;
    case policy::Wall::kNone:
      return &none;
    case policy::Wall::kJobobject:
      return &jobobject;
    case policy::Wall::kWasm:
    case policy::Wall::kMicrovm:
      break;
  }
  return nullptr;
}

}  // namespace cordon::backend

#ifndef CORDON_BACKEND_NATIVE_BIRTH_H_
#define CORDON_BACKEND_NATIVE_BIRTH_H_

// The namespaces of a sandbox, made beside the caller while he makes the plan, and the sandbox's
// first process. The kernel takes as long for a network namespace as for everything else of the
// wall together, and none of them depends on what the plan says.
//
// The maker shares the caller's memory and descriptors and calls nothing but the kernel. Once there
// is a plan, the first process is born from it: a copy of the caller as he waits for it, his child.
// The maker holds the namespaces until the end, so that taking them apart, which the kernel does
// before it tells of an exit, keeps nobody waiting who wants to know of the first process's.

#include <sys/types.h>

#include <atomic>
#include <cstddef>

#include "backend/backend.h"
#include "base/error.h"
#include "base/owned_fd.h"

namespace cordon::backend::native {

class Birth : public Preparation {
 public:
  Birth() = default;
  Birth(const Birth&) = delete;
  Birth& operator=(const Birth&) = delete;
  // Ends the maker, and the namespaces with it.
  ~Birth() override;

  // Begins. By a process with one thread. What fails is told by Bear.
  void Start();

  // Who may enter the namespaces: over these descriptors, which are this object's. Waits until they
  // are there.
  struct Doors {
    int user = -1;
    int net = -1;
  };
  [[nodiscard]] Result<Doors> OpenDoors();

  struct Born {
    pid_t pid = -1;
    OwnedFd pidfd;
  };
  // The first process of the namespaces, in the control group of version 2 `group` unless that is
  // -1, calls `run(argument)`, which does not return. All signals are blocked in it.
  [[nodiscard]] Result<Born> Bear(int group, void (*run)(const void*), const void* argument);

  // Everything in the namespaces has ended: begins to take them apart.
  void Release();
  // Until they are: nothing is mounted there any more.
  void End();

 private:
  enum State : uint32_t { kMaking, kMade, kWanted, kBorn, kFailed };

  static int Make(void* self);
  // The caller, while the state is `state` and the maker lives.
  void WaitWhile(State state);
  // The maker.
  void WaitHere(State state);
  // The number of the error, or 0; `call` is what was called last.
  int MakeNamespaces();
  int WriteMaps();
  int RaiseLoopback();
  int OpenNamespaces();
  int BearFirst();
  [[nodiscard]] std::unexpected<Error> Failed();

  static constexpr size_t kStackBytes = 1 << 20;  // the first process goes on with it
  static constexpr size_t kMapBytes = 40;
  char user_map_[kMapBytes] = {};
  char group_map_[kMapBytes] = {};
  Error start_error_;
  void* stack_ = nullptr;
  pid_t maker_ = -1;
  pid_t caller_ = -1;
  std::atomic<uint32_t> state_ = kMaking;
  // For the maker.
  int group_ = -1;
  void (*run_)(const void*) = nullptr;
  const void* argument_ = nullptr;
  // By the maker.
  const char* call_ = nullptr;
  int failed_errno_ = 0;
  int user_door_ = -1;
  int net_door_ = -1;
  int born_pidfd_ = -1;
  long born_ = -1;
};

}  // namespace cordon::backend::native

#endif  // CORDON_BACKEND_NATIVE_BIRTH_H_

#ifndef CORDON_BACKEND_END_H_
#define CORDON_BACKEND_END_H_

// How a command ended, whatever wall was around it.

namespace cordon::backend {

enum class End {
  kExited,       // by itself
  kSignal,       // or by a signal
  kWallTime,     // a limit, for which the keeper ended it
  kCpuTime,      //
  kMemory,       // more than the limit, taken by somebody who does not ask for it
  kInterrupted,  // the client asked for the end and the command did not comply
  kNotFound,     // the program is not there, inside
  kNotRun,       // or cannot be executed
  kBefore,       // what was to run before it failed
  kNetwork,      // the gateway did not live as long as the command
  kBroken,       // the kernel of a sandbox or a process behind its wall failed
};

// Of exit codes, as a shell's user expects them.
inline constexpr int kTimedOut = 124;
inline constexpr int kOwnFailure = 125;
inline constexpr int kNotExecutable = 126;
inline constexpr int kNoProgram = 127;
inline constexpr int kKilled = 137;

}  // namespace cordon::backend

#endif  // CORDON_BACKEND_END_H_

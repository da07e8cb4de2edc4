#ifndef CORDON_BACKEND_WASM_PROCESS_TABLE_H_
#define CORDON_BACKEND_WASM_PROCESS_TABLE_H_

// What the host knows about the keeper's children, which are all processes of its sandbox.

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

namespace cordon::backend {

// Children of this process, dead ones included until they are reaped.
[[nodiscard]] std::vector<pid_t> ListChildren();
[[nodiscard]] std::vector<pid_t> ListChildrenOf(pid_t parent);

// A file of /proc; empty where it cannot be read.
[[nodiscard]] std::string ReadProc(const char* path);

// The process id that `pid` has in its innermost PID namespace; works until it is reaped. 0 if
// there is no such process.
[[nodiscard]] uint32_t ProcessIdInside(pid_t pid);

// Memory of one process that is its own: what no file and no other process could give back.
[[nodiscard]] uint64_t PrivateBytes(pid_t pid);

// The same, with pages that several processes share divided among them. Falls back on PrivateBytes
// where the host does not tell.
[[nodiscard]] uint64_t ProportionalPrivateBytes(pid_t pid);

// Of living processes: consumed processor time so far.
[[nodiscard]] std::chrono::nanoseconds ProcessorTime(pid_t pid);
// Of all children that were reaped.
[[nodiscard]] std::chrono::nanoseconds ReapedProcessorTime();

// Kills and reaps children until none is left.
void KillOwnChildren();

}  // namespace cordon::backend

#endif  // CORDON_BACKEND_WASM_PROCESS_TABLE_H_

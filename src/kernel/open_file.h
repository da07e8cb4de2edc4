#ifndef CORDON_KERNEL_OPEN_FILE_H_
#define CORDON_KERNEL_OPEN_FILE_H_

// Open file descriptions: what descriptors point to and forks share. One struct for all kinds; what
// each kind does is in its Operations table.

#include <atomic>
#include <cstdint>

#include "arena/lock.h"
#include "arena/wait.h"
#include "kernel/process.h"
#include "vfs/filesystem.h"

namespace cordon::kernel {

struct OpenFile;
struct Watch;

inline constexpr uint32_t kPipeMode = 0010600;  // S_IFIFO
// What fstat says of an object that is nothing else.
inline constexpr uint32_t kAnonymousMode = 0600;

// Buffers may be a guest's: they are copied with cordon_copy. Results are bytes or -errno.
struct Operations {
  int64_t (*read)(OpenFile& file, void* to, uint64_t size);
  int64_t (*write)(OpenFile& file, const void* from, uint64_t size);
  // POLLIN | POLLOUT | …, as they are now.
  uint32_t (*poll)(OpenFile& file);
  // The queues that wake when that changes; null entries are skipped.
  void (*queues)(OpenFile& file, WaitQueue* out[2]);
  // The last reference goes.
  void (*close)(OpenFile& file);
  int32_t (*control)(OpenFile& file, uint32_t request, uint32_t argument);
  const char* name;  // "pipe", as /proc/self/fd shows it
  // Opens the same object once more, as /proc/self/fd does for what has no node; null: it cannot
  // be.
  int32_t (*reopen)(OpenFile& file, uint32_t flags, OpenFile** out) = nullptr;
  uint32_t mode = kPipeMode;  // st_mode of what has no node
};

struct OpenFile {
  const Operations* operations = nullptr;
  std::atomic<uint32_t> references{1};
  std::atomic<uint32_t> flags{0};  // O_ACCMODE | O_APPEND | O_NONBLOCK | O_PATH
  Mutex offset_lock;
  uint64_t offset = 0;
  vfs::Node node;  // fs null where there is none
  void* object = nullptr;
  std::atomic<Watch*> watches{nullptr};  // of epoll descriptors, under their lock

  [[nodiscard]] bool readable() const { return (flags.load(std::memory_order_relaxed) & 3) != 1; }
  [[nodiscard]] bool writable() const { return (flags.load(std::memory_order_relaxed) & 3) != 0; }
  [[nodiscard]] bool blocks() const;
};

[[nodiscard]] OpenFile* NewOpenFile(const Operations* operations, uint32_t flags, void* object);
void Retain(OpenFile* file);
void Release(OpenFile* file);
// One that was never used.
void FreeOpenFile(OpenFile* file);

// Descriptors of the current process. The file returned stays until the end of the call: only this
// process closes its descriptors, and with several threads the call holds it (ReleaseHeld).
OpenFile* FileOf(uint32_t descriptor);
// The lowest free descriptor from `least`, or -EMFILE; takes over the reference on success and
// failure.
int32_t Install(OpenFile* file, uint32_t least, bool close_on_exec);
int32_t InstallAt(OpenFile* file, uint32_t descriptor, bool close_on_exec);
int32_t CloseDescriptor(uint32_t descriptor);
// 0 or 1, and 0; or -EBADF.
int32_t IsClosedOnExec(uint32_t descriptor);
int32_t SetCloseOnExec(uint32_t descriptor, bool closes);
// The process may open so many more.
bool HasFreeDescriptors(uint32_t count);
void CloseAll(Process& process, bool only_on_exec);

// Sleeps until `ready` says so, woken by `queue`. 0, -EAGAIN (would block), kRestart (interrupted),
// -ETIMEDOUT.
int32_t WaitUntil(WaitQueue& queue, bool (*ready)(void*), void* argument, uint64_t deadline_ns);

// As fstat(2), and as stat(2) through /proc/self/fd: who compares them finds the same file.
int StatOpenFile(const OpenFile& file, vfs::Stat* out);

// --- kinds ---
int32_t OpenNode(const vfs::Node& node, uint32_t flags,
                 OpenFile** out);  // takes over the reference
int32_t NewPipe(uint32_t flags, OpenFile** reader, OpenFile** writer);
// Bytes that fit into a pipe: a power of two, from PIPE_BUF to 64 KiB, rounded up (F_SETPIPE_SZ of
// fcntl(2)). -EBADF: not a pipe; -EPERM: beyond what anybody may have; -EBUSY: more is in it.
int32_t PipeCapacity(const OpenFile& file);
int32_t SetPipeCapacity(OpenFile& file, uint32_t bytes);
int32_t OpenFifo(const vfs::Node& node, uint32_t flags, OpenFile** out);
int32_t OpenDevice(uint64_t rdev, uint32_t flags, OpenFile** out);
// /dev/null and its like: every offset is as good as any other, and seeking stays at 0.
bool IsMemoryDevice(const OpenFile& file);
// Reading takes the whole sum, or one.
enum class CounterKind { kSum, kSemaphore };
OpenFile* OpenEventCounter(uint64_t value, CounterKind kind, uint32_t flags);
// One end of a stream to the keeper; `ring` is an index of control.rings.
OpenFile* OpenStream(uint32_t ring, uint32_t flags);
// One of /dev/cordon: a stream of the run that the caller, a session's shell, was told to run.
int32_t OpenRunStream(uint32_t index, uint32_t flags, OpenFile** out);
// A description of the caller's own becomes one of an end, for kStreamOperations.
void BindToStream(OpenFile& file, uint32_t ring);
// Both directions of a command that the host serves, for a program of ours. -ENXIO: no keeper
// listens; -EBUSY: as many as there may be are open.
int32_t OpenHostCall(uint32_t flags, OpenFile** out);
// A ring begins anew.
void ResetStream(uint32_t ring);
// The rings of a job begin anew. What still holds them open is cut off: it reads nothing more and
// what it writes is dropped.
void ResetStreams(uint32_t job);
// The same for one ring.
void ResetStream(uint32_t ring);
// A ring as a description that lies in the caller's memory, for one call of its operations.
// `generation` is of StreamGeneration, when it was taken.
uint32_t StreamGeneration(uint32_t ring);
void BorrowStream(uint32_t ring, uint32_t generation, uint32_t flags, OpenFile* out);
// A conversation with the keeper, read and written; it must serve such. -ENXIO: it does not;
// -EBUSY: all are taken.
int32_t OpenRequestChannel(uint32_t flags, OpenFile** out);
// /dev/cordon/pkg, where the keeper serves requests.
void CreateRequestChannels();
// Bytes that the kernel itself puts into a ring of a job, all or none.
int32_t FeedStream(uint32_t job, uint32_t index, const void* bytes, uint32_t size);
// The other side of a ring is the keeper: wakes it where it sleeps. Done once for each sleep.
void WakeKeeper(std::atomic<uint32_t>& wants, std::atomic<uint32_t>& counter);
// Says to the keeper that something happened.
void RingKeeper();
// The keeper rang: wakes who waits for any stream.
void WakeStreams();
void CreateStreams();

extern const Operations kNodeOperations;
extern const Operations kStreamOperations;

// Of the numbers that Linux leaves to local use: /dev/cordon.
inline constexpr uint64_t kRunMajor = 240;
inline constexpr uint64_t kRequestDevice = kRunMajor << 8 | 17;

}  // namespace cordon::kernel

#endif  // CORDON_KERNEL_OPEN_FILE_H_

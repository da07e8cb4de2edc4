#ifndef CORDON_KERNEL_CONTROL_H_
#define CORDON_KERNEL_CONTROL_H_

// What the keeper (outside the wall) and the kernel (inside) share: one memfd, mapped at
// layout::kControl inside and anywhere outside, sealed against growing and shrinking before the
// template starts.
//
// The keeper reads everything here as hostile: each word is loaded once, indexes are masked,
// lengths are bounded, and nothing here makes the keeper do more than end this sandbox.

#include <atomic>
#include <cstdint>
#include <cstring>

namespace cordon::control {

// The host signal of a kick: somebody outside makes a thread look at its attention word.
inline constexpr int kKickSignal = 36;
inline constexpr uint32_t kMagic = 0x43524e31;  // "CRN1"
// Threads of the keeper that may sleep on its bell; each must wake to see whether it was meant.
inline constexpr uint32_t kKeeperThreads = 2;
inline constexpr uint32_t kMaxSlots = 1024;  // host threads of a sandbox
inline constexpr uint32_t kMaxJobs = 16;     // commands that a client started and waits for
inline constexpr uint32_t kSessionJob = 0;   // of them: the shell of a sandbox that lives
inline constexpr uint32_t kRingBytes = 1u << 18;
inline constexpr uint32_t kMailboxBytes = 1u << 18;
inline constexpr uint32_t kStreamsPerJob = 3;  // stdin, stdout, stderr; a terminal: the first two
inline constexpr uint32_t kScriptRing = 3;     // what a session's shell is to run
inline constexpr uint32_t kRingsPerJob = 4;
inline constexpr uint32_t kMaxHostCalls = 16;     // commands that the host serves, at once
inline constexpr uint32_t kRingsPerHostCall = 2;  // what is said inside, what is said outside
inline constexpr uint32_t kHostCallRings = kMaxJobs * kRingsPerJob;  // their first one
// Conversations that guests began with the keeper (kernel/request_channel.cc), which believes
// nothing of what is said there: a ring towards the guest and one from it.
inline constexpr uint32_t kMaxChannels = 4;
inline constexpr uint32_t kRingsPerChannel = 2;
inline constexpr uint32_t kFirstChannelRing = kHostCallRings + kMaxHostCalls * kRingsPerHostCall;
inline constexpr uint32_t kRings = kFirstChannelRing + kMaxChannels * kRingsPerChannel;

// A byte ring with one writing and one reading side. Counters run freely; their difference is the
// fill, a value above kRingBytes is hostile. Each side sleeps on the other's counter after it has
// set its own `wants` flag; the keeper sets kWantsBell where it sleeps on its bell instead.
struct Ring {
  std::atomic<uint32_t> written;
  std::atomic<uint32_t> read;
  std::atomic<uint32_t> writer_closed;  // end of file after what is in the ring
  std::atomic<uint32_t>
      reader_closed;  // EPIPE / SIGPIPE for the writer (also set when the output limit is met)
  std::atomic<uint32_t> writer_wants;  // the writer sleeps, wake it when there is room
  std::atomic<uint32_t> reader_wants;  // the reader sleeps, wake it when there is data
  uint32_t reserved[10];
  uint8_t data[kRingBytes];
};
inline constexpr uint32_t kWantsCounter = 1;
inline constexpr uint32_t kWantsBell = 2;

// One host thread. Written by the kernel, read by the keeper or the family init when it kicks or
// reaps.
struct Slot {
  enum State : uint32_t {
    kFree = 0,
    kStarting = 1,
    kLive = 2,
    kGone = 3
  };  // kGone: said goodbye before it ended
  std::atomic<uint32_t> state;
  std::atomic<uint32_t> host_pid;  // as getpid() says inside the PID namespace; 0 until known
  std::atomic<uint32_t> host_tid;
  // Nonzero while the thread may hold locks of the kernel: if it dies then, the sandbox ends.
  std::atomic<uint32_t> inside;
  std::atomic<uint32_t>
      kick;  // set by the kernel to ask for a kick, cleared by the one that sent it
  // The process's first slot is another one.
  std::atomic<uint32_t> is_thread;
  uint32_t reserved[2];
};

// Programs that the client's policy forbids and somebody wanted to start (kernel/tool_policy.h). Of
// more than kDenials since the keeper looked, the earlier ones are overwritten; it knows how many.
inline constexpr uint32_t kDenials = 64;
inline constexpr uint32_t kToolName = 64;  // the longest name of a tool, with its zero
struct Denial {
  uint32_t run;  // that wanted it; 0: none
  uint32_t reserved;
  char name[kToolName];
};
struct Denials {
  std::atomic<uint32_t> count;  // since the start of the sandbox; the newest is count - 1
  uint32_t reserved[15];
  Denial entries[kDenials];
};

enum FileChanges : uint32_t { kNobodyWatches = 0, kNothingChanged = 1, kSomethingChanged = 2 };

// What a run used (kernel/run_account.h).
struct RunUsage {
  uint64_t cpu_ns;             // of all its processes
  uint64_t memory_peak_bytes;  // that they had at a time, as the limit counts
  uint64_t processes;          // that it started
  uint64_t file_read_bytes, file_written_bytes;
  uint64_t left;  // that go on, beside a session's shell
  uint64_t run;   // whose that is
};
// The same in the page, word by word.
class RunUsagePlace {
 public:
  void Put(const RunUsage& usage) {
    uint64_t words[kWords];
    static_assert(sizeof words == sizeof usage);
    memcpy(words, &usage, sizeof words);
    for (int i = 0; i < kWords; ++i) words_[i].store(words[i], std::memory_order_relaxed);
  }
  [[nodiscard]] RunUsage Take() const {
    uint64_t words[kWords];
    for (int i = 0; i < kWords; ++i) words[i] = words_[i].load(std::memory_order_relaxed);
    RunUsage usage = {};
    memcpy(&usage, words, sizeof usage);
    return usage;
  }

 private:
  static constexpr int kWords = 7;
  std::atomic<uint64_t> words_[kWords];
};

// A command of the client.
struct Job {
  enum State : uint32_t { kFree = 0, kRunning = 1, kExited = 2 };
  std::atomic<uint32_t> state;
  std::atomic<uint32_t> wait_status;  // as wait(2) reports it; valid once state is kExited
  std::atomic<uint32_t> pid;          // of the guest process, in the guest's numbers
  std::atomic<uint32_t> uses_terminal;
  RunUsagePlace usage;  // of its run, as of its end
};

// A command of the sandbox that is served outside (kernel/host_call.cc, live/host_calls.h). Its
// rings carry the frames of live/host_frame.h.
struct HostCall {
  // Taken from kFree by the kernel, which prepares the rings, opens it and closes it; freed by the
  // keeper, when it has seen that.
  enum State : uint32_t { kFree = 0, kPreparing = 1, kOpen = 2, kClosed = 3 };
  std::atomic<uint32_t> state;
  uint32_t reserved[15];
};

// Files that are not memory: what the kernel (kernel/remote_fs.h) asks the server outside
// (live/file_server.h), one request in each place. Paths are relative to what is mounted, without
// `.`, `..` or empty components; the empty one is the directory itself. The server believes none of
// that.
enum class FileOp : uint32_t {
  kStat = 1,  // data: FileFacts
  kReadLink,  // data: the target. result: its length
  kRead,      // offset, count. result: bytes; data
  kList,     // offset: cookie, count: room. result: bytes; data: FileEntry and name, repeated; none
             // at the end
  kWrite,    // offset (UINT64_MAX: at the end), count; data. result: bytes; offset: their end
  kCreate,   // argument: mode with its type, a file or a directory
  kSymlink,  // data: the target, of `count` bytes
  kRemoveFile,
  kRemoveDirectory,
  kRename,    // to the path in `data`, of `count` bytes; argument: 1 not over another
  kTruncate,  // offset: the size
  kSetMode,   // argument: permissions
  kSetTimes,  // argument: mtime in ns since 1970; offset: atime
  kSpace,     // data: FileSpace
};
struct FileFacts {
  uint32_t mode, links;
  uint64_t size, inode, blocks;
  int64_t mtime_ns, ctime_ns, atime_ns;
};
struct FileEntry {
  uint64_t cookie;  // goes on after it
  uint64_t inode;
  uint32_t type;  // as in st_mode
  uint32_t name_bytes;
};
struct FileSpace {
  uint64_t total_bytes, free_bytes, total_files, free_files;
};
inline constexpr uint32_t kMaxFileMounts = 32;
// Places of directories of the host, and after them of file systems of clients: who waits for a
// slow client is in nobody else's way.
inline constexpr uint32_t kDirectoryFileCalls = 8;
inline constexpr uint32_t kMaxFileCalls = 16;
inline constexpr uint32_t kMaxFilePath = 4096;
inline constexpr uint32_t kFileCallBytes = 128 * 1024;
struct FileCall {
  // kTaken and kRequested by the kernel; kServed and kAnswered by the server; kLeft by the kernel
  // when nobody waits any more, and then kFree by the server.
  enum State : uint32_t { kFree = 0, kTaken, kRequested, kServed, kAnswered, kLeft };
  std::atomic<uint32_t> state;  // futex word
  std::atomic<uint32_t> op, mount, path_bytes, count;
  // Who waits for the answer has to be woken up: 1 + the processor that it was on, or 0.
  std::atomic<uint32_t> sleeps;
  std::atomic<uint64_t> offset, argument;
  std::atomic<int64_t> result;  // or -errno
  char path[kMaxFilePath];
  alignas(64) uint8_t data[kFileCallBytes];
};

// A guest takes a free one and begins its rings anew; the keeper frees it when the guest is gone.
struct Channel {
  enum State : uint32_t { kFree = 0, kTaken = 1, kOpen = 2, kClosed = 3 };
  std::atomic<uint32_t> state;
  std::atomic<uint32_t> run;  // whose command took it; 0: of none
  uint32_t reserved[2];
};

// Requests of the keeper to the service process inside, one at a time: the keeper fills in
// `payload` and arguments, sets `state` to kRequested, rings `service_bell`; the service answers in
// place and rings `keeper_bell`. Strings in payloads end with a zero; argument vectors are such
// strings one after the other.
enum class Request : uint32_t {
  kNone = 0,
  kSpawn,  // arg0 job, arg1 flags (SpawnFlags), arg2 argc, arg3 envc, arg4 rows << 16 | columns;
           // arg5 run (0: none, and the rings are used for the first time);
           // payload: cwd, argv, envp. result: guest pid or -errno (127/126 cases: -ENOENT,
           // -EACCES, -ENOEXEC)
  kSignalJob,  // arg0 job, arg1 signal, arg2 target (SignalTarget)
  kResize,     // arg0 job, arg1 rows << 16 | columns
  kMakeDir,    // arg0 mode; payload: path. Parents are made too.
  kWriteFile,  // arg0 mode, arg1 offset low, arg2 offset high, arg3 byte count; payload: path, then
               // bytes. Offset 0 truncates, UINT64_MAX appends.
  kReadFile,   // arg0 unused, arg1 offset low, arg2 offset high, arg3 byte count; payload: path.
               // result: count; bytes replace the payload
  kSymlink,    // payload: target, path
  kListDir,    // arg1 cookie; payload: path. result: entries; payload: {u64 cookie, u32 mode, u64
               // size, name\0}…
  kStat,  // payload: path. result 0; payload: {u32 mode, u64 size, u64 mtime_ns, link target\0 if a
          // link}
  kRemove,       // payload: path; recursive
  kUsage,        // payload out: Usage
  kKillAll,      // ends every guest process
  kReportDeath,  // arg0 slot, arg1 wait status: the host ended a process outside the kernel that
                 // did not say goodbye; its descriptors are released and its parent is told
  // A run is one command of a session, or one that was spawned: everything that it starts bears its
  // number, wherever it moves to.
  kBeginRun,    // arg0 job of the session's shell, arg1 job whose rings are the run's, arg2 run,
                // arg3 1: no input; payload: the script. The shell is told to run it.
  kFeed,        // arg0 job; payload goes to its standard input
  kSignalRun,   // arg0 run, arg1 signal, arg2 1: not to the shell of a session, 4: only to it; it
                // bears the number of what it ran last. result: how many
  kRename,      // payload: from, to
  kChangeMode,  // arg0 mode; payload: path
  kListStat,    // as kListDir, up to 48 entries, links followed: {u64 cookie, name\0, u32 mode, u64
                // size, u64 mtime_ns, link target\0}…; mode 0: gone in the meantime
  kCheck,       // verifies the kernel's invariants; result: number of violations, payload: text
  kPark,        // arg0 ForkHow: every process leaves the kernel, gives up the generation of blocks
          // and waits for a ForkStep. result: how many will clone themselves, or -errno and the
          // reason as payload; a ForkStep must follow in either case
  kAllowTools,  // arg0 how many; payload: names of programs. Once, before anything was started:
                // from then on no other program starts but the shells
  kMount,  // arg0 index of a file server's mount, arg1 MountFlags; payload: path of a directory.
           // arg0 kReadOnlyMount: the directory of the path that follows is shown there, and cannot
           // be changed. -EBUSY: something is mounted there
  kUnmount,   // payload: path. Who has something open there keeps it
  kRunUsage,  // arg0 run; payload out: RunUsage, with what goes on
  // Whole trees, for export and import: paths are absolute and no component of them is a link;
  // mounts are not crossed; errors are as above.
  kTreeList = 64,   // arg0 1: all, not only what the image has not; arg1/2 cookie; payload: path.
                    // result: entries; payload: TreeEntry, name\0, link target\0; repeated
  kTreeRead,        // as kReadFile
  kTreeMake,        // arg0 mode with its type, arg1 uid, arg2 gid; payload: path, and a link's
                    // target. A file gives way to another; a directory that is there stays.
                    // -EISDIR, -ENOTDIR, -ELOOP: something else is there
  kTreeWrite,       // arg1/2 offset, arg3 byte count; payload: path, then bytes. result: count
  kTreeAttributes,  // arg0 mode, arg1 uid, arg2 gid, arg3/4 mtime in ns; payload: path
  kTreeLink,        // payload: existing path, new path
  kTreeRemove,      // payload: path; recursive
  // Contents that the keeper itself writes into the file of blocks that belongs to the sandbox now.
  kTreeHold,  // arg0 how many chunks are to be held for that, at most kMostHeldChunks; those that
              // are held already and left are given up. result: how many; payload: where each
              // begins in the file, u64
  kTreeTakeOver,  // arg0 the first of the held ones, arg1/2 offset, a multiple of kTreeChunkBytes,
                  // arg3 byte count; payload: path. They become the file's contents there. result:
                  // count
};
inline constexpr uint32_t kTreeChunkBytes = 64 * 1024;
inline constexpr uint32_t kMostHeldChunks = 64;
// A live fork (kernel/live_fork.cc): what everybody who is parked does next. The keeper sets it.
// Its word has a number above it, one more each time: whoever was asleep meanwhile takes no step
// for an earlier one of the same kind.
enum ForkStep : uint32_t {
  kForkRun = 0,     // goes on
  kForkPark = 1,    // waits
  kForkClone = 2,   // maps the next generation and clones itself; both wait
  kForkReturn = 3,  // goes on with the generation that it gave up
};
constexpr uint32_t kForkSteps = 4;
constexpr uint32_t AfterForkWord(uint32_t word, ForkStep step) {
  return (word / kForkSteps + 1) * kForkSteps + step;
}
// Who clones itself, and what a copy gets.
enum ForkHow : uint32_t {
  kForkSession = 1,   // only the service and the shell of the session
  kForkNoBlocks = 2,  // a copy stays parked and so gets no generation to write to
  kForkIsFrozen =
      4,  // those that clone themselves are such copies: they map nothing for themselves
};
// What a process asks its family process for, by the one call that is notified.
enum ForkPart : uint32_t {
  kPartOldBlocks,  // the generation that everybody gave up
  kPartBlocks,     // the next one
  kPartCopyObjects,
  kPartCopyBlocks,
  kPartCopyPage,  // the last one: the copy is complete
  kForkParts,
};
struct ForkControl {
  std::atomic<uint32_t> step;     // ForkStep with its number, futex word; a new page's is kForkPark
  std::atomic<uint32_t> how;      // ForkHow
  std::atomic<uint32_t> renewed;  // futex word: the service is done, everybody may go on
  std::atomic<uint32_t> failed;   // a process could not clone itself
  std::atomic<uint32_t> restored;  // whoever is not there has ended: its record is buried
  uint32_t reserved[3];
  std::atomic<uint64_t> lost_ns;  // that passed while the copy was parked
};

// What kTreeList says of an entry.
struct TreeEntry {
  uint64_t cookie;
  uint32_t changes;  // TreeChange
  uint32_t mode;     // 0: gone in the meantime, or removed
  uint32_t uid, gid;
  uint32_t links;
  uint32_t reserved;
  uint64_t inode;
  uint64_t size;
  int64_t mtime_ns;
  int64_t ctime_ns;  // changes with everything else
};
enum TreeChange : uint32_t {
  kTreeNew = 1,
  kTreeContents = 2,
  kTreeAttributesDiffer = 4,
  kTreeRemoved = 8,
  kTreeHides = 16
};

inline constexpr uint32_t kReadOnlyMount = UINT32_MAX;
// A command is not started where its directory cannot be entered; with kSpawnAnywhere, in the root.
enum SpawnFlags : uint32_t { kSpawnTerminal = 1, kSpawnAnywhere = 2 };
enum MountFlags : uint32_t { kMountReadOnly = 1, kMountOfClient = 2 };
enum class SignalTarget : uint32_t { kProcess = 0, kForegroundGroup = 1 };

struct Usage {
  uint64_t processes_started;
  uint64_t processes_now;
  uint64_t processes_peak;
  uint64_t memory_bytes_now;
  uint64_t memory_bytes_peak;
  uint64_t file_bytes;
  uint64_t file_count;
  uint64_t limits_met;  // bit set of Limit
};

enum Limit : uint32_t {
  kLimitMemory = 1u << 0,
  kLimitProcesses = 1u << 1,
  kLimitFiles = 1u << 2,
  kLimitFileBytes = 1u << 3,
  kLimitOutput = 1u << 4,    // set by the keeper
  kLimitWallTime = 1u << 5,  // set by the keeper
  kLimitCpuTime = 1u << 6,   // set by the keeper
};

struct Mailbox {
  enum State : uint32_t { kIdle = 0, kRequested = 1, kAnswered = 2 };
  std::atomic<uint32_t> state;
  std::atomic<uint32_t> request;  // Request
  std::atomic<int32_t> result;    // >= 0, or -errno of the guest's numbers
  std::atomic<uint32_t> payload_bytes;
  std::atomic<uint32_t> arg[6];
  uint32_t reserved[6];
  uint8_t payload[kMailboxBytes];
};

// Written by the keeper before the template starts, not changed afterwards.
struct BootLimits {
  uint64_t memory_bytes;
  uint64_t max_processes;
  uint64_t max_files;
  uint64_t file_bytes;
};

struct Control {
  uint32_t magic;
  uint32_t reserved0;
  BootLimits limits;
  uint64_t userland_bytes;        // size of the image's mapping
  uint64_t userland_code_offset;  // where its code begins, page-aligned
  uint64_t userland_code_bytes;
  uint64_t userland_frozen_offset;  // and its frozen programs, page-aligned
  uint64_t userland_frozen_bytes;
  uint64_t objects_bytes;  // sizes of the memfds
  uint64_t blocks_bytes;
  uint64_t code_window_bytes;
  uint32_t run_as_uid;  // user and group that the template takes; 0: those it was started with
  uint32_t can_fork;    // the template hands over a listener for the notified call
  std::atomic<uint32_t> serves_host_calls;  // set by the keeper: it looks at `host_calls`
  uint32_t serves_requests;                 // guests may open channels

  std::atomic<uint32_t> booted;  // the kernel is ready for requests
  std::atomic<uint32_t>
      failed;  // a reason (FailReason) why the kernel gave up; the keeper ends the sandbox
  std::atomic<uint32_t> service_bell;  // futex word: keeper -> service process
  std::atomic<uint32_t>
      keeper_bell;  // futex word: kernel -> keeper (job ended, answer, kick wanted without init)
  std::atomic<uint32_t>
      kicker_bell;  // futex word: kernel -> whoever kicks (family init, or keeper without one)
  std::atomic<uint32_t> limits_met;  // Limit bits as the kernel meets them

  // Where the kernel faulted (kFailInternalFault): the instruction in the template's code and the
  // address that it wanted.
  std::atomic<uint64_t> fault_instruction;
  std::atomic<uint64_t> fault_address;

  // FileChanges: the keeper says that it wants to know, the kernel that there is something to know.
  std::atomic<uint32_t> file_changes;

  ForkControl fork;
  Denials denials;
  Job jobs[kMaxJobs];
  Channel channels[kMaxChannels];
  Slot slots[kMaxSlots];
  HostCall host_calls[kMaxHostCalls];
  std::atomic<uint32_t> file_bell;        // futex word: kernel -> file server
  std::atomic<uint32_t> file_calls_left;  // futex word: a place became free
  // At the bell: it need not be woken up. 1 + the processor that it looks on, or 0.
  std::atomic<uint32_t> file_server_looks;
  alignas(4096) Mailbox mailbox;
  alignas(4096) Ring rings[kRings];
  alignas(4096) FileCall file_calls[kMaxFileCalls];
};

enum FailReason : uint32_t {
  kFailNone = 0,
  kFailBoot,
  kFailInvariant,
  kFailOutOfArena,
  kFailInternalFault
};

}  // namespace cordon::control

#endif  // CORDON_KERNEL_CONTROL_H_

#ifndef CORDON_LIVE_FRAME_H_
#define CORDON_LIVE_FRAME_H_

// What a daemon and the keeper of one of its sandboxes say to each other over a stream socket.
// Neither side is behind the wall; bytes of guests appear only as payloads. A frame that breaks
// these rules ends the connection nevertheless, because a payload's length is in front of it.

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "kernel/control.h"

namespace cordon::live {

enum class Kind : uint32_t {
  // Requests. `id` is chosen by the daemon; each has exactly one kAnswer or one kEnd.
  kRun = 1,  // in the session's shell. arg: time-out ms (0 none), limits of stdout and stderr,
             // RunFlags; payload: the script
  kSpawn,    // a process of its own. The same, then argc, envc, rows, columns; payload: directory,
             // argv and environment, each ends with a zero
  kInput,    // payload: bytes for standard input; answered by kTaken
  kCloseInput,  // no answer
  kCredit,      // arg: stream, so many more bytes of which are welcome; no answer
  kSignal,      // arg: number; no answer
  kCancel,      // ends as at a time-out; a kTakeTurn that waits: -ECANCELED; no answer
  kResize,      // arg: rows, columns; no answer
  kReadFile,    // arg: offset, at most; payload: path. kAnswer: the bytes
  kWriteFile,   // arg: WriteMode, mode; payload: path, zero, bytes
  kList,  // arg: the first entry wanted; payload: path. kAnswer: how many there are; name, zero and
          // a
          // stat of as many as fit
  kStat,  // payload: path. kAnswer: u32 mode, u64 size, u64 mtime_ns, link target, zero
  kMakeDir,     // arg: mode; payload: path
  kRemove,      // payload: path
  kRename,      // payload: from, to
  kCopy,        // payload: from, to; a tree
  kSymlink,     // payload: target, path
  kChangeMode,  // arg: mode; payload: path
  kUsage,       // kAnswer: control::Usage
  kHistory,     // arg: 1 clears. kAnswer: index of the first; i64 seconds since the
                // epoch, command, zero; repeated
  kFork,        // arg: how many, u32 that came over the other connection with two sockets for each:
                // their other ends are the fork's, as these are this sandbox's. kAnswer: so many of
                // them, the first ones, will say kReady there; why there are no more
  kSnapshot,    // payload: name. Waits its turn among the commands of the session
  kRestore,     // payload: name. At once: what runs is ended
  kListSnapshots,   // kAnswer: how many; i64 seconds since the epoch, name, zero; repeated
  kDeleteSnapshot,  // payload: name
  kTakeTurn,  // arg: 1 if not after a command (-EBUSY). Waits its turn among those of the session.
              // From its kAnswer to a kEndTurn of the same id that session runs only what is
              // kInTurn, and a kFork and a kRestore wait
  kEndTurn,   // no answer
  // Archives wait in the keeper as blobs, because they are larger than a frame.
  kBlobWrite = 40,  // arg: id, 0 for a new one; payload goes to its end. kAnswer: id
  kBlobRead,        // arg: id, offset, at most. kAnswer: how many; the bytes
  kBlobFree,        // arg: id
  kPackTree,        // payload: path. kAnswer: id of a tar; a report as JSON
  kUnpackTree,      // arg: id; payload: path. kAnswer: a report
  kExportImage,     // payload: JSON, environment, directory and session. kAnswer: id; a report
  kImportImage,     // arg: id, ImportMode. kAnswer: a report, with what kExportImage was given
  kSaveState,  // payload: as of kExportImage, or nothing: as it was last. kAnswer: 1 if anything
               // was new
  kLoadState,  // kAnswer: 1, and what kImportImage answers; or 0: there is none
  kClearState,
  kSetHistory,  // payload: as kHistory answers
  kSuspend,     // everything stands still; requests wait, and no time passes for runs
  kResume,
  kWatch,    // arg: 1 with all that is below; payload: path of a directory. kAnswer, then kChanged
             // until kUnwatch of the same id
  kUnwatch,  // kAnswer: -ECANCELED
  // Archives as sealed files in memory, which go over the other connection.
  kBlobGive,    // it came there before this. kAnswer: id
  kBlobTake,    // arg: id, which nobody writes any more. kAnswer, before which it went there
  kExportFile,  // as kExportImage, into a file that came there before this. kAnswer: 0; a report
  // Commands of the sandbox that somebody outside serves.
  kAddCommand = 60,  // payload: name. kAnswer: 1 if it was there
  kHostWant,         // arg: call, bytes of standard input at most; answered by kHostInput
  kHostOutput,       // arg: call, stream; payload; answered by kHostTaken
  kHostExit,         // arg: call, status; no answer
  // Files that are not the sandbox's own.
  kMountDirectory = 70,  // arg: 1 writable; payload: path, the host's path. kAnswer
  kMountClient,          // arg: 1 writable, ms that an answer may take, ms that it may be believed;
                         // payload: path, the client's socket, which of its file systems. kAnswer
  kStageFile,  // arg: stage, 0 for a new one, offset; payload: path below it, zero, bytes. kAnswer:
               // the stage
  kMountStage,  // arg: stage; payload: path. kAnswer: it is shown there, and cannot be changed
  kUnmount,     // payload: path. kAnswer
  // Packages (live/package_calls.h). What may be installed was decided by the daemon.
  kPackageAdd = 80,  // arg: 1 if programs may be shadowed; payload: name, hash, packages.json. From
                     // the user's store, compiled
  kPackageCheck,     // the same arg; payload: name. -EEXIST: there is a program of that name
  kPackageRemove,    // payload: name, packages.json
  kPackageKeep,      // payload: name. Its file goes into the store. kAnswer: the hash
  kPackageImprove,   // payload: hash. Of better code that the compile cache has
  kTellUse,          // kUse follows in any case; no answer
  kGuestReply,       // arg: channel, number, 1 if it is the last; payload: bytes for the guest; no
                     // answer
  // Events.
  kReady = 100,  // the sandbox is there. arg: the keeper's process identifier
  kAnswer,       // arg: result or -errno; payload, or the text of an error
  kTaken,        // arg: bytes of standard input that went on, or -EPIPE: nobody reads any more
  kOutput,       // arg: stream; payload
  kEnd,          // arg: exit code, signal, EndClass, dropped output (bits 1 << stream), us of time;
                 // payload: RunFigures, or nothing: it never ran
  kDead,         // payload: why the sandbox ended. The last frame.
  kPolicy,       // arg: PolicyEvent, request of the run that it belongs to or 0, and
                 // kDenied: how many earlier ones nobody saw; payload: the program's name
                 // kLimitMet: control::Limit
  kChanged,      // arg: WatchEvent; payload: path below the directory, nothing for kOverflow
  kHostCalled,   // arg: call; payload: as GuestSays::kCall has it, checked
  kHostInput,    // arg: call, 1 at the end; payload
  kHostTaken,    // arg: call, stream: what was to be written there went on
  kHostGone,     // arg: call: the command has ended
  kGuestRequest,  // a guest wants something (live/guest_channels.h). arg: channel, number; payload:
                  // words, each ends with a zero
  kGuestGone,     // who asked waits for no answer any more. arg: channel, number
  kUse,           // arg: 1 because of kTellUse; payload: SandboxUse, when it has changed
};
enum class WatchEvent : int64_t { kCreated = 1, kWritten = 2, kRemoved = 3, kOverflow = 4 };
enum class PolicyEvent : int64_t { kDenied = 1, kLimitMet = 2 };

enum RunFlags : int64_t {
  kHasInput = 1,
  kHasTerminal = 2,
  kUnrecorded = 4,
  kInNewShell = 8,  // kRun: the session's shell of before is killed first
  kInTurn = 16,     // kRun: of who has the turn
};
enum class WriteMode : int64_t { kReplace = 0, kAppend = 1 };
enum class EndClass : int64_t { kNone = 0, kTimeout, kCancelled, kLimit, kDenied };

// What a run used.
struct RunFigures {
  control::RunUsage used;  // as the sandbox's kernel counted
  uint64_t output_bytes[2];
};

// What a sandbox has now, as the host counts it.
struct SandboxUse {
  uint64_t memory_bytes;  // of its processes and files; what several processes share is divided
  uint64_t sealed_bytes;  // of files that it may share with the sandbox it was forked from
  uint64_t processes;     // two for an idle one
  bool operator==(const SandboxUse&) const = default;
};

inline constexpr uint32_t kMostForksAtOnce = 128;
inline constexpr size_t kArguments = 8;
inline constexpr size_t kMaxPayload = 8 << 20;
// What a keeper sends of each stream before the first kCredit.
inline constexpr int64_t kFirstCredit = 1 << 20;

struct Frame {
  Kind kind = Kind::kRun;
  uint32_t id = 0;
  std::array<int64_t, kArguments> arg = {};
  std::string payload;
};

[[nodiscard]] std::string Encode(const Frame& frame);

// Takes frames out of what arrived.
class FrameReader {
 public:
  void Add(std::string_view bytes) { bytes_.append(bytes); }
  // Nothing: more bytes are needed. An error: the other side breaks the rules.
  [[nodiscard]] Result<std::optional<Frame>> Next();

 private:
  std::string bytes_;
  size_t at_ = 0;
};

// A payload of strings and numbers.
class PayloadReader {
 public:
  explicit PayloadReader(std::string_view bytes) : bytes_(bytes) {}
  [[nodiscard]] bool TakeString(std::string* text);
  template <typename T>
  [[nodiscard]] bool Take(T* value) {
    if (bytes_.size() < sizeof(T)) return false;
    bytes_.copy(reinterpret_cast<char*>(value), sizeof(T));
    bytes_.remove_prefix(sizeof(T));
    return true;
  }
  [[nodiscard]] std::string_view rest() const { return bytes_; }

 private:
  std::string_view bytes_;
};

}  // namespace cordon::live

#endif  // CORDON_LIVE_FRAME_H_

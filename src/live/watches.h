#ifndef CORDON_LIVE_WATCHES_H_
#define CORDON_LIVE_WATCHES_H_

// Who wants to know what becomes of a directory. The kernel's file system marks a word of the
// control page when anything changes; then the directories are looked at and compared with what
// they were. So nothing is told that was undone in between, and a guest that changes much costs a
// bounded number of looks.

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "backend/wasm/tree_calls.h"
#include "live/file_calls.h"
#include "live/frame.h"

namespace cordon::live {

class Watches {
 public:
  static constexpr size_t kMostWatches = 16;
  static constexpr size_t kMostEntries = 4096;  // of one watch; more are an overflow
  static constexpr std::chrono::milliseconds kPeriod{50};

  Watches(backend::Keeper& keeper, control::Control& page) : tree_(keeper), page_(page) {}

  // `id` is that of the events. `path` has no links in it; what is below is watched too if
  // `is_deep`.
  [[nodiscard]] FileAnswer Add(uint32_t id, const std::string& path, bool is_deep);
  [[nodiscard]] FileAnswer Remove(uint32_t id);
  // Another sandbox, or another state of it: nobody watches there, or everything may be different.
  void Forget();
  void Doubt();

  // kChanged frames for what is different since the last look, if it is time for one.
  [[nodiscard]] std::vector<Frame> Look();
  // When to ask again.
  [[nodiscard]] std::chrono::steady_clock::time_point next() const;

 private:
  struct Seen {
    uint64_t inode = 0;
    uint32_t mode = 0, uid = 0, gid = 0;
    uint64_t size = 0;
    int64_t mtime_ns = 0, ctime_ns = 0;
    bool operator==(const Seen&) const = default;
  };
  using Entries = std::map<std::string, Seen>;
  struct Watch {
    std::string path;
    bool is_deep = false;
    bool is_full = false;  // there is more than is compared
    Entries entries;       // by their path below
  };
  enum class Read { kWhole, kTooMany };
  [[nodiscard]] Result<Read> ReadEntries(const std::string& path, const std::string& prefix,
                                         bool is_deep, int depth, Entries* entries);
  void Compare(uint32_t id, Watch& watch, std::vector<Frame>* events);

  backend::TreeCalls tree_;
  control::Control& page_;
  std::map<uint32_t, Watch> watches_;
  std::chrono::steady_clock::time_point next_;
  bool is_marked_ = false;  // something changed before the last time it was asked
};

}  // namespace cordon::live

#endif  // CORDON_LIVE_WATCHES_H_

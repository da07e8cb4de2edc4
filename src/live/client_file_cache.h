#ifndef CORDON_LIVE_CLIENT_FILE_CACHE_H_
#define CORDON_LIVE_CLIENT_FILE_CACHE_H_

// What a client has said of its files, for as long as it allows to believe that. Listings are kept
// a little longer for whoever reads on in one, which comes in pieces.

#include <chrono>
#include <cstdint>
#include <list>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "live/client_file_frame.h"

namespace cordon::live {

// The entries from `at` on as FileEntry and name, as many as fit into `room` bytes; their bytes.
[[nodiscard]] int64_t PutEntries(std::string_view directory,
                                 const std::vector<ClientEntry>& entries, uint64_t at,
                                 uint32_t room, uint8_t* data);

class ClientFileCache {
 public:
  using Clock = std::chrono::steady_clock;

  explicit ClientFileCache(Clock::duration time) : time_(time) {}

  [[nodiscard]] bool is_used() const { return time_ > Clock::duration::zero(); }

  struct Stat {
    int64_t result;  // or -ENOENT
    control::FileFacts facts;
  };
  [[nodiscard]] std::optional<Stat> FindStat(const std::string& path) const;
  void KeepStat(const std::string& path, const Stat& stat);

  // A piece of a file from `offset` on; `is_end`: the file has no more.
  struct Range {
    std::string path;
    uint64_t offset;
    std::string bytes;
    bool is_end;
    Clock::time_point until;
    [[nodiscard]] uint64_t end() const { return offset + bytes.size(); }
  };
  // One that has all that is asked for; null: none. Until the next call.
  [[nodiscard]] const Range* FindRange(std::string_view path, uint64_t offset, uint32_t count);
  void KeepRange(std::string path, uint64_t offset, std::string bytes, bool is_end);

  // For the entries from `at` on; null: they are not known. Until the next call.
  [[nodiscard]] const std::vector<ClientEntry>* FindList(std::string_view path, uint64_t at) const;
  void KeepList(std::string path, std::vector<ClientEntry> entries);

  // Something was changed.
  void Forget();

 private:
  struct List {
    std::string path;
    std::vector<ClientEntry> entries;
    Clock::time_point until, until_for_more;
  };
  struct KeptStat {
    Stat stat;
    Clock::time_point until;
  };

  const Clock::duration time_;
  std::unordered_map<std::string, KeptStat> stats_;
  std::list<Range> ranges_;  // used last: first
  std::list<List> lists_;
};

}  // namespace cordon::live

#endif  // CORDON_LIVE_CLIENT_FILE_CACHE_H_

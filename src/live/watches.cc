#include "live/watches.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <utility>

namespace cordon::live {
namespace {

using std::chrono::steady_clock;

constexpr int kDeepest = 100;
// More at once are told as one overflow.
constexpr size_t kMostEvents = 1000;
// Of the time, no more than this part goes into looking.
constexpr int kShare = 4;

}  // namespace

Result<Watches::Read> Watches::ReadEntries(const std::string& path, const std::string& prefix,
                                           bool is_deep, int depth, Entries* entries) {
  const auto nodes = tree_.List(path, backend::TreeCalls::Extent::kAll);
  if (!nodes) return std::unexpected(nodes.error());
  for (const backend::TreeNode& node : *nodes) {
    if ((node.changes & control::kTreeRemoved) != 0 || node.mode == 0) continue;
    if (entries->size() >= kMostEntries) return Read::kTooMany;
    Seen seen = {node.inode, node.mode, node.uid, node.gid, 0, 0, 0};
    // What is in a directory has events of its own.
    if (!S_ISDIR(node.mode)) {
      seen.size = node.size;
      seen.mtime_ns = node.mtime_ns;
      seen.ctime_ns = node.ctime_ns;
    }
    const std::string name = prefix + node.name;
    (*entries)[name] = seen;
    if (!is_deep || !S_ISDIR(node.mode) || depth >= kDeepest) continue;
    const Result<Read> below = ReadEntries(path == "/" ? "/" + node.name : path + "/" + node.name,
                                           name + "/", true, depth + 1, entries);
    // One that went in the meantime is empty.
    if (below && *below == Read::kTooMany) return below;
  }
  return Read::kWhole;
}

FileAnswer Watches::Add(uint32_t id, const std::string& path, bool is_deep) {
  if (watches_.size() >= kMostWatches) {
    return {-ENOSPC, "a sandbox has at most 16 watches"};
  }
  // From now on the file system says when something changes.
  page_.file_changes.store(control::kNothingChanged);
  Watch watch;
  watch.path = path;
  watch.is_deep = is_deep;
  const Result<Read> read = ReadEntries(path, "", is_deep, 0, &watch.entries);
  if (!read) return FailWith(read.error());
  watch.is_full = *read == Read::kTooMany;
  watches_[id] = std::move(watch);
  // Others may have missed what the mark stood for.
  Doubt();
  return {};
}

FileAnswer Watches::Remove(uint32_t id) {
  if (watches_.erase(id) == 0) return {-ENOENT, "no such watch"};
  if (watches_.empty()) page_.file_changes.store(control::kNobodyWatches);
  return {};
}

void Watches::Forget() {
  watches_.clear();
  page_.file_changes.store(control::kNobodyWatches);
}

void Watches::Doubt() {
  if (!watches_.empty()) page_.file_changes.store(control::kSomethingChanged);
}

void Watches::Compare(uint32_t id, Watch& watch, std::vector<Frame>* events) {
  Entries entries;
  const Result<Read> read = ReadEntries(watch.path, "", watch.is_deep, 0, &entries);
  // A directory that is gone has nothing in it; one that comes again is watched again.
  const bool is_full = read && *read == Read::kTooMany;
  std::vector<std::pair<WatchEvent, std::string>> found;
  for (const auto& [name, seen] : entries) {
    const auto before = watch.entries.find(name);
    if (before == watch.entries.end()) {
      found.emplace_back(WatchEvent::kCreated, name);
    } else if (before->second != seen) {
      found.emplace_back(WatchEvent::kWritten, name);
    }
  }
  for (const auto& [name, seen] : watch.entries) {
    if (!entries.contains(name)) found.emplace_back(WatchEvent::kRemoved, name);
  }
  const bool is_too_much = is_full || watch.is_full || found.size() > kMostEvents;
  watch.entries = std::move(entries);
  watch.is_full = is_full;
  if (is_too_much) found = {{WatchEvent::kOverflow, ""}};
  for (auto& [event, name] : found) {
    events->push_back({Kind::kChanged, id, {static_cast<int64_t>(event)}, std::move(name)});
  }
}

std::vector<Frame> Watches::Look() {
  std::vector<Frame> events;
  const auto now = steady_clock::now();
  if (watches_.empty() || now < next_) return events;
  next_ = now + kPeriod;
  // A period between the mark and the look: whoever marks may still be about to change something.
  const bool is_due =
      std::exchange(is_marked_, page_.file_changes.load() == control::kSomethingChanged);
  if (is_marked_) page_.file_changes.store(control::kNothingChanged);
  if (!is_due) return events;
  for (auto& [id, watch] : watches_) Compare(id, watch, &events);
  const auto end = steady_clock::now();
  next_ = end + std::max<steady_clock::duration>(kPeriod, (end - now) * kShare);
  return events;
}

steady_clock::time_point Watches::next() const {
  return watches_.empty() ? steady_clock::time_point::max() : next_;
}

}  // namespace cordon::live

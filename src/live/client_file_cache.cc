#include "live/client_file_cache.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace cordon::live {
namespace {

constexpr size_t kMostStats = 4096;
constexpr size_t kMostRanges = 8;
constexpr size_t kMostLists = 4;
// Whoever is in the middle of a listing comes back within this time, or begins anew.
constexpr std::chrono::seconds kListTime{10};

}  // namespace

int64_t PutEntries(std::string_view directory, const std::vector<ClientEntry>& entries, uint64_t at,
                   uint32_t room, uint8_t* data) {
  uint64_t size = 0;
  for (; at < entries.size(); ++at) {
    const ClientEntry& entry = entries[at];
    const control::FileEntry told = {at + 1, ClientInode(directory, entry.name), entry.type,
                                     static_cast<uint32_t>(entry.name.size())};
    if (sizeof told + entry.name.size() > room - size) break;
    memcpy(data + size, &told, sizeof told);
    (void)entry.name.copy(reinterpret_cast<char*>(data + size + sizeof told), entry.name.size());
    size += sizeof told + entry.name.size();
  }
  return static_cast<int64_t>(size);
}

std::optional<ClientFileCache::Stat> ClientFileCache::FindStat(const std::string& path) const {
  const auto found = stats_.find(path);
  if (found == stats_.end() || found->second.until < Clock::now()) return std::nullopt;
  return found->second.stat;
}

void ClientFileCache::KeepStat(const std::string& path, const Stat& stat) {
  if (!is_used()) return;
  if (stats_.size() == kMostStats) stats_.clear();
  stats_[path] = {stat, Clock::now() + time_};
}

const ClientFileCache::Range* ClientFileCache::FindRange(std::string_view path, uint64_t offset,
                                                         uint32_t count) {
  if (ranges_.empty()) return nullptr;
  const auto now = Clock::now();
  const auto found = std::ranges::find_if(ranges_, [&](const Range& range) {
    return range.path == path && range.until >= now && offset >= range.offset &&
           (range.is_end || (offset <= range.end() && count <= range.end() - offset));
  });
  if (found == ranges_.end()) return nullptr;
  ranges_.splice(ranges_.begin(), ranges_, found);
  return &ranges_.front();
}

void ClientFileCache::KeepRange(std::string path, uint64_t offset, std::string bytes, bool is_end) {
  if (!is_used()) return;
  std::erase_if(ranges_,
                [&](const Range& range) { return range.path == path && range.offset == offset; });
  if (ranges_.size() == kMostRanges) ranges_.pop_back();
  ranges_.push_front({std::move(path), offset, std::move(bytes), is_end, Clock::now() + time_});
}

const std::vector<ClientEntry>* ClientFileCache::FindList(std::string_view path,
                                                          uint64_t at) const {
  const auto now = Clock::now();
  const auto found = std::ranges::find_if(lists_, [&](const List& list) {
    return list.path == path && (at == 0 ? list.until : list.until_for_more) > now;
  });
  return found == lists_.end() ? nullptr : &found->entries;
}

void ClientFileCache::KeepList(std::string path, std::vector<ClientEntry> entries) {
  std::erase_if(lists_, [&](const List& list) { return list.path == path; });
  if (lists_.size() == kMostLists) lists_.pop_back();
  const auto now = Clock::now();
  lists_.push_front({std::move(path), std::move(entries), now + time_, now + kListTime});
}

void ClientFileCache::Forget() {
  stats_.clear();
  ranges_.clear();
  for (List& list : lists_) list.until = {};
}

}  // namespace cordon::live

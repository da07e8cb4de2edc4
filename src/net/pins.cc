#include "net/pins.h"

#include <algorithm>

namespace cordon::net {

void Pins::Unorder(Entry entry) {
  const auto [first, last] = order_.equal_range(entry->second);
  const auto row =
      std::find_if(first, last, [&](const auto& one) { return one.second == entry->first; });
  if (row != last) order_.erase(row);
}

void Pins::ForgetOneOf(const Address& address) {
  size_t count = 0;
  Entry oldest = until_.end();
  for (Entry row = until_.lower_bound({address, ""});
       row != until_.end() && row->first.first == address; ++row, ++count) {
    if (oldest == until_.end() || row->second < oldest->second) oldest = row;
  }
  if (count <= kMostNames) return;
  Unorder(oldest);
  until_.erase(oldest);
}

void Pins::Pin(const Address& address, const std::string& name, std::chrono::seconds ttl,
               Time now) {
  const Time until = now + std::max(ttl, kLeast);
  const auto [entry, is_new] = until_.try_emplace({address, name}, until);
  if (!is_new) {
    if (entry->second >= until) return;
    Unorder(entry);
    entry->second = until;
  }
  order_.emplace(until, entry->first);
  if (is_new) ForgetOneOf(address);
  while (!order_.empty() && (until_.size() > limit_ || order_.begin()->first <= now)) {
    until_.erase(order_.begin()->second);
    order_.erase(order_.begin());
  }
}

std::vector<std::string> Pins::NamesOf(const Address& address, Time now) const {
  std::vector<std::string> names;
  for (auto row = until_.lower_bound({address, ""});
       row != until_.end() && row->first.first == address; ++row) {
    if (row->second > now) names.push_back(row->first.second);
  }
  return names;
}

}  // namespace cordon::net

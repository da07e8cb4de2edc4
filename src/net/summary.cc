#include "net/summary.h"

#include <charconv>

#include "net/socket_question.h"

namespace cordon::net {
namespace {

std::string Shortened(const std::string& host) {
  constexpr std::string_view kMore = "…";
  if (host.size() <= Summary::kLongestHost) return host;
  return host.substr(0, Summary::kLongestHost - kMore.size()).append(kMore);
}

}  // namespace

void Summary::Allow(const std::string& host) {
  Count(&allowed, Shortened(host));
}

void Summary::Refuse(const std::string& host, const std::string& who) {
  const std::string shown = Shortened(host);
  Count(&refused, shown);
  if (!who.empty() && refused.contains(shown)) by.emplace(shown, who);
}

void Summary::Count(std::map<std::string, uint64_t>* hosts, const std::string& host) {
  const auto found = hosts->find(host);
  if (found != hosts->end()) {
    ++found->second;
  } else if (hosts->size() < kMostHosts) {
    hosts->emplace(host, 1);
  } else {
    ++more;
  }
}

std::string Summary::ToString() const {
  constexpr size_t kMostShown = 8;
  std::string text = std::to_string(allowed.size()) +
                     (allowed.size() == 1 ? " host allowed, " : " hosts allowed, ") +
                     std::to_string(refused.size()) + " refused";
  size_t shown = 0;
  for (const auto& [host, count] : refused) {
    if (shown == kMostShown) {
      text += ", …";
      break;
    }
    text += (shown++ == 0 ? ": " : ", ") + host;
    if (const auto who = by.find(host); who != by.end()) text += " by " + who->second;
  }
  return text;
}

std::string Summary::Write() const {
  std::string text = "more " + std::to_string(more) + "\n";
  for (const auto& [host, count] : allowed) {
    text += "allowed " + std::to_string(count) + " " + host + "\n";
  }
  for (const auto& [host, count] : refused) {
    text += "refused " + std::to_string(count) + " " + host + "\n";
  }
  for (const auto& [host, who] : by) {
    text.append("by ").append(std::to_string(host.size())).append(" ").append(host);
    text.append(" ").append(who).append("\n");
  }
  return text;
}

std::optional<Summary> Summary::Read(std::string_view text) {
  Summary summary;
  while (!text.empty()) {
    const size_t end = text.find('\n');
    if (end == std::string_view::npos) return std::nullopt;
    std::string_view line = text.substr(0, end);
    text.remove_prefix(end + 1);
    const std::string_view key = line.substr(0, line.find(' '));
    line.remove_prefix(std::min(line.size(), key.size() + 1));
    uint64_t count = 0;
    const auto [rest, error] = std::from_chars(line.data(), line.data() + line.size(), count);
    if (error != std::errc()) return std::nullopt;
    line.remove_prefix(static_cast<size_t>(rest - line.data()));
    if (key == "more" && line.empty()) {
      summary.more = count;
    } else if (key == "by" && line.starts_with(' ') && count < line.size() &&
               count + 2 <= line.size() && line[count + 1] == ' ') {
      summary.by.emplace(line.substr(1, count), PlainName(line.substr(count + 2)));
    } else if ((key == "allowed" || key == "refused") && line.starts_with(' ')) {
      (key == "allowed" ? summary.allowed : summary.refused).emplace(line.substr(1), count);
    } else {
      return std::nullopt;
    }
  }
  return summary;
}

}  // namespace cordon::net

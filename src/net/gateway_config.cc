#include "net/gateway_config.h"

#include <charconv>

#include "net/dns_message.h"

namespace cordon::net {
namespace {

constexpr uint16_t kDnsPort = 53;

// Cuts the first line off; without its end.
std::string_view TakeLine(std::string_view* text) {
  const size_t end = text->find('\n');
  const std::string_view line = text->substr(0, end);
  text->remove_prefix(end == std::string_view::npos ? text->size() : end + 1);
  return line;
}

// Cuts the first word off; empty if there is none.
std::string_view TakeWord(std::string_view* line) {
  constexpr std::string_view kBlanks = " \t\r";
  const size_t begin = line->find_first_not_of(kBlanks);
  if (begin == std::string_view::npos) return {};
  line->remove_prefix(begin);
  const size_t end = std::min(line->find_first_of(kBlanks), line->size());
  const std::string_view word = line->substr(0, end);
  line->remove_prefix(end);
  return word;
}

bool ReadNumber(std::string_view word, size_t* number) {
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), *number);
  return error == std::errc() && end == word.data() + word.size();
}

bool ReadAllow(std::string_view line, policy::NetworkPlan* plan) {
  const std::string_view privacy = TakeWord(&line);
  const auto rule = policy::ParseHostRule(TakeWord(&line));
  if (!rule || !TakeWord(&line).empty() || (privacy != "private" && privacy != "public"))
    return false;
  plan->allow.push_back({*rule, privacy == "private", policy::Origin::kCordon, {}});
  return true;
}

bool ReadFact(std::string_view line, GatewayConfig* config) {
  const std::string_view key = TakeWord(&line);
  if (key == "allow") return ReadAllow(line, &config->network);
  const std::string_view value = TakeWord(&line);
  if (key == "mode") {
    config->network.mode = value == "all" ? policy::NetworkMode::kAll : policy::NetworkMode::kList;
    return value == "all" || value == "list";
  }
  if (key == "resolver" || key == "host") {
    const auto address = ParseAddress(value);
    size_t port = kDnsPort;
    if (!address) return false;
    if (key == "host") {
      config->hosts.emplace_back(TakeWord(&line), *address);
      return true;
    }
    if (!ReadNumber(TakeWord(&line), &port) || port > 65535) return false;
    config->resolvers.push_back({*address, static_cast<uint16_t>(port)});
    return true;
  }
  if (key == "asks-who") {
    config->asks_who = value == "yes";
    return config->asks_who;
  }
  if (key == "max-flows") return ReadNumber(value, &config->max_flows);
  if (key == "max-datagram-flows") return ReadNumber(value, &config->max_datagram_flows);
  if (key == "lookups-per-second") return ReadNumber(value, &config->lookups_per_second);
  return false;
}

}  // namespace

std::string WriteConfig(const GatewayConfig& config) {
  std::string text = "mode ";
  text += config.network.mode == policy::NetworkMode::kAll ? "all\n" : "list\n";
  for (const policy::HostGrant& grant : config.network.allow) {
    text += std::string("allow ") + (grant.may_be_private ? "private " : "public ") +
            grant.rule.ToString() + "\n";
  }
  for (const Endpoint& resolver : config.resolvers) {
    text += "resolver " + resolver.address.ToString() + " " + std::to_string(resolver.port) + "\n";
  }
  for (const auto& [name, address] : config.hosts) {
    text += "host " + address.ToString() + " " + name + "\n";
  }
  if (config.asks_who) text += "asks-who yes\n";
  text += "max-flows " + std::to_string(config.max_flows) + "\n";
  text += "max-datagram-flows " + std::to_string(config.max_datagram_flows) + "\n";
  text += "lookups-per-second " + std::to_string(config.lookups_per_second) + "\n";
  return text;
}

Result<GatewayConfig> ReadConfig(std::string_view text) {
  GatewayConfig config;
  while (!text.empty()) {
    const std::string_view line = TakeLine(&text);
    if (!ReadFact(line, &config)) {
      return Fail(ErrorCode::kInternal, "the gateway was told '" + std::string(line) + "'");
    }
  }
  return config;
}

std::vector<Endpoint> ReadResolvers(std::string_view text) {
  constexpr size_t kMost = 3;  // as the C library
  std::vector<Endpoint> resolvers;
  while (!text.empty() && resolvers.size() < kMost) {
    std::string_view line = TakeLine(&text);
    if (TakeWord(&line) != "nameserver") continue;
    if (const auto address = ParseAddress(TakeWord(&line))) {
      resolvers.push_back({*address, kDnsPort});
    }
  }
  if (resolvers.empty()) resolvers.push_back({Address::Ipv4({127, 0, 0, 1}), kDnsPort});
  return resolvers;
}

std::vector<std::pair<std::string, Address>> ReadHosts(std::string_view text) {
  constexpr size_t kMost = 4096;
  std::vector<std::pair<std::string, Address>> hosts;
  while (!text.empty() && hosts.size() < kMost) {
    std::string_view line = TakeLine(&text);
    line = line.substr(0, line.find('#'));
    const auto address = ParseAddress(TakeWord(&line));
    if (!address) continue;
    for (std::string_view word = TakeWord(&line); !word.empty(); word = TakeWord(&line)) {
      if (const std::string name = CanonicalHostName(word); !name.empty()) {
        hosts.emplace_back(name, *address);
      }
    }
  }
  return hosts;
}

}  // namespace cordon::net

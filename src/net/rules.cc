#include "net/rules.h"

#include <algorithm>

namespace cordon::net {
namespace {

using policy::HostGrant;
using policy::HostRule;
using policy::NetworkMode;

constexpr uint16_t kHttp = 80;
constexpr uint16_t kHttps = 443;

bool IsNamedBy(const HostRule& rule, const std::string& name) {
  return (rule.kind == HostRule::Kind::kName && name == rule.name) ||
         (rule.kind == HostRule::Kind::kBelow && name.ends_with("." + rule.name));
}

bool FitsPort(const HostRule& rule, uint16_t port) {
  return rule.port == 0 ? port == kHttp || port == kHttps : port == rule.port;
}

bool FitsAddress(const HostRule& rule, const Address& address) {
  constexpr int kIpv4Start = 96;
  if (rule.kind != HostRule::Kind::kAddress) return false;
  // "::/0" does not mean IPv4, although that is written within it here.
  if (rule.prefix_bits < kIpv4Start && address.is_ipv4()) return false;
  for (int bit = 0; bit < rule.prefix_bits; ++bit) {
    const auto at = static_cast<size_t>(bit);
    if (((rule.address[at / 8] ^ address.bytes[at / 8]) & (0x80U >> (at % 8))) != 0) return false;
  }
  return true;
}

// Why an address needs a rule that means it; null if it does not.
const char* Special(const Address& address, Whose whose) {
  if (const SpecialRange* range = FindSpecialRange(address)) return range->what;
  return whose == Whose::kThisMachine ? "this machine's own" : nullptr;
}

// "0.0.0.0/0" does not mean what is private: a rule means a special address if nothing beyond its
// range is in the rule, and one of this machine's own if it names just that.
bool MeansAddress(const HostGrant& grant, const Address& address, Whose whose) {
  constexpr int kOne = 128;
  if (!FitsAddress(grant.rule, address)) return false;
  const SpecialRange* range = FindSpecialRange(address);
  if (range == nullptr && whose == Whose::kOther) return true;
  return grant.may_be_private &&
         grant.rule.prefix_bits >= (whose == Whose::kThisMachine ? kOne : range->prefix_bits);
}

// Whether a name may be at a special address at all, and at what that stands for by translation.
bool MayHaveName(const Address& address) {
  const auto may_have = [](const Address& one) {
    const SpecialRange* range = FindSpecialRange(one);
    return range == nullptr || range->by == SpecialRange::By::kName;
  };
  const auto embedded = EmbeddedIpv4(address);
  return may_have(address) && (!embedded || may_have(*embedded));
}

Verdict Refuse(std::string reason) {
  return {Verdict::Action::kRefuse, {}, std::move(reason), {}};
}

Verdict Allow(std::string rule) {
  return {Verdict::Action::kRelay, std::move(rule), {}, {}};
}

std::string At(const Address& address, const char* what) {
  return address.ToString() + " is " + what;
}

}  // namespace

// Whatever an address stands for by translation must be allowed too.
const HostGrant* Rules::FindAddressGrant(const Address& address, Whose whose,
                                         std::optional<uint16_t> port) const {
  const auto find = [&](const Address& wanted) -> const HostGrant* {
    const auto found = std::ranges::find_if(plan_.allow, [&](const HostGrant& grant) {
      return MeansAddress(grant, wanted, whose) && (!port || FitsPort(grant.rule, *port));
    });
    return found == plan_.allow.end() ? nullptr : &*found;
  };
  const auto embedded = EmbeddedIpv4(address);
  if (embedded && FindSpecialRange(*embedded) != nullptr && find(*embedded) == nullptr) {
    return nullptr;
  }
  return find(address);
}

Verdict Rules::JudgeName(const std::string& name) const {
  for (const HostGrant& grant : plan_.allow) {
    if (IsNamedBy(grant.rule, name)) return Allow(grant.rule.ToString());
  }
  if (plan_.mode == NetworkMode::kAll) return Allow("network: on");
  return Refuse("no rule names it");
}

Verdict Rules::JudgePin(const std::string& name, const Address& address, Whose whose) const {
  const char* special = Special(address, whose);
  if (special == nullptr) return JudgeName(name);
  for (const HostGrant& grant : plan_.allow) {
    if (grant.may_be_private && IsNamedBy(grant.rule, name) && MayHaveName(address))
      return Allow(grant.rule.ToString());
  }
  if (const HostGrant* grant = FindAddressGrant(address, whose, {}))
    return Allow(grant->rule.ToString());
  return Refuse(At(address, special) + ", and no rule says that " + name + " may be there");
}

Verdict Rules::JudgeFlow(const Flow& flow, Whose whose) const {
  const Endpoint& to = flow.destination;
  const char* special = Special(to.address, whose);
  if (to.port == 0) return Refuse("port 0");
  if (const HostGrant* grant = FindAddressGrant(to.address, whose, to.port))
    return Allow(grant->rule.ToString());
  Verdict checked = Refuse("");
  std::string reason;
  for (const std::string& name : flow.names) {
    for (const HostGrant& grant : plan_.allow) {
      if (!IsNamedBy(grant.rule, name)) continue;
      if (!FitsPort(grant.rule, to.port)) {
        if (reason.empty()) reason = "no rule allows port " + std::to_string(to.port);
        continue;
      }
      if (special != nullptr && (!grant.may_be_private || !MayHaveName(to.address))) {
        reason = At(to.address, special);
        continue;
      }
      // QUIC says its name where only the two ends can read it without effort.
      if (flow.transport == Transport::kUdp && (to.port == kHttp || to.port == kHttps)) {
        reason = "QUIC does not show whom it asks for; a rule for the address allows it";
        continue;
      }
      checked.action =
          flow.transport == Transport::kTcp ? Verdict::Action::kCheck : Verdict::Action::kRelay;
      if (checked.rule.empty()) checked.rule = grant.rule.ToString();
      checked.names.push_back(name);
      break;
    }
  }
  if (checked.action != Verdict::Action::kRefuse) return checked;
  if (special != nullptr) return Refuse(At(to.address, special));
  if (plan_.mode == NetworkMode::kAll) return Allow("network: on");
  if (!reason.empty()) return Refuse(reason);
  return Refuse(flow.names.empty() ? "an address that no allowed name has" : "no rule names it");
}

}  // namespace cordon::net

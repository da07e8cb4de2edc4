#ifndef CORDON_NET_RULES_H_
#define CORDON_NET_RULES_H_

// What a sandbox may reach: the plan's network, applied to names and flows. Nothing is allowed that
// no rule names.

#include <optional>
#include <string>
#include <vector>

#include "net/address.h"
#include "policy/plan.h"

namespace cordon::net {

enum class Transport { kTcp, kUdp };

struct Flow {
  Transport transport = Transport::kTcp;
  Endpoint source;
  Endpoint destination;
  std::vector<std::string> names;  // that our own answers gave to the destination
};

// Whether an address is one of the machine that the gateway runs on, where services listen that
// are not meant for others.
enum class Whose { kOther, kThisMachine };

struct Verdict {
  enum class Action {
    kRefuse,
    kRelay,  // whatever is said
    kCheck,  // what the client says first must name one of `names`
  };
  Action action = Action::kRefuse;
  std::string rule;    // as it would be written
  std::string reason;  // of a refusal
  std::vector<std::string> names;
};

class Rules {
 public:
  explicit Rules(policy::NetworkPlan plan) : plan_(std::move(plan)) {}

  // May it be asked what its addresses are. The rule, or a refusal.
  [[nodiscard]] Verdict JudgeName(const std::string& name) const;
  // May this be one of them.
  [[nodiscard]] Verdict JudgePin(const std::string& name, const Address& address,
                                 Whose whose) const;
  [[nodiscard]] Verdict JudgeFlow(const Flow& flow, Whose whose) const;

 private:
  // For `port`, or for any.
  [[nodiscard]] const policy::HostGrant* FindAddressGrant(const Address& address, Whose whose,
                                                          std::optional<uint16_t> port) const;

  policy::NetworkPlan plan_;
};

}  // namespace cordon::net

#endif  // CORDON_NET_RULES_H_

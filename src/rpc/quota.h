#ifndef CORDON_RPC_QUOTA_H_
#define CORDON_RPC_QUOTA_H_

// What all sandboxes of a daemon may have together. Their keepers tell what they have now, as the
// host counts it; one more is refused where there is no room, and whoever has the most is ended
// while there is too much. A control group of the daemon would end an arbitrary process instead,
// and there is none without privileges.

#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "rpc/sandbox_link.h"

namespace cordon::rpc {

class Quota {
 public:
  struct Limits {
    uint64_t memory_bytes = std::numeric_limits<uint64_t>::max();
    uint64_t processes = std::numeric_limits<uint64_t>::max();
    bool operator==(const Limits&) const = default;
  };
  // `on_end` hears whose end it will be, and by which limit, as events call it.
  using OnEnd = std::function<void(const SandboxLink&, const char* limit)>;
  Quota(const Limits& limits, OnEnd on_end) : limits_(limits), on_end_(std::move(on_end)) {}

  // Keepers have to tell what they use.
  [[nodiscard]] bool is_set() const { return limits_ != Limits(); }
  // From its start on. A fork has memory in common with its origin.
  void Count(const std::shared_ptr<SandboxLink>& link, const SandboxLink* origin = nullptr);
  // Why there is no room for one more; nothing: there is.
  [[nodiscard]] std::optional<std::string> Refusal();
  struct Total {
    uint64_t memory_bytes = 0, processes = 0;
  };
  // Of those that are there.
  [[nodiscard]] Total Sum();
  [[nodiscard]] const Limits& limits() const { return limits_; }

 private:
  struct Member {
    std::weak_ptr<SandboxLink> link;
    uint64_t family;
    live::SandboxUse use;
    bool is_asked = false;
    bool is_new_fork = false;  // no round had it: its figure would count what its origin counts too
    std::optional<live::SandboxUse> answer;
  };
  void Hear(const SandboxLink& link, const live::SandboxUse& use, bool asked);
  void Prune();
  // When a fork was made or has ended, what its family shares is shared by others: all are measured
  // anew, and believed together.
  void BeginRound();
  void EndRound();
  void Hold();
  [[nodiscard]] bool is_in_round() const;

  Limits limits_;
  OnEnd on_end_;
  std::vector<Member> members_;
  uint64_t last_family_ = 0;
  bool is_round_wanted_ = false;
};

}  // namespace cordon::rpc

#endif  // CORDON_RPC_QUOTA_H_

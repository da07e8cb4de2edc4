#include "rpc/quota.h"

#include <algorithm>
#include <map>
#include <utility>

#include "base/units.h"

namespace cordon::rpc {
namespace {

using live::SandboxUse;

// Of one that has not said what it uses, or has yet to be made: what an idle one has.
constexpr SandboxUse kExpected = {.memory_bytes = uint64_t{3} << 20, .processes = 2};
constexpr SandboxUse kExpectedOfFork = {.memory_bytes = uint64_t{1} << 20, .processes = 2};

}  // namespace

void Quota::Count(const std::shared_ptr<SandboxLink>& link, const SandboxLink* origin) {
  if (!is_set()) return;
  uint64_t family = 0;
  for (const Member& member : members_) {
    if (origin != nullptr && member.link.lock().get() == origin) family = member.family;
  }
  if (family == 0) family = ++last_family_;
  const bool is_fork = origin != nullptr;
  members_.push_back({link, family, is_fork ? kExpectedOfFork : kExpected, false, is_fork, {}});
  link->ListenToUse(
      [this, one = link.get()](const SandboxUse& use, bool asked) { Hear(*one, use, asked); });
  is_round_wanted_ |= is_fork;
}

void Quota::Hear(const SandboxLink& link, const SandboxUse& use, bool asked) {
  Prune();
  const auto found = std::ranges::find_if(
      members_, [&](const Member& member) { return member.link.lock().get() == &link; });
  if (found == members_.end()) return;
  if (asked && found->is_asked) {
    found->is_asked = false;
    found->answer = use;
    if (!is_in_round()) EndRound();
  } else if (!found->is_new_fork) {
    found->use = use;
  }
  if (is_round_wanted_ && !is_in_round()) BeginRound();
  Hold();
}

bool Quota::is_in_round() const {
  return std::ranges::any_of(members_, &Member::is_asked);
}

void Quota::Prune() {
  const bool was_in_round = is_in_round();
  std::map<uint64_t, int> gone;
  std::erase_if(members_, [&](const Member& member) {
    const auto link = member.link.lock();
    if (link && !link->closed()) return false;
    ++gone[member.family];
    return true;
  });
  for (const Member& member : members_) is_round_wanted_ |= gone.contains(member.family);
  if (was_in_round && !is_in_round()) EndRound();
}

void Quota::BeginRound() {
  is_round_wanted_ = false;
  std::map<uint64_t, int> sizes;
  for (const Member& member : members_) ++sizes[member.family];
  for (Member& member : members_) {
    if (sizes[member.family] == 1 && !member.is_new_fork) continue;
    member.is_asked = true;
    member.link.lock()->Tell({live::Kind::kTellUse, 0, {}, {}});
  }
}

void Quota::EndRound() {
  for (Member& member : members_) {
    if (!member.answer) continue;
    member.use = *std::exchange(member.answer, std::nullopt);
    member.is_new_fork = false;
  }
}

Quota::Total Quota::Sum() {
  Prune();
  Total total;
  std::map<uint64_t, uint64_t> sealed;  // what a family has in common
  for (const Member& member : members_) {
    total.memory_bytes += member.use.memory_bytes;
    total.processes += member.use.processes;
    uint64_t& most = sealed[member.family];
    most = std::max(most, member.use.sealed_bytes);
  }
  for (const auto& [family, bytes] : sealed) total.memory_bytes += bytes;
  return total;
}

std::optional<std::string> Quota::Refusal() {
  if (!is_set()) return std::nullopt;
  const Total total = Sum();
  if (total.memory_bytes + kExpected.memory_bytes > limits_.memory_bytes) {
    return "LIMIT_EXCEEDED: the daemon's sandboxes have " + FormatSize(total.memory_bytes) +
           " of memory, and all together may have " + FormatSize(limits_.memory_bytes) +
           " (--max-total-memory)";
  }
  if (total.processes + kExpected.processes > limits_.processes) {
    return "LIMIT_EXCEEDED: the daemon's sandboxes have " + std::to_string(total.processes) +
           " processes, and all together may have " + std::to_string(limits_.processes) +
           " (--max-total-processes)";
  }
  return std::nullopt;
}

void Quota::Hold() {
  for (;;) {
    const Total total = Sum();
    const bool is_memory = total.memory_bytes > limits_.memory_bytes;
    if ((!is_memory && total.processes <= limits_.processes) || members_.empty()) return;
    // Figures of before a fork count twice what is shared now.
    if (is_in_round()) return;
    const auto largest = std::ranges::max_element(members_, {}, [&](const Member& member) {
      return is_memory ? member.use.memory_bytes : member.use.processes;
    });
    const auto link = largest->link.lock();
    on_end_(*link, is_memory ? "totalMemoryBytes" : "totalProcesses");
    link->EndFor(
        is_memory ? "sandbox ended: all sandboxes of the daemon together took more than " +
                        FormatSize(limits_.memory_bytes) + " of memory (--max-total-memory)"
                  : "sandbox ended: all sandboxes of the daemon together had more than " +
                        std::to_string(limits_.processes) + " processes (--max-total-processes)");
  }
}

}  // namespace cordon::rpc

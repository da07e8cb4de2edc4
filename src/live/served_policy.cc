// What the sandbox was not allowed: programs that its policy forbids, limits that it met. The
// kernel writes both where it decides; nothing is guessed from what a command prints.

#include <algorithm>
#include <string>
#include <utility>

#include "live/served_sandbox.h"
#include "packages/installed.h"

namespace cordon::live {
namespace {

using control::Denial;
using control::kDenials;

constexpr uint32_t kLimits[] = {control::kLimitMemory, control::kLimitProcesses,
                                control::kLimitFiles, control::kLimitFileBytes};

// A guest chose it.
std::string NameOf(const Denial& denial) {
  std::string name;
  for (size_t i = 0; i + 1 < sizeof denial.name && denial.name[i] != 0; ++i) {
    const char c = denial.name[i];
    name += c >= ' ' && c <= '~' ? c : '?';
  }
  return name;
}

}  // namespace

Run* ServedSandbox::FindRunByNumber(uint32_t number) {
  const auto found = std::ranges::find_if(
      running_, [number](const auto& run) { return number != 0 && run->number == number; });
  return found == running_.end() ? nullptr : found->get();
}

void ServedSandbox::TakePolicyEvents() {
  TakeDenials();
  TakeLimits();
}

void ServedSandbox::TakeDenials() {
  const uint32_t count = page_.denials.count.load();
  uint32_t lost = 0;
  if (count - denials_seen_ > kDenials) {
    lost = count - denials_seen_ - kDenials;
    denials_seen_ += lost;
  }
  for (; denials_seen_ != count; ++denials_seen_) {
    const Denial& denial = page_.denials.entries[denials_seen_ % kDenials];
    const std::string name = NameOf(denial);
    const uint32_t number = denial.run;
    // Overwritten while it was read.
    if (page_.denials.count.load() - denials_seen_ > kDenials) {
      ++lost;
      continue;
    }
    TellDenied(number, name, std::exchange(lost, 0));
  }
}

void ServedSandbox::TellDenied(uint32_t run_number, const std::string& name, uint32_t lost) {
  Run* run = FindRunByNumber(run_number);
  if (run != nullptr) run->was_denied = true;
  const int64_t request = run == nullptr ? 0 : run->request.id;
  Queue({Kind::kPolicy, 0, {static_cast<int64_t>(PolicyEvent::kDenied), request, lost}, name});
}

void ServedSandbox::RefuseRequest(const GuestChannels::Request& request) {
  const std::string name = packages::kTool;
  TellDenied(request.run, name, 0);
  channels_.Answer(request.channel, request.number,
                   "err " + name + ": tool not allowed by security policy\nexit 126\n",
                   /*is_last=*/true);
}

// The kernel says that a limit was met, not by whom: it counts for every run that goes on.
void ServedSandbox::TakeLimits() {
  if (page_.limits_met.load(std::memory_order_relaxed) == 0) return;
  const uint32_t met = page_.limits_met.exchange(0);
  const bool is_alone = running_.size() == 1;
  uint32_t fresh = running_.empty() ? met : 0;
  int64_t request = 0;
  for (const auto& run : running_) {
    fresh |= met & ~run->limits_met;
    run->limits_met |= met;
    if (is_alone) request = run->request.id;
  }
  for (const uint32_t limit : kLimits) {
    if ((fresh & limit) == 0) continue;
    Queue({Kind::kPolicy, 0, {static_cast<int64_t>(PolicyEvent::kLimitMet), request, limit}, {}});
  }
}

}  // namespace cordon::live

#ifndef CORDON_POLICY_WALLS_H_
#define CORDON_POLICY_WALLS_H_

// What each wall can enforce, and what it needs of the machine.

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "policy/plan.h"

namespace cordon::policy {

// What a plan may ask of a wall. The texts are what a user reads.
enum Feature : uint32_t {
  kHostFiles = 1U << 0,
  kNoNetwork = 1U << 1,
  kHostList = 1U << 2,
  kWholeNetwork = 1U << 3,
  kEngineNetwork = 1U << 4,
  kMasks = 1U << 5,
  kPlaceholders = 1U << 6,
  kShadow = 1U << 7,
  kMemoryLimit = 1U << 8,
  kProcessLimit = 1U << 9,
  kCpuLimit = 1U << 10,
  kTimeLimits = 1U << 11,
  kOutputLimit = 1U << 12,
  kDiskLimit = 1U << 13,
  kFileLimit = 1U << 14,
  kPorts = 1U << 15,
  kOtherUser = 1U << 16,
  kCapabilities = 1U << 17,
  kDescriptors = 1U << 18,
  kImages = 1U << 19,
  kIsolation = 1U << 20,  // other processes and files do not exist for the command
};

// Holds limits and hides nothing: the command is a process of the host like any other.
[[nodiscard]] constexpr bool IsOpen(Wall wall) {
  return wall == Wall::kNone || wall == Wall::kJobobject;
}

struct WallFacts {
  Wall wall;
  std::string_view name;
  uint32_t features;
  bool host_programs;       // the command is a program of the host
  bool in_version;          // this version has it
  std::string_view all_of;  // facilities of the host, `|` between them
  std::string_view one_of;
};

[[nodiscard]] std::span<const WallFacts> Walls();
[[nodiscard]] const WallFacts* FindWall(std::string_view name);
[[nodiscard]] const WallFacts& FactsOf(Wall wall);
[[nodiscard]] std::string_view FeatureText(Feature feature);

// The features that a plan needs.
[[nodiscard]] std::vector<Feature> FeaturesOf(const Plan& plan);

// One facility of the host, as it was found by trying.
struct HostFacility {
  std::string name;
  bool there = false;
  std::string detail;
};
// Names of the facilities that a plan's wall needs.
[[nodiscard]] std::vector<std::string> NeededFacilities(Wall wall);
// What the wall needs and this machine has not, one sentence each.
[[nodiscard]] std::vector<std::string> FindLacks(Wall wall, const std::vector<HostFacility>& host);
// Everything that keeps this machine, or this version, from enforcing a plan for the wall in full.
[[nodiscard]] std::vector<std::string> FindAllLacks(Wall wall,
                                                    const std::vector<HostFacility>& host);

}  // namespace cordon::policy

#endif  // CORDON_POLICY_WALLS_H_

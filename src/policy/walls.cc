#include "policy/walls.h"

#include <algorithm>

#include "policy/managers.h"

namespace cordon::policy {
namespace {

// Limits that a keeper outside enforces around any process of Linux.
constexpr uint32_t kKept =
    kMemoryLimit | kProcessLimit | kCpuLimit | kTimeLimits | kOutputLimit | kFileLimit;
constexpr uint32_t kWasmFeatures = kNoNetwork | kMemoryLimit | kProcessLimit | kTimeLimits |
                                   kOutputLimit | kDiskLimit | kFileLimit | kIsolation;
constexpr uint32_t kNativeFeatures = kHostFiles | kNoNetwork | kHostList | kWholeNetwork | kMasks |
                                     kPlaceholders | kShadow | kKept | kDiskLimit | kPorts |
                                     kDescriptors | kIsolation;
constexpr uint32_t kContainerFeatures = kHostFiles | kNoNetwork | kHostList | kWholeNetwork |
                                        kEngineNetwork | kMasks | kKept | kPorts | kOtherUser |
                                        kCapabilities | kImages | kIsolation;
constexpr uint32_t kMicrovmFeatures = kHostFiles | kNoNetwork | kHostList | kWholeNetwork | kMasks |
                                      kPlaceholders | kShadow | kKept | kDiskLimit | kPorts |
                                      kOtherUser | kCapabilities | kIsolation;
constexpr uint32_t kBwrapFeatures = kHostFiles | kNoNetwork | kHostList | kWholeNetwork | kMasks |
                                    kKept | kDescriptors | kIsolation;
constexpr uint32_t kNsjailFeatures = kHostFiles | kNoNetwork | kMasks | kKept | kIsolation;
constexpr uint32_t kSandboxExecFeatures =
    kHostFiles | kNoNetwork | kWholeNetwork | kTimeLimits | kOutputLimit | kShadow;
constexpr uint32_t kJobobjectFeatures =
    kMemoryLimit | kProcessLimit | kTimeLimits | kOutputLimit | kWholeNetwork;

constexpr std::string_view kNamespaces =
    "pid namespace|mount namespace|net namespace|ipc namespace|uts namespace|seccomp|landlock";

constexpr WallFacts kWalls[] = {
    {Wall::kWasm, "wasm", kWasmFeatures, false, true, "", ""},
    {Wall::kNative, "native", kNativeFeatures, true, true, kNamespaces, ""},
    {Wall::kContainer, "container", kContainerFeatures, false, true, "", "podman|docker"},
    {Wall::kMicrovm, "microvm", kMicrovmFeatures, false, false, "qemu-system-x86_64", ""},
    {Wall::kBwrap, "bwrap", kBwrapFeatures, true, true, "bwrap", ""},
    {Wall::kNsjail, "nsjail", kNsjailFeatures, true, false, "nsjail", ""},
    {Wall::kSandboxExec, "sandbox-exec", kSandboxExecFeatures, true, false, "sandbox-exec", ""},
    {Wall::kJobobject, "jobobject", kJobobjectFeatures, true, false, "jobobject", ""},
    {Wall::kNone, "none", kTimeLimits | kOutputLimit | kHostFiles, true, true, "", ""},
};

struct FeatureRow {
  Feature feature;
  std::string_view text;
};
constexpr FeatureRow kFeatures[] = {
    {kHostFiles, "files of the host"},
    {kNoNetwork, "no network"},
    {kHostList, "a list of hosts"},
    {kWholeNetwork, "the network"},
    {kEngineNetwork, "a network of the container engine"},
    {kMasks, "hidden files"},
    {kPlaceholders, "paths that must not come into being"},
    {kShadow, "a shadow workspace"},
    {kMemoryLimit, "a limit of memory"},
    {kProcessLimit, "a limit of processes"},
    {kCpuLimit, "a share of the processors"},
    {kTimeLimits, "limits of time"},
    {kOutputLimit, "a limit of output"},
    {kDiskLimit, "a limit of disk"},
    {kFileLimit, "a limit of descriptors"},
    {kPorts, "published ports"},
    {kOtherUser, "another user"},
    {kCapabilities, "capabilities"},
    {kDescriptors, "secrets as descriptors"},
    {kImages, "images"},
    {kIsolation, "isolation from other processes and files"},
};

bool HasMount(const Plan& plan, MountKind kind) {
  return std::ranges::any_of(plan.mounts, [&](const Mount& mount) { return mount.kind == kind; });
}

const HostFacility* Find(const std::vector<HostFacility>& host, const std::string& name) {
  const auto found = std::ranges::find(host, name, &HostFacility::name);
  return found == host.end() ? nullptr : &*found;
}

}  // namespace

std::span<const WallFacts> Walls() {
  return kWalls;
}

const WallFacts* FindWall(std::string_view name) {
  const WallFacts* found = std::ranges::find(kWalls, name, &WallFacts::name);
  return found == std::end(kWalls) ? nullptr : found;
}

const WallFacts& FactsOf(Wall wall) {
  return *std::ranges::find(kWalls, wall, &WallFacts::wall);
}

std::string_view FeatureText(Feature feature) {
  return std::ranges::find(kFeatures, feature, &FeatureRow::feature)->text;
}

std::vector<Feature> FeaturesOf(const Plan& plan) {
  uint32_t needed = IsOpen(plan.wall) ? 0 : kIsolation;
  const auto need = [&needed](bool condition, Feature feature) {
    needed |= condition ? feature : 0U;
  };
  need(HasMount(plan, MountKind::kBind), kHostFiles);
  need(plan.network.mode == NetworkMode::kOff, kNoNetwork);
  need(plan.network.mode == NetworkMode::kList, kHostList);
  need(plan.network.mode == NetworkMode::kAll, kWholeNetwork);
  need(plan.network.mode == NetworkMode::kNamed, kEngineNetwork);
  need(HasMount(plan, MountKind::kMask), kMasks);
  need(HasMount(plan, MountKind::kPlaceholder), kPlaceholders);
  need(plan.workspace.shadow, kShadow);
  need(plan.limits.memory_bytes.has_value(), kMemoryLimit);
  need(plan.limits.processes.has_value(), kProcessLimit);
  need(plan.limits.cpus.has_value(), kCpuLimit);
  need(plan.limits.wall_time || plan.limits.cpu_time, kTimeLimits);
  need(plan.limits.output_bytes.has_value(), kOutputLimit);
  need(plan.limits.disk_bytes.has_value(), kDiskLimit);
  need(plan.limits.open_files.has_value(), kFileLimit);
  need(!plan.network.ports.empty(), kPorts);
  need(plan.rights.uid.has_value(), kOtherUser);
  need(!plan.rights.capabilities_added.empty(), kCapabilities);
  need(!plan.secrets.empty(), kDescriptors);
  need(plan.image.has_value(), kImages);
  std::vector<Feature> features;
  for (const FeatureRow& row : kFeatures) {
    if ((needed & row.feature) != 0) features.push_back(row.feature);
  }
  return features;
}

std::vector<std::string> NeededFacilities(Wall wall) {
  const WallFacts& facts = FactsOf(wall);
  std::vector<std::string> names = SplitList(facts.all_of, '|');
  for (std::string& name : SplitList(facts.one_of, '|')) names.push_back(std::move(name));
  // The native wall takes version 1 too, or looks at the processes from outside; an engine is
  // asked.
  if ((facts.features & kMemoryLimit) != 0 && wall != Wall::kWasm && wall != Wall::kNative &&
      wall != Wall::kBwrap && wall != Wall::kContainer && wall != Wall::kJobobject) {
    names.emplace_back("cgroup v2");
  }
  return names;
}

std::vector<std::string> FindLacks(Wall wall, const std::vector<HostFacility>& host) {
  const WallFacts& facts = FactsOf(wall);
  std::vector<std::string> lacks;
  const auto reason = [&](const std::string& name) {
    const HostFacility* facility = Find(host, name);
    return facility == nullptr || facility->detail.empty() ? "not there" : facility->detail;
  };
  const auto is_there = [&](const std::string& name) {
    const HostFacility* facility = Find(host, name);
    return facility != nullptr && facility->there;
  };
  for (const std::string& name : SplitList(facts.all_of, '|')) {
    if (!is_there(name)) lacks.push_back(name + ": " + reason(name));
  }
  const std::vector<std::string> choice = SplitList(facts.one_of, '|');
  if (!choice.empty() && std::ranges::none_of(choice, is_there)) {
    std::string text;
    for (const std::string& name : choice) {
      text += (text.empty() ? "" : ", ") + name + ": " + reason(name);
    }
    lacks.push_back(text);
  }
  return lacks;
}

std::vector<std::string> FindAllLacks(Wall wall, const std::vector<HostFacility>& host) {
  std::vector<std::string> lacks = FindLacks(wall, host);
  const WallFacts& facts = FactsOf(wall);
  if (!facts.in_version) {
    lacks.insert(lacks.begin(), "the wall " + std::string(facts.name) + " is not in this version");
  }
  if (const HostFacility* group = Find(host, "cgroup v2"); group != nullptr && !group->there) {
    lacks.push_back("limits of all processes together: cgroup v2: " + group->detail);
  }
  return lacks;
}

}  // namespace cordon::policy

#include "kernel/tool_policy.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "arena/platform.h"
#include "kernel/code_window.h"
#include "kernel/process.h"
#include "kernel/service.h"
#include "vfs/path_walk.h"

namespace cordon::kernel {

struct Tool {
  const std::byte* program;       // its metadata in the image, which no two programs share
  char name[control::kToolName];  // of one of many in a program; empty: the whole program
};

struct ToolPolicy {
  static constexpr uint32_t kMost = 1024;
  Mutex lock;  // of the denials in the control page
  uint32_t count = 0;
  Tool tools[kMost] = {};
};

namespace {

// Run what the client says; all that they start is asked about in its turn.
constexpr std::string_view kShells[] = {"bash", "dash"};
// Programs that are many, as the last component of their first argument says. Any other first
// argument lets them be chosen by a second one, and so is allowed only with the whole program.
constexpr std::string_view kManyInOne[] = {"coreutils"};
constexpr std::string_view kDirectories[] = {"/usr/local/bin/", "/usr/bin/", "/bin/"};

// The program of that name in the userland; null if there is none. Before anything was started
// there is nothing else.
const std::byte* FindTool(std::string_view name) {
  const Process& service = Current();
  for (const std::string_view directory : kDirectories) {
    char path[32 + control::kToolName];
    memcpy(path, directory.data(), directory.size());
    memcpy(path + directory.size(), name.data(), name.size());
    vfs::Node node;
    if (vfs::Walk(TheKernel().mounts, service.who, service.root, service.root,
                  {path, directory.size() + name.size()}, vfs::kFollow, &node) != 0)
      continue;
    vfs::Program program;
    const bool is_program = node.fs->ProgramOf(node.id, &program);
    node.fs->Release(node.id);
    if (is_program) return program.metadata;
  }
  return nullptr;
}

// Names that are no program allow nothing.
bool Add(ToolPolicy& policy, std::string_view name) {
  const std::byte* program = FindTool(name);
  if (program == nullptr) return true;
  if (policy.count == ToolPolicy::kMost) return false;
  Tool& tool = policy.tools[policy.count++];
  tool.program = program;
  for (const std::string_view many : kManyInOne) {
    if (name != many && FindTool(many) == program) memcpy(tool.name, name.data(), name.size());
  }
  return true;
}

}  // namespace

int32_t AllowTools(control::Mailbox& mailbox, uint32_t payload_bytes) {
  Kernel& kernel = TheKernel();
  if (kernel.tools != nullptr || kernel.started != 0) return -EBUSY;
  auto* policy = kernel.arena->New<ToolPolicy>();
  if (policy == nullptr) return -ENOMEM;
  for (const std::string_view shell : kShells) (void)Add(*policy, shell);
  const auto* at = reinterpret_cast<const char*>(mailbox.payload);
  const char* end = at + payload_bytes;
  for (uint32_t left = mailbox.arg[0].load(); left > 0; --left) {
    const std::string_view name = NextString(at, end);
    const bool is_name = !name.empty() && name.size() < control::kToolName &&
                         name.find('/') == std::string_view::npos && name != "." && name != "..";
    if (!is_name || !Add(*policy, name)) {
      kernel.arena->Delete(policy);
      return is_name ? -E2BIG : -EINVAL;
    }
  }
  kernel.tools = policy;
  return 0;
}

bool MayStart(const vfs::Program& program, const StartStrings& strings) {
  const ToolPolicy* policy = TheKernel().tools;
  if (policy == nullptr || IsAllowedByKeeper(program)) return true;
  std::string_view first = strings.argument_count == 0 ? "" : strings.text;
  first = first.substr(first.rfind('/') + 1);
  return std::ranges::any_of(policy->tools, policy->tools + policy->count, [&](const Tool& tool) {
    return tool.program == program.metadata && (tool.name[0] == 0 || first == tool.name);
  });
}

void ReportDenial(std::string_view name) {
  control::Control& page = *TheKernel().control;
  {
    const MutexLock lock(TheKernel().tools->lock, LockRank::kInode);
    const uint32_t number = page.denials.count.load();
    control::Denial& denial = page.denials.entries[number % control::kDenials];
    denial.run = Current().run;
    memset(denial.name, 0, sizeof denial.name);
    memcpy(denial.name, name.data(), std::min(name.size(), sizeof denial.name - 1));
    page.denials.count.store(number + 1, std::memory_order_release);
  }
  page.keeper_bell.fetch_add(1);
  platform::WakeWord(&page.keeper_bell, control::kKeeperThreads);
}

}  // namespace cordon::kernel

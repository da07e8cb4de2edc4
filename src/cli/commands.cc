#include "cli/commands.h"

#include <algorithm>
#include <initializer_list>
#include <string_view>

#include "cli/clean_command.h"
#include "cli/command_line.h"
#include "cli/completions_command.h"
#include "cli/copy_command.h"
#include "cli/doctor_command.h"
#include "cli/freeze_command.h"
#include "cli/init_command.h"
#include "cli/install_command.h"
#include "cli/log_command.h"
#include "cli/mcp_command.h"
#include "cli/pkg_command.h"
#include "cli/plan_command.h"
#include "cli/run_command.h"
#include "cli/sandbox_command.h"
#include "cli/serve_command.h"
#include "cli/shadow_command.h"
#include "cli/shell_command.h"
#include "cli/shim_command.h"
#include "cli/state_command.h"
#include "cli/trust_command.h"

namespace cordon::cli {
namespace {

using Add = void (*)(Command&, std::function<int()>*);
struct Adding {
  std::initializer_list<std::string_view> names;
  Add add;
};
const Adding kCommands[] = {
    {{"run"}, [](Command& app, std::function<int()>* chosen) { AddRunCommand(app, {}, chosen); }},
    {{"exec"}, AddExecCommand},
    {{"sh"}, AddShellCommand},
    {{"shell"}, AddProjectShellCommand},
    {{"install"}, AddInstallCommand},
    {{"bootstrap"}, AddBootstrapCommand},
    {{"audit"}, AddAuditCommand},
    {{"plan"}, AddPlanCommand},
    {{"trust"}, AddTrustCommand},
    {{"init"}, AddInitCommand},
    {{"shadow", "diff", "commit", "discard"}, AddShadowCommands},
    {{"serve"}, AddServeCommand},
    {{"mcp"}, AddMcpCommand},
    {{"ls"}, AddListCommand},
    {{"create"}, AddCreateCommand},
    {{"cp"}, AddCopyCommand},
    {{"snapshot"}, AddSnapshotCommand},
    {{"restore"}, AddRestoreCommand},
    {{"fork"}, AddForkCommand},
    {{"kill"}, AddKillCommand},
    {{"stats"}, AddStatsCommand},
    {{"pkg"}, AddPkgCommand},
    {{"export"}, AddExportCommand},
    {{"import"}, AddImportCommand},
    {{"log"}, AddLogCommand},
    {{"clean"}, AddCleanCommand},
    {{"shim"}, AddShimCommand},
    {{"doctor"}, AddDoctorCommand},
    {{"freeze"}, AddFreezeCommand},
    {{"completions"}, AddCompletionsCommand},
};

}  // namespace

void AddCommands(Command& app, std::span<const std::string> words, std::function<int()>* chosen) {
  const std::string_view first = words.empty() ? std::string_view() : words.front();
  if (first == "run") return AddRunCommand(app, words, chosen);
  const auto is_meant = [first](const Adding& command) {
    return std::ranges::find(command.names, first) != command.names.end();
  };
  const bool is_known = std::ranges::any_of(kCommands, is_meant);
  for (const Adding& command : kCommands) {
    if (!is_known || is_meant(command)) command.add(app, chosen);
  }
}

}  // namespace cordon::cli

#include "cli/mcp_command.h"

#include <unistd.h>

#include <cstdlib>
#include <memory>

#include "cli/command_line.h"
#include "cli/complain.h"
#include "cli/programs.h"
#include "cli/serve_command.h"
#include "mcp/session.h"

namespace cordon::cli {
namespace {

const char* VariableOf(const char* name) {
  return getenv(name);
}

Status Serve(const mcp::GivenSettings& given) {
  const Result<mcp::Settings> settings = mcp::ReadSettings(given, VariableOf);
  if (!settings) return std::unexpected(settings.error());
  TakeDescriptors();
  const Result<Programs> programs = Programs::Find();
  if (!programs) return std::unexpected(programs.error());
  rpc::ServerOptions options;
  options.template_path = programs->template_program;
  options.userland_path = programs->userland;
  options.unpacker_path = programs->unpacker;
  options.compiler_path = programs->compiler;
  options.fetcher_path = programs->fetcher;
  if (!settings->ca_file.empty()) options.ca_file = settings->ca_file;
  options.state_folder = settings->persistence_folder;
  options.max_sandboxes = static_cast<size_t>(settings->max_sandboxes);
  options.pool = static_cast<size_t>(settings->pool);
  if (settings->total_memory_bytes > 0) {
    options.total.memory_bytes = static_cast<uint64_t>(settings->total_memory_bytes);
  }
  if (settings->total_processes > 0) {
    options.total.processes = static_cast<uint64_t>(settings->total_processes);
  }
  // A file or a piece of a state, as base64.
  options.max_request_bytes = size_t{64} << 20;
  boost::asio::io_context loop;
  mcp::Session session(loop, *settings);
  OwnedFd input(dup(STDIN_FILENO));
  OwnedFd output(dup(STDOUT_FILENO));
  if (!input.valid() || !output.valid()) return SystemError("dup()");
  return session.Serve(options, std::move(input), std::move(output));
}

}  // namespace

void AddMcpCommand(Command& app, std::function<int()>* chosen) {
  auto given = std::make_shared<mcp::GivenSettings>();
  Command command = app.AddCommand(
      "mcp", "sandboxes as tools of the Model Context Protocol, on standard input and output");
#define NUMBER(member, flag, variable, name, least, most, otherwise, text) \
  command.AddOption(flag, given->member, text);
#define TEXT(member, flag, variable, name, text) command.AddOption(flag, given->member, text);
#define LIST(member, flag, variable, name, text) command.AddOption(flag, given->member, text);
#include "mcp/settings.def"
#undef NUMBER
#undef TEXT
#undef LIST
  command.AddOption("--config", given->file, "a file of settings (JSON)");
  command.Footer("cordon mcp");
  command.OnCall([given, chosen] {
    *chosen = [given] {
      const Status served = Serve(*given);
      if (served) return 0;
      return Refuse(served.error());
    };
  });
}

}  // namespace cordon::cli

#include "cli/serve_command.h"

#include <sys/resource.h>

#include <cstdlib>
#include <memory>
#include <string>

#include "base/units.h"
#include "cli/command_line.h"
#include "cli/complain.h"
#include "cli/programs.h"
#include "rpc/server.h"

namespace cordon::cli {
namespace {

struct Options {
  bool is_stdio = false;
  std::string path;
  size_t max_sandboxes = 64;
  std::string total_memory;
  uint64_t total_processes = 0;
  size_t pool = 0;
  std::string state_folder;
  std::string ca_file;
};

// Where saved states lie if nobody says: empty where there is no home.
std::string DefaultStateFolder() {
  const char* data = getenv("XDG_DATA_HOME");
  if (data != nullptr && data[0] == '/') return std::string(data) + "/cordon/states";
  const char* home = getenv("HOME");
  if (home == nullptr || home[0] != '/') return {};
  return std::string(home) + "/.local/share/cordon/states";
}

Status Serve(const Options& options) {
  TakeDescriptors();
  const Result<Programs> programs = Programs::Find();
  if (!programs) return std::unexpected(programs.error());
  rpc::ServerOptions server_options;
  server_options.template_path = programs->template_program;
  server_options.userland_path = programs->userland;
  server_options.unpacker_path = programs->unpacker;
  server_options.max_sandboxes = options.max_sandboxes;
  server_options.pool = options.pool;
  if (!options.total_memory.empty()) {
    const auto bytes = ParseSize(options.total_memory, "--max-total-memory");
    if (!bytes) return std::unexpected(bytes.error());
    server_options.total.memory_bytes = *bytes;
  }
  if (options.total_processes > 0) server_options.total.processes = options.total_processes;
  server_options.state_folder =
      options.state_folder.empty() ? DefaultStateFolder() : options.state_folder;
  server_options.compiler_path = programs->compiler;
  server_options.fetcher_path = programs->fetcher;
  if (!options.ca_file.empty()) server_options.ca_file = options.ca_file;
  rpc::Server server(server_options);
  return options.is_stdio ? server.ServeStdio() : server.ServeUnix(options.path);
}

}  // namespace

void TakeDescriptors() {
  rlimit limit = {};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  (void)setrlimit(RLIMIT_NOFILE, &limit);
}

void AddServeCommand(Command& app, std::function<int()>* chosen) {
  auto options = std::make_shared<Options>();
  Command command =
      app.AddCommand("serve", "sandboxes that live, for other programs (JSON-RPC 2.0)");
  Command where = command.AddChoice("where");
  where.AddFlag("--stdio", options->is_stdio, "one client, on standard input and output");
  where.AddOption("--unix", options->path, "a socket at this path, for this user alone");
  command.AddOption("--max-sandboxes", options->max_sandboxes, "at the same time (64)")
      .Within(1, 100'000);
  command
      .AddOption("--max-total-memory", options->total_memory,
                 "that all sandboxes have together, as 4GiB: one more is refused, and the "
                 "largest is ended")
      .From("CORDON_MAX_TOTAL_MEMORY");
  command
      .AddOption("--max-total-processes", options->total_processes,
                 "of all sandboxes together; an idle one has two")
      .From("CORDON_MAX_TOTAL_PROCESSES")
      .Within(2, 10'000'000);
  command
      .AddOption("--pool", options->pool,
                 "sandboxes that wait for who asks next, of the kind that was asked for last (0)")
      .From("CORDON_POOL")
      .Within(0, 1000);
  command
      .AddOption("--state-dir", options->state_folder,
                 "where sandboxes are saved (~/.local/share/cordon/states)")
      .From("CORDON_STATE_DIR");
  command
      .AddOption("--ca-file", options->ca_file,
                 "authorities that hosts of packages are held against, PEM (the system's)")
      .From("CORDON_CA_FILE");
  command.Footer("cordon serve --stdio\ncordon serve --unix ./cordon.sock");
  command.OnCall([options, chosen] {
    *chosen = [options] {
      const Status served = Serve(*options);
      if (served) return 0;
      return Refuse(served.error());
    };
  });
}

}  // namespace cordon::cli

#include "cli/serve_command.h"

#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>

#include "backend/wasm/run.h"
#include "cli/programs.h"
#include "rpc/server.h"

namespace cordon::cli {
namespace {

struct Options {
  bool is_stdio = false;
  std::string path;
  size_t max_sandboxes = 64;
  size_t pool = 0;
  std::string state_folder;
  std::string ca_file = "/etc/ssl/certs/ca-certificates.crt";
};

// Where saved states lie if nobody says: empty where there is no home.
std::string DefaultStateFolder() {
  const char* data = getenv("XDG_DATA_HOME");
  if (data != nullptr && data[0] == '/') return std::string(data) + "/cordon/states";
  const char* home = getenv("HOME");
  if (home == nullptr || home[0] != '/') return {};
  return std::string(home) + "/.local/share/cordon/states";
}

// Three for each sandbox, and what clients have.
void TakeDescriptors() {
  rlimit limit = {};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  (void)setrlimit(RLIMIT_NOFILE, &limit);
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
  server_options.state_folder =
      options.state_folder.empty() ? DefaultStateFolder() : options.state_folder;
  server_options.compiler_path = programs->compiler;
  server_options.fetcher_path = programs->fetcher;
  server_options.ca_file = options.ca_file;
  rpc::Server server(server_options);
  return options.is_stdio ? server.ServeStdio() : server.ServeUnix(options.path);
}

}  // namespace

void AddServeCommand(CLI::App& app, std::function<int()>* chosen) {
  auto options = std::make_shared<Options>();
  CLI::App* command =
      app.add_subcommand("serve", "sandboxes that live, for other programs (JSON-RPC 2.0)");
  auto* where = command->add_option_group("where");
  where->add_flag("--stdio", options->is_stdio, "one client, on standard input and output");
  where->add_option("--unix", options->path, "a socket at this path, for this user alone");
  where->require_option(1);
  command->add_option("--max-sandboxes", options->max_sandboxes, "at the same time (64)")
      ->check(CLI::Range(size_t{1}, size_t{100'000}));
  command
      ->add_option("--pool", options->pool,
                   "sandboxes that wait for who asks next, of the kind that was asked for last (0)")
      ->envname("CORDON_POOL")
      ->check(CLI::Range(size_t{0}, size_t{1000}));
  command
      ->add_option("--state-dir", options->state_folder,
                   "where sandboxes are saved (~/.local/share/cordon/states)")
      ->envname("CORDON_STATE_DIR");
  command
      ->add_option("--ca-file", options->ca_file,
                   "authorities that hosts of packages are held against, PEM (the system's)")
      ->envname("CORDON_CA_FILE");
  command->callback([options, chosen] {
    *chosen = [options] {
      const Status served = Serve(*options);
      if (served) return 0;
      (void)fprintf(stderr, "cordon: %s\n", served.error().ToString().c_str());
      return backend::kOwnFailure;
    };
  });
}

}  // namespace cordon::cli

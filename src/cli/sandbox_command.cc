#include "cli/sandbox_command.h"

#include <array>
#include <cinttypes>
#include <cstdio>
#include <ctime>
#include <memory>
#include <optional>
#include <utility>

#include "base/plain_text.h"
#include "base/units.h"
#include "cli/command_line.h"
#include "cli/complain.h"
#include "cli/sandbox_options.h"
#include "cli/variable.h"

namespace cordon::cli {
namespace {

struct Named {
  std::string socket;
  std::string sandbox;
  std::string name;    // of a snapshot, or of what is saved
  uint64_t count = 0;  // of forks; 0: one, which has to succeed
  bool list = false;
  std::optional<std::string> deleted;  // a snapshot's name
};

// A command about one sandbox: --socket and its id.
std::pair<Command, std::shared_ptr<Named>> AddNamed(Command& app, const char* name,
                                                    const char* about) {
  auto named = std::make_shared<Named>();
  Command command = app.AddCommand(name, about);
  AddSocketOption(command, &named->socket);
  command.AddOption("sandbox", named->sandbox, "its id").Required();
  return {command, std::move(named)};
}

void OnSandbox(Command& command, const std::shared_ptr<Named>& named, std::function<int()>* chosen,
               std::function<Status(Sandbox&, const Named&)> action) {
  command.OnCall([named, chosen, action = std::move(action)] {
    *chosen = [named, action] {
      return WithSandbox(named->socket, named->sandbox,
                         [&](Sandbox& sandbox) { return action(sandbox, *named); });
    };
  });
}

// Prints what came of it, a line.
Status Print(const Result<std::string>& text) {
  if (!text) return std::unexpected(text.error());
  (void)printf("%s\n", text->c_str());
  return {};
}

Status PrintSnapshots(Sandbox& sandbox) {
  const Result<std::vector<SnapshotInfo>> all = sandbox.Snapshots();
  if (!all) return std::unexpected(all.error());
  for (const SnapshotInfo& one : *all) (void)printf("%s\n", PlainText(one.id).c_str());
  return {};
}

struct CreateRequest {
  std::string socket;
  std::string timeout, memory, disk, output;
  std::optional<int64_t> processes, files, nice;
  std::vector<std::string> environment;
  std::vector<std::string> tools, package_hosts;
  std::optional<std::string> saved_as;
  CreateOptions options = {.detached = true};
};

Status ReadCreateOptions(CreateRequest& request) {
  Limits& limits = request.options.limits;
  if (!request.timeout.empty()) {
    const auto timeout = ParseDuration(request.timeout, "--timeout");
    if (!timeout) return std::unexpected(timeout.error());
    limits.timeout_ms = timeout->count();
  }
  const struct {
    const std::string& text;
    const char* option;
    std::optional<int64_t>& limit;
  } sizes[] = {{request.memory, "--memory", limits.memory_bytes},
               {request.disk, "--disk", limits.fs_bytes},
               {request.output, "--max-output", limits.stdout_bytes}};
  for (const auto& [text, option, limit] : sizes) {
    if (text.empty()) continue;
    const auto bytes = ParseSize(text, option);
    if (!bytes) return std::unexpected(bytes.error());
    limit = static_cast<int64_t>(*bytes);
  }
  limits.stderr_bytes = limits.stdout_bytes;
  limits.processes = request.processes;
  limits.file_count = request.files;
  CreateOptions& options = request.options;
  options.nice = static_cast<int>(request.nice.value_or(0));
  if (!request.tools.empty()) options.tools = request.tools;
  if (!request.package_hosts.empty()) options.packages = {.allowed_hosts = request.package_hosts};
  if (request.saved_as) {
    options.persistence = {.mode = Persistence::Mode::kPersistent, .name = *request.saved_as};
  }
  for (const std::string& variable : request.environment) {
    Result<std::pair<std::string, std::string>> parsed = ParseVariable(variable);
    if (!parsed) return std::unexpected(parsed.error());
    request.options.env[parsed->first] = std::move(parsed->second);
  }
  return {};
}

Result<int> Create(Client& client, CreateRequest request) {
  CORDON_TRY(ReadCreateOptions(request));
  const Result<Sandbox> made = client.Create(request.options);
  if (!made) return std::unexpected(made.error());
  (void)printf("%s\n", made->id().c_str());
  return 0;
}

Result<int> List(Client& client) {
  const Result<std::vector<SandboxInfo>> all = client.List();
  if (!all) return std::unexpected(all.error());
  for (const SandboxInfo& one : *all) {
    const std::string label = one.label.empty() ? "" : "\t" + PlainText(one.label);
    (void)printf("%s\t%" PRIu64 " running%s\n", one.id.c_str(), one.running, label.c_str());
  }
  return 0;
}

// A time as ISO 8601 has it.
std::string TimeOf(int64_t milliseconds) {
  const time_t seconds = milliseconds / 1000;
  tm parts = {};
  std::array<char, 32> text = {};
  if (gmtime_r(&seconds, &parts) == nullptr ||
      strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &parts) == 0) {
    return "?";
  }
  return text.data();
}

Result<int> ListSaved(Client& client) {
  const Result<std::vector<SavedState>> all = client.ListSaved();
  if (!all) return std::unexpected(all.error());
  for (const SavedState& one : *all) {
    (void)printf("%s\t%" PRIu64 " bytes\t%s\t%s\n", one.name.c_str(), one.size_bytes,
                 TimeOf(one.saved_ms).c_str(), one.in_use ? "in use" : "free");
  }
  return 0;
}

Status Fork(Sandbox& sandbox, uint64_t count) {
  if (count == 0) {
    const Result<Sandbox> copy = sandbox.Fork(/*detached=*/true);
    if (!copy) return std::unexpected(copy.error());
    return Print(copy->id());
  }
  const auto copies = sandbox.ForkMany(static_cast<int>(count), /*detached=*/true);
  if (!copies) return std::unexpected(copies.error());
  Status done;
  for (const Result<Sandbox>& copy : *copies) {
    if (copy) {
      (void)printf("%s\n", copy->id().c_str());
    } else if (done) {
      done = std::unexpected(copy.error());
    } else {
      Complain(copy.error());
    }
  }
  return done;
}

Status PrintUsage(Sandbox& sandbox) {
  const Result<Usage> usage = sandbox.GetUsage();
  if (!usage) return std::unexpected(usage.error());
  const std::pair<const char*, uint64_t> lines[] = {
      {"processes", usage->processes},       {"processes started", usage->processes_started},
      {"memory bytes", usage->memory_bytes}, {"memory bytes, peak", usage->memory_peak_bytes},
      {"file bytes", usage->file_bytes},     {"files", usage->file_count},
  };
  for (const auto& [name, number] : lines) (void)printf("%-20s%" PRIu64 "\n", name, number);
  return {};
}

Result<int> PrintTotal(Client& client) {
  const Result<TotalUsage> total = client.GetTotalUsage();
  if (!total) return std::unexpected(total.error());
  const std::pair<const char*, std::optional<uint64_t>> lines[] = {
      {"sandboxes", total->sandboxes},
      {"processes", total->processes},
      {"processes, most", total->most_processes},
      {"memory bytes", total->memory_bytes},
      {"memory bytes, most", total->most_memory_bytes},
  };
  for (const auto& [name, number] : lines) {
    if (number) (void)printf("%-20s%" PRIu64 "\n", name, *number);
  }
  return 0;
}

}  // namespace

void AddListCommand(Command& app, std::function<int()>* chosen) {
  auto socket = std::make_shared<std::string>();
  auto is_saved = std::make_shared<bool>(false);
  Command command = app.AddCommand("ls", "the detached sandboxes of a daemon");
  AddSocketOption(command, socket.get());
  command.AddFlag("--saved", *is_saved, "what is saved instead, by name");
  command.OnCall([socket, is_saved, chosen] {
    *chosen = [socket, is_saved] { return WithClient(*socket, *is_saved ? ListSaved : List); };
  });
}

void AddCreateCommand(Command& app, std::function<int()>* chosen) {
  auto request = std::make_shared<CreateRequest>();
  Command command =
      app.AddCommand("create", "a sandbox of a daemon, which lives until `cordon kill`");
  AddSocketOption(command, &request->socket);
  command.AddOption("--timeout", request->timeout, "of each command, as 500ms, 10s, 5m (30s)");
  command.AddOption("--memory", request->memory, "of the sandbox, as 256MiB (1GiB)");
  command.AddOption("--disk", request->disk, "bytes of its files (256MiB)");
  command.AddOption("--max-procs", request->processes, "number of processes (256)");
  command.AddOption("--max-files", request->files, "number of files (100000)");
  command.AddOption("--max-output", request->output, "bytes of each output stream of a command");
  command.AddOption("--nice", request->nice, "of everything it does, 0 to 19 (0)");
  command.AddOption("-e,--env", request->environment, "NAME=VALUE");
  command.AddOption("--cwd", request->options.directory,
                    "where commands begin, made if it is not there (/home/user)");
  command.AddOption("--label", request->options.label, "shown by `cordon ls`");
  command.AddOption("--tool", request->tools,
                    "a program that may be started; any other one but the shells may not be");
  command.AddOption("--package-host", request->package_hosts,
                    "packages may be installed, from this host, as tools.example.com");
  command.AddOption("--saved", request->saved_as,
                    "kept under this name: what was saved is loaded, and saved as things happen");
  command.Footer(
      "cordon serve --unix ./cordon.sock &\n"
      "id=$(cordon create --socket ./cordon.sock)\n"
      "cordon exec --socket ./cordon.sock --sandbox $id -- ls -l /");
  command.OnCall([request, chosen] {
    *chosen = [request] {
      return WithClient(request->socket, [&](Client& client) { return Create(client, *request); });
    };
  });
}

void AddSnapshotCommand(Command& app, std::function<int()>* chosen) {
  auto [command, named] = AddNamed(
      app, "snapshot", "stores a sandbox's files and shell, for `cordon restore`; prints the name");
  const Option name = command.AddOption("name", named->name, "the snapshot's; otherwise a number");
  Option list =
      command.AddFlag("--list", named->list, "the names of all, a line each; stores none");
  list.Excludes(name);
  command.AddOption("--delete", named->deleted, "deletes that one; stores none")
      .Excludes(name)
      .Excludes(list);
  OnSandbox(command, named, chosen, [](Sandbox& sandbox, const Named& given) {
    if (given.list) return PrintSnapshots(sandbox);
    if (given.deleted) return sandbox.DeleteSnapshot(*given.deleted);
    return Print(sandbox.Snapshot(given.name));
  });
}

void AddRestoreCommand(Command& app, std::function<int()>* chosen) {
  auto [command, named] = AddNamed(app, "restore", "a sandbox's files and shell are as they were");
  command.AddOption("name", named->name, "the snapshot's").Required();
  OnSandbox(command, named, chosen,
            [](Sandbox& sandbox, const Named& given) { return sandbox.Restore(given.name); });
}

void AddForkCommand(Command& app, std::function<int()>* chosen) {
  auto [command, named] = AddNamed(
      app, "fork", "a copy of a sandbox in the middle of what it does; prints the copy's id");
  command.AddOption("--count", named->count, "so many copies, an id a line; what fails is told")
      .Within(1, 1000);
  OnSandbox(command, named, chosen,
            [](Sandbox& sandbox, const Named& given) { return Fork(sandbox, given.count); });
}

void AddKillCommand(Command& app, std::function<int()>* chosen) {
  auto named = std::make_shared<Named>();
  Command command = app.AddCommand(
      "kill", "ends a sandbox and everything in it, or deletes what is saved under a name");
  AddSocketOption(command, &named->socket);
  Command what = command.AddChoice("what");
  what.AddOption("sandbox", named->sandbox, "its id");
  what.AddOption("--saved", named->name, "a name that `cordon ls --saved` shows");
  command.OnCall([named, chosen] {
    *chosen = [named] {
      if (named->name.empty()) {
        return WithSandbox(named->socket, named->sandbox,
                           [](Sandbox& sandbox) { return sandbox.Destroy(); });
      }
      return WithClient(named->socket, [&](Client& client) -> Result<int> {
        CORDON_TRY(client.DeleteSaved(named->name));
        return 0;
      });
    };
  });
}

void AddStatsCommand(Command& app, std::function<int()>* chosen) {
  auto named = std::make_shared<Named>();
  Command command = app.AddCommand("stats", "what a sandbox uses now, or all of a daemon together");
  AddSocketOption(command, &named->socket);
  command.AddOption("sandbox", named->sandbox, "its id");
  command.OnCall([named, chosen] {
    *chosen = [named] {
      if (named->sandbox.empty()) return WithClient(named->socket, PrintTotal);
      return WithSandbox(named->socket, named->sandbox, PrintUsage);
    };
  });
}

}  // namespace cordon::cli

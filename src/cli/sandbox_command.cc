#include "cli/sandbox_command.h"

#include <algorithm>
#include <array>
#include <ctime>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "base/plain_text.h"
#include "base/units.h"
#include "cli/answer.h"
#include "cli/command_line.h"
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
  AnswerOptions answer;
};

// A command about one sandbox: --socket and its id.
std::pair<Command, std::shared_ptr<Named>> AddNamed(Command& app, const char* name,
                                                    const char* about) {
  auto named = std::make_shared<Named>();
  Command command = app.AddCommand(name, about);
  AddSocketOption(command, &named->socket);
  command.AddOption("sandbox", named->sandbox, "its id").Required();
  AddAnswerOptions(command, &named->answer);
  return {command, std::move(named)};
}

void OnSandbox(Command& command, const char* name, const std::shared_ptr<Named>& named,
               std::function<int()>* chosen, Status (*action)(Sandbox&, const Named&, Answer&)) {
  command.OnCall([name, named, chosen, action] {
    *chosen = [name, named, action] {
      return GiveAnswer(name, named->answer, [&](Answer& answer) {
        return WithSandbox(named->socket, named->sandbox, answer,
                           [&](Sandbox& sandbox) { return action(sandbox, *named, answer); });
      });
    };
  });
}

Status Snapshot(Sandbox& sandbox, const Named& given, Answer& answer) {
  if (given.list) {
    const Result<std::vector<SnapshotInfo>> all = sandbox.Snapshots();
    if (!all) return std::unexpected(all.error());
    answer.Set("snapshots", nlohmann::ordered_json::array());
    for (const SnapshotInfo& one : *all) {
      answer.Add("snapshots", one.id);
      answer.Print(PlainText(one.id) + "\n");
    }
    return {};
  }
  if (given.deleted) {
    answer.Set("snapshot", *given.deleted);
    return sandbox.DeleteSnapshot(*given.deleted);
  }
  const Result<std::string> name = sandbox.Snapshot(given.name);
  if (!name) return std::unexpected(name.error());
  answer.Set("snapshot", *name);
  answer.Print(*name + "\n");
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
  AnswerOptions answer;
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

Status Create(Client& client, CreateRequest request, Answer& answer) {
  CORDON_TRY(ReadCreateOptions(request));
  const Result<Sandbox> made = client.Create(request.options);
  if (!made) return std::unexpected(made.error());
  answer.Set("sandbox", made->id());
  answer.Print(made->id() + "\n");
  return {};
}

Status List(Client& client, Answer& answer) {
  answer.Set("sandboxes", nlohmann::ordered_json::array());
  const Result<std::vector<SandboxInfo>> all = client.List();
  if (!all) return std::unexpected(all.error());
  for (const SandboxInfo& one : *all) {
    const std::string label = one.label.empty() ? "" : "\t" + PlainText(one.label);
    answer.Add("sandboxes", {{"sandbox", one.id}, {"running", one.running}, {"label", one.label}});
    answer.Print(one.id + "\t" + std::to_string(one.running) + " running" + label + "\n");
  }
  return {};
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

Status ListSaved(Client& client, Answer& answer) {
  answer.Set("saved", nlohmann::ordered_json::array());
  const Result<std::vector<SavedState>> all = client.ListSaved();
  if (!all) return std::unexpected(all.error());
  for (const SavedState& one : *all) {
    const std::string time = TimeOf(one.saved_ms);
    answer.Add("saved", {{"name", one.name},
                         {"size_bytes", one.size_bytes},
                         {"saved", time},
                         {"in_use", one.in_use}});
    answer.Print(one.name + "\t" + std::to_string(one.size_bytes) + " bytes\t" + time + "\t" +
                 (one.in_use ? "in use" : "free") + "\n");
  }
  return {};
}

Status Fork(Sandbox& sandbox, const Named& given, Answer& answer) {
  answer.Set("sandboxes", nlohmann::ordered_json::array());
  const auto tell = [&answer](const Sandbox& copy) {
    answer.Add("sandboxes", copy.id());
    answer.Print(copy.id() + "\n");
  };
  if (given.count == 0) {
    const Result<Sandbox> copy = sandbox.Fork(/*detached=*/true);
    if (!copy) return std::unexpected(copy.error());
    tell(*copy);
    return {};
  }
  const auto copies = sandbox.ForkMany(static_cast<int>(given.count), /*detached=*/true);
  if (!copies) return std::unexpected(copies.error());
  Status done;
  for (const Result<Sandbox>& copy : *copies) {
    if (copy) {
      tell(*copy);
    } else if (done) {
      done = std::unexpected(copy.error());
    } else {
      answer.Complain(copy.error());
    }
  }
  return done;
}

struct Figure {
  const char* label;
  const char* name;
  std::optional<uint64_t> number;
};

void Tell(std::initializer_list<Figure> figures, Answer& answer) {
  nlohmann::ordered_json usage = nlohmann::ordered_json::object();
  for (const Figure& figure : figures) {
    if (!figure.number) continue;
    usage[figure.name] = *figure.number;
    std::string line = figure.label;
    line.resize(std::max<size_t>(20, line.size()), ' ');
    answer.Print(line + std::to_string(*figure.number) + "\n");
  }
  answer.Set("usage", usage);
}

Status TellUsage(Sandbox& sandbox, const Named& /*given*/, Answer& answer) {
  const Result<Usage> usage = sandbox.GetUsage();
  if (!usage) return std::unexpected(usage.error());
  Tell({{"processes", "processes", usage->processes},
        {"processes started", "processes_started", usage->processes_started},
        {"memory bytes", "memory_bytes", usage->memory_bytes},
        {"memory bytes, peak", "memory_peak_bytes", usage->memory_peak_bytes},
        {"file bytes", "file_bytes", usage->file_bytes},
        {"files", "files", usage->file_count}},
       answer);
  return {};
}

Status TellTotal(Client& client, Answer& answer) {
  const Result<TotalUsage> total = client.GetTotalUsage();
  if (!total) return std::unexpected(total.error());
  Tell({{"sandboxes", "sandboxes", total->sandboxes},
        {"processes", "processes", total->processes},
        {"processes, most", "processes_most", total->most_processes},
        {"memory bytes", "memory_bytes", total->memory_bytes},
        {"memory bytes, most", "memory_bytes_most", total->most_memory_bytes}},
       answer);
  return {};
}

}  // namespace

void AddListCommand(Command& app, std::function<int()>* chosen) {
  auto socket = std::make_shared<std::string>();
  auto is_saved = std::make_shared<bool>(false);
  Command command = app.AddCommand("ls", "the detached sandboxes of a daemon");
  AddSocketOption(command, socket.get());
  command.AddFlag("--saved", *is_saved, "what is saved instead, by name");
  auto answers = std::make_shared<AnswerOptions>();
  AddAnswerOptions(command, answers.get());
  command.Footer("cordon ls\ncordon ls --json\ncordon ls --saved");
  command.OnCall([socket, is_saved, answers, chosen] {
    *chosen = [socket, is_saved, answers] {
      return GiveAnswer("ls", *answers, [&](Answer& answer) {
        return WithClient(*socket, answer, [&](Client& client) {
          return *is_saved ? ListSaved(client, answer) : List(client, answer);
        });
      });
    };
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
  AddAnswerOptions(command, &request->answer);
  command.OnCall([request, chosen] {
    *chosen = [request] {
      return GiveAnswer("create", request->answer, [&](Answer& answer) {
        return WithClient(request->socket, answer,
                          [&](Client& client) { return Create(client, *request, answer); });
      });
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
  command.Footer("cordon snapshot $id before\ncordon snapshot $id --list");
  OnSandbox(command, "snapshot", named, chosen, Snapshot);
}

void AddRestoreCommand(Command& app, std::function<int()>* chosen) {
  auto [command, named] = AddNamed(app, "restore", "a sandbox's files and shell are as they were");
  command.AddOption("name", named->name, "the snapshot's").Required();
  command.Footer("cordon restore $id before");
  OnSandbox(command, "restore", named, chosen,
            [](Sandbox& sandbox, const Named& given, Answer& answer) {
              answer.Set("snapshot", given.name);
              return sandbox.Restore(given.name);
            });
}

void AddForkCommand(Command& app, std::function<int()>* chosen) {
  auto [command, named] = AddNamed(
      app, "fork", "a copy of a sandbox in the middle of what it does; prints the copy's id");
  command.AddOption("--count", named->count, "so many copies, an id a line; what fails is told")
      .Within(1, 1000);
  command.Footer("cordon fork $id\ncordon fork $id --count 10");
  OnSandbox(command, "fork", named, chosen, Fork);
}

void AddKillCommand(Command& app, std::function<int()>* chosen) {
  auto named = std::make_shared<Named>();
  Command command = app.AddCommand(
      "kill", "ends a sandbox and everything in it, or deletes what is saved under a name");
  AddSocketOption(command, &named->socket);
  Command what = command.AddChoice("what");
  what.AddOption("sandbox", named->sandbox, "its id");
  what.AddOption("--saved", named->name, "a name that `cordon ls --saved` shows");
  AddAnswerOptions(command, &named->answer);
  command.Footer("cordon kill $id\ncordon kill --saved NAME");
  command.OnCall([named, chosen] {
    *chosen = [named] {
      return GiveAnswer("kill", named->answer, [&](Answer& answer) {
        if (named->name.empty()) {
          answer.Set("sandbox", named->sandbox);
          return WithSandbox(named->socket, named->sandbox, answer,
                             [](Sandbox& sandbox) { return sandbox.Destroy(); });
        }
        answer.Set("saved", named->name);
        return WithClient(named->socket, answer,
                          [&](Client& client) { return client.DeleteSaved(named->name); });
      });
    };
  });
}

void AddStatsCommand(Command& app, std::function<int()>* chosen) {
  auto named = std::make_shared<Named>();
  Command command = app.AddCommand("stats", "what a sandbox uses now, or all of a daemon together");
  AddSocketOption(command, &named->socket);
  command.AddOption("sandbox", named->sandbox, "its id");
  AddAnswerOptions(command, &named->answer);
  command.Footer("cordon stats\ncordon stats $id --json");
  command.OnCall([named, chosen] {
    *chosen = [named] {
      return GiveAnswer("stats", named->answer, [&](Answer& answer) {
        if (named->sandbox.empty()) {
          return WithClient(named->socket, answer,
                            [&](Client& client) { return TellTotal(client, answer); });
        }
        return WithSandbox(named->socket, named->sandbox, answer,
                           [&](Sandbox& sandbox) { return TellUsage(sandbox, *named, answer); });
      });
    };
  });
}

}  // namespace cordon::cli

#include "cli/state_command.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "base/new_file.h"
#include "base/owned_fd.h"
#include "cli/answer.h"
#include "cli/command_line.h"
#include "cli/progress.h"
#include "cli/sandbox_options.h"

namespace cordon::cli {
namespace {

constexpr size_t kPiece = size_t{4} << 20;

struct Options {
  std::string socket;
  std::string sandbox;
  std::string file;
  bool merges = false;
  AnswerOptions answer;
};

void TellSkipped(const TransferReport& report, Answer& answer) {
  answer.Set("left_out", report.skipped);
  for (const std::string& text : report.skipped) answer.Remark("left out: " + text);
}

// Whole, or not there: the file has its name when everything is in it.
Status Export(Sandbox& sandbox, const std::string& path, Answer& answer) {
  const size_t name = path.rfind('/') + 1;
  const std::string parent = name == 0 ? "." : path.substr(0, name);
  const OwnedFd folder(open(parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!folder.valid()) return SystemError("open(" + path + ")");
  Result<NewFile> file = NewFile::In(folder.get());
  if (!file) return std::unexpected(file.error());
  Progress progress("exporting", answer);
  const Result<TransferReport> report = sandbox.ExportTo(file->fd());
  progress.End();
  if (!report) return std::unexpected(report.error());
  if (fsync(file->fd()) != 0) return SystemError("fsync(" + path + ")");
  CORDON_TRY(file->Replace(path.substr(name)));
  TellSkipped(*report, answer);
  answer.Set("digest", report->digest);
  answer.Print(report->digest + "\n");
  return {};
}

Status ImportInto(Sandbox& sandbox, const Options& options, Answer& answer) {
  const OwnedFd fd(open(options.file.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) return SystemError("open(" + options.file + ")");
  Progress progress("importing", answer);
  const Source source = [&]() -> Result<std::string> {
    std::string bytes(kPiece, '\0');
    ssize_t got = 0;
    do {
      got = read(fd.get(), bytes.data(), bytes.size());
    } while (got < 0 && errno == EINTR);
    if (got < 0) return SystemError("read(" + options.file + ")");
    bytes.resize(static_cast<size_t>(got));
    progress.Add(bytes.size());
    return bytes;
  };
  const Result<TransferReport> report = sandbox.Import(
      source, options.merges ? Sandbox::ImportMode::kMerge : Sandbox::ImportMode::kReplace);
  progress.End();
  if (!report) return std::unexpected(report.error());
  TellSkipped(*report, answer);
  answer.Set("sandbox", sandbox.id());
  answer.Print(sandbox.id() + "\n");
  return {};
}

Status Import(Client& client, const Options& options, Answer& answer) {
  if (!options.sandbox.empty()) {
    Sandbox sandbox = client.Open(options.sandbox);
    return ImportInto(sandbox, options, answer);
  }
  Result<Sandbox> made = client.Create({.detached = true});
  if (!made) return std::unexpected(made.error());
  Status done = ImportInto(*made, options, answer);
  if (!done) (void)made->Destroy();
  return done;
}

}  // namespace

void AddExportCommand(Command& app, std::function<int()>* chosen) {
  auto options = std::make_shared<Options>();
  Command command =
      app.AddCommand("export", "a detached sandbox of a daemon, as an OCI image in a tar");
  AddSocketOption(command, &options->socket);
  command.AddOption("sandbox", options->sandbox, "its id").Required();
  command.AddOption("file", options->file, "where it goes").Required();
  AddAnswerOptions(command, &options->answer);
  command.Footer("cordon export $id state.tar");
  command.OnCall([options, chosen] {
    *chosen = [options] {
      return GiveAnswer("export", options->answer, [&](Answer& answer) {
        return WithSandbox(options->socket, options->sandbox, answer, [&](Sandbox& sandbox) {
          return Export(sandbox, options->file, answer);
        });
      });
    };
  });
}

void AddImportCommand(Command& app, std::function<int()>* chosen) {
  auto options = std::make_shared<Options>();
  Command command = app.AddCommand("import", "what `cordon export` wrote, into a sandbox");
  AddSocketOption(command, &options->socket);
  command.AddFlag("--merge", options->merges, "what the sandbox has of its own stays");
  command.AddOption("file", options->file, "an OCI image in a tar").Required();
  command.AddOption("sandbox", options->sandbox, "its id; otherwise a new one, detached");
  AddAnswerOptions(command, &options->answer);
  command.Footer("cordon import state.tar\ncordon import --merge state.tar $id");
  command.OnCall([options, chosen] {
    *chosen = [options] {
      return GiveAnswer("import", options->answer, [&](Answer& answer) {
        return WithClient(options->socket, answer,
                          [&](Client& client) { return Import(client, *options, answer); });
      });
    };
  });
}

}  // namespace cordon::cli

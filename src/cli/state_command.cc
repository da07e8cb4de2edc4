#include "cli/state_command.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <memory>
#include <string>

#include "base/new_file.h"
#include "base/owned_fd.h"
#include "cli/command_line.h"
#include "cli/complain.h"
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
};

void ReportSkipped(const TransferReport& report) {
  for (const std::string& text : report.skipped) Complain("left out: " + text);
}

// Whole, or not there: the file has its name when everything is in it.
Status Export(Sandbox& sandbox, const std::string& path) {
  const size_t name = path.rfind('/') + 1;
  const std::string parent = name == 0 ? "." : path.substr(0, name);
  const OwnedFd folder(open(parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!folder.valid()) return SystemError("open(" + path + ")");
  Result<NewFile> file = NewFile::In(folder.get());
  if (!file) return std::unexpected(file.error());
  const Result<TransferReport> report = [&] {
    const Progress progress([&] {
      struct stat stat = {};
      (void)fstat(file->fd(), &stat);
      return "export to " + path + ": " + MegabytesText(static_cast<uint64_t>(stat.st_size));
    });
    return sandbox.ExportTo(file->fd());
  }();
  if (!report) return std::unexpected(report.error());
  if (fsync(file->fd()) != 0) return SystemError("fsync(" + path + ")");
  CORDON_TRY(file->Replace(path.substr(name)));
  ReportSkipped(*report);
  (void)printf("%s\n", report->digest.c_str());
  return {};
}

Status ImportInto(Sandbox& sandbox, const Options& options) {
  const OwnedFd fd(open(options.file.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) return SystemError("open(" + options.file + ")");
  std::atomic<uint64_t> sent = 0;
  const Source source = [&]() -> Result<std::string> {
    std::string bytes(kPiece, '\0');
    ssize_t got = 0;
    do {
      got = read(fd.get(), bytes.data(), bytes.size());
    } while (got < 0 && errno == EINTR);
    if (got < 0) return SystemError("read(" + options.file + ")");
    bytes.resize(static_cast<size_t>(got));
    sent += bytes.size();
    return bytes;
  };
  const Result<TransferReport> report = [&] {
    const Progress progress(
        [&] { return "import of " + options.file + ": " + MegabytesText(sent) + " sent"; });
    return sandbox.Import(
        source, options.merges ? Sandbox::ImportMode::kMerge : Sandbox::ImportMode::kReplace);
  }();
  if (!report) return std::unexpected(report.error());
  ReportSkipped(*report);
  (void)printf("%s\n", sandbox.id().c_str());
  return {};
}

Result<int> Import(Client& client, const Options& options) {
  if (!options.sandbox.empty()) {
    Sandbox sandbox = client.Open(options.sandbox);
    CORDON_TRY(ImportInto(sandbox, options));
    return 0;
  }
  Result<Sandbox> made = client.Create({.detached = true});
  if (!made) return std::unexpected(made.error());
  const Status done = ImportInto(*made, options);
  if (done) return 0;
  (void)made->Destroy();
  return std::unexpected(done.error());
}

}  // namespace

void AddExportCommand(Command& app, std::function<int()>* chosen) {
  auto options = std::make_shared<Options>();
  Command command =
      app.AddCommand("export", "a detached sandbox of a daemon, as an OCI image in a tar");
  AddSocketOption(command, &options->socket);
  command.AddOption("sandbox", options->sandbox, "its id").Required();
  command.AddOption("file", options->file, "where it goes").Required();
  command.OnCall([options, chosen] {
    *chosen = [options] {
      return WithSandbox(options->socket, options->sandbox,
                         [&](Sandbox& sandbox) { return Export(sandbox, options->file); });
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
  command.OnCall([options, chosen] {
    *chosen = [options] {
      return WithClient(options->socket, [&](Client& client) { return Import(client, *options); });
    };
  });
}

}  // namespace cordon::cli

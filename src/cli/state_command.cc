#include "cli/state_command.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "backend/wasm/run.h"
#include "cli/daemon_client.h"
#include "rpc/base64.h"

namespace cordon::cli {
namespace {

using rpc::Json;

constexpr size_t kPiece = size_t{4} << 20;

struct Options {
  std::string socket;
  std::string sandbox;
  std::string file;
  bool merges = false;
};

Status WriteAll(int fd, const std::string& bytes, const std::string& file) {
  for (size_t done = 0; done < bytes.size();) {
    const ssize_t put = write(fd, bytes.data() + done, bytes.size() - done);
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return SystemError("write(" + file + ")");
    done += static_cast<size_t>(put);
  }
  return {};
}

void ReportSkipped(const Json& report) {
  for (const Json& name : report.value("skipped", Json::array())) {
    const std::string text = name.dump(-1, ' ', /*ensure_ascii=*/true);
    (void)fprintf(stderr, "cordon: left out: %s\n", text.c_str());
  }
}

// Whole, or not there: the file has its name when everything is in it.
Status WriteState(DaemonClient& daemon, const Options& options, const Json& report) {
  const std::string temporary = options.file + ".cordon-new";
  const OwnedFd fd(open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!fd.valid()) return SystemError("open(" + temporary + ", O_EXCL)");
  const auto size = report["size"].get<uint64_t>();
  Status written;
  for (uint64_t done = 0; written && done < size;) {
    const Result<Json> piece = daemon.Ask(
        "blob.read",
        {{"sandboxId", options.sandbox}, {"blobId", report["blobId"]}, {"offset", done}});
    if (!piece) {
      written = std::unexpected(piece.error());
      break;
    }
    const auto bytes = rpc::DecodeBase64(piece->value("dataBase64", ""));
    if (!bytes || bytes->empty()) {
      written = Fail(ErrorCode::kCorrupt, "the daemon's archive was cut");
      break;
    }
    written = WriteAll(fd.get(), *bytes, temporary);
    done += bytes->size();
  }
  if (written && fsync(fd.get()) != 0) written = SystemError("fsync(" + temporary + ")");
  if (written && rename(temporary.c_str(), options.file.c_str()) != 0) {
    written = SystemError("rename(" + options.file + ")");
  }
  if (!written) (void)unlink(temporary.c_str());
  return written;
}

Status Export(const Options& options) {
  Result<DaemonClient> daemon = DaemonClient::Connect(options.socket);
  if (!daemon) return std::unexpected(daemon.error());
  const Result<Json> report = daemon->Ask("persistence.export", {{"sandboxId", options.sandbox}});
  if (!report) return std::unexpected(report.error());
  const Status written = WriteState(*daemon, options, *report);
  (void)daemon->Ask("blob.free", {{"sandboxId", options.sandbox}, {"blobId", (*report)["blobId"]}});
  if (!written) return written;
  ReportSkipped(*report);
  printf("%s\n", report->value("digest", "").c_str());
  return {};
}

Result<int64_t> SendState(DaemonClient& daemon, const Options& options) {
  const OwnedFd fd(open(options.file.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) return SystemError("open(" + options.file + ")");
  std::string bytes(kPiece, '\0');
  for (int64_t blob = 0;;) {
    const ssize_t got = read(fd.get(), bytes.data(), bytes.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return SystemError("read(" + options.file + ")");
    if (got == 0 && blob != 0) return blob;
    const Result<Json> sent =
        daemon.Ask("blob.write",
                   {{"sandboxId", options.sandbox},
                    {"blobId", blob},
                    {"dataBase64", rpc::EncodeBase64(bytes.substr(0, static_cast<size_t>(got)))}});
    if (!sent) return std::unexpected(sent.error());
    blob = sent->value("blobId", int64_t{0});
    if (got == 0) return blob;
  }
}

Status Import(Options options) {
  Result<DaemonClient> daemon = DaemonClient::Connect(options.socket);
  if (!daemon) return std::unexpected(daemon.error());
  const bool is_new = options.sandbox.empty();
  if (is_new) {
    const Result<Json> made = daemon->Ask("create", {{"detached", true}});
    if (!made) return std::unexpected(made.error());
    options.sandbox = made->value("sandboxId", "");
  }
  const Result<int64_t> blob = SendState(*daemon, options);
  Result<Json> report = Fail(ErrorCode::kInternal, "not asked");
  if (blob) {
    report = daemon->Ask("persistence.import", {{"sandboxId", options.sandbox},
                                                {"blobId", *blob},
                                                {"mode", options.merges ? "merge" : "replace"}});
  }
  if (!blob || !report) {
    if (is_new) (void)daemon->Ask("sandbox.destroy", {{"sandboxId", options.sandbox}});
    return std::unexpected(blob ? report.error() : blob.error());
  }
  ReportSkipped(*report);
  printf("%s\n", options.sandbox.c_str());
  return {};
}

int Finish(const Status& done) {
  if (done) return 0;
  (void)fprintf(stderr, "cordon: %s\n", done.error().ToString().c_str());
  return backend::kOwnFailure;
}

}  // namespace

void AddExportCommand(CLI::App& app, std::function<int()>* chosen) {
  auto options = std::make_shared<Options>();
  CLI::App* command =
      app.add_subcommand("export", "a detached sandbox of a daemon, as an OCI image in a tar");
  command->add_option("--socket", options->socket, "of `cordon serve --unix`")->required();
  command->add_option("sandbox", options->sandbox, "its id")->required();
  command->add_option("file", options->file, "where it goes")->required();
  command->callback(
      [options, chosen] { *chosen = [options] { return Finish(Export(*options)); }; });
}

void AddImportCommand(CLI::App& app, std::function<int()>* chosen) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("import", "what `cordon export` wrote, into a sandbox");
  command->add_option("--socket", options->socket, "of `cordon serve --unix`")->required();
  command->add_flag("--merge", options->merges, "what the sandbox has of its own stays");
  command->add_option("file", options->file, "an OCI image in a tar")->required();
  command->add_option("sandbox", options->sandbox, "its id; otherwise a new one, detached");
  command->callback(
      [options, chosen] { *chosen = [options] { return Finish(Import(*options)); }; });
}

}  // namespace cordon::cli

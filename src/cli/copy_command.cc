#include "cli/copy_command.h"

#include <sys/stat.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>

#include "backend/wasm/copy.h"
#include "cli/answer.h"
#include "cli/command_line.h"
#include "cli/progress.h"
#include "cli/sandbox_options.h"

namespace cordon::cli {
namespace {

struct Options {
  std::string socket;
  std::string from;
  std::string to;
  AnswerOptions answer;
};

uint32_t FormatOf(FileInfo::Type type) {
  switch (type) {
    case FileInfo::Type::kFile:
      return S_IFREG;
    case FileInfo::Type::kDirectory:
      return S_IFDIR;
    case FileInfo::Type::kSymlink:
      return S_IFLNK;
    case FileInfo::Type::kOther:
      break;
  }
  return S_IFIFO;  // of a kind that is not copied
}

// The files of a daemon's sandbox.
class SandboxFiles final : public backend::GuestFiles {
 public:
  SandboxFiles(Sandbox& sandbox, Progress& progress) : sandbox_(sandbox), progress_(progress) {}
  Status MakeDirectory(const std::string& path, uint32_t mode) override {
    return sandbox_.MakeDirectory(path, mode);
  }
  Status WriteFile(const std::string& path, uint32_t mode, uint64_t offset,
                   std::span<const char> bytes) override {
    const std::string_view text(bytes.data(), bytes.size());
    progress_.Add(bytes.size());
    return offset == 0 ? sandbox_.WriteFile(path, text, mode) : sandbox_.AppendFile(path, text);
  }
  Status MakeSymlink(const std::string& target, const std::string& path) override {
    return sandbox_.Symlink(target, path);
  }
  Result<std::vector<std::byte>> ReadFile(const std::string& path, uint64_t offset) override {
    const Result<std::string> text = sandbox_.ReadFile(path, offset, kPiece);
    if (!text) return std::unexpected(text.error());
    progress_.Add(text->size());
    const auto* bytes = reinterpret_cast<const std::byte*>(text->data());
    return std::vector<std::byte>(bytes, bytes + text->size());
  }
  Result<backend::GuestStat> ReadStat(const std::string& path) override {
    const Result<FileInfo> info = sandbox_.Stat(path);
    if (!info) return std::unexpected(info.error());
    return backend::GuestStat{FormatOf(info->type) | info->mode, info->size,
                              static_cast<uint64_t>(info->mtime_ms) * 1'000'000, info->target};
  }
  Result<std::vector<backend::GuestEntry>> ListDirectory(const std::string& path) override {
    const Result<std::vector<FileInfo>> infos = sandbox_.List(path);
    if (!infos) return std::unexpected(infos.error());
    std::vector<backend::GuestEntry> entries;
    for (const FileInfo& info : *infos) {
      entries.push_back({info.name, FormatOf(info.type) | info.mode, info.size});
    }
    return entries;
  }

 private:
  static constexpr uint64_t kPiece = uint64_t{1} << 20;
  Sandbox& sandbox_;
  Progress& progress_;
};

// SANDBOX:PATH; a colon behind a slash is part of a file's name.
struct GuestPath {
  std::string sandbox;
  std::string path;
};
std::optional<GuestPath> ParseGuestPath(const std::string& text) {
  const size_t colon = text.find(':');
  if (colon == std::string::npos || colon == 0 || text.find('/') < colon) return std::nullopt;
  return GuestPath{text.substr(0, colon), text.substr(colon + 1)};
}

std::string LastName(std::string path) {
  while (path.ends_with('/')) path.pop_back();
  return path.substr(path.rfind('/') + 1);
}

// What is copied to a directory that exists gets a place in it.
std::string Beneath(const std::string& directory, const std::string& from) {
  return directory + (directory.ends_with('/') ? "" : "/") + LastName(from);
}

Status CopyThither(Sandbox& sandbox, const std::string& from, std::string to, Answer& answer) {
  if (to.empty()) to = "/home/user";
  const Result<FileInfo> there = sandbox.Stat(to);
  if (there && there->type == FileInfo::Type::kDirectory) to = Beneath(to, from);
  Progress progress("copying", answer);
  SandboxFiles files(sandbox, progress);
  return backend::CopyIn(files, {{from, to}});
}

Status CopyHither(Sandbox& sandbox, const std::string& from, std::string to, Answer& answer) {
  struct stat there = {};
  if (stat(to.c_str(), &there) == 0 && S_ISDIR(there.st_mode)) to = Beneath(to, from);
  Progress progress("copying", answer);
  SandboxFiles files(sandbox, progress);
  const Result<std::vector<std::string>> skipped = backend::CopyOut(files, {{from, to}});
  progress.End();
  if (!skipped) return std::unexpected(skipped.error());
  for (const std::string& name : *skipped) {
    answer.Remark("left out: " + name);
    answer.Add("left_out", name);
  }
  return {};
}

int Copy(const Options& options, Answer& answer) {
  answer.Set("left_out", nlohmann::ordered_json::array());
  const auto from = ParseGuestPath(options.from);
  const auto to = ParseGuestPath(options.to);
  return WithClient(options.socket, answer, [&](Client& client) -> Status {
    if (from.has_value() == to.has_value()) {
      return Fail(ErrorCode::kInvalid, "one of both is SANDBOX:PATH", options.to);
    }
    Sandbox sandbox = client.Open(from ? from->sandbox : to->sandbox);
    return from ? CopyHither(sandbox, from->path, options.to, answer)
                : CopyThither(sandbox, options.from, to->path, answer);
  });
}

}  // namespace

void AddCopyCommand(Command& app, std::function<int()>* chosen) {
  auto options = std::make_shared<Options>();
  Command command = app.AddCommand("cp", "a file or tree into a sandbox of a daemon, or out of it");
  AddSocketOption(command, &options->socket);
  command.AddOption("from", options->from, "PATH or SANDBOX:PATH").Required();
  command.AddOption("to", options->to, "SANDBOX:PATH or PATH").Required();
  command.Footer("cordon cp ./src $id:/home/user/src\ncordon cp $id:/tmp/report.txt .");
  AddAnswerOptions(command, &options->answer);
  command.OnCall([options, chosen] {
    *chosen = [options] {
      return GiveAnswer("cp", options->answer,
                        [&](Answer& answer) { return Copy(*options, answer); });
    };
  });
}

}  // namespace cordon::cli

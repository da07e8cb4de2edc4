#include "cli/programs.h"

#include <unistd.h>

#include <vector>

namespace cordon::cli {
namespace {

// Where they may be.
Result<std::vector<std::string>> Folders() {
  char path[4096];
  const ssize_t size = readlink("/proc/self/exe", path, sizeof path);
  if (size <= 0) return SystemError("readlink(/proc/self/exe)");
  const std::string own(path, static_cast<size_t>(size));
  const std::string folder = own.substr(0, own.rfind('/'));
  return std::vector<std::string>{folder, folder + "/../lib/cordon"};
}

}  // namespace

Result<Programs> Programs::Find() {
  const Result<std::vector<std::string>> folders = Folders();
  if (!folders) return std::unexpected(folders.error());
  for (const std::string& at : *folders) {
    Programs programs = {at + "/cordon-template", at + "/cordon-compile", at + "/userland.img",
                         at + "/cordon-gateway",  at + "/cordon-fetch",   at + "/cordon-unpack"};
    if (access(programs.template_program.c_str(), F_OK) == 0) return programs;
  }
  return Fail(ErrorCode::kInvalid, "cordon-template is missing", folders->front());
}

Result<std::string> Programs::FindGateway() {
  const Result<std::vector<std::string>> folders = Folders();
  if (!folders) return std::unexpected(folders.error());
  for (const std::string& at : *folders) {
    std::string path = at + "/cordon-gateway";
    if (access(path.c_str(), X_OK) == 0) return path;
  }
  return Fail(ErrorCode::kInvalid, "cordon-gateway is missing", folders->front());
}

}  // namespace cordon::cli

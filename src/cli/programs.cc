#include "cli/programs.h"

#include <unistd.h>

namespace cordon::cli {

Result<Programs> Programs::Find() {
  char path[4096];
  const ssize_t size = readlink("/proc/self/exe", path, sizeof path);
  if (size <= 0) return SystemError("readlink(/proc/self/exe)");
  const std::string own(path, static_cast<size_t>(size));
  const std::string folder = own.substr(0, own.rfind('/'));
  for (const std::string& at : {folder, folder + "/../lib/cordon"}) {
    Programs programs = {at + "/cordon-template", at + "/cordon-compile", at + "/userland.img",
                         at + "/cordon-gateway"};
    if (access(programs.template_program.c_str(), F_OK) == 0) return programs;
  }
  return Fail(ErrorCode::kInvalid, "cordon-template is missing", folder);
}

}  // namespace cordon::cli

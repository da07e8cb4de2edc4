#ifndef CORDON_CLI_PROGRAMS_H_
#define CORDON_CLI_PROGRAMS_H_

#include <string>

#include "base/error.h"

namespace cordon::cli {

// The files that `cordon` needs, found beside itself or, when installed, in ../lib/cordon.
struct Programs {
  std::string template_program;
  std::string compiler;
  std::string userland;
  std::string gateway;
  std::string fetcher;
  std::string unpacker;

  [[nodiscard]] static Result<Programs> Find();
  // That one alone, for walls without WebAssembly.
  [[nodiscard]] static Result<std::string> FindGateway();
};

}  // namespace cordon::cli

#endif  // CORDON_CLI_PROGRAMS_H_

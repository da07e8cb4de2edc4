#ifndef CORDON_CLI_PKG_COMMAND_H_
#define CORDON_CLI_PKG_COMMAND_H_

#include <CLI/App.hpp>
#include <functional>

namespace cordon::cli {

class Command;

// `cordon pkg build-index`
void AddPkgCommand(Command& app, std::function<int()>* chosen);

}  // namespace cordon::cli

#endif  // CORDON_CLI_PKG_COMMAND_H_

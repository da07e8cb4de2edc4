#ifndef CORDON_CLI_PKG_COMMAND_H_
#define CORDON_CLI_PKG_COMMAND_H_

#include <CLI/App.hpp>
#include <functional>

namespace cordon::cli {

// `cordon pkg build-index`
void AddPkgCommand(CLI::App& app, std::function<int()>* chosen);

}  // namespace cordon::cli

#endif  // CORDON_CLI_PKG_COMMAND_H_

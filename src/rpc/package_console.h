#ifndef CORDON_RPC_PACKAGE_CONSOLE_H_
#define CORDON_RPC_PACKAGE_CONSOLE_H_

// `pkg` inside a sandbox: a script there asks through FIFOs, a resident shell passes the questions
// on to its standard output, and the daemon answers on its standard input. Whatever a guest makes of
// these, it can ask for no more than the policy allows.

#include <memory>
#include <string>
#include <vector>

#include "rpc/packages.h"
#include "rpc/server.h"

namespace cordon::rpc {

// Words of a command line and what came of them, one line each: "out TEXT", "err TEXT", "exit N".
using ConsoleLine = std::function<void(const std::string&)>;
void RunPackageCommand(const std::shared_ptr<Sandbox>& sandbox, const std::vector<std::string>& words,
                       const ConsoleLine& answer);

// Once the sandbox is there.
void StartPackageConsole(const std::shared_ptr<Sandbox>& sandbox);

}  // namespace cordon::rpc

#endif  // CORDON_RPC_PACKAGE_CONSOLE_H_

#ifndef CORDON_RPC_EXTENSION_TEXT_H_
#define CORDON_RPC_EXTENSION_TEXT_H_

// What is known of commands that clients serve, and the sandbox's own command `extensions`, which
// says it.

#include <map>
#include <string>
#include <vector>

#include "rpc/message.h"

namespace cordon::rpc {

struct ExtensionFacts {
  std::string name, description, usage, category;
  std::vector<std::string> examples;
  std::string package_version, package_summary;  // a Python package; no version: none
};

// `to-json` is the Python package `to_json`.
[[nodiscard]] std::string PackageNameOf(const std::string& extension);
[[nodiscard]] Json ToJson(const ExtensionFacts& facts);

struct CommandOutput {
  std::string output, error;
  uint32_t status = 0;
};
// `extensions list [--category C] [--json]`, `extensions info NAME`.
[[nodiscard]] CommandOutput ExtensionsCommand(const std::vector<std::string>& arguments,
                                              const std::map<std::string, ExtensionFacts>& known);

}  // namespace cordon::rpc

#endif  // CORDON_RPC_EXTENSION_TEXT_H_

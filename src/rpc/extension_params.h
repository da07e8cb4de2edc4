#ifndef CORDON_RPC_EXTENSION_PARAMS_H_
#define CORDON_RPC_EXTENSION_PARAMS_H_

// What a client says of the commands that it wants to serve.

#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "rpc/extension_text.h"

namespace cordon::rpc {

struct ExtensionParams {
  ExtensionFacts facts;
  std::vector<std::pair<std::string, std::string>> files;  // absolute paths in the sandbox, bytes
};

// Files by path, below something and nowhere else: text or bytes in `name`, base64 in `name`Base64.
[[nodiscard]] Result<std::vector<std::pair<std::string, std::string>>> ReadFiles(
    const Json& object, const std::string& name);
// Of `extensions` of extension.register. An error is for the client.
[[nodiscard]] Result<std::vector<ExtensionParams>> ReadExtensions(const Json& params);

}  // namespace cordon::rpc

#endif  // CORDON_RPC_EXTENSION_PARAMS_H_

#ifndef CORDON_MCP_SCHEMA_CHECK_H_
#define CORDON_MCP_SCHEMA_CHECK_H_

#include <string>

#include "rpc/message.h"

namespace cordon::mcp {

// What is wrong with the value, by the part of JSON Schema that tools.def uses: type, properties,
// required, additionalProperties, enum, minimum, maximum. Empty: nothing.
[[nodiscard]] std::string CheckAgainst(const rpc::Json& schema, const rpc::Json& value);

}  // namespace cordon::mcp

#endif  // CORDON_MCP_SCHEMA_CHECK_H_

#ifndef CORDON_MCP_CLEAN_TEXT_H_
#define CORDON_MCP_CLEAN_TEXT_H_

#include <string>
#include <string_view>

namespace cordon::mcp {

// Text for a model: UTF-8 without control sequences of terminals (ECMA-48: CSI, OSC, DCS and the
// rest, with seven and eight bits), without control characters but newline and tab, and without
// characters that turn the direction of writing. "\r\n" and a lone "\r" are a newline; what is no
// UTF-8 becomes U+FFFD.
[[nodiscard]] std::string CleanText(std::string_view bytes);

}  // namespace cordon::mcp

#endif  // CORDON_MCP_CLEAN_TEXT_H_

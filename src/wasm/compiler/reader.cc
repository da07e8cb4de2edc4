#include "wasm/compiler/reader.h"

#include <algorithm>
#include <cstdio>
#include <string_view>

#include "wasm/compiler/body_reader.h"

namespace cordon::wasm {
namespace {

std::string HexOffset(size_t offset) {
  char text[32];
  std::snprintf(text, sizeof text, "0x%zx", offset);
  return text;
}

// Proposals that are not implemented are refused by their names instead of "unexpected opcode".
struct UnsupportedOpcode {
  uint8_t code;
  const char* name;
};
constexpr UnsupportedOpcode kUnsupported[] = {
    {0x0a, "throw_ref (exception handling with exnref)"},
    {0x14, "call_ref (typed function references)"},
    {0x15, "return_call_ref (typed function references)"},
    {0x1f, "try_table (exception handling with exnref)"},
    {0xd3, "ref.eq (garbage collection)"},
    {0xd4, "ref.as_non_null (typed function references)"},
    {0xd5, "br_on_null (typed function references)"},
    {0xd6, "br_on_non_null (typed function references)"},
    {0xe0, "cont.new (stack switching)"},
    {0xe1, "cont.bind (stack switching)"},
    {0xe2, "suspend (stack switching)"},
    {0xe3, "resume (stack switching)"},
    {0xfb, "garbage collection"},
};

std::string NameReason(const std::string& message) {
  unsigned code = 0;
  if (std::sscanf(message.c_str(), "unexpected opcode: 0x%x", &code) == 1 ||
      std::sscanf(message.c_str(), "unexpected opcode: %x", &code) == 1) {
    for (const UnsupportedOpcode& row : kUnsupported) {
      if (row.code == code) return std::string("unsupported: ") + row.name;
    }
  }
  return message;
}

Status CheckPreamble(std::span<const std::byte> bytes, const ModuleLimits& limits) {
  if (bytes.size() > limits.module_bytes) {
    return Fail(ErrorCode::kLimit,
                "limit: module larger than " + std::to_string(limits.module_bytes) + " bytes");
  }
  static constexpr uint8_t kComponent[] = {0, 'a', 's', 'm', 0x0d, 0, 1, 0};
  if (bytes.size() >= 8 && std::equal(std::begin(kComponent), std::end(kComponent),
                                      reinterpret_cast<const uint8_t*>(bytes.data()))) {
    return Fail(ErrorCode::kUnsupported,
                "unsupported: a WebAssembly component; only core modules run", "0x4");
  }
  return {};
}

std::unexpected<Error> ErrorOf(const BodyReader& reader) {
  if (reader.errors().empty()) return Fail(ErrorCode::kInvalid, "malformed module");
  const wabt::Error& error = reader.errors().front();
  const std::string reason = NameReason(error.message);
  ErrorCode code = ErrorCode::kInvalid;
  if (reason.starts_with("limit:")) code = ErrorCode::kLimit;
  if (reason.starts_with("unsupported:")) code = ErrorCode::kUnsupported;
  return Fail(code, reason, HexOffset(error.loc.offset));
}

}  // namespace

Result<Module> ReadModule(std::span<const std::byte> bytes, const ModuleLimits& limits) {
  CORDON_TRY(CheckPreamble(bytes, limits));
  // First with everything checked. If only the contents of a custom section are wrong (a name
  // section that other tools cut), the module is valid: once more without looking into them.
  for (const bool check_custom_sections : {true, false}) {
    Module module;
    BodyReader reader(limits, &module);
    const wabt::ReadBinaryOptions options(SupportedFeatures(), nullptr, /*read_debug_names=*/true,
                                          /*stop_on_first_error=*/true, check_custom_sections);
    if (wabt::Succeeded(wabt::ReadBinary(bytes.data(), bytes.size(), &reader, options))) {
      module.referenced.resize(module.functions.size());
      return module;
    }
    if (!check_custom_sections || !reader.in_custom_section()) return ErrorOf(reader);
  }
  return Fail(ErrorCode::kInternal, "unreachable");
}

}  // namespace cordon::wasm

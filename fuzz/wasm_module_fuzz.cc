// Module bytes -> refused or compiled, never anything else. What compiles must load.

#include <cstdlib>

#include "wasm/compiler/compile.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  cordon::wasm::CompileOptions options;
  options.tier = cordon::wasm::Tier::kFast;
  options.limits.locals = 1000;
  options.limits.table_elements = 100000;
  const auto object = Compile(std::as_bytes(std::span(data, size)), options);
  if (object && !cordon::wasm::ParseObject(*object)) std::abort();
  return 0;
}

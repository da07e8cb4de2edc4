#include "wasm/spectest/wat.h"

#include <wabt/binary-writer.h>
#include <wabt/stream.h>
#include <wabt/wast-lexer.h>
#include <wabt/wast-parser.h>

namespace cordon::wasm {

std::vector<std::byte> AssembleText(const std::string& text) {
  wabt::Features features;
  features.enable_exceptions();
  features.enable_threads();
  features.enable_tail_call();
  wabt::Errors errors;
  std::unique_ptr<wabt::Module> module;
  auto lexer = wabt::WastLexer::CreateBufferLexer("test", text.data(), text.size(), &errors);
  wabt::WastParseOptions options(features);
  if (wabt::Failed(wabt::ParseWatModule(lexer.get(), &module, &errors, &options))) return {};
  wabt::MemoryStream stream;
  const wabt::WriteBinaryOptions write_options(features, true, false, true);
  if (wabt::Failed(wabt::WriteBinaryModule(&stream, module.get(), write_options))) return {};
  const auto& data = stream.output_buffer().data;
  const auto* begin = reinterpret_cast<const std::byte*>(data.data());
  return {begin, begin + data.size()};
}

}  // namespace cordon::wasm

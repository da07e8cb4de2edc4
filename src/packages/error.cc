#include "packages/error.h"

#include <algorithm>
#include <utility>

namespace cordon::packages {
namespace {

struct Row {
  PackageCode code;
  const char* text;
};
constexpr Row kRows[] = {
#define PACKAGE_CODE(name, text, meaning) {PackageCode::name, text},
#include "packages/error_codes.def"
#undef PACKAGE_CODE
};

}  // namespace

const char* TextOf(PackageCode code) {
  const auto* row = std::ranges::find(kRows, code, &Row::code);
  return row == std::ranges::end(kRows) ? "E_PKG_FETCH" : row->text;
}

PackageCode CodeOf(std::string_view text) {
  const auto* row = std::ranges::find(kRows, text, &Row::text);
  return row == std::ranges::end(kRows) ? PackageCode::kFetch : row->code;
}

std::unexpected<PackageError> Refuse(PackageCode code, std::string message) {
  return std::unexpected(PackageError{code, std::move(message)});
}

std::string Shown(std::string_view text) {
  constexpr size_t kMost = 200;
  std::string shown(text.substr(0, kMost));
  std::ranges::replace_if(shown, [](char c) { return c < ' ' || c > '~'; }, '?');
  return shown;
}

}  // namespace cordon::packages

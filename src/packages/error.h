#ifndef CORDON_PACKAGES_ERROR_H_
#define CORDON_PACKAGES_ERROR_H_

// Why a package is refused, as clients are told: a code of error_codes.def and a sentence.

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>

namespace cordon::packages {

enum class PackageCode : uint8_t {
#define PACKAGE_CODE(name, text, meaning) name,
#include "packages/error_codes.def"
#undef PACKAGE_CODE
};

// "E_PKG_…"
[[nodiscard]] const char* TextOf(PackageCode code);
// kFetch for what is none.
[[nodiscard]] PackageCode CodeOf(std::string_view text);

struct PackageError {
  PackageCode code = PackageCode::kFetch;
  std::string message;
};
template <typename T>
using PackageResult = std::expected<T, PackageError>;
using PackageStatus = std::expected<void, PackageError>;

[[nodiscard]] std::unexpected<PackageError> Refuse(PackageCode code, std::string message);

// Text of others for a message: printable ASCII, of at most 200 characters.
[[nodiscard]] std::string Shown(std::string_view text);

}  // namespace cordon::packages

#endif  // CORDON_PACKAGES_ERROR_H_

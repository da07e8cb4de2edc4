#ifndef CORDON_BASE_RANDOM_DIGITS_H_
#define CORDON_BASE_RANDOM_DIGITS_H_

#include <cstddef>
#include <string>

namespace cordon {

// So many hexadecimal digits that nobody can guess (getrandom(2)); at most 256. Throws
// std::system_error where the kernel gives none, as std::random_device does.
[[nodiscard]] std::string RandomDigits(size_t count);

}  // namespace cordon

#endif  // CORDON_BASE_RANDOM_DIGITS_H_

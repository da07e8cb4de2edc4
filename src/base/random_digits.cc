#include "base/random_digits.h"

#include <sys/random.h>

#include <cerrno>
#include <system_error>

namespace cordon {

std::string RandomDigits(size_t count) {
  // Up to 256 bytes are given whole.
  std::string digits(count, '\0');
  if (getrandom(digits.data(), count, 0) != static_cast<ssize_t>(count)) {
    throw std::system_error(errno, std::generic_category(), "getrandom");
  }
  for (char& digit : digits) digit = "0123456789abcdef"[static_cast<unsigned char>(digit) & 15];
  return digits;
}

}  // namespace cordon

#ifndef CORDON_PACKAGES_FETCHER_SAY_H_
#define CORDON_PACKAGES_FETCHER_SAY_H_

// What cordon-fetch tells whoever started it: a line at a time on standard output.
//
//   progress DONE TOTAL    bytes; TOTAL is -1 where nobody said it
//   location TEXT          of a redirect
//   status N SIZE          of HTTP, and the bytes of the body; the last line of `get`
//   address TEXT           of `resolve`, one for each
//   good                   the last line of `verify`
//   key | signature TEXT   of `sign`
//   error CODE TEXT        the last line of what failed; CODE is one of packages/error_codes.def

#include <string>
#include <string_view>

#include "packages/error.h"

namespace cordon::packages {

void Say(const std::string& line);
[[noreturn]] void EndWith(PackageCode code, std::string_view text);

}  // namespace cordon::packages

#endif  // CORDON_PACKAGES_FETCHER_SAY_H_

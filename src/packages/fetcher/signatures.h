#ifndef CORDON_PACKAGES_FETCHER_SIGNATURES_H_
#define CORDON_PACKAGES_FETCHER_SIGNATURES_H_

namespace cordon::packages {

// Whether descriptor 4 is a signature with `key` of what descriptor 3 is. Locked in. Ends the
// process.
[[noreturn]] void Verify(const char* key);

// Signs what descriptor 3 is with the private key that descriptor 4 is. Ends the process.
[[noreturn]] void SignFile(const char* comment);

}  // namespace cordon::packages

#endif  // CORDON_PACKAGES_FETCHER_SIGNATURES_H_

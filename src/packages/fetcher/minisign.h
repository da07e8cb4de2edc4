#ifndef CORDON_PACKAGES_FETCHER_MINISIGN_H_
#define CORDON_PACKAGES_FETCHER_MINISIGN_H_

// Signatures as minisign(1) writes and reads them: Ed25519 over BLAKE2b-512 of the message ("ED"),
// or over the message ("Ed"), and a second signature over the first and the trusted comment.
// Format: jedisct1.github.io/minisign.

#include <span>
#include <string>
#include <string_view>

#include "base/error.h"

namespace cordon::packages {

// `key`: base64 of 42 bytes, as in the second line of minisign.pub. An error says what does not
// hold.
[[nodiscard]] Status VerifyMinisign(std::string_view key, std::string_view signature,
                                    std::span<const std::byte> message);

struct Signed {
  std::string public_key;  // as VerifyMinisign wants it
  std::string signature;   // a whole .minisig file
};
// `private_key`: PEM of an Ed25519 key, as `openssl genpkey -algorithm ed25519` writes it. The
// comment is one line.
[[nodiscard]] Result<Signed> SignMinisign(std::string_view private_key,
                                          std::span<const std::byte> message,
                                          const std::string& trusted_comment);

}  // namespace cordon::packages

#endif  // CORDON_PACKAGES_FETCHER_MINISIGN_H_

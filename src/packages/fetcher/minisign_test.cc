#include "packages/fetcher/minisign.h"

#include <gtest/gtest.h>

namespace cordon::packages {
namespace {

// RFC 8032, 7.1, test 1, as PKCS#8.
constexpr const char* kPrivate =
    "-----BEGIN PRIVATE KEY-----\n"
    "MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n"
    "-----END PRIVATE KEY-----\n";

std::span<const std::byte> Of(const std::string& text) {
  return std::as_bytes(std::span(text));
}

TEST(Minisign, SignsWhatItVerifies) {
  const std::string message = "{}\n";
  const auto made = SignMinisign(kPrivate, Of(message), "index");
  ASSERT_TRUE(made) << made.error().ToString();
  EXPECT_TRUE(made->public_key.starts_with("RWQ")) << made->public_key;
  const Status holds = VerifyMinisign(made->public_key, made->signature, Of(message));
  EXPECT_TRUE(holds) << holds.error().ToString();
  EXPECT_FALSE(VerifyMinisign(made->public_key, made->signature, Of("{} \n")));
}

TEST(Minisign, NothingOfItMayChange) {
  const std::string message = "{}\n";
  const auto made = SignMinisign(kPrivate, Of(message), "index");
  ASSERT_TRUE(made);
  // The first line is nobody's word.
  for (size_t i = made->signature.find('\n') + 1; i < made->signature.size(); ++i) {
    std::string changed = made->signature;
    changed[i] = changed[i] == 'A' ? 'B' : 'A';
    EXPECT_FALSE(VerifyMinisign(made->public_key, changed, Of(message))) << i;
  }
  for (size_t i = 0; i < made->public_key.size(); ++i) {
    std::string changed = made->public_key;
    changed[i] = changed[i] == 'A' ? 'B' : 'A';
    EXPECT_FALSE(VerifyMinisign(changed, made->signature, Of(message))) << i;
  }
  for (size_t size = 0; size + 1 < made->signature.size(); ++size) {
    EXPECT_FALSE(VerifyMinisign(made->public_key, made->signature.substr(0, size), Of(message)))
        << size;
  }
}

TEST(Minisign, WantsAnEd25519Key) {
  for (const char* key :
       {"", "nonsense", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"}) {
    EXPECT_FALSE(SignMinisign(key, Of("x"), "c")) << key;
  }
}

}  // namespace
}  // namespace cordon::packages

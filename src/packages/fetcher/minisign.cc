#include "packages/fetcher/minisign.h"

#include <openssl/evp.h>
#include <openssl/pem.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <vector>

#include "base/sha256.h"

namespace cordon::packages {
namespace {

using Bytes = std::vector<uint8_t>;
using View = std::span<const uint8_t>;
using Key = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;
using Context = std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)>;

constexpr size_t kAlgorithmBytes = 2;
constexpr size_t kIdBytes = 8;
constexpr size_t kKeyBytes = 32;
constexpr size_t kSignatureBytes = 64;
constexpr std::string_view kTrusted = "trusted comment: ";

std::unexpected<Error> Bad(const char* what) {
  return Fail(ErrorCode::kInvalid, what);
}

std::string Encode(View bytes) {
  std::string text(4 * ((bytes.size() + 2) / 3) + 1, '\0');
  const int size = EVP_EncodeBlock(reinterpret_cast<uint8_t*>(text.data()), bytes.data(),
                                   static_cast<int>(bytes.size()));
  text.resize(static_cast<size_t>(size));
  return text;
}

// Of so many bytes, in its one form.
std::optional<Bytes> Decode(std::string_view text, size_t size) {
  if (text.size() != 4 * ((size + 2) / 3)) return std::nullopt;
  Bytes bytes(text.size() / 4 * 3);
  const int count = EVP_DecodeBlock(bytes.data(), reinterpret_cast<const uint8_t*>(text.data()),
                                    static_cast<int>(text.size()));
  if (count != static_cast<int>(bytes.size())) return std::nullopt;
  bytes.resize(size);
  if (Encode(bytes) != text) return std::nullopt;
  return bytes;
}

std::string_view TakeLine(std::string_view* text) {
  const size_t end = std::min(text->find('\n'), text->size());
  std::string_view line = text->substr(0, end);
  text->remove_prefix(std::min(end + 1, text->size()));
  if (line.ends_with('\r')) line.remove_suffix(1);
  return line;
}

std::optional<Bytes> Blake2b(std::span<const std::byte> message) {
  Bytes digest(kSignatureBytes);
  unsigned size = 0;
  if (EVP_Digest(message.data(), message.size(), digest.data(), &size, EVP_blake2b512(), nullptr) !=
          1 ||
      size != digest.size()) {
    return std::nullopt;
  }
  return digest;
}

bool Holds(EVP_PKEY* key, View signature, View message) {
  const Context context(EVP_MD_CTX_new(), EVP_MD_CTX_free);
  return context && EVP_DigestVerifyInit(context.get(), nullptr, nullptr, nullptr, key) == 1 &&
         EVP_DigestVerify(context.get(), signature.data(), signature.size(), message.data(),
                          message.size()) == 1;
}

std::optional<Bytes> Sign(EVP_PKEY* key, View message) {
  const Context context(EVP_MD_CTX_new(), EVP_MD_CTX_free);
  Bytes signature(kSignatureBytes);
  size_t size = signature.size();
  if (!context || EVP_DigestSignInit(context.get(), nullptr, nullptr, nullptr, key) != 1 ||
      EVP_DigestSign(context.get(), signature.data(), &size, message.data(), message.size()) != 1 ||
      size != signature.size()) {
    return std::nullopt;
  }
  return signature;
}

// What the second signature is over.
Bytes WithComment(View signature, std::string_view comment) {
  Bytes both(signature.begin(), signature.end());
  both.insert(both.end(), comment.begin(), comment.end());
  return both;
}

}  // namespace

Status VerifyMinisign(std::string_view key, std::string_view signature,
                      std::span<const std::byte> message) {
  const auto owner = Decode(key, kAlgorithmBytes + kIdBytes + kKeyBytes);
  if (!owner || memcmp(owner->data(), "Ed", kAlgorithmBytes) != 0) {
    return Bad("the public key is none of minisign");
  }
  (void)TakeLine(&signature);  // the untrusted comment
  const auto first = Decode(TakeLine(&signature), kAlgorithmBytes + kIdBytes + kSignatureBytes);
  std::string_view comment = TakeLine(&signature);
  const auto second = Decode(TakeLine(&signature), kSignatureBytes);
  if (!first || !second || !comment.starts_with(kTrusted)) return Bad("the signature is damaged");
  comment.remove_prefix(kTrusted.size());
  const bool is_hashed = memcmp(first->data(), "ED", kAlgorithmBytes) == 0;
  if (!is_hashed && memcmp(first->data(), "Ed", kAlgorithmBytes) != 0) {
    return Bad("the signature has another algorithm");
  }
  if (!std::equal(first->begin() + kAlgorithmBytes, first->begin() + kAlgorithmBytes + kIdBytes,
                  owner->begin() + kAlgorithmBytes)) {
    return Bad("the signature is of another key");
  }
  const Key public_key(
      EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr,
                                  owner->data() + kAlgorithmBytes + kIdBytes, kKeyBytes),
      EVP_PKEY_free);
  const auto hash = Blake2b(message);
  if (!public_key || !hash) return Fail(ErrorCode::kInternal, "EVP_Digest(BLAKE2b512)");
  const View inner = View(*first).subspan(kAlgorithmBytes + kIdBytes);
  const View plain(reinterpret_cast<const uint8_t*>(message.data()), message.size());
  if (!Holds(public_key.get(), inner, is_hashed ? View(*hash) : plain) ||
      !Holds(public_key.get(), *second, WithComment(inner, comment))) {
    return Bad("the signature does not hold");
  }
  return {};
}

Result<Signed> SignMinisign(std::string_view private_key, std::span<const std::byte> message,
                            const std::string& trusted_comment) {
  const std::unique_ptr<BIO, decltype(&BIO_free)> input(
      BIO_new_mem_buf(private_key.data(), static_cast<int>(private_key.size())), BIO_free);
  // No question for a pass phrase.
  const auto no_phrase = [](char*, int, int, void*) { return -1; };
  const Key key(input ? PEM_read_bio_PrivateKey(input.get(), nullptr, no_phrase, nullptr) : nullptr,
                EVP_PKEY_free);
  std::array<uint8_t, kKeyBytes> raw = {};
  size_t size = raw.size();
  if (!key || EVP_PKEY_get_id(key.get()) != EVP_PKEY_ED25519 ||
      EVP_PKEY_get_raw_public_key(key.get(), raw.data(), &size) != 1) {
    return Bad("no private key: PEM of an Ed25519 key without a pass phrase is needed");
  }
  Sha256 hash;
  hash.Update(std::as_bytes(std::span(raw)));
  const Sha256::Digest id = hash.Finish();
  Bytes owner = {'E', 'd'};
  owner.insert(owner.end(), id.begin(), id.begin() + kIdBytes);
  owner.insert(owner.end(), raw.begin(), raw.end());
  const auto digest = Blake2b(message);
  const auto inner = digest ? Sign(key.get(), *digest) : std::nullopt;
  const auto outer = inner ? Sign(key.get(), WithComment(*inner, trusted_comment)) : std::nullopt;
  if (!outer) return Fail(ErrorCode::kInternal, "EVP_DigestSign(Ed25519)");
  Bytes first = {'E', 'D'};
  first.insert(first.end(), id.begin(), id.begin() + kIdBytes);
  first.insert(first.end(), inner->begin(), inner->end());
  return Signed{Encode(owner), "untrusted comment: signature of a package index\n" + Encode(first) +
                                   "\n" + std::string(kTrusted) + trusted_comment + "\n" +
                                   Encode(*outer) + "\n"};
}

}  // namespace cordon::packages

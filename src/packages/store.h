#ifndef CORDON_PACKAGES_STORE_H_
#define CORDON_PACKAGES_STORE_H_

// Modules that were brought here, by their hash, in a folder of the user: what one sandbox
// installed is not fetched again for the next. Everything that is read is hashed again.

#include <span>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/owned_fd.h"

namespace cordon::packages {

// SHA-256, 64 digits.
[[nodiscard]] std::string HashOf(std::span<const std::byte> bytes);

class Store {
 public:
  // cordon/packages below `parent`, made if it is not there. No link, this user's, and nobody
  // else's to write.
  [[nodiscard]] static Result<Store> Open(const std::string& parent);
  // Below the user's cache folder.
  [[nodiscard]] static Result<Store> OpenDefault();

  // A damaged one is removed, and is an error as one that is not there.
  [[nodiscard]] Result<std::vector<std::byte>> Load(const std::string& hash) const;
  [[nodiscard]] Status Save(const std::string& hash, std::span<const std::byte> module) const;

 private:
  explicit Store(OwnedFd folder) : folder_(std::move(folder)) {}
  OwnedFd folder_;
};

}  // namespace cordon::packages

#endif  // CORDON_PACKAGES_STORE_H_

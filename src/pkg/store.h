#ifndef CORDON_PKG_STORE_H_
#define CORDON_PKG_STORE_H_

// Modules that were installed once, by their hash, in the user's cache: what one sandbox brought home
// another need not.

#include <span>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/owned_fd.h"

namespace cordon::pkg {

class Store {
 public:
  // Makes the folder; it must be this user's alone. `parent` is the user's cache folder.
  [[nodiscard]] static Result<Store> Open(const std::string& parent);

  // The module with this hash (64 hexadecimal digits), which is verified again.
  [[nodiscard]] Result<std::vector<std::byte>> Load(const std::string& hash) const;
  // In one step.
  [[nodiscard]] Status Save(const std::string& hash, std::span<const std::byte> module) const;

 private:
  explicit Store(OwnedFd folder) : folder_(std::move(folder)) {}
  OwnedFd folder_;
};

[[nodiscard]] std::string HashOf(std::span<const std::byte> bytes);

}  // namespace cordon::pkg

#endif  // CORDON_PKG_STORE_H_

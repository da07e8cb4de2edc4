#ifndef CORDON_ARCHIVE_IMAGE_BLOB_H_
#define CORDON_ARCHIVE_IMAGE_BLOB_H_

// Blobs of an image that is read, and their hashes.

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>

#include "archive/sealed_bytes.h"
#include "base/error.h"
#include "base/owned_fd.h"

namespace cordon::archive {

// A part of the image's file, if it lies there in one piece, or its own.
struct ImageBlob {
  int fd = -1;
  uint64_t offset = 0;
  std::span<const std::byte> bytes;
  OwnedFd own;
  std::unique_ptr<SealedBytes> mapped;
  bool is_unverified = false;
};

// By their digests.
using ImageBlobs = std::map<std::string, ImageBlob>;

// A blob's hash, "sha256:…", against its name.
[[nodiscard]] Status HoldBlob(const std::string& name, const std::string& digest);

// Hashes what nobody has looked at yet: the first that has another hash than its name.
[[nodiscard]] Status HoldUnverified(ImageBlobs& blobs);

}  // namespace cordon::archive

#endif  // CORDON_ARCHIVE_IMAGE_BLOB_H_

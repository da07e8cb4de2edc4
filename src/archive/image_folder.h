#ifndef CORDON_ARCHIVE_IMAGE_FOLDER_H_
#define CORDON_ARCHIVE_IMAGE_FOLDER_H_

// An OCI image layout as a folder of the host, whose image grows layer by layer. Whoever has it
// open is its only writer. Killed at any moment, the folder holds the image of before or the next
// one: blobs are on the disk before the index names them, and the index is replaced in one step.

#include <cstdint>
#include <string>
#include <vector>

#include "archive/oci_image.h"
#include "archive/oci_parts.h"
#include "base/error.h"
#include "base/owned_fd.h"

namespace cordon::archive {

class ImageFolder {
 public:
  // Makes the folder (0700), and those above it, where they are not there. Refused is one of
  // another user, one that others may enter, and one that somebody has open.
  [[nodiscard]] static Result<ImageFolder> Open(const std::string& path);

  [[nodiscard]] bool HasImage() const;
  // All of it as one tar, for ImageReader, into an empty file. Its size.
  [[nodiscard]] Result<uint64_t> Pack(int fd, uint64_t most_bytes) const;
  // The image's layers, once somebody has read and verified them: what the next one is added to.
  void Know(std::vector<LayerName> layers) { layers_ = std::move(layers); }
  [[nodiscard]] const std::vector<LayerName>& layers() const { return layers_; }

  // The image becomes one of these layers, of which all but the last are there; `newest` are the
  // bytes of that one, or null when it is there too.
  [[nodiscard]] Status Commit(std::vector<LayerName> layers, const Layer* newest,
                              const ImageConfig& config);
  // No image is left.
  [[nodiscard]] Status Clear();

 private:
  ImageFolder() = default;
  [[nodiscard]] Status PutBlob(const std::string& digest, ByteSource& bytes) const;
  [[nodiscard]] Status PutText(const std::string& name, const std::string& text) const;
  // Until the index is the new one, the image is that of before.
  [[nodiscard]] Status PutImage(const ImageTexts& texts, const Layer* newest) const;
  void RemoveOthers(const std::vector<std::string>& blobs) const;

  std::string path_;  // for errors
  OwnedFd folder_;    // locked
  OwnedFd blobs_;
  std::vector<LayerName> layers_;
};

}  // namespace cordon::archive

#endif  // CORDON_ARCHIVE_IMAGE_FOLDER_H_

#ifndef CORDON_ARCHIVE_OCI_PARTS_H_
#define CORDON_ARCHIVE_OCI_PARTS_H_

// What an OCI image is made of: layers, and the texts that describe them. Equal contents give equal
// bytes.

#include <cstdint>
#include <functional>
#include <span>
#include <string>

#include "archive/oci_image.h"
#include "archive/tar.h"
#include "base/error.h"
#include "base/owned_fd.h"

namespace cordon::archive {

// A tree as tar and zstd, in memory.
struct Layer {
  OwnedFd fd;
  LayerName name;
};
// The same, at the end of what a sink has; its name.
[[nodiscard]] Result<LayerName> WriteLayerTo(ByteSink& sink,
                                             const std::function<Status(TarWriter&)>& fill);
[[nodiscard]] Result<Layer> WriteLayer(uint64_t most_bytes,
                                       const std::function<Status(TarWriter&)>& fill);

// Of the file oci-layout.
[[nodiscard]] std::string LayoutText();

struct ImageTexts {
  std::string layout, index, manifest, config;
  std::string manifest_digest, config_digest;
};
[[nodiscard]] Result<ImageTexts> DescribeImage(const ImageConfig& config,
                                               std::span<const LayerName> layers);

// Adds a file of the host; as long as it is said to be, or an error.
[[nodiscard]] Status AddFile(TarWriter& tar, const std::string& path, int fd, uint64_t size);

// The file of a blob in its folder, and below the folder of the layout.
[[nodiscard]] std::string BlobName(const std::string& digest);
[[nodiscard]] std::string BlobPath(const std::string& digest);

}  // namespace cordon::archive

#endif  // CORDON_ARCHIVE_OCI_PARTS_H_

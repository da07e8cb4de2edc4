#ifndef CORDON_ARCHIVE_OCI_IMAGE_H_
#define CORDON_ARCHIVE_OCI_IMAGE_H_

// An OCI image layout (image-spec 1.0) in one tar: what podman and others call an oci-archive. One
// layer, tar and zstd; what a session knows is a member of the configuration that others ignore.
// Equal contents give equal bytes.

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "archive/entry.h"
#include "archive/image_blob.h"
#include "archive/sealed_bytes.h"
#include "archive/tar.h"
#include "base/error.h"
#include "base/owned_fd.h"

namespace cordon::archive {

struct ImageConfig {
  std::vector<std::string> environment;  // "NAME=value", UTF-8
  std::string directory;
  std::string session;  // JSON; empty: none
  bool operator==(const ImageConfig&) const = default;
};

struct LayerName {
  std::string digest;   // of its bytes
  std::string diff_id;  // of the tar in it
  uint64_t size = 0;
};

// Of a configuration, which others refuse to read beyond it.
inline constexpr size_t kMaxConfigBytes = size_t{4} << 20;

struct WrittenImage {
  uint64_t size = 0;
  std::string digest;  // of the manifest
};

// Writes into an empty file; `fill` writes the layer.
[[nodiscard]] Result<WrittenImage> WriteImage(int fd, uint64_t most_bytes,
                                              const ImageConfig& config,
                                              const std::function<Status(TarWriter&)>& fill);

class ImageReader {
 public:
  // Reads and verifies everything but the trees: each descriptor against its blob, each blob but
  // large ones against its name. Several images in one layout, or one of another kind, are refused.
  // The file is sealed (sealed_bytes.h) and stays open, as the tar reader stays there.
  [[nodiscard]] static Result<ImageReader> Open(int fd, uint64_t size, uint64_t most_bytes,
                                                const TarReader& tars);

  [[nodiscard]] const ImageConfig& config() const { return config_; }
  [[nodiscard]] std::vector<LayerName> layers() const;
  // All layers in order, each against its hash, and with the first reading everything that Open
  // left unverified; names of whiteouts are as they are. Names: what is in files is looked at and
  // not told. What was expanded for it is kept for the next reading, if it is not much more than a
  // tree may have.
  [[nodiscard]] Status Read(ReadJob::Wanted wanted, const TreeLimits& limits, EntryVisitor& visitor,
                            Skipped* skipped) const;

 private:
  struct Layer {
    std::string digest;
    std::string diff_id;
    ReadJob::Form form = ReadJob::Form::kPlain;  // kAny: gzip
    std::optional<ImageBlob> plain = {};         // the tar in it, once it was taken out
  };
  class Collector;
  ImageReader(SealedBytes file, const TarReader& tars) : file_(std::move(file)), tars_(&tars) {}
  [[nodiscard]] Result<std::string> BlobText(const std::string& digest, uint64_t size) const;
  [[nodiscard]] Status ReadManifest(const std::string& index);
  [[nodiscard]] Status ReadConfig(const std::string& text);
  [[nodiscard]] Status ReadLayers(ReadJob::Wanted wanted, const TreeLimits& limits,
                                  EntryVisitor& visitor, Skipped* skipped) const;
  [[nodiscard]] Status TakeOut(const TreeLimits& limits, Layer* layer) const;
  // A tar's hash against its configuration.
  [[nodiscard]] static Status Hold(const Layer& layer, const std::string& digest);

  SealedBytes file_;
  const TarReader* tars_;
  mutable ImageBlobs blobs_;
  mutable std::vector<Layer> layers_;
  ImageConfig config_;
  mutable uint64_t plain_bytes_ = 0;  // of layers that were taken out
  // Every layer had its hash. What is sealed keeps it.
  mutable bool is_verified_ = false;
};

}  // namespace cordon::archive

#endif  // CORDON_ARCHIVE_OCI_IMAGE_H_

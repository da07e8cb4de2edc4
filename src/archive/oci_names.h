#ifndef CORDON_ARCHIVE_OCI_NAMES_H_
#define CORDON_ARCHIVE_OCI_NAMES_H_

// Names of the OCI image specification.

namespace cordon::archive::oci {

inline constexpr const char* kIndexType = "application/vnd.oci.image.index.v1+json";
inline constexpr const char* kManifestType = "application/vnd.oci.image.manifest.v1+json";
inline constexpr const char* kConfigType = "application/vnd.oci.image.config.v1+json";
inline constexpr const char* kLayerType = "application/vnd.oci.image.layer.v1.tar";
inline constexpr const char* kZstdLayerType = "application/vnd.oci.image.layer.v1.tar+zstd";
inline constexpr const char* kGzipLayerType = "application/vnd.oci.image.layer.v1.tar+gzip";
inline constexpr const char* kLayoutFile = "oci-layout";
inline constexpr const char* kIndexFile = "index.json";
inline constexpr const char* kBlobFolder = "blobs/sha256/";
// The member of the configuration that is ours.
inline constexpr const char* kSession = "dev.cordon.session";

}  // namespace cordon::archive::oci

#endif  // CORDON_ARCHIVE_OCI_NAMES_H_

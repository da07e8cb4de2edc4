#include "archive/image_blob.h"

#include "archive/oci_names.h"
#include "base/sha256.h"

namespace cordon::archive {

Status HoldBlob(const std::string& name, const std::string& digest) {
  if (name == digest) return {};
  return Fail(ErrorCode::kCorrupt, std::string("image: the contents of ") + oci::kBlobFolder +
                                       name.substr(name.find(':') + 1) + " have another hash");
}

Status HoldUnverified(ImageBlobs& blobs) {
  for (auto& [name, blob] : blobs) {
    if (!blob.is_unverified) continue;
    Sha256 hash;
    hash.Update(blob.bytes);
    CORDON_TRY(HoldBlob(name, "sha256:" + Sha256::Hex(hash.Finish())));
    blob.is_unverified = false;
  }
  return {};
}

}  // namespace cordon::archive

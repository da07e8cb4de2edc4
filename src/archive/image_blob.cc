#include "archive/image_blob.h"

#include <algorithm>
#include <system_error>

#include "archive/oci_names.h"
#include "base/blocked_signals.h"
#include "base/sha256.h"

namespace cordon::archive {

Status HoldBlob(const std::string& name, const std::string& digest) {
  if (name == digest) return {};
  return Fail(ErrorCode::kCorrupt, std::string("image: the contents of ") + oci::kBlobFolder +
                                       name.substr(name.find(':') + 1) + " have another hash");
}

BlobHashes::BlobHashes(const ImageBlobs& blobs) : blobs_(blobs) {
  const bool has_work =
      std::ranges::any_of(blobs_, [](const auto& one) { return one.second.is_unverified; });
  if (has_work) Start();
}

BlobHashes::~BlobHashes() {
  Join();
}

Status BlobHashes::Finish() {
  if (has_thread_) {
    Join();
  } else {
    Hash();
  }
  return result_;
}

void BlobHashes::Hash() {
  for (const auto& [name, blob] : blobs_) {
    if (!blob.is_unverified || !result_) continue;
    Sha256 hash;
    hash.Update(blob.bytes);
    result_ = HoldBlob(name, "sha256:" + Sha256::Hex(hash.Finish()));
  }
}

void BlobHashes::Start() {
  const BlockedSignals blocked;
  try {
    thread_ = std::thread([this] { Hash(); });
    has_thread_ = true;
  } catch (const std::system_error&) {
    has_thread_ = false;
  }
}

void BlobHashes::Join() {
  if (thread_.joinable()) thread_.join();
}

}  // namespace cordon::archive

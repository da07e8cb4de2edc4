#ifndef CORDON_LIVE_PERSISTENCE_H_
#define CORDON_LIVE_PERSISTENCE_H_

// A sandbox's state in a folder of the host: saved as a layer of what has changed since, loaded
// into a sandbox that has nothing of its own yet or that is to lose it.

#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "archive/image_folder.h"
#include "backend/wasm/keeper.h"
#include "live/tree_transfer.h"

namespace cordon::live {

class Persistence {
 public:
  // The namespace is this sandbox's until the object goes.
  [[nodiscard]] static Result<std::unique_ptr<Persistence>> Open(
      const std::string& folder, backend::Keeper& keeper, const backend::SandboxOptions& options);

  // False: there was nothing new. Without a configuration, that of the last save, load or import
  // stays.
  [[nodiscard]] Result<bool> Save(const std::optional<archive::ImageConfig>& config);
  // The session becomes another one, with files that no save has seen.
  void Import(archive::ImageConfig config) { imported_ = std::move(config); }

  struct Loaded {
    TransferReport report;
    archive::ImageConfig config;
  };
  // Nothing: none was saved.
  [[nodiscard]] Result<std::optional<Loaded>> Load();
  [[nodiscard]] Status Clear();

 private:
  Persistence(archive::ImageFolder folder, backend::Keeper& keeper,
              const backend::SandboxOptions& options)
      : folder_(std::move(folder)), keeper_(keeper), options_(options) {}
  // The layers are so many that one that has everything is less to keep and to load.
  [[nodiscard]] bool WantsNewBase() const;
  struct NewLayer {
    archive::Layer layer;
    SeenTree seen;
    uint64_t entries = 0;
  };
  // What is different from `since`.
  [[nodiscard]] Result<NewLayer> WriteNewLayer(const SeenTree& since) const;

  archive::ImageFolder folder_;
  backend::Keeper& keeper_;
  const backend::SandboxOptions& options_;
  // Of the tree as the folder has it; nothing: not known, the next save brings everything.
  std::optional<SeenTree> seen_;
  archive::ImageConfig config_;  // of the image in the folder
  std::optional<archive::ImageConfig> imported_;
};

}  // namespace cordon::live

#endif  // CORDON_LIVE_PERSISTENCE_H_

#include "live/mounts.h"

#include <sys/stat.h>

#include <cerrno>
#include <span>
#include <utility>

namespace cordon::live {
namespace {

using backend::TreeCalls;

constexpr TreeCalls::Owner kRoot = {0, 0};
constexpr uint32_t kFile = S_IFREG | 0644;
constexpr uint32_t kDirectory = S_IFDIR | 0755;
constexpr uint32_t kPrivate = S_IFDIR | 0700;

FileAnswer FailAs(int number, const std::string& what) {
  return {-number, what};
}

std::string StageOf(int64_t number) {
  return std::string(kStages) + "/" + std::to_string(number);
}

}  // namespace

FileAnswer Mounts::Answer(const Frame& frame) {
  switch (frame.kind) {
    case Kind::kMountDirectory:
      return MountDirectory(frame);
    case Kind::kMountClient:
      return MountClient(frame);
    case Kind::kStageFile:
      return StageFile(frame);
    case Kind::kMountStage:
      return MountStage(frame);
    default: {
      PayloadReader reader(frame.payload);
      std::string path;
      if (!reader.TakeString(&path)) return FailAs(EINVAL, "path");
      return Unmount(path);
    }
  }
}

FileAnswer Mounts::MountDirectory(const Frame& frame) {
  PayloadReader reader(frame.payload);
  std::string path;
  std::string host;
  if (!reader.TakeString(&path) || !reader.TakeString(&host) || !host.starts_with('/'))
    return FailAs(EINVAL, "path");
  const bool is_writable = frame.arg[0] != 0;
  Result<HostDirectory> directory = HostDirectory::Open(
      host, is_writable ? HostDirectory::Rights::kReadWrite : HostDirectory::Rights::kRead);
  if (!directory) return FailWith(directory.error());
  if (const Status made = mailbox_.MakeDirectory(path, 0755); !made) return FailWith(made.error());
  return MountServed(path, server_.Add(std::move(*directory)),
                     is_writable ? 0 : control::kMountReadOnly);
}

FileAnswer Mounts::MountClient(const Frame& frame) {
  PayloadReader reader(frame.payload);
  std::string path;
  ClientFiles::Options options;
  if (!reader.TakeString(&path) || !reader.TakeString(&options.socket) ||
      !reader.TakeString(&options.key) || !options.socket.starts_with('/')) {
    return FailAs(EINVAL, "path");
  }
  const bool is_writable = frame.arg[0] != 0;
  if (is_writable) options.rights = HostDirectory::Rights::kReadWrite;
  options.timeout = std::chrono::milliseconds(frame.arg[1]);
  options.cache = std::chrono::milliseconds(frame.arg[2]);
  if (const Status made = mailbox_.MakeDirectory(path, 0755); !made) return FailWith(made.error());
  return MountServed(
      path, server_.Add(std::move(options)),
      control::kMountOfClient | (is_writable ? 0U : uint32_t{control::kMountReadOnly}));
}

FileAnswer Mounts::MountServed(const std::string& path, const Result<uint32_t>& index,
                               uint32_t flags) {
  if (!index && index.error().code == ErrorCode::kLimit)
    return FailAs(ENOSPC, index.error().ToString());
  if (!index) return FailWith(index.error());
  if (const Status mounted = mailbox_.Mount(path, *index, flags); !mounted) {
    server_.Remove(*index);
    return FailWith(mounted.error());
  }
  served_[path] = *index;
  return {};
}

Status Mounts::MakeStage(const std::string& path) {
  CORDON_TRY(trees_.Make(kStages, kPrivate, kRoot));
  return trees_.Make(path, kDirectory, kRoot);
}

FileAnswer Mounts::StageFile(const Frame& frame) {
  PayloadReader reader(frame.payload);
  std::string name;
  if (!reader.TakeString(&name) || !IsServedPath(name) || frame.arg[0] < 0 ||
      frame.arg[0] > last_stage_) {
    return FailAs(EINVAL, "no path below a mount: " + name);
  }
  // Without a name there is nothing but a new stage.
  if (name.empty() && (frame.arg[0] != 0 || !reader.rest().empty()))
    return FailAs(EINVAL, "no path below a mount");
  const int64_t number = frame.arg[0] == 0 ? ++last_stage_ : frame.arg[0];
  const std::string stage = StageOf(number);
  Status done = frame.arg[0] == 0 ? MakeStage(stage) : Status();
  for (size_t end = name.find('/'); done && end != std::string::npos;
       end = name.find('/', end + 1)) {
    done = trees_.Make(stage + "/" + name.substr(0, end), kDirectory, kRoot);
  }
  if (done && !name.empty()) {
    const std::string path = stage + "/" + name;
    const auto offset = static_cast<uint64_t>(frame.arg[1]);
    if (offset == 0) done = trees_.Make(path, kFile, kRoot);
    if (done) done = trees_.Write(path, offset, std::as_bytes(std::span(reader.rest())));
  }
  if (!done) return FailWith(done.error());
  return {number, {}};
}

FileAnswer Mounts::MountStage(const Frame& frame) {
  PayloadReader reader(frame.payload);
  std::string path;
  if (!reader.TakeString(&path) || frame.arg[0] < 1 || frame.arg[0] > last_stage_)
    return FailAs(EINVAL, "path");
  const std::string stage = StageOf(frame.arg[0]);
  if (const Status made = mailbox_.MakeDirectory(path, 0755); !made) return FailWith(made.error());
  if (const Status mounted = mailbox_.Show(path, stage); !mounted) return FailWith(mounted.error());
  shown_[path] = stage;
  return {};
}

FileAnswer Mounts::Unmount(const std::string& path) {
  if (const Status unmounted = mailbox_.Unmount(path); !unmounted)
    return FailWith(unmounted.error());
  if (const auto found = served_.find(path); found != served_.end()) {
    server_.Remove(found->second);
    served_.erase(found);
  }
  if (const auto found = shown_.find(path); found != shown_.end()) {
    (void)trees_.Remove(found->second);
    shown_.erase(found);
  }
  return {};
}

}  // namespace cordon::live

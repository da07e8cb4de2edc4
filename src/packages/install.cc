#include "packages/install.h"

#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <span>
#include <vector>

#include "backend/wasm/modules.h"
#include "base/memory_file.h"
#include "base/owned_fd.h"
#include "packages/fetch.h"
#include "packages/store.h"

namespace cordon::packages {
namespace {

using Bytes = std::vector<std::byte>;

constexpr uint64_t kMostSignatureBytes = 4096;

std::unexpected<PackageError> StoreError(const Error& error) {
  return Refuse(PackageCode::kFetch, error.ToString());
}

// What is no module at all is said here in words; the compiler looks at everything else.
PackageStatus CheckModule(const Bytes& bytes) {
  constexpr uint8_t kModule[] = {0, 'a', 's', 'm', 1, 0, 0, 0};
  constexpr uint8_t kComponent[] = {0, 'a', 's', 'm', 0x0d, 0, 1, 0};
  const auto begins_with = [&](std::span<const uint8_t> magic) {
    return bytes.size() >= magic.size() && memcmp(bytes.data(), magic.data(), magic.size()) == 0;
  };
  if (begins_with(kModule)) return {};
  if (begins_with(kComponent)) {
    return Refuse(PackageCode::kInvalidModule,
                  "a component, where a module is needed: only WASI preview 1 is there");
  }
  return Refuse(PackageCode::kInvalidModule, "no WebAssembly module");
}

PackageResult<Installed> Compile(const Tools& tools, Bytes bytes, Installed package,
                                 const Progress& progress) {
  size_t told = 0;
  const auto tell = [&](size_t done, size_t total) {
    const size_t tenth = done * 10 / std::max<size_t>(total, 1);
    if (tenth <= told) return;
    told = tenth;
    progress("Compiling " + package.name + " (" + std::to_string(tenth * 10) + "%)");
  };
  const auto module = backend::CompileModule(std::move(bytes), package.name, tools.compiler, tell);
  if (!module) return Refuse(PackageCode::kInvalidModule, module.error().ToString());
  package.is_optimised = module->is_optimised;
  for (const std::string& name : backend::UnknownImports(*module)) {
    progress("note: it imports " + name + ", which is not there; a call of it ends the program");
  }
  return package;
}

struct Source {
  Url url;
  std::string name;
  std::string expected;
};

bool IsUrl(const std::string& source) {
  return source.find("://") != std::string::npos;
}

PackageResult<Source> FindSource(const Tools& tools, const Policy& policy,
                                 const InstallRequest& request) {
  Source source;
  const auto name = NameOf(request);
  if (!name) return std::unexpected(name.error());
  source.name = *name;
  if (!request.expected.empty()) {
    const auto hash = CleanHash(request.expected);
    if (!hash) {
      return Refuse(PackageCode::kIntegrity, "no SHA-256: 64 hexadecimal digits are needed");
    }
    source.expected = *hash;
  }
  if (IsUrl(request.source)) {
    const auto url = ParseUrl(request.source);
    if (!url) return std::unexpected(url.error());
    source.url = *url;
    return source;
  }
  const auto index = FetchIndex(tools, policy);
  if (!index) return std::unexpected(index.error());
  const auto found = index->find(request.source);
  if (found == index->end()) {
    return Refuse(PackageCode::kNotFound,
                  "package '" + Shown(request.source) + "' not found in registry");
  }
  const IndexEntry& entry = found->second;
  if (!source.expected.empty()) {
    const PackageStatus same = CheckIntegrity(policy, source.expected, entry.hash);
    if (!same) return std::unexpected(same.error());
  }
  const PackageStatus fits = CheckSize(policy, entry.size);
  if (!fits) return std::unexpected(fits.error());
  source.url = entry.url;
  source.expected = entry.hash;
  return source;
}

PackageResult<Bytes> Bring(const Tools& tools, const Policy& policy, const Source& source,
                           const Progress& progress) {
  progress("Downloading " + source.name);
  int64_t told = 0;
  const auto tell = [&](int64_t done, int64_t total) {
    constexpr int64_t kStep = int64_t{1} << 20;
    if (done - told < kStep) return;
    told = done;
    progress("Downloading " + source.name + " (" + std::to_string(done) +
             (total > 0 ? " of " + std::to_string(total) : std::string()) + " bytes)");
  };
  return Fetch(tools.fetcher, policy, source.url, policy.max_package_bytes, tell);
}

// A descriptor for the fetcher.
PackageResult<OwnedFd> FileWith(const Bytes& bytes) {
  Result<OwnedFd> fd = MemoryFileWith("cordon-index", bytes);
  if (!fd) return StoreError(fd.error());
  return std::move(*fd);
}

PackageStatus CheckSignature(const Tools& tools, const Policy& policy, const Url& index,
                             const Bytes& bytes) {
  Url place = index;
  const size_t query = std::min(place.path.find('?'), place.path.size());
  place.path.insert(query, kSignatureSuffix);
  const auto signature = Fetch(tools.fetcher, policy, place, kMostSignatureBytes, {});
  if (!signature) {
    return Refuse(PackageCode::kIntegrity,
                  "the package index has no signature: " + signature.error().message);
  }
  const PackageResult<OwnedFd> message = FileWith(bytes);
  if (!message) return std::unexpected(message.error());
  const PackageResult<OwnedFd> mark = FileWith(*signature);
  if (!mark) return std::unexpected(mark.error());
  const auto report = RunFetcher(
      tools.fetcher,
      {{"verify", policy.index_key}, {message->get(), mark->get()}, std::chrono::seconds(30), {}});
  if (report && report->is_good) return {};
  return Refuse(PackageCode::kIntegrity,
                "the package index: " + (report ? "no verdict" : report.error().message));
}

}  // namespace

PackageResult<Index> FetchIndex(const Tools& tools, const Policy& policy) {
  if (!policy.enabled) {
    return Refuse(PackageCode::kDisabled, "Package installation is disabled");
  }
  if (policy.index.empty()) {
    return Refuse(PackageCode::kNotFound, "no package index is configured");
  }
  const auto url = ParseUrl(policy.index);
  if (!url) return std::unexpected(url.error());
  const auto bytes = Fetch(tools.fetcher, policy, *url, kMostIndexBytes, {});
  if (!bytes) return std::unexpected(bytes.error());
  if (!policy.index_key.empty()) {
    const PackageStatus holds = CheckSignature(tools, policy, *url, *bytes);
    if (!holds) return std::unexpected(holds.error());
  }
  return ParseIndex(*url, {reinterpret_cast<const char*>(bytes->data()), bytes->size()});
}

PackageResult<std::string> NameOf(const InstallRequest& request) {
  std::string name = request.name;
  if (name.empty() && IsUrl(request.source)) {
    const auto url = ParseUrl(request.source);
    if (!url) return std::unexpected(url.error());
    name = packages::NameOf(*url);
    if (name.empty()) {
      return Refuse(PackageCode::kInvalidName, "could not derive package name from URL");
    }
  }
  if (name.empty()) name = request.source;
  // What is looked up in an index is a name too.
  const PackageStatus checks[] = {
      CheckName(name), IsUrl(request.source) ? PackageStatus() : CheckName(request.source)};
  for (const PackageStatus& check : checks) {
    if (!check) return std::unexpected(check.error());
  }
  return name;
}

PackageResult<Installed> Install(const Tools& tools, const Policy& policy,
                                 const InstallRequest& request, const Progress& progress) {
  if (!policy.enabled) {
    return Refuse(PackageCode::kDisabled, "Package installation is disabled");
  }
  const auto source = FindSource(tools, policy, request);
  if (!source) return std::unexpected(source.error());
  const PackageStatus decisions[] = {
      CheckHost(policy, source->url),
      source->expected.empty() ? CheckIntegrity(policy, "", "") : PackageStatus()};
  for (const PackageStatus& decision : decisions) {
    if (!decision) return std::unexpected(decision.error());
  }
  const Result<Store> store = Store::OpenDefault();
  if (!store) return StoreError(store.error());
  Bytes bytes;
  if (!source->expected.empty()) bytes = store->Load(source->expected).value_or(Bytes());
  const bool is_known = !bytes.empty();
  if (!is_known) {
    auto brought = Bring(tools, policy, *source, progress);
    if (!brought) return std::unexpected(brought.error());
    bytes = std::move(*brought);
  }
  const std::string hash = HashOf(bytes);
  const PackageStatus checks[] = {CheckSize(policy, bytes.size()),
                                  CheckIntegrity(policy, source->expected, hash),
                                  CheckModule(bytes)};
  for (const PackageStatus& check : checks) {
    if (!check) return std::unexpected(check.error());
  }
  const Installed package = {source->name, hash, bytes.size(), source->url.ToString(), false};
  auto compiled = Compile(tools, bytes, package, progress);
  if (!compiled) return compiled;
  // The keeper takes it from there: only what was compiled ever lies in the store.
  const Status saved = is_known ? Status() : store->Save(hash, bytes);
  if (!saved) return StoreError(saved.error());
  return compiled;
}

PackageResult<Installed> CompileStored(const Tools& tools, const Policy& policy,
                                       const std::string& name, const std::string& hash,
                                       const Progress& progress) {
  const Result<Store> store = Store::OpenDefault();
  if (!store) return StoreError(store.error());
  Result<Bytes> bytes = store->Load(hash);
  if (!bytes) return StoreError(bytes.error());
  const PackageStatus checks[] = {CheckSize(policy, bytes->size()), CheckModule(*bytes)};
  for (const PackageStatus& check : checks) {
    if (!check) return std::unexpected(check.error());
  }
  const Installed package = {name, hash, bytes->size(), {}, false};
  return Compile(tools, std::move(*bytes), package, progress);
}

Status OptimiseStored(const Tools& tools, const std::string& hash) {
  const Result<Store> store = Store::OpenDefault();
  if (!store) return std::unexpected(store.error());
  const Result<Bytes> bytes = store->Load(hash);
  if (!bytes) return std::unexpected(bytes.error());
  return backend::OptimiseModule(*bytes, tools.compiler);
}

}  // namespace cordon::packages

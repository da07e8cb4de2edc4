#include "pkg/install.h"

#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "backend/wasm/modules.h"
#include "pkg/store.h"
#include "wasm/compile_cache.h"

namespace cordon::pkg {
namespace {

PackageResult<std::vector<std::byte>> BytesOf(const Fetched& fetched) {
  std::vector<std::byte> bytes(fetched.size);
  for (size_t done = 0; done < bytes.size();) {
    const ssize_t got = pread(fetched.file.get(), bytes.data() + done, bytes.size() - done,
                              static_cast<off_t>(done));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return Refuse("E_PKG_FETCH", "what came was cut");
    done += static_cast<size_t>(got);
  }
  return bytes;
}

// What is wrong is said here in words; the compiler looks at everything.
PackageStatus CheckModule(const std::vector<std::byte>& bytes) {
  constexpr uint8_t kModule[] = {0, 'a', 's', 'm', 1, 0, 0, 0};
  constexpr uint8_t kComponent[] = {0, 'a', 's', 'm', 0x0d, 0, 1, 0};
  const auto begins_with = [&](std::span<const uint8_t> magic) {
    return bytes.size() >= magic.size() && memcmp(bytes.data(), magic.data(), magic.size()) == 0;
  };
  if (begins_with(kModule)) return {};
  if (begins_with(kComponent)) {
    return Refuse("E_PKG_INVALID_MODULE", "a component, where a module is needed");
  }
  return Refuse("E_PKG_INVALID_MODULE", "no WebAssembly module");
}

PackageStatus Compile(const Tools& tools, const std::vector<std::byte>& bytes,
                      const std::string& name, const Progress& progress) {
  size_t told = 0;
  const auto module = backend::CompileModule(
      bytes, name, tools.compiler, backend::Compiling::kMay, [&](size_t done, size_t total) {
        const size_t tenth = done * 10 / std::max<size_t>(total, 1);
        if (tenth > told) progress("Compiling " + name + " (" + std::to_string(tenth * 10) + "%)");
        told = std::max(told, tenth);
      });
  if (module) return {};
  return Refuse("E_PKG_INVALID_MODULE", module.error().ToString());
}

struct Source {
  Url url;
  std::string name;
  std::string expected;
};

PackageResult<Source> FindSource(const Tools& tools, const Policy& policy,
                                 const InstallRequest& request) {
  Source source;
  source.name = request.name;
  if (!request.expected.empty()) {
    const auto hash = CleanHash(request.expected);
    if (!hash) return Refuse("E_PKG_INTEGRITY", "no SHA-256: 64 hexadecimal digits are needed");
    source.expected = *hash;
  }
  if (request.source.find("://") != std::string::npos) {
    const auto url = ParseUrl(request.source);
    if (!url) return std::unexpected(url.error());
    source.url = *url;
    if (source.name.empty()) source.name = NameOf(*url);
    if (source.name.empty()) return Refuse("E_PKG_INVALID_NAME", "could not derive package name from URL");
    return source;
  }
  const PackageStatus named = CheckName(request.source);
  if (!named) return std::unexpected(named.error());
  const auto index = FetchIndex(tools, policy);
  if (!index) return std::unexpected(index.error());
  const auto found = index->find(request.source);
  if (found == index->end()) {
    return Refuse("E_PKG_NOT_FOUND", "package '" + request.source + "' not found in registry");
  }
  source.url = found->second.url;
  if (source.name.empty()) source.name = request.source;
  if (!source.expected.empty() && source.expected != found->second.hash) {
    const PackageStatus differs = CheckIntegrity(policy, source.expected, found->second.hash);
    if (!differs) return std::unexpected(differs.error());
  }
  source.expected = found->second.hash;
  return source;
}

PackageResult<std::vector<std::byte>> Bring(const Tools& tools, const Policy& policy,
                                            const Source& source, const Progress& progress) {
  progress("Downloading " + source.name);
  int64_t told = 0;
  const auto fetched =
      Fetch(tools.fetcher, policy, source.url, policy.max_package_bytes, [&](int64_t done, int64_t) {
        constexpr int64_t kStep = int64_t{1} << 20;
        if (done - told < kStep) return;
        told = done;
        progress("Downloading " + source.name + " (" + std::to_string(done) + " bytes)");
      });
  if (!fetched) return std::unexpected(fetched.error());
  return BytesOf(*fetched);
}

}  // namespace

PackageResult<Installed> CompileStored(const Tools& tools, const Policy& policy,
                                       const std::string& name, const std::string& hash,
                                       const Progress& progress) {
  const auto parent = wasm::CompileCache::DefaultParent();
  if (!parent) return Refuse("E_PKG_FETCH", parent.error().ToString());
  const auto store = Store::Open(*parent);
  if (!store) return Refuse("E_PKG_FETCH", store.error().ToString());
  const auto bytes = store->Load(hash);
  if (!bytes) return Refuse("E_PKG_FETCH", bytes.error().ToString());
  if (bytes->size() > policy.max_package_bytes) {
    return Refuse("E_PKG_TOO_LARGE", "Package size " + std::to_string(bytes->size()) +
                                         " exceeds limit of " +
                                         std::to_string(policy.max_package_bytes) + " bytes");
  }
  const PackageStatus checked = CheckModule(*bytes);
  if (!checked) return std::unexpected(checked.error());
  const PackageStatus compiled = Compile(tools, *bytes, name, progress);
  if (!compiled) return std::unexpected(compiled.error());
  return Installed{name, hash, bytes->size(), {}};
}

PackageResult<Index> FetchIndex(const Tools& tools, const Policy& policy) {
  if (!policy.enabled) return Refuse("E_PKG_DISABLED", "Package installation is disabled");
  if (policy.index.empty()) return Refuse("E_PKG_NOT_FOUND", "no package index is configured");
  const auto url = ParseUrl(policy.index);
  if (!url) return std::unexpected(url.error());
  const auto fetched = Fetch(tools.fetcher, policy, *url, kMaxIndexBytes, {});
  if (!fetched) return std::unexpected(fetched.error());
  const auto bytes = BytesOf(*fetched);
  if (!bytes) return std::unexpected(bytes.error());
  return ParseIndex(*url, {reinterpret_cast<const char*>(bytes->data()), bytes->size()});
}

PackageResult<Installed> Install(const Tools& tools, const Policy& policy,
                                 const InstallRequest& request, const Progress& progress) {
  if (!policy.enabled) return Refuse("E_PKG_DISABLED", "Package installation is disabled");
  const auto source = FindSource(tools, policy, request);
  if (!source) return std::unexpected(source.error());
  for (const PackageStatus& decided :
       {CheckName(source->name), CheckHost(policy, source->url),
        source->expected.empty() ? CheckIntegrity(policy, "", "") : PackageStatus()}) {
    if (!decided) return std::unexpected(decided.error());
  }
  const auto parent = wasm::CompileCache::DefaultParent();
  if (!parent) return Refuse("E_PKG_FETCH", parent.error().ToString());
  const auto store = Store::Open(*parent);
  if (!store) return Refuse("E_PKG_FETCH", store.error().ToString());
  std::vector<std::byte> bytes;
  if (!source->expected.empty()) bytes = store->Load(source->expected).value_or(std::vector<std::byte>());
  if (bytes.size() > policy.max_package_bytes) {
    return Refuse("E_PKG_TOO_LARGE", "Package size " + std::to_string(bytes.size()) + " exceeds limit of " +
                                         std::to_string(policy.max_package_bytes) + " bytes");
  }
  if (bytes.empty()) {
    auto brought = Bring(tools, policy, *source, progress);
    if (!brought) return std::unexpected(brought.error());
    bytes = std::move(*brought);
  }
  const std::string hash = HashOf(bytes);
  for (const PackageStatus& checked :
       {CheckIntegrity(policy, source->expected, hash), CheckModule(bytes)}) {
    if (!checked) return std::unexpected(checked.error());
  }
  const PackageStatus compiled = Compile(tools, bytes, source->name, progress);
  if (!compiled) return std::unexpected(compiled.error());
  const Status saved = store->Save(hash, bytes);
  if (!saved) return Refuse("E_PKG_FETCH", saved.error().ToString());
  return Installed{source->name, hash, bytes.size(), source->url.ToString()};
}

}  // namespace cordon::pkg

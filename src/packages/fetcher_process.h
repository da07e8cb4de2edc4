#ifndef CORDON_PACKAGES_FETCHER_PROCESS_H_
#define CORDON_PACKAGES_FETCHER_PROCESS_H_

// cordon-fetch, started for one job. It reads hostile bytes: what it says is checked, and bounded.

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "packages/error.h"

namespace cordon::packages {

struct Fetcher {
  std::string program;  // cordon-fetch
  std::string ca_file;  // authorities, PEM
};

// Bytes that came, and of how many; -1: unknown.
using FetchProgress = std::function<void(int64_t done, int64_t total)>;

// What it said (fetcher/say.h).
struct FetcherReport {
  int status = 0;
  uint64_t size = 0;
  std::string location;
  std::vector<std::string> addresses;
  bool is_good = false;
  std::string key;
  std::string signature;
};

struct FetcherJob {
  std::vector<std::string> words;
  std::vector<int> descriptors;  // from 3 on
  std::chrono::seconds time_limit{30};
  FetchProgress progress;
};

// Waits until it ended. The refusal is what it said, or how it ended.
[[nodiscard]] PackageResult<FetcherReport> RunFetcher(const Fetcher& fetcher,
                                                      const FetcherJob& job);

}  // namespace cordon::packages

#endif  // CORDON_PACKAGES_FETCHER_PROCESS_H_

#include "wasm/compiler/compile.h"

#include <atomic>
#include <mutex>
#include <string>
#include <thread>

#include "base/sha256.h"
#include "wasm/compiler/analysis.h"
#include "wasm/compiler/codegen.h"
#include "wasm/compiler/link.h"
#include "wasm/compiler/lowering.h"
#include "wasm/compiler/object_writer.h"

namespace cordon::wasm {
namespace {

// Functions go to partitions in order, by size of their bodies and not by the number of threads, so
// that the code is the same however it was compiled.
constexpr uint64_t kPartitionBytes = 48 * 1024;

struct Range {
  uint32_t begin;
  uint32_t end;
};

std::vector<Range> Divide(const Module& module) {
  std::vector<Range> ranges;
  uint32_t begin = 0;
  uint64_t size = 0;
  const auto count = static_cast<uint32_t>(module.functions.size());
  for (uint32_t i = 0; i < count; ++i) {
    size += module.functions[i].body_size + 16;
    if (size < kPartitionBytes) continue;
    ranges.push_back({begin, i + 1});
    begin = i + 1;
    size = 0;
  }
  if (begin < count || ranges.empty()) ranges.push_back({begin, count});
  return ranges;
}

class ParallelCompilation {
 public:
  ParallelCompilation(const Module& module, const CompileOptions& options)
      : module_(module),
        options_(options),
        ranges_(Divide(module)),
        objects_(ranges_.size()),
        begin_(std::chrono::steady_clock::now()) {}

  Status Run() {
    const size_t extra = std::min<size_t>(options_.threads, ranges_.size());
    std::vector<std::thread> threads;
    for (size_t i = 1; i < extra; ++i) threads.emplace_back([this] { Work(); });
    Work();
    for (std::thread& thread : threads) thread.join();
    if (out_of_time_) {
      return Fail(ErrorCode::kLimit, "limit: compiling took longer than " +
                                         std::to_string(options_.time_limit.count()) + " ms");
    }
    if (code_bytes_ > options_.code_bytes) {
      return Fail(ErrorCode::kLimit, "limit: more than " + std::to_string(options_.code_bytes) +
                                         " bytes of machine code");
    }
    return {};
  }
  [[nodiscard]] const std::vector<std::vector<char>>& objects() const { return objects_; }

 private:
  void Work() {
    CodeGenerator generator(options_.tier, options_.cpu_level);
    for (size_t i = next_++; i < ranges_.size(); i = next_++) {
      if (options_.time_limit.count() != 0 &&
          std::chrono::steady_clock::now() - begin_ > options_.time_limit) {
        out_of_time_ = true;
      }
      if (out_of_time_ || code_bytes_ > options_.code_bytes) return;
      objects_[i] = CompilePartition(i, &generator);
      code_bytes_ += objects_[i].size();
      const size_t done = done_ += ranges_[i].end - ranges_[i].begin;
      if (options_.progress) options_.progress(done, module_.functions.size());
    }
  }

  std::vector<char> CompilePartition(size_t number, CodeGenerator* generator) {
    Partition partition(module_, options_.tier, options_.cpu_level, "p" + std::to_string(number));
    if (number == 0) {
      for (uint32_t i = 0; i < module_.signatures.size(); ++i) {
        if (module_.needs_adapter[i]) partition.LowerAdapter(i);
      }
    }
    for (uint32_t i = ranges_[number].begin; i < ranges_[number].end; ++i) {
      partition.LowerFunction(i);
    }
    return generator->Emit(partition);
  }

  const Module& module_;
  const CompileOptions& options_;
  std::vector<Range> ranges_;
  std::vector<std::vector<char>> objects_;
  std::chrono::steady_clock::time_point begin_;
  std::atomic<size_t> next_ = 0;
  std::atomic<size_t> done_ = 0;
  std::atomic<uint64_t> code_bytes_ = 0;
  std::atomic<bool> out_of_time_ = false;
};

}  // namespace

Result<std::vector<std::byte>> Compile(std::span<const std::byte> module_bytes,
                                       const CompileOptions& options) {
  Result<Module> module = ReadModule(module_bytes, options.limits);
  if (!module) return std::unexpected(module.error());
  CORDON_TRY(Analyse(&*module));
  ParallelCompilation compilation(*module, options);
  CORDON_TRY(compilation.Run());
  Result<LinkedImage> image = Link(compilation.objects());
  if (!image) return std::unexpected(image.error());
  Sha256 hash;
  hash.Update(module_bytes);
  return WriteObject(*module, *image, {options.tier, options.cpu_level, hash.Finish()});
}

}  // namespace cordon::wasm

#ifndef CORDON_BASE_SHA256_BLOCKS_H_
#define CORDON_BASE_SHA256_BLOCKS_H_

// The compression function of SHA-256: by the processor's own instructions where it has them, which
// is six times as fast.

#include <array>
#include <cstddef>
#include <cstdint>

namespace cordon {

using Sha256State = std::array<uint32_t, 8>;
inline constexpr size_t kSha256BlockBytes = 64;

// Takes `count` blocks that follow each other in.
using Sha256Blocks = void (*)(Sha256State& state, const uint8_t* blocks, size_t count);
void CompressPortably(Sha256State& state, const uint8_t* blocks, size_t count);
// Null where this processor has no such instructions.
[[nodiscard]] Sha256Blocks CompressByInstructions();

// Blocks of two hashes, `count` of each, in two thirds of the time.
struct Sha256Part {
  Sha256State* state;
  const uint8_t* blocks;
};
void CompressBoth(Sha256Part one, Sha256Part other, size_t count);

}  // namespace cordon

#endif  // CORDON_BASE_SHA256_BLOCKS_H_

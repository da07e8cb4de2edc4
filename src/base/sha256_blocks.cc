#include "base/sha256_blocks.h"

#include <cpuid.h>
#include <immintrin.h>

#include <bit>

namespace cordon {
namespace {

alignas(16) constexpr std::array<uint32_t, 64> kRound = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

uint32_t LoadBigEndian(const uint8_t* p) {
  return uint32_t{p[0]} << 24 | uint32_t{p[1]} << 16 | uint32_t{p[2]} << 8 | uint32_t{p[3]};
}

bool HasInstructions() {
  uint32_t a = 0;
  uint32_t b = 0;
  uint32_t c = 0;
  uint32_t d = 0;
  constexpr uint32_t kNeeded = bit_SSSE3 | bit_SSE4_1;
  if (__get_cpuid(1, &a, &b, &c, &d) == 0 || (c & kNeeded) != kNeeded) return false;
  return __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 && (b & bit_SHA) != 0;
}

// One hash on its way: two registers hold the state as ABEF and CDGH, four the sixteen words of the
// schedule that the next rounds need.
#define CORDON_SHA __attribute__((target("sha,sse4.1,ssse3"), always_inline))
struct Lane {
  __m128i abef, cdgh;
  __m128i abef_before, cdgh_before;
  __m128i w[4];

  CORDON_SHA void Load(const Sha256State& state) {
    const auto* words = reinterpret_cast<const __m128i*>(state.data());
    const __m128i cdab = _mm_shuffle_epi32(_mm_loadu_si128(words), 0xB1);
    const __m128i efgh = _mm_shuffle_epi32(_mm_loadu_si128(words + 1), 0x1B);
    abef = _mm_alignr_epi8(cdab, efgh, 8);
    cdgh = _mm_blend_epi16(efgh, cdab, 0xF0);
  }

  CORDON_SHA void Store(Sha256State& state) const {
    const __m128i feba = _mm_shuffle_epi32(abef, 0x1B);
    const __m128i dchg = _mm_shuffle_epi32(cdgh, 0xB1);
    auto* to = reinterpret_cast<__m128i*>(state.data());
    _mm_storeu_si128(to, _mm_blend_epi16(feba, dchg, 0xF0));
    _mm_storeu_si128(to + 1, _mm_alignr_epi8(dchg, feba, 8));
  }

  // Intel, "SHA Extensions": a step is four rounds.
  CORDON_SHA void Step(int i, const uint8_t* block) {
    __m128i& now = w[i % 4];
    if (i < 4) {
      const __m128i swap = _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203);
      const auto* in = reinterpret_cast<const __m128i*>(block);
      now = _mm_shuffle_epi8(_mm_loadu_si128(in + i), swap);
    }
    const auto* round = reinterpret_cast<const __m128i*>(kRound.data());
    const __m128i sum = _mm_add_epi32(now, _mm_load_si128(round + i));
    cdgh = _mm_sha256rnds2_epu32(cdgh, abef, sum);
    if (i >= 3 && i < kSteps - 1) {
      __m128i& next = w[(i + 1) % 4];
      next = _mm_add_epi32(next, _mm_alignr_epi8(now, w[(i + 3) % 4], 4));
      next = _mm_sha256msg2_epu32(next, now);
    }
    abef = _mm_sha256rnds2_epu32(abef, cdgh, _mm_shuffle_epi32(sum, 0x0E));
    if (i >= 1 && i < kSteps - 3) {
      __m128i& last = w[(i + 3) % 4];
      last = _mm_sha256msg1_epu32(last, now);
    }
  }

  CORDON_SHA void Begin() {
    abef_before = abef;
    cdgh_before = cdgh;
  }
  CORDON_SHA void End() {
    abef = _mm_add_epi32(abef, abef_before);
    cdgh = _mm_add_epi32(cdgh, cdgh_before);
  }

  static constexpr int kSteps = 16;
};
#undef CORDON_SHA

__attribute__((target("sha,sse4.1,ssse3"))) void CompressWithSha(Sha256State& state,
                                                                 const uint8_t* blocks,
                                                                 size_t count) {
  Lane lane;
  lane.Load(state);
  for (; count > 0; --count, blocks += kSha256BlockBytes) {
    lane.Begin();
#pragma unroll
    for (int i = 0; i < Lane::kSteps; ++i) lane.Step(i, blocks);
    lane.End();
  }
  lane.Store(state);
}

// Each round waits for the one before it: a second hash computes meanwhile.
__attribute__((target("sha,sse4.1,ssse3"))) void CompressBothWithSha(Sha256Part one,
                                                                     Sha256Part other,
                                                                     size_t count) {
  Lane lane;
  Lane second;
  lane.Load(*one.state);
  second.Load(*other.state);
  for (; count > 0; --count) {
    lane.Begin();
    second.Begin();
#pragma unroll
    for (int i = 0; i < Lane::kSteps; ++i) {
      lane.Step(i, one.blocks);
      second.Step(i, other.blocks);
    }
    lane.End();
    second.End();
    one.blocks += kSha256BlockBytes;
    other.blocks += kSha256BlockBytes;
  }
  lane.Store(*one.state);
  second.Store(*other.state);
}

}  // namespace

Sha256Blocks CompressByInstructions() {
  static const bool has_instructions = HasInstructions();
  return has_instructions ? CompressWithSha : nullptr;
}

void CompressBoth(Sha256Part one, Sha256Part other, size_t count) {
  const Sha256Blocks fast = CompressByInstructions();
  if (fast != nullptr) return CompressBothWithSha(one, other, count);
  CompressPortably(*one.state, one.blocks, count);
  CompressPortably(*other.state, other.blocks, count);
}

void CompressPortably(Sha256State& state, const uint8_t* blocks, size_t count) {
  for (; count > 0; --count, blocks += kSha256BlockBytes) {
    std::array<uint32_t, 64> w;
    for (size_t i = 0; i < 16; ++i) w[i] = LoadBigEndian(blocks + 4 * i);
    for (size_t i = 16; i < 64; ++i) {
      const uint32_t s0 = std::rotr(w[i - 15], 7) ^ std::rotr(w[i - 15], 18) ^ (w[i - 15] >> 3);
      const uint32_t s1 = std::rotr(w[i - 2], 17) ^ std::rotr(w[i - 2], 19) ^ (w[i - 2] >> 10);
      w[i] = w[i - 16] + s0 + w[i - 7] + s1;
    }
    auto [a, b, c, d, e, f, g, h] = state;
    for (size_t i = 0; i < 64; ++i) {
      const uint32_t s1 = std::rotr(e, 6) ^ std::rotr(e, 11) ^ std::rotr(e, 25);
      const uint32_t t1 = h + s1 + ((e & f) ^ (~e & g)) + kRound[i] + w[i];
      const uint32_t s0 = std::rotr(a, 2) ^ std::rotr(a, 13) ^ std::rotr(a, 22);
      const uint32_t t2 = s0 + ((a & b) ^ (a & c) ^ (b & c));
      h = g, g = f, f = e, e = d + t1, d = c, c = b, b = a, a = t1 + t2;
    }
    const Sha256State sum = {a, b, c, d, e, f, g, h};
    for (size_t i = 0; i < 8; ++i) state[i] += sum[i];
  }
}

}  // namespace cordon

#include <string.h>

#include "timing.h"

static uint32_t constants[64];
static uint8_t message[1 << 20];

static uint32_t Rotate(uint32_t x, int n) { return x >> n | x << (32 - n); }

// The constants are the fractional parts of cube roots of primes; here any fixed values do the same work.
static void Prepare(void) {
  uint32_t seed = 0x428a2f98;
  for (int i = 0; i < 64; ++i) {
    seed = seed * 1664525u + 1013904223u;
    constants[i] = seed;
  }
  for (size_t i = 0; i < sizeof message; ++i) message[i] = (uint8_t)(i * 7);
}

static void Block(uint32_t* state, const uint8_t* p) {
  uint32_t w[64];
  for (int i = 0; i < 16; ++i) {
    w[i] = (uint32_t)p[4 * i] << 24 | (uint32_t)p[4 * i + 1] << 16 | (uint32_t)p[4 * i + 2] << 8 | p[4 * i + 3];
  }
  for (int i = 16; i < 64; ++i) {
    const uint32_t s0 = Rotate(w[i - 15], 7) ^ Rotate(w[i - 15], 18) ^ w[i - 15] >> 3;
    const uint32_t s1 = Rotate(w[i - 2], 17) ^ Rotate(w[i - 2], 19) ^ w[i - 2] >> 10;
    w[i] = w[i - 16] + s0 + w[i - 7] + s1;
  }
  uint32_t v[8];
  memcpy(v, state, sizeof v);
  for (int i = 0; i < 64; ++i) {
    const uint32_t s1 = Rotate(v[4], 6) ^ Rotate(v[4], 11) ^ Rotate(v[4], 25);
    const uint32_t t1 = v[7] + s1 + ((v[4] & v[5]) ^ (~v[4] & v[6])) + constants[i] + w[i];
    const uint32_t s0 = Rotate(v[0], 2) ^ Rotate(v[0], 13) ^ Rotate(v[0], 22);
    const uint32_t t2 = s0 + ((v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2]));
    v[7] = v[6], v[6] = v[5], v[5] = v[4], v[4] = v[3] + t1, v[3] = v[2], v[2] = v[1], v[1] = v[0], v[0] = t1 + t2;
  }
  for (int i = 0; i < 8; ++i) state[i] += v[i];
}

static uint64_t Work(void) {
  uint32_t state[8] = {1, 2, 3, 4, 5, 6, 7, 8};
  for (int round = 0; round < 16; ++round) {
    for (size_t i = 0; i < sizeof message; i += 64) Block(state, message + i);
  }
  return (uint64_t)state[0] << 32 | state[7];
}

int main(void) {
  Prepare();
  return Measure(Work);
}

// What client.c sends: a head with four descriptors (input, output, errors, directory), then the
// words and the variables, each with a zero byte. The answer is a status of wait(2).

#include <stdint.h>

enum { kDescriptors = 4, kMostBytes = 64 << 20 };

struct Head {
  uint32_t bytes;
  uint32_t words;
  uint32_t variables;
  uint32_t mask;  // umask
};

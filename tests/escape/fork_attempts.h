#ifndef CORDON_TESTS_ESCAPE_FORK_ATTEMPTS_H_
#define CORDON_TESTS_ESCAPE_FORK_ATTEMPTS_H_

// What native code in a guest process of a sandbox that is forked would try, in pieces of which
// tests/run_escape_forks.py makes attempts.

#include <cstdint>

namespace cordon::escape {

// 0, what the piece found, or -1000 when there is none of that name.
int64_t ForkAttempt(const char* name);

}  // namespace cordon::escape

#endif  // CORDON_TESTS_ESCAPE_FORK_ATTEMPTS_H_

#ifndef CORDON_TESTS_ESCAPE_ATTEMPTS_H_
#define CORDON_TESTS_ESCAPE_ATTEMPTS_H_

// What an attacker would try who runs native code in a guest process: the import `escape.attempt`
// of a template that exists for this test only.

#include <cstdint>

namespace cordon::escape {

// Tries the attempt of this name, a name of the table in attempts.cc. Returns what it returned, or
// -1000 when there is no such attempt.
int64_t Attempt(const char* name);

}  // namespace cordon::escape

#endif  // CORDON_TESTS_ESCAPE_ATTEMPTS_H_

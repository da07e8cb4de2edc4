#ifndef CORDON_BACKEND_NATIVE_SYSTEM_CALLS_H_
#define CORDON_BACKEND_NATIVE_SYSTEM_CALLS_H_

// What a native command may not ask the kernel for. Everything else it may: it is the host's own
// program, and what it reaches is decided by its namespaces.

#include <cstdint>
#include <string>

#include "base/error.h"

namespace cordon::backend::native {

struct SystemCallRule {
  enum Verdict : uint8_t {
    kDeny,        // EPERM
    kNotThere,    // ENOSYS: programs have another way
    kDenyEqual,   // EPERM if (argument & mask) == value
    kDenyAbove,   // EAFNOSUPPORT if argument > value, all 64 bits
    kDenyFamily,  // EAFNOSUPPORT if argument == value
    kDenyOther,   // EAFNOSUPPORT if argument != value, all 64 bits
    // EPROTONOSUPPORT for a socket of the family `value`: if (argument & mask) == of_family, if
    // argument > of_family.
    kDenyProtocol,
    kDenyProtocolAbove,
    kDenyMode,  // EPERM if the argument is a mode with S_ISUID or S_ISGID
    kDenyMade,  // the same, where the one before it says O_CREAT or O_TMPFILE
    // Nothing is done and 0 is returned: if (argument & mask) == value, and, where `of_family` is
    // not 0, that argument is not 0.
    kPretendEqual,
  };
  const char* name;
  int call;
  Verdict verdict;
  uint8_t argument;
  uint64_t mask;
  uint64_t value;
  const char* reason;
  uint64_t of_family = 0;
};

// The table as a program for the kernel, `struct sock_filter` after another. Calls by other numbers
// (i386, x32) end the process. Done when Cordon is built: it takes libseccomp half a millisecond.
[[nodiscard]] Status WriteSystemCallFilter(int fd);

// That program, for whoever else loads it.
[[nodiscard]] std::string SystemCallProgram();

// That program, for the calling thread, which has no_new_privs.
[[nodiscard]] Status LoadSystemCallFilter();

}  // namespace cordon::backend::native

#endif  // CORDON_BACKEND_NATIVE_SYSTEM_CALLS_H_

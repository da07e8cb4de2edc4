#ifndef CORDON_BACKEND_NATIVE_RAW_CALL_H_
#define CORDON_BACKEND_NATIVE_RAW_CALL_H_

// System calls of a process that shares another's memory, its thread-local `errno` too: the result
// is the kernel's, a negative number of the error.

#include <cstdint>

namespace cordon::backend::native {

inline long RawCall(long number, long first = 0, long second = 0, long third = 0, long fourth = 0) {
#if defined(__x86_64__)
  long result = number;
  register long r10 asm("r10") = fourth;
  asm volatile("syscall"
               : "+a"(result)
               : "D"(first), "S"(second), "d"(third), "r"(r10)
               : "rcx", "r11", "memory");
  return result;
#elif defined(__aarch64__)
  register long x8 asm("x8") = number;
  register long x0 asm("x0") = first;
  register long x1 asm("x1") = second;
  register long x2 asm("x2") = third;
  register long x3 asm("x3") = fourth;
  asm volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3) : "memory");
  return x0;
#else
#error "no system calls for this processor"
#endif
}

inline long AddressOf(const void* place) {
  return static_cast<long>(reinterpret_cast<uintptr_t>(place));
}

}  // namespace cordon::backend::native

#endif  // CORDON_BACKEND_NATIVE_RAW_CALL_H_

#include "timing.h"

__attribute__((noinline)) static uint32_t Fib(uint32_t n) { return n < 2 ? n : Fib(n - 1) + Fib(n - 2); }
static volatile uint32_t input = 34;
static uint64_t Work(void) { return Fib(input); }
int main(void) { return Measure(Work); }

/* The start of programs whose main takes the environment as a third argument. */
#define MAIN_TAKES_ENVIRONMENT
#include "crt1.c"

/* What guest/libc/src/setjmp writes: the invocation's id, the label, and the two words of the
 * thrown value. */
typedef unsigned long __jmp_buf[6];

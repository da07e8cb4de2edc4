/* sigsetjmp is a macro; see src/setjmp. */

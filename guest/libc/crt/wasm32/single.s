# Linked into programs that make no threads. Without a shared memory the linker gives thread-local variables absolute addresses,
# while the compiler, which knows of no linker yet, adds the base to them.
	.globaltype	__tls_base, i32
	.globl	__tls_base
__tls_base:

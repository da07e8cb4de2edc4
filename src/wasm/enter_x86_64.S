// Entering compiled code and leaving it by a trap. Not setjmp and longjmp: glibc's keep state in
// thread-local storage and a function that calls setjmp returns twice; here the frame that a trap
// returns from is this one.

        .text

// uint32_t cordon_wasm_enter(const void* code, Context* context, uint64_t* slots, Adapter adapter,
//                            TrapExit* exit, void* stack_top)
//                            rdi         rsi               rdx             rcx    r8        r9
        .globl cordon_wasm_enter
        .type cordon_wasm_enter, @function
        .p2align 4
cordon_wasm_enter:
        pushq %rbp
        movq %rsp, %rbp
        movq %rbx, 0(%r8)
        movq %rbp, 8(%r8)
        movq %r12, 16(%r8)
        movq %r13, 24(%r8)
        movq %r14, 32(%r8)
        movq %r15, 40(%r8)
        movq %rsp, 48(%r8)
        leaq 1f(%rip), %rax
        movq %rax, 56(%r8)
        testq %r9, %r9
        jz 0f
        movq %r9, %rsp
0:
        // Frames of compiled code end here: a zero frame pointer stops a backtrace.
        pushq %rbp
        pushq $0
        xorl %ebp, %ebp
        andq $-16, %rsp
        movq %r8, %rbx
        callq *%rcx
        movq 48(%rbx), %rsp
        movq 0(%rbx), %rbx
        xorl %eax, %eax
        popq %rbp
        retq
1:      // from cordon_wasm_leave: eax has the code, rsp and the saved registers are restored
        popq %rbp
        retq
        .size cordon_wasm_enter, . - cordon_wasm_enter

// [[noreturn]] void cordon_wasm_leave(TrapExit* exit, uint32_t code)
        .globl cordon_wasm_leave
        .type cordon_wasm_leave, @function
        .p2align 4
cordon_wasm_leave:
        movl %esi, %eax
        movq 0(%rdi), %rbx
        movq 8(%rdi), %rbp
        movq 16(%rdi), %r12
        movq 24(%rdi), %r13
        movq 32(%rdi), %r14
        movq 40(%rdi), %r15
        movq 48(%rdi), %rsp
        cld
        jmpq *56(%rdi)
        .size cordon_wasm_leave, . - cordon_wasm_leave

        .section .note.GNU-stack,"",@progbits

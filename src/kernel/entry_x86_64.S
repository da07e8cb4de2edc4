// Into the kernel and out of it.

// Of arena/layout.h; entry.cc compares them.
#define CORDON_THREAD_BLOCK_BYTES 0x1000000
#define CORDON_KERNEL_STACK_TOP 0x320000

    .text

// int cordon_copy(void* to, const void* from, uint64_t size): 0, or -EFAULT where a page is missing. The fault handler
// recognises the one instruction that may fault and continues at the recovery point.
    .globl cordon_copy, cordon_copy_instruction, cordon_copy_recovery
    .type cordon_copy, @function
cordon_copy:
    movq %rdx, %rcx
cordon_copy_instruction:
    rep movsb
    xorl %eax, %eax
    ret
cordon_copy_recovery:
    movl $-14, %eax
    ret

// void cordon_host_call(Context*, uint32_t import, uint64_t* slots): a guest calls an import. The kernel runs on its own stack,
// so that a guest with its stack nearly full overflows in its own frames and never under a lock.
    .globl cordon_host_call
    .type cordon_host_call, @function
cordon_host_call:
    pushq %rbp
    movq %rsp, %rbp
    pushq %rbx
    pushq %r12
    pushq %r14
    pushq %r15
    movq %rdi, %r12
    movl %esi, %r14d
    movq %rdx, %r15
1:
    movq %rsp, %rbx
    andq $-CORDON_THREAD_BLOCK_BYTES, %rsp
    addq $CORDON_KERNEL_STACK_TOP, %rsp
    movq %r12, %rdi
    movl %r14d, %esi
    movq %r15, %rdx
    call cordon_dispatch
    movq %rbx, %rsp
    testl %eax, %eax
    jnz 2f
3:
    popq %r15
    popq %r14
    popq %r12
    popq %rbx
    popq %rbp
    ret
// Something wants attention: signals are delivered on the guest's stack. Nonzero: the call is to be made again.
2:
    movq %r15, %rdi
    call cordon_safe_point
    testl %eax, %eax
    jnz 1b
    jmp 3b

// [[noreturn]] void cordon_run_on(void* stack_top, void (*function)()): leaves all frames behind.
    .globl cordon_run_on
    .type cordon_run_on, @function
cordon_run_on:
    movq %rdi, %rsp
    xorl %ebp, %ebp
    call *%rsi
    ud2

    .section .note.GNU-stack, "", @progbits

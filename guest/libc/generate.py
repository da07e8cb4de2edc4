#!/usr/bin/env python3
"""Makes the guest's view of the kernel from src/kernel/syscalls.def.

usage: generate.py libc SYSCALLS_DEF MUSL_SOURCE_DIR   writes arch/wasm32/{syscall_arch.h,bits/syscall.h.in}
       generate.py docs SYSCALLS_DEF OUTPUT_FILE       writes the table of docs/syscalls.md
       generate.py check SYSCALLS_DEF OUTPUT_FILE      fails if that file is not what `docs` would write
"""

import pathlib
import re
import sys

ROW = re.compile(r'^SYSCALL\((\d+),\s*(\w+),\s*(\d+),\s*"([^"]*)",\s*"([^"]*)"\)', re.M)
LETTERS = "abcdef"

# Calls that musl makes without asking whether they exist and that the kernel does not have: -ENOSYS without an import.
# A name belongs here only if no #ifdef in musl takes its presence for a reason to prefer it.
ABSENT = pathlib.Path(__file__).with_name("absent_calls.txt").read_text().split()


DOCS_HEAD = """# The import module `cordon`

Generated from `src/kernel/syscalls.def` by `guest/libc/generate.py docs`; a test checks that it is current.

Each row is a function import `(import "cordon" "NAME" (func (param i32 …) (result i32)))`. The result is that of the
Linux call of the same name, or `-errno` with Linux's numbers. Pointers are offsets into the guest's memory; 64-bit
values travel as two arguments, low half first unless the name says otherwise. Layouts of structures:
`guest/libc/README.md`.

| number | name | arguments | differs from Linux, or covers |
|---|---|---|---|
"""


def rows(path):
    found = [(int(n), name, int(argc), args, notes)
             for n, name, argc, args, notes in ROW.findall(pathlib.Path(path).read_text())]
    for number, name, argc, args, _ in found:
        if argc > 6 or len([a for a in args.split(",") if a.strip()]) != argc:
            sys.exit(f"generate.py: {name}: {argc} arguments announced, '{args}' named")
        if sum(1 for row in found if row[0] == number) != 1:
            sys.exit(f"generate.py: number {number} occurs twice")
    return found


def syscall_header(table):
    return "".join(f"#define __NR_{name} {number}\n" for number, name, *_ in table)


def syscall_arch(table):
    out = ["""/* Generated from src/kernel/syscalls.def by guest/libc/generate.py.
   Each call is a typed import of its own; the number is a constant at every place of use, so the switch folds away. */
#define __SYSCALL_LL_E(x) (long)(unsigned long)(x), (long)((unsigned long long)(x) >> 32)
#define __SYSCALL_LL_O(x) __SYSCALL_LL_E(x)
#define IPC_64 0
"""]
    for _, name, argc, *_ in table:
        params = ", ".join(["long"] * argc) or "void"
        out.append(f'__attribute__((__import_module__("cordon"), __import_name__("{name}"))) '
                   f"long __cordon_{name}({params});\n")
    out.append("\nstatic inline __attribute__((__always_inline__)) long __cordon_dispatch(\n"
               "\tlong n, long a, long b, long c, long d, long e, long f)\n{\n\tswitch (n) {\n")
    for number, name, argc, *_ in table:
        out.append(f"\tcase {number}: return __cordon_{name}({', '.join(LETTERS[:argc])});\n")
    out.append("\t}\n\treturn -38; /* ENOSYS */\n}\n\n")
    for count in range(7):
        params = "".join(f", long {letter}" for letter in LETTERS[:count])
        args = "".join(f", {letter}" for letter in LETTERS[:count]) + ", 0" * (6 - count)
        out.append(f"static inline __attribute__((__always_inline__)) long __syscall{count}(long n{params})\n"
                   f"{{\n\treturn __cordon_dispatch(n{args});\n}}\n")
    # musl falls back from the 64-bit time calls to these names; there is nothing older to fall back to.
    out.append("""
#define SYS_clock_gettime SYS_clock_gettime64
#define SYS_clock_getres SYS_clock_getres_time64
#define SYS_clock_nanosleep SYS_clock_nanosleep_time64

""")
    for name in ABSENT:
        out.append(f"#define SYS_{name} -1\n")
    return "".join(out)


def docs(table):
    out = [DOCS_HEAD]
    for number, name, _, args, notes in sorted(table):
        out.append(f"| {number} | `{name}` | {args} | {notes} |\n")
    return "".join(out)


def main():
    if len(sys.argv) != 4 or sys.argv[1] not in ("libc", "docs", "check"):
        sys.exit(__doc__)
    mode, table, target = sys.argv[1], rows(sys.argv[2]), pathlib.Path(sys.argv[3])
    if mode == "libc":
        arch = target / "arch/wasm32"
        (arch / "bits/syscall.h.in").write_text(syscall_header(table))
        (arch / "syscall_arch.h").write_text(syscall_arch(table))
    elif mode == "docs":
        target.write_text(docs(table))
    elif not target.exists() or target.read_text() != docs(table):
        sys.exit(f"generate.py: {target} is not current: run guest/libc/generate.py docs {sys.argv[2]} {target}")


if __name__ == "__main__":
    main()

#!/bin/bash
# Builds the guest's libc. usage: build-musl.sh MUSL_SOURCE SYSROOT   (the source tree is changed; run it on a copy)
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
source=$1 sysroot=$2
jobs=${CORDON_JOBS:-2}

cp -r "$here"/arch "$here"/crt "$here"/src "$source"/
python3 "$here/generate.py" libc "$here/../../src/kernel/syscalls.def" "$source"
cd "$source"
patch -p1 --quiet < "$here/patches/musl.patch"

# Floating point exceptions, the dynamic linker and SysV message queues stay the generic ones. The compiler's own
# builtins for memcpy and friends become instructions.
cat > config.mak <<EOF
ARCH = wasm32
prefix = $sysroot
includedir = $sysroot/include
libdir = $sysroot/lib
syslibdir = $sysroot/lib
CC = clang-19 --target=wasm32-unknown-unknown
AR = llvm-ar-19
RANLIB = llvm-ranlib-19
CFLAGS = -O2 -matomics -mbulk-memory -msimd128 -msign-ext -mnontrapping-fptoint -mmutable-globals -mexception-handling -mllvm -wasm-enable-sjlj -fno-strict-aliasing
CFLAGS += -D__linux__=1 -D__unix__=1 -isystem $(clang-19 -print-resource-dir)/include
CFLAGS += -Wall -Wno-parentheses -Wno-unused -Wno-shift-op-parentheses -Wno-bitwise-op-parentheses -Wno-logical-op-parentheses
CFLAGS += -Wno-string-plus-int -Wno-dangling-else -Wno-unknown-pragmas -Wno-ignored-attributes -Wno-ignored-pragmas
CFLAGS += -Wno-pointer-sign -Wno-visibility -Wno-deprecated-non-prototype -Wno-undefined-inline -Wno-sign-compare -Wno-missing-braces
ADD_CFI = no
SHARED_LIBS =
ALL_TOOLS =
TOOL_LIBS =
EOF
make -s -j"$jobs" lib/libc.a lib/crt1.o lib/crt1-environment.o lib/threads.o lib/single.o
make install-headers >/dev/null
mkdir -p "$sysroot/lib"
cp lib/libc.a lib/crt1.o lib/crt1-environment.o lib/threads.o lib/single.o "$sysroot/lib/"
for name in m rt pthread crypt util xnet resolv dl; do
  llvm-ar-19 rc "$sysroot/lib/lib$name.a"
done

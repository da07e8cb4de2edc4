#!/bin/sh
# Compiled code against the same C natively, gcc -O2: one line for each kernel, ratios of the best
# runs, and their geometric mean; V8 beside it where node is installed. Usage: bench/engine/run.sh [BUILD] [TIER]
set -eu
here=$(dirname "$(readlink -f "$0")")
build=${1:-$here/../../build}
tier=${2:-optimised}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
kernels="fib sha256 heapsort coremark mandelbrot indirect"
exports=$(printf -- '-Wl,--export=%s ' $kernels)
clang-19 --target=wasm32 -O2 -nostdlib -Wl,--no-entry $exports -fuse-ld=lld \
  "$here/kernels.c" -o "$work/kernels.wasm"
"$build/cordon-compile" --tier="$tier" "$work/kernels.wasm" -o "$work/kernels.cwo"
for kernel in $kernels; do
  gcc -O2 -DKERNEL=$kernel "$here/kernels.c" "$here/native_main.c" -o "$work/$kernel"
  native=$("$work/$kernel" 8 25)
  wasm=$("$build/engine_bench" "$work/kernels.cwo" $kernel 8 25)
  v8="0 0"
  if command -v node >/dev/null; then v8=$(node "$here/v8.mjs" "$work/kernels.wasm" $kernel 8 25); fi
  echo "$kernel $native $wasm $v8"
done | awk '
  $3 != $5 { print $1 ": results differ: " $3 " " $5; bad = 1 }
  { ratio = $4 / $2; sum += log(ratio)
    v8 += log($6 > 0 ? $6 / $2 : 1)
    printf "%-12s native %9.0f us  wasm %9.0f us  ratio %.2f  V8 %9.0f us  ratio %.2f\n",
           $1, $2 / 1000, $4 / 1000, ratio, $6 / 1000, $6 / $2 }
  END { printf "geometric mean of V8 %.2f\ngeometric mean %.2f\n", exp(v8 / NR), exp(sum / NR); exit bad }'

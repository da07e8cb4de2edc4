#!/bin/sh
# Compiled code against the same C natively, gcc -O2: one line for each kernel, ratios of the best
# runs, and their geometric mean. Usage: bench/engine/run.sh [BUILD] [TIER]
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
  echo "$kernel $native $wasm"
done | awk '
  $3 != $5 { print $1 ": results differ: " $3 " " $5; bad = 1 }
  { ratio = $4 / $2; sum += log(ratio)
    printf "%-12s native %9.0f us  wasm %9.0f us  ratio %.2f\n", $1, $2 / 1000, $4 / 1000, ratio }
  END { printf "geometric mean %.2f\n", exp(sum / NR); exit bad }'

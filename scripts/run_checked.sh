#!/usr/bin/env bash
# run_checked.sh: all fast cases, the stress among them, with a kernel in which undefined behaviour and a violated order of
# locks end the sandbox (preset `checked`): what is inside the wall. Everything else is taken from the release build.
set -euo pipefail
cd "$(dirname "$0")/.."
cmake --preset checked >build-checked.log 2>&1 || { cat build-checked.log; exit 1; }
mv build-checked.log build-checked/configure.log
cmake --build build-checked -j "$(nproc)" --target cordon-template
mkdir -p build-checked/tests
cp build/cordon build-checked/cordon  # a copy: it looks for the template beside itself
for name in userland.img cordon-compile guest tests/wasi.wasm tests/wasi_errors.wasm; do
  rm -rf "build-checked/$name"
  ln -s "$PWD/build/$name" "build-checked/$name"
done
CORDON_BUILD=$PWD/build-checked tests/run_cases.py fast

#!/usr/bin/env bash
# run_sanitized.sh [sanitized|asan|ubsan]: builds the tests of everything that parses input from a sandbox or the network, and
# of what runs inside the wall, with both sanitizers (the fuzz targets then use the same build) or one of them, and runs them.
set -euo pipefail
cd "$(dirname "$0")/.."
preset=${1:-sanitized}
cmake --preset "$preset" >"build-$preset.log" 2>&1 || { cat "build-$preset.log"; exit 1; }
mv "build-$preset.log" "build-$preset/configure.log"
cmake --build "build-$preset" -j "$(nproc)" --target sanitized_tests
export ASAN_OPTIONS=detect_leaks=0:allow_user_segv_handler=1:handle_segv=0:abort_on_error=1
export UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1
ctest --test-dir "build-$preset" -L sanitized --output-on-failure --no-tests=error

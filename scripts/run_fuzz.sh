#!/usr/bin/env bash
# run_fuzz.sh [SECONDS]: every fuzz target over its corpus in fuzz/corpus/TARGET, then a search from there: of 30000 runs
# that are the same each time (what CI does: it fails by the change, not by chance), or of SECONDS from another place each time.
set -uo pipefail
cd "$(dirname "$0")/.."
search=(-seed=1 -runs=30000)
[ $# -eq 0 ] || search=(-max_total_time="$1")
build=build-sanitized
cmake --preset sanitized >"$build.log" 2>&1 || { cat "$build.log"; exit 1; }
mv "$build.log" "$build/configure.log"
cmake --build "$build" -j "$(nproc)" --target fuzz_targets || exit 1
export UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1
passed=0 failed=0
found=$(mktemp -d)
trap 'rm -rf "$found"' EXIT
for corpus in fuzz/corpus/*/; do
  target=$(basename "$corpus")
  if "$build/$target" "${search[@]}" -timeout=20 -rss_limit_mb=4096 -detect_leaks=0 \
      -artifact_prefix="$found/" "$found" "$corpus" >"$found/log" 2>&1; then
    passed=$((passed + 1))
  else
    failed=$((failed + 1))
    tail -n 60 "$found/log"
  fi
  rm -rf "${found:?}"/*
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]

#!/usr/bin/env bash
# Runs tests one after another and says of each how it ended: drive.sh SECONDS <LIST, in the folder of the tests.
# The same script runs in the sandbox and on the host. A line of LIST is a name, a tab, a shell command. Each test runs in a
# time limit of its own; its output, cut to its end, stands between two lines that begin with a byte 1. What is printed here
# is read while it comes, so that a test that takes the sandbox with it costs its own result only.
limit=$1
mark=$'\001'
output=$PWD/../output
export TMPDIR=$PWD/tmp
mkdir -p "$TMPDIR"
[ ! -f setup.sh ] || . ./setup.sh >/dev/null 2>setup.log || { echo "setup failed:"; cat setup.log; exit 1; }
while IFS=$'\t' read -r name command <&4; do
  printf '%sbegin %s\n' "$mark" "$name"
  timeout -k 3 "$limit" bash -c "$command" </dev/null >"$output" 2>&1 4<&-
  status=$?
  tail -c 12000 "$output" | tr -d '\001'
  printf '\n%send %s\t%d\n' "$mark" "$name" "$status"
done 4<&0

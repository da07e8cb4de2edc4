#!/usr/bin/env bash
# What `make run` shows: real GNU programs in the sandbox, and that the host stays outside.
set -euo pipefail
cd "$(dirname "$0")/.."
cordon=build/cordon
show() {
  local word
  printf '\n$ %s' "$cordon"
  for word in "$@"; do
    [[ $word =~ ^[[:alnum:]_./=-]+$ ]] || word=${word@Q}
    printf ' %s' "$word"
  done
  printf '\n'
  "$cordon" "$@"
}
show run -c 'echo hello world | wc -w'
show run -c 'bash --version | head -n 1; uname -a; ls / | paste -sd" "'
show run -c 'yes | head -c 100000000 | sha256sum'
show run -c 'find /usr/bin | sed "s,.*/,," | grep -c "^[a-m]" | awk "{ print \$1, \"programs begin with a to m\" }"'
show run -- python3 -c 'import sys, subprocess; print(sys.version.split()[0], subprocess.run(["date", "+%Y"], capture_output=True).stdout)'
show run -c 'ls /home; env | sort | head -n 3; cat /etc/shadow' || true
printf '\nA prompt in there: %s sh\n' "$cordon"

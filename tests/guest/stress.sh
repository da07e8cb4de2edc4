# Forty workers start, join, stop and kill processes for SECONDS_LONG seconds; the first process kills workers at random
# and starts new ones. Prints what was done, and how many results of pipelines were wrong.
: "${SECONDS_LONG:=5}"
workers=40
end=$((SECONDS + SECONDS_LONG))

one_round() {
  local x p
  case $((RANDOM % 7)) in
    0) x=$(echo a | cat | tr a b); [[ $x == b ]] || echo "substitution: $x" >>wrong ;;
    1) sleep 0.$((RANDOM % 9 + 1)) & p=$!; kill -$((RANDOM % 2 ? 9 : 15)) $p; wait $p 2>/dev/null ;;
    2) x=$(seq 2000 | sort -rn | head -n 1); [[ $x == 2000 ]] || echo "sort: $x" >>wrong ;;
    3) x=fifo.$BASHPID.$RANDOM; mkfifo $x; echo through >$x & read -r p <$x; wait $!; rm $x
       [[ $p == through ]] || echo "fifo: $p" >>wrong ;;
    4) x=$(yes | head -c 300000 | wc -c); [[ $x == 300000 ]] || echo "count: $x" >>wrong ;;
    5) sleep 0.05 & p=$!; kill -STOP $p; kill -CONT $p; wait $p || echo "stopped: $?" >>wrong ;;
    6) (trap 'exit 7' TERM; for ((k = 0; k < 20000; k++)); do :; done) & p=$!; sleep 0.01; kill -TERM $p; wait $p; x=$?
       # The signal may come before the trap is there, or on a busy machine after the end.
       [[ $x == 7 || $x == 143 || $x == 0 ]] || echo "trap: $x" >>wrong ;;
  esac
  echo >>rounds
}

worker() {
  RANDOM=$BASHPID
  while ((SECONDS < end)); do one_round; done
}

touch wrong
killed=0
for ((i = 0; i < workers; i++)); do worker & pids[i]=$!; done
while ((SECONDS < end)); do
  sleep 0.05
  for _ in 1 2 3; do
    i=$((RANDOM % workers))
    kill -9 "${pids[i]}" 2>/dev/null && ((++killed))
    wait "${pids[i]}" 2>/dev/null
    worker & pids[i]=$!
  done
done
wait
head -n 5 wrong >&2
echo "$(wc -l <rounds) rounds, $killed killed, $(wc -l <wrong) wrong"

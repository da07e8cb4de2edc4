# What scripts that dejagnu.tcl wrote stand on: the comparisons of findutils' own find/testsuite and xargs/testsuite. Sourced.
fail=0
failed() { echo "FAIL: $*"; fail=1; }
passed() { :; }

# find_check EXPECTATION FILE COMMAND…: p, it succeeds and says nothing on standard error; f, it does not. Its output, sorted,
# is FILE's or, without one, empty.
find_check() {
  local expected=$1 wanted=$top/$2 status
  shift 2
  "$@" </dev/null >find.out.uns 2>find.err
  status=$?
  [ ! -s find.err ] || status=1
  case $expected in
    p*) [ $status = 0 ] || failed "$*: $(cat find.err)" ;;
    f*) [ $status != 0 ] || failed "$*: succeeds" ;;
  esac
  sort <find.out.uns >find.out
  rm find.out.uns
  if [ -e "$wanted" ]; then
    sort <"$wanted" >cmp.out
    diff -u find.out cmp.out || failed "$*: output"
  else
    [ ! -s find.out ] || failed "$*: output should be empty"
  fi
}

# xargs_check STATUS EXPECTATION OUTPUT ERRORS: what a command left in xargs.out and xargs.err.
xargs_check() {
  local status=$1 wanted=$2 file
  case $wanted in
    p*) wanted=0 ;;
    f*) wanted=1 ;;
  esac
  [ "$status" = "$wanted" ] || failed "exit status $status instead of $wanted: $(cat xargs.err)"
  sed -i 's/^.*xargs:/xargs:/' xargs.err
  for file in "xargs.out $3" "xargs.err $4"; do
    set -- $file
    [ "$2" != any ] || continue
    if [ -e "$top/$2" ]; then
      cmp "$1" "$top/$2" || { diff -ua "$1" "$top/$2"; failed "$1"; }
    else
      [ ! -s "$1" ] || { cat "$1"; failed "$1 should be empty"; }
    fi
  done
}

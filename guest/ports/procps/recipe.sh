version=2:4.0.2-3
dsc_sha256=927de59c0fb3b3f1ccfd685ebd578fdd9ca524135f15810f766be2f6be5a7e83
needs="ncurses"

# Those whose tables the kernel has: no memory maps, no system-wide counters of memory, no log of who is there.
programs=(free pgrep top/top uptime watch)

build() {
  gnu_configure --disable-shared --disable-modern-top --disable-kill --disable-w --enable-watch8bit
  gnu_make src/ps/pscommand "${programs[@]/#/src/}"
}

stage() {
  put src/ps/pscommand ps
  local program
  for program in "${programs[@]}"; do
    put "src/$program"
  done
  link pgrep pkill
}

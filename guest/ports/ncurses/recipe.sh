version=6.4-4
dsc_sha256=a35710b02a3de6ab8f9da7fa2e3726a609cc26c936ad85b2094ef91aa996fc94

# The library with wide characters only, under both names; terminals as the distribution's ncurses-base has them.
build() {
  cf_cv_working_poll=yes gnu_configure --without-shared --with-normal --without-debug --without-cxx --without-cxx-binding \
    --without-ada --without-manpages --without-tests --without-gpm --without-dlsym --disable-home-terminfo --disable-db-install \
    --enable-widec --enable-ext-colors --enable-overwrite --enable-sigwinch --enable-pc-files=no --disable-stripping \
    --with-default-terminfo-dir=/usr/share/terminfo --with-terminfo-dirs=/etc/terminfo:/usr/share/terminfo \
    --without-pkg-config --with-build-cc="$BUILD_CC" --with-build-cflags=-w
  gnu_make
}

# The host's tic compiles: its output is the same on any machine.
terminals=(ansi dumb linux vt100 vt102 vt220 xterm xterm-color xterm-256color xterm-direct screen screen-256color tmux
  tmux-256color rxvt rxvt-256color rxvt-unicode rxvt-unicode-256color alacritty foot kitty konsole konsole-256color putty
  putty-256color st st-256color vte vte-256color gnome gnome-256color iterm2 nsterm cygwin ms-terminal)

stage() {
  local program
  for program in clear tput tset; do
    put "progs/$program"
  done
  link tset reset
  mkdir -p "$STAGE/usr/share/terminfo"
  tic -x -o "$STAGE/usr/share/terminfo" -e "$(IFS=,; echo "${terminals[*]}")" "$SOURCE/misc/terminfo.src"
  make install.includes DESTDIR="$LIBRARY"
  ln -s . "$LIBRARY/usr/include/ncursesw"
  put_library lib/lib*.a
  for program in libncurses libcurses libtinfo; do
    ln -s libncursesw.a "$LIBRARY/usr/lib/$program.a"
  done
  for program in form menu panel; do
    ln -s "lib${program}w.a" "$LIBRARY/usr/lib/lib$program.a"
  done
}

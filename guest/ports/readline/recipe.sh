version=8.2-1.3
dsc_sha256=05497ea99bef3f14b8d502cbe3f84fe7bbc0bce1c4f139ca32f0fd60dcac977e
needs="ncurses"

build() {
  gnu_configure --disable-shared --with-curses
  gnu_make libreadline.a libhistory.a
}

stage() {
  put_library libreadline.a libhistory.a
  make install-headers DESTDIR="$LIBRARY"
}

version=7.2-1+deb12u1
dsc_sha256=e7ec15144ec5b984681d079ea4e3a0f6f17eb92895376511df6822bd770e7281
needs="ncurses"

build() {
  gnu_configure --enable-utf8 --disable-libmagic --with-included-regex
  CFLAGS+=" -U__linux__" # no virtual consoles
  gnu_make -C lib
  gnu_make -C src CFLAGS="$CFLAGS"
}

stage() {
  put src/nano
  link nano rnano editor
  install -D -m 644 -t "$STAGE/usr/share/nano" "$SOURCE"/syntax/*.nanorc
}

version=1.19-1
dsc_sha256=01c795ded42ae21c3e6d15a20640422e21f4769eb9b2e796aeef6e75342cbf5c

build() {
  "$SOURCE/configure" --srcdir="$SOURCE" --prefix=/usr CC="$CC" CFLAGS="$CFLAGS"
  gnu_make
}

stage() {
  put ed
  put red
}

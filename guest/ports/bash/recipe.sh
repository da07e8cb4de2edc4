version=5.2.15-2
dsc_sha256=f51753e946af43eb58549c81e03b35a47af9fe6c6364179ccd4ef862b7c3b2d3

export CORDON_STACK_SIZE=8388608 # functions may recurse

build() {
  gnu_configure --without-bash-malloc --disable-rpath
  # Its main takes the environment as a third argument. Its termcap declares nothing that it calls; the linker sees to
  # it that the types agree nevertheless.
  CORDON_START=crt1-environment.o gnu_make CFLAGS="$CFLAGS -Wno-implicit-function-declaration"
  mark_lenient bash
}

stage() {
  put bash
  link bash rbash
}

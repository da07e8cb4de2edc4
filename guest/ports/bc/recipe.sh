version=1.07.1-3
dsc_sha256=92f057cf569b6a90f95f423b293e49dce8e7cf7e99764d4aef4dfe6aa2642e15
needs="readline"

export CORDON_STACK_SIZE=8388608 # functions recurse

# Its library of functions is compiled by a bc of this machine's, built first.
build() {
  CFLAGS+=" -D_POSIX_SOURCE -DDOT_IS_LAST -DDONTEXIT"
  gnu_configure --with-readline
  mkdir here
  (cd here && CC=$BUILD_CC AR=ar RANLIB=ranlib CONFIG_SITE='' "$SOURCE/configure" && make -C lib && make -C bc libmath.h)
  cp here/bc/libmath.h bc/
  gnu_make -C lib
  gnu_make -C bc -o libmath.h bc
  gnu_make -C dc CFLAGS="$CFLAGS -include stdio.h -include number.h" dc # two of its files forget to
}

stage() {
  put bc/bc
  put dc/dc
}

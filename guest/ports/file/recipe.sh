version=1:5.44-3
dsc_sha256=842e0ef356949218966d1521a95652b00aed18c152174ffc7e000cc3d79501e4
needs="zlib bzip2 xz-utils"

# The collection of magic numbers is compiled by the same program, built for this machine.
build() {
  CFLAGS+=" -DHOWMANY=0x18000"
  gnu_configure --disable-shared --disable-libseccomp
  mkdir here
  (
    cd here
    CC=$BUILD_CC AR=ar RANLIB=ranlib CONFIG_SITE='' "$SOURCE/configure" --disable-shared --disable-libseccomp \
      --disable-zlib --disable-bzlib --disable-xzlib
    make -C src
    make -C magic
  )
  gnu_make -C src
}

stage() {
  put src/file
  install -D -m 644 here/magic/magic.mgc "$STAGE/usr/share/misc/magic.mgc"
  put_library src/.libs/libmagic.a
  put_headers src/magic.h
}

version=2.5.0-1+deb12u2
dsc_sha256=6fc87dbd01f49999ed368cfb37c08d35e41348dda2281d60642f3aa14cb77e32

# The package has no configure, and one cannot be generated without libtool.
build() {
  : > expat_config.h
  gnu_make --eval='libexpat.a: xmlparse.o xmlrole.o xmltok.o; $(AR) rcs $@ $^' VPATH="$SOURCE/expat/lib" \
    CFLAGS="$CFLAGS -I. -DBYTEORDER=1234 -DHAVE_GETRANDOM=1 -DXML_CONTEXT_BYTES=1024 -DXML_DTD=1 -DXML_NS=1" libexpat.a
}

stage() {
  put_library libexpat.a
  put_headers "$SOURCE/expat/lib/expat.h" "$SOURCE/expat/lib/expat_external.h"
}

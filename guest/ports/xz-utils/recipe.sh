version=5.4.1-1+deb12u1
dsc_sha256=38f98e356f7e7e89b0920d39c55dd5f3d1a9f2684bff83c8b4890561e1832e94

build() {
  gnu_configure --disable-shared --disable-threads --disable-doc --disable-assembler --disable-lzmadec --disable-lzmainfo \
    --disable-lzma-links --enable-sandbox=no
  gnu_make
}

stage() {
  put src/xz/xz
  put src/xzdec/xzdec
  link xz unxz xzcat lzma unlzma lzcat
  local name
  for name in xzdiff xzgrep xzmore xzless; do
    put "src/scripts/$name"
  done
  link xzdiff xzcmp
  link xzgrep xzegrep xzfgrep
  put_library src/liblzma/.libs/liblzma.a
  put_headers "$SOURCE/src/liblzma/api/lzma.h"
  install -D -m 644 -t "$LIBRARY/usr/include/lzma" "$SOURCE"/src/liblzma/api/lzma/*.h
}

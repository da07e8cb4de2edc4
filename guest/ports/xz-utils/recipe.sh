version=5.4.1-1+deb12u2
dsc_sha256=bffc9917562b5787661379621bb1f7510bf7271b03d8ce4181cebc84b90d3c35

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

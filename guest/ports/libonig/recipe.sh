version=6.9.8-1
dsc_sha256=5f834eab1fb4cce8ba8869c64b52358615daa726235eb106e1cd0c4051fafe4c

build() {
  (cd "$SOURCE" && autoreconf -f -i)
  gnu_configure --disable-shared
  gnu_make -C src
}

stage() {
  put_library src/.libs/libonig.a
  put_headers "$SOURCE/src/oniguruma.h"
}

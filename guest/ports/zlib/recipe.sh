version=1:1.2.13.dfsg-1
dsc_sha256=3fa1e6b2fc525062aa88207dda52fed8e045373c809d362fe8a2bfbf7cf515a8

# Its own configure, in the tree.
build() {
  cd "$SOURCE"
  CHOST=wasm32 ./configure --static --prefix=/usr
  gnu_make libz.a
}

stage() {
  put_library libz.a
  put_headers zlib.h zconf.h
}

version=1.21.3-1+deb12u1
dsc_sha256=4c538fae048ee60a4eeac03a520e12698ef39a88767cbebc0b7b62a472f52bb6
needs="openssl zlib"

build() {
  gnu_configure --with-ssl=openssl --with-zlib --without-libpsl --without-libuuid --without-metalink --disable-iri --disable-ntlm --disable-pcre --disable-pcre2 \
    --without-cares --with-included-regex
  gnu_make "${no_documentation[@]}" -C lib
  # One file declares a function of another with a result that it does not have.
  echo 'int yylex_destroy(void); void css_end(void) { yylex_destroy(); }' > css_end.c
  "$CC" $CFLAGS -c css_end.c
  gnu_make -C src --eval='css-url.o: CPPFLAGS += -Dyylex_destroy=css_end' LIBS="-lssl -lcrypto -lz ../css_end.o"
}

stage() {
  put src/wget
  install -D -m 644 "$SOURCE/doc/sample.wgetrc" "$STAGE/etc/wgetrc"
}

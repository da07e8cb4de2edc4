version=7.88.1-10+deb12u15
dsc_sha256=2744f12e3aef161c0361743fa1b318296b122e566e47f381e4a63320fbcc23f4
needs="openssl zlib"

build() {
  gnu_configure --disable-shared --with-openssl --with-zlib --with-ca-bundle=/etc/ssl/certs/ca-certificates.crt \
    --disable-ldap --disable-dict --disable-gopher --disable-imap --disable-mqtt --disable-pop3 --disable-rtsp --disable-smb \
    --disable-smtp --disable-telnet --disable-tftp --disable-manual --disable-threaded-resolver --disable-pthreads \
    --disable-ntlm --disable-unix-sockets --without-brotli --without-libgsasl --without-libidn2 --without-libpsl --without-librtmp \
    --without-nghttp2 --without-zstd
  gnu_make -C lib
  gnu_make -C src
}

stage() {
  put src/curl
  put_library lib/.libs/libcurl.a
  install -D -m 644 -t "$LIBRARY/usr/include/curl" "$SOURCE"/include/curl/*.h
}

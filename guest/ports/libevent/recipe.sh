version=2.1.12-stable-8+deb12u1
dsc_sha256=acc01f440019a0369c1cf0e6256a22037a65f032b5192ee14bad548889074b55

# The event loop alone.
build() {
  gnu_configure --disable-shared --disable-openssl --disable-mbedtls --disable-thread-support --disable-samples --disable-libevent-regress \
    --disable-debug-mode
  gnu_make include/event2/event-config.h
  gnu_make libevent_core.la
}

stage() {
  put_library .libs/libevent_core.a
  mkdir -p "$LIBRARY/usr/include/event2"
  cp "$SOURCE"/include/*.h "$LIBRARY/usr/include"
  cp "$SOURCE"/include/event2/*.h include/event2/event-config.h "$LIBRARY/usr/include/event2"
}

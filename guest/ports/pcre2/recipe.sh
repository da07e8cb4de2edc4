version=10.42-1
dsc_sha256=726dafe7a8d07332d4df61edf23f384ddb158b2b263846273d1103b6b9a7c176

build() {
  gnu_configure --disable-shared --disable-jit --disable-cpp
  gnu_make libpcre2-8.la libpcre2-posix.la
}

stage() {
  put_library .libs/libpcre2-8.a
  put_headers src/pcre2.h
}

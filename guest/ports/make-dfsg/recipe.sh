version=4.3-4.1
dsc_sha256=d2523d94f4d4198df6801f238d36cf0dea2ab5521f1d19ee76b2e8ee1f1918bb

build() {
  (cd "$SOURCE" && autoreconf -f -i)
  gnu_configure --without-guile --disable-load
  gnu_make -C lib
  CORDON_START=crt1-environment.o gnu_make make # its main takes the environment as a third argument
}

stage() {
  put make
  link make gmake
}

version=2.21+dfsg-2
dsc_sha256=c36e8090d53bdb5f9e1c76d71d8872d2ce091500cf272e453af11685f30c2e54

build() {
  gnu_configure
  gnu_make -C tilde
  gnu_make which
}

stage() {
  put which
}

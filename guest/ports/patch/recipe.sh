version=2.7.6-7
dsc_sha256=d954fd576d935ac54b7d44d4976eb52d0da84a57f7bad90c6e5bd5e33595030a

build() {
  gnu_configure --disable-xattr
  gnu_make "${no_documentation[@]}"
}

stage() {
  put src/patch
}

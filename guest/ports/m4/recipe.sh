version=1.4.19-3
dsc_sha256=ef1d34ebe63e0bd58bb8ce503330224ed71f6c8919d7af38c451a9a2a10ce1c3

export CORDON_STACK_SIZE=8388608 # macros recurse

build() {
  gnu_configure --disable-gcc-warnings --with-included-regex
  gnu_make "${no_documentation[@]}" -C lib
  gnu_make "${no_documentation[@]}" -C src
}

stage() {
  put src/m4
}

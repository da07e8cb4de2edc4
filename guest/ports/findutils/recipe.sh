version=4.9.0-4
dsc_sha256=3bb39a6a5f96101f9bb28fed234db186fcec198e064478fef3c0fdf2434f0681

export CORDON_STACK_SIZE=4194304 # trees may be deep

build() {
  gnu_configure --with-included-regex
  gnu_make "${no_documentation[@]}" -C gl
  gnu_make "${no_documentation[@]}" -C lib
  gnu_make "${no_documentation[@]}" -C find
  gnu_make "${no_documentation[@]}" -C xargs
}

stage() {
  put find/find
  put xargs/xargs
}

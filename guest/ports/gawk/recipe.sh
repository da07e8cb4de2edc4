version=1:5.2.1-2
dsc_sha256=1f2d11cd9b09419e86cf069571728802a068bb94d1947f3328ed430ab9b7540e

export CORDON_STACK_SIZE=8388608 # functions may recurse

# No shared objects, so no extensions; persistent memory needs a mapping at a fixed address.
build() {
  gnu_configure --disable-extensions --disable-pma --disable-mpfr --without-readline
  gnu_make "${no_documentation[@]}" -C support
  gnu_make "${no_documentation[@]}" gawk
}

stage() {
  put gawk
  link gawk awk
}

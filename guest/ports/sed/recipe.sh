version=4.9-1+deb12u1
dsc_sha256=6bf366b84fd2025e355689e524132b3c38a2b4ef136de2e6129595be1e3bdd4f

export CORDON_STACK_SIZE=8388608 # the expression matcher recurses

build() {
  gnu_configure --with-included-regex --disable-acl
  gnu_make "${no_documentation[@]}"
}

stage() {
  put sed/sed
}

version=0.5.12-2
dsc_sha256=25c0fb805c735fdb7470ce485ce76dae1a7b6c04efdfb0fdac5eab921cbd78a5

export CORDON_STACK_SIZE=4194304 # functions may recurse

# The distribution's patches add a source file to its Makefile.am.
build() {
  (cd "$SOURCE" && autoreconf -f -i)
  gnu_configure
  gnu_make
}

stage() {
  put src/dash
  link dash sh
}

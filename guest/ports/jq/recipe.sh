version=1.6-2.1+deb12u2
dsc_sha256=ac53e4e0af865fd228e47c26a6d9a34da459fd4fbc2ab90815147dfeedf6ded0
needs="libonig"

export CORDON_STACK_SIZE=16777216 # programs and documents nest, ten thousand levels deep

build() {
  (cd "$SOURCE" && autoreconf -f -i)
  gnu_configure --disable-shared --disable-docs --disable-maintainer-mode --disable-valgrind
  mkdir src
  gnu_make src/builtin.inc src/version.h
  gnu_make jq
}

stage() {
  put jq
}

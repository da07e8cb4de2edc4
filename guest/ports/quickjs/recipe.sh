# No source package of the distribution: the sources come with a package of npm's, which changed them where Windows needs it.
version=0.3.0
npm_package=qjsc
npm_sha256=4a9ed1852b334d842d5dac42d1782817ae26310b448de39532451fd45c9ba0ee
npm_folder=deps/quickjs_2021_03_27

export CORDON_STACK_SIZE=2097152 # an engine that is full says so itself, at 256 KiB

# CROSS_PREFIX makes it compile its own shell with a compiler for this machine.
build() {
  cd "$SOURCE"
  gnu_make CROSS_PREFIX=cordon- CONFIG_LTO= HOST_CC=clang-19 CC="cordon-cc -w -include $(dirname "$RECIPE")/directed_rounding.h" \
    AR=cordon-ar DEFINES='-D_GNU_SOURCE -DCONFIG_VERSION=\"2021-03-27\" -DCONFIG_BIGNUM' qjs
}

stage() {
  put qjs
}

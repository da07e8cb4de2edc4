version=9.1-1
dsc_sha256=2f2fca0a07a1a3f38e3ebeb4cbd97e97e675e77bed84f3e9d0b7e5da4cde75fc

# One program, but for sort: it makes threads, and a program that can do that starts slower.
# stdbuf works by preloading a shared object, which a guest has not; uptime is procps's.
build() {
  gnu_configure --enable-single-binary=symlinks --enable-single-binary-exceptions=sort --enable-install-program=arch,hostname \
    --enable-no-install-program=stdbuf,uptime --with-included-regex --disable-libcap --disable-acl --disable-xattr \
    --without-libgmp --without-openssl --disable-libsmack
  gnu_make "${no_documentation[@]}" --eval='cordon-built: ; $(MAKE) $(BUILT_SOURCES)' cordon-built
  gnu_make "${no_documentation[@]}" src/coreutils src/sort
}

stage() {
  put src/coreutils
  put src/sort
  local names
  names=$(make -s --eval='cordon-names: ; @echo $(single_binary_progs)' cordon-names)
  # shellcheck disable=SC2086 # a list of words
  link coreutils ${names//ginstall/install}
}

version=2:9.0.1378-2+deb12u2
dsc_sha256=aa797fe95fa4ba55811b599f34c2e35b0ef3dedfea85dfe4b45cce29173a2d91

# Of the editor's package its hexadecimal dump only.
build() {
  gnu_make -f /dev/null CC="$CC" CFLAGS="$CFLAGS -DUNIX" VPATH="$SOURCE/src/xxd" xxd
}

stage() {
  put xxd
}

version=2.1.0-1
dsc_sha256=57da9be8a9c455077bae9e4909fab01cc62b25dbdea64042b4afbc403d599410

export CORDON_STACK_SIZE=4194304 # trees may be deep

build() {
  cd "$SOURCE"
  gnu_make CC="$CC" CFLAGS="$CFLAGS -std=gnu11 -D_FILE_OFFSET_BITS=64" tree
}

stage() {
  put tree
}

version=1.0.8-5
dsc_sha256=ed9c40f4de3f9e064535e15eac1c61a0f606763db98f4579dbc04067b94a8944

build() {
  cd "$SOURCE"
  gnu_make CC="$CC" AR="$AR" RANLIB="$RANLIB" CFLAGS="$CFLAGS -D_FILE_OFFSET_BITS=64" libbz2.a bzip2.o bzip2recover
  "$CC" -o bzip2 bzip2.o libbz2.a
}

stage() {
  put bzip2
  link bzip2 bunzip2 bzcat
  put bzip2recover
  local name
  for name in bzdiff bzgrep bzmore; do
    put "$name"
  done
  link bzdiff bzcmp
  link bzgrep bzegrep bzfgrep
  link bzmore bzless
  put_library libbz2.a
  put_headers bzlib.h
}

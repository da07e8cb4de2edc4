version=6.0-28
dsc_sha256=f5b486028b61a145b591fdd96aaeaf89ef6eef164a299f43bd5e6704bdefc8a2
needs="bzip2"

# What the distribution defines, and a name that its compiler has by itself: the headers are chosen by it.
features=(-DACORN_FTYPE_NFS -DWILD_STOP_AT_DIR -DLARGE_FILE_SUPPORT -DUNICODE_SUPPORT -DUNICODE_WCHAR -DUTF8_MAYBE_NATIVE
  -DNO_LCHMOD -DDATE_FORMAT=DF_YMD -DUSE_BZIP2 -DIZ_HAVE_UXUIDGID -DNOMEMCPY -DNO_WORKING_ISPRINT -Dlinux)

build() {
  cd "$SOURCE"
  gnu_make -f unix/Makefile CC="$CC" LD="$CC" LF2= SL2= FL2= D_USE_BZ2=-DUSE_BZIP2 L_BZ2=-lbz2 CF="$CFLAGS -I. ${features[*]}" unzips
}

stage() {
  put unzip
  put funzip
  put unix/zipgrep
  link unzip zipinfo
}

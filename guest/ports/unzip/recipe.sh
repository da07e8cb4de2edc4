version=6.0-28+deb12u1
files_sha256="
036d96991646d0449ed0aa952e4fbe21b476ce994abc276e49d30e686708bd37 unzip_6.0.orig.tar.gz
defefe4900f2065b9f067652645fe7e5d99421566565d8b743cc7c5636deb4fe unzip_6.0-28+deb12u1.debian.tar.xz
"
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

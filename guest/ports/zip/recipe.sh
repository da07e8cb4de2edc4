version=3.0-13+deb12u1
files_sha256="
f0e8bb1f9b7eb0b01285495a2699df3a4b766784c1765a8f1aeedf63c0806369 zip_3.0.orig.tar.gz
5decc93eb91c383152c0268c89bf5eaeca6615844d5d5a1342b2d0402ef7fd56 zip_3.0-13+deb12u1.debian.tar.xz
"
needs="bzip2"

# What its configure would find by running programs, and 64 bits for sizes.
features=(-DUNIX -DHAVE_DIRENT_H -DHAVE_TERMIOS_H -DLARGE_FILE_SUPPORT -DUNICODE_SUPPORT -DUIDGID_NOT_16BIT -DHAVE_IN6_ADDR
  -DBZIP2_SUPPORT -DNO_ASM)

build() {
  cd "$SOURCE"
  gnu_make -f unix/Makefile CC="$CC" BIND="$CC" CPP="$CC -E" CFLAGS="$CFLAGS -I. ${features[*]}" LFLAGS2=-lbz2 \
    OCRCU8=crc32_.o OCRCTB= zips
}

stage() {
  local program
  for program in zip zipcloak zipnote zipsplit; do
    put "$program"
  done
}

version=1.5.4+dfsg2-5
dsc_sha256=8f602f92b575aa8b5e979196fb6ee82d78f233521dc9636526d3ecba1f63c1b1

build() {
  cd "$SOURCE"
  gnu_make -C lib libzstd.a ZSTD_LEGACY_SUPPORT=0 ZSTD_NO_ASM=1
  gnu_make -C programs zstd ZSTD_LEGACY_SUPPORT=0 ZSTD_NO_ASM=1 HAVE_THREAD=0 HAVE_ZLIB=0 HAVE_LZMA=0 HAVE_LZ4=0 BACKTRACE=0
}

stage() {
  put programs/zstd
  put programs/zstdgrep
  put programs/zstdless
  link zstd unzstd zstdcat zstdmt
  put_library lib/libzstd.a
  put_headers lib/zstd.h lib/zdict.h lib/zstd_errors.h
}

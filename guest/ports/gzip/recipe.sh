version=1.12-1
dsc_sha256=49a287787a0b4fc816eb576c011c472d1f630ec1778dfa120bd7fce4a844c253

build() {
  gnu_configure --disable-gcc-warnings
  gnu_make "${no_documentation[@]}"
}

stage() {
  put gzip
  local name
  for name in gunzip gzexe uncompress zcat zcmp zdiff zegrep zfgrep zforce zgrep zless zmore znew; do
    [ ! -f "$name" ] || put "$name"
  done
}

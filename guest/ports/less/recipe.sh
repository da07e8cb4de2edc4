version=590-2.1~deb12u2
dsc_sha256=1a4219f8ec9342851805089d9ee5ec7c0150287d5722ecc914c50790673ad9a6
needs="ncurses"

build() {
  gnu_configure --with-regex=posix --with-editor=/usr/bin/editor
  gnu_make
}

stage() {
  put less
  put lesskey
  put lessecho
  link less pager more
}

# Runs one recipe: unpacked source in $SOURCE -> programs and files in $STAGE, headers and libraries for other ports in
# $LIBRARY (which the root file system does not get). Started by guest/build.py.
# A recipe sets version and dsc_sha256, where it stands on other ports needs="NAME…", and defines build (in $BUILD) and
# stage (fills $STAGE and $LIBRARY); what is here helps it.
set -euo pipefail

export CC=cordon-cc AR=cordon-ar RANLIB=cordon-ranlib NM=cordon-nm STRIP=: CC_FOR_BUILD=clang-19 BUILD_CC=clang-19
# What a program says of how it was built must be the same text wherever that was: the place of sources, and of headers
# and libraries of other ports, reaches the compiler by CORDON_WORK.
export CFLAGS="-O2 -w"
SOURCE_DATE_EPOCH=$(dpkg-parsechangelog -l "$SOURCE/debian/changelog" -S Timestamp)
export SOURCE_DATE_EPOCH

# The usual GNU configure, out of tree; by a relative path, because some programs show how they were compiled.
gnu_configure() {
  # The distribution's patches made configure.ac newer than what was generated from it: do not generate it again.
  find "$SOURCE" -name aclocal.m4 -exec touch {} +
  find "$SOURCE" \( -name configure -o -name 'config*.h.in' -o -name configh.in -o -name Makefile.in \) -exec touch {} +
  "$(realpath --relative-to=. "$SOURCE")/configure" --host=wasm32-unknown-linux-musl --build="$(dpkg-architecture -qDEB_BUILD_GNU_TYPE)" \
    --prefix=/usr --sysconfdir=/etc --localstatedir=/var --disable-nls --disable-dependency-tracking --without-selinux \
    --disable-silent-rules --enable-cross-guesses=risky "$@"
}

gnu_make() {
  echo "=== make" # guest/build.py looks for linker warnings below this line
  make -j"${CORDON_JOBS:-2}" "$@"
}

# Documentation and translators are no part of the programs: replace what would make them.
no_documentation=(MAKEINFO=true HELP2MAN=true)

# Marks a program whose calls through cast function pointers the engine is to convert instead of trapping.
mark_lenient() {
  printf '1' > lenient.txt
  cordon-objcopy --add-section=cordon.lenient=lenient.txt "$1"
}

# put PROGRAM [NAME]: a program into usr/bin.
put() {
  install -D -m 755 "$1" "$STAGE/usr/bin/${2:-$(basename "$1")}"
}

# put_library FILE...: static libraries for other ports; put_headers FILE...: what they include.
put_library() {
  install -D -m 644 -t "$LIBRARY/usr/lib" "$@"
}

put_headers() {
  install -D -m 644 -t "$LIBRARY/usr/include" "$@"
}

# link TARGET NAME...: names in usr/bin for a program that is there.
link() {
  local target=$1 name
  shift
  for name in "$@"; do
    ln -sf "$target" "$STAGE/usr/bin/$name"
  done
}

# What is true of one port only lies beside its recipe.
own_site=$(dirname "$RECIPE")/config.site
[ ! -f "$own_site" ] || CONFIG_SITE+=" $own_site"

. "$RECIPE"
mkdir -p "$BUILD" "$STAGE" "$LIBRARY"
cd "$BUILD"
build
stage
install -D -m 644 "$SOURCE/debian/copyright" "$STAGE/usr/share/doc/$PORT/copyright"

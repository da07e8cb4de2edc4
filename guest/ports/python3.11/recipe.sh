version=3.11.2-6+deb12u8
dsc_sha256=197fa19ab45f41c820f40f6d9ead671c2ea29ddc53ba9424b36f1bf58458a10e
needs="zlib bzip2 xz-utils sqlite3 openssl ncurses readline expat"

export CORDON_STACK_SIZE=8388608 # compilers, decoders and whatever raises the limit of recursion

# All modules are part of the program: no code comes into one that runs. setup.py would build them as shared objects, so
# what configure found goes into Setup.local instead, with those that configure leaves to setup.py.
static_modules() {
  sed '/^\*shared\*/,$d' Modules/Setup.stdlib
  cat <<'MODULES'
readline readline.c -lreadline -lncurses
_curses _cursesmodule.c -DHAVE_NCURSESW -lncursesw
_curses_panel _curses_panel.c -lpanelw -lncursesw
MODULES
}

# Its main can be frozen: see main.c. One function of the interpreter becomes visible to it, and what would only give memory
# back at the end of the process is left out.
freezing_main() {
  local ports file
  ports=$(dirname "$RECIPE")
  sed -i -z 's/static PyStatus\([ \n]init_sys_streams(\)/PyStatus\1/g' "$SOURCE/Python/pylifecycle.c"
  for file in "$ports/main.c" "$ports/rehash.c" "$FREEZE/freeze.c"; do
    cordon-cc $CFLAGS -std=c11 -fwrapv -DNDEBUG -DPy_BUILD_CORE -I"$FREEZE" -I"$SOURCE/Include/internal" -I. -I"$SOURCE/Include" \
      -c "$file" -o "Programs/frozen_$(basename "$file" .c).o"
  done
  mv Programs/frozen_main.o Programs/python.o
}

link_options() {
  echo Programs/frozen_rehash.o Programs/frozen_freeze.o
  printf -- '-Wl,--wrap=%s ' PyInit_gc _Py_Deepfreeze_Fini _PyTypes_Fini _PyTypes_FiniTypes _PyExc_Fini _PyUnicode_ClearInterned
}

# ctypes is left out: a foreign function would have to be made while the program runs.
build() {
  export READELF=llvm-readelf-19 PKG_CONFIG=false
  unset LIBRARY # its makefile means something else by it
  # As on machines of 64 bits, whose arithmetic this one has; linked as a whole, so that the interpreter's small functions
  # come into those that call them. Threads have a megabyte of stack, which counts as memory.
  CFLAGS="-O3 -w -flto=thin -DUSE_LARGE_ARENAS -DUSE_LARGE_POOLS -DTHREAD_STACK_SIZE=0x100000"
  gnu_configure --with-build-python=/usr/bin/python3.11 --enable-big-digits=30 --enable-ipv6 --with-pymalloc --without-ensurepip \
    --with-system-expat --with-openssl="$CORDON_WORK/libraries/usr" --with-readline=readline \
    ax_cv_c_float_words_bigendian=no ac_cv_file__dev_ptmx=yes ac_cv_file__dev_ptc=no ac_cv_buggy_getaddrinfo=no \
    ac_cv_aligned_required=no ac_cv_broken_sem_getvalue=no
  static_modules >Modules/Setup.local
  gnu_make Makefile Modules/config.c
  sed -i "s#-DVPATH='[^']*'#-DVPATH='\".\"'#" Makefile # of a temporary folder: the program is the same wherever it is built
  freezing_main
  # Nothing is loaded into it that would need its names, which the option would export.
  CORDON_THREADS=yes gnu_make python LINKFORSHARED="$(link_options | tr '\n' ' ')"
  make pybuilddir.txt
}

# Without what needs what is not there, and without tests: those come from the source when they are run. Compiled once, here;
# the program does not look whether the sources have changed, because nobody can change them in the image.
stage() {
  local library=$STAGE/usr/lib/python3.11 absent
  put python python3.11
  link python3.11 python3 python
  install -d "$library/lib-dynload"
  cp -r "$SOURCE/Lib/." "$library/"
  for absent in test idlelib tkinter turtledemo turtle.py lib2to3/tests ctypes/test distutils/tests unittest/test; do
    rm -r "${library:?}/$absent"
  done
  find "$library" -name __pycache__ -prune -exec rm -r {} +
  sed "s#$CORDON_WORK#.#g" "$(cat pybuilddir.txt)"/_sysconfigdata__linux_.py >"$library/_sysconfigdata__.py" # as the distribution's sysconfig names it
  install -D -m 644 -t "$library/config-3.11" Modules/Setup.local
  /usr/bin/python3.11 -m compileall -q -j 1 --invalidation-mode unchecked-hash -s "$STAGE" -p / "$library"
}

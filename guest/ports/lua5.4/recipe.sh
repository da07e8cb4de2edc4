version=5.4.4-3+deb12u1
dsc_sha256=d47c50154294a68c8a209c5d61bc09e5b22891c01b7c47501ac3f9725eb4a813
needs="readline"

export CORDON_STACK_SIZE=8388608 # functions may recurse

# The package's own makefile wants libtool.
build() {
  cd "$SOURCE/src"
  echo '#define DEB_HOST_MULTIARCH "lua"' > lua5.4-deb-multiarch.h # part of where it looks for shared objects
  gnu_make -f /dev/null --eval='O := $(patsubst %.c,%.o,$(filter-out lua.c luac.c ltests.c,$(wildcard *.c)))' --eval='lua luac: $(O)' \
    CFLAGS="$CFLAGS -DLUA_COMPAT_5_3 -DLUA_USE_LINUX -DLUA_USE_READLINE" LDLIBS="-lreadline -lncurses" lua luac
}

stage() {
  put lua lua5.4
  put luac luac5.4
  link lua5.4 lua
  link luac5.4 luac
}

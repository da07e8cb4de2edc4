version=2.38.1-5+deb12u3
dsc_sha256=0fe5fcd2b83d0465e32ca5cb9d8319e9b6fbf14c9a69abfd7ea905e45fa90b67
needs="ncurses"

# Those about text, files and processes: a sandbox has no block devices, namespaces or logins to manage. Of those, script wants
# signalfd, and taskset calls the kernel by numbers, both of which there is none of.
programs=(cal col colcrt colrm column fallocate flock getopt hexdump look mcookie namei prlimit rename renice rev setsid
  ul uuidgen uuidparse whereis)

build() {
  # It asks for one of the kernel's headers as a sign that all are there; what is built needs no other.
  mkdir -p include/linux
  printf '#define LINUX_VERSION_CODE 0x60100\n#define KERNEL_VERSION(a, b, c) (((a) << 16) + ((b) << 8) + (c))\n' >include/linux/version.h
  export CPPFLAGS="-I$PWD/include"
  gnu_configure --disable-shared --enable-static --disable-asciidoc --disable-poman --disable-bash-completion --disable-makeinstall-chown \
    --without-python --without-systemd --without-udev --without-cap-ng --without-libz --without-libmagic --without-econf \
    --without-user --without-audit --without-cryptsetup --without-utempter --disable-libmount --disable-libblkid --disable-libfdisk
  gnu_make "${programs[@]}"
}

stage() {
  local program
  for program in "${programs[@]}"; do
    put "$program"
  done
  link hexdump hd
  link rename rename.ul
}

version=1.34+dfsg-1.2+deb12u1
dsc_sha256=c092b25be17ab3b138aabb756497b038516a3f7d23604ccd4bf76ebbabff7a27

export CORDON_STACK_SIZE=4194304 # trees may be deep

build() {
  gnu_configure --without-posix-acls --without-xattrs --disable-backup-scripts
  gnu_make -C gnu
  gnu_make -C lib
  gnu_make -C src tar
}

stage() {
  put src/tar
}

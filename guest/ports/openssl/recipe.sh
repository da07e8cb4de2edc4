version=3.0.20-1~deb12u2
dsc_sha256=a614474a2773c23b10c0d65f4eccbcf93fdac4749afb7c26d76e1b0340154d3d

# Without what no program here asks for: it would be part of every program that speaks TLS.
left_out=(no-asm no-async no-dso no-engine no-module no-pic no-shared no-tests no-legacy
  no-aria no-bf no-camellia no-cast no-cmp no-ct no-dtls no-ec2m no-gost no-idea no-md4 no-mdc2 no-ocb no-rc2 no-rc4 no-rc5
  no-seed no-siphash no-siv no-sm2 no-sm3 no-sm4 no-srp no-srtp no-ssl3 no-ssl3-method no-ts no-whirlpool)

build() {
  unset AR RANLIB
  "$SOURCE/Configure" linux-generic32 --prefix=/usr --openssldir=/etc/ssl --libdir=lib "${left_out[@]}" -D_FILE_OFFSET_BITS=64
  gnu_make AR=cordon-ar RANLIB=cordon-ranlib build_generated
  gnu_make AR=cordon-ar RANLIB=cordon-ranlib libcrypto.a libssl.a apps/openssl
}

stage() {
  put apps/openssl
  install -D -m 644 "$SOURCE/apps/openssl.cnf" "$STAGE/etc/ssl/openssl.cnf"
  put_library libcrypto.a libssl.a
  install -D -m 644 -t "$LIBRARY/usr/include/openssl" include/openssl/*.h "$SOURCE"/include/openssl/*.h
}

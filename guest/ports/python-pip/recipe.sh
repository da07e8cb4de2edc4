version=23.0.1+dfsg-1
dsc_sha256=011993c19077b23c2b0f206ef053e6992522c1250864b67703445a440ed0ee85

build() {
  :
}

# Where the distribution's Python looks for what does not come with it, compiled as its own library is.
stage() {
  local library=$STAGE/usr/lib/python3/dist-packages release=${version%%+*} name
  mkdir -p "$library/pip-$release.dist-info" "$STAGE/usr/bin"
  cp -r "$SOURCE/src/pip" "$library"
  printf 'Metadata-Version: 2.1\nName: pip\nVersion: %s\n' "$release" >"$library/pip-$release.dist-info/METADATA"
  echo distribution >"$library/pip-$release.dist-info/INSTALLER"
  /usr/bin/python3.11 -m compileall -q -j 1 --invalidation-mode unchecked-hash -s "$STAGE" -p / "$library"
  for name in pip pip3 pip3.11; do
    printf '#!/usr/bin/python3\nimport sys\nfrom pip._internal.cli.main import main\nsys.exit(main())\n' >"$STAGE/usr/bin/$name"
    chmod 755 "$STAGE/usr/bin/$name"
  done
}

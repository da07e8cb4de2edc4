version=2026b-0+deb12u1
dsc_sha256=1a6e7b80823607130b79a12e5dff0d03ed81feb14faf5fffad94841e54cfe988

# As the distribution's package makes it; short files, which have a rule for the years to come in place of a list of them.
build() {
  cp -r "$SOURCE/." .
  gnu_make AWK=awk BACKWARD=backward PACKRATDATA=backzone PACKRATLIST=zone.tab VERSION_DEPS= tzdata.zi
  /usr/sbin/zic -b slim -d zoneinfo -L /dev/null tzdata.zi
}

# Names of one zone are links of one file, and symbolic ones in the image. The rules for leap seconds are left out.
stage() {
  local target=$STAGE/usr/share/zoneinfo name inode
  local -A first=()
  install -d "$target"
  cp -a zoneinfo/. "$target"
  cd "$target"
  while read -r inode name; do
    if [ -n "${first[$inode]:-}" ]; then
      ln -sfr "${first[$inode]}" "$name"
    else
      first[$inode]=$name
    fi
  done < <(find . -type f -links +1 -printf '%i %P\n' | LC_ALL=C sort -k 2)
  cd "$OLDPWD"
  install -m 644 -t "$target" iso3166.tab zone.tab zone1970.tab tzdata.zi
}

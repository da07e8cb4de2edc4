version=5.36.0-7+deb12u3
dsc_sha256=ac13a1eb3d4bb63ca8c91a3695ad563b10792a3e0f2f8b74d9600625a98a68fb

export CORDON_STACK_SIZE=8388608      # expressions and data nest
export CORDON_START=crt1-environment.o # its main takes the environment as a third argument

# answer ARCHITECTURE NAME=VALUE...: config.sh from the distribution's answers for one of its architectures, with others in their place.
# Its Configure finds answers by running programs; it does nothing here but fill them in.
answer() {
  local architecture=$1
  shift
  printf '%s\n' "$@" > answers
  { grep -v '^config_arg' "$SOURCE/debian/cross/$architecture/config.sh.static"; echo "config_args=''"; echo config_argc=0; } |
    awk -F= 'BEGIN { while ((getline line < "answers") > 0) { name = line; sub(/=.*/, "", name); answer[name] = line } }
             $1 in answer { print answer[$1]; delete answer[$1]; next }
             { print }
             END { for (name in answer) print answer[name] }' > config.sh
}

scripts=(json_pp piconv prove ptar shasum splain streamzip zipdetails)

build() {
  # The small perl of this machine that the build runs.
  cp -rs "$SOURCE" here
  cd here
  answer amd64 "cc='$BUILD_CC'" "ld='$BUILD_CC'" "optimize='-O1'" "src='.'" "libs='-lm -lcrypt'" "perllibs='-lm -lcrypt'" \
    "ccflags='-w -fwrapv -fno-strict-aliasing -D_REENTRANT -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64'" "ldflags=''" \
    "cpp='$BUILD_CC -E'" "cpprun='$BUILD_CC -E'" "cppstdin='$BUILD_CC -E'" "cppflags='-D_GNU_SOURCE'"
  sh Configure -S
  make -j"${CORDON_JOBS:-2}" miniperl generate_uudmap
  cd "$SOURCE"
  local own static nonxs
  mapfile -t own < <(grep '=' "$(dirname "$RECIPE")/answers")
  static=$(sed -n "s/^static_ext='\(.*\)'/\1/p" "$(dirname "$RECIPE")/answers")
  nonxs=$(sed -n "s/^nonxs_ext='\(.*\)'/\1/p" debian/cross/i386/config.sh.static)
  answer i386 "${own[@]}" "extensions='$static $nonxs'"
  sh Configure -S -Dusecrosscompile -Dhostgenerate=../build/here/generate_uudmap -Dhostperl=../build/here/miniperl
  make depend
  gnu_make perl
  # Encode's own extensions are built with it, but only what is named is linked. (That it cannot build them alone is no error.)
  rm perl perlmain.c perlmain.o
  static=$(sed -n 's/^static_ext = //p' Makefile)
  for own in Byte Symbol Unicode; do
    static+=" lib/auto/Encode/$own/$own.a"
  done
  gnu_make perl static_ext="$static"
  make utils/Makefile
  make -C utils PERL=../miniperl "${scripts[@]}"
}

# Documentation, and what is of use with a compiler or a network only, stays behind.
stage() {
  cd "$SOURCE"
  ../build/here/miniperl -Ilib installperl --destdir="$BUILD/all" -p -f
  local all=$BUILD/all/usr name
  for name in "$all/bin/perl" "$all/bin/pod2text" "$all/bin/pod2usage" "${scripts[@]/#/utils/}"; do
    put "$name"
  done
  mkdir -p "$STAGE/usr/lib/perl" "$STAGE/usr/share/perl"
  cp -r "$all/lib/perl/5.36" "$STAGE/usr/lib/perl/"
  cp -r "$all/share/perl/5.36" "$STAGE/usr/share/perl/"
  (cd "$STAGE/usr/lib/perl/5.36" && rm -r CORE)
  (cd "$STAGE/usr/share/perl/5.36" && rm -r App/Cpan.pm CPAN CPAN.pm ExtUtils Module/CoreList Module/CoreList.pm Pod/Perldoc Pod/Perldoc.pm)
  find "$STAGE/usr" \( -name '*.pod' -o -name '*.a' -o -name '*.ld' -o -name '*.packlist' -o -name '*.h' -o -name '*.e2x' \) -delete
  find "$STAGE/usr" -type d -empty -delete
  ../build/here/miniperl -Ilib debian/stripdoc "$STAGE/usr/lib/perl" "$STAGE/usr/share/perl"
}

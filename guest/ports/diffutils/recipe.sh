version=1:3.8-4
dsc_sha256=783af1a151c2a0f42a8a427693cc4bb16037c0d17282d28672d906f2eab424b8

export CORDON_STACK_SIZE=4194304

build() {
  gnu_configure --with-included-regex
  gnu_make "${no_documentation[@]}" -C lib
  gnu_make "${no_documentation[@]}" -C src
}

stage() {
  local program
  for program in cmp diff diff3 sdiff; do
    put "src/$program"
  done
}

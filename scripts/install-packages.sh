#!/usr/bin/env bash
# install-packages.sh [full]: installs what the build and the fast tests need on Debian 12, or what the full set needs beside
# it, non-interactively; does nothing when all of it is there.
set -euo pipefail
packages=(
  clang-19 clang-tidy-19 clang-format-19 lld-19 llvm-19 llvm-19-dev libclang-rt-19-dev   # host compiler, LLVM
  libclang-rt-19-dev-wasm32 binaryen wabt wasi-libc                                                # guest compiler runtime, wasm tools
  cmake ninja-build ccache make python3 git ca-certificates                              # build
  libgtest-dev libbenchmark-dev nlohmann-json3-dev libseccomp-dev libssl-dev libcli11-dev libfmt-dev
  libcurl4-openssl-dev                                                                   # fetching packages
  zlib1g-dev libzstd-dev libarchive-dev                                                  # archives
  libyaml-dev libtomlplusplus-dev                                                        # policies, package managers' configuration
  libboost1.81-dev                                                                       # the gateway's event loop
  bind9-dnsutils iproute2 nftables                                                       # the tests of the network plane
  dpkg-dev bison flex texinfo gettext autopoint autoconf automake libtool gperf xz-utils patch perl tcl   # building guests
  bc bzip2 curl ed file jq less m4 openssl procps sqlite3 unzip wget xxd zip zstd        # the tests compare guests with these
  bubblewrap passt slirp4netns                                                                             # peers of the benchmarks; bubblewrap is a wall too
  podman runc uidmap busybox-static                                                      # the container wall, and an image for its tests
)
command -v npm >/dev/null || packages+=(npm)                                             # brings the sources of QuickJS
if [ "${1:-}" = full ]; then
  packages+=(
    qemu-system-x86 kmod                                                                 # Debian's kernel, which the native wall is tried on
    libclang-19-dev                                                                      # a plugin of clang-tidy
    python3-venv                                                                         # where the wheel is installed and tried
    python3-pip python3-poetry                                                           # installs of two phases are tried with them
    gcc-mingw-w64-x86-64-win32 g++-mingw-w64-x86-64-win32 wine wine64                    # cordon-job.exe, and where it runs: 850 MB
  )
fi
missing=()
for package in "${packages[@]}"; do
  dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed || missing+=("$package")
done
[ ${#missing[@]} -eq 0 ] && exit 0
. /etc/os-release
if [ "${ID:-}" != debian ] || [ "${VERSION_ID:-}" != 12 ]; then
  echo "cordon: this is ${PRETTY_NAME:-an unknown system}; only Debian 12 is tested" >&2
fi
sudo=()
[ "$(id -u)" -eq 0 ] || sudo=(sudo)
echo "cordon: installing ${missing[*]}"
"${sudo[@]}" apt-get update -q
"${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${missing[@]}"

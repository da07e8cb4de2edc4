#!/usr/bin/env python3
"""The exact sources of the userland in one archive, for whoever gives the userland to others.

usage: pack_sources.py FILE.tar [PORT...]

Into FILE.tar go, below userland-sources/: the source package of every port and of the libc, as it was fetched, with the hashes
that its recipe pins; and guest/ with all that builds them. With PORT only those and what they need. Source packages that are
not in the cache are fetched. Equal trees give equal archives.
"""
import io
import pathlib
import sys
import tarfile

import build
import sources

TOP = "userland-sources"
README = """\
The sources of the programs in Cordon's userland image, each as its distributor published it (sources/NAME), and what builds
them (cordon/guest, beginning with its README.md). The licence and the notices of each are in its source, and in the image
in /usr/share/doc/NAME/copyright.

To build them as they were built:  python3 cordon/guest/build.py OUTPUT
"""


def source_files(part):
    """The files of a source package: of a port or of the toolchain, whose source is the libc's."""
    path = part.source()
    if isinstance(part.pin, tuple):
        return [path.parent / name for _, name in part.pin]
    if path.suffix == ".dsc":
        return [path, *(path.parent / name for _, _, name in sources.files_of(path))]
    return [path]


def build_files():
    """All that build.py reads, relative to the repository."""
    found = [path for path in build.HERE.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    return [(path.relative_to(build.HERE.parent), path) for path in sorted([*found, build.SYSCALLS])]


def add(archive, name, data, mode):
    member = tarfile.TarInfo(f"{TOP}/{name}")  # of nobody and of no time
    member.size, member.mode = len(data), mode
    archive.addfile(member, io.BytesIO(data))


def pack(target, names):
    """Returns the number of source packages."""
    build.CACHE.mkdir(parents=True, exist_ok=True)
    target.parent.mkdir(parents=True, exist_ok=True)
    toolchain = build.Toolchain()
    ports = sorted(build.load_ports(names, toolchain), key=lambda port: port.name)
    with tarfile.open(target, "w") as archive:
        add(archive, "README", README.encode(), 0o644)
        for name, path in build_files():
            add(archive, f"cordon/{name}", path.read_bytes(), path.stat().st_mode & 0o755)
        for name, part in [("musl", toolchain), *((port.name, port) for port in ports)]:
            for path in source_files(part):
                add(archive, f"sources/{name}/{path.name}", path.read_bytes(), 0o644)
    return 1 + len(ports)


def main():
    if len(sys.argv) < 2 or sys.argv[1].startswith("-"):
        sys.exit(__doc__)
    target = pathlib.Path(sys.argv[1])
    try:
        count = pack(target, sys.argv[2:] or build.port_names())
    except (build.BuildError, sources.SourceError) as error:
        sys.exit(f"guest: {error}")
    print(f"{target}  {count} sources, {target.stat().st_size / 1e6:.0f} MB")


if __name__ == "__main__":
    main()

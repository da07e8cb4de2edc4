#!/usr/bin/env python3
"""package_sdks.py FOLDER [--build BUILD] [--without-sources]: the SDKs with all that they start, as an npm package and a Python
wheel; and beside them the exact sources of the userland that both contain, to be published with them (guest/pack_sources.py).

The packages are made of files alone: nothing is fetched, and what is made wants no index when it is installed. Equal builds give equal wheels.
"""
import argparse
import base64
import hashlib
import pathlib
import platform
import shutil
import subprocess
import tempfile
import tomllib
import zipfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
# The daemon, what it executes for a sandbox that lives, and what those map.
PROGRAMS = ["cordon", "cordon-template", "cordon-compile", "cordon-fetch", "cordon-gateway", "cordon-unpack"]
IMAGES = ["userland.img"]


def copy_binaries(build, folder):
    folder.mkdir(parents=True)
    for name in PROGRAMS + IMAGES:
        shutil.copyfile(build / name, folder / name)
        (folder / name).chmod(0o755 if name in PROGRAMS else 0o644)


def npm_package(build, folder):
    """The path of the tarball."""
    with tempfile.TemporaryDirectory() as stage:
        package = pathlib.Path(stage, "package")
        shutil.copytree(ROOT / "sdk/typescript", package)
        shutil.rmtree(package / "bin", ignore_errors=True)
        copy_binaries(build, package / "bin")
        done = subprocess.run(["npm", "pack", "--silent", "--offline", "--pack-destination", folder], cwd=package,
                              text=True, stdout=subprocess.PIPE, check=True)
    return folder / done.stdout.strip().splitlines()[-1]


def wheel(build, folder):
    """The path of the wheel (packaging.python.org/specifications/binary-distribution-format)."""
    project = tomllib.loads((ROOT / "sdk/python/pyproject.toml").read_text())["project"]
    name = project["name"].replace("-", "_")
    # Sandboxes are static programs. The compiler and the fetcher, which only modules and packages of one's own need, want libLLVM-19
    # and libcurl of the host.
    tag = f"py3-none-manylinux2014_{platform.machine()}"
    about = f"{name}-{project['version']}.dist-info"
    path = folder / f"{name}-{project['version']}-{tag}.whl"
    metadata = [f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\nSummary: {project['description']}\n"
                f"Requires-Python: {project['requires-python']}\nDescription-Content-Type: text/markdown\n\n",
                (ROOT / "sdk/python/README.md").read_text()]
    files = [(f"{name}/{source.name}", source, 0o644) for source in sorted((ROOT / "sdk/python" / name).glob("*.py"))]
    files += [(f"{name}/bin/{program}", build / program, 0o755) for program in PROGRAMS]
    files += [(f"{name}/bin/{image}", build / image, 0o644) for image in IMAGES]
    record = []
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        def add(place, data, mode):
            # The time is none: equal files give equal wheels.
            entry = zipfile.ZipInfo(place)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = (0o100000 | mode) << 16
            archive.writestr(entry, data)
            digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
            record.append(f"{place},sha256={digest},{len(data)}\n")

        for place, source, mode in files:
            add(place, source.read_bytes(), mode)
        add(f"{about}/METADATA", "".join(metadata).encode(), 0o644)
        add(f"{about}/WHEEL", f"Wheel-Version: 1.0\nGenerator: cordon\nRoot-Is-Purelib: false\nTag: {tag}\n".encode(), 0o644)
        record.append(f"{about}/RECORD,,\n")
        archive.writestr(zipfile.ZipInfo(f"{about}/RECORD"), "".join(record))
    return path


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build")
    parser.add_argument("--without-sources", action="store_true", help="packages that are given to nobody")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    for path in (npm_package(options.build, options.folder.resolve()), wheel(options.build, options.folder.resolve())):
        print(f"{path}  {path.stat().st_size / 1e6:.0f} MB")
    if not options.without_sources:
        subprocess.run([ROOT / "guest/pack_sources.py", options.folder.resolve() / "userland-sources.tar"], check=True)


if __name__ == "__main__":
    main()

"""A simple index of Python packages, made by hand: wheels, and sources whose build tells that it ran."""
import base64
import hashlib
import io
import tarfile
import zipfile

# Says in FILE who ran, and whether the index could be reached from there.
TELL = """import socket
def tell(file, what):
    try:
        socket.create_connection(("good.example", 8765), 3).close()
        reached = "a network"
    except OSError:
        reached = "no network"
    with open(file, "a") as told:
        told.write(f"{what} with {reached}\\n")
"""
# Of packages that are built: a backend in their own tree, so that nothing else is needed.
BACKEND = """[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
"""


def metadata(name, version, requires=()):
    return f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n" + "".join(f"Requires-Dist: {one}\n" for one in requires)


def wheel(name, version, files, requires=()):
    info = f"{name}-{version}.dist-info"
    files = {**files, f"{info}/METADATA": metadata(name, version, requires),
             f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: hand\nRoot-Is-Purelib: true\nTag: py3-none-any\n"}
    def digest(text):
        return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
    files[f"{info}/RECORD"] = "".join(f"{path},sha256={digest(text)},{len(text.encode())}\n" for path, text in files.items()) + f"{info}/RECORD,,\n"
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)
    return f"{name}-{version}-py3-none-any.whl", data.getvalue()


def source_files(name, version, told):
    """A package whose build, and whose questions before it, write to the file `told`."""
    _, built = wheel(name, version, {f"{name}.py": "built = True\n"})
    backend = TELL + f"""
import base64, os
tell({told!r}, "build of {name}")
WHEEL = base64.b64decode({base64.b64encode(built)!r})
def prepare_metadata_for_build_wheel(folder, settings=None):
    os.mkdir(os.path.join(folder, "{name}-{version}.dist-info"))
    with open(os.path.join(folder, "{name}-{version}.dist-info/METADATA"), "w") as file:
        file.write({metadata(name, version)!r})
    return "{name}-{version}.dist-info"
def build_wheel(folder, settings=None, metadata=None):
    with open(os.path.join(folder, "{name}-{version}-py3-none-any.whl"), "wb") as file:
        file.write(WHEEL)
    return "{name}-{version}-py3-none-any.whl"
"""
    return {"pyproject.toml": BACKEND + f'[project]\nname = "{name}"\nversion = "{version}"\n', "backend.py": backend,
            "PKG-INFO": metadata(name, version)}


def source_archive(name, version, told):
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:gz") as archive:
        for path, text in source_files(name, version, told).items():
            member = tarfile.TarInfo(f"{name}-{version}/{path}")
            member.size = len(text.encode())
            archive.addfile(member, io.BytesIO(text.encode()))
    return f"{name}-{version}.tar.gz", data.getvalue()


def publish(folder, name, files):
    place = folder / "simple" / name
    place.mkdir(parents=True)
    page = ""
    for file, data in files:
        (place / file).write_bytes(data)
        page += f'<a href="{file}#sha256={hashlib.sha256(data).hexdigest()}">{file}</a>\n'
    (place / "index.html").write_text(f"<!DOCTYPE html><html><body>{page}</body></html>\n")


def make(folder, told):
    """alpha and gamma are wheels, `greedy` one whose file of paths runs with every interpreter, beta has sources alone; `told` is their file."""
    publish(folder, "alpha", [wheel("alpha", "1.0", {"alpha.py": "x = 1\n"}, ["gamma"])])
    publish(folder, "gamma", [wheel("gamma", "2.0", {"gamma.py": "x = 2\n"})])
    start = f"import greedy; greedy.tell({told!r}, 'greedy')\n"
    publish(folder, "greedy", [wheel("greedy", "1.0", {"greedy.py": TELL, "greedy.pth": start})])
    publish(folder, "beta", [source_archive("beta", "1.0", told)])

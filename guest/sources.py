"""Source packages of the distribution, pinned by hash, through an apt configuration of our own.

The system's own apt is only read: its `deb` entries give the places, repeated here as `deb-src` entries in private
lists, so that it works for any user and for any mirror. Trust rests on the pin: the recipe holds the SHA-256 of the
.dsc, and the .dsc those of its files. Where a mirror has the files and not their .dsc, the recipe holds the SHA-256 of each
file (as the distribution's signed index has them), and a .dsc is written from those.
"""

import email.utils
import hashlib
import pathlib
import re
import shutil
import subprocess
import tarfile
import threading

SYSTEM_LISTS = [pathlib.Path("/etc/apt/sources.list")]
SYSTEM_PARTS = pathlib.Path("/etc/apt/sources.list.d")
_lock = threading.Lock()


class SourceError(Exception):
    pass


def sha256_of(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def files_of(dsc):
    """(sha256, size, name) of each file that the .dsc names."""
    section = re.search(r"^Checksums-Sha256:\n((?: .*\n)+)", dsc.read_text(errors="replace"), re.M)
    if not section:
        raise SourceError(f"{dsc.name}: no Checksums-Sha256")
    return [tuple(line.split()) for line in section.group(1).splitlines()]


def complete(folder, dsc_name, pin):
    """Whether the package lies in `folder`, each file with the hash that the pin leads to."""
    dsc = folder / dsc_name
    if not dsc.is_file() or sha256_of(dsc) != pin:
        return False
    return all((folder / name).is_file() and sha256_of(folder / name) == sha for sha, _, name in files_of(dsc))


def source_entries():
    """The system's deb entries as deb-src: (text of a .list, text of a .sources)."""
    lists = SYSTEM_LISTS + sorted(SYSTEM_PARTS.glob("*.list"))
    one_line = [re.sub(r"^deb ", "deb-src ", line) for path in lists if path.is_file()
                for line in path.read_text().splitlines() if line.startswith("deb ")]
    stanzas = []
    for path in sorted(SYSTEM_PARTS.glob("*.sources")):
        for stanza in re.split(r"\n\s*\n", path.read_text()):
            lines = [line for line in stanza.splitlines() if not line.startswith("#")]
            if any(re.match(r"Types:.*\bdeb\b", line) for line in lines) and "Enabled: no" not in lines:
                stanzas.append("\n".join("Types: deb-src" if line.startswith("Types:") else line for line in lines))
    # Third parties' repositories seldom have sources, and none of ours.
    def ours(entry):
        return re.search(r"debian", entry) is not None

    return ("\n".join(filter(ours, one_line)) + "\n", "\n\n".join(filter(ours, stanzas)) + "\n")


def private_apt(cache):
    """Makes the configuration and reads the lists; returns the environment for apt."""
    apt = cache / "apt"
    shutil.rmtree(apt, ignore_errors=True)
    for folder in ("lists/partial", "cache/archives/partial", "parts"):
        (apt / folder).mkdir(parents=True)
    listed, stanzas = source_entries()
    (apt / "parts/cordon.list").write_text(listed)
    (apt / "parts/cordon.sources").write_text(stanzas)
    config = apt / "apt.conf"
    config.write_text(f'Dir::Etc::sourcelist "/dev/null";\nDir::Etc::sourceparts "{apt}/parts";\n'
                      f'Dir::State::lists "{apt}/lists";\nDir::Cache "{apt}/cache";\n'
                      'APT::Sandbox::User "";\nAcquire::Languages "none";\n')
    environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "APT_CONFIG": str(config), "LC_ALL": "C.UTF-8"}
    run(["apt-get", "update", "-q"], environment, apt)
    return environment


def run(command, environment, folder):
    done = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, check=False,
                          stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        raise SourceError(f"{' '.join(command)}:\n{done.stdout}{done.stderr}")


def apt_environment(cache):
    if not list((cache / "apt/lists").glob("*Sources*")):
        return private_apt(cache)
    return {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "APT_CONFIG": str(cache / "apt/apt.conf"), "LC_ALL": "C.UTF-8"}


def download(cache, package, version, folder):
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    run(["apt-get", "source", "-q", "--download-only", f"{package}={version}"], apt_environment(cache), folder)


def offered(package, environment):
    """(version, suite) of each version of a source package that the distribution offers, newest first."""
    done = subprocess.run(["apt-cache", "madison", package], env=environment, capture_output=True, text=True, check=True)
    rows = [[part.strip() for part in line.split("|")] for line in done.stdout.splitlines()]
    return [(row[1], row[2].split()[1]) for row in rows if row[0] == package and row[2].endswith("Sources")]


def fetch_files(cache, package, version, pins):
    """As fetch(), from the (SHA-256, name) of each file of the package; a version shares files with others."""
    folder = cache / "sources" / f"{package}-{hashlib.sha256(repr(pins).encode()).hexdigest()[:16]}"
    dsc = folder / "pinned.dsc"
    with _lock:
        if dsc.is_file():
            return dsc
        folder.mkdir(parents=True, exist_ok=True)
        reasons = []
        for candidate, _ in offered(package, apt_environment(cache)):
            try:
                run(["apt-get", "source", "-q", "--download-only", f"{package}={candidate}"], apt_environment(cache), folder)
            except SourceError as error:  # it may be of a file that is not needed
                reasons.append(str(error))
        for pin, name in pins:
            if not (folder / name).is_file() or sha256_of(folder / name) != pin:
                raise SourceError(f"{package} {version}: {name} is absent or does not have the pinned hash {pin}\n" +
                                  "\n".join(reasons))
        files = [(hashlib.md5((folder / name).read_bytes()).hexdigest(), (folder / name).stat().st_size, name) for _, name in pins]
        dsc.write_text(f"Format: 3.0 (quilt)\nSource: {package}\nBinary: {package}\nVersion: {version}\nFiles:\n" +
                       "".join(f" {md5} {size} {name}\n" for md5, size, name in files))
        return dsc


def fetch_npm(cache, package, version, pin):
    """Returns the path of a package of npm's, from the registry that npm itself is configured for."""
    folder = cache / "sources" / f"{package}-{pin[:16]}"
    with _lock:
        found = [path for path in folder.glob("*.tgz") if sha256_of(path) == pin]
        if not found:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            run(["npm", "pack", "--silent", "--ignore-scripts", f"{package}@{version}"], None, folder)
            found = [path for path in folder.glob("*.tgz") if sha256_of(path) == pin]
        if not found:
            raise SourceError(f"{package} {version}: what was fetched does not have the pinned hash {pin}")
        return found[0]


def unpack_npm(archive, inner, target):
    """One folder of a package of npm's, with what every source package has beside it: the time of its newest file, its notices."""
    with tarfile.open(archive) as package:
        members = [member for member in package if member.name.startswith(f"package/{inner}/")]
        if not members:
            raise SourceError(f"{archive.name}: there is no folder {inner}")
        for member in members:
            member.name = member.name.removeprefix(f"package/{inner}/")
        package.extractall(target, members, filter="data")
    debian = target / "debian"
    debian.mkdir()
    shutil.copy(target / "LICENSE", debian / "copyright")
    (debian / "changelog").write_text("source (0) unstable; urgency=low\n\n  * Unpacked.\n\n -- npm <npm@localhost>  "
                                      f"{email.utils.formatdate(max(member.mtime for member in members))}\n")


def fetch(cache, package, version, pin):
    """Returns the path of the .dsc of `package`, with its files beside it, all verified."""
    folder = cache / "sources" / f"{package}-{pin[:16]}"
    dsc_name = f"{package}_{version.split(':', 1)[-1]}.dsc"
    with _lock:
        if complete(folder, dsc_name, pin):
            return folder / dsc_name
        download(cache, package, version, folder)
        if not complete(folder, dsc_name, pin):
            raise SourceError(f"{package} {version}: what was fetched does not have the pinned hash {pin}")
        return folder / dsc_name

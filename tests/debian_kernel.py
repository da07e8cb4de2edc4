"""Runs programs under Debian's own kernel, whatever this machine's is: QEMU, with this machine's files.

They are seen read-only beneath an overlay in memory; /tmp and /run are the guest's own. Control groups are those of version 2,
as systemd has them. The processor is emulated, several times slower: a machine that is a guest itself may have a /dev/kvm that
does not work.
"""
import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading

ROOT = pathlib.Path(__file__).resolve().parent.parent
PACKAGE = "linux-image-cloud-amd64"
MODULES = ("virtio_pci", "virtiofs", "overlay")
VIRTIOFSD = "/usr/lib/qemu/virtiofsd"
MEMORY = "4G"
BEGIN = "the guest is there"
STATUS = "status of the program:"

# The first process: this machine's root beneath an overlay, and the repository where it is also if that is below /tmp.
INIT = """#!/bin/busybox sh
b=/bin/busybox
$b mount -t proc proc /proc
for module in /modules/*; do $b insmod $module; done
$b mount -t virtiofs -o ro host /host
$b mount -t tmpfs memory /memory
$b mkdir /memory/upper /memory/work
$b mount -t overlay -o lowerdir=/host,upperdir=/memory/upper,workdir=/memory/work root /root
$b mount -t proc proc /root/proc
$b mount -t sysfs sys /root/sys
$b mount -t cgroup2 cgroup /root/sys/fs/cgroup
$b mount -t devtmpfs dev /root/dev
$b mkdir -p /root/dev/pts /root/dev/shm /root/lib/modules
$b mount -t devpts -o gid=5,mode=620,ptmxmode=666 pts /root/dev/pts
for own in /dev/shm /run /var/lib/containers; do $b mkdir -p /root$own; $b mount -t tmpfs -o mode=1777 own /root$own; done
$b mkdir /repository
$b mount --bind /root@ROOT@ /repository
$b mkdir /script
$b mount --bind /root@FOLDER@ /script
$b mount -t tmpfs -o mode=1777 own /root/tmp
$b mkdir -p /root@ROOT@ /root/run/script
$b mount --bind /repository /root@ROOT@
$b mount --bind /script /root/run/script
$b ln -s @TREE@ /root/lib/modules/
exec $b switch_root /root /bin/sh /run/script/script
"""

# The root group has no processes and hands its controllers on.
SCRIPT = """echo "@BEGIN@"
export HOME=/root PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8
mkdir /sys/fs/cgroup/tests
echo $$ >/sys/fs/cgroup/tests/cgroup.procs
echo +memory +pids +cpu >/sys/fs/cgroup/cgroup.subtree_control
ip link set lo up
cd @ROOT@
@COMMAND@
echo "@STATUS@ $?"
echo o >/proc/sysrq-trigger
sleep 60
"""


class Missing(Exception):
    """Something that is needed is not here."""


def _output(*command, **options):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, **options).stdout


def _package():
    """Its name, and the hash of its file, as the newest index has them."""
    for command in (["apt-get", "update", "-q"], None):
        wanted = re.search(r"^ *Depends: (\S+)", _output("apt-cache", "depends", PACKAGE), re.MULTILINE)
        if wanted:
            return wanted[1], re.search(r"^SHA256: (\w+)", _output("apt-cache", "show", "--no-all-versions", wanted[1]), re.MULTILINE)[1]
        if command:
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    raise Missing(f"the package {PACKAGE}")


def _kernel():
    """The kernel and the folder of its modules; kept by the hash of their package."""
    name, sha256 = _package()
    version = name.removeprefix("linux-image-")
    cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "cordon/kernels"
    kept = cache / sha256
    if not kept.exists():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as folder:
            # Whoever is not root in there may not write: apt says so, and is root then.
            subprocess.run(["apt-get", "download", "-q", name], cwd=folder, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            package, = pathlib.Path(folder).glob("*.deb")
            if _output("sha256sum", package).split()[0] != sha256:
                raise Missing(f"{name} as the index has it")
            files = pathlib.Path(folder, "files")
            subprocess.run(["dpkg-deb", "-x", package, files], check=True)
            subprocess.run(["depmod", "-b", files, version], check=True)
            files.rename(kept)
    return kept / "boot" / f"vmlinuz-{version}", kept / "lib/modules" / version


def _modules(tree):
    """Files of the modules, each after those that it needs."""
    needs = {}
    for line in (tree / "modules.dep").read_text().splitlines():
        file, _, needed = line.partition(":")
        needs[file] = needed.split()
    ordered = []
    for name in MODULES:
        file, = (known for known in needs if pathlib.Path(known).stem == name)
        # The list has those first that need the others after them.
        ordered += [one for one in (*reversed(needs[file]), file) if one not in ordered]
    return [tree / one for one in ordered]


def _write_archive(path, files):
    """cpio, as the kernel takes it (initramfs-buffer-format): files by name, None for directories."""
    with open(path, "wb") as archive:
        for number, (name, data) in enumerate((*files.items(), ("TRAILER!!!", b"")), 1):
            mode, data = (0o40755, b"") if data is None else (0o100755, data)
            fields = (number, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name) + 1, 0)
            archive.write(b"070701" + "".join(f"{field:08x}" for field in fields).encode() + name.encode() + b"\0")
            for part in (b"", data):
                archive.write(part + b"\0" * (-(archive.tell() + len(part)) % 4))


def run(command, seconds):
    """The exit status of a command of the shell in the repository's folder, as root; its output comes here."""
    for program in ("qemu-system-x86_64", VIRTIOFSD, "depmod"):
        if not shutil.which(program) and not shutil.which(program, path="/usr/sbin:/sbin"):
            raise Missing(program)
    if os.geteuid() != 0:
        raise Missing("root's rights, which this machine's files are shared with")
    try:
        vmlinuz, tree = _kernel()
    except (subprocess.CalledProcessError, OSError) as error:
        raise Missing(f"the package {PACKAGE}: {error}") from error
    with tempfile.TemporaryDirectory() as folder:
        def filled(text):
            for name, value in (("ROOT", ROOT), ("FOLDER", folder), ("TREE", tree), ("COMMAND", command), ("BEGIN", BEGIN), ("STATUS", STATUS)):
                text = text.replace(f"@{name}@", str(value))
            return text

        pathlib.Path(folder, "script").write_text(filled(SCRIPT))
        files = dict.fromkeys(("bin", "modules", "proc", "host", "memory", "root"))
        files["bin/busybox"] = pathlib.Path("/bin/busybox").read_bytes()
        files["init"] = filled(INIT).encode()
        for number, module in enumerate(_modules(tree)):
            files[f"modules/{number:02}-{module.name}"] = module.read_bytes()
        _write_archive(f"{folder}/initrd", files)
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(f"{folder}/files")
            listener.listen()
            # The root file system cannot be written, whatever the guest asks; other mounts only as long as it leaves its own read-only.
            share = subprocess.Popen(["unshare", "--mount", "sh", "-c", 'mount -o remount,bind,ro / && exec "$@"', "sh", VIRTIOFSD,
                                      f"--fd={listener.fileno()}", "-o", "source=/", "-o", "sandbox=chroot", "-o", "cache=always", "-f"],
                                     pass_fds=[listener.fileno()], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            guest = subprocess.Popen(
                ["qemu-system-x86_64", "-nodefaults", "-no-user-config", "-M", "q35", "-accel", "tcg", "-cpu", "max", "-smp", "2", "-m", MEMORY,
                 "-object", f"memory-backend-memfd,id=memory,size={MEMORY},share=on", "-numa", "node,memdev=memory",
                 "-chardev", f"socket,id=files,path={folder}/files", "-device", "vhost-user-fs-pci,chardev=files,tag=host",
                 "-kernel", vmlinuz, "-initrd", f"{folder}/initrd", "-append", "console=ttyS0 loglevel=3 panic=-1",
                 "-serial", "stdio", "-display", "none", "-no-reboot"],
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, errors="replace")
            try:
                return _status(guest, seconds)
            finally:
                guest.kill()
                guest.wait()
        finally:
            share.kill()
            share.wait()


def _status(guest, seconds):
    timer = threading.Timer(seconds, guest.kill)
    timer.start()
    is_there, status = False, None
    with guest.stdout:
        for line in guest.stdout:
            line = line.replace("\r", "")
            if line.strip() == BEGIN:
                is_there = True
            elif line.startswith(STATUS):
                status = int(line.removeprefix(STATUS))
            else:
                sys.stdout.write(line)
                sys.stdout.flush()
    timer.cancel()
    if not is_there:
        raise Missing("a machine on which QEMU runs with this machine's files")
    if status is None:
        raise RuntimeError(f"the guest did not come to its end in {seconds} s")
    return status

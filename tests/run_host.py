#!/usr/bin/env python3
"""What the host sees of a sandbox: files that go in and out, processes that are killed from outside, memory, users, damaged caches.

run_host.py fast | full | NAME…
"""
import hashlib
import json
import os
import pathlib
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from processes import alive

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = pathlib.Path(os.environ.get("CORDON_BUILD", ROOT / "build"))
CORDON = str(BUILD / "cordon")
SECRET = "a-secret-that-must-stay-outside-8417"


def environment(**more):
    return {"PATH": os.environ["PATH"], "HOME": "/nowhere", "XDG_CACHE_HOME": str(BUILD / "tests"), "CORDON_SECRET": SECRET, **more}


def cordon(*arguments, stdin=b"", seconds=30, env=None, **options):
    return subprocess.run([CORDON, *map(str, arguments)], input=stdin, capture_output=True, timeout=seconds, env=env or environment(),
                          **options)


def start(*arguments, **options):
    return subprocess.Popen([CORDON, *map(str, arguments)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                            env=environment(), **options)


def equal(got, wanted):
    assert got == wanted, f"{got!r}, expected {wanted!r}"


def text_of(path):
    """A file of /proc; empty if the process or thread has gone."""
    try:
        return pathlib.Path(path).read_text()
    except OSError:
        return ""


def children(pid):
    return [int(child) for task in pathlib.Path(f"/proc/{pid}/task").glob("*") for child in text_of(task / "children").split()]


def name_of(pid):
    return text_of(f"/proc/{pid}/comm").strip()


def processor_time(pid):
    """User time in clock ticks."""
    return int((text_of(f"/proc/{pid}/stat").split() or [0] * 14)[13])


def guests(pid):
    return [child for child in children(pid) if name_of(child) == "cordon-template"]


def wait_for_line(process, text):
    line = process.stdout.readline().decode()
    equal(line, text + "\n")


def a_tree_goes_in_and_out(folder):
    tree = folder / "tree"
    (tree / "a/b").mkdir(parents=True)
    (tree / "a/file").write_text("text\n")
    (tree / "a/b/run").write_text("#!/bin/bash\necho ran\n")
    (tree / "a/b/run").chmod(0o755)
    (tree / "binary").write_bytes(bytes(range(256)) * 3000)
    (tree / "link").symlink_to("a/file")
    (tree / "dangling").symlink_to("/etc/shadow")
    (tree / "empty").mkdir()
    script = ("cd tree && ./a/b/run && cat link && readlink dangling && sha256sum <binary && echo new >a/new && rm a/file && ln -s b a/to-b "
              "&& mkfifo pipe && chmod 4755 a/b/run; ls")
    out = folder / "out"
    done = cordon("run", "--copy-in", f"{tree}:/home/user/tree", "--copy-out", f"/home/user/tree:{out}", "-c", script)
    digest = hashlib.sha256((tree / "binary").read_bytes()).hexdigest()
    equal(done.stdout.decode(), f"ran\ntext\n/etc/shadow\n{digest}  -\na\nbinary\ndangling\nempty\nlink\npipe\n")
    equal(done.returncode, 0)
    assert b"pipe" in done.stderr, done.stderr
    equal(sorted(str(p.relative_to(out)) for p in out.rglob("*")),
          ["a", "a/b", "a/b/run", "a/new", "a/to-b", "binary", "dangling", "empty", "link"])
    equal((out / "binary").read_bytes(), (tree / "binary").read_bytes())
    equal(os.readlink(out / "dangling"), "/etc/shadow")
    equal((out / "a/b/run").stat().st_mode & 0o7777, 0o755)


def what_is_written_out_stays_below_its_folder(folder):
    """A guest replaces directories by links to the host's folders, and the host's folder has links of its own."""
    victim = folder / "victim"
    victim.mkdir()
    out = folder / "out"
    out.mkdir()
    (out / "sub").symlink_to(victim)
    script = f"mkdir -p t/sub && echo evil >t/sub/file && ln -s {victim} t/leave && mkdir t/d && echo x >t/d/y"
    done = cordon("run", "--copy-out", f"/home/user/t:{out}", "-c", script)
    equal(list(victim.iterdir()), [])
    assert done.returncode in (0, 125), done


def a_missing_source_is_named(folder):
    done = cordon("run", "--copy-in", f"{folder}/none:/home/user/x", "--", "true")
    equal(done.returncode, 125)
    assert b"none" in done.stderr, done.stderr


def a_python_file_runs(folder):
    script = folder / "hello.py"
    script.write_text("import sys\nprint(__name__, sys.argv)\nsys.exit(len(sys.argv))\n")
    done = cordon("run", "--python", script, "--", "one", "two words")
    equal((done.stdout.decode(), done.returncode), ("__main__ ['/home/user/hello.py', 'one', 'two words']\n", 3))
    done = cordon("run", "--python", "-", "--", "x", stdin=b"import sys; print(sys.argv)")
    equal((done.stdout, done.returncode), (b"['-', 'x']\n", 0))
    equal(cordon("run", "--python", folder / "none.py").returncode, 125)


def doctor_says_what_works(_):
    done = cordon("doctor", "--json")
    facts = json.loads(done.stdout)
    equal((done.returncode, facts["walls"][0]["name"], facts["walls"][0]["works"]), (0, "wasm", True))
    assert {"kernel", "pid namespace", "seccomp", "landlock"} <= {facility["name"] for facility in facts["host"]}


def a_slow_reader_gets_everything(_):
    """The command ends long before its output was taken."""
    process = start("run", "-c", "seq 1 200000")
    time.sleep(1.5)
    out, error = process.communicate(timeout=20)
    equal((hashlib.sha256(out).hexdigest(), error, process.returncode),
          (hashlib.sha256("".join(f"{n}\n" for n in range(1, 200001)).encode()).hexdigest(), b"", 0))


def the_host_kills_a_guest(_):
    """Outside the kernel: the process ends, its parent is told, the sandbox lives."""
    process = start("run", "--check-kernel", "-c", "(while :; do :; done) & echo started; wait $!; echo status $?")
    wait_for_line(process, "started")
    time.sleep(0.2)
    busy = max(guests(process.pid), key=processor_time)
    os.kill(busy, signal.SIGKILL)
    out, error = process.communicate(timeout=20)
    equal((out.decode(), process.returncode), ("status 137\n", 0)) if process.returncode == 0 else equal(
        (process.returncode, "died inside" in error.decode()), (125, True))


def the_host_kills_the_service(_):
    process = start("run", "-c", "echo started; sleep 100")
    wait_for_line(process, "started")
    os.kill(min(guests(process.pid)), signal.SIGKILL)
    _, error = process.communicate(timeout=20)
    equal(process.returncode, 125)
    assert b"sandbox ended" in error, error


def nothing_survives_a_killed_cordon(_):
    process = start("run", "-c", "sleep 100 & sleep 100 & echo started; wait")
    wait_for_line(process, "started")
    time.sleep(0.2)
    family = children(process.pid)
    assert len(family) >= 4, family
    process.kill()
    process.wait()
    until = time.monotonic() + 5
    while any(alive(pid) and name_of(pid) in ("cordon", "cordon-template") for pid in family) and time.monotonic() < until:
        time.sleep(0.01)
    equal([pid for pid in family if alive(pid) and name_of(pid) in ("cordon", "cordon-template")], [])


def nothing_of_the_host_is_in_a_guest(_):
    """No variable of the host in any guest's memory, no descriptor open, one file system that is empty."""
    if os.geteuid() != 0:
        return
    process = start("run", "-c", "echo started; read x")
    wait_for_line(process, "started")
    inside = guests(process.pid)
    assert len(inside) >= 2, inside
    for pid in inside:
        equal(os.listdir(f"/proc/{pid}/fd"), [])
        equal(os.listdir(f"/proc/{pid}/root"), [])
        assert SECRET.encode() not in pathlib.Path(f"/proc/{pid}/environ").read_bytes()
        status = pathlib.Path(f"/proc/{pid}/status").read_text()
        for fact in (r"CapEff:\t0+\n", r"CapBnd:\t0+\n", r"NoNewPrivs:\t1\n", r"Seccomp:\t2\n"):
            assert re.search(fact, status), fact
        assert not re.search(r"^Uid:\t0\t", status, re.M), "runs as root"
        with open(f"/proc/{pid}/maps", encoding="ascii") as maps, open(f"/proc/{pid}/mem", "rb", 0) as memory:
            for line in maps:
                begin, end = (int(part, 16) for part in line.split()[0].split("-"))
                permissions = line.split()[1]
                assert "wx" not in permissions, line
                if permissions[0] != "r" or end - begin > 1 << 30 or "[v" in line:
                    continue
                memory.seek(begin)
                assert SECRET.encode() not in memory.read(end - begin), line
    process.communicate(b"\n", timeout=20)
    equal(process.returncode, 0)


def a_program_touches_few_shared_pages(_):
    """Each page of the arena that a new process touches is a fault: docs/kernel.md, "The arena". A program that sleeps has done what
    `true` does."""
    process = start("run", "--", "sleep", "60")
    until = time.monotonic() + 5
    while len(guests(process.pid)) < 2 and time.monotonic() < until:
        time.sleep(0.01)
    time.sleep(0.2)
    smaps = text_of(f"/proc/{max(guests(process.pid))}/smaps")
    pages = sum(int(re.search(r"^Rss: +(\d+) kB", part, re.M)[1]) // 4 for part in re.split(r"^(?=[0-9a-f]+-)", smaps, flags=re.M)
                if re.match(r".*memfd:cordon-(objects|blocks)", part))
    process.terminate()
    process.wait()
    assert 0 < pages <= 64, pages


def an_ordinary_user_starts_one(folder):
    """Started without privileges, where the host lets users have namespaces or not."""
    if os.geteuid() != 0:
        return
    place = folder / "programs"
    place.mkdir()
    for program in ("cordon", "cordon-template", "userland.img"):
        shutil.copy(BUILD / program, place)
    for path in (folder, place):
        path.chmod(0o755)
    done = subprocess.run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", place / "cordon", "run", "-v", "-c",
                           "echo hello world | wc -w; id -u"], capture_output=True, timeout=30, env=environment())
    equal((done.stdout, done.returncode), (b"2\n1000\n", 0))


def many_runs_at_once(_):
    processes = [start("run", "-c", f"for i in {{1..20}}; do echo {n} | cat; done | sort | uniq -c | tr -s ' '") for n in range(12)]
    for n, process in enumerate(processes):
        out, error = process.communicate(timeout=60)
        equal((out.decode(), error, process.returncode), (f" 20 {n}\n", b"", 0))


def a_damaged_cache_costs_a_compilation(folder):
    """Objects in the cache that were cut, changed, emptied or replaced by a link."""
    module = BUILD / "tests/wasi.wasm"
    env = environment(XDG_CACHE_HOME=str(folder))
    wanted = cordon("run", "--run-module", module, "--", "x", env=env)
    equal(wanted.returncode, 7)
    (cached,) = (folder / "cordon/objects").iterdir()
    good = cached.read_bytes()
    chance = random.Random(4711)
    damages = [b"", good[:100], good[:-1], good[: len(good) // 2], good + b"x"]
    for _ in range(12):
        bad = bytearray(good)
        bad[chance.randrange(len(bad))] ^= 1 << chance.randrange(8)
        damages.append(bytes(bad))
    for bad in damages:
        cached.unlink(missing_ok=True)
        cached.write_bytes(bad)
        cached.chmod(0o600)
        done = cordon("run", "--run-module", module, "--", "x", env=env)
        equal((done.returncode, done.stdout[:20]), (7, wanted.stdout[:20]))
    cached.unlink()
    cached.symlink_to("/etc/passwd")
    equal(cordon("run", "--run-module", module, "--", "x", env=env).returncode, 7)
    equal(pathlib.Path("/etc/passwd").read_bytes()[:4], b"root")
    (folder / "cordon/objects").chmod(0o777)
    done = cordon("run", "--run-module", module, "--", "x", env=env)
    equal(done.returncode, 125)
    assert b"0700" in done.stderr, done.stderr


def a_large_module_is_compiled_well_for_the_next_time(folder):
    """First by the fast tier; the optimised object comes from the background, and is what the next start takes."""
    module = folder / "shell.wasm"
    shutil.copy(BUILD / "guest/rootfs/usr/bin/bash", module)
    env = environment(XDG_CACHE_HOME=str(folder))
    objects = folder / "cordon/objects"
    script = "for ((i = 0; i < 3; i++)); do echo $i; done"
    begin = time.monotonic()
    equal(cordon("run", "--run-module", module, "--", "-c", script, env=env, seconds=120).stdout, b"0\n1\n2\n")
    first = time.monotonic() - begin
    until = time.monotonic() + 240
    while len([path for path in objects.iterdir() if path.suffix != ".new"]) < 2:
        assert time.monotonic() < until, "no optimised object"
        time.sleep(0.5)
    begin = time.monotonic()
    equal(cordon("run", "--run-module", module, "--", "-c", script, env=env).stdout, b"0\n1\n2\n")
    assert time.monotonic() - begin < first, "the next start was not faster than a compilation"


def damaged_modules_are_refused(folder):
    """Cut and changed modules: refused with a place and a reason, or they run as what they have become, to an end."""
    good = (BUILD / "tests/wasi.wasm").read_bytes()
    chance = random.Random(815)
    refused = 0
    for number in range(40):
        bad = bytearray(good)
        if number % 4 == 0:
            bad = bad[: chance.randrange(len(bad))]
        else:
            for _ in range(number % 3 + 1):
                bad[chance.randrange(len(bad))] ^= 1 << chance.randrange(8)
        path = folder / f"{number}.wasm"
        path.write_bytes(bad)
        done = cordon("run", "--timeout", "2s", "--run-module", path, "--", "x", env=environment(XDG_CACHE_HOME=str(folder)))
        if done.returncode == 125:
            refused += 1
            assert re.search(rb"\.wasm:(0x[0-9a-f]+|[a-z ]+)", done.stderr) or b"no program" in done.stderr, done.stderr
        assert b"sandbox ended" not in done.stderr, done.stderr
    assert refused >= 10, refused


def guests_are_killed_at_random_from_outside(_, seconds=60):
    """Each sandbox lives or ends with its reason."""
    chance = random.Random(99)
    lived = ended = 0
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        process = start("run", "--check-kernel", "--timeout", "20s", "-c",
                        "for i in {1..30}; do (for ((k = 0; k < 2000; k++)); do :; done; echo x | cat >/dev/null) & done; wait; echo done")
        time.sleep(chance.uniform(0, 0.4))
        for _ in range(3):
            victims = guests(process.pid)
            if not victims:
                break
            try:
                os.kill(chance.choice(victims), signal.SIGKILL)
            except ProcessLookupError:
                pass
        out, error = process.communicate(timeout=40)
        if process.returncode == 125:
            assert re.search(rb"sandbox ended: (a process died inside the kernel|its service process died|its init died)", error), error
            ended += 1
        else:
            assert process.returncode in (0, 137), (process.returncode, out, error)
            lived += 1
    assert lived and ended, (lived, ended)


def a_program_is_frozen_and_goes_on(folder):
    """An image of its own, made as guest/image.py makes the userland's."""
    objects, programs = folder / "objects", folder / "root/usr/bin"
    for path in (objects, programs, folder / "root/home/user"):
        path.mkdir(parents=True)
    for tool in ("cordon", "cordon-template", "cordon-compile"):
        shutil.copy(BUILD / tool, folder / tool)
    shutil.copy(BUILD / "guest/tests/frozen.wasm", programs / "frozen")

    def tool(*command, status=0):
        done = subprocess.run(command, capture_output=True, timeout=60, env=environment())
        equal(done.returncode, status)
        return done

    tool(folder / "cordon-compile", "--tier=fast", programs / "frozen", "-o", objects / "usr%bin%frozen.cwo")
    tool(BUILD / "cordon-mkimage", folder / "root", objects, folder / "userland.img")
    run = [folder / "cordon", "run", "--check-kernel", "--env", "X=1", "--", "frozen"]
    equal(tool(*run, "a").stdout, b"from the beginning, 2 arguments, 1 starts\n")
    for name in ("usr%bin%frozen.cwf", "again"):
        tool(folder / "cordon", "freeze", "/usr/bin/frozen", "-o", objects / name)
    equal((objects / "usr%bin%frozen.cwf").read_bytes() == (objects / "again").read_bytes(), True)
    tool(BUILD / "cordon-mkimage", folder / "root", objects, folder / "userland.img")
    for argument in (b"a", b"b"):
        equal(tool(*run, argument, status=7).stdout, b"start 1, 2 arguments, " + argument + b", X=1, program frozen\n"
              b"freezing is in the environment: 0 0\nkept: yes\ngiven back and taken again at its place, zero: yes\n"
              b"no longer needed, zero: yes\na child wrote, 0, and the parent has: yes\n")
    equal(tool(*run, "over").stdout, b"from the beginning, 2 arguments, 1 starts\n")
    # A frozen form of another module is not packed, and neither is one that is cut.
    whole = (objects / "usr%bin%frozen.cwf").read_bytes()
    for damaged in (whole[:-4096], whole[:56] + b"x" + whole[57:], b"x" + whole[1:]):
        (objects / "usr%bin%frozen.cwf").write_bytes(damaged)
        tool(BUILD / "cordon-mkimage", folder / "root", objects, folder / "other.img", status=125)
    # A program that does not know how to be frozen.
    refused = tool(folder / "cordon", "freeze", "/usr/bin/nothing", "-o", folder / "x", status=125)
    assert b"nothing" in refused.stderr, refused.stderr


def guests_are_killed_for_some_seconds(folder):
    guests_are_killed_at_random_from_outside(folder, 5)


FAST = [a_tree_goes_in_and_out, what_is_written_out_stays_below_its_folder, a_missing_source_is_named, a_python_file_runs, doctor_says_what_works, a_slow_reader_gets_everything, the_host_kills_a_guest,
        the_host_kills_the_service, nothing_survives_a_killed_cordon, nothing_of_the_host_is_in_a_guest, a_program_touches_few_shared_pages, an_ordinary_user_starts_one,
        many_runs_at_once, a_damaged_cache_costs_a_compilation, a_program_is_frozen_and_goes_on, guests_are_killed_for_some_seconds]
FULL = [damaged_modules_are_refused, a_large_module_is_compiled_well_for_the_next_time, guests_are_killed_at_random_from_outside]


def main(wanted):
    chosen = [test for test in FAST + FULL
              if "fast" in wanted and test in FAST or "full" in wanted and test in FULL or test.__name__ in wanted]
    passed = failed = 0
    for test in chosen:
        name = test.__name__.replace("_", " ")
        with tempfile.TemporaryDirectory() as folder:
            try:
                test(pathlib.Path(folder))
                passed += 1
                print(f"ok   host: {name}", flush=True)
            except (AssertionError, subprocess.TimeoutExpired, OSError, ValueError) as error:
                failed += 1
                print(f"FAIL host: {name}\n     {error}", flush=True)
    print(f"{passed} passed, {failed} failed")
    return 0 if passed and not failed else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:] or ["fast"]))

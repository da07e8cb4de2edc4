#!/usr/bin/env python3
"""Measures what docs/specification.md promises, each row against its peer in the same run: bench/run.py [ROW…]

Timings on shared machines are noisy: rows alternate between us and the peer, and the best of several is taken.
Peers that are not installed are left out with a note. Nothing here decides whether a test passes.
"""
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = ROOT / "build"
CORDON = str(BUILD / "cordon")
GUEST_CC = BUILD / "guest" / "toolchain" / "bin" / "cordon-cc"
ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "HOME": "/tmp"}


def wall(command):
    """Seconds of a whole command, from posix_spawn to its exit status."""
    with open(os.devnull, "r+b") as null:
        start = time.perf_counter()
        pid = os.posix_spawnp(command[0], command, ENVIRONMENT,
                              file_actions=[(os.POSIX_SPAWN_DUP2, null.fileno(), fd) for fd in (0, 1, 2)])
        _, status = os.waitpid(pid, 0)
        elapsed = time.perf_counter() - start
    if status != 0:
        raise RuntimeError(f"{command}: status {status:#x}")
    return elapsed


def printed(command):
    """The number that a program printed about itself."""
    run = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=True)
    return float(run.stdout.split()[-1])


def best(measure, times, pick=min):
    return pick(measure() for _ in range(times))


def compare(ours, theirs, times, pick=min):
    """Best of alternating runs of both."""
    pairs = [(ours(), theirs()) for _ in range(times)]
    return pick(a for a, _ in pairs), pick(b for _, b in pairs)


def script_seconds(shell, script):
    """Seconds that a script takes by the shell's own clock, so that no start-up is in it."""
    text = f'start=${{EPOCHREALTIME/./}}; {script}; end=${{EPOCHREALTIME/./}}; echo $((end - start)) >&2'
    run = subprocess.run([*shell, text], env=ENVIRONMENT, capture_output=True, text=True, check=True)
    return float(run.stderr.split()[-1]) / 1e6


SANDBOX_SHELL = [CORDON, "run", "--disk", "2GiB", "--memory", "4GiB", "-c"]
NATIVE_SHELL = ["bash", "-c"]
SCRIPTS = {
    "substitution": ('1000 × x=$(echo hi)', 'for ((i = 0; i < 1000; i++)); do x=$(echo hi); done', 1.5),
    "sort": ('seq 1 1000000 | sort -n | tail -1', 'seq 1 1000000 | sort -n | tail -1 >/dev/null', 1.5),
}


def just_bash():
    """The command of just-bash, a shell in JavaScript, installed on demand; None without npm or its registry."""
    program = BUILD / "bench/node_modules/.bin/just-bash"
    if not program.exists() and shutil.which("npm"):
        subprocess.run(["npm", "install", "--silent", "--no-fund", "--no-audit", "--prefix", BUILD / "bench", "just-bash"],
                       check=False, stdout=subprocess.DEVNULL)
    return str(program) if program.exists() else None


def elsewhere(script):
    """Whole processes: just-bash and us on the same script."""
    if not just_bash():
        return "just-bash not installed"
    tried = subprocess.run([just_bash(), "-c", script], capture_output=True, text=True, check=False)
    if tried.returncode != 0:
        return f"just-bash: {tried.stderr.strip().splitlines()[-1] if tried.stderr.strip() else tried.returncode}"
    theirs = best(lambda: wall([just_bash(), "-c", script]), 2)
    ours = best(lambda: wall([*SANDBOX_SHELL, script]), 2)
    return f"just-bash {theirs * 1e3:.0f} ms, whole process, where Cordon takes {ours * 1e3:.0f} ms"


def row_script(key):
    title, script, goal = SCRIPTS[key]
    ours, native = compare(lambda: script_seconds(SANDBOX_SHELL, script), lambda: script_seconds(NATIVE_SHELL, script), 5)
    return title, f"{ours * 1e3:.0f} ms", f"bash {native * 1e3:.0f} ms", f"{ours / native:.2f}", f"≤ {goal}", elsewhere(script)


def prepared(key, prepare, script, goal, title):
    """Like row_script, with a preparation that is not timed; both in a folder of their own."""
    with tempfile.TemporaryDirectory() as folder:
        def run(shell, place):
            text = (f'cd {place} && {{ {prepare}; }} && for i in 1 2 3 4; do start=${{EPOCHREALTIME/./}}; {script}; '
                    f'end=${{EPOCHREALTIME/./}}; echo $((end - start)) >&2; done')
            done = subprocess.run([*shell, text], env=ENVIRONMENT, capture_output=True, text=True, check=True)
            return min(float(line) for line in done.stderr.split()) / 1e6
        ours, native = run(SANDBOX_SHELL, "/tmp"), run(NATIVE_SHELL, folder)
    return title, f"{ours * 1e3:.0f} ms", f"native {native * 1e3:.0f} ms", f"{ours / native:.2f}", f"≤ {goal}"


def row_grep(_):
    return prepared("grep", 'yes "the quick brown fox jumps over the lazy dog 0123456789" | head -c 100000000 >big.txt',
                    "grep -c lazy big.txt >count", 1.5, "grep -c over 100 MB")


def row_find(_):
    prepare = ('for d in {1..100}; do mkdir d$d; (cd d$d; for f in {1..200}; do : >f$f; done); done')
    return prepared("find", prepare, "find . -type f -name 'f*7' | wc -l >count", 1.5, "find over 20 000 files")


def row_run_true(_):
    ours = [CORDON, "run", "--", "true"]
    peer = ["bwrap", "--unshare-all", "--ro-bind", "/", "/", "true"]
    if not shutil.which("bwrap"):
        return "cordon run -- true", f"{best(lambda: wall(ours), 20) * 1e3:.2f} ms", "bwrap missing", "", "≤ 12 ms"
    a, b = compare(lambda: wall(ours), lambda: wall(peer), 40)
    return "cordon run -- true", f"{a * 1e3:.2f} ms", f"bwrap --unshare-all {b * 1e3:.2f} ms", f"{a / b:.2f}", \
        "≤ 12 ms and ≤ bwrap + 5 ms"


def row_native_true(_):
    """Planned and run in an empty folder, as the peer is: whole processes."""
    ours = [CORDON, "run", "--wall", "native", "--", "true"]
    peer = ["bwrap", "--unshare-all", "--ro-bind", "/", "/", "true"]
    if not shutil.which("bwrap"):
        return "native wall, true", f"{best(lambda: wall(ours), 40) * 1e3:.2f} ms", "bwrap missing", "", "≤ bwrap"
    with tempfile.TemporaryDirectory() as folder:
        before = os.getcwd()
        os.chdir(folder)
        try:
            a, b = compare(lambda: wall(ours), lambda: wall(peer), 60)
        finally:
            os.chdir(before)
    return "cordon run --wall native -- true", f"{a * 1e3:.2f} ms", f"bwrap --unshare-all {b * 1e3:.2f} ms", f"{a / b:.2f}", "≤ bwrap; aim 3 ms"


def row_plan(_):
    """A project of 2000 files with 20 patterns to exclude; whole process."""
    with tempfile.TemporaryDirectory() as folder:
        for number in range(2000):
            path = pathlib.Path(folder, f"d{number % 40}", f"f{number}.txt")
            path.parent.mkdir(exist_ok=True)
            path.touch()
        patterns = ", ".join([f"'*.x{n}'" for n in range(10)] + [f"'**/secret{n}*/key'" for n in range(10)])
        policy = pathlib.Path(folder, "cordon.yaml")
        policy.write_text(f"version: 1\nworkspace: {{exclude_paths: [{patterns}]}}\nprofiles: {{default: {{network: 'off'}}}}\n")
        plan = [CORDON, "plan", "--hash", "--config", str(policy), "--", "true"]
        return "planning, 2000 files, 20 patterns", f"{best(lambda: wall(plan), 20) * 1e3:.1f} ms", "", "", "≤ 20 ms"


def row_live_true(_):
    run = subprocess.run([BUILD / "cordon-bench-spawn", BUILD / "cordon-template", BUILD / "userland.img"], capture_output=True, text=True, check=True)
    figures = json.loads(run.stdout)
    return "/bin/true in a live sandbox", f"{figures['sandbox_us']:.0f} µs", f"posix_spawn {figures['host_us']:.0f} µs", \
        f"{figures['sandbox_us'] / figures['host_us']:.2f}", "≤ 1.0"


def guest_and_native(name):
    """Builds bench/programs/NAME.c for the sandbox and for the host; returns how to run each."""
    source = ROOT / "bench" / "programs" / f"{name}.c"
    folder = BUILD / "bench"
    folder.mkdir(exist_ok=True)
    subprocess.run([GUEST_CC, "-O2", source, "-o", folder / f"{name}.wasm"], check=True)
    subprocess.run(["gcc", "-O2", source, "-o", folder / name], check=True)
    return [CORDON, "run", "--run-module", str(folder / f"{name}.wasm")], [str(folder / name)]


def row_fstat(_):
    ours, native = (best(lambda c=c: printed(c), 5) for c in guest_and_native("fstat"))
    return "fstat", f"{ours:.0f} ns", f"native {native:.0f} ns", f"{ours / native:.2f}", "< 200 ns"


def row_pipe(_):
    guest, host = guest_and_native("pipe")
    ours, native = compare(lambda: printed(guest), lambda: printed(host), 5, max)
    return "pipe, 64 KiB writes", f"{ours:.0f} MB/s", f"native {native:.0f} MB/s", f"{ours / native:.2f}", "≥ 0.7"


def row_cores(_):
    """Processor time for each second of a pipeline of three filters, whole process."""
    with tempfile.TemporaryDirectory() as folder:
        report = pathlib.Path(folder, "report.json")
        script = "yes | head -c 400000000 | tr y n | wc -c"

        def used():
            subprocess.run([CORDON, "run", "--report", report, "-c", script], env=ENVIRONMENT, capture_output=True, check=True)
            figures = json.loads(report.read_text())
            return figures["cpu_us"] / figures["wall_us"]
        cores = best(used, 3, max)
    return "processors that a pipeline of three filters uses", f"{cores:.2f}", f"{os.cpu_count()} there", "", "> 1"


def descendants(pid):
    found = []
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            found += [int(child), *descendants(int(child))]
    return found


def proportional_kib(pids):
    rollups = [pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text() for pid in pids]
    return sum(int(line.split()[1]) for text in rollups for line in text.splitlines() if line.startswith("Pss:"))


def row_idle(_):
    """Sixteen at once, as a service has them: what they share is counted once and divided."""
    count = 16
    processes = [subprocess.Popen([CORDON, "run", "--", "sleep", "60"], env=ENVIRONMENT) for _ in range(count)]
    time.sleep(3)
    total = sum(proportional_kib([process.pid, *descendants(process.pid)]) for process in processes) / count
    for process in processes:
        process.terminate()
    for process in processes:
        process.wait()
    return "idle sandbox with a sleeping program, one of 16, proportional set size", f"{total / 1024:.2f} MiB", "", "", "≤ 2 MiB"


def row_engine(_):
    run = subprocess.run([ROOT / "bench/engine/run.sh"], capture_output=True, text=True, check=True)
    sys.stderr.write(run.stdout)
    *_, v8, ours = run.stdout.splitlines()
    return "computing, geometric mean (rows above)", "", "gcc -O2", ours.split()[-1], "≤ 1.15", f"V8 {v8.split()[-1]}"


ROWS = {
    "live-true": row_live_true,
    "run-true": row_run_true,
    "native-true": row_native_true,
    "plan": row_plan,
    "substitution": row_script,
    "sort": row_script,
    "grep": row_grep,
    "find": row_find,
    "engine": row_engine,
    "fstat": row_fstat,
    "pipe": row_pipe,
    "cores": row_cores,
    "idle": row_idle,
}


def main(wanted):
    print("| what | Cordon | peer | ratio | promised | elsewhere |\n|---|---|---|---|---|---|")
    for key, row in ROWS.items():
        if wanted and key not in wanted:
            continue
        try:
            cells = [*row(key), ""]
            print("| " + " | ".join(cells[:6]) + " |", flush=True)
        except (OSError, RuntimeError, subprocess.CalledProcessError) as error:
            print(f"| {key} | failed: {error} | | | | |", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])

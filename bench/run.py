#!/usr/bin/env python3
"""Measures what docs/specification.md promises, each row against its peer in the same run: bench/run.py [ROW…]

Timings on shared machines are noisy: rows alternate between us and the peer, and the best of several is taken.
Peers that are not installed are left out with a note. Nothing here decides whether a test passes.
"""
import json
import math
import os
import pathlib
import re
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


def wall(command, environment=None):
    """Seconds of a whole command, from posix_spawn to its exit status."""
    with open(os.devnull, "r+b") as null:
        start = time.perf_counter()
        pid = os.posix_spawnp(command[0], command, environment or ENVIRONMENT,
                              file_actions=[(os.POSIX_SPAWN_DUP2, null.fileno(), fd) for fd in (0, 1, 2)])
        _, status = os.waitpid(pid, 0)
        elapsed = time.perf_counter() - start
    if status != 0:
        raise RuntimeError(f"{command}: status {status:#x}")
    return elapsed


def printed(command):
    """The number that a program printed about itself."""
    return float(printed_line(command).split()[-1])


def printed_line(command):
    run = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=True)
    return run.stdout.splitlines()[-1]


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


def row_in_process(_):
    """A command of a live session against an interpreter in the asking program itself, both from the same node process."""
    title = "`echo hi`: SDK, live session, against just-bash in the same process"
    if not just_bash():
        return title, "", "just-bash not installed", "", "≤ just-bash"
    package = BUILD / "bench/node_modules/just-bash"
    facts = json.loads((package / "package.json").read_text())
    done = subprocess.run(["node", ROOT / "bench/in_process.mjs", package / main_file(facts)], env={**os.environ, "CORDON": CORDON},
                          capture_output=True, text=True, check=True)
    times = json.loads(done.stdout)
    return title, f"{times['ours']:.3f} ms", f"`new Bash().exec` {times['anew']:.3f} ms", f"{times['ours'] / times['anew']:.2f}", \
        "≤ just-bash", f"one `Bash` that stays {times['stays']:.3f} ms"


def main_file(facts):
    """Of a package for import."""
    entry = facts.get("exports", {}).get(".", facts.get("main"))
    while isinstance(entry, dict):
        entry = entry.get("node") or entry.get("import") or entry.get("default")
    return entry


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
            text = (f'mkdir -p {place}/w && cd {place}/w && {{ {prepare}; }} && for i in 1 2 3 4; do start=${{EPOCHREALTIME/./}}; {script}; '
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


def row_native_session(_):
    """One more program for a shell that is there: what the wall adds to each is the filter and the mounts on its way."""
    script = "for ((i = 0; i < 300; i++)); do /bin/true; done"
    a, b = compare(lambda: script_seconds([CORDON, "run", "--wall", "native", "--", "bash", "-c"], script), lambda: script_seconds(["bash", "-c"], script), 5)
    return "one more command in a shell behind the native wall", f"{a / 300 * 1e3:.2f} ms", f"the host {b / 300 * 1e3:.2f} ms", f"{a / b:.2f}", "1.5 ms"


def row_native_true(row):
    """Planned and run in an empty folder, as the peer is: whole processes."""
    ours = [CORDON, "run", "--wall", "native", "--", "true"]
    own = ["--dev", "/dev", "--proc", "/proc"] if row == "native-true-alike" else []
    peer = ["bwrap", "--unshare-all", "--ro-bind", "/", "/", *own, "true"]
    if not shutil.which("bwrap"):
        return "native wall, true", f"{best(lambda: wall(ours), 40) * 1e3:.2f} ms", "bwrap missing", "", "≤ bwrap"
    with tempfile.TemporaryDirectory() as folder:
        before = os.getcwd()
        os.chdir(folder)
        try:
            a, b = compare(lambda: wall(ours), lambda: wall(peer), 60)
        finally:
            os.chdir(before)
    return "cordon run --wall native -- true", f"{a * 1e3:.2f} ms", f"{' '.join(peer[:2] + own)} {b * 1e3:.2f} ms", f"{a / b:.2f}", "≤ bwrap; aim 3 ms"


def row_native_network(_):
    """With a list of hosts of the user's: the gateway is started, asked and ended in that time."""
    with tempfile.TemporaryDirectory() as folder:
        policy = pathlib.Path(folder, ".config/cordon/policy.yaml")
        policy.parent.mkdir(parents=True)
        policy.write_text("version: 1\nprofiles: {default: {network: 'on', network_allow: [one.example, '*.two.example:443', 203.0.113.0/24]}}\n")
        project = pathlib.Path(folder, "project")
        project.mkdir()
        ours = [CORDON, "run", "--wall", "native", "--workspace", str(project), "--", "true"]
        seconds = best(lambda: wall(ours, {**ENVIRONMENT, "HOME": folder}), 60)
    return "the same with a list of hosts", f"{seconds * 1e3:.2f} ms", "", "", "≤ 8 ms"


def row_npm_install(_):
    """A hundred packages, all in the manager's cache, which each has to itself; needs the index once."""
    words = ["npm", "ci", "--prefer-offline", "--no-audit", "--no-fund", "--no-update-notifier"]
    package = {"name": "large", "version": "1.0.0", "dependencies": {"eslint": "8.57.0", "express": "4.19.2"}}
    seconds = {}
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "XDG_STATE_HOME": f"{folder}/state", "XDG_CACHE_HOME": f"{folder}/cache", "npm_config_cache": f"{folder}/npm"}
        for name, prefix in (("behind", [CORDON, "run", "--wall", "native", "--quiet", "--"]), ("without", [])):
            project = pathlib.Path(folder, name)
            project.mkdir()
            (project / "package.json").write_text(json.dumps(package))
            subprocess.run(["npm", "install", "--package-lock-only", *words[3:]], cwd=project, env=environment, capture_output=True, check=True)
            def install(project=project, prefix=prefix):
                start = time.perf_counter()
                subprocess.run([*prefix, *words], cwd=project, env=environment, capture_output=True, check=True)
                return time.perf_counter() - start
            install()
            seconds[name] = install
        a, b = compare(seconds["behind"], seconds["without"], 7)
    return "npm ci of a hundred packages, warm cache", f"{a:.2f} s", f"without a sandbox {b:.2f} s", f"{a / b:.2f}", "≤ 1.05"


def row_package(_):
    """A module with 13 MB, most of it code, from its first byte to its first output; compiled for the first time. Needs the index once."""
    done = subprocess.run([ROOT / "tests/run_pkg_modules.py", "Modules.test_php"], capture_output=True, text=True, check=True)
    found = re.search(r"(\d+) bytes, installed in ([\d.]+) s, first run ([\d.]+) s", done.stdout)
    if found is None:
        raise RuntimeError("skipped: npm brings no modules")
    return "a package with 13 MB of WebAssembly, download to first output", f"{float(found[2]) + float(found[3]):.1f} s", "–", "–", "20 s"


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


def row_shadow(_):
    """A shadow of 10 000 files, and the diff after ten changes; in mode copy the command's tree is an ordinary directory."""
    with tempfile.TemporaryDirectory() as folder:
        workspace = pathlib.Path(folder, "ws")
        for number in range(10_000):
            path = workspace / f"d{number % 100}" / f"f{number}.txt"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"{number}\n" * 200)
        time.sleep(0.2)
        environment = {**ENVIRONMENT, "HOME": folder}
        cells = []
        for mode in ("overlay", "copy"):
            def cordon(*arguments):
                start = time.perf_counter()
                done = subprocess.run([CORDON, *arguments], cwd=workspace, env=environment, capture_output=True, text=True, check=True)
                return time.perf_counter() - start, done.stdout.strip()
            created = []
            for last in range(5):
                created.append(cordon("shadow", "create", "--mode", mode))
                if last < 4:
                    cordon("discard")
            place = pathlib.Path(folder, ".local/state/cordon/shadow", created[-1][1], "tree" if mode == "copy" else "upper")
            for number in range(10):
                (place / f"d{number}").mkdir(exist_ok=True)
                (place / f"d{number}/f{number}.txt").write_text("changed\n")
            diffs = best(lambda: cordon("diff", "--json")[0], 5)
            cells.append(f"{mode} {min(created)[0] * 1e3:.0f} ms, diff {diffs * 1e3:.0f} ms")
            cordon("discard")
        copied = best(lambda: wall(["sh", "-c", f"cp -a {workspace} {folder}/cp && rm -rf {folder}/cp"]), 3)
        return "shadow of 10 000 files, and the diff of ten", "; ".join(cells), f"cp -a, rm -r {copied * 1e3:.0f} ms", "", "≤ 150, 100 ms (overlay)"


def row_live_true(_):
    run = subprocess.run([BUILD / "cordon-bench-spawn", BUILD / "cordon-template", BUILD / "userland.img"], capture_output=True, text=True, check=True)
    figures = json.loads(run.stdout)
    return "/bin/true in a live sandbox", f"{figures['sandbox_us']:.0f} µs", f"posix_spawn {figures['host_us']:.0f} µs", \
        f"{figures['sandbox_us'] / figures['host_us']:.2f}", "≤ 1.0"


def row_live(program):
    """A program that does next to nothing, started again and again by a shell: in a live sandbox and on the host."""
    command = {"live-python": "python3 -c 'print(1)'", "live-bash": "bash -c true"}[program]
    script = f"for ((i = 0; i < 20; i++)); do {command}; done >/dev/null"
    ours, native = compare(lambda: script_seconds(SANDBOX_SHELL, script) / 20, lambda: script_seconds(NATIVE_SHELL, script) / 20, 5)
    promised = "≤ 4 ms, ≤ 1.0" if program == "live-python" else "≤ 1.0"
    return f"`{command}` in a live sandbox", f"{ours * 1e3:.2f} ms", f"native {native * 1e3:.2f} ms", f"{ours / native:.2f}", promised


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


def row_mounts(key):
    what, name, unit, promised = {
        "mount-read": ("read", "4-KiB reads of a directory of the host, from the beginning, by Python, a second", "", "≥ 20 000"),
        "mount-random": ("random", "the same, anywhere in 256 MiB", "", "≥ 20 000"),
        "mount-stream": ("stream", "reading a file of a directory of the host, by dd", " MB/s", "≥ 500 MB/s"),
        "host-call": ("call", "a command that a client in Python serves, asked until answered, median of 200", " ms", ""),
        "host-pipe": ("pipe", "bytes through such a command, there and back", " MB/s", ""),
    }[key]
    return name, f"{printed([ROOT / 'bench/mounts.py', what])}{unit}", "", "", promised


def row_client_files(key):
    _, language, what = key.split("-", 2)
    arguments, name, unit, promised = {
        "read": (["read"], "4-KiB reads of a file that a client in {} has, each asked, a second", "", ""),
        "believed": (["read", "cached"], "the same, of a client that allows to believe what it said", "", "≥ 20 000"),
        "stream": (["stream"], "reading such a file by dd", " MB/s", "≥ 500 MB/s"),
    }[what]
    arguments.insert(1, language)
    value = printed([ROOT / "bench/mounts.py", *arguments])
    return name.format({"python": "Python", "node": "TypeScript"}[language]), f"{value}{unit}", "", "", promised


def row_client(key):
    """What a program beside this one measures as a client of the daemon, in milliseconds."""
    program, name, promised = {
        "session-create": ("session.py create", "a sandbox of the daemon, created until its first command has answered, median of 40", 5),
        "session-pool": ("session.py pool", "the same, of a daemon with two that wait", 1),
        "session-run": ("session.py run", "`run('echo hi')` in a live session, asked of the daemon, median of 1000", 0.3),
        "live-fork": ("state.py fork", "fork of bash and Python with 10 MB of its own, 1000 files, until the copy answers, median of 30", 3),
        "snapshot": ("state.py snapshot", "snapshot of a sandbox with 10 000 files, 100 of them changed, median of 30", 2),
        "restore": ("state.py restore", "restoring it", 2),
    }[key]
    file, what = program.split()
    return name, f"{printed([ROOT / 'bench' / file, what]):.2f} ms", "", "", f"≤ {promised} ms"


def row_transfer(key):
    """Throughput, against the host's own tools: what they take to pack, and for comparison to unpack."""
    ours, tools = (float(word) for word in printed_line([ROOT / "bench/transfer.py", key]).split())
    peer, promised = ("zstd -d and tar x", "") if key == "import-unpacked" else ("tar and zstd -1", "≥ 0.8")
    return f"{key.split('-')[0]} of 100 MB, whole process", f"{ours:.2f} s", f"{peer} {tools:.2f} s", f"{tools / ours:.2f}", promised


def row_forks(_):
    there, answered, memory = printed_line([ROOT / "bench/state.py", "forks"]).split()
    return "100 forks until all are there, have answered; memory of each", f"{there}, {answered} ms, {memory} MiB", "", "", "≤ 200 ms, ≤ 1 MiB"


def network_figures():
    run = subprocess.run([ROOT / "bench/network.py"], capture_output=True, text=True, check=True)
    return json.loads(run.stdout.splitlines()[-1])


def elsewhere_on_the_network(figures, key, unit):
    return ", ".join(f"{peer} {figures[peer][key]:.1f} {unit}" if key in figures[peer] else f"{peer}: {figures[peer]['missing']}"
                     for peer in ("slirp4netns", "pasta"))


def row_gateway_stream(_):
    figures = network_figures()
    ours, plain = figures["gateway"]["gbit"], figures["loopback"]["gbit"]
    return "one TCP stream through the gateway", f"{ours:.1f} Gbit/s", f"loopback {plain:.1f} Gbit/s", f"{ours / plain:.2f}", \
        "≥ 0.5, and no slower than slirp4netns and pasta", elsewhere_on_the_network(figures, "gbit", "Gbit/s")


def row_gateway_connect(_):
    figures = network_figures()
    ours, plain = figures["gateway"]["us"], figures["loopback"]["us"]
    return "connect to first byte through the gateway", f"{ours:.0f} µs", f"loopback {plain:.0f} µs", f"{ours / plain:.2f}", \
        "≤ 80 µs, and no slower than slirp4netns and pasta", elsewhere_on_the_network(figures, "us", "µs")


def row_engine(_):
    run = subprocess.run([ROOT / "bench/engine/run.sh"], capture_output=True, text=True, check=True)
    sys.stderr.write(run.stdout)
    *_, v8, ours = run.stdout.splitlines()
    return "computing, geometric mean (rows above)", "", "gcc -O2", ours.split()[-1], "≤ 1.15", f"V8 {v8.split()[-1]}"


def row_python(_):
    """A set of programs of which each names itself and its seconds; the geometric mean of the ratios."""
    program = str(ROOT / "bench/programs/python_set.py")

    def figures(command):
        done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=True)
        return {name: float(seconds) for name, seconds in map(str.split, done.stdout.splitlines())}
    runs = [(figures([CORDON, "run", "--python", program]), figures(["/usr/bin/python3", program])) for _ in range(3)]
    ratios = {name: min(run[0][name] for run in runs) / min(run[1][name] for run in runs) for name in runs[0][0]}
    mean = math.exp(sum(map(math.log, ratios.values())) / len(ratios))
    each = ", ".join(f"{name} {ratio:.2f}" for name, ratio in ratios.items())
    return "Python, geometric mean", "", "the distribution's python3", f"{mean:.2f}", "≤ 1.8", each


def row_python_start(_):
    ours, native = compare(lambda: wall([CORDON, "run", "--", "python3", "-c", "print(1)"]),
                           lambda: wall(["/usr/bin/python3", "-c", "print(1)"]), 20)
    return "python3 -c 'print(1)', whole process", f"{ours * 1e3:.1f} ms", f"native {native * 1e3:.1f} ms", f"{ours / native:.2f}", ""


def row_git(_):
    prepare = ("git init -q -b main . && { for ((i = 1; i <= 2000; i++)); do printf 'commit refs/heads/main\\ncommitter A <a@example.org> "
               "%d +0000\\ndata 9\\nchange %d\\nM 644 inline f%d\\ndata 5\\n%04d\\n\\n' $((1700000000 + i)) $((i % 10)) $((i % 50)) $i; done; } | "
               "git fast-import --quiet")
    return prepared("git", prepare, "git log --stat >log", 1.5, "git log --stat over 2000 commits")


def row_archive(_):
    prepare = "mkdir d && for i in {1..100}; do seq $((i * 1000000)) $((i * 1000000 + 110000)) | head -c 1000000 >d/$i; done"
    return prepared("archive", prepare, "tar -cf - d | zstd -q -3 -T1 >d.tar.zst", 1.5, "tar and zstd of 100 MB")


def row_sqlite(_):
    script = ("rm -f t.db; sqlite3 t.db 'create table t(a integer primary key, b text); with recursive n(i) as (select 1 union all "
              "select i + 1 from n where i < 1000000) insert into t select i, i * 7919 from n; select count(*), sum(b) from t' >result")
    return prepared("sqlite", ":", script, 1.5, "sqlite3, a million inserts")


def row_jq(_):
    prepare = "seq 1 520000 | awk '{ printf \"{\\\"id\\\": %d, \\\"name\\\": \\\"item %d\\\", \\\"values\\\": [%d, 2.5, null, true], \\\"o\\\": {\\\"k\\\": \\\"v\\\"}}\\n\", $1, $1 % 100, $1 * 7 }' | head -c 50000000 | sed '$d' >big.json"
    return prepared("jq", prepare, "jq -c 'select(.values[0] % 3 == 0) | {id, n: .name}' big.json >out.json", 1.5, "jq over 50 MB")


ROWS = {
    "live-true": row_live_true,
    "run-true": row_run_true,
    "live-python": row_live,
    "live-bash": row_live,
    "native-true": row_native_true,
    "native-true-alike": row_native_true,
    "native-session": row_native_session,
    "native-network": row_native_network,
    "npm-install": row_npm_install,
    "package": row_package,
    "plan": row_plan,
    "shadow": row_shadow,
    "substitution": row_script,
    "sort": row_script,
    "grep": row_grep,
    "find": row_find,
    "engine": row_engine,
    "fstat": row_fstat,
    "pipe": row_pipe,
    "cores": row_cores,
    "idle": row_idle,
    "session-create": row_client,
    "session-pool": row_client,
    "session-run": row_client,
    "in-process": row_in_process,
    "live-fork": row_client,
    "snapshot": row_client,
    "restore": row_client,
    "forks": row_forks,
    "export": row_transfer,
    "import": row_transfer,
    "import-unpacked": row_transfer,
    "mount-read": row_mounts,
    "mount-random": row_mounts,
    "mount-stream": row_mounts,
    **{f"client-{language}-{what}": row_client_files for language in ("python", "node") for what in ("read", "believed", "stream")},
    "host-call": row_mounts,
    "host-pipe": row_mounts,
    "python": row_python,
    "python-start": row_python_start,
    "git": row_git,
    "archive": row_archive,
    "sqlite": row_sqlite,
    "jq": row_jq,
    "gateway-stream": row_gateway_stream,
    "gateway-connect": row_gateway_connect,
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

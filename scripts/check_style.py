#!/usr/bin/env python3
"""Formatting and static analysis of our own C++, and what folders say of themselves: check_style.py [format] [readmes] [tidy]

format  clang-format-19 must change nothing
readmes  every source file of a folder with a README is named there (`resolve_*` names several), and every file that it, or a
        document, names is there
tidy    clang-tidy-19, every finding an error. A file that was clean is not analysed again while its preprocessed text,
        the configuration and the tool are the same (cache: $XDG_CACHE_HOME/cordon/tidy).
Ends with `N passed, N failed`, a file and check each.
"""
import concurrent.futures
import fnmatch
import hashlib
import json
import os
import pathlib
import re
import shlex
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache")) / "cordon" / "tidy"


# Paths through a function that the analyser follows: beyond these it takes four times as long.
ANALYSER = [f"--extra-arg={part}" for part in ("-Xclang", "-analyzer-config", "-Xclang", "max-nodes=40000")]
PLUGIN = ROOT / "scripts/tidy_own_code.cc"


def tracked(*patterns):
    out = subprocess.run(["git", "ls-files", "--", *patterns], cwd=ROOT, capture_output=True, text=True, check=True)
    return [ROOT / line for line in out.stdout.splitlines() if (ROOT / line).exists()]


def check_format(path):
    run = subprocess.run(["clang-format-19", "--dry-run", "--Werror", path], capture_output=True, text=True)
    return run.returncode == 0, run.stderr


SOURCES = {".cc", ".h", ".def", ".S", ".py", ".sh", ".mjs"}
DOCUMENTED = ("src", "scripts", "tests", "bench")


def check_covered(readme, files):
    """Unit tests stand beside what they test and are not named; a header goes with its source."""
    own = [path for path in files if path.parent == readme.parent and path.suffix in SOURCES and not path.stem.endswith("_test")]
    text = readme.read_text()
    several = [word for word in re.findall(r"`([\w*.]+)`", text) if "*" in word]
    missing = [path.name for path in own if not re.search(rf"(?<!\w){re.escape(path.stem)}(?!\w)", text)
               and not any(fnmatch.fnmatch(name, word) for word in several for name in (path.stem, path.name))]
    return not missing, f"{readme.relative_to(ROOT)}: says nothing of {', '.join(missing)}\n"


def check_named(document, ends):
    """Files are named by their path, or the end of it."""
    named = re.findall(r"`((?:[\w-]+/)*[\w-]+\.(?:cc|def|h|py))`", document.read_text())
    lost = sorted({name for name in named if name not in ends})
    return not lost, f"{document.relative_to(ROOT)}: names {', '.join(lost)}, which is nowhere\n"


def readme_jobs():
    files = tracked("*")
    parts = [path.relative_to(ROOT).parts for path in files]
    ends = {"/".join(path[start:]) for path in parts for start in range(len(path))}
    readmes = [path for path in files if path.name == "README.md" and path.relative_to(ROOT).parts[0] in DOCUMENTED]
    documents = readmes + [path for path in files if path.suffix == ".md" and path.parent in (ROOT, ROOT / "docs")]
    return [(check_covered, (path, files)) for path in readmes] + [(check_named, (path, ends)) for path in documents]


def preprocessed(entry):
    """The text that clang-tidy would see, or None if the file does not preprocess."""
    arguments = shlex.split(entry["command"])
    if os.path.basename(arguments[0]) == "ccache":
        arguments = arguments[1:]
    skip_output = arguments.index("-o")
    arguments = arguments[:skip_output] + arguments[skip_output + 2:]
    arguments = [a for a in arguments if a != "-c"]
    run = subprocess.run([*arguments, "-E", "-C"], cwd=entry["directory"], capture_output=True)
    return run.stdout if run.returncode == 0 else None


def build_plugin(version):
    """The path of the plugin that keeps the checks out of libraries' headers."""
    built = CACHE / f"own-code-{hashlib.sha256(version + PLUGIN.read_bytes()).hexdigest()[:16]}.so"
    if not built.exists():
        new = built.with_suffix(f".{os.getpid()}")
        subprocess.run(["clang++-19", "-std=c++17", "-O1", "-fPIC", "-shared", "-Wall", "-Wextra", "-Werror", "-isystem",
                        "/usr/lib/llvm-19/include", PLUGIN, "-o", new], check=True)
        new.rename(built)
    return built


def check_tidy(entry, fingerprint, plugin):
    text = preprocessed(entry)
    if text is None:
        return False, f"{entry['file']}: does not preprocess\n"
    # Line markers name folders of this checkout; the verdict does not depend on them.
    own = pathlib.Path(entry["file"]).parent / ".clang-tidy"  # what a folder leaves out, with its reason
    fingerprint += own.read_bytes() if own.is_file() else b""
    stamp = CACHE / hashlib.sha256(fingerprint + text.replace(str(ROOT).encode(), b"")).hexdigest()
    if stamp.exists():
        return True, ""
    run = subprocess.run(["clang-tidy-19", "-load", plugin, "--checks=cordon-own-code", "-p", ROOT / "build", "--quiet", *ANALYSER,
                          entry["file"]],
                         cwd=ROOT, capture_output=True, text=True)
    if run.returncode == 0:
        stamp.touch()
        return True, ""
    return False, run.stdout + run.stderr


def main(wanted):
    jobs = []
    if "format" in wanted:
        # Not what goes into a port: its text is part of the port's key.
        jobs += [(check_format, (path,)) for path in tracked("*.cc", "*.h", ":!guest/ports", ":!guest/libc")]
    if "readmes" in wanted:
        jobs += readme_jobs()
    if "tidy" in wanted:
        CACHE.mkdir(parents=True, exist_ok=True)
        version = subprocess.run(["clang-tidy-19", "--version"], capture_output=True, check=True).stdout
        fingerprint = version + (ROOT / ".clang-tidy").read_bytes()
        plugin = build_plugin(version)
        sources = {str(path) for path in tracked("src/*.cc", "fuzz/*.cc", "bench/*.cc", "tests/*.cc")}
        seen = set()
        for entry in json.loads((ROOT / "build/compile_commands.json").read_text()):
            if entry["file"] in sources and entry["file"] not in seen:
                seen.add(entry["file"])
                jobs.append((check_tidy, (entry, fingerprint, plugin)))
    passed = failed = 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for ok, text in pool.map(lambda job: job[0](*job[1]), jobs):
            passed, failed = passed + ok, failed + (not ok)
            if not ok:
                sys.stdout.write(text)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:] or ["format"]))

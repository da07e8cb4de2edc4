#!/usr/bin/env python3
"""Computing: the same C behind the wasm wall, native (gcc -O2), and in V8 where node is there.

Prints a line for each program, then the geometric mean of the ratios to native.
"""
import math
import pathlib
import shutil
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
BUILD = HERE.parent.parent / "build"
PROGRAMS = ["sha256", "heapsort", "coremark_like", "mandelbrot", "fib", "indirect"]


def result(command):
    seconds, checksum = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    return float(seconds), checksum


def main():
    folder = BUILD / "bench"
    folder.mkdir(exist_ok=True)
    ratios = []
    for name in PROGRAMS:
        source, module, native = HERE / f"{name}.c", folder / f"{name}.wasm", folder / name
        subprocess.run([BUILD / "guest/toolchain/bin/cordon-cc", "-O2", source, "-o", module], check=True)
        subprocess.run(["gcc", "-O2", source, "-o", native], check=True)
        commands = {"cordon": [BUILD / "cordon", "run", "--run-module", module], "native": [native]}
        if shutil.which("node"):
            commands["v8"] = ["node", HERE / "v8.mjs", module]
        best = {}
        for _ in range(3):
            for who, command in commands.items():
                seconds, checksum = result(command)
                best[who] = min(best.get(who, (math.inf, checksum)), (seconds, checksum))
        if len({checksum for _, checksum in best.values()}) != 1:
            sys.exit(f"{name}: results differ: {best}")
        ratios.append(best["cordon"][0] / best["native"][0])
        v8 = f", v8 {best['v8'][0] / best['native'][0]:.2f}" if "v8" in best else ""
        print(f"{name}: cordon {best['cordon'][0] * 1e3:.1f} ms, native {best['native'][0] * 1e3:.1f} ms, "
              f"ratio {ratios[-1]:.2f}{v8}", flush=True)
    print(f"geometric mean {math.exp(sum(map(math.log, ratios)) / len(ratios)):.2f}")


if __name__ == "__main__":
    main()

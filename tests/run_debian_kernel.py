#!/usr/bin/env python3
"""The native wall under Debian's own kernel, with control groups of version 2: run_debian_kernel.py [COMMAND OF THE SHELL]"""
import sys

import debian_kernel

COMMAND = "tests/run_native.py"
SECONDS = 900


def main(words):
    try:
        return debian_kernel.run(" ".join(words) or COMMAND, SECONDS)
    except debian_kernel.Missing as missing:
        print(f"skip: there is not {missing}\n0 passed, 0 failed")
        return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
